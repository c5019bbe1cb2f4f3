/* Memory by the driver's own interface: for programs that have no CUDA runtime. */
#include "driver.h"
#include "driver_api.h"
#include "memory.h"

typedef uintptr_t DevicePointer;

EXPORT int cuMemAlloc_v2(DevicePointer* pointer, size_t bytes) {
  ENTER_CURRENT(cuMemAlloc);
  if (bytes == 0) return INVALID_VALUE;
  return gpuwheel_fake_allocate((void**)pointer, bytes, DEVICE_MEMORY, "cuMemAlloc", __builtin_return_address(0));
}

EXPORT int cuMemFree_v2(DevicePointer pointer) {
  ENTER_CURRENT(cuMemFree);
  return gpuwheel_fake_free((void*)pointer, 0);
}

static int copied(void* to, const void* from, size_t bytes, int kind, void* stream, const char* by) {
  const Copy copy = {to, from, bytes, bytes, bytes, 1, kind};
  return gpuwheel_fake_copy(&copy, stream, by);
}

EXPORT int cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, size_t bytes, void* stream) {
  ENTER_CURRENT(cuMemcpyHtoD);
  return copied((void*)to, from, bytes, HOST_TO_DEVICE, stream, "cuMemcpyHtoDAsync");
}

EXPORT int cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, size_t bytes, void* stream) {
  ENTER_CURRENT(cuMemcpyDtoH);
  return copied(to, (const void*)from, bytes, DEVICE_TO_HOST, stream, "cuMemcpyDtoHAsync");
}

EXPORT int cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t bytes, void* stream) {
  ENTER_CURRENT(cuMemcpyDtoD);
  return copied((void*)to, (const void*)from, bytes, DEVICE_TO_DEVICE, stream, "cuMemcpyDtoDAsync");
}

EXPORT int cuMemcpyHtoD_v2(DevicePointer to, const void* from, size_t bytes) {
  ENTER_CURRENT(cuMemcpyHtoD);
  return copied((void*)to, from, bytes, HOST_TO_DEVICE, NULL, "cuMemcpyHtoD");
}

EXPORT int cuMemcpyDtoH_v2(void* to, DevicePointer from, size_t bytes) {
  ENTER_CURRENT(cuMemcpyDtoH);
  return copied(to, (const void*)from, bytes, DEVICE_TO_HOST, NULL, "cuMemcpyDtoH");
}

EXPORT int cuMemcpyDtoD_v2(DevicePointer to, DevicePointer from, size_t bytes) {
  ENTER_CURRENT(cuMemcpyDtoD);
  return copied((void*)to, (const void*)from, bytes, DEVICE_TO_DEVICE, NULL, "cuMemcpyDtoD");
}

static int filled(DevicePointer to, unsigned value, unsigned width, size_t count, void* stream, const char* by) {
  const Copy copy = {(void*)to, NULL, count * width, 0, count * width, 1};
  return gpuwheel_fake_fill(&copy, (int)value, width, stream, by);
}

EXPORT int cuMemsetD8Async(DevicePointer to, unsigned char value, size_t count, void* stream) {
  ENTER_CURRENT(cuMemsetD8);
  return filled(to, value, 1, count, stream, "cuMemsetD8Async");
}

EXPORT int cuMemsetD8_v2(DevicePointer to, unsigned char value, size_t count) {
  ENTER_CURRENT(cuMemsetD8);
  return filled(to, value, 1, count, NULL, "cuMemsetD8");
}

EXPORT int cuMemsetD32Async(DevicePointer to, unsigned value, size_t count, void* stream) {
  ENTER_CURRENT(cuMemsetD32);
  return filled(to, value, 4, count, stream, "cuMemsetD32Async");
}

EXPORT int cuMemsetD32_v2(DevicePointer to, unsigned value, size_t count) {
  ENTER_CURRENT(cuMemsetD32);
  return filled(to, value, 4, count, NULL, "cuMemsetD32");
}
