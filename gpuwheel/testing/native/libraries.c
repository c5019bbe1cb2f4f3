/* The images that a program loads, their kernels, and the launches of these. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "driver_api.h"
#include "programs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Kernel* kernels;

/* ---- libraries and kernels */

static __thread int capture_mode; /* CUstreamCaptureMode: 0 global, 1 of the thread, 2 relaxed */

EXPORT int cuThreadExchangeStreamCaptureMode(int* mode) {
  ENTER_STARTED(cuThreadExchangeStreamCaptureMode);
  const int previous = capture_mode;
  capture_mode = *mode;
  *mode = previous;
  return SUCCESS;
}

/* A capture forbids what may wait for the device, to all but those that relaxed it for themselves. */
static int capture_forbids(void) { return capture_mode != 2 && gpuwheel_fake_capturing(NULL); }

EXPORT int cuLibraryLoadData(void** library, const void* code, int* jit, void** jit_values, unsigned jit_count, int* options, void** values, unsigned count) {
  (void)jit, (void)jit_values, (void)jit_count, (void)options, (void)values, (void)count;
  ENTER_STARTED(cuLibraryLoadData);
  if (capture_forbids()) return CAPTURE_UNSUPPORTED;
  if ((uintptr_t)code % 8 != 0) return INVALID_IMAGE;
  Library* made = calloc(1, sizeof *made);
  const int result = image_read(&made->image, code);
  if (result != SUCCESS) {
    free(made);
    return result;
  }
  coverage_loaded(&made->image);
  *library = made;
  return SUCCESS;
}

EXPORT int cuLibraryUnload(void* library) {
  (void)library; /* launches are read after it */
  ENTER_STARTED(cuLibraryUnload);
  return SUCCESS;
}

EXPORT int cuLibraryGetGlobal(void** pointer, size_t* bytes, void* library, const char* name) {
  ENTER_CURRENT(cuLibraryGetGlobal);
  void* found;
  size_t size;
  const int result = programs_variable(library, name, gpuwheel_fake_current(), &found, &size);
  if (result == SUCCESS && pointer != NULL) *pointer = found;
  if (result == SUCCESS && bytes != NULL) *bytes = size;
  return result;
}

EXPORT int cuLibraryGetKernel(void** kernel, void* library, const char* name) {
  ENTER_STARTED(cuLibraryGetKernel);
  Library* of = library;
  int result = NOT_FOUND;
  pthread_mutex_lock(&lock);
  for (Kernel* known = kernels; known != NULL && result != SUCCESS; known = known->next) {
    if (known->library == of && strcmp(known->image->name, name) == 0) *kernel = known, result = SUCCESS;
  }
  for (int i = 0; i < of->image.kernel_count && result != SUCCESS; ++i) {
    if (strcmp(of->image.kernels[i].name, name) != 0) continue;
    Kernel* made = calloc(1, sizeof *made);
    made->library = of;
    made->image = &of->image.kernels[i];
    /* A tile kernel may have more static shared memory than that; it has no dynamic one. */
    const int left = SHARED_DEFAULT - made->image->shared_bytes;
    for (int device = 0; device < MAX_DEVICES; ++device) made->max_dynamic_shared[device] = left > 0 ? left : 0;
    made->next = kernels;
    *kernel = kernels = made;
    result = SUCCESS;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

/* Lazy loading: the first use of a kernel in a context loads it, which a capture does not allow. */
static int load_kernel(Kernel* kernel, int device) {
  if (atomic_load_explicit(&kernel->loaded[device], memory_order_relaxed)) return SUCCESS;
  if (capture_forbids()) return CAPTURE_UNSUPPORTED;
  const int result = image_fits(&kernel->library->image, kernel->image, gpuwheel_fake_capability(), gpuwheel_fake_driver());
  if (result == SUCCESS) atomic_store(&kernel->loaded[device], 1);
  if (result == NO_BINARY_FOR_GPU && gpuwheel_fake_executing()) programs_of(kernel); /* says what would be executed */
  return result;
}

EXPORT int cuKernelGetFunction(void** function, void* kernel) {
  ENTER_STARTED(cuKernelGetFunction);
  if (gpuwheel_fake_current() < 0) return INVALID_CONTEXT;
  *function = kernel;
  return load_kernel(kernel, gpuwheel_fake_current());
}

EXPORT int cuKernelSetAttribute(int attribute, int value, void* kernel, int device) {
  ENTER_STARTED(cuKernelSetAttribute);
  CHECK_DEVICE(device);
  Kernel* of = kernel;
  if (attribute == 8) {
    if (value < 0 || value > SHARED_MOST - of->image->shared_bytes) return INVALID_VALUE;
    of->max_dynamic_shared[device] = value;
  }
  if (attribute == 14) of->large_clusters[device] = value;
  return SUCCESS;
}

EXPORT int cuKernelGetAttribute(int* value, int attribute, void* kernel, int device) {
  ENTER_STARTED(cuKernelGetAttribute);
  CHECK_DEVICE(device);
  const Kernel* of = kernel;
  switch (attribute) {
    case 0: *value = of->image->max_threads; break;
    case 1: *value = of->image->shared_bytes; break;
    case 4: *value = of->image->registers; break;
    case 5: case 6: *value = gpuwheel_fake_capability(); break;
    case 8: *value = of->max_dynamic_shared[device]; break;
    case 14: *value = of->large_clusters[device]; break;
    default: *value = 0;
  }
  return SUCCESS;
}

static int blocks_per_multiprocessor(const Kernel* kernel, int threads, size_t shared_bytes) {
  const size_t shared = shared_bytes + (size_t)kernel->image->shared_bytes + 1024;
  int blocks = 2048 / (threads > 0 ? threads : 1);
  if (blocks > 32) blocks = 32;
  const int by_shared = (int)(228 * 1024 / shared);
  return blocks < by_shared ? blocks : by_shared;
}

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* kernel, int threads, size_t shared_bytes) {
  ENTER_STARTED(cuOccupancyMaxActiveBlocksPerMultiprocessor);
  if (gpuwheel_fake_current() < 0) return INVALID_CONTEXT;
  const Kernel* of = kernel;
  *blocks = (int)shared_bytes > of->max_dynamic_shared[gpuwheel_fake_current()] ? 0 : blocks_per_multiprocessor(of, threads, shared_bytes);
  return SUCCESS;
}

EXPORT int cuOccupancyMaxPotentialBlockSize(int* grid, int* block, void* kernel, size_t (*shared)(int), size_t shared_bytes, int limit) {
  (void)shared;
  ENTER_STARTED(cuOccupancyMaxPotentialBlockSize);
  if (gpuwheel_fake_current() < 0) return INVALID_CONTEXT;
  const Kernel* of = kernel;
  *block = limit > 0 && limit < of->image->max_threads ? limit : of->image->max_threads;
  *grid = gpuwheel_fake_multiprocessors() * blocks_per_multiprocessor(of, *block, shared_bytes);
  return SUCCESS;
}

EXPORT int cuOccupancyMaxPotentialClusterSize(int* blocks, void* kernel, const void* config) {
  (void)config;
  ENTER_STARTED(cuOccupancyMaxPotentialClusterSize);
  if (gpuwheel_fake_current() < 0) return INVALID_CONTEXT;
  if (gpuwheel_fake_capability() < 90) return NOT_SUPPORTED;
  *blocks = ((Kernel*)kernel)->large_clusters[gpuwheel_fake_current()] ? LARGEST_CLUSTER : PORTABLE_CLUSTER;
  return SUCCESS;
}

enum { MOST_PARAMETER_BYTES = 32764 }; /* since CUDA 12.1; 4096 before */

/* The limits of CUDA's programming guide, table "technical specifications per compute capability". */
static int check_launch(const Submission* launch, const Kernel* kernel) {
  uint64_t threads = 1, blocks = 1, cluster = 1;
  for (int i = 0; i < 3; ++i) {
    if (launch->grid[i] == 0 || launch->block[i] == 0) return INVALID_VALUE;
    threads *= launch->block[i];
    blocks *= launch->grid[i];
    cluster *= launch->cluster[i] ? launch->cluster[i] : 1;
  }
  if (threads > (uint64_t)kernel->image->max_threads || launch->block[2] > 64) return INVALID_VALUE;
  if (launch->grid[1] > 65535 || launch->grid[2] > 65535) return INVALID_VALUE;
  if ((int)launch->shared_bytes > kernel->max_dynamic_shared[launch->device]) return INVALID_VALUE;
  if (launch->cluster[0] != 0) {
    if (gpuwheel_fake_capability() < 90) return NOT_SUPPORTED;
    for (int i = 0; i < 3; ++i) {
      if (launch->cluster[i] == 0 || launch->grid[i] % launch->cluster[i] != 0) return INVALID_CLUSTER_SIZE;
    }
    if (cluster > (kernel->large_clusters[launch->device] ? LARGEST_CLUSTER : PORTABLE_CLUSTER)) return INVALID_CLUSTER_SIZE;
  }
  if (launch->cooperative) {
    const uint64_t resident = (uint64_t)(gpuwheel_fake_multiprocessors() * blocks_per_multiprocessor(kernel, (int)threads, launch->shared_bytes));
    if (blocks > resident) return COOPERATIVE_TOO_LARGE;
  }
  return SUCCESS;
}

EXPORT int cuLaunchKernelEx(const DriverConfig* config, void* kernel, void** parameters, void** extra) {
  (void)extra;
  ENTER_STARTED(cuLaunchKernelEx);
  Kernel* of = kernel;
  Submission launch = {.kernel = of->image->name, .code = of, .stream = config->stream, .shared_bytes = config->shared_bytes};
  launch.device = gpuwheel_fake_device_of_stream(config->stream);
  if (launch.device < 0) return launch.device == -2 ? INVALID_CONTEXT : INVALID_HANDLE;
  memcpy(launch.grid, config->grid, sizeof launch.grid);
  memcpy(launch.block, config->block, sizeof launch.block);
  for (unsigned i = 0; i < config->attribute_count; ++i) {
    const DriverAttribute* attribute = &config->attributes[i];
    if (attribute->id == ATTRIBUTE_CLUSTER) memcpy(launch.cluster, attribute->value.dimensions, sizeof launch.cluster);
    if (attribute->id == ATTRIBUTE_COOPERATIVE) launch.cooperative = attribute->value.flag;
    if (attribute->id == ATTRIBUTE_PROGRAMMATIC) launch.programmatic = attribute->value.flag;
  }
  int result = load_kernel(of, launch.device);
  if (result == SUCCESS) result = check_launch(&launch, of);
  if (result != SUCCESS) return result;
  unsigned char values[MOST_PARAMETER_BYTES];
  size_t bytes = 0;
  for (int i = 0; i < of->image->parameter_count; ++i) {
    const uint32_t size = of->image->sizes[i];
    if (bytes + size > (gpuwheel_fake_driver() < 12010 ? 4096 : sizeof values)) return INVALID_VALUE;
    memcpy(values + bytes, parameters[i], size);
    bytes += size;
  }
  launch.parameter_count = of->image->parameter_count;
  launch.parameter_sizes = of->image->sizes;
  launch.parameters = values;
  return gpuwheel_fake_submit(&launch);
}

EXPORT int cuLaunchKernel(void* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
  const DriverConfig config = {{gx, gy, gz}, {bx, by, bz}, shared_bytes, stream, NULL, 0};
  return cuLaunchKernelEx(&config, kernel, parameters, extra);
}

