/* The machine that PTX runs on: warps of 32 lanes, each register a slot of 32 values side by side, one instruction at a
   time for all lanes of a warp that are there. Addresses of global memory, and generic ones, are host addresses; those of
   shared memory are offsets, with the block's rank in its cluster above bit 24. Handlers are made from the table of
   meanings (forms/); native rows of it call the functions at the end. Mirrored in program.py and launching.py. */
#ifndef GPUWHEEL_PTX_MACHINE_H
#define GPUWHEEL_PTX_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Handlers are another library: the names that it takes from here are nobody else's. */
#define shuffle gpuwheel_ptx_shuffle
#define vote gpuwheel_ptx_vote
#define match_any gpuwheel_ptx_match_any
#define match_all gpuwheel_ptx_match_all
#define reduce gpuwheel_ptx_reduce
#define reduce_floats gpuwheel_ptx_reduce_floats
#define elect gpuwheel_ptx_elect
#define active gpuwheel_ptx_active
#define print gpuwheel_ptx_print
#define assertion gpuwheel_ptx_assertion
#define space_of gpuwheel_ptx_space_of
#define generic_of_shared gpuwheel_ptx_generic_of_shared
#define shared_of_generic gpuwheel_ptx_shared_of_generic
#define report gpuwheel_ptx_report
#define stop gpuwheel_ptx_stop
#define global_slow gpuwheel_ptx_global_slow
#define shared_slow gpuwheel_ptx_shared_slow
#define at_generic gpuwheel_ptx_at_generic
#define at_local gpuwheel_ptx_at_local
#define at_parameter gpuwheel_ptx_at_parameter
#define check_global gpuwheel_ptx_check_global
#define check_shared gpuwheel_ptx_check_shared
#define check_fence gpuwheel_ptx_check_fence
#define check_span gpuwheel_ptx_check_span
#define check_shared_reads gpuwheel_ptx_check_shared_reads

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EXPORT __attribute__((visibility("default")))

enum { WORKSPACE_BYTES = 256, LANES = 32, MOST_OPERANDS = 40, NAMED_BARRIERS = 16, RANK_SHIFT = 24 };
static const u32 NONE = ~0u;

typedef struct Warp Warp;
typedef struct Block Block;
typedef struct Instruction Instruction;
typedef void Handler(Warp*, const Instruction*, u32 on); /* `on`: a bit for each lane that executes it */

typedef enum Kind {
  PLAIN,      /* the handler does all */
  BRANCH,     /* to `target` */
  TABLE,      /* brx.idx: operand 0 is the index; targets are constants from operand 1, as many as operand 2 */
  EXIT,       /* of the thread */
  BARRIER,    /* of the block: see `mode` */
  COLLECTIVE, /* the handler, once all lanes that operand `members` names are here (NONE: all that are alive) */
  CALL,       /* to `target` */
  RETURN,     /* from a call; of an entry: EXIT */
  TRAP,       /* ends the launch with an error; mode TRAP_OF_CALL: no target of a call is there */
  YIELD,      /* the handler, and then it is others' turn: nanosleep, try_wait */
  MISSING,    /* an instruction without a meaning: ends the launch, and says so */
} Kind;

enum { TRAP_OF_CALL = 1 };
/* The mode of a BARRIER. Operands: 0 destination or none, 1 number, 2 threads or none, 3 predicate. */
typedef enum BarrierMode { BAR_SYNC, BAR_ARRIVE, BAR_POPC, BAR_AND, BAR_OR, CLUSTER_ARRIVE, CLUSTER_WAIT } BarrierMode;

struct Instruction {
  Handler* run;
  u8 kind, negated, mode, aligned;
  u32 guard; /* the slot of a predicate, or NONE */
  u32 target, members;
  u32 line; /* of the PTX */
  s32 offset; /* of the address */
  u32 site;   /* numbers the instructions that touch memory */
  u32 reserved;
  u64 constant; /* a bit for each operand that is a constant */
  u32 operand[MOST_OPERANDS]; /* the offset of a slot, or the index of a constant; NONE: not there, or a sink */
};

/* What a constant becomes when a launch begins. */
typedef enum ConstantKind { VALUE, OF_PARAMETERS, OF_SHARED, OF_VARIABLE, GAP, ZEROS } ConstantKind;
typedef struct Constant {
  u32 kind, index; /* of the variable, in Launch.variables; where a gap in shared memory begins */
  u64 value;       /* or the offset; of a gap its bytes */
} Constant;

/* What a slot holds when a block begins. */
typedef enum SpecialKind {
  TID_X, TID_Y, TID_Z, NTID_X, NTID_Y, NTID_Z, CTAID_X, CTAID_Y, CTAID_Z, NCTAID_X, NCTAID_Y, NCTAID_Z,
  LANEID, WARPID, NWARPID, SMID, NSMID, GRIDID, LANEMASK_EQ, LANEMASK_LE, LANEMASK_LT, LANEMASK_GE, LANEMASK_GT,
  DYNAMIC_SMEM_SIZE, TOTAL_SMEM_SIZE, CLUSTERID_X, CLUSTERID_Y, CLUSTERID_Z, NCLUSTERID_X, NCLUSTERID_Y, NCLUSTERID_Z,
  CLUSTER_CTAID_X, CLUSTER_CTAID_Y, CLUSTER_CTAID_Z, CLUSTER_NCTAID_X, CLUSTER_NCTAID_Y, CLUSTER_NCTAID_Z,
  CLUSTER_CTARANK, CLUSTER_NCTARANK, IS_EXPLICIT_CLUSTER, ENVREG1, ENVREG2, LOCAL_BASE, ZERO, SPECIAL_COUNT,
} SpecialKind;
typedef struct Special {
  u32 kind, slot;
} Special;

typedef struct Program {
  Instruction* code;
  u32 count, register_bytes; /* of one warp */
  const Constant* constants;
  u32 constant_count, special_count;
  const Special* specials;
  u32 shared_bytes, local_bytes, parameter_bytes, site_count;
  u32 call_depth, stack_bytes; /* of one thread */
  u32 base_slot, is_recursive; /* where its local memory begins; whether functions may come to call themselves */
} Program;

/* Memory that kernels may touch, `end` exclusive. Sorted by address. */
typedef struct Range {
  u64 start, end;
  void* shadow; /* of check.c, or NULL */
  u64 id;       /* of whoever made it */
} Range;

/* Which pages of a range a launch touched: a bit for each 64th of it, or each PAGE bytes of a short one. */
enum { PAGE = 128 };
typedef struct Touched {
  u64 read, written;
} Touched;

typedef enum ReportKind {
  OUT_OF_BOUNDS, MISALIGNED, SHARED_OUT_OF_BOUNDS, LOCAL_OUT_OF_BOUNDS, PARAMETER_OUT_OF_BOUNDS, SHARED_UNINITIALISED,
  LOCAL_UNINITIALISED, GLOBAL_UNINITIALISED, SHARED_RACE, GLOBAL_RACE, DIVERGENT_BARRIER, ABSENT_LANES, NOT_A_MEMBER,
  DEADLOCK, ASSERTION, TRAPPED, NO_MEANING, TOO_LONG, TOO_DEEP, UNFINISHED_COPY, READ_ONLY, BAD_BARRIER, REPORT_KINDS,
} ReportKind;

/* The first of its kind at an instruction; `count` counts the others. */
typedef struct Report {
  u32 kind, instruction; /* the index in Program.code; NONE: of no instruction */
  u32 block[3], thread[3];
  u64 address, bytes; /* of the access */
  u64 start, end;     /* of the memory nearest to it */
  u64 other, count;   /* another thread (linear in its block), lane mask or line */
  u32 other_block, write; /* 0 read, 1 write, 2 atomic */
  char text[160];
} Report;

enum { CHECK_BASIC = 1, CHECK_SHARED = 2, CHECK_GLOBAL = 4, CHECK_UNINITIALISED = 8, COVER = 16 };

typedef struct Launch {
  const Program* program;
  u32 grid[3], block[3], cluster[3]; /* cluster: zeros if none */
  u32 dynamic_shared, cooperative;
  const u8* parameters; /* as PTX lays them out */
  const Range* ranges;
  const u64* variables; /* the address of each */
  Report* reports;
  u64* covered; /* with COVER: how often each instruction ran, in lanes */
  u64 step_limit, steps; /* instructions of a warp */
  void (*print)(const char* text, u64 bytes); /* printf of device code */
  u32 range_count, report_room, report_count, checks;
  u32 failed; /* a CUresult */
  u32 stopped;
  u8* workspace; /* of a cooperative grid: cooperative groups keep its barrier there */
  Touched* touched; /* of each range; or NULL */
  u32 by_pages;     /* touched is told page by page; else by whole ranges, which costs nothing */
  u32 multiprocessors; /* of the device; 0: as many as an H100 has */
} Launch;

typedef struct Barrier {
  u32 arrived, wanted; /* in threads; wanted 0: all that are alive */
  u32 votes, voters;
  u64 epoch;
} Barrier;

struct Warp {
  u8* registers;
  const u64* constants;
  Block* block;
  u32 index, alive, parked, at_barrier; /* parked: waits for other lanes of the warp; at_barrier: for other warps */
  u32 pc[LANES], barrier[LANES];
  u32 depth[LANES]; /* of calls */
  u64 epoch, met_at; /* rises when lanes met (check.h); since when all of them did */
  s64 budget;
  u32 after; /* these have their turn first: lanes from this pc on; 0: the lowest */
  u64 arrived_in[LANES]; /* the phase of the cluster's barrier */
  u32 full, answered; /* the lanes that it began with; lanes whose barrier answers into `answer` */
  u32 answer[LANES];
};

struct Block {
  Launch* launch;
  Warp* warps;
  u32 warp_count, threads, alive;
  u32 index[3], rank, number;
  u8* shared;
  u32 shared_bytes;
  u8* local; /* of all lanes, Program.stack_bytes each */
  u32* returns; /* where lanes return to, Program.call_depth each */
  void* kept;   /* what they give back then, calls.c */
  u64* constants;
  u8* registers;
  Range* sites; /* the range that each site met last */
  Barrier barriers[NAMED_BARRIERS];
  Block* cluster; /* the first of its cluster */
  u32 cluster_size, cluster_arrived;
  s64 patience; /* instructions of a warp before it is others' turn */
  u64 cluster_epoch, epoch; /* epoch rises at each barrier of the whole block */
  void* shadow;  /* of shared memory, check.c */
  void* copies;  /* cp.async that nobody waited for, copies.c */
  void* later;   /* what the async proxy has not done yet, later.c */
};

/* ---- what handlers call */

#pragma GCC visibility push(default)

typedef enum Access {
  READ, WRITE, ATOMIC, KIND_OF_ACCESS,
  STRONG = 4, /* volatile, relaxed, acquire, release: it orders, and with atomics it does not race */
  RELEASE = 8, /* what came before it is known to those that meet it */
  PENDING_COPY = 16, LANDING = 32, /* of cp.async: a write that begins, and that ends */
  TILE = 64, /* of matrices: of a whole tile some rows may be beyond the matrix, and their results dropped */
} Access;

/* The address of memory that may be touched, or NULL: reported, and a read gives zeros, a write is dropped. */
u8* global_slow(Warp*, const Instruction*, u32 lane, u64 address, u32 bytes, u32 align, Access);
u8* shared_slow(Warp*, const Instruction*, u32 lane, u64 address, u32 bytes, u32 align, Access);
u8* at_generic(Warp*, const Instruction*, u32 lane, u64 address, u32 bytes, u32 align, Access);
u8* at_local(Warp*, const Instruction*, u32 lane, u64 address, u32 bytes, u32 align, Access);
u8* at_parameter(Warp*, const Instruction*, u32 lane, u64 address, u32 bytes, u32 align, Access);
/* The same for the checks that look at each access (check.c). */
void check_global(Warp*, const Instruction*, u32 lane, const Range*, u64 address, u32 bytes, Access);
void check_shared(Warp*, const Instruction*, u32 lane, Block* owner, u32 offset, u32 bytes, Access);
void check_fence(Warp*, u32 lanes);
/* Of bytes that a whole warp touches: 1, or 0 where each lane has to be looked at. */
int check_span(Warp*, const Range*, u64 address, u32 bytes, Access);
/* Reads of all lanes of a warp, of words of its block's own shared memory. */
void check_shared_reads(Warp*, const Instruction*, const u32* offsets, u32 bytes);

static inline u8* at_global(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  const Range* met = &w->block->sites[i->site];
  if (likely(address >= met->start && address + bytes <= met->end && address + bytes > address && !(address & (align - 1)))) {
    if (met->shadow) check_global(w, i, lane, met, address, bytes, access);
    return (u8*)address;
  }
  return global_slow(w, i, lane, address, bytes, align, access);
}

typedef enum Pattern { SCATTERED, SIDE_BY_SIDE, AT_ONE_PLACE } Pattern;

/* How the addresses of all lanes of a warp lie, if they may be touched so; SCATTERED: each has to be looked at. */
static inline Pattern pattern_of(Warp* w, const Instruction* i, const u64* a, u32 bytes, Access access) {
  const Range* met = &w->block->sites[i->site];
  const u64 first = a[0], at = first + (u64)(s64)i->offset;
  u64 apart = 0, away = 0;
  for (u32 lane = 0; lane < LANES; ++lane) {
    apart |= a[lane] ^ (first + lane * bytes);
    away |= a[lane] ^ first;
  }
  if (apart != 0 && (away != 0 || access != READ)) return SCATTERED;
  const u64 whole = apart == 0 ? LANES * bytes : bytes;
  if (at < met->start || at > met->end || met->end - at < whole || at & (bytes - 1)) return SCATTERED;
  if (met->shadow && !check_span(w, met, at, (u32)whole, access)) return SCATTERED;
  return apart == 0 ? SIDE_BY_SIDE : AT_ONE_PLACE;
}

static inline u8* at_shared(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  Block* b = w->block;
  const u32 offset = (u32)address - (b->rank << RANK_SHIFT);
  if (likely((u64)offset + bytes <= b->shared_bytes && !(offset & (align - 1)))) {
    if (b->shadow) check_shared(w, i, lane, b, offset, bytes, access);
    return b->shared + offset;
  }
  return shared_slow(w, i, lane, address, bytes, align, access);
}

/* Where all lanes of a warp read shared memory, if they may; 0: each has to be looked at. */
#define SHARED_READS(name, type)                                                                              \
  static inline int name(Warp* w, const Instruction* i, const type* a, u32 bytes, u32* offsets) {             \
    const u32 base = (u32)i->offset - (w->block->rank << RANK_SHIFT), end = w->block->shared_bytes;           \
    u32 off = bytes > end;                                                                                    \
    for (u32 lane = 0; lane < LANES; ++lane) {                                                                \
      offsets[lane] = (u32)a[lane] + base;                                                                    \
      off |= (offsets[lane] > end - bytes) | (offsets[lane] & (bytes - 1));                                   \
    }                                                                                                         \
    if (off) return 0;                                                                                        \
    if (w->block->shadow) check_shared_reads(w, i, offsets, bytes);                                           \
    return 1;                                                                                                 \
  }
SHARED_READS(shared_reads_4, u32)
SHARED_READS(shared_reads_8, u64)

static inline void* slot(const Warp* w, const Instruction* i, u32 operand) { return w->registers + i->operand[operand]; }

/* One lane of an operand that may be a constant. */
static inline u32 operand_u32(const Warp* w, const Instruction* i, u32 operand, u32 lane) {
  return i->constant >> operand & 1 ? (u32)w->constants[i->operand[operand]] : ((u32*)slot(w, i, operand))[lane];
}
static inline u64 operand_u64(const Warp* w, const Instruction* i, u32 operand, u32 lane) {
  return i->constant >> operand & 1 ? w->constants[i->operand[operand]] : ((u64*)slot(w, i, operand))[lane];
}

/* A new report, or NULL if this instruction had one of its kind: it is counted. */
Report* report(Warp*, const Instruction*, u32 lane, ReportKind);
void stop(Launch*, u32 failed); /* no further instruction: a CUresult */

/* ---- what lanes do together (warp.c) */

void shuffle(Warp*, const Instruction*, u32 on, char mode);
void vote(Warp*, const Instruction*, u32 on, char mode);
void match_any(Warp*, const Instruction*, u32 on, u32 bytes);
void match_all(Warp*, const Instruction*, u32 on, u32 bytes);
void reduce(Warp*, const Instruction*, u32 on, char mode, int is_signed);
void reduce_floats(Warp*, const Instruction*, u32 on, char mode, int is_abs, int keeps_nan);
void elect(Warp*, const Instruction*, u32 on);
void active(Warp*, const Instruction*, u32 on);

/* ---- printf and assert (print.c) */

void print(Warp*, const Instruction*, u32 on);
void assertion(Warp*, const Instruction*, u32 on);

/* ---- addresses of state spaces */

typedef enum Space { IN_GLOBAL, IN_SHARED, IN_CLUSTER, IN_LOCAL, IN_PARAMETERS } Space;
Space space_of(const Warp*, u32 lane, u64 address);
u64 generic_of_shared(const Warp*, u64 address);
u64 shared_of_generic(const Warp*, u64 address);

#pragma GCC visibility pop

/* Instructions of warps so far: it only goes up. */
static inline u64 clock_of(const Warp* w) { return w->block->launch->steps + (u64)(w->block->patience - w->budget); }

static const u8 zeros[64] __attribute__((aligned(64)));

#define FOR_LANES(on) for (u32 left = (on), lane; left != 0 && (lane = (u32)__builtin_ctz(left), 1); left &= left - 1)

#endif
