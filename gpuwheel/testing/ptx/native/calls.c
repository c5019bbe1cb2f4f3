/* Calls of functions. One that may come to call itself keeps the registers of its caller, and has local memory of its
   own behind that of its caller; the others have theirs at one place for the whole program. */
#include "check_hooks.h"
#include "calls.h"

/* What a thread has to give back to its callers, the last one at the end. */
typedef struct Kept {
  u8* bytes;
  u64 used, room;
} Kept;

int calls_begin(Block* b) {
  const Program* const p = b->launch->program;
  b->returns = calloc((u64)b->warp_count * LANES * p->call_depth + 1, sizeof *b->returns);
  b->kept = p->is_recursive ? calloc((u64)b->warp_count * LANES, sizeof(Kept)) : NULL;
  return b->returns != NULL && (b->kept != NULL || !p->is_recursive);
}

static u64* base_of(const Warp* w, u32 lane) { return (u64*)(w->registers + w->block->launch->program->base_slot) + lane; }

static u64 bottom_of(const Warp* w, u32 lane) {
  return (u64)w->block->local + (u64)(w->index * LANES + lane) * w->block->launch->program->stack_bytes;
}

/* The block begins: no thread is in a call, even if one ended in it before. */
void calls_enter(Block* b) {
  const Program* const p = b->launch->program;
  const u64 threads = (u64)b->warp_count * LANES;
  if (!p->is_recursive) {
    memset(b->local, 0xff, threads * p->local_bytes);
    return;
  }
  for (u64 k = 0; k < threads; ++k) {
    memset(b->local + k * p->stack_bytes, 0xff, p->local_bytes);
    ((Kept*)b->kept)[k].used = 0;
    const Warp* const w = &b->warps[k / LANES];
    *base_of(w, k % LANES) = bottom_of(w, k % LANES);
  }
}

void calls_end(Block* b) {
  for (u64 k = 0; b->kept != NULL && k < (u64)b->warp_count * LANES; ++k) free(((Kept*)b->kept)[k].bytes);
  free(b->kept);
  free(b->returns);
}

/* How much of its local memory a thread uses: what lies behind it is nobody's yet. */
u64 calls_local_bytes(const Warp* w, u32 lane) {
  const Program* const p = w->block->launch->program;
  return p->is_recursive ? *base_of(w, lane) - bottom_of(w, lane) + p->local_bytes : p->local_bytes;
}

/* The registers of the caller: operand 0 is the first of as many constants as operand 1, each a slot and above it its
   bytes in a lane. */
static int keep_registers(Warp* w, const Instruction* i, u32 lane) {
  Kept* const kept = &((Kept*)w->block->kept)[w->index * LANES + lane];
  enum { WIDEST = 16 };
  const u64 most = kept->used + (u64)i->operand[1] * WIDEST;
  if (most > kept->room) {
    u8* const grown = realloc(kept->bytes, most * 2);
    if (grown == NULL) return 0;
    kept->bytes = grown;
    kept->room = most * 2;
  }
  for (u32 k = 0; k < i->operand[1]; ++k) {
    const u64 each = w->constants[i->operand[0] + k], bytes = each >> 32;
    memcpy(kept->bytes + kept->used, w->registers + (u32)each + lane * bytes, bytes);
    kept->used += bytes;
  }
  return 1;
}

static void give_registers_back(Warp* w, const Instruction* i, u32 lane) {
  Kept* const kept = &((Kept*)w->block->kept)[w->index * LANES + lane];
  for (u32 k = i->operand[1]; k-- > 0;) {
    const u64 each = w->constants[i->operand[0] + k], bytes = each >> 32;
    kept->used -= bytes;
    memcpy(w->registers + (u32)each + lane * bytes, kept->bytes + kept->used, bytes);
  }
}

/* Local memory of its own; 0: there is no more. */
static int push_frame(Warp* w, u32 lane) {
  const Program* const p = w->block->launch->program;
  u64* const base = base_of(w, lane);
  const u64 next = *base + p->local_bytes;
  if (next + p->local_bytes > bottom_of(w, lane) + p->stack_bytes) return 0;
  *base = next;
  memset((u8*)next, 0xff, p->local_bytes);
  check_frame(w, lane, next - bottom_of(w, lane));
  return 1;
}

/* Arguments go to another frame, and results come back: `list` operands on are where from, where to and how many bytes. */
static void hand_over(Warp* w, const Instruction* i, u32 list, u32 lane, u64 from, u64 to) {
  const u64* const each = w->constants + i->operand[list];
  for (u32 k = 0; k + 2 < i->operand[list + 1]; k += 3) {
    memcpy((u8*)(to + each[k + 1]), (u8*)(from + each[k]), each[k + 2]);
    if (w->block->shadow) check_local(w, i, lane, to + each[k + 1] - bottom_of(w, lane), (u32)each[k + 2], WRITE);
  }
}

void call(Warp* w, const Instruction* i, u32 on, u32 back) {
  const Program* const p = w->block->launch->program;
  FOR_LANES(on) {
    u32* const returns = w->block->returns + (u64)(w->index * LANES + lane) * p->call_depth;
    const int deep = w->depth[lane] == p->call_depth;
    if (deep || (i->mode == CALL_AGAIN && !(keep_registers(w, i, lane) && push_frame(w, lane)))) {
      report(w, i, lane, TOO_DEEP);
      stop(w->block->launch, 719);
      return;
    }
    if (i->mode == CALL_AGAIN) hand_over(w, i, 2, lane, *base_of(w, lane) - p->local_bytes, *base_of(w, lane));
    returns[w->depth[lane]++] = back;
    w->pc[lane] = i->target;
  }
}

/* Lanes return to where they were called from, each to its own. Gives those of an entry: they end. */
u32 give_back(Warp* w, u32 on) {
  const Program* const p = w->block->launch->program;
  u32 ended = 0;
  FOR_LANES(on) {
    if (w->depth[lane] == 0) {
      ended |= 1u << lane;
      continue;
    }
    w->pc[lane] = w->block->returns[(u64)(w->index * LANES + lane) * p->call_depth + --w->depth[lane]];
    const Instruction* const called = &p->code[w->pc[lane] - 1];
    if (called->mode == CALL_AGAIN) {
      u64* const base = base_of(w, lane);
      *base -= p->local_bytes;
      hand_over(w, called, 4, lane, *base + p->local_bytes, *base);
      give_registers_back(w, called, lane);
    }
  }
  return ended;
}
