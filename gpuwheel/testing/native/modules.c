/* Modules of the driver's older interface: a library of kernels of one context. */
#define _GNU_SOURCE
#include <stddef.h>

#include "driver.h"
#include "driver_api.h"

EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned count, int* options, void** values) {
  (void)count, (void)options, (void)values;
  ENTER_CURRENT(cuModuleLoadData);
  return cuLibraryLoadData(module, image, NULL, NULL, 0, NULL, NULL, 0);
}

EXPORT int cuModuleLoadData(void** module, const void* image) { return cuModuleLoadDataEx(module, image, 0, NULL, NULL); }
EXPORT int cuModuleLoadFatBinary(void** module, const void* image) { return cuModuleLoadData(module, image); }
EXPORT int cuModuleUnload(void* module) { return cuLibraryUnload(module); }

EXPORT int cuModuleGetFunction(void** function, void* module, const char* name) {
  ENTER_CURRENT(cuModuleGetFunction);
  void* kernel;
  const int result = cuLibraryGetKernel(&kernel, module, name);
  return result == SUCCESS ? cuKernelGetFunction(function, kernel) : result;
}

EXPORT int cuModuleGetGlobal_v2(void** pointer, size_t* bytes, void* module, const char* name) { return cuLibraryGetGlobal(pointer, bytes, module, name); }

EXPORT int cuFuncGetAttribute(int* value, int attribute, void* function) {
  ENTER_CURRENT(cuFuncGetAttribute);
  return cuKernelGetAttribute(value, attribute, function, gpuwheel_fake_current());
}

EXPORT int cuFuncSetAttribute(void* function, int attribute, int value) {
  ENTER_CURRENT(cuFuncSetAttribute);
  return cuKernelSetAttribute(attribute, value, function, gpuwheel_fake_current());
}
