/* The memory of the pretend devices. It is host memory, aligned as cudaMalloc aligns, and begins as NaN, so that what
   nothing wrote is seen. Sizes are kept exactly. What is freed is kept for a while: its use can be named, and no new
   memory takes its place at once. */
#define _GNU_SOURCE
#include "memory.h"
#include "mistakes.h"
#include "ordering.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 512, POISON_LIMIT = 64 << 20, MOST_KEPT = 4096, MOST_KEPT_BYTES = 64 << 20 };

static pthread_mutex_t in_shadows = PTHREAD_MUTEX_INITIALIZER; /* taken before the other, never after it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Memory** there; /* sorted by address */
static size_t there_count, there_room;
static Memory* kept[MOST_KEPT]; /* freed, in a ring */
static size_t kept_first, kept_count, kept_bytes;
static uint64_t used[MAX_DEVICES], most_used[MAX_DEVICES], last_id;
static long generation; /* rises with each change */
static int running;     /* snapshots that are in use */
static Snapshot* latest[MAX_DEVICES];
static unsigned char peers[MAX_DEVICES][MAX_DEVICES];
static char* label;
static Shadows shadows;

/* ---- the list; all with the lock */

/* The place of the first that ends after an address. */
static size_t place_of(uint64_t address) {
  size_t low = 0, high = there_count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const Memory* const at = there[middle];
    if ((at->end > at->start ? at->end : at->start + 1) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

static Memory* at_address(uint64_t address) {
  const size_t place = place_of(address);
  return place < there_count && there[place]->start <= address ? there[place] : NULL;
}

static void insert(Memory* memory) {
  if (there_count == there_room) {
    there_room = there_room ? there_room * 2 : 64;
    there = realloc(there, sizeof *there * there_room);
  }
  const size_t place = place_of(memory->start);
  memmove(there + place + 1, there + place, sizeof *there * (there_count - place));
  there[place] = memory;
  ++there_count;
  ++generation;
}

static void remove_from_list(const Memory* memory) {
  const size_t place = place_of(memory->start);
  if (place == there_count || there[place] != memory) return;
  memmove(there + place, there + place + 1, sizeof *there * (there_count - place - 1));
  --there_count;
  ++generation;
}

static int is_ours(const Memory* memory) { return memory->kind != REGISTERED_MEMORY; }

/* Gives back what was freed longest ago, down to a bound; nothing while a kernel runs, which may still use it. */
static void forget(size_t most, size_t most_bytes) {
  while (running == 0 && kept_count > 0 && (kept_count > most || kept_bytes > most_bytes)) {
    Memory* const oldest = kept[kept_first];
    kept_first = (kept_first + 1) % MOST_KEPT;
    --kept_count;
    kept_bytes -= oldest->charged;
    if (is_ours(oldest)) free((void*)(uintptr_t)oldest->start);
    if (oldest->shadow != NULL) shadows.free(oldest->shadow);
    free(oldest);
  }
}

static void put_away(Memory* memory) {
  remove_from_list(memory);
  memory->freed = gpuwheel_fake_launch_number();
  used[memory->device] -= memory->kind == DEVICE_MEMORY || memory->kind == MANAGED_MEMORY ? memory->charged : 0;
  forget(MOST_KEPT - 1, MOST_KEPT_BYTES);
  if (kept_count == MOST_KEPT) return; /* a kernel runs for very long: this one is lost */
  kept[(kept_first + kept_count++) % MOST_KEPT] = memory;
  kept_bytes += memory->charged;
}

static Memory* described(void* start, size_t bytes, int device, MemoryKind kind, const char* by, const void* caller) {
  Memory* const made = calloc(1, sizeof *made);
  *made = (Memory){.start = (uint64_t)(uintptr_t)start, .end = (uint64_t)(uintptr_t)start + bytes, .id = ++last_id, .device = device, .kind = kind,
                   .made = gpuwheel_fake_launch_number(), .freed = -1, .by = by, .caller = caller, .label = label};
  return made;
}

/* ---- making and freeing */

int gpuwheel_fake_allocate(void** pointer, size_t bytes, int kind, const char* by, const void* caller) {
  const int device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
  const size_t rounded = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
  const int charged = kind == DEVICE_MEMORY || kind == MANAGED_MEMORY;
  size_t unused, total;
  gpuwheel_fake_memory(&unused, &total);
  void* const graph = gpuwheel_fake_graph_of_capture();
  pthread_mutex_lock(&lock);
  int result = SUCCESS;
  if ((charged && used[device] + rounded > total) || posix_memalign(pointer, kind == PINNED_MEMORY ? 4096 : ALIGNMENT, rounded) != 0) {
    forget(0, 0); /* it may be what is missing */
    result = OUT_OF_MEMORY;
  } else {
    Memory* const made = described(*pointer, bytes, device, (MemoryKind)kind, by, caller);
    made->charged = rounded;
    made->graph = graph;
    insert(made);
    if (charged) used[device] += rounded;
    if (used[device] > most_used[device]) most_used[device] = used[device];
  }
  pthread_mutex_unlock(&lock);
  if (result == SUCCESS && rounded <= POISON_LIMIT && kind != PINNED_MEMORY) memset(*pointer, 0xff, rounded);
  return result;
}

int memory_add(void* start, size_t bytes, int device, MemoryKind kind, const char* by) {
  pthread_mutex_lock(&lock);
  const size_t place = place_of((uint64_t)(uintptr_t)start);
  const int free_place = place == there_count || there[place]->start >= (uint64_t)(uintptr_t)start + bytes;
  if (free_place) insert(described(start, bytes, device, kind, by, NULL));
  pthread_mutex_unlock(&lock);
  return free_place ? SUCCESS : ALREADY_REGISTERED;
}

static int was_freed(uint64_t start) {
  for (size_t i = 0; i < kept_count; ++i) {
    if (kept[(kept_first + i) % MOST_KEPT]->start == start) return 1;
  }
  return 0;
}

/* INVALID_VALUE: not the beginning of memory of such a kind; it may have been freed before. */
int gpuwheel_fake_free(void* pointer, int host) {
  if (pointer == NULL) return SUCCESS;
  const uint64_t start = (uint64_t)(uintptr_t)pointer;
  pthread_mutex_lock(&lock);
  Memory* const found = at_address((uint64_t)(uintptr_t)pointer);
  const int matches = found != NULL && found->start == (uint64_t)(uintptr_t)pointer && !found->released &&
                      (host ? found->kind == PINNED_MEMORY : found->kind == DEVICE_MEMORY || found->kind == MANAGED_MEMORY);
  const uint64_t id = matches ? found->id : 0;
  if (matches && found->graph != NULL) found->released = 1;
  else if (matches) put_away(found);
  const int twice = !matches && (was_freed(start) || (found != NULL && found->start == start && found->released));
  pthread_mutex_unlock(&lock);
  if (matches) ordering_forget(id);
  else mistakes_add(twice ? "double-free" : "invalid-free", start, "\"function\":\"%s\"", host ? "cudaFreeHost" : "cudaFree");
  return matches ? SUCCESS : INVALID_VALUE;
}

int gpuwheel_fake_register(void* pointer, size_t bytes) {
  if (pointer == NULL || bytes == 0) return INVALID_VALUE;
  return memory_add(pointer, bytes, gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current(), REGISTERED_MEMORY, "cudaHostRegister");
}

int gpuwheel_fake_unregister(void* pointer) {
  pthread_mutex_lock(&lock);
  Memory* const found = at_address((uint64_t)(uintptr_t)pointer);
  const int matches = found != NULL && found->start == (uint64_t)(uintptr_t)pointer && found->kind == REGISTERED_MEMORY;
  if (matches) put_away(found);
  pthread_mutex_unlock(&lock);
  return matches ? SUCCESS : NOT_REGISTERED;
}

void memory_end_graph(void* graph) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < there_count;) {
    Memory* const memory = there[i];
    if (memory->graph == graph) {
      memory->graph = NULL;
      if (memory->released) {
        put_away(memory);
        continue;
      }
    }
    ++i;
  }
  pthread_mutex_unlock(&lock);
}

/* ---- what was written */

void memory_have_shadows(Shadows made) {
  pthread_mutex_lock(&lock);
  shadows = made;
  ++generation;
  pthread_mutex_unlock(&lock);
}

void memory_hold_shadows(void) { pthread_mutex_lock(&in_shadows); }
void memory_leave_shadows(void) { pthread_mutex_unlock(&in_shadows); }

void memory_written(const void* start, size_t bytes) {
  const uint64_t from = (uint64_t)(uintptr_t)start;
  memory_hold_shadows();
  pthread_mutex_lock(&lock);
  Memory* const found = at_address(from);
  if (found != NULL && found->shadow == NULL) found->written = 1;
  else if (found != NULL) shadows.written(found->shadow, from, bytes < found->end - from ? bytes : found->end - from);
  pthread_mutex_unlock(&lock);
  memory_leave_shadows();
}

/* By a test. */
void gpuwheel_fake_written(const void* pointer, size_t bytes) { memory_written(pointer, bytes); }

/* By an operator of torch, which runs on the CPU in the place of a kernel of this stream. */
void gpuwheel_fake_touched(void* stream, const void* pointer, size_t bytes, int write) {
  Memory memory;
  const uint64_t start = (uint64_t)(uintptr_t)pointer;
  if (write) memory_written(pointer, bytes);
  if (!ordering_is_checked() || bytes == 0 || !memory_find(start, &memory) || start < memory.start || start >= memory.end || memory.freed >= 0) return;
  const uint64_t last = bytes < memory.end - start ? start + bytes : memory.end;
  const uint64_t pages = ordering_pages(memory.start, memory.end, start, last);
  const Operation by = ordering_begin(stream, "an operator of torch");
  ordering_touch(&by, memory.id, start, write ? 0 : pages, write ? pages : 0);
}

/* What only the host sees being written counts as written. */
static void* shadow_of(Memory* memory) {
  if (memory->shadow == NULL && shadows.make != NULL && memory->end > memory->start) {
    memory->shadow = shadows.make(memory->start, memory->end, memory->written || memory->kind != DEVICE_MEMORY);
  }
  return memory->shadow;
}

/* ---- asking */


void gpuwheel_fake_memory(size_t* free_bytes, size_t* total) {
  const int device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
  *total = gpuwheel_fake_memory_bytes();
  pthread_mutex_lock(&lock);
  *free_bytes = *total > used[device] ? *total - used[device] : 0;
  pthread_mutex_unlock(&lock);
}

uint64_t gpuwheel_fake_memory_in_use(int device, uint64_t* most, int forget_most) {
  pthread_mutex_lock(&lock);
  const uint64_t now = used[device];
  if (forget_most) most_used[device] = now;
  *most = most_used[device];
  pthread_mutex_unlock(&lock);
  return now;
}

int gpuwheel_fake_pointer(const void* pointer, int* kind) {
  pthread_mutex_lock(&lock);
  const Memory* const found = at_address((uint64_t)(uintptr_t)pointer);
  const int device = found == NULL ? -1 : found->device;
  *kind = found == NULL ? -1 : (int)found->kind;
  pthread_mutex_unlock(&lock);
  return device;
}

int gpuwheel_fake_device_of(const void* pointer) {
  int kind;
  const int device = gpuwheel_fake_pointer(pointer, &kind);
  return kind == PINNED_MEMORY || kind == REGISTERED_MEMORY ? -1 : device;
}

static uint64_t distance(const Memory* memory, uint64_t address) {
  return address < memory->start ? memory->start - address : address >= memory->end ? address - memory->end + 1 : 0;
}

int memory_find(uint64_t address, Memory* copy) {
  pthread_mutex_lock(&lock);
  const size_t place = place_of(address);
  const Memory* best = NULL;
  for (size_t i = place > 0 ? place - 1 : 0; i < there_count && i <= place; ++i) {
    if (best == NULL || distance(there[i], address) < distance(best, address)) best = there[i];
  }
  for (size_t i = kept_count; i-- > 0;) { /* the newest first */
    const Memory* const freed = kept[(kept_first + i) % MOST_KEPT];
    if (best == NULL || (distance(best, address) > 0 && distance(freed, address) == 0)) best = freed;
  }
  if (best != NULL) *copy = *best;
  pthread_mutex_unlock(&lock);
  return best != NULL;
}

long memory_each(long index, Memory* copy) {
  pthread_mutex_lock(&lock);
  const int found = index >= 0 && (size_t)index < there_count;
  if (found) *copy = *there[index];
  pthread_mutex_unlock(&lock);
  return found ? index + 1 : -1;
}

/* The labels are few, and reports hold on to them: none is freed. */
void gpuwheel_fake_label(const char* text) {
  pthread_mutex_lock(&lock);
  label = text == NULL ? NULL : strdup(text);
  pthread_mutex_unlock(&lock);
}

/* ---- what kernels may touch */

void gpuwheel_fake_peer(int device, int peer, int on) {
  pthread_mutex_lock(&lock);
  peers[device][peer] = (unsigned char)on;
  ++generation;
  pthread_mutex_unlock(&lock);
}

static int may_touch(int device, const Memory* memory) {
  if (memory->kind != DEVICE_MEMORY && memory->kind != VARIABLE_MEMORY) return 1;
  return memory->device == device || peers[device][memory->device];
}

static void drop(Snapshot* snapshot) {
  if (snapshot != NULL && --snapshot->users == 0) free(snapshot);
}

Snapshot* memory_snapshot(int device) {
  pthread_mutex_lock(&lock);
  Snapshot* snapshot = latest[device];
  if (snapshot == NULL || snapshot->generation != generation) {
    drop(snapshot);
    snapshot = latest[device] = malloc(sizeof *snapshot + sizeof *snapshot->ranges * (there_count + 1));
    *snapshot = (Snapshot){.users = 1, .generation = generation};
    for (size_t i = 0; i < there_count; ++i) {
      Memory* const memory = there[i];
      if (may_touch(device, memory)) snapshot->ranges[snapshot->count++] = (MemoryRange){memory->start, memory->end, shadow_of(memory), memory->id};
    }
  }
  ++snapshot->users;
  ++running;
  pthread_mutex_unlock(&lock);
  return snapshot;
}

void memory_give_back(Snapshot* snapshot) {
  pthread_mutex_lock(&lock);
  --running;
  drop(snapshot);
  forget(MOST_KEPT - 1, MOST_KEPT_BYTES);
  pthread_mutex_unlock(&lock);
}
