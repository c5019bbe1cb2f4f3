/* The functions of the driver's interface that its parts, and the fake runtime, call or look up. */
#ifndef GPUWHEEL_DRIVER_API_H
#define GPUWHEEL_DRIVER_API_H

#include "fake.h"

EXPORT int cuInit(unsigned);
EXPORT int cuGetErrorName(int, const char**);
EXPORT int cuGetErrorString(int, const char**);
EXPORT int cuStreamCreate(void**, unsigned);
EXPORT int cuStreamDestroy(void*);
EXPORT int cuStreamSynchronize(void*);
EXPORT int cuThreadExchangeStreamCaptureMode(int*);
EXPORT int cuLibraryLoadData(void**, const void*, int*, void**, unsigned, int*, void**, unsigned);
EXPORT int cuLibraryUnload(void*);
EXPORT int cuLibraryGetKernel(void**, void*, const char*);
EXPORT int cuLibraryGetGlobal(void**, size_t*, void*, const char*);
EXPORT int cuKernelGetFunction(void**, void*);
EXPORT int cuKernelGetAttribute(int*, int, void*, int);
EXPORT int cuKernelSetAttribute(int, int, void*, int);
EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int*, void*, int, size_t);
EXPORT int cuOccupancyMaxPotentialBlockSize(int*, int*, void*, size_t (*)(int), size_t, int);
EXPORT int cuOccupancyMaxPotentialClusterSize(int*, void*, const void*);
EXPORT int cuModuleLoadData(void**, const void*);
EXPORT int cuModuleLoadDataEx(void**, const void*, unsigned, int*, void**);
EXPORT int cuModuleLoadFatBinary(void**, const void*);
EXPORT int cuModuleUnload(void*);
EXPORT int cuModuleGetFunction(void**, void*, const char*);
EXPORT int cuModuleGetGlobal_v2(void**, size_t*, void*, const char*);
EXPORT int cuFuncGetAttribute(int*, int, void*);
EXPORT int cuFuncSetAttribute(void*, int, int);
EXPORT int cuLaunchKernelEx(const DriverConfig*, void*, void**, void**);
EXPORT int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
/* driver_memory.c */
EXPORT int cuMemAlloc_v2(uintptr_t*, size_t);
EXPORT int cuMemFree_v2(uintptr_t);
EXPORT int cuMemcpyHtoD_v2(uintptr_t, const void*, size_t);
EXPORT int cuMemcpyDtoH_v2(void*, uintptr_t, size_t);
EXPORT int cuMemcpyDtoD_v2(uintptr_t, uintptr_t, size_t);
EXPORT int cuMemcpyHtoDAsync_v2(uintptr_t, const void*, size_t, void*);
EXPORT int cuMemcpyDtoHAsync_v2(void*, uintptr_t, size_t, void*);
EXPORT int cuMemcpyDtoDAsync_v2(uintptr_t, uintptr_t, size_t, void*);
EXPORT int cuMemsetD8_v2(uintptr_t, unsigned char, size_t);
EXPORT int cuMemsetD32_v2(uintptr_t, unsigned, size_t);
EXPORT int cuMemsetD8Async(uintptr_t, unsigned char, size_t, void*);
EXPORT int cuMemsetD32Async(uintptr_t, unsigned, size_t, void*);
EXPORT int cuGetProcAddress_v2(const char*, void**, int, uint64_t, int*);

#endif
