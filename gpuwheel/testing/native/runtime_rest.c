/* What libraries with kernels of their own ask of the CUDA runtime, beside what torch does: in both forms of the fake. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/* ---- what is of the whole device, or of none */

EXPORT int cudaDeviceReset(void) {
  ENTER_CONTEXT(cudaDeviceReset);
  return SUCCESS;
}

EXPORT int cudaInitDevice(int device, unsigned flags, unsigned more) {
  (void)flags, (void)more;
  ENTER(cudaInitDevice);
  return runtime_done(device < 0 || device >= gpuwheel_fake_devices() ? INVALID_DEVICE : SUCCESS);
}

EXPORT int cudaSetDeviceFlags(unsigned flags) {
  (void)flags;
  ENTER(cudaSetDeviceFlags);
  return SUCCESS;
}

EXPORT int cudaGetDeviceFlags(unsigned* flags) {
  ENTER(cudaGetDeviceFlags);
  *flags = 0;
  return SUCCESS;
}

EXPORT int cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaDeviceEnablePeerAccess);
  return runtime_done(peer < 0 || peer >= gpuwheel_fake_devices() || peer == gpuwheel_fake_current() ? INVALID_DEVICE : SUCCESS);
}

EXPORT int cudaDeviceDisablePeerAccess(int peer) { return cudaDeviceEnablePeerAccess(peer, 0); }

/* enum cudaLimit: stack, printf buffer, malloc heap; what is set is what is read */
static size_t limits[8] = {1024, 1 << 20, 8 << 20};

EXPORT int cudaDeviceGetLimit(size_t* value, int limit) {
  ENTER_CONTEXT(cudaDeviceGetLimit);
  if (limit < 0 || limit >= (int)(sizeof limits / sizeof *limits)) return runtime_done(INVALID_VALUE);
  *value = limits[limit];
  return SUCCESS;
}

EXPORT int cudaDeviceSetLimit(int limit, size_t value) {
  ENTER_CONTEXT(cudaDeviceSetLimit);
  if (limit < 0 || limit >= (int)(sizeof limits / sizeof *limits)) return runtime_done(INVALID_VALUE);
  limits[limit] = value;
  return SUCCESS;
}

EXPORT int cudaDeviceSetCacheConfig(int config) {
  (void)config;
  ENTER_CONTEXT(cudaDeviceSetCacheConfig);
  return SUCCESS;
}

EXPORT int cudaProfilerStart(void) {
  ENTER_CONTEXT(cudaProfilerStart);
  return SUCCESS;
}

EXPORT int cudaProfilerStop(void) {
  ENTER_CONTEXT(cudaProfilerStop);
  return SUCCESS;
}

/* ---- memory */

int cudaMalloc(void**, size_t);
int cudaMemcpy2DAsync(void*, size_t, const void*, size_t, size_t, size_t, int, void*);

EXPORT int cudaMallocManaged(void** pointer, size_t bytes, unsigned flags) {
  (void)flags;
  return cudaMalloc(pointer, bytes); /* device memory is host memory */
}

EXPORT int cudaMallocPitch(void** pointer, size_t* pitch, size_t width, size_t height) {
  *pitch = (width + 511) / 512 * 512;
  return cudaMalloc(pointer, *pitch * height);
}

EXPORT int cudaHostRegister(void* pointer, size_t bytes, unsigned flags) {
  (void)pointer, (void)bytes, (void)flags;
  ENTER_CONTEXT(cudaHostRegister);
  return SUCCESS;
}

EXPORT int cudaHostUnregister(void* pointer) {
  (void)pointer;
  ENTER_CONTEXT(cudaHostUnregister);
  return SUCCESS;
}

EXPORT int cudaHostGetDevicePointer(void** device, void* host, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaHostGetDevicePointer);
  *device = host;
  return SUCCESS;
}

EXPORT int cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t bytes) {
  (void)to_device, (void)from_device;
  ENTER_CONTEXT(cudaMemcpyPeer);
  memmove(to, from, bytes);
  return SUCCESS;
}

EXPORT int cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, int kind) {
  return cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, height, kind, NULL);
}

EXPORT int cudaMemset2DAsync(void* pointer, size_t pitch, int value, size_t width, size_t height, void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaMemset2DAsync);
  for (size_t row = 0; row < height; ++row) memset((char*)pointer + row * pitch, value, width);
  return SUCCESS;
}

EXPORT int cudaMemset2D(void* pointer, size_t pitch, int value, size_t width, size_t height) {
  return cudaMemset2DAsync(pointer, pitch, value, width, height, NULL);
}

/* ---- streams, and what runs in their order: everything runs at once */

EXPORT int cudaLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
  ENTER_CONTEXT(cudaLaunchHostFunc);
  if (gpuwheel_fake_capturing(stream) && stream != NULL) return runtime_done(NOT_SUPPORTED); /* graphs hold launches alone */
  function(data);
  return SUCCESS;
}

EXPORT int cudaStreamAddCallback(void* stream, void (*function)(void*, int, void*), void* data, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaStreamAddCallback);
  if (gpuwheel_fake_capturing(stream) && stream != NULL) return runtime_done(CAPTURE_UNSUPPORTED);
  function(stream, SUCCESS, data);
  return SUCCESS;
}

EXPORT int cudaStreamGetDevice(void* stream, int* device) {
  ENTER_CONTEXT(cudaStreamGetDevice);
  *device = gpuwheel_fake_device_of_stream(stream);
  return runtime_done(*device < 0 ? INVALID_HANDLE : SUCCESS);
}

EXPORT int cudaStreamGetFlags(void* stream, unsigned* flags) {
  ENTER_CONTEXT(cudaStreamGetFlags);
  if (gpuwheel_fake_device_of_stream(stream) < 0) return runtime_done(INVALID_HANDLE);
  *flags = 0;
  return SUCCESS;
}

EXPORT int cudaStreamGetId(void* stream, unsigned long long* id) {
  ENTER_CONTEXT(cudaStreamGetId);
  if (gpuwheel_fake_device_of_stream(stream) < 0) return runtime_done(INVALID_HANDLE);
  *id = (uintptr_t)stream;
  return SUCCESS;
}

/* ---- graphs: what was captured is what is launched, and lives as long as the process */

EXPORT int cudaGraphDestroy(void* graph) {
  (void)graph;
  ENTER(cudaGraphDestroy);
  return SUCCESS;
}

EXPORT int cudaGraphExecDestroy(void* executable) {
  (void)executable;
  ENTER(cudaGraphExecDestroy);
  return SUCCESS;
}

EXPORT int cudaGraphUpload(void* executable, void* stream) {
  (void)executable, (void)stream;
  ENTER_CONTEXT(cudaGraphUpload);
  return SUCCESS;
}

EXPORT int cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* host, int blocks, int threads) {
  (void)host, (void)threads;
  ENTER_CONTEXT(cudaOccupancyAvailableDynamicSMemPerBlock);
  int room = 0;
  gpuwheel_fake_device_attribute(&room, 81, gpuwheel_fake_current());
  *bytes = blocks > 0 ? (size_t)room / (size_t)blocks - 1024 : 0;
  return SUCCESS;
}
