/* Shadow memory: what is known of each byte beside its value. What is checked, and what is not:
   - A byte of shared, local or global memory that nothing wrote since it was made may not be read.
   - Two accesses of one byte of shared memory by two threads of a block, one of them a write, need a barrier, a meeting
     of their warp, a fence or a release of the one before an atomic or a strong read of the other, or atomics. Threads that write the same value are left alone, as racecheck leaves them.
   - Two accesses of one byte of global memory by two blocks of a launch, one of them a write, need atomics: either both
     are, or an atomic after a fence of the first is met by an atomic or a strong read of the second.
   - What a warp wrote to global memory another of its block may not touch before a barrier of both.
   - What cp.async has not been waited for may not be read.
   A clock of a warp is its `epoch`: it rises when some of its lanes meet and when they come to a barrier or pass it. */
#ifndef GPUWHEEL_PTX_CHECK_H
#define GPUWHEEL_PTX_CHECK_H

#include "check_hooks.h"

enum { MOST_WARPS = 32, RELEASES = NAMED_BARRIERS + 1, MEETING_PLACES }; /* RELEASES: fences, and releases in shared memory */

/* Who touched a word of shared memory last (or a byte, where words are shared): a thread, or lanes of a warp that read
   it. Both are numbers plus one. */
typedef struct Cell {
  u32 block; /* counts the blocks that used this shadow: another one's cells are as new */
  u16 writer, reader;
  u32 wrote_at, read_at; /* clocks of their warps */
  u32 lanes;             /* of the reader */
} Cell;
enum {
  THREAD = 0x7ff,
  BY_ATOMIC = 0x8000, WRITTEN = 0x4000, PENDING = 0x2000, NOBODYS = 0x1000, /* of writer; PENDING: a copy may still come */
  WARP = 0x3f, MANY_WARPS = 0x8000, SPLIT = 0x2000, STRONGLY = 0x4000 /* of reader; SPLIT: of a word, its bytes have cells */
};

/* A write over what another thread wrote: whether the value changes is seen when it is done. */
typedef struct Doubt {
  Warp* warp; /* NULL: none */
  const Instruction* instruction;
  u32 lane, bytes, kind, other, other_block;
  u64 address; /* as it is told */
  const u8* place;
  u8 before[16];
} Doubt;

enum { FRESH = 1, SPENT = 2 };

/* Who released what (check_order.c). */
typedef struct Orders Orders;
/* What lanes know that the whole of their warp does not (check_meetings.c). */
typedef struct Meetings Meetings;

/* Of a launch. */
typedef struct LaunchCheck {
  u32 number; /* of the launches of this process; never 0 */
  u32 users;  /* blocks */
  Orders* orders;
  Doubt doubt;
} LaunchCheck;

/* Of a block: Block.shadow. */
typedef struct BlockCheck {
  LaunchCheck* launch;
  u64 owner;     /* launch and block: who owns lines of global memory (check_global.c) */
  u32 checks, warps;
  u32 count;     /* of blocks so far: Cell.block */
  u32 released;  /* how often it released */
  u32 fenced;    /* FRESH, SPENT or 0 (no fence yet) */
  u32 mark;      /* how often it had released at the last fence: what came before is covered by it */
  u32 *learned, learned_count, learned_room; /* of orders */
  Cell *words, *bytes;
  u32* readers;  /* for each byte the clock plus one of each warp that read it; where many did */
  u8* local;     /* a bit for each byte of local memory: written */
  u64 local_bytes;
  u32 known[MOST_WARPS][MOST_WARPS];         /* by a warp, of another: its clock plus one at the last barrier of both */
  u32 at_barrier[MEETING_PLACES][MOST_WARPS]; /* what those that arrived knew */
  int releases;                                   /* whether any thread of the block released */
  Meetings* meetings;                             /* NULL: so far whole warps met */
} BlockCheck;

/* check_meetings.c */
void meetings_begin(BlockCheck*);
u32 lanes_not_known(const BlockCheck*, const Warp*, u32 lane, u32 warp, u32 clock, u32 lanes);
int knows_some(const BlockCheck*, const Warp*, u32 lane, u32 warp, u32 clock); /* of any lanes of that warp */

static inline BlockCheck* check_of(const Warp* w) { return w->block->shadow; }
static inline u32 clock_now(const Warp* w) { return (u32)w->epoch; }

/* Those of these lanes of a warp, which did something at that clock, of whom lane `lane` of warp w does not know it. */
static inline u32 not_known(const BlockCheck* c, const Warp* w, u32 lane, u32 warp, u32 clock, u32 lanes) {
  if (warp == w->index) {
    if (clock < w->met_at) return 0;
    lanes &= ~(1u << lane);
  } else if (c->known[w->index][warp] > clock) {
    return 0;
  }
  return lanes == 0 || c->meetings == NULL ? lanes : lanes_not_known(c, w, lane, warp, clock, lanes);
}

void settle_doubt(LaunchCheck*);
void doubt(Warp*, const Instruction*, u32 lane, Doubt);

/* check_order.c: atomics by which blocks tell each other what they have done. */
void orders_atomic(BlockCheck*, u64 address, u32 block);
void orders_learn(BlockCheck*, u64 address);
int orders_knows(const BlockCheck*, u32 block, u32 released);
void orders_free(Orders*);

/* check_global.c */
void* gpuwheel_ptx_shadow(u64 start, u64 end, int written);
void gpuwheel_ptx_written(void* shadow, u64 start, u64 bytes);
void gpuwheel_ptx_shadow_free(void* shadow);

#endif
