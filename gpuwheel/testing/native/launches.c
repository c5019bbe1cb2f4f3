/* What is launched: recorded, and run by what a test gave, or executed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { MAX_IMPLEMENTATIONS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Submission** launches;
static long launch_count;
static atomic_int recording = 1;
static atomic_long last_number;
static struct {
  char* part_of_name;
  Implementation run;
} implementations[MAX_IMPLEMENTATIONS];
static int implementation_count;

static Submission* copy_of(const Submission* launch) {
  size_t bytes = 0;
  const size_t count = launch->parameter_count > 0 ? (size_t)launch->parameter_count : 0;
  for (size_t i = 0; i < count; ++i) bytes += launch->parameter_sizes[i];
  Submission* copy = malloc(sizeof *copy + count * sizeof(uint32_t) + bytes);
  *copy = *launch;
  copy->kernel = strdup(launch->kernel);
  uint32_t* sizes = (uint32_t*)(copy + 1);
  if (count > 0) memcpy(sizes, launch->parameter_sizes, count * sizeof *sizes);
  if (bytes > 0) memcpy(sizes + count, launch->parameters, bytes);
  copy->parameter_sizes = sizes;
  copy->parameters = (unsigned char*)(sizes + count);
  return copy;
}

static void release(Submission* launch) {
  free((char*)launch->kernel);
  free(launch);
}

static void append(Submission* launch) {
  if ((launch_count & (launch_count - 1)) == 0) launches = realloc(launches, sizeof *launches * (size_t)(launch_count ? launch_count * 2 : 1));
  launches[launch_count++] = launch;
}

/* What a test runs in a kernel's place may write wherever the parameters point. */
static void written_by_test(const Submission* launch) {
  const unsigned char* value = launch->parameters;
  for (int i = 0; i < launch->parameter_count; value += launch->parameter_sizes[i++]) {
    void* pointer;
    if (launch->parameter_sizes[i] != sizeof pointer) continue;
    memcpy(&pointer, value, sizeof pointer);
    memory_written(pointer, SIZE_MAX);
  }
}

/* It is the stream's turn: now, or when the graph that it was captured in is launched. */
static int run(const Submission* launch) {
  Implementation by_test = NULL;
  pthread_mutex_lock(&lock);
  Submission numbered = *launch;
  numbered.number = atomic_fetch_add(&last_number, 1) + 1;
  if (atomic_load(&recording)) append(copy_of(&numbered));
  for (int i = 0; i < implementation_count && by_test == NULL; ++i) {
    if (strstr(launch->kernel, implementations[i].part_of_name) != NULL) by_test = implementations[i].run;
  }
  pthread_mutex_unlock(&lock);
  if (by_test == NULL) return execution_run(&numbered);
  by_test(&numbered); /* without the lock: it may call Python, or CUDA */
  written_by_test(&numbered);
  return SUCCESS;
}

static void run_node(void* launch) { (void)run(launch); }
static void release_node(void* launch) { release(launch); }

int gpuwheel_fake_submit(const Submission* launch) {
  if (gpuwheel_fake_capturing(launch->stream) && launch->stream != NULL) {
    gpuwheel_fake_enqueue(launch->stream, run_node, copy_of(launch), release_node);
    return SUCCESS;
  }
  return run(launch);
}

void gpuwheel_fake_record(int on) { atomic_store(&recording, on); }
long gpuwheel_fake_launch_number(void) { return atomic_load(&last_number); }

long gpuwheel_fake_launch_count(void) {
  pthread_mutex_lock(&lock);
  const long count = launch_count;
  pthread_mutex_unlock(&lock);
  return count;
}

const Submission* gpuwheel_fake_launch(long index) {
  pthread_mutex_lock(&lock);
  const Submission* launch = index >= 0 && index < launch_count ? launches[index] : NULL;
  pthread_mutex_unlock(&lock);
  return launch;
}

void gpuwheel_fake_implement(const char* part_of_name, Implementation implementation) {
  pthread_mutex_lock(&lock);
  if (implementation_count < MAX_IMPLEMENTATIONS) {
    memmove(implementations + 1, implementations, sizeof *implementations * (size_t)implementation_count);
    implementations[0].part_of_name = strdup(part_of_name); /* the newest wins */
    implementations[0].run = implementation;
    ++implementation_count;
  }
  pthread_mutex_unlock(&lock);
}

void gpuwheel_fake_clear(void) {
  gpuwheel_fake_clear_calls();
  gpuwheel_fake_revive();
  pthread_mutex_lock(&lock);
  for (long i = 0; i < launch_count; ++i) release(launches[i]);
  free(launches);
  launches = NULL;
  launch_count = 0;
  for (int i = 0; i < implementation_count; ++i) free(implementations[i].part_of_name);
  implementation_count = 0;
  pthread_mutex_unlock(&lock);
}
