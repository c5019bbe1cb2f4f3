/* What is ordered before what: by streams, events and synchronisations (CUDA C++ guide, "Asynchronous concurrent execution"). */
#ifndef GPUWHEEL_ORDERING_H
#define GPUWHEEL_ORDERING_H

#include "fake.h"

enum { MOST_CLOCKS = 256, PAGES = 64 };

/* What had been submitted to each stream, of what happens before something. */
typedef struct Clock {
  uint64_t of[MOST_CLOCKS];
} Clock;

typedef struct Operation {
  int slot; /* of its stream; -1: not followed */
  uint64_t number;
  const char* name; /* that outlives it: a kernel, a function of CUDA */
  void* stream;
} Operation;

int ordering_is_checked(void);
/* The next operation of a stream, or of that in which a graph is launched. */
Operation ordering_begin(void* stream, const char* name);
/* It touches pages of memory, 64 to each allocation: reported if another stream's operation that touched them is not
   ordered before it, and one of the two wrote. */
void ordering_touch(const Operation*, uint64_t memory, uint64_t address, uint64_t read, uint64_t written);
uint64_t ordering_pages(uint64_t start, uint64_t end, uint64_t first, uint64_t last);
void ordering_forget(uint64_t memory);
void ordering_record(Clock* event, void* stream);
void ordering_wait(void* stream, const Clock* event);
void ordering_host_waits(void* stream);          /* for a stream */
void ordering_host_waits_for_all(void);
void ordering_host_waits_for(const Clock* event);
void ordering_end_stream(void* stream);
void ordering_replay(void* stream);              /* operations of this thread belong to it; -1: to their own again */

#endif
