/* Memory that kernels may touch: of devices, managed, and of the host where it is pinned or registered. */
#ifndef GPUWHEEL_MEMORY_H
#define GPUWHEEL_MEMORY_H

#include "fake.h"

typedef enum MemoryKind { DEVICE_MEMORY, MANAGED_MEMORY, PINNED_MEMORY, REGISTERED_MEMORY, VARIABLE_MEMORY } MemoryKind;

typedef struct Memory {
  uint64_t start, end; /* exactly what was asked for */
  uint64_t id;         /* counts from 1 */
  size_t charged;      /* what it takes of its device */
  int device;
  MemoryKind kind;
  long made, freed;    /* how many launches there were before; freed: -1 while it is there */
  const char* by;      /* the function that was called, or the variable */
  const void* caller;  /* the place that it was called from */
  char* label;         /* what ran then: a test */
  void* graph;         /* it was made while that was captured, and lives as long */
  int released;        /* nobody but the graph needs it */
  void* shadow;        /* what is known of its bytes (ptx/native/check_global.c); NULL: nothing yet */
  int written;         /* the host wrote into it before there was a shadow */
} Memory;

/* What a snapshot holds of each: machine.h's Range. */
typedef struct MemoryRange {
  uint64_t start, end;
  void* shadow;
  uint64_t id;
} MemoryRange;

typedef struct Snapshot {
  int users;
  long generation;
  uint32_t count;
  MemoryRange ranges[]; /* sorted by address */
} Snapshot;

/* What a device may touch now. The ranges stay usable, and their memory stays where it is, until it is given back. */
Snapshot* memory_snapshot(int device);
void memory_give_back(Snapshot*);

/* The memory that an address lies in, or that is nearest to it; freed memory too, if it is remembered. 0: there is none.
   Texts of the copy are good until the process ends. */
int memory_find(uint64_t address, Memory* copy);

int memory_add(void* start, size_t bytes, int device, MemoryKind kind, const char* by);
void memory_end_graph(void* graph);
void memory_written(const void* start, size_t bytes); /* by the host */

/* How shadows are made, from when the interpreter is there. */
typedef struct Shadows {
  void* (*make)(uint64_t start, uint64_t end, int written);
  void (*written)(void* shadow, uint64_t start, uint64_t bytes);
  void (*free)(void* shadow);
} Shadows;
void memory_have_shadows(Shadows);
/* While a launch runs shadows are its own: what the host writes meanwhile waits until they are left. */
void memory_hold_shadows(void);
void memory_leave_shadows(void);
/* What is there now, one after the other: -1 when there is no more. */
long memory_each(long index, Memory* copy);

#endif
