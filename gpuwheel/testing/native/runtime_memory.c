/* The fake runtime's memory: of devices, managed, pinned; copies and fills of it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { DEVICE_MEMORY, MANAGED_MEMORY, PINNED_MEMORY, REGISTERED_MEMORY };

static int allocate(void** pointer, size_t bytes, int kind, const char* by, const void* caller) {
  return runtime_done(gpuwheel_fake_allocate(pointer, bytes, kind, by, caller));
}

EXPORT int cudaMalloc(void** pointer, size_t bytes) {
  ENTER_CONTEXT(cudaMalloc);
  return allocate(pointer, bytes, DEVICE_MEMORY, "cudaMalloc", __builtin_return_address(0));
}

EXPORT int cudaMallocAsync(void** pointer, size_t bytes, void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaMalloc);
  return allocate(pointer, bytes, DEVICE_MEMORY, "cudaMallocAsync", __builtin_return_address(0));
}

EXPORT int cudaMallocManaged(void** pointer, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaMallocManaged);
  return allocate(pointer, bytes, MANAGED_MEMORY, "cudaMallocManaged", __builtin_return_address(0));
}

EXPORT int cudaMallocPitch(void** pointer, size_t* pitch, size_t width, size_t height) {
  ENTER_CONTEXT(cudaMalloc);
  *pitch = (width + 511) / 512 * 512;
  return allocate(pointer, *pitch * height, DEVICE_MEMORY, "cudaMallocPitch", __builtin_return_address(0));
}

EXPORT int cudaFree(void* pointer) {
  ENTER_CONTEXT(cudaFree);
  return runtime_done(gpuwheel_fake_free(pointer, 0));
}

EXPORT int cudaFreeAsync(void* pointer, void* stream) {
  (void)stream;
  return cudaFree(pointer);
}

EXPORT int cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaHostAlloc);
  return allocate(pointer, bytes, PINNED_MEMORY, "cudaHostAlloc", __builtin_return_address(0));
}

EXPORT int cudaMallocHost(void** pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, 0); }

EXPORT int cudaFreeHost(void* pointer) {
  ENTER(cudaFreeHost);
  return runtime_done(gpuwheel_fake_free(pointer, 1));
}

EXPORT int cudaHostRegister(void* pointer, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaHostRegister);
  return runtime_done(gpuwheel_fake_register(pointer, bytes));
}

EXPORT int cudaHostUnregister(void* pointer) {
  ENTER_CONTEXT(cudaHostUnregister);
  return runtime_done(gpuwheel_fake_unregister(pointer));
}

EXPORT int cudaHostGetDevicePointer(void** device, void* host, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaHostGetDevicePointer);
  int kind;
  *device = gpuwheel_fake_pointer(host, &kind) < 0 ? NULL : host;
  return runtime_done(*device == NULL ? INVALID_VALUE : SUCCESS);
}

EXPORT int cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  ENTER_CONTEXT(cudaMemGetInfo);
  gpuwheel_fake_memory(free_bytes, total);
  return SUCCESS;
}

EXPORT int cudaPointerGetAttributes(void* attributes, const void* pointer) {
  ENTER(cudaPointerGetAttributes);
  int kind;
  const int device = gpuwheel_fake_pointer(pointer, &kind), is_host = kind == PINNED_MEMORY || kind == REGISTERED_MEMORY;
  struct {
    int type, device; /* 0 not known to CUDA, 1 host, 2 device, 3 managed */
    const void *device_pointer, *host_pointer;
  } found = {device < 0 ? 0 : is_host ? 1 : kind == MANAGED_MEMORY ? 3 : 2, device < 0 ? 0 : device, device < 0 ? NULL : pointer, is_host || kind == MANAGED_MEMORY ? pointer : NULL};
  memset(attributes, 0, CUDART_MAJOR == 12 ? 24 : 88);
  memcpy(attributes, &found, sizeof found);
  return SUCCESS;
}

/* ---- copies */

EXPORT int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  ENTER_CONTEXT(cudaMemcpyAsync);
  const Copy copy = {to, from, bytes, bytes, bytes, 1, kind};
  return runtime_done(gpuwheel_fake_copy(&copy, stream, "cudaMemcpyAsync"));
}

EXPORT int cudaMemcpy(void* to, const void* from, size_t bytes, int kind) {
  ENTER_CONTEXT(cudaMemcpy);
  const Copy copy = {to, from, bytes, bytes, bytes, 1, kind};
  return runtime_done(gpuwheel_fake_copy(&copy, NULL, "cudaMemcpy"));
}

EXPORT int cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes, void* stream) {
  (void)to_device, (void)from_device;
  return cudaMemcpyAsync(to, from, bytes, DEVICE_TO_DEVICE, stream);
}

EXPORT int cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t bytes) {
  (void)to_device, (void)from_device;
  return cudaMemcpy(to, from, bytes, DEVICE_TO_DEVICE);
}

static int copied_rows(const Copy* copy, void* stream, const char* by) {
  if (copy->width > copy->to_pitch || copy->width > copy->from_pitch) return runtime_done(12); /* cudaErrorInvalidPitchValue */
  return runtime_done(gpuwheel_fake_copy(copy, stream, by));
}

EXPORT int cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, int kind, void* stream) {
  ENTER_CONTEXT(cudaMemcpy2DAsync);
  const Copy copy = {to, from, to_pitch, from_pitch, width, height, kind};
  return copied_rows(&copy, stream, "cudaMemcpy2DAsync");
}

EXPORT int cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, int kind) {
  ENTER_CONTEXT(cudaMemcpy2D);
  const Copy copy = {to, from, to_pitch, from_pitch, width, height, kind};
  return copied_rows(&copy, NULL, "cudaMemcpy2D");
}

EXPORT int cudaMemset2DAsync(void* pointer, size_t pitch, int value, size_t width, size_t height, void* stream) {
  ENTER_CONTEXT(cudaMemset2DAsync);
  const Copy to = {pointer, NULL, pitch, 0, width, height};
  return runtime_done(gpuwheel_fake_fill(&to, value, 1, stream, "cudaMemset2DAsync"));
}

EXPORT int cudaMemset2D(void* pointer, size_t pitch, int value, size_t width, size_t height) {
  return cudaMemset2DAsync(pointer, pitch, value, width, height, NULL);
}

EXPORT int cudaMemsetAsync(void* pointer, int value, size_t bytes, void* stream) {
  ENTER_CONTEXT(cudaMemsetAsync);
  const Copy to = {pointer, NULL, bytes, 0, bytes, 1};
  return runtime_done(gpuwheel_fake_fill(&to, value, 1, stream, "cudaMemsetAsync"));
}

EXPORT int cudaMemset(void* pointer, int value, size_t bytes) { return cudaMemsetAsync(pointer, value, bytes, NULL); }

/* ---- volumes: slices one after the other (driver_types.h) */

typedef struct Extent {
  size_t width, height, depth;
} Extent;

typedef struct Pitched {
  char* pointer;
  size_t pitch, width, height;
} Pitched;

typedef struct Volumes {
  void* from_array;
  size_t from_place[3];
  Pitched from;
  void* to_array;
  size_t to_place[3];
  Pitched to;
  Extent extent;
  int kind;
} Volumes;

EXPORT int cudaMalloc3D(Pitched* pitched, Extent extent) {
  void* pointer;
  size_t pitch;
  const int result = cudaMallocPitch(&pointer, &pitch, extent.width, extent.height * extent.depth);
  if (result == SUCCESS) *pitched = (Pitched){pointer, pitch, extent.width, extent.height};
  return result;
}

static char* slice(const Pitched* of, const size_t* place, size_t number) {
  return of->pointer + ((place[2] + number) * of->height + place[1]) * of->pitch + place[0];
}

static int copied_slices(const Volumes* of, void* stream, const char* by) {
  if (of->from_array != NULL || of->to_array != NULL) return runtime_done(NOT_SUPPORTED);
  int result = SUCCESS;
  for (size_t k = 0; k < of->extent.depth && result == SUCCESS; ++k) {
    const Copy copy = {slice(&of->to, of->to_place, k), slice(&of->from, of->from_place, k), of->to.pitch, of->from.pitch,
                       of->extent.width, of->extent.height, of->kind};
    result = copied_rows(&copy, stream, by);
  }
  return result;
}

EXPORT int cudaMemcpy3DAsync(const Volumes* of, void* stream) {
  ENTER_CONTEXT(cudaMemcpy3DAsync);
  return copied_slices(of, stream, "cudaMemcpy3DAsync");
}

EXPORT int cudaMemcpy3D(const Volumes* of) {
  ENTER_CONTEXT(cudaMemcpy3D);
  return copied_slices(of, NULL, "cudaMemcpy3D");
}

/* ---- managed memory: it is where it is. Locations are of another form in CUDA 13 */

static int advised(const void* pointer) {
  int kind;
  return runtime_done(gpuwheel_fake_pointer(pointer, &kind) >= 0 && kind == MANAGED_MEMORY ? SUCCESS : INVALID_VALUE);
}

EXPORT int cudaMemPrefetchAsync(const void* pointer) {
  ENTER_CONTEXT(cudaMemPrefetchAsync);
  return advised(pointer);
}

EXPORT int cudaMemAdvise(const void* pointer) {
  ENTER_CONTEXT(cudaMemAdvise);
  return advised(pointer);
}

/* ---- peers */

EXPORT int cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  ENTER(cudaDeviceCanAccessPeer);
  *can = device != peer;
  return SUCCESS;
}

static int peer(int other, int on) {
  const int device = gpuwheel_fake_current();
  if (other < 0 || other >= gpuwheel_fake_devices() || other == device) return runtime_done(INVALID_DEVICE);
  gpuwheel_fake_peer(device, other, on);
  return SUCCESS;
}

EXPORT int cudaDeviceEnablePeerAccess(int other, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaDeviceEnablePeerAccess);
  return peer(other, 1);
}

EXPORT int cudaDeviceDisablePeerAccess(int other) {
  ENTER_CONTEXT(cudaDeviceDisablePeerAccess);
  return peer(other, 0);
}
