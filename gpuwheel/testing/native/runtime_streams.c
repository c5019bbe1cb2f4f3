/* The fake runtime's streams, events, captures and graphs. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "driver_api.h"
#include "runtime.h"

/* ---- streams and events: everything runs at once */

EXPORT int cudaStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
  (void)priority;
  ENTER_CONTEXT(cudaStreamCreate);
  return runtime_done(cuStreamCreate(stream, flags));
}

EXPORT int cudaStreamCreateWithFlags(void** stream, unsigned flags) { return cudaStreamCreateWithPriority(stream, flags, 0); }
EXPORT int cudaStreamCreate(void** stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
EXPORT int cudaStreamDestroy(void* stream) { return runtime_done(cuStreamDestroy(stream)); }

EXPORT int cudaStreamSynchronize(void* stream) {
  ENTER_CONTEXT(cudaStreamSynchronize);
  return runtime_done(cuStreamSynchronize(stream));
}

EXPORT int cudaStreamQuery(void* stream) {
  ENTER_CONTEXT(cudaStreamQuery);
  gpuwheel_fake_host_waits(stream, NULL);
  return SUCCESS;
}

EXPORT int cudaStreamWaitEvent(void* stream, void* event, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaStreamWaitEvent);
  return runtime_done(gpuwheel_fake_wait_event(stream, event));
}

EXPORT int cudaStreamGetPriority(void* stream, int* priority) {
  (void)stream;
  ENTER(cudaStreamGetPriority);
  *priority = 0;
  return SUCCESS;
}

EXPORT int cudaEventCreateWithFlags(void** event, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaEventCreate);
  *event = gpuwheel_fake_event();
  return SUCCESS;
}

EXPORT int cudaEventCreate(void** event) { return cudaEventCreateWithFlags(event, 0); }

EXPORT int cudaEventRecord(void* event, void* stream) {
  ENTER_CONTEXT(cudaEventRecord);
  gpuwheel_fake_record_event(event, stream);
  return SUCCESS;
}

EXPORT int cudaEventRecordWithFlags(void* event, void* stream, unsigned flags) {
  (void)flags;
  return cudaEventRecord(event, stream);
}

EXPORT int cudaEventQuery(void* event) {
  ENTER(cudaEventQuery);
  gpuwheel_fake_host_waits(NULL, event);
  return SUCCESS;
}

EXPORT int cudaEventSynchronize(void* event) {
  ENTER(cudaEventSynchronize);
  gpuwheel_fake_host_waits(NULL, event);
  return SUCCESS;
}

EXPORT int cudaEventElapsedTime(float* milliseconds, void* from, void* to) {
  ENTER(cudaEventElapsedTime);
  *milliseconds = gpuwheel_fake_elapsed(from, to);
  return SUCCESS;
}

/* The name that CUDA 12.8 and newer give it. */
EXPORT int cudaEventElapsedTime_v2(float* milliseconds, void* from, void* to) { return cudaEventElapsedTime(milliseconds, from, to); }

EXPORT int cudaEventDestroy(void* event) {
  ENTER(cudaEventDestroy);
  free(event);
  return SUCCESS;
}

/* ---- streams, and what runs in their order: everything runs at once */

typedef struct HostCall {
  void (*function)(void*);
  void* data;
} HostCall;

static void call_host(void* call) { ((HostCall*)call)->function(((HostCall*)call)->data); }

EXPORT int cudaLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
  ENTER_CONTEXT(cudaLaunchHostFunc);
  HostCall* const call = malloc(sizeof *call);
  *call = (HostCall){function, data};
  gpuwheel_fake_enqueue(stream, call_host, call, free);
  return SUCCESS;
}

EXPORT int cudaStreamAddCallback(void* stream, void (*function)(void*, int, void*), void* data, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaStreamAddCallback);
  if (gpuwheel_fake_capturing(stream) && stream != NULL) return runtime_done(CAPTURE_UNSUPPORTED);
  function(stream, SUCCESS, data);
  return SUCCESS;
}

EXPORT int cudaStreamGetDevice(void* stream, int* device) {
  ENTER_CONTEXT(cudaStreamGetDevice);
  *device = gpuwheel_fake_device_of_stream(stream);
  return runtime_done(*device < 0 ? INVALID_HANDLE : SUCCESS);
}

EXPORT int cudaStreamGetFlags(void* stream, unsigned* flags) {
  ENTER_CONTEXT(cudaStreamGetFlags);
  if (gpuwheel_fake_device_of_stream(stream) < 0) return runtime_done(INVALID_HANDLE);
  *flags = 0;
  return SUCCESS;
}

EXPORT int cudaStreamGetId(void* stream, unsigned long long* id) {
  ENTER_CONTEXT(cudaStreamGetId);
  if (gpuwheel_fake_device_of_stream(stream) < 0) return runtime_done(INVALID_HANDLE);
  *id = (uintptr_t)stream;
  return SUCCESS;
}

/* ---- graphs: the captured launches run, and are recorded, when the graph is launched */

EXPORT int cudaStreamBeginCapture(void* stream, int mode) {
  (void)mode;
  ENTER_CONTEXT(cudaStreamBeginCapture);
  return runtime_done(gpuwheel_fake_begin_capture(stream));
}

EXPORT int cudaStreamEndCapture(void* stream, void** graph) {
  ENTER_CONTEXT(cudaStreamEndCapture);
  return runtime_done(gpuwheel_fake_end_capture(stream, graph));
}

EXPORT int cudaStreamIsCapturing(void* stream, int* status) {
  ENTER(cudaStreamIsCapturing);
  *status = stream != NULL && gpuwheel_fake_capturing(stream);
  return SUCCESS;
}

static int capture_info(void* stream, int* status, unsigned long long* id, void** graph) {
  *status = stream != NULL && gpuwheel_fake_capturing(stream);
  if (id != NULL) *id = *status ? (unsigned long long)(uintptr_t)stream : 0;
  if (graph != NULL) *graph = *status ? stream : NULL;
  return SUCCESS;
}

EXPORT int cudaStreamGetCaptureInfo_v2(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, size_t* count) {
  ENTER(cudaStreamGetCaptureInfo);
  if (dependencies != NULL) *dependencies = NULL;
  if (count != NULL) *count = 0;
  return capture_info(stream, status, id, graph);
}

EXPORT int cudaStreamGetCaptureInfo_v3(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, const void** edges, size_t* count) {
  if (edges != NULL) *edges = NULL;
  return cudaStreamGetCaptureInfo_v2(stream, status, id, graph, dependencies, count);
}

#if CUDART_MAJOR == 12
EXPORT int cudaStreamGetCaptureInfo(void* stream, int* status, unsigned long long* id) {
  ENTER(cudaStreamGetCaptureInfo);
  return capture_info(stream, status, id, NULL);
}
#else
EXPORT int cudaStreamGetCaptureInfo(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, const void** edges, size_t* count) {
  return cudaStreamGetCaptureInfo_v3(stream, status, id, graph, dependencies, edges, count);
}
#endif

EXPORT int cudaThreadExchangeStreamCaptureMode(int* mode) {
  ENTER_CONTEXT(cudaThreadExchangeStreamCaptureMode);
  return runtime_done(cuThreadExchangeStreamCaptureMode(mode));
}

EXPORT int cudaGraphInstantiate(void** executable, void* graph, unsigned long long flags) {
  (void)flags;
  ENTER(cudaGraphInstantiate);
  *executable = gpuwheel_fake_share_graph(graph);
  return SUCCESS;
}

EXPORT int cudaGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags) { return cudaGraphInstantiate(executable, graph, flags); }

EXPORT int cudaGraphLaunch(void* executable, void* stream) {
  ENTER_CONTEXT(cudaGraphLaunch);
  return runtime_done(gpuwheel_fake_replay(executable, stream));
}

EXPORT int cudaGraphGetNodes(void* graph, void** nodes, size_t* count) {
  (void)nodes;
  ENTER(cudaGraphGetNodes);
  *count = (size_t)gpuwheel_fake_graph_size(graph);
  return SUCCESS;
}

EXPORT int cudaGraphDestroy(void* graph) {
  ENTER(cudaGraphDestroy);
  gpuwheel_fake_drop_graph(graph);
  return SUCCESS;
}

EXPORT int cudaGraphExecDestroy(void* executable) {
  ENTER(cudaGraphExecDestroy);
  gpuwheel_fake_drop_graph(executable);
  return SUCCESS;
}

EXPORT int cudaGraphUpload(void* executable, void* stream) {
  (void)executable, (void)stream;
  ENTER_CONTEXT(cudaGraphUpload);
  return SUCCESS;
}
