/* The order of streams. What is submitted runs at once here, so that a missing event never shows in values: each stream
   has a clock of what happens before its next operation, as vector clocks of threads. The host is one more. */
#define _GNU_SOURCE
#include "ordering.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mistakes.h"

enum { CHECK_STREAMS = 32, BUCKETS = 4096, KEPT = 32, NON_BLOCKING = 1, LEAST_PAGE = 128 /* PAGE of machine.h */ };

typedef struct Touch {
  Operation by;
  uint64_t read, written;
} Touch;

typedef struct History {
  uint64_t memory;
  Touch touches[KEPT]; /* a ring */
  unsigned next;
  struct History* further;
} History;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void* streams[MOST_CLOCKS]; /* the first are the devices' default ones */
static int blocking[MOST_CLOCKS], stream_count = MAX_DEVICES, used_count;
static unsigned char used[MOST_CLOCKS];
static uint64_t now[MOST_CLOCKS];
static Clock clocks[MOST_CLOCKS], host;
static History* histories[BUCKETS];
static __thread void* replayed;
static __thread int replaying;

int ordering_is_checked(void) { return gpuwheel_fake_executing() && (gpuwheel_fake_checks() & CHECK_STREAMS) != 0; }
int gpuwheel_fake_has_streams(void) { return __atomic_load_n(&used_count, __ATOMIC_RELAXED) > 1; }

/* ---- clocks; all with the lock */

static void join(Clock* to, const Clock* from) {
  for (int i = 0; i < stream_count; ++i) {
    if (from->of[i] > to->of[i]) to->of[i] = from->of[i];
  }
}

static int slot_of(void* stream) {
  if ((uintptr_t)stream <= 2) {
    const int device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
    blocking[device] = 1;
    return device;
  }
  int unused = -1;
  for (int i = MAX_DEVICES; i < stream_count; ++i) {
    if (streams[i] == stream) return i;
    if (streams[i] == NULL) unused = i;
  }
  if (unused < 0 && stream_count < MOST_CLOCKS) unused = stream_count++;
  if (unused < 0) return -1;
  streams[unused] = stream;
  blocking[unused] = !(gpuwheel_fake_stream_flags(stream) & NON_BLOCKING);
  return unused;
}

/* What a stream waits for by itself: the legacy default stream and those that block on it wait for each other. */
static void settle(int slot) {
  join(&clocks[slot], &host);
  if (slot < MAX_DEVICES) {
    for (int i = 0; i < stream_count; ++i) {
      if (blocking[i]) join(&clocks[slot], &clocks[i]);
    }
  } else if (blocking[slot]) {
    for (int device = 0; device < MAX_DEVICES; ++device) join(&clocks[slot], &clocks[device]);
  }
}

Operation ordering_begin(void* stream, const char* name) {
  if (replaying) stream = replayed;
  pthread_mutex_lock(&lock);
  Operation begun = {slot_of(stream), 0, name, stream};
  if (begun.slot >= 0) {
    settle(begun.slot);
    begun.number = ++now[begun.slot];
    clocks[begun.slot].of[begun.slot] = begun.number;
    used_count += !used[begun.slot];
    used[begun.slot] = 1;
  }
  pthread_mutex_unlock(&lock);
  return begun;
}

void ordering_replay(void* stream) {
  replaying = stream != (void*)-1;
  replayed = stream;
}

void ordering_record(Clock* event, void* stream) {
  pthread_mutex_lock(&lock);
  const int slot = slot_of(stream);
  if (slot >= 0) settle(slot), *event = clocks[slot];
  pthread_mutex_unlock(&lock);
}

void ordering_wait(void* stream, const Clock* event) {
  pthread_mutex_lock(&lock);
  const int slot = slot_of(stream);
  if (slot >= 0) join(&clocks[slot], event);
  pthread_mutex_unlock(&lock);
}

void ordering_host_waits(void* stream) {
  pthread_mutex_lock(&lock);
  const int slot = slot_of(stream);
  if (slot >= 0) settle(slot), join(&host, &clocks[slot]);
  pthread_mutex_unlock(&lock);
}

void ordering_host_waits_for_all(void) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < stream_count; ++i) join(&host, &clocks[i]);
  pthread_mutex_unlock(&lock);
}

void ordering_host_waits_for(const Clock* event) {
  pthread_mutex_lock(&lock);
  join(&host, event);
  pthread_mutex_unlock(&lock);
}

void ordering_end_stream(void* stream) {
  pthread_mutex_lock(&lock);
  for (int i = MAX_DEVICES; i < stream_count; ++i) {
    if (streams[i] == stream) streams[i] = NULL; /* its clock goes on: who had it is not ordered after the next */
  }
  pthread_mutex_unlock(&lock);
}

/* ---- memory */

uint64_t ordering_pages(uint64_t start, uint64_t end, uint64_t first, uint64_t last) {
  const uint64_t equal = (end - start + PAGES - 1) / PAGES, page = equal > LEAST_PAGE ? equal : LEAST_PAGE;
  if (last <= first) return 0;
  const uint64_t from = (first - start) / page, to = (last - 1 - start) / page, count = to - from + 1;
  return (count >= PAGES ? ~0ull : (1ull << count) - 1) << from;
}

static History* history_of(uint64_t memory) {
  History** link = &histories[memory % BUCKETS];
  for (; *link != NULL; link = &(*link)->further) {
    if ((*link)->memory == memory) return *link;
  }
  *link = calloc(1, sizeof **link);
  (*link)->memory = memory;
  return *link;
}

void ordering_forget(uint64_t memory) {
  pthread_mutex_lock(&lock);
  for (History** link = &histories[memory % BUCKETS]; *link != NULL; link = &(*link)->further) {
    if ((*link)->memory != memory) continue;
    History* const found = *link;
    *link = found->further;
    free(found);
    break;
  }
  pthread_mutex_unlock(&lock);
}

/* Whether two that touch these pages may meet. A page on the border of two parts of memory is no meeting. */
static int meet(uint64_t both, uint64_t one, uint64_t other) {
  if (__builtin_popcountll(both) != 1) return both != 0;
  return !(__builtin_popcountll(one) > 1 && __builtin_popcountll(other) > 1);
}

void ordering_touch(const Operation* by, uint64_t memory, uint64_t address, uint64_t read, uint64_t written) {
  if (by->slot < 0 || (read | written) == 0) return;
  Touch found = {.by = {.slot = -1}};
  pthread_mutex_lock(&lock);
  History* const history = history_of(memory);
  for (int i = 0; i < KEPT; ++i) {
    const Touch* const before = &history->touches[i];
    if (before->by.number == 0 || before->by.slot == by->slot || clocks[by->slot].of[before->by.slot] >= before->by.number) continue;
    const uint64_t all = before->read | before->written, both = (before->written & (read | written)) | (all & written);
    if (meet(both, all, read | written)) found = *before;
  }
  history->touches[history->next++ % KEPT] = (Touch){*by, read, written};
  pthread_mutex_unlock(&lock);
  if (found.by.slot < 0) return;
  mistakes_add("stream-race", address, "\"function\":\"%s\",\"write\":%d,\"stream\":%lu,\"other\":\"%s\",\"other_wrote\":%d,\"other_stream\":%lu", by->name,
               written != 0, (unsigned long)(uintptr_t)by->stream, found.by.name, found.written != 0, (unsigned long)(uintptr_t)found.by.stream);
}
