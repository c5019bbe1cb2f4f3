/* What is under way: until it is waited for, a destination in shared memory holds NaN, and a source is not read. */
#include "later.h"
#include "atomics.h"
#include "check_hooks.h"
#include "copies.h"

enum { AT_ONCE = 16 }; /* bulk operations move multiples of that */

typedef struct Later {
  u8* to;
  const u8* from; /* NULL: `value` */
  u8 value[AT_ONCE];
  u32 bytes, mask;
  u8* barrier; /* NULL: of a group */
  Block* there; /* whose shared memory gets it, or NULL */
  u32 thread, group;
  Reduction reduction;
  Element element;
} Later;

/* What a block has begun. */
typedef struct Begun {
  Later* list;
  u32 count, room;
  u32* group; /* of each thread: how many were committed */
} Begun;

int later_begin(Block* b) {
  Begun* const made = calloc(1, sizeof *made);
  if (made) made->group = calloc(b->threads, sizeof *made->group);
  b->later = made;
  return made != NULL && made->group != NULL;
}

/* ---- what an operation does, in the end */

#define INTEGER(T)                                                   \
  do {                                                               \
    T x, y;                                                          \
    memcpy(&x, to, sizeof x);                                        \
    memcpy(&y, from, sizeof y);                                      \
    switch (reduction) {                                             \
      case REDUCE_add: x = (T)((u64)x + (u64)y); break;              \
      case REDUCE_min: x = y < x ? y : x; break;                     \
      case REDUCE_max: x = y > x ? y : x; break;                     \
      case REDUCE_and: x &= y; break;                                \
      case REDUCE_or: x |= y; break;                                 \
      case REDUCE_xor: x ^= y; break;                                \
      case REDUCE_inc: x = x >= y ? 0 : x + 1; break;                \
      case REDUCE_dec: x = x == 0 || x > y ? y : x - 1; break;       \
      default: break;                                                \
    }                                                                \
    memcpy(to, &x, sizeof x);                                        \
    return sizeof x;                                                 \
  } while (0)

#define FLOATING(T, added, least_, most_)                            \
  do {                                                               \
    T x, y;                                                          \
    memcpy(&x, to, sizeof x);                                        \
    memcpy(&y, from, sizeof y);                                      \
    x = reduction == REDUCE_min ? least_ : reduction == REDUCE_max ? most_ : added; \
    memcpy(to, &x, sizeof x);                                        \
    return sizeof x;                                                 \
  } while (0)

/* One element; gives its bytes. */
static u32 reduce_one(u8* to, const u8* from, Reduction reduction, Element element) {
  switch (element) {
    case OF_b32: case OF_u32: INTEGER(u32);
    case OF_s32: INTEGER(s32);
    case OF_b64: case OF_u64: INTEGER(u64);
    case OF_s64: INTEGER(s64);
    case OF_f16: FLOATING(u16, add_f16(x, y), min_f16(x, y), max_f16(x, y));
    case OF_bf16: FLOATING(u16, add_bf16(x, y), min_bf16(x, y), max_bf16(x, y));
    case OF_f32: FLOATING(u32, add_f32_global(x, as_f32(y)), x, x);
    default: FLOATING(u64, add_f64(x, as_f64(y)), x, x);
  }
}

static void do_it(const Later* l) {
  const u8* const from = l->from ? l->from : l->value;
  if (l->reduction != COPIED) {
    for (u32 at = 0; at < l->bytes;) at += reduce_one(l->to + at, from + at, l->reduction, l->element);
  } else if (l->mask == 0xffff) {
    memcpy(l->to, from, l->bytes);
  } else {
    for (u32 at = 0; at < l->bytes; ++at) {
      if (l->mask >> at % AT_ONCE & 1) l->to[at] = from[at];
    }
  }
  if (l->there && l->there->shadow) check_landed(l->there, (u32)(l->to - l->there->shared), l->bytes);
  if (l->barrier) barrier_complete(l->barrier, l->bytes);
}

/* Those of a thread that are in groups before `before`, or those of a barrier; in their order. */
static void finish(Block* b, u32 thread, u32 before, const u8* barrier) {
  Begun* const begun = b->later;
  u32 kept = 0;
  for (u32 k = 0; k < begun->count; ++k) {
    const Later each = begun->list[k];
    const int mine = each.barrier == NULL && each.thread == thread && each.group < before;
    if (barrier ? each.barrier == barrier : mine) do_it(&each);
    else begun->list[kept++] = each;
  }
  begun->count = kept;
}

void later_arrived(Warp* w, const u8* barrier) {
  Block* const first = w->block->cluster;
  for (u32 k = 0; k < first->cluster_size; ++k) {
    if (((Begun*)first[k].later)->count) finish(&first[k], 0, 0, barrier);
  }
}

void later_commit(Warp* w, u32 lane) { ((Begun*)w->block->later)->group[w->index * LANES + lane]++; }

void later_wait(Warp* w, u32 lane, u32 but) {
  const u32 thread = w->index * LANES + lane, committed = ((Begun*)w->block->later)->group[thread];
  finish(w->block, thread, committed > but ? committed - but : 0, NULL);
}

/* The block began anew, or ends: what nobody waited for comes now where it goes to global memory. */
void later_block(Block* b) {
  Begun* const begun = b->later;
  for (u32 k = 0; k < begun->count; ++k) {
    if (begun->list[k].there == NULL) do_it(&begun->list[k]);
  }
  begun->count = 0;
  memset(begun->group, 0, b->threads * sizeof *begun->group);
}

void later_end(Block* b) {
  Begun* const begun = b->later;
  if (begun == NULL) return;
  if (begun->group) later_block(b);
  free(begun->list);
  free(begun->group);
  free(begun);
  b->later = NULL;
}

/* ---- how they begin */

static void begin(Warp* w, u32 lane, Later made) {
  Begun* const begun = w->block->later;
  if (begun->count == begun->room) {
    const u32 room = begun->room ? begun->room * 2 : 64;
    Later* const grown = realloc(begun->list, room * sizeof *grown);
    if (grown == NULL) return stop(w->block->launch, 2);
    begun->list = grown;
    begun->room = room;
  }
  made.thread = w->index * LANES + lane;
  made.group = begun->group[made.thread];
  begun->list[begun->count++] = made;
}

/* Whose shared memory an address is in: it was looked up, and is in one. */
static Block* owner_of(const Warp* w, u64 address) {
  const u32 rank = (u32)address >> RANK_SHIFT;
  return &w->block->cluster[rank];
}

static int is_whole(Warp* w, const Instruction* i, u32 lane, u32 bytes) {
  if (bytes % AT_ONCE == 0) return 1;
  Report* const made = report(w, i, lane, MISALIGNED);
  if (made) made->bytes = bytes;
  return 0;
}

void later_to_shared(Warp* w, const Instruction* i, u32 lane, u64 to, u64 from, u32 bytes, u64 barrier, u32 blocks) {
  if (!is_whole(w, i, lane, bytes) || bytes == 0) return;
  const u8* const source = at_global(w, i, lane, from, bytes, AT_ONCE, READ);
  const u32 inside = (1u << RANK_SHIFT) - 1;
  if (source == NULL) return;
  for (u32 rank = 0; rank < (blocks & MANY_BLOCKS ? 16u : 1u); ++rank) {
    if (blocks & MANY_BLOCKS && !(blocks >> rank & 1)) continue;
    const u64 above = (u64)rank << RANK_SHIFT;
    const u64 there = blocks ? above | (to & inside) : to, told = blocks ? above | (barrier & inside) : barrier;
    u8* const target = at_shared(w, i, lane, there, bytes, AT_ONCE, WRITE | PENDING_COPY);
    u8* const at = barrier_at(w, i, lane, told, ATOMIC);
    if (target == NULL || at == NULL) return;
    memset(target, 0xff, bytes);
    begin(w, lane, (Later){.to = target, .from = source, .bytes = bytes, .mask = 0xffff, .barrier = at, .there = owner_of(w, there)});
  }
}

void later_across(Warp* w, const Instruction* i, u32 lane, u64 to, u64 from, u32 bytes, u64 barrier, Reduction reduction, Element element) {
  if (!is_whole(w, i, lane, bytes) || bytes == 0) return;
  const u8* const source = at_shared(w, i, lane, from, bytes, AT_ONCE, READ);
  u8* const target = at_shared(w, i, lane, to, bytes, AT_ONCE, reduction == COPIED ? WRITE | PENDING_COPY : ATOMIC);
  u8* const at = barrier_at(w, i, lane, barrier, ATOMIC);
  if (source == NULL || target == NULL || at == NULL) return;
  if (reduction == COPIED) memset(target, 0xff, bytes);
  begin(w, lane, (Later){.to = target, .from = source, .bytes = bytes, .mask = 0xffff, .barrier = at, .there = owner_of(w, to), .reduction = reduction, .element = element});
}

void later_to_global(Warp* w, const Instruction* i, u32 lane, u64 to, u64 from, u32 bytes, u32 mask, Reduction reduction, Element element) {
  if (!is_whole(w, i, lane, bytes) || bytes == 0) return;
  const u8* const source = at_shared(w, i, lane, from, bytes, AT_ONCE, READ);
  u8* const target = at_global(w, i, lane, to, bytes, AT_ONCE, reduction == COPIED ? WRITE : ATOMIC);
  if (source == NULL || target == NULL) return;
  begin(w, lane, (Later){.to = target, .from = source, .bytes = bytes, .mask = mask, .reduction = reduction, .element = element});
}

void later_value(Warp* w, const Instruction* i, u32 lane, u64 to, const void* value, u32 bytes, u64 barrier, Reduction reduction, Element element) {
  u8* const target = at_shared(w, i, lane, to, bytes, bytes, reduction == COPIED ? WRITE | PENDING_COPY : ATOMIC);
  u8* const at = barrier_at(w, i, lane, barrier, ATOMIC);
  if (target == NULL || at == NULL) return;
  if (reduction == COPIED) memset(target, 0xff, bytes);
  Later made = {.to = target, .bytes = bytes, .mask = 0xffff, .barrier = at, .there = owner_of(w, to), .reduction = reduction, .element = element};
  memcpy(made.value, value, bytes);
  begin(w, lane, made);
}
