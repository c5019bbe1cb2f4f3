/* A pretend GPU: what the fake driver (libcuda.so.1), the fake runtime (libcudart.so.N) and their users share.
   Device memory is host memory; every launch is recorded, and runs what a test gave in its place, or the kernel's own PTX.
   The structures are mirrored in gpuwheel/testing/gpu.py. */
#ifndef GPUWHEEL_FAKE_H
#define GPUWHEEL_FAKE_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_DEVICES = 16, MAX_PARAMETERS = 256 };

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
  INVALID_PTX = 218,
  UNSUPPORTED_PTX = 222,
  INVALID_HANDLE = 400,
  ILLEGAL_STATE = 401,
  NOT_FOUND = 500,
  ALREADY_REGISTERED = 712,
  NOT_REGISTERED = 713,
  COOPERATIVE_TOO_LARGE = 720,
  NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_UNJOINED = 904,
  INVALID_CLUSTER_SIZE = 912,
};

/* One launch, as the driver saw it. */
typedef struct Submission {
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
  struct Kernel* code; /* of the driver; NULL: a kernel of torch, of which nothing is known */
  long number;         /* counts the launches of the process from 1, in the order in which they ran */
} Submission;

typedef void (*Implementation)(const Submission*);

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
EXPORT const Submission* gpuwheel_fake_launch(long index);
EXPORT long gpuwheel_fake_calls(const char* function);                     
EXPORT int gpuwheel_fake_fail(const char* function, int code, int times);  /* 0: no such function */
EXPORT int gpuwheel_fake_slow(const char* function, int milliseconds);     /* each call takes that much longer */
EXPORT void gpuwheel_fake_implement(const char* part_of_name, Implementation run);
EXPORT int gpuwheel_fake_device_of(const void* pointer);                   /* -1: not device memory */

EXPORT void gpuwheel_fake_label(const char* text);                        /* what runs now, e.g. a test: of new memory and of reports */
EXPORT int gpuwheel_fake_pointer(const void* pointer, int* kind);           /* the device of any memory that kernels may touch, and its MemoryKind; -1 */
EXPORT const char* gpuwheel_fake_reports(void);                             /* a line of JSON for each mistake since the last call; good until the next */
EXPORT void gpuwheel_fake_execute(int on);                                  /* launches from now on, or record them alone */
EXPORT long gpuwheel_fake_executed(void);                                   /* how many launches were executed in this process */
EXPORT void gpuwheel_fake_written(const void* pointer, size_t bytes);       /* by others than kernels and copies */
EXPORT void gpuwheel_fake_touched(void* stream, const void* pointer, size_t bytes, int write); /* by an operator of torch */
EXPORT int gpuwheel_fake_has_streams(void);                                 /* more than one was used */
EXPORT void gpuwheel_fake_end(void);                                        /* the program ends: what it did not free is reported */
EXPORT void gpuwheel_fake_revive(void);                                     /* after an error that stays: as a new process */

/* What the runtime asks of the driver. */
EXPORT int gpuwheel_fake_enter(const char* function, int* slot);
EXPORT int gpuwheel_fake_allocate(void** pointer, size_t bytes, int kind, const char* by, const void* caller);
EXPORT int gpuwheel_fake_free(void* pointer, int host);
EXPORT int gpuwheel_fake_register(void* pointer, size_t bytes);
EXPORT int gpuwheel_fake_unregister(void* pointer);
EXPORT void gpuwheel_fake_peer(int device, int peer, int on);
EXPORT void gpuwheel_fake_memory(size_t* free_bytes, size_t* total);
EXPORT uint64_t gpuwheel_fake_memory_in_use(int device, uint64_t* most, int forget_most); /* most: at once */
EXPORT int gpuwheel_fake_current(void);          /* device of the current context, -1: none */
EXPORT int gpuwheel_fake_set_current(int device);
EXPORT int gpuwheel_fake_capability(void);       /* 90 for 9.0 */
EXPORT int gpuwheel_fake_multiprocessors(void);  /* of a device */
EXPORT int gpuwheel_fake_driver(void);           /* 12080 for 12.8 */
EXPORT int gpuwheel_fake_submit(const Submission*); /* record, and run or capture: SUCCESS, or what it failed with */
EXPORT int gpuwheel_fake_executing(void);        /* launches are executed, and not recorded alone */
EXPORT int gpuwheel_fake_sticky(void);           /* the error of a kernel, after which a GPU answers nothing else */
EXPORT long gpuwheel_fake_lives(void);            /* how often it was revived from one */
EXPORT int gpuwheel_fake_device_of_stream(void* stream); /* -1: no such stream, -2: a default one, and no context */
EXPORT int gpuwheel_fake_stream_flags(void* stream);
EXPORT int gpuwheel_fake_device_attribute(int* value, int attribute, int device);
EXPORT void* gpuwheel_fake_event(void);
EXPORT void gpuwheel_fake_record_event(void* event, void* stream);
EXPORT int gpuwheel_fake_wait_event(void* stream, void* event);
EXPORT void gpuwheel_fake_host_waits(void* stream, void* event); /* the host, for an event, or a stream; stream -1: for all */
EXPORT float gpuwheel_fake_elapsed(const void* from, const void* to);

/* Rows of bytes; one row: height 1. A fill has no `from`. */
typedef struct Copy {
  void* to;
  const void* from;
  size_t to_pitch, from_pitch, width, height;
  int kind; /* a cudaMemcpyKind: which of the two has to be memory of CUDA */
} Copy;
enum { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, BY_ADDRESS };
EXPORT int gpuwheel_fake_copy(const Copy*, void* stream, const char* function);
EXPORT int gpuwheel_fake_fill(const Copy*, int value, int width, void* stream, const char* function);

/* Captures and graphs (graphs.c). */
EXPORT void gpuwheel_fake_enqueue(void* stream, void (*run)(void*), void* data, void (*release)(void*));
EXPORT int gpuwheel_fake_begin_capture(void* stream);
EXPORT int gpuwheel_fake_end_capture(void* stream, void** graph);
EXPORT int gpuwheel_fake_replay(void* graph, void* stream);
EXPORT long gpuwheel_fake_graph_size(void* graph);
EXPORT void* gpuwheel_fake_share_graph(void* graph);
EXPORT void gpuwheel_fake_drop_graph(void* graph);
EXPORT int gpuwheel_fake_capturing(void* stream); /* NULL: any */

/* Inside of the driver. */
void gpuwheel_fake_clear_calls(void);
int gpuwheel_fake_takes_newer(void);             /* also PTX that is for newer devices than the pretended one */
unsigned gpuwheel_fake_checks(void);             /* CHECK_... of ptx/native/machine.h */
uint64_t gpuwheel_fake_patience(void);           /* instructions of warps that a launch may take; 0: any number */
uint64_t gpuwheel_fake_memory_bytes(void);
long gpuwheel_fake_launch_number(void);          /* how many there were */
void* gpuwheel_fake_capture_of(void* stream);
int gpuwheel_fake_join_capture(void* stream, const void* capture);
void* gpuwheel_fake_graph_of_capture(void);
int execution_run(const Submission*);

#endif
