/* A launch from its beginning to its end: block after block (all blocks of a cluster, or of a cooperative grid, together;
   more where one may wait for another), and what a grid, its blocks and their warps hold. */
#include "calls.h"
#include "check_hooks.h"
#include "later.h"

#include <stdlib.h>

u32 gpuwheel_ptx_run_blocks(Block* blocks, u32 count);
int copies_begin(Block*); /* copies.c; 0: no memory */
void copies_block(Block*);
void copies_end(Block*);

enum { OF_AN_H100 = 132, MOST_THREADS = 1024 };
static const u64 MOST_MEMORY = 4ull << 30, MOST_SHADOWS = 1ull << 30;

static u32 multiprocessors(const Launch* l) { return l->multiprocessors ? l->multiprocessors : OF_AN_H100; }

static u32 special(const Block* b, u32 linear, SpecialKind kind) {
  const Launch* const l = b->launch;
  const u32 *n = l->block, *grid = l->grid, lane = linear % LANES;
  const u32 one[3] = {1, 1, 1}, *cluster = l->cluster[0] ? l->cluster : one;
  switch (kind) {
    case TID_X: return linear % n[0];
    case TID_Y: return linear / n[0] % n[1];
    case TID_Z: return linear / n[0] / n[1];
    case NTID_X: case NTID_Y: case NTID_Z: return n[kind - NTID_X];
    case CTAID_X: case CTAID_Y: case CTAID_Z: return b->index[kind - CTAID_X];
    case NCTAID_X: case NCTAID_Y: case NCTAID_Z: return grid[kind - NCTAID_X];
    case LANEID: return lane;
    case WARPID: return linear / LANES;
    case NWARPID: return b->warp_count;
    case SMID: return b->number % multiprocessors(l);
    case NSMID: return multiprocessors(l);
    case LANEMASK_EQ: return 1u << lane;
    case LANEMASK_LE: return (2u << lane) - 1;
    case LANEMASK_LT: return (1u << lane) - 1;
    case LANEMASK_GE: return ~((1u << lane) - 1);
    case LANEMASK_GT: return ~((2u << lane) - 1);
    case DYNAMIC_SMEM_SIZE: return l->dynamic_shared;
    case TOTAL_SMEM_SIZE: return b->shared_bytes;
    case CLUSTERID_X: case CLUSTERID_Y: case CLUSTERID_Z: return b->index[kind - CLUSTERID_X] / cluster[kind - CLUSTERID_X];
    case NCLUSTERID_X: case NCLUSTERID_Y: case NCLUSTERID_Z: return grid[kind - NCLUSTERID_X] / cluster[kind - NCLUSTERID_X];
    case CLUSTER_CTAID_X: case CLUSTER_CTAID_Y: case CLUSTER_CTAID_Z: return b->index[kind - CLUSTER_CTAID_X] % cluster[kind - CLUSTER_CTAID_X];
    case CLUSTER_NCTAID_X: case CLUSTER_NCTAID_Y: case CLUSTER_NCTAID_Z: return cluster[kind - CLUSTER_NCTAID_X];
    case CLUSTER_CTARANK: return b->rank;
    case CLUSTER_NCTARANK: return cluster[0] * cluster[1] * cluster[2];
    /* The address of the workspace (cooperative_groups/details/helpers.h). */
    case ENVREG1: return (u32)((u64)(uintptr_t)l->workspace >> 32);
    case ENVREG2: return (u32)(uintptr_t)l->workspace;
    case IS_EXPLICIT_CLUSTER: return l->cluster[0] != 0;
    default: return 0; /* ZERO, GRIDID */
  }
}

static int differs_by_block(SpecialKind kind) {
  return (kind >= CTAID_X && kind <= CTAID_Z) || kind == SMID || (kind >= CLUSTERID_X && kind <= CLUSTERID_Z) ||
         (kind >= CLUSTER_CTAID_X && kind <= CLUSTER_CTAID_Z) || kind == CLUSTER_CTARANK;
}

/* Nothing writes to the slots of special registers: those of a thread's place are filled once for all blocks. */
static void fill_specials(Block* b, int by_block) {
  const Program* const p = b->launch->program;
  for (u32 s = 0; s < p->special_count; ++s) {
    const SpecialKind kind = p->specials[s].kind;
    if (differs_by_block(kind) != by_block) continue;
    for (u32 k = 0; k < b->warp_count; ++k) {
      u8* const at = b->warps[k].registers + p->specials[s].slot;
      const u32 value = by_block ? special(b, 0, kind) : 0;
      for (u32 lane = 0; lane < LANES; ++lane) {
        const u32 linear = k * LANES + lane;
        if (kind == LOCAL_BASE) ((u64*)at)[lane] = (u64)b->local + (u64)linear * p->stack_bytes;
        else ((u32*)at)[lane] = by_block ? value : special(b, linear, kind);
      }
    }
  }
}

static u64 resolved(const Block* b, const Constant* constant) {
  switch (constant->kind) {
    case OF_PARAMETERS: return (u64)b->launch->parameters + constant->value;
    case OF_SHARED: return ((u64)b->rank << RANK_SHIFT) + constant->value;
    case OF_VARIABLE: return b->launch->variables[constant->index] + constant->value;
    default: return constant->value;
  }
}

static u32 alive_of(u32 threads, u32 warp) {
  const u32 left = threads - warp * LANES;
  return left >= LANES ? ~0u : (1u << left) - 1;
}

/* The block begins: everything is as new. */
static void enter(Block* b, u32 number) {
  const Launch* const l = b->launch;
  const Program* const p = l->program;
  b->number = number;
  later_block(b);
  for (u32 k = 0; k < p->constant_count; ++k) b->constants[k] = resolved(b, &p->constants[k]);
  memset(b->shared, 0xff, b->shared_bytes); /* NaN: what is not written is seen */
  for (u32 k = 0; k < p->constant_count; ++k) {
    if (p->constants[k].kind == ZEROS) memset(b->shared + p->constants[k].index, 0, p->constants[k].value);
  }
  memset(b->barriers, 0, sizeof b->barriers);
  b->alive = b->threads;
  b->epoch = 0;
  b->cluster_arrived = 0;
  for (u32 k = 0; k < b->warp_count; ++k) {
    Warp* const w = &b->warps[k];
    u8* const registers = w->registers;
    memset(w, 0, sizeof *w);
    *w = (Warp){.registers = registers, .constants = b->constants, .block = b, .index = k, .alive = alive_of(b->threads, k)};
    w->full = w->alive;
  }
  calls_enter(b);
  fill_specials(b, 1);
  check_block(b);
  copies_block(b);
}

static int prepare(Block* b, const Block* first, Launch* l) {
  const Program* const p = l->program;
  b->launch = l;
  b->threads = l->block[0] * l->block[1] * l->block[2];
  b->warp_count = (b->threads + LANES - 1) / LANES;
  b->shared_bytes = p->shared_bytes + l->dynamic_shared;
  b->shared = aligned_alloc(1024, ((u64)b->shared_bytes + 2047) / 1024 * 1024);
  b->local = aligned_alloc(64, ((u64)b->warp_count * LANES * p->stack_bytes + 127) / 64 * 64);
  b->warps = calloc(b->warp_count, sizeof *b->warps);
  b->constants = calloc(p->constant_count + 1, sizeof *b->constants);
  b->sites = calloc(p->site_count + 1, sizeof *b->sites);
  const u64 bytes = ((u64)p->register_bytes + 127) / 64 * 64;
  b->registers = aligned_alloc(64, bytes * b->warp_count);
  if (!b->shared || !b->local || !b->warps || !b->constants || !b->sites || !b->registers) return 0;
  memset(b->registers, 0, bytes * b->warp_count);
  for (u32 k = 0; k < b->warp_count; ++k) b->warps[k].registers = b->registers + k * bytes;
  if (!calls_begin(b)) return 0;
  b->cluster = b;
  fill_specials(b, 0);
  check_begin(b, first);
  return copies_begin(b) && later_begin(b);
}

static void put_away(Block* b) {
  later_end(b);
  copies_end(b);
  check_end(b);
  calls_end(b);
  free(b->registers);
  free(b->sites);
  free(b->constants);
  free(b->warps);
  free(b->local);
  free(b->shared);
}

/* The place of the k-th block that lives at once: by cluster, and in it by rank. */
static void place(Block* blocks, u32 k, u32 together, const Launch* l, u64 turn) {
  const u32 one[3] = {1, 1, 1}, *c = l->cluster[0] ? l->cluster : one;
  const u32 size = c[0] * c[1] * c[2], rank = k % size;
  const u64 cluster = (turn * together + k) / size;
  const u32 across = l->grid[0] / c[0], down = l->grid[1] / c[1];
  Block* const b = &blocks[k];
  b->rank = rank;
  b->cluster = &blocks[k - rank];
  b->cluster_size = size;
  b->index[0] = (u32)(cluster % across) * c[0] + rank % c[0];
  b->index[1] = (u32)(cluster / across % down) * c[1] + rank / c[0] % c[1];
  b->index[2] = (u32)(cluster / across / down) * c[2] + rank / c[0] / c[1];
}

static u64 threads_of(const Launch* l) {
  const u64 across = (u64)l->block[0] * l->block[1];
  return across > MOST_THREADS ? across : across * l->block[2];
}

/* Bytes of memory of a block. */
static u64 each_takes(const Launch* l) {
  const Program* const p = l->program;
  const u64 warps = (threads_of(l) + LANES - 1) / LANES;
  return (u64)p->shared_bytes + l->dynamic_shared + warps * (LANES * (u64)(p->stack_bytes + 4 * p->call_depth) + p->register_bytes) + 1;
}

/* What no GPU takes (CUDA C++ guide, "Compute capabilities"): a CUresult, or 0. Locals of all functions are one frame. */
static u32 refused(const Launch* l, u64 together) {
  enum { MOST_SHARED = 256 << 10, MOST_LOCAL = 1 << 20, MOST_BLOCKS = 65536, MOST_CLUSTER = 16 };
  const Program* const p = l->program;
  const u64 threads = threads_of(l);
  if (threads == 0 || threads > MOST_THREADS || l->grid[0] == 0 || l->grid[1] == 0 || l->grid[2] == 0) return 1;
  for (u32 k = 0; k < 3 && l->cluster[0]; ++k) {
    if (l->cluster[k] == 0 || l->cluster[k] > MOST_CLUSTER || l->grid[k] % l->cluster[k] != 0) return 912; /* CUDA_ERROR_INVALID_CLUSTER_SIZE */
  }
  const u64 shared = (u64)p->shared_bytes + l->dynamic_shared;
  if (shared > MOST_SHARED || p->stack_bytes > MOST_LOCAL) return 701; /* CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES */
  return together > MOST_BLOCKS || each_takes(l) * together > MOST_MEMORY ? 720 : 0; /* ..._COOPERATIVE_LAUNCH_TOO_LARGE */
}

/* ---- grids */

/* How many of what belongs together a GPU has at once (by its multiprocessors, as SMID counts them), and memory here
   with what the checks hold: some bytes for each of shared memory, and a clock of each warp. */
static u64 resident(const Launch* l, u64 together) {
  const u64 shared = (u64)l->program->shared_bytes + l->dynamic_shared, threads = threads_of(l);
  const u64 each = each_takes(l) + shared * (32 + threads / LANES * 4);
  u64 most = 32;
  if (most > 2048 / threads) most = 2048 / threads;
  if (most > (228 << 10) / (shared + 1024)) most = (228 << 10) / (shared + 1024);
  most = multiprocessors(l) * (most ? most : 1) / together;
  if (most > MOST_SHADOWS / (each * together)) most = MOST_SHADOWS / (each * together);
  return most ? most : 1;
}

enum { PATIENCE = 20000, LITTLE = 500, LONG = 16 }; /* instructions of a warp before it is others' turn; such turns */
typedef struct Turns {
  u64 begun;
  u32 wide, rounds; /* how many live at once; turns of all of them since one began */
} Turns;

static void begin(Block* group, u32 together, const Launch* l, u64 turn) {
  for (u32 k = 0; k < together; ++k) place(group, k, together, l, turn);
  for (u32 k = 0; k < together; ++k) enter(&group[k], (u32)(turn * together + k));
}

/* Gives a turn to what lives in this place, or begins the next there. Returns whether it lives on; -1: no memory. */
static int take_turn(Launch* l, Block* blocks, u32 k, u32 together, u64 turns, Turns* t) {
  Block* const group = &blocks[(u64)k * together];
  u32 alive = 0;
  for (u32 j = 0; j < together; ++j) {
    if (group[j].launch == NULL && !prepare(&group[j], blocks, l)) return -1;
    alive += group[j].alive;
  }
  if (!alive) {
    if (t->begun == turns) return 0;
    begin(group, together, l, t->begun++);
    t->rounds = 0;
  }
  for (u32 j = 0; j < together; ++j) group[j].patience = PATIENCE / t->wide > LITTLE ? PATIENCE / t->wide : LITTLE;
  return gpuwheel_ptx_run_blocks(group, together) != 0;
}

/* One after the other; where one takes long, it may wait for another that has not begun: then twice as many live at once. */
static int run_grid(Launch* l, Block* blocks, u32 together, u64 turns, u32 most) {
  Turns t = {.wide = 1};
  for (u32 living = 1; !l->stopped && (living || t.begun < turns);) {
    living = 0;
    for (u32 k = 0; k < t.wide && !l->stopped; ++k) {
      const int lives = take_turn(l, blocks, k, together, turns, &t);
      if (lives < 0) return 0;
      living += (u32)lives;
    }
    if (++t.rounds < LONG || t.begun == turns || t.wide == most) continue;
    t.wide = t.wide * 2 < most ? t.wide * 2 : most;
    t.rounds = 0;
  }
  return 1;
}

/* Runs all of it. Returns a CUresult: 0, or what the launch failed with. */
EXPORT u32 gpuwheel_ptx_launch(Launch* l) {
  const u64 grid = (u64)l->grid[0] * l->grid[1] * l->grid[2];
  const u64 cluster = l->cluster[0] ? (u64)l->cluster[0] * l->cluster[1] * l->cluster[2] : 1;
  const u64 together = l->cooperative ? grid : cluster;
  l->failed = l->stopped = l->report_count = 0;
  l->steps = 0;
  const u32 not_possible = refused(l, together);
  if (not_possible) return l->failed = not_possible;
  u64 workspace[WORKSPACE_BYTES / sizeof(u64)] = {0};
  l->workspace = l->cooperative ? (u8*)workspace : NULL;
  const u64 turns = grid / together;
  u64 most = resident(l, together);
  if (most > turns) most = turns;
  Block* const blocks = calloc(most * together, sizeof *blocks);
  const int there = blocks != NULL && run_grid(l, blocks, (u32)together, turns, (u32)most);
  for (u64 k = 0; k < most * together && blocks != NULL && blocks[k].launch; ++k) put_away(&blocks[k]);
  free(blocks);
  l->workspace = NULL;
  return there ? l->failed : 2;
}
