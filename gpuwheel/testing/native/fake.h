/* A pretend GPU: what the fake driver (libcuda.so.1), the fake runtime (libcudart.so.N) and their users share.
   Device memory is host memory; every launch is recorded; a kernel "runs" when a test gave it an implementation.
   The structures are mirrored in gpuwheel/testing/gpu.py. */
#ifndef GPUWHEEL_FAKE_H
#define GPUWHEEL_FAKE_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_DEVICES = 16, MAX_PARAMETERS = 64 };

/* CUresult = cudaError_t, for the values that the fakes return */
enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  UNSUPPORTED_PTX = 222,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  COOPERATIVE_TOO_LARGE = 720,
  NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900,
  INVALID_CLUSTER_SIZE = 912,
};

/* One launch, as the driver saw it. */
typedef struct Launch {
  const char* kernel; /* the symbol in the image */
  unsigned grid[3], block[3], cluster[3];
  unsigned shared_bytes; /* dynamic */
  int cooperative, programmatic;
  int device;
  int through_runtime; /* 1: cudaLaunchKernel, a kernel of torch itself */
  void* stream;
  int parameter_count; /* -1: the image does not say */
  const uint32_t* parameter_sizes;
  const unsigned char* parameters; /* the values, one after the other */
} Launch;

typedef void (*Implementation)(const Launch*);

/* CUlaunchAttribute and CUlaunchConfig; the runtime's attributes have the same layout. */
enum { ATTRIBUTE_COOPERATIVE = 2, ATTRIBUTE_CLUSTER = 4, ATTRIBUTE_PROGRAMMATIC = 6 };

typedef struct DriverAttribute {
  int id;
  char padding[4];
  union {
    unsigned dimensions[3];
    int flag;
    char raw[64];
  } value;
} DriverAttribute;

typedef struct DriverConfig {
  unsigned grid[3], block[3], shared_bytes;
  void* stream;
  DriverAttribute* attributes;
  unsigned attribute_count;
} DriverConfig;

/* Control: what a test calls. */
EXPORT void gpuwheel_fake_clear(void);           /* forget launches, counts, failures and implementations */
EXPORT void gpuwheel_fake_configure(int devices, int capability, int driver, uint64_t memory); /* 0: as it is */
EXPORT int gpuwheel_fake_devices(void);
EXPORT void gpuwheel_fake_record(int on);
EXPORT long gpuwheel_fake_launch_count(void);
EXPORT const Launch* gpuwheel_fake_launch(long index);
EXPORT long gpuwheel_fake_calls(const char* function);                     
EXPORT int gpuwheel_fake_fail(const char* function, int code, int times);  /* 0: no such function */
EXPORT int gpuwheel_fake_slow(const char* function, int milliseconds);     /* each call takes that much longer */
EXPORT void gpuwheel_fake_implement(const char* part_of_name, Implementation run);
EXPORT int gpuwheel_fake_device_of(const void* pointer);                   /* -1: not device memory */

/* What the runtime asks of the driver. */
EXPORT int gpuwheel_fake_enter(const char* function, int* slot);
EXPORT int gpuwheel_fake_allocate(void** pointer, size_t bytes);
EXPORT int gpuwheel_fake_free(void* pointer);
EXPORT void gpuwheel_fake_memory(size_t* free_bytes, size_t* total);
EXPORT int gpuwheel_fake_current(void);          /* device of the current context, -1: none */
EXPORT int gpuwheel_fake_set_current(int device);
EXPORT int gpuwheel_fake_capability(void);       /* 90 for 9.0 */
EXPORT int gpuwheel_fake_driver(void);           /* 12080 for 12.8 */
EXPORT void gpuwheel_fake_submit(const Launch*); /* record, and run or capture */
EXPORT int gpuwheel_fake_begin_capture(void* stream);
EXPORT int gpuwheel_fake_end_capture(void* stream, void** graph);
EXPORT int gpuwheel_fake_replay(void* graph);
EXPORT int gpuwheel_fake_capturing(void* stream);
EXPORT int gpuwheel_fake_device_of_stream(void* stream); /* -1: no such stream, -2: a default one, and no context */
EXPORT int gpuwheel_fake_device_attribute(int* value, int attribute, int device);

#endif
