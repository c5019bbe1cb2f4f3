/* A fake libcuda.so.1: the driver API as far as gpuwheel's headers, cuda.core and torch use it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "driver_api.h"

typedef struct Context {
  int device;
} Context;

enum { CONTEXT_DEPTH = 16 };

static Context contexts[MAX_DEVICES];
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

int driver_is_started(void) { return atomic_load(&started) && !atomic_load(&forked); }

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
    case 16: *value = gpuwheel_fake_multiprocessors(); break;
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
  gpuwheel_fake_host_waits((void*)-1, NULL);
  return current() ? SUCCESS : INVALID_CONTEXT;
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
  X(cuMemMap) X(cuMemRelease) X(cuMemRetainAllocationHandle) X(cuMemSetAccess) X(cuMemUnmap)          \
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
    {"cuLibraryUnload", (void*)cuLibraryUnload, 12000},
    {"cuLibraryGetGlobal", (void*)cuLibraryGetGlobal, 12000},
    {"cuLibraryGetKernel", (void*)cuLibraryGetKernel, 12000},
    {"cuKernelGetFunction", (void*)cuKernelGetFunction, 12000},
    {"cuKernelSetAttribute", (void*)cuKernelSetAttribute, 12000},
    {"cuKernelGetAttribute", (void*)cuKernelGetAttribute, 12000},
    {"cuLaunchKernelEx", (void*)cuLaunchKernelEx, 11060},
    {"cuOccupancyMaxPotentialClusterSize", (void*)cuOccupancyMaxPotentialClusterSize, 11070},
#define SECOND(name) {#name, (void*)name##_v2, 3020},
    SECOND(cuMemAlloc) SECOND(cuMemFree) SECOND(cuMemcpyHtoD) SECOND(cuMemcpyDtoH) SECOND(cuMemcpyDtoD) SECOND(cuMemcpyHtoDAsync)
    SECOND(cuMemcpyDtoHAsync) SECOND(cuMemcpyDtoDAsync) SECOND(cuMemsetD8) SECOND(cuMemsetD32)
    {"cuMemsetD8Async", (void*)cuMemsetD8Async, 3020},
    {"cuMemsetD32Async", (void*)cuMemsetD32Async, 3020},
    {"cuModuleGetGlobal", (void*)cuModuleGetGlobal_v2, 3020},
    ROW(cuModuleLoadData) ROW(cuModuleLoadDataEx) ROW(cuModuleLoadFatBinary) ROW(cuModuleUnload) ROW(cuModuleGetFunction)
    ROW(cuFuncGetAttribute) ROW(cuFuncSetAttribute)
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
