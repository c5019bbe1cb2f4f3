/* What the fake driver and runtime share: settings, counts of calls, forced errors, memory, records of launches. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake.h"

enum { MAX_FUNCTIONS = 512, MAX_IMPLEMENTATIONS = 64, POISON_LIMIT = 64 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- settings: GPUWHEEL_FAKE_GPU=devices=2,capability=9.0,driver=12.8,memory=16 (GiB) */

static int device_count = 1, capability = 90, driver = 12080;
static uint64_t memory_bytes = (uint64_t)16 << 30;

__attribute__((constructor)) static void read_settings(void) {
  const char* text = getenv("GPUWHEEL_FAKE_GPU");
  for (; text != NULL && *text != '\0'; text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL) {
    int major, minor;
    unsigned gib;
    if (sscanf(text, "devices=%d", &major) == 1) gpuwheel_fake_configure(major, 0, 0, 0);
    if (sscanf(text, "capability=%d.%d", &major, &minor) == 2) gpuwheel_fake_configure(0, major * 10 + minor, 0, 0);
    if (sscanf(text, "driver=%d.%d", &major, &minor) == 2) gpuwheel_fake_configure(0, 0, major * 1000 + minor * 10, 0);
    if (sscanf(text, "memory=%u", &gib) == 1) gpuwheel_fake_configure(0, 0, 0, (uint64_t)gib << 30);
  }
}

void gpuwheel_fake_configure(int devices, int capability_, int driver_, uint64_t memory) {
  if (devices > 0) device_count = devices < MAX_DEVICES ? devices : MAX_DEVICES;
  if (capability_ > 0) capability = capability_;
  if (driver_ > 0) driver = driver_;
  if (memory > 0) memory_bytes = memory;
}

int gpuwheel_fake_devices(void) { return device_count; }
int gpuwheel_fake_capability(void) { return capability; }
int gpuwheel_fake_driver(void) { return driver; }

/* ---- calls: each function has a slot with a count and the error that its next calls return */

static struct {
  const char* name;
  atomic_long calls;
  atomic_int code, times, milliseconds;
} functions[MAX_FUNCTIONS];
static atomic_int function_count;

static int slot_of(const char* name, int add) {
  pthread_mutex_lock(&lock);
  int slot = -1;
  const int count = atomic_load(&function_count);
  for (int i = 0; i < count && slot < 0; ++i) {
    if (strcmp(functions[i].name, name) == 0) slot = i;
  }
  if (slot < 0 && add && count < MAX_FUNCTIONS) {
    functions[slot = count].name = strdup(name);
    atomic_store(&function_count, count + 1);
  }
  pthread_mutex_unlock(&lock);
  return slot;
}

/* `slot`: a static of the caller, 0 at first. Returns the error that a test asked for. */
int gpuwheel_fake_enter(const char* function, int* slot) {
  int known = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
  if (known == 0) {
    known = slot_of(function, 1) + 1;
    __atomic_store_n(slot, known, __ATOMIC_RELEASE);
    if (known == 0) return SUCCESS;
  }
  atomic_fetch_add_explicit(&functions[known - 1].calls, 1, memory_order_relaxed);
  const int wait = atomic_load_explicit(&functions[known - 1].milliseconds, memory_order_relaxed);
  if (wait > 0) nanosleep(&(struct timespec){wait / 1000, wait % 1000 * 1000000L}, NULL);
  if (atomic_load_explicit(&functions[known - 1].times, memory_order_relaxed) <= 0) return SUCCESS;
  return atomic_fetch_sub(&functions[known - 1].times, 1) > 0 ? atomic_load(&functions[known - 1].code) : SUCCESS;
}

long gpuwheel_fake_calls(const char* function) {
  const int slot = slot_of(function, 0);
  return slot < 0 ? 0 : atomic_load(&functions[slot].calls);
}

int gpuwheel_fake_fail(const char* function, int code, int times) {
  const int slot = slot_of(function, 1);
  if (slot < 0) return 0;
  atomic_store(&functions[slot].code, code);
  atomic_store(&functions[slot].times, times);
  return 1;
}

int gpuwheel_fake_slow(const char* function, int milliseconds) {
  const int slot = slot_of(function, 1);
  if (slot < 0) return 0;
  atomic_store(&functions[slot].milliseconds, milliseconds);
  return 1;
}

/* ---- memory: aligned like cudaMalloc, filled with NaN so that what a kernel does not write is seen */

static struct {
  char* start;
  size_t bytes;
  int device;
}* allocations;
static size_t allocation_count, allocation_room;
static uint64_t used[MAX_DEVICES];

int gpuwheel_fake_allocate(void** pointer, size_t bytes) {
  const int device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
  const size_t rounded = (bytes + 511) / 512 * 512;
  int result = SUCCESS;
  pthread_mutex_lock(&lock);
  if (used[device] + rounded > memory_bytes || posix_memalign(pointer, 512, rounded ? rounded : 512) != 0) {
    result = OUT_OF_MEMORY;
  } else {
    if (allocation_count == allocation_room) {
      allocation_room = allocation_room ? allocation_room * 2 : 64;
      allocations = realloc(allocations, sizeof *allocations * allocation_room);
    }
    allocations[allocation_count].start = *pointer;
    allocations[allocation_count].bytes = rounded;
    allocations[allocation_count++].device = device;
    used[device] += rounded;
  }
  pthread_mutex_unlock(&lock);
  if (result == SUCCESS && rounded <= POISON_LIMIT) memset(*pointer, 0xff, rounded);
  return result;
}

int gpuwheel_fake_free(void* pointer) {
  if (pointer == NULL) return SUCCESS;
  int result = INVALID_VALUE;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < allocation_count; ++i) {
    if (allocations[i].start != pointer) continue;
    used[allocations[i].device] -= allocations[i].bytes;
    allocations[i] = allocations[--allocation_count];
    free(pointer);
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

void gpuwheel_fake_memory(size_t* free_bytes, size_t* total) {
  const int device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
  pthread_mutex_lock(&lock);
  *free_bytes = memory_bytes - used[device];
  *total = memory_bytes;
  pthread_mutex_unlock(&lock);
}

int gpuwheel_fake_device_of(const void* pointer) {
  const char* p = pointer;
  int device = -1;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < allocation_count; ++i) {
    if (p >= allocations[i].start && p < allocations[i].start + allocations[i].bytes) device = allocations[i].device;
  }
  pthread_mutex_unlock(&lock);
  return device;
}

/* ---- launches and graphs */

typedef struct Graph {
  void* stream;
  Launch** launches;
  long count;
  struct Graph* next;
} Graph;

static Launch** launches;
static long launch_count;
static atomic_int recording = 1;
static Graph* captures; /* under way */
static atomic_int capture_count;
static struct {
  char* part_of_name;
  Implementation run;
} implementations[MAX_IMPLEMENTATIONS];
static int implementation_count;

static Launch* copy_of(const Launch* launch) {
  size_t bytes = 0;
  const size_t count = launch->parameter_count > 0 ? (size_t)launch->parameter_count : 0;
  for (size_t i = 0; i < count; ++i) bytes += launch->parameter_sizes[i];
  Launch* copy = malloc(sizeof *copy + count * sizeof(uint32_t) + bytes);
  *copy = *launch;
  copy->kernel = strdup(launch->kernel);
  uint32_t* sizes = (uint32_t*)(copy + 1);
  if (count > 0) memcpy(sizes, launch->parameter_sizes, count * sizeof *sizes);
  if (bytes > 0) memcpy(sizes + count, launch->parameters, bytes);
  copy->parameter_sizes = sizes;
  copy->parameters = (unsigned char*)(sizes + count);
  return copy;
}

static void append(Launch*** list, long* count, Launch* launch) {
  if ((*count & (*count - 1)) == 0) *list = realloc(*list, sizeof **list * (size_t)(*count ? *count * 2 : 1));
  (*list)[(*count)++] = launch;
}

void gpuwheel_fake_submit(const Launch* launch) {
  Implementation run = NULL;
  pthread_mutex_lock(&lock);
  for (Graph* graph = captures; graph != NULL; graph = graph->next) {
    if (graph->stream != launch->stream) continue;
    append(&graph->launches, &graph->count, copy_of(launch));
    pthread_mutex_unlock(&lock);
    return;
  }
  if (atomic_load(&recording)) append(&launches, &launch_count, copy_of(launch));
  for (int i = 0; i < implementation_count && run == NULL; ++i) {
    if (strstr(launch->kernel, implementations[i].part_of_name) != NULL) run = implementations[i].run;
  }
  pthread_mutex_unlock(&lock);
  if (run != NULL) run(launch); /* without the lock: it may call Python, or CUDA */
}

void gpuwheel_fake_record(int on) { atomic_store(&recording, on); }

long gpuwheel_fake_launch_count(void) {
  pthread_mutex_lock(&lock);
  const long count = launch_count;
  pthread_mutex_unlock(&lock);
  return count;
}

const Launch* gpuwheel_fake_launch(long index) {
  pthread_mutex_lock(&lock);
  const Launch* launch = index >= 0 && index < launch_count ? launches[index] : NULL;
  pthread_mutex_unlock(&lock);
  return launch;
}

void gpuwheel_fake_implement(const char* part_of_name, Implementation run) {
  pthread_mutex_lock(&lock);
  if (implementation_count < MAX_IMPLEMENTATIONS) {
    memmove(implementations + 1, implementations, sizeof *implementations * (size_t)implementation_count);
    implementations[0].part_of_name = strdup(part_of_name); /* the newest wins */
    implementations[0].run = run;
    ++implementation_count;
  }
  pthread_mutex_unlock(&lock);
}

void gpuwheel_fake_clear(void) {
  pthread_mutex_lock(&lock);
  for (long i = 0; i < launch_count; ++i) {
    free((char*)launches[i]->kernel);
    free(launches[i]);
  }
  free(launches);
  launches = NULL;
  launch_count = 0;
  for (int i = 0; i < implementation_count; ++i) free(implementations[i].part_of_name);
  implementation_count = 0;
  for (int i = 0; i < atomic_load(&function_count); ++i) {
    atomic_store(&functions[i].calls, 0);
    atomic_store(&functions[i].times, 0);
    atomic_store(&functions[i].milliseconds, 0);
  }
  pthread_mutex_unlock(&lock);
}

int gpuwheel_fake_begin_capture(void* stream) {
  Graph* graph = calloc(1, sizeof *graph);
  graph->stream = stream;
  pthread_mutex_lock(&lock);
  graph->next = captures;
  captures = graph;
  atomic_fetch_add(&capture_count, 1);
  pthread_mutex_unlock(&lock);
  return SUCCESS;
}

int gpuwheel_fake_end_capture(void* stream, void** graph) {
  int result = INVALID_VALUE;
  pthread_mutex_lock(&lock);
  for (Graph** link = &captures; *link != NULL; link = &(*link)->next) {
    if ((*link)->stream != stream) continue;
    *graph = *link;
    *link = (*link)->next;
    atomic_fetch_sub(&capture_count, 1);
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

int gpuwheel_fake_replay(void* graph) {
  Graph* captured = graph;
  for (long i = 0; i < captured->count; ++i) gpuwheel_fake_submit(captured->launches[i]);
  return SUCCESS;
}

/* Whether this stream, or with a null stream any stream, is being captured. */
int gpuwheel_fake_capturing(void* stream) {
  if (atomic_load_explicit(&capture_count, memory_order_relaxed) == 0) return 0;
  int found = 0;
  pthread_mutex_lock(&lock);
  for (Graph* graph = captures; graph != NULL; graph = graph->next) found |= stream == NULL || graph->stream == stream;
  pthread_mutex_unlock(&lock);
  return found;
}
