/* A fake libcuda.so.1: the driver API as far as gpuwheel's headers, cuda.core and torch use it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

typedef struct Context {
  int device;
} Context;

typedef struct Library {
  Image image;
} Library;

typedef struct Kernel {
  Library* library;
  ImageKernel* image;
  atomic_int max_dynamic_shared[MAX_DEVICES], large_clusters[MAX_DEVICES], loaded[MAX_DEVICES];
  struct Kernel* next;
} Kernel;

typedef struct Stream {
  int device;
  struct Stream* next;
} Stream;

enum { MULTIPROCESSORS = 132, SHARED_DEFAULT = 48 * 1024, SHARED_MOST = 227 * 1024, CONTEXT_DEPTH = 16, PORTABLE_CLUSTER = 8, LARGEST_CLUSTER = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Context contexts[MAX_DEVICES];
static Kernel* kernels;
static Stream* streams;
static atomic_int started, forked; /* cuInit was called here; in the parent of this process */
static __thread Context* stack[CONTEXT_DEPTH];
static __thread int depth;

static void in_child(void) {
  if (atomic_load(&started)) atomic_store(&forked, 1);
}

__attribute__((constructor)) static void set_up(void) {
  for (int i = 0; i < MAX_DEVICES; ++i) contexts[i].device = i;
  pthread_atfork(NULL, NULL, in_child);
}

#define ENTER(name)                                          \
  do {                                                       \
    static int slot_;                                        \
    const int forced_ = gpuwheel_fake_enter(#name, &slot_);  \
    if (forced_ != SUCCESS) return forced_;                  \
  } while (0)

/* After cuInit, and not in a process forked from one that called it. */
#define ENTER_STARTED(name)                                                        \
  do {                                                                             \
    ENTER(name);                                                                   \
    if (!atomic_load(&started) || atomic_load(&forked)) return NOT_INITIALIZED;    \
  } while (0)

#define CHECK_DEVICE(device) \
  do {                       \
    if ((device) < 0 || (device) >= gpuwheel_fake_devices()) return INVALID_DEVICE; \
  } while (0)

static Context* current(void) { return depth > 0 ? stack[depth - 1] : NULL; }

static void set_current(Context* context) {
  if (depth == 0) depth = 1;
  stack[depth - 1] = context;
  if (context == NULL && depth == 1) depth = 0;
}

int gpuwheel_fake_current(void) { return current() ? current()->device : -1; }

int gpuwheel_fake_set_current(int device) {
  CHECK_DEVICE(device);
  atomic_store(&started, 1);
  set_current(&contexts[device]);
  return SUCCESS;
}

/* ---- start, errors, devices */

EXPORT int cuInit(unsigned flags) {
  (void)flags;
  ENTER(cuInit);
  if (atomic_load(&forked)) return NOT_INITIALIZED;
  atomic_store(&started, 1);
  return SUCCESS;
}

EXPORT int cuDriverGetVersion(int* version) {
  ENTER(cuDriverGetVersion);
  *version = gpuwheel_fake_driver();
  return SUCCESS;
}

static const struct {
  int code;
  const char *name, *text;
} errors[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {UNSUPPORTED_PTX, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {COOPERATIVE_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", "too many blocks in cooperative launch"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {INVALID_CLUSTER_SIZE, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "invalid cluster size"},
};

EXPORT int cuGetErrorName(int code, const char** name) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; ++i) {
    if (errors[i].code == code) return *name = errors[i].name, SUCCESS;
  }
  *name = NULL;
  return INVALID_VALUE;
}

EXPORT int cuGetErrorString(int code, const char** text) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; ++i) {
    if (errors[i].code == code) return *text = errors[i].text, SUCCESS;
  }
  *text = NULL;
  return INVALID_VALUE;
}

EXPORT int cuDeviceGetCount(int* count) {
  ENTER_STARTED(cuDeviceGetCount);
  *count = gpuwheel_fake_devices();
  return SUCCESS;
}

EXPORT int cuDeviceGet(int* device, int ordinal) {
  ENTER_STARTED(cuDeviceGet);
  CHECK_DEVICE(ordinal);
  *device = ordinal;
  return SUCCESS;
}

/* The same numbers for cudaDeviceGetAttribute. What is not listed is 0: absent. */
int gpuwheel_fake_device_attribute(int* value, int attribute, int device) {
  CHECK_DEVICE(device);
  switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;                 /* threads per block, block x and y */
    case 4: *value = 64; break;                                   /* block z */
    case 5: *value = 0x7fffffff; break;                           /* grid x */
    case 6: case 7: *value = 65535; break;                        /* grid y and z */
    case 8: *value = SHARED_DEFAULT; break;
    case 9: *value = 64 * 1024; break;                            /* constant memory */
    case 10: *value = 32; break;                                  /* warp */
    case 12: case 82: *value = 65536; break;                      /* registers per block, per multiprocessor */
    case 13: *value = 1755000; break;                             /* kHz */
    case 16: *value = MULTIPROCESSORS; break;
    case 31: case 41: case 95: case 96: case 115: *value = 1; break; /* concurrent kernels, unified addressing, cooperative, memory pools */
    case 39: *value = 2048; break;                                /* threads per multiprocessor */
    case 75: *value = gpuwheel_fake_capability() / 10; break;
    case 76: *value = gpuwheel_fake_capability() % 10; break;
    case 81: *value = 228 * 1024; break;                          /* shared memory per multiprocessor */
    case 97: *value = SHARED_MOST; break;
    case 106: *value = 32; break;                                 /* blocks per multiprocessor */
    case 111: *value = 1024; break;                               /* shared memory reserved by the system */
    case 120: *value = gpuwheel_fake_capability() >= 90; break;   /* clusters */
    default: *value = 0;
  }
  return SUCCESS;
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device) {
  ENTER_STARTED(cuDeviceGetAttribute);
  return gpuwheel_fake_device_attribute(value, attribute, device);
}

EXPORT int cuDeviceGetName(char* name, int length, int device) {
  ENTER_STARTED(cuDeviceGetName);
  CHECK_DEVICE(device);
  if (length > 0) {
    strncpy(name, "gpuwheel pretend GPU", (size_t)length - 1);
    name[length - 1] = '\0';
  }
  return SUCCESS;
}

EXPORT int cuDeviceTotalMem(size_t* bytes, int device) {
  ENTER_STARTED(cuDeviceTotalMem);
  CHECK_DEVICE(device);
  size_t unused;
  gpuwheel_fake_memory(&unused, bytes);
  return SUCCESS;
}

/* What the real library exports for programs that look names up by dlsym. */
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) { return cuDeviceTotalMem(bytes, device); }

/* ---- contexts */

EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
  ENTER_STARTED(cuDevicePrimaryCtxRetain);
  CHECK_DEVICE(device);
  *context = &contexts[device];
  return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxRelease(int device) {
  ENTER_STARTED(cuDevicePrimaryCtxRelease);
  CHECK_DEVICE(device);
  return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  ENTER_STARTED(cuDevicePrimaryCtxGetState);
  CHECK_DEVICE(device);
  *flags = 0;
  *active = 1;
  return SUCCESS;
}

EXPORT int cuCtxSetCurrent(void* context) {
  ENTER_STARTED(cuCtxSetCurrent);
  set_current(context);
  return SUCCESS;
}

EXPORT int cuCtxGetCurrent(void** context) {
  ENTER_STARTED(cuCtxGetCurrent);
  *context = current();
  return SUCCESS;
}

EXPORT int cuCtxPushCurrent(void* context) {
  ENTER_STARTED(cuCtxPushCurrent);
  if (depth == CONTEXT_DEPTH) return INVALID_VALUE;
  stack[depth++] = context;
  return SUCCESS;
}

EXPORT int cuCtxPopCurrent(void** context) {
  ENTER_STARTED(cuCtxPopCurrent);
  if (depth == 0) return INVALID_CONTEXT;
  *context = stack[--depth];
  return SUCCESS;
}

EXPORT int cuCtxGetDevice(int* device) {
  ENTER_STARTED(cuCtxGetDevice);
  if (current() == NULL) return INVALID_CONTEXT;
  *device = current()->device;
  return SUCCESS;
}

EXPORT int cuCtxSynchronize(void) {
  ENTER_STARTED(cuCtxSynchronize);
  return current() ? SUCCESS : INVALID_CONTEXT;
}

/* ---- streams: what is submitted runs at once, so they only have an identity and a device */

EXPORT int cuStreamCreate(void** stream, unsigned flags) {
  (void)flags;
  ENTER_STARTED(cuStreamCreate);
  if (current() == NULL) return INVALID_CONTEXT;
  Stream* made = calloc(1, sizeof *made);
  made->device = current()->device;
  pthread_mutex_lock(&lock);
  made->next = streams;
  streams = made;
  pthread_mutex_unlock(&lock);
  *stream = made;
  return SUCCESS;
}

EXPORT int cuStreamDestroy(void* stream) {
  ENTER_STARTED(cuStreamDestroy);
  int result = INVALID_HANDLE;
  pthread_mutex_lock(&lock);
  for (Stream** link = &streams; *link != NULL; link = &(*link)->next) {
    if (*link != stream) continue;
    *link = (*link)->next;
    free(stream);
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

EXPORT int cuStreamSynchronize(void* stream) {
  (void)stream;
  ENTER_STARTED(cuStreamSynchronize);
  return SUCCESS;
}

int gpuwheel_fake_device_of_stream(void* stream) {
  if ((uintptr_t)stream <= 2) return current() ? current()->device : -2; /* null, legacy, per thread */
  int device = -1;
  pthread_mutex_lock(&lock);
  for (Stream* known = streams; known != NULL; known = known->next) {
    if (known == stream) device = known->device;
  }
  pthread_mutex_unlock(&lock);
  return device;
}

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
  *library = made;
  return SUCCESS;
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
  return result;
}

EXPORT int cuKernelGetFunction(void** function, void* kernel) {
  ENTER_STARTED(cuKernelGetFunction);
  if (current() == NULL) return INVALID_CONTEXT;
  *function = kernel;
  return load_kernel(kernel, current()->device);
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
  if (current() == NULL) return INVALID_CONTEXT;
  const Kernel* of = kernel;
  *blocks = (int)shared_bytes > of->max_dynamic_shared[current()->device] ? 0 : blocks_per_multiprocessor(of, threads, shared_bytes);
  return SUCCESS;
}

EXPORT int cuOccupancyMaxPotentialBlockSize(int* grid, int* block, void* kernel, size_t (*shared)(int), size_t shared_bytes, int limit) {
  (void)shared;
  ENTER_STARTED(cuOccupancyMaxPotentialBlockSize);
  if (current() == NULL) return INVALID_CONTEXT;
  const Kernel* of = kernel;
  *block = limit > 0 && limit < of->image->max_threads ? limit : of->image->max_threads;
  *grid = MULTIPROCESSORS * blocks_per_multiprocessor(of, *block, shared_bytes);
  return SUCCESS;
}

EXPORT int cuOccupancyMaxPotentialClusterSize(int* blocks, void* kernel, const void* config) {
  (void)config;
  ENTER_STARTED(cuOccupancyMaxPotentialClusterSize);
  if (current() == NULL) return INVALID_CONTEXT;
  if (gpuwheel_fake_capability() < 90) return NOT_SUPPORTED;
  *blocks = ((Kernel*)kernel)->large_clusters[current()->device] ? LARGEST_CLUSTER : PORTABLE_CLUSTER;
  return SUCCESS;
}

/* The limits of CUDA's programming guide, table "technical specifications per compute capability". */
static int check_launch(const Launch* launch, const Kernel* kernel) {
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
    const uint64_t resident = (uint64_t)(MULTIPROCESSORS * blocks_per_multiprocessor(kernel, (int)threads, launch->shared_bytes));
    if (blocks > resident) return COOPERATIVE_TOO_LARGE;
  }
  return SUCCESS;
}

EXPORT int cuLaunchKernelEx(const DriverConfig* config, void* kernel, void** parameters, void** extra) {
  (void)extra;
  ENTER_STARTED(cuLaunchKernelEx);
  Kernel* of = kernel;
  Launch launch = {.kernel = of->image->name, .stream = config->stream, .shared_bytes = config->shared_bytes};
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
  unsigned char values[4096];
  size_t bytes = 0;
  for (int i = 0; i < of->image->parameter_count; ++i) {
    const uint32_t size = of->image->sizes[i];
    if (bytes + size > sizeof values) return INVALID_VALUE; /* CUDA's own limit before 12.1 */
    memcpy(values + bytes, parameters[i], size);
    bytes += size;
  }
  launch.parameter_count = of->image->parameter_count;
  launch.parameter_sizes = of->image->sizes;
  launch.parameters = values;
  gpuwheel_fake_submit(&launch);
  return SUCCESS;
}

EXPORT int cuLaunchKernel(void* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
  const DriverConfig config = {{gx, gy, gz}, {bx, by, bz}, shared_bytes, stream, NULL, 0};
  return cuLaunchKernelEx(&config, kernel, parameters, extra);
}

/* The names that libraries linked to the driver ask for: of other functions, environment.py adds those that only fail. */
EXPORT int cuStreamDestroy_v2(void* stream) { return cuStreamDestroy(stream); }
EXPORT int cuCtxPushCurrent_v2(void* context) { return cuCtxPushCurrent(context); }
EXPORT int cuCtxPopCurrent_v2(void** context) { return cuCtxPopCurrent(context); }
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) { return cuDevicePrimaryCtxRelease(device); }

/* ---- lookup */

/* torch asks for these when it loads; nothing that a test does may reach them. */
#define UNSUPPORTED(X)                                                                                                    \
  X(cuCtxFromGreenCtx) X(cuDevResourceGenerateDesc) X(cuDevSmResourceSplitByCount) X(cuDeviceGetDevResource)              \
  X(cuGreenCtxCreate) X(cuGreenCtxDestroy) X(cuGreenCtxStreamCreate) X(cuLogsRegisterCallback) X(cuLogsUnregisterCallback) \
  X(cuMemAddressFree) X(cuMemAddressReserve) X(cuMemCreate) X(cuMemExportToShareableHandle) X(cuMemGetAddressRange)       \
  X(cuMemGetAllocationGranularity) X(cuMemGetAllocationPropertiesFromHandle) X(cuMemImportFromShareableHandle)            \
  X(cuMemMap) X(cuMemRelease) X(cuMemRetainAllocationHandle) X(cuMemSetAccess) X(cuMemUnmap) X(cuMemsetD32Async)          \
  X(cuMulticastAddDevice) X(cuMulticastBindMem) X(cuMulticastCreate) X(cuMulticastUnbind) X(cuStreamWriteValue32)
#define DEFINE(name) \
  EXPORT int name(void) { return NOT_SUPPORTED; }
UNSUPPORTED(DEFINE)

#define ROW(name) {#name, (void*)name, 0},
static const struct {
  const char* name;
  void* address;
  int since; /* the CUDA version that brought it */
} table[] = {
    {"cuLibraryLoadData", (void*)cuLibraryLoadData, 12000},
    {"cuLibraryGetKernel", (void*)cuLibraryGetKernel, 12000},
    {"cuKernelGetFunction", (void*)cuKernelGetFunction, 12000},
    {"cuKernelSetAttribute", (void*)cuKernelSetAttribute, 12000},
    {"cuKernelGetAttribute", (void*)cuKernelGetAttribute, 12000},
    {"cuLaunchKernelEx", (void*)cuLaunchKernelEx, 11060},
    {"cuOccupancyMaxPotentialClusterSize", (void*)cuOccupancyMaxPotentialClusterSize, 11070},
    ROW(cuInit) ROW(cuDriverGetVersion) ROW(cuGetErrorName) ROW(cuGetErrorString) ROW(cuDeviceGetCount) ROW(cuDeviceGet)
    ROW(cuDeviceGetAttribute) ROW(cuDeviceGetName) ROW(cuDeviceTotalMem) ROW(cuDevicePrimaryCtxRetain)
    ROW(cuDevicePrimaryCtxRelease) ROW(cuDevicePrimaryCtxGetState) ROW(cuCtxSetCurrent) ROW(cuCtxGetCurrent)
    ROW(cuCtxPushCurrent) ROW(cuCtxPopCurrent) ROW(cuCtxGetDevice) ROW(cuCtxSynchronize) ROW(cuStreamCreate)
    ROW(cuStreamDestroy) ROW(cuStreamSynchronize) ROW(cuOccupancyMaxActiveBlocksPerMultiprocessor)
    ROW(cuOccupancyMaxPotentialBlockSize) ROW(cuLaunchKernel) ROW(cuThreadExchangeStreamCaptureMode) UNSUPPORTED(ROW)
};

/* status: 0 found, 1 not found, 2 the asked version is too old for it. */
EXPORT int cuGetProcAddress_v2(const char* name, void** address, int version, uint64_t flags, int* status) {
  (void)flags;
  ENTER(cuGetProcAddress_v2);
  *address = NULL;
  int found = 1;
  for (size_t i = 0; i < sizeof table / sizeof *table && found == 1; ++i) {
    if (strcmp(table[i].name, name) != 0 || table[i].since > gpuwheel_fake_driver()) continue;
    found = table[i].since > version ? 2 : 0;
    if (found == 0) *address = table[i].address;
  }
  if (status != NULL) *status = found;
  return found == 0 ? SUCCESS : NOT_FOUND;
}
