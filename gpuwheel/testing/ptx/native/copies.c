/* Copies that end later (PTX ISA, 9.7.9.25): cp.async gives its bytes when its group is waited for, as late as the manual
   allows; until then the destination holds NaN. And mbarrier objects (9.7.13.13), whose 64 bits are ours to lay out. */
#include "copies.h"
#include "later.h"
#include "check_hooks.h"

typedef struct Copy {
  u8 bytes[16];
  u8* to;
  u32 size, thread, group;
  u32 done;
} Copy;

typedef struct Copies {
  Copy* list;
  u32 count, room;
  u32* group; /* of each thread: how many were committed */
} Copies;

int copies_begin(Block* b) {
  Copies* const made = calloc(1, sizeof *made);
  if (made) made->group = calloc(b->threads, sizeof *made->group);
  b->copies = made;
  return made != NULL && made->group != NULL;
}

void copies_block(Block* b) {
  Copies* const c = b->copies;
  c->count = 0;
  memset(c->group, 0, b->threads * sizeof *c->group);
}

void copies_end(Block* b) {
  Copies* const c = b->copies;
  if (c == NULL) return;
  free(c->list);
  free(c->group);
  free(c);
  b->copies = NULL;
}

void copy_later(Warp* w, const Instruction* i, u32 lane, u64 to, u64 from, u32 size, u32 source_size) {
  Copies* const c = w->block->copies;
  if (size != 4 && size != 8 && size != 16) { /* the manual has no other */
    report(w, i, lane, NO_MEANING);
    return stop(w->block->launch, 801);
  }
  u8* const target = at_shared(w, i, lane, to, size, size, WRITE);
  const u8* const source = source_size ? at_global(w, i, lane, from, source_size < size ? source_size : size, source_size < size ? 1 : size, READ) : NULL;
  if (target == NULL) return;
  if (c->count == c->room) {
    const u32 room = c->room ? c->room * 2 : 256;
    Copy* const grown = realloc(c->list, room * sizeof *grown);
    if (grown == NULL) return stop(w->block->launch, 2);
    c->list = grown;
    c->room = room;
  }
  const u32 thread = w->index * LANES + lane;
  Copy* const made = &c->list[c->count++];
  *made = (Copy){.to = target, .size = size, .thread = thread, .group = c->group[thread]};
  if (source) memcpy(made->bytes, source, source_size < size ? source_size : size);
  memset(target, 0xff, size);
  check_copy(w, i, lane, target, size, 0);
}

/* Those of a thread that are older than `before`, in their order. */
static void deliver(Warp* w, const Instruction* i, u32 lane, u32 before) {
  Copies* const c = w->block->copies;
  const u32 thread = w->index * LANES + lane;
  u32 kept = 0;
  for (u32 k = 0; k < c->count; ++k) {
    Copy* const each = &c->list[k];
    if (each->thread == thread && each->group < before) {
      memcpy(each->to, each->bytes, each->size);
      check_copy(w, i, lane, each->to, each->size, 1);
    } else {
      c->list[kept++] = *each;
    }
  }
  c->count = kept;
}

void copies_commit(Warp* w, u32 lane) {
  Copies* const c = w->block->copies;
  c->group[w->index * LANES + lane]++;
}

/* cp.async.wait_group n: all but the n groups that were committed last. */
void copies_wait(Warp* w, const Instruction* i, u32 lane, u32 but) {
  const Copies* const c = w->block->copies;
  const u32 committed = c->group[w->index * LANES + lane];
  deliver(w, i, lane, committed > but ? committed - but : 0);
}

void copies_wait_all(Warp* w, const Instruction* i, u32 lane) { deliver(w, i, lane, ~0u); }

/* ---- mbarrier: 20 bits expected arrivals, 20 bits pending ones, 23 bits of bytes that are to come, and the phase */

enum { COUNT_BITS = 20, BYTES_AT = 40 };
static const u64 COUNT = (1u << COUNT_BITS) - 1, BYTES = (1u << 23) - 1, PHASE = 1ull << 63;

static u64 expected_of(u64 bits) { return bits & COUNT; }
static u64 pending_of(u64 bits) { return bits >> COUNT_BITS & COUNT; }
static u64 bytes_of(u64 bits) { return bits >> BYTES_AT & BYTES; }
static u64 made_of(u64 phase, u64 bytes, u64 pending, u64 expected) {
  return phase | (bytes & BYTES) << BYTES_AT | (pending & COUNT) << COUNT_BITS | (expected & COUNT);
}

static u64 settled(u64 bits) {
  if (pending_of(bits) || bytes_of(bits)) return bits;
  return made_of((bits & PHASE) ^ PHASE, 0, expected_of(bits), expected_of(bits));
}

u8* barrier_at(Warp* w, const Instruction* i, u32 lane, u64 address, Access access) {
  return address >> 32 ? at_generic(w, i, lane, address, 8, 8, access) : at_shared(w, i, lane, address, 8, 8, access);
}

void barrier_init(Warp* w, const Instruction* i, u32 lane, u64 address, u32 count) {
  u8* const at = barrier_at(w, i, lane, address, WRITE);
  const u64 bits = made_of(0, 0, count, count);
  if (at) memcpy(at, &bits, 8);
}

/* An arrival of `count`, of which `drop` are not expected any more, after `bytes` more are. Returns the state before. */
u64 barrier_arrive(Warp* w, const Instruction* i, u32 lane, u64 address, u32 count, s32 bytes, u32 drop) {
  u8* const at = barrier_at(w, i, lane, address, ATOMIC);
  u64 before = 0;
  if (at == NULL) return 0;
  memcpy(&before, at, 8);
  if (count > pending_of(before)) {
    report(w, i, lane, BAD_BARRIER);
    return before;
  }
  check_arrived(w, 1u << lane, NAMED_BARRIERS);
  const u64 after = settled(made_of(before & PHASE, bytes_of(before) + (u64)(s64)bytes, pending_of(before) - count, expected_of(before) - drop));
  memcpy(at, &after, 8);
  return before;
}

/* Bytes have come, of which some arrival told or will tell. */
void barrier_complete(u8* at, u32 bytes) {
  u64 before;
  memcpy(&before, at, 8);
  const u64 after = settled(made_of(before & PHASE, bytes_of(before) - bytes, pending_of(before), expected_of(before)));
  memcpy(at, &after, 8);
}

/* Whether the phase of this state is over. */
u32 barrier_passed(Warp* w, const Instruction* i, u32 lane, u64 address, u64 state) {
  const u8* const at = barrier_at(w, i, lane, address, ATOMIC);
  u64 now = 0;
  if (at) later_arrived(w, at);
  if (at) memcpy(&now, at, 8);
  const u32 passed = at == NULL || (now & PHASE) != (state & PHASE);
  if (passed) check_passed(w, 1u << lane, NAMED_BARRIERS);
  return passed;
}

u32 barrier_passed_parity(Warp* w, const Instruction* i, u32 lane, u64 address, u32 parity) {
  return barrier_passed(w, i, lane, address, parity & 1 ? PHASE : 0);
}

u32 barrier_pending(u64 state) { return (u32)pending_of(state); }
