/* What the checks hold for a launch and its blocks, what barriers order, and memory of single threads. */
#include "check.h"
#include "copies.h"

#include <stdatomic.h>
#include <stdio.h>

static atomic_uint launches;

/* ---- a launch, block after block */

static void* shadow_of(u64 count, u64 bytes) { return calloc(count + 1, bytes); }

void check_end(Block* b) {
  BlockCheck* const c = b->shadow;
  if (c == NULL) return;
  settle_doubt(c->launch);
  if (--c->launch->users == 0) {
    orders_free(c->launch->orders);
    free(c->launch);
  }
  free(c->learned);
  free(c->words);
  free(c->bytes);
  free(c->readers);
  free(c->local);
  free(c->meetings);
  free(c);
  b->shadow = NULL;
}

static LaunchCheck* launch_of(const Block* b, const Block* first) {
  const BlockCheck* const known = b == first ? NULL : first->shadow;
  if (known) return known->launch;
  LaunchCheck* const made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  do made->number = atomic_fetch_add(&launches, 1) + 1;
  while (made->number == 0);
  return made;
}

/* A word is split into the cells of its bytes, all four of them, where shared memory ends inside of it as well. */
static u64 whole_words(const Block* b) { return ((u64)b->shared_bytes + 3) & ~3ull; }

/* `first` is the first of those that live together. Without room for shadows nothing is checked but bounds. */
void check_begin(Block* b, const Block* first) {
  const Launch* const l = b->launch;
  if (!(l->checks & (CHECK_SHARED | CHECK_GLOBAL | CHECK_UNINITIALISED)) || b->warp_count > MOST_WARPS) return;
  BlockCheck* const c = calloc(1, sizeof *c);
  LaunchCheck* const launch = launch_of(b, first);
  if (c == NULL || launch == NULL) return free(c);
  const u64 bytes = whole_words(b);
  b->shadow = c;
  c->launch = launch;
  launch->users++;
  c->checks = l->checks;
  c->warps = b->warp_count;
  c->words = shadow_of(bytes / 4 + 1, sizeof(Cell));
  c->bytes = shadow_of(bytes, sizeof(Cell));
  c->readers = shadow_of(bytes * b->warp_count, sizeof(u32));
  c->local_bytes = ((u64)b->warp_count * LANES * l->program->stack_bytes + 7) / 8;
  c->local = shadow_of(c->local_bytes + 2, 1);
  if (!c->words || !c->bytes || !c->readers || !c->local) check_end(b);
}

/* Between variables nobody has anything to look for; what CUDA reserves begins as zeros. */
static void mark_places(const Program* p, BlockCheck* c) {
  for (u32 k = 0; k < p->constant_count; ++k) {
    const Constant* const place = &p->constants[k];
    if (place->kind != GAP && place->kind != ZEROS) continue;
    for (u64 word = (place->index + 3) / 4; word < (place->index + place->value) / 4; ++word) {
      c->words[word] = (Cell){.block = c->count, .writer = place->kind == GAP ? NOBODYS : WRITTEN};
    }
  }
}

void check_block(Block* b) {
  BlockCheck* const c = b->shadow;
  if (c == NULL) return;
  settle_doubt(c->launch);
  c->owner = (u64)c->launch->number << 32 | (b->number + 1);
  c->released = c->fenced = c->learned_count = 0;
  c->releases = 0;
  if (++c->count == 0) {
    memset(c->words, 0, (whole_words(b) / 4 + 1) * sizeof(Cell));
    memset(c->bytes, 0, whole_words(b) * sizeof(Cell));
    c->count = 1;
  }
  mark_places(b->launch->program, c);
  memset(c->local, 0, c->local_bytes);
  memset(c->known, 0, c->warps * sizeof c->known[0]);
  memset(c->at_barrier, 0, sizeof c->at_barrier);
  meetings_begin(c);
}

/* What follows it and is seen tells of what came before. */
void check_fence(Warp* w, u32 lanes) {
  BlockCheck* const c = check_of(w);
  if (c == NULL) return;
  c->fenced = FRESH;
  c->releases = 1;
  check_arrived(w, lanes, RELEASES);
}

/* ---- writes over the same value */

void settle_doubt(LaunchCheck* launch) {
  Doubt* const d = &launch->doubt;
  if (d->warp == NULL) return;
  Warp* const w = d->warp;
  d->warp = NULL;
  if (memcmp(d->place, d->before, d->bytes) == 0) return;
  Report* const made = report(w, d->instruction, d->lane, d->kind);
  if (made == NULL) return;
  made->address = d->address;
  made->bytes = d->bytes;
  made->write = WRITE;
  made->other = d->other;
  made->other_block = d->other_block;
  made->end = d->kind == SHARED_RACE ? w->block->shared_bytes : 0;
  snprintf(made->text, sizeof made->text, "wrote");
}

void doubt(Warp* w, const Instruction* i, u32 lane, Doubt about) {
  LaunchCheck* const launch = check_of(w)->launch;
  if (about.bytes > sizeof about.before) about.bytes = sizeof about.before;
  about.warp = w;
  about.instruction = i;
  about.lane = lane;
  memcpy(about.before, about.place, about.bytes);
  launch->doubt = about;
}

/* ---- local memory */

void check_local(Warp* w, const Instruction* i, u32 lane, u64 offset, u32 bytes, Access access) {
  BlockCheck* const c = check_of(w);
  const u64 first = (u64)(w->index * LANES + lane) * w->block->launch->program->stack_bytes + offset;
  int missing = 0;
  for (u64 k = first; k < first + bytes; ++k) {
    const u8 bit = (u8)(1u << (k & 7));
    missing |= (access & KIND_OF_ACCESS) != WRITE && !(c->local[k >> 3] & bit);
    c->local[k >> 3] |= bit;
  }
  if (!missing || !(c->checks & CHECK_UNINITIALISED)) return;
  Report* const made = report(w, i, lane, LOCAL_UNINITIALISED);
  if (made == NULL) return;
  made->address = offset;
  made->bytes = bytes;
  made->end = w->block->launch->program->local_bytes;
}

/* A call has new local memory there, that nothing wrote. */
void check_frame(Warp* w, u32 lane, u64 offset) {
  BlockCheck* const c = check_of(w);
  if (c == NULL) return;
  const Program* const p = w->block->launch->program;
  const u64 first = (u64)(w->index * LANES + lane) * p->stack_bytes + offset;
  for (u64 k = first; k < first + p->local_bytes; ++k) c->local[k >> 3] &= (u8)~(1u << (k & 7));
}
