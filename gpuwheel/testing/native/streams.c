/* Streams and events. What is submitted runs at once, in the order of its submission, which is one that every stream and
   event allows; so a stream only has an identity and a device, and an event a time and the capture it was recorded in. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "driver.h"
#include "driver_api.h"
#include "ordering.h"

typedef struct Stream {
  int device;
  unsigned flags;
  struct Stream* next;
} Stream;

typedef struct Event {
  struct timespec time;
  void* capture;
  Clock clock;
} Event;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Stream* streams;

EXPORT int cuStreamCreate(void** stream, unsigned flags) {
  ENTER_CURRENT(cuStreamCreate);
  Stream* made = calloc(1, sizeof *made);
  made->device = gpuwheel_fake_current();
  made->flags = flags;
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
    ordering_end_stream(stream);
    free(stream);
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

EXPORT int cuStreamSynchronize(void* stream) {
  ENTER_STARTED(cuStreamSynchronize);
  if (stream != NULL && gpuwheel_fake_capturing(stream)) return CAPTURE_UNSUPPORTED;
  ordering_host_waits(stream);
  return SUCCESS;
}

static int is_default(const void* stream) { return (uintptr_t)stream <= 2; } /* null, legacy, per thread */

int gpuwheel_fake_device_of_stream(void* stream) {
  if (is_default(stream)) return gpuwheel_fake_current() < 0 ? -2 : gpuwheel_fake_current();
  int device = -1;
  pthread_mutex_lock(&lock);
  for (Stream* known = streams; known != NULL; known = known->next) {
    if (known == stream) device = known->device;
  }
  pthread_mutex_unlock(&lock);
  return device;
}

/* CU_STREAM_NON_BLOCKING = 1; -1: there is no such stream. */
int gpuwheel_fake_stream_flags(void* stream) {
  if (is_default(stream)) return 0;
  int flags = -1;
  pthread_mutex_lock(&lock);
  for (Stream* known = streams; known != NULL; known = known->next) {
    if (known == stream) flags = (int)known->flags;
  }
  pthread_mutex_unlock(&lock);
  return flags;
}

/* ---- events */

void* gpuwheel_fake_event(void) { return calloc(1, sizeof(Event)); }

void gpuwheel_fake_record_event(void* event, void* stream) {
  Event* const recorded = event;
  clock_gettime(CLOCK_MONOTONIC, &recorded->time);
  recorded->capture = gpuwheel_fake_capture_of(stream);
  if (recorded->capture == NULL) ordering_record(&recorded->clock, stream);
}

int gpuwheel_fake_wait_event(void* stream, void* event) {
  Event* const awaited = event;
  if (awaited->capture != NULL) return gpuwheel_fake_join_capture(stream, awaited->capture);
  ordering_wait(stream, &awaited->clock);
  return SUCCESS;
}

void gpuwheel_fake_host_waits(void* stream, void* event) {
  if (event != NULL) ordering_host_waits_for(&((Event*)event)->clock);
  else if (stream == (void*)-1) ordering_host_waits_for_all();
  else ordering_host_waits(stream);
}

float gpuwheel_fake_elapsed(const void* from, const void* to) {
  const struct timespec *a = &((const Event*)from)->time, *b = &((const Event*)to)->time;
  return (float)((double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) * 1e-6);
}
