/* The fake runtime's half of nvcc's <<<...>>>: what libraries register as they load, and what becomes of a launch.

   Kernels of torch itself are recorded and no more: reading its images would take minutes. Those of any other library
   are loaded into the fake driver at their first use, as NVIDIA's runtime does, and launched through it: it chooses an
   image, checks the launch, and knows the parameters. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/* In the section .nvFatBinSegment; nvcc's crt/link.stub and fatbinary.h write and read it. */
typedef struct Wrapper {
  int magic, version;
  const void* image;
  const void* more;
} Wrapper;

typedef struct Module {
  const Wrapper* wrapper;
  void* library; /* NULL: not loaded yet */
  int opaque;    /* 1: of torch; -1: nobody has looked */
} Module;

typedef struct Kernel {
  const void* host; /* the function that stands for it in the program */
  const char* name;
  Module* module;
  void* handle; /* of the driver; NULL: not loaded yet */
} Kernel;

typedef struct {
  dim3 grid, block;
  size_t shared_bytes;
  void* stream;
  DriverAttribute* attributes;
  unsigned attribute_count;
} RuntimeConfig;

enum { LEGACY_STREAM = 0, RELAXED = 2, WRAPPER_MAGIC = 0x466243b1, PER_THREAD_STREAM = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Kernel** registered; /* open addressing, by the function and by the address of the Kernel: both name it in calls */
static size_t registered_count, registered_room;

static const void* key_of(const Kernel* kernel, int by_itself) { return by_itself ? (const void*)kernel : kernel->host; }

static Kernel** slot_for(Kernel** table, size_t room, const void* key) {
  size_t i = ((uintptr_t)key >> 4) * 0x9E3779B97F4A7C15u & (room - 1);
  while (table[i] != NULL && table[i] != key && table[i]->host != key) i = (i + 1) & (room - 1);
  return &table[i];
}

static void add(Kernel* kernel) {
  if (2 * registered_count + 4 >= registered_room) {
    const size_t room = registered_room ? registered_room * 2 : 1024;
    Kernel** larger = calloc(room, sizeof *larger);
    for (size_t i = 0; i < registered_room; ++i) {
      for (int by_itself = 0; registered[i] != NULL && by_itself < 2; ++by_itself) *slot_for(larger, room, key_of(registered[i], by_itself)) = registered[i];
    }
    free(registered);
    registered = larger;
    registered_room = room;
  }
  for (int by_itself = 0; by_itself < 2; ++by_itself) {
    Kernel** slot = slot_for(registered, registered_room, key_of(kernel, by_itself));
    registered_count += *slot == NULL;
    *slot = kernel;
  }
}

static Kernel* find(const void* key) {
  pthread_mutex_lock(&lock);
  Kernel* found = registered_room > 0 && key != NULL ? *slot_for(registered, registered_room, key) : NULL;
  pthread_mutex_unlock(&lock);
  return found;
}

EXPORT void** __cudaRegisterFatBinary(void* wrapper) {
  Module* module = calloc(1, sizeof *module);
  module->wrapper = wrapper;
  module->opaque = -1;
  return (void**)module;
}

EXPORT void __cudaRegisterFatBinaryEnd(void** module) { (void)module; }
EXPORT void __cudaUnregisterFatBinary(void** module) { (void)module; } /* at exit: launches are read after it */

EXPORT char __cudaInitModule(void** module) {
  (void)module;
  return 1;
}

EXPORT void __cudaRegisterFunction(void** module, const void* host, char* device, const char* name, int limit, void* a, void* b, void* c, void* d, int* e) {
  (void)device, (void)limit, (void)a, (void)b, (void)c, (void)d, (void)e;
  Kernel* kernel = calloc(1, sizeof *kernel);
  kernel->host = host;
  kernel->name = name;
  kernel->module = (Module*)module;
  pthread_mutex_lock(&lock);
  add(kernel);
  pthread_mutex_unlock(&lock);
}

/* ---- loading */

static int is_opaque(Module* module) {
  static const char* const of_torch[] = {TORCH_LIBRARIES}; /* exactly: extensions have names such as libtorch_ext.so */
  if (module->opaque < 0) {
    Dl_info found;
    const char* path = dladdr(module->wrapper, &found) ? found.dli_fname : "";
    const char* name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    module->opaque = 0;
    for (size_t i = 0; i < sizeof of_torch / sizeof *of_torch; ++i) module->opaque |= strcmp(name, of_torch[i]) == 0;
  }
  return module->opaque;
}

static int load_module(Module* module) {
  if (module->library != NULL) return SUCCESS;
  if (module->wrapper->magic != WRAPPER_MAGIC) return INVALID_IMAGE;
  return cuLibraryLoadData(&module->library, module->wrapper->image, NULL, NULL, 0, NULL, NULL, 0);
}

int runtime_library(void* module, void** library) {
  int mode = RELAXED; /* the runtime loads lazily, in captures too */
  if (is_opaque(module)) return NOT_FOUND;
  pthread_mutex_lock(&lock);
  cuThreadExchangeStreamCaptureMode(&mode);
  const int result = load_module(module);
  cuThreadExchangeStreamCaptureMode(&mode);
  pthread_mutex_unlock(&lock);
  *library = ((Module*)module)->library;
  return result;
}

static int load(Kernel* kernel) {
  int mode = RELAXED;
  void* function;
  pthread_mutex_lock(&lock);
  cuThreadExchangeStreamCaptureMode(&mode);
  int result = kernel->handle == NULL ? load_module(kernel->module) : SUCCESS;
  if (result == SUCCESS && kernel->handle == NULL) result = cuLibraryGetKernel(&kernel->handle, kernel->module->library, kernel->name);
  if (result == SUCCESS) result = cuKernelGetFunction(&function, kernel->handle);
  if (result == NOT_FOUND) result = INVALID_DEVICE_FUNCTION; /* the image of this device lacks it */
  cuThreadExchangeStreamCaptureMode(&mode);
  pthread_mutex_unlock(&lock);
  return result;
}

/* ---- launching */

/* What the runtime itself refuses: no GPU has such a grid or block. */
static int is_impossible(dim3 grid, dim3 block) {
  int limits[6], values[6] = {(int)block.x, (int)block.y, (int)block.z, (int)grid.x, (int)grid.y, (int)grid.z}, most = 0;
  gpuwheel_fake_device_attribute(&most, 1, 0);
  for (int i = 0; i < 6; ++i) {
    gpuwheel_fake_device_attribute(&limits[i], i + 2, 0);
    if (values[i] <= 0 || values[i] > limits[i]) return 1;
  }
  return (uint64_t)block.x * block.y * block.z > (uint64_t)most;
}

/* torch's own kernels are machine code alone. Its operators run otherwise (gpuwheel/testing/torch_operators); what is
   launched all the same did nothing, and must not look as if it had. */
static int of_torch(const Submission* launch) {
  const int result = gpuwheel_fake_submit(launch);
  if (result != SUCCESS || !gpuwheel_fake_executing() || strstr(launch->kernel, "spin_kernel") != NULL) return result;
  fprintf(stderr, "gpuwheel: the pretend GPU cannot execute %s, a kernel of torch's own: cudaErrorNotSupported\n", launch->kernel);
  return NOT_SUPPORTED;
}

static int launch(const void* key, const RuntimeConfig* config, void** arguments) {
  Kernel* kernel = find(key);
  if (kernel == NULL) return INVALID_DEVICE_FUNCTION;
  if (is_opaque(kernel->module)) {
    const Submission seen = {.kernel = kernel->name, .grid = {config->grid.x, config->grid.y, config->grid.z}, .block = {config->block.x, config->block.y, config->block.z},
                         .shared_bytes = (unsigned)config->shared_bytes, .device = gpuwheel_fake_current(), .through_runtime = 1, .stream = config->stream, .parameter_count = -1};
    return of_torch(&seen);
  }
  if (is_impossible(config->grid, config->block)) return INVALID_CONFIGURATION;
  const int of_stream = gpuwheel_fake_device_of_stream(config->stream);
  if (of_stream >= 0 && of_stream != gpuwheel_fake_current()) return INVALID_HANDLE;
  const int result = load(kernel);
  if (result != SUCCESS) return result;
  const DriverConfig driver = {{config->grid.x, config->grid.y, config->grid.z}, {config->block.x, config->block.y, config->block.z},
                               (unsigned)config->shared_bytes, config->stream, config->attributes, config->attribute_count};
  return cuLaunchKernelEx(&driver, kernel->handle, arguments, NULL);
}

static void* per_thread(void* stream) { return stream == (void*)LEGACY_STREAM ? (void*)PER_THREAD_STREAM : stream; }

EXPORT int cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  ENTER_CONTEXT(cudaLaunchKernel);
  const RuntimeConfig config = {grid, block, shared_bytes, stream, NULL, 0};
  return runtime_done(launch(host, &config, arguments));
}

EXPORT int cudaLaunchKernel_ptsz(const void* host, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  return cudaLaunchKernel(host, grid, block, arguments, shared_bytes, per_thread(stream));
}

EXPORT int __cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  return cudaLaunchKernel(kernel, grid, block, arguments, shared_bytes, stream);
}

EXPORT int __cudaLaunchKernel_ptsz(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  return cudaLaunchKernel(kernel, grid, block, arguments, shared_bytes, per_thread(stream));
}

EXPORT int cudaLaunchCooperativeKernel(const void* host, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  ENTER_CONTEXT(cudaLaunchKernel);
  DriverAttribute attribute = {.id = ATTRIBUTE_COOPERATIVE, .value = {.flag = 1}};
  const RuntimeConfig config = {grid, block, shared_bytes, stream, &attribute, 1};
  return runtime_done(launch(host, &config, arguments));
}

EXPORT int cudaLaunchCooperativeKernel_ptsz(const void* host, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, void* stream) {
  return cudaLaunchCooperativeKernel(host, grid, block, arguments, shared_bytes, per_thread(stream));
}

EXPORT int cudaLaunchKernelExC(const RuntimeConfig* config, const void* host, void** arguments) {
  ENTER_CONTEXT(cudaLaunchKernel);
  return runtime_done(launch(host, config, arguments));
}

EXPORT int cudaLaunchKernelExC_ptsz(const RuntimeConfig* config, const void* host, void** arguments) {
  RuntimeConfig changed = *config;
  changed.stream = per_thread(config->stream);
  return cudaLaunchKernelExC(&changed, host, arguments);
}

/* Between <<<...>>> and the stub that launches. A stack: the arguments come between them, and may launch as well. */
typedef struct Pushed {
  dim3 grid, block;
  size_t shared_bytes;
  void* stream;
  struct Pushed* below;
} Pushed;

static __thread Pushed* pushed;

EXPORT unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, void* stream) {
  Pushed* const top = malloc(sizeof *top);
  if (top == NULL) return (unsigned)runtime_done(OUT_OF_MEMORY);
  *top = (Pushed){grid, block, shared_bytes, stream, pushed};
  pushed = top;
  return SUCCESS;
}

EXPORT int __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes, void* stream) {
  Pushed* const top = pushed;
  if (top == NULL) return runtime_done(MISSING_CONFIGURATION);
  *grid = top->grid;
  *block = top->block;
  *shared_bytes = top->shared_bytes;
  *(void**)stream = top->stream;
  pushed = top->below;
  free(top);
  return SUCCESS;
}

/* ---- asking about kernels */

EXPORT int __cudaGetKernel(void** kernel, const void* host) {
  *kernel = find(host);
  return *kernel == NULL ? INVALID_DEVICE_FUNCTION : SUCCESS;
}

EXPORT int cudaGetKernel(void** kernel, const void* host) { return runtime_done(__cudaGetKernel(kernel, host)); }

/* The kernel behind a function; NULL in *kernel: one of torch, of which nothing is known. */
static int loaded(const void* key, void** handle) {
  Kernel* kernel = find(key);
  *handle = NULL;
  if (kernel == NULL) return INVALID_DEVICE_FUNCTION;
  if (is_opaque(kernel->module)) return SUCCESS;
  const int result = load(kernel);
  if (result == SUCCESS) *handle = kernel->handle;
  return result;
}

EXPORT int cudaGetFuncBySymbol(void** function, const void* host) {
  ENTER_CONTEXT(cudaGetFuncBySymbol);
  const int result = loaded(host, function);
  return runtime_done(result == SUCCESS && *function == NULL ? NOT_SUPPORTED : result);
}

EXPORT int cudaFuncGetName(const char** name, const void* host) {
  ENTER(cudaFuncGetName);
  const Kernel* kernel = find(host);
  if (kernel == NULL) return runtime_done(INVALID_DEVICE_FUNCTION);
  *name = kernel->name;
  return SUCCESS;
}

EXPORT int cudaFuncGetAttributes(void* attributes, const void* host) {
  ENTER_CONTEXT(cudaFuncGetAttributes);
  void* handle;
  const int result = loaded(host, &handle);
  if (result != SUCCESS) return runtime_done(result);
  struct {
    size_t shared, constant, local;
    int max_threads, registers, ptx, binary, cache_mode_ca, max_dynamic_shared;
  } found = {0, 0, 0, 1024, 32, gpuwheel_fake_capability(), gpuwheel_fake_capability(), 0, 48 * 1024};
  if (handle != NULL) {
    int shared = 0;
    const int device = gpuwheel_fake_current();
    cuKernelGetAttribute(&found.max_threads, 0, handle, device);
    cuKernelGetAttribute(&shared, 1, handle, device);
    cuKernelGetAttribute(&found.registers, 4, handle, device);
    cuKernelGetAttribute(&found.max_dynamic_shared, 8, handle, device);
    found.shared = (size_t)shared;
  }
  memset(attributes, 0, 144);
  memcpy(attributes, &found, sizeof found);
  return SUCCESS;
}

EXPORT int cudaFuncSetAttribute(const void* host, int attribute, int value) {
  ENTER_CONTEXT(cudaFuncSetAttribute);
  void* handle;
  int result = loaded(host, &handle);
  if (result == SUCCESS && handle != NULL) result = cuKernelSetAttribute(attribute, value, handle, gpuwheel_fake_current());
  return runtime_done(result);
}

EXPORT int cudaFuncSetCacheConfig(const void* host, int config) {
  (void)config;
  ENTER_CONTEXT(cudaFuncSetCacheConfig);
  void* handle;
  return runtime_done(loaded(host, &handle)); /* a preference */
}

EXPORT int cudaFuncSetSharedMemConfig(const void* host, int config) { return cudaFuncSetCacheConfig(host, config); }

EXPORT int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* host, int threads, size_t shared_bytes, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaOccupancyMaxActiveBlocksPerMultiprocessor);
  void* handle;
  const int result = loaded(host, &handle);
  if (result != SUCCESS) return runtime_done(result);
  if (handle != NULL) return runtime_done(cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, handle, threads, shared_bytes));
  *blocks = 2048 / (threads > 0 ? threads : 1);
  return SUCCESS;
}

EXPORT int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* host, int threads, size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, host, threads, shared_bytes, 0);
}

EXPORT int cudaOccupancyMaxPotentialClusterSize(int* blocks, const void* host, const RuntimeConfig* config) {
  (void)config;
  ENTER_CONTEXT(cudaOccupancyMaxPotentialClusterSize);
  void* handle;
  const int result = loaded(host, &handle);
  if (result != SUCCESS || handle == NULL) return runtime_done(result != SUCCESS ? result : NOT_SUPPORTED);
  return runtime_done(cuOccupancyMaxPotentialClusterSize(blocks, handle, NULL));
}
