/* What the fake driver and runtime share: settings, counts of calls, forced errors. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake.h"

enum { MAX_FUNCTIONS = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- settings: GPUWHEEL_FAKE_GPU=devices=2,capability=9.0,driver=12.8,memory=16 (GiB),multiprocessors=132,execute=1,newer=0,checks=15,patience=0 */

static int device_count = 1, capability = 90, driver = 12080, multiprocessors = 132, executes = 0, takes_newer = 0;
static unsigned checks = 15;
static unsigned long patience = 0;
static uint64_t memory_bytes = (uint64_t)16 << 30;

__attribute__((constructor)) static void read_settings(void) {
  const char* text = getenv("GPUWHEEL_FAKE_GPU");
  for (; text != NULL && *text != '\0'; text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL) {
    int major, minor;
    unsigned gib;
    if (sscanf(text, "devices=%d", &major) == 1) gpuwheel_fake_configure(major, 0, 0, 0);
    if (sscanf(text, "capability=%d.%d", &major, &minor) == 2) gpuwheel_fake_configure(0, major * 10 + minor, 0, 0);
    if (sscanf(text, "driver=%d.%d", &major, &minor) == 2) gpuwheel_fake_configure(0, 0, major * 1000 + minor * 10, 0);
    (void)sscanf(text, "multiprocessors=%d", &multiprocessors);
    (void)sscanf(text, "execute=%d", &executes);
    (void)sscanf(text, "newer=%d", &takes_newer);
    (void)sscanf(text, "checks=%u", &checks);
    (void)sscanf(text, "patience=%lu", &patience);
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
int gpuwheel_fake_multiprocessors(void) { return multiprocessors; }
int gpuwheel_fake_executing(void) { return executes; }
void gpuwheel_fake_execute(int on) { executes = on; }
int gpuwheel_fake_takes_newer(void) { return takes_newer; }
unsigned gpuwheel_fake_checks(void) { return checks; }
uint64_t gpuwheel_fake_patience(void) { return patience; }
uint64_t gpuwheel_fake_memory_bytes(void) { return memory_bytes; }

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

/* What answers even after a kernel failed: destructors, and what only asks for names and numbers. */
static int answers_always(const char* function) {
  static const char* const parts[] = {"Free", "Destroy", "GetDevice", "SetDevice", "GetVersion", "CtxGet", "CtxSet", "Unload", "IsCapturing", "GetCaptureInfo"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    if (strstr(function, parts[i]) != NULL) return 1;
  }
  return 0;
}

/* `slot`: a static of the caller, 0 at first. Returns the error that a test asked for, or that a kernel left. */
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
  const int sticky = gpuwheel_fake_sticky();
  if (sticky != SUCCESS && !answers_always(function)) return sticky;
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

void gpuwheel_fake_clear_calls(void) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < atomic_load(&function_count); ++i) {
    atomic_store(&functions[i].calls, 0);
    atomic_store(&functions[i].times, 0);
    atomic_store(&functions[i].milliseconds, 0);
  }
  pthread_mutex_unlock(&lock);
}
