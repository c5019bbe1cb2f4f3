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

EXPORT int cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* host, int blocks, int threads) {
  (void)host, (void)threads;
  ENTER_CONTEXT(cudaOccupancyAvailableDynamicSMemPerBlock);
  int room = 0;
  gpuwheel_fake_device_attribute(&room, 81, gpuwheel_fake_current());
  *bytes = blocks > 0 ? (size_t)room / (size_t)blocks - 1024 : 0;
  return SUCCESS;
}
