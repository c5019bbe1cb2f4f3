/* Shared memory: reads of what nothing wrote, races of a block's threads, copies that nobody waited for. */
#include "check.h"
#include "copies.h"
#include "later.h"

#include <stdio.h>

typedef struct Found {
  u32 kind, other; /* kind: a ReportKind, or REPORT_KINDS for nothing; other: a thread */
  const char* how; /* that one touched it */
} Found;

typedef struct Touch {
  Warp* w;
  BlockCheck* c;
  u32 thread; /* plus one */
  Access access;
} Touch;

static u32 lane_of(const Touch* t) { return (t->thread - 1) % LANES; }

static int is_ordered(const Touch* t, u32 other, u32 clock) {
  return !not_known(t->c, t->w, lane_of(t), (other - 1) / LANES, clock, 1u << (other - 1) % LANES);
}

/* A thread that read it, plus one, which this access is not ordered after; 0: there is none. */
static u32 unordered_reader(const Touch* t, const Cell* cell, const u32* readers) {
  const u32 reader = cell->reader & WARP;
  if (reader == 0) return 0;
  if (cell->reader & MANY_WARPS) {
    for (u32 k = 0; k < t->c->warps; ++k) {
      if (readers[k] && k != t->w->index && !knows_some(t->c, t->w, lane_of(t), k, readers[k] - 1)) return k * LANES + 1;
    }
    return 0;
  }
  const u32 lanes = not_known(t->c, t->w, lane_of(t), reader - 1, cell->read_at, cell->lanes);
  return lanes ? (reader - 1) * LANES + (u32)__builtin_ctz(lanes) + 1 : 0;
}

static void add_reader(const Touch* t, Cell* cell, u32* readers) {
  const u32 reader = cell->reader & WARP, warp = t->w->index, now = clock_now(t->w), me = 1u << lane_of(t);
  const u16 split = cell->reader & SPLIT, strongly = t->access & STRONG ? STRONGLY : 0;
  if (!strongly) cell->reader &= (u16)~STRONGLY;
  if (cell->reader & MANY_WARPS) {
    readers[warp] = now + 1;
    return;
  }
  const u32 before = reader ? not_known(t->c, t->w, lane_of(t), reader - 1, cell->read_at, cell->lanes) : 0;
  if (before == 0) {
    cell->reader = (u16)((warp + 1) | split | strongly);
    cell->read_at = now;
    cell->lanes = me;
  } else if (reader - 1 == warp) {
    cell->lanes = before | me; /* of reads at several times the first counts */
  } else {
    memset(readers, 0, t->c->warps * sizeof *readers);
    readers[reader - 1] = cell->read_at + 1;
    readers[warp] = now + 1;
    cell->reader |= MANY_WARPS;
  }
}

static Found touch(const Touch* t, Cell* cell, u32* readers) {
  Found found = {REPORT_KINDS, 0, ""};
  if (cell->block != t->c->count) *cell = (Cell){.block = t->c->count};
  if (unlikely(cell->writer & NOBODYS)) return (Found){SHARED_OUT_OF_BOUNDS, 0, "gap"};
  const u32 writer = cell->writer & THREAD, kind = t->access & KIND_OF_ACCESS;
  const u16 split = cell->reader & SPLIT;
  const int both_atomic = (cell->writer & BY_ATOMIC) && (kind == ATOMIC || t->access & STRONG);
  if (cell->writer & PENDING && !(t->access & (LANDING | PENDING_COPY))) {
    found = (Found){UNFINISHED_COPY, writer - 1, "copies to"};
  } else if (writer && !both_atomic && !is_ordered(t, writer, cell->wrote_at)) {
    found = (Found){SHARED_RACE, writer - 1, cell->writer & BY_ATOMIC ? "changed atomically" : "wrote"};
  } else if (kind != WRITE && !(cell->writer & WRITTEN) && !(t->access & TILE)) {
    found = (Found){SHARED_UNINITIALISED, 0, ""};
    cell->writer |= WRITTEN;
  }
  if (kind == READ) {
    if (found.kind == SHARED_RACE || found.kind == UNFINISHED_COPY) cell->writer = WRITTEN; /* it was told */
    add_reader(t, cell, readers);
    return found;
  }
  /* Strong reads race with no atomic or release. Volatile ones do with volatile writes: that lanes run in step is gone. */
  const int told = cell->reader & STRONGLY && (kind == ATOMIC || t->access & RELEASE);
  const u32 reader = found.kind == REPORT_KINDS && !told && !(t->access & LANDING) ? unordered_reader(t, cell, readers) : 0;
  if (reader) found = (Found){SHARED_RACE, reader - 1, "read"};
  /* an atomic of the thread that has just written plainly orders that write for nobody */
  const int plain = kind != ATOMIC || (writer == t->thread && !(cell->writer & BY_ATOMIC) && cell->wrote_at == clock_now(t->w));
  const u32 pending = t->access & PENDING_COPY ? PENDING | (cell->writer & WRITTEN) : WRITTEN;
  cell->writer = (u16)(t->thread | pending | (plain && !(t->access & STRONG) ? 0 : BY_ATOMIC));
  cell->wrote_at = clock_now(t->w);
  cell->reader = split;
  return found;
}

/* From here on the bytes of a word have cells of their own. */
static void split_word(BlockCheck* c, u32 word) {
  Cell* const cell = &c->words[word];
  if (cell->block != c->count) *cell = (Cell){.block = c->count};
  if (cell->reader & SPLIT) return;
  for (u32 k = 0; k < 4; ++k) {
    c->bytes[4 * word + k] = *cell;
    if (k && cell->reader & MANY_WARPS) {
      memcpy(c->readers + (u64)(4 * word + k) * c->warps, c->readers + (u64)4 * word * c->warps, c->warps * sizeof *c->readers);
    }
  }
  cell->reader |= SPLIT;
}

static Found touch_word(const Touch* t, u32 offset, u32 bytes) {
  BlockCheck* const c = t->c;
  const u32 word = offset / 4;
  Cell* const cell = &c->words[word];
  if (bytes == 4 && !(cell->block == c->count && cell->reader & SPLIT)) return touch(t, cell, c->readers + (u64)4 * word * c->warps);
  split_word(c, word);
  Found first = {REPORT_KINDS, 0, ""};
  for (u32 k = offset; k < offset + bytes; ++k) {
    const Found found = touch(t, &c->bytes[k], c->readers + (u64)k * c->warps);
    if (found.kind < first.kind) first = found;
  }
  return first;
}

static void tell(const Touch* t, const Instruction* i, u32 lane, u32 offset, u32 bytes, Found found) {
  const Block* const b = t->w->block;
  const u32 kind = t->access & KIND_OF_ACCESS;
  if (found.kind == SHARED_OUT_OF_BOUNDS ? 0 : found.kind == SHARED_UNINITIALISED ? !(t->c->checks & CHECK_UNINITIALISED) : !(t->c->checks & CHECK_SHARED)) return;
  if (found.kind == SHARED_RACE && kind == WRITE && found.how[0] == 'w' && !(t->access & (PENDING_COPY | LANDING))) {
    doubt(t->w, i, lane, (Doubt){.bytes = bytes, .kind = SHARED_RACE, .other = found.other, .other_block = b->number, .address = offset, .place = b->shared + offset});
    return;
  }
  Report* const made = report(t->w, i, lane, found.kind);
  if (made == NULL) return;
  made->address = offset;
  made->bytes = bytes;
  made->end = b->shared_bytes;
  made->write = kind;
  made->other = found.other;
  made->other_block = b->number;
  snprintf(made->text, sizeof made->text, "%s", found.how);
}

/* What another block of the cluster touches is not told apart by threads. */
static void touch_far(BlockCheck* c, u32 offset, u32 bytes, Access access) {
  if ((access & KIND_OF_ACCESS) == READ) return;
  for (u32 k = offset; k < offset + bytes; ++k) {
    split_word(c, k / 4);
    c->bytes[k] = (Cell){.block = c->count, .writer = WRITTEN};
  }
}

/* Whether lanes read a word as others did before them, and know who wrote it: then it is written down. */
static inline int reads_plainly(const Warp* w, const BlockCheck* c, u32 offset, u32 now, u32 lanes) {
  Cell* const cell = &c->words[offset / 4];
  const u32 warp = w->index, writer = cell->writer & THREAD, reader = cell->reader;
  if (cell->block != c->count || (cell->writer & (WRITTEN | PENDING)) != WRITTEN || reader & (SPLIT | STRONGLY)) return 0;
  if (writer) {
    const u32 of = (writer - 1) / LANES;
    if (of != warp ? c->known[warp][of] <= cell->wrote_at : cell->wrote_at >= w->met_at && lanes != 1u << (writer - 1) % LANES) return 0;
  }
  if (reader & MANY_WARPS) {
    c->readers[(u64)offset * c->warps + warp] = now + 1;
    return 1;
  }
  if ((reader & WARP) != warp + 1 || cell->read_at != now) return 0;
  cell->lanes |= lanes;
  return 1;
}

void check_shared_reads(Warp* w, const Instruction* i, const u32* offsets, u32 bytes) {
  BlockCheck* const c = check_of(w);
  const u32 now = clock_now(w);
  if (c->launch->doubt.warp) settle_doubt(c->launch);
  for (u32 lane = 0, next; lane < LANES; lane = next) {
    for (next = lane + 1; next < LANES && offsets[next] == offsets[lane]; ++next) {}
    const u32 lanes = (u32)((1ull << next) - (1ull << lane));
    int plain = bytes % 4 == 0;
    for (u32 at = 0; at < bytes && plain; at += 4) plain = reads_plainly(w, c, offsets[lane] + at, now, lanes);
    if (plain) continue;
    next = lane + 1; /* the first of them; those after it may read as it did */
    check_shared(w, i, lane, w->block, offsets[lane], bytes, READ);
  }
}

/* What an atomic or a strong access learns of others that released or had a fence, wherever, and what it tells. */
static void order(BlockCheck* c, Warp* w, u32 lanes, Access access) {
  if (c->releases && (access & KIND_OF_ACCESS) != WRITE) check_passed(w, lanes, RELEASES);
  if (!(access & RELEASE)) return;
  c->releases = 1;
  check_arrived(w, lanes, RELEASES);
}

void check_shared(Warp* w, const Instruction* i, u32 lane, Block* owner, u32 offset, u32 bytes, Access access) {
  if (owner != w->block) return touch_far(owner->shadow, offset, bytes, access);
  const Touch t = {w, check_of(w), w->index * LANES + lane + 1, access};
  if (t.c->launch->doubt.warp) settle_doubt(t.c->launch);
  Found first = {REPORT_KINDS, 0, ""};
  for (u32 at = offset; at < offset + bytes;) {
    const u32 part = (at & 3) == 0 && offset + bytes - at >= 4 ? 4 : 4 - (at & 3) < offset + bytes - at ? 4 - (at & 3) : offset + bytes - at;
    const Found found = touch_word(&t, at, part);
    if (found.kind < first.kind) first = found;
    at += part;
  }
  if (unlikely(first.kind != REPORT_KINDS)) tell(&t, i, lane, offset, bytes, first);
  if (unlikely(access & (ATOMIC | STRONG))) order(t.c, w, 1u << lane, access);
}

/* cp.async: at its beginning it was checked as a write. */
void check_copy(Warp* w, const Instruction* i, u32 lane, const u8* at, u32 bytes, int done) {
  if (w->block->shadow == NULL || (u64)(at - w->block->shared) >= w->block->shared_bytes) return;
  settle_doubt(check_of(w)->launch);
  check_shared(w, i, lane, w->block, (u32)(at - w->block->shared), bytes, WRITE | (done ? LANDING : PENDING_COPY));
}

/* It is nobody's write any more: who waits for it and who comes after those may read it. */
void check_landed(Block* b, u32 offset, u32 bytes) {
  settle_doubt(((BlockCheck*)b->shadow)->launch);
  touch_far(b->shadow, offset, bytes, WRITE);
}
