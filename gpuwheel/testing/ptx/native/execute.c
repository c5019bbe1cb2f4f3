/* Runs blocks that belong together (of a cluster, or of a cooperative grid) by turns; in a block warp after warp; in a
   warp the lanes with the lowest pc first, so that lanes that went apart meet again where their ways do. */
#include "calls.h"
#include "check_hooks.h"

#include <stdio.h>


/* ---- lanes that wait for others of their warp */

static u32 lanes_at(const Warp* w, u32 among, u32 pc) {
  u32 found = 0;
  FOR_LANES(among) found |= (u32)(w->pc[lane] == pc) << lane;
  return found;
}

/* Whether the instruction names all lanes in all lanes: the usual mask. */
static int names_all(const Warp* w, const Instruction* i) {
  if (i->members == NONE) return 1;
  if (i->constant >> i->members & 1) return (u32)w->constants[i->operand[i->members]] == ~0u;
  const u32* const masks = slot(w, i, i->members);
  u32 all = ~0u;
  for (u32 lane = 0; lane < LANES; ++lane) all &= masks[lane];
  return all == ~0u;
}

/* Which lanes may go on through this instruction: all that it names are here, or nothing else moves. */
static u32 collected(Warp* w, const Instruction* i, u32 here, u32 pc, int anyway) {
  if (here == w->alive && names_all(w, i)) return here;
  const u32 waiting = here | lanes_at(w, w->parked, pc);
  FOR_LANES(here) {
    const u32 named = i->members == NONE ? w->alive : operand_u32(w, i, i->members, lane) & w->alive;
    if (!(named >> lane & 1)) {
      if (i->members != NONE) report(w, i, lane, NOT_A_MEMBER);
      return 1u << lane;
    }
    u32 group = 0;
    FOR_LANES(waiting & named) {
      group |= (u32)(i->members == NONE || (operand_u32(w, i, i->members, lane) & w->alive) == named) << lane;
    }
    if (group == named) return group;
    if (anyway) {
      Report* made = report(w, i, lane, ABSENT_LANES);
      if (made) made->other = named & ~group;
      return group;
    }
  }
  return 0;
}

/* ---- control */

static void leave(Warp* w, u32 on) {
  w->alive &= ~on;
  w->parked &= ~on;
  w->block->alive -= (u32)__builtin_popcount(on);
}

static void jump(Warp* w, const Instruction* i, u32 on) {
  const u32 many = i->operand[2];
  FOR_LANES(on) {
    const u32 index = operand_u32(w, i, 0, lane);
    if (index < many) {
      w->pc[lane] = (u32)w->constants[i->operand[1] + index];
    } else {
      Report* made = report(w, i, lane, TRAPPED);
      if (made) snprintf(made->text, sizeof made->text, "branch %u of %u", index, many);
      stop(w->block->launch, 719);
      return;
    }
  }
}

static void fail(Warp* w, const Instruction* i, u32 on) {
  Report* const made = report(w, i, (u32)__builtin_ctz(on), i->kind == MISSING ? NO_MEANING : TRAPPED);
  if (made && i->mode == TRAP_OF_CALL) snprintf(made->text, sizeof made->text, "a call of what is no function that it may call");
  stop(w->block->launch, i->kind == MISSING ? 801 : 719);
}

static u32 guarded(const Warp* w, const Instruction* i, u32 on) {
  if (i->guard == NONE) return on;
  const u8* const predicate = w->registers + i->guard;
  u32 holds = 0;
  for (u32 lane = 0; lane < LANES; ++lane) holds |= (u32)((predicate[lane] != 0) ^ i->negated) << lane;
  return on & holds;
}

/* ---- barriers: lanes arrive and wait, `release` lets them go */

static void arrive(Warp* w, const Instruction* i, u32 on) {
  Block* const b = w->block;
  const u32 first = (u32)__builtin_ctz(on);
  if (i->mode == CLUSTER_ARRIVE || i->mode == CLUSTER_WAIT) {
    if (i->mode == CLUSTER_ARRIVE) b->cluster->cluster_arrived += (u32)__builtin_popcount(on);
    FOR_LANES(on) {
      w->barrier[lane] = NAMED_BARRIERS;
      if (i->mode == CLUSTER_ARRIVE) w->arrived_in[lane] = b->cluster->cluster_epoch;
      else if (w->arrived_in[lane] == b->cluster->cluster_epoch) w->at_barrier |= 1u << lane; /* else all have arrived since */
    }
    return;
  }
  if (i->aligned && on != w->alive) {
    Report* made = report(w, i, first, DIVERGENT_BARRIER);
    if (made) made->other = w->alive & ~on;
  }
  const u32 number = operand_u32(w, i, 1, first), threads = i->operand[2] == NONE ? 0 : operand_u32(w, i, 2, first);
  if (number >= NAMED_BARRIERS || threads % LANES != 0) {
    Report* made = report(w, i, first, BAD_BARRIER);
    if (made) made->other = number, made->bytes = threads;
    stop(b->launch, 719);
    return;
  }
  Barrier* const barrier = &b->barriers[number];
  barrier->arrived += threads ? (i->aligned ? LANES : (u32)__builtin_popcount(on)) : (u32)__builtin_popcount(on);
  if (threads > barrier->wanted) barrier->wanted = threads;
  FOR_LANES(on) {
    w->barrier[lane] = number;
    if (i->mode >= BAR_POPC) {
      const u32 holds = i->constant >> 3 & 1 ? w->constants[i->operand[3]] != 0 : ((u8*)slot(w, i, 3))[lane];
      barrier->votes += (holds != 0) ^ (i->reserved & 1);
      barrier->voters++;
    }
  }
  if (i->mode != BAR_ARRIVE) w->at_barrier |= on;
  check_arrived(w, on, number);
}

/* bar.red gives its answer when the barrier opens: the instruction is the one before the pc that the lane waits at. */
static void answer(Warp* w, u32 on, const Barrier* barrier) {
  const Instruction* const code = w->block->launch->program->code;
  FOR_LANES(on) {
    const Instruction* const i = &code[w->pc[lane] - 1];
    if (i->mode < BAR_POPC || i->operand[0] == NONE) continue;
    if (i->mode == BAR_POPC) ((u32*)slot(w, i, 0))[lane] = barrier->votes;
    else ((u8*)slot(w, i, 0))[lane] = i->mode == BAR_AND ? barrier->votes == barrier->voters : barrier->votes != 0;
  }
}

static u32 waits_at(const Warp* w, u32 number) {
  u32 found = 0;
  FOR_LANES(w->at_barrier) found |= (u32)(w->barrier[lane] == number) << lane;
  return found;
}

static int release(Block* b, u32 number) {
  Barrier* const barrier = &b->barriers[number];
  if (barrier->arrived == 0) return 0;
  if (barrier->wanted ? barrier->arrived < barrier->wanted : barrier->arrived < b->alive) return 0;
  for (u32 k = 0; k < b->warp_count; ++k) {
    Warp* const w = &b->warps[k];
    const u32 on = waits_at(w, number);
    if (on == 0) continue;
    if (barrier->voters) answer(w, on, barrier);
    w->at_barrier &= ~on;
    check_passed(w, on, number);
  }
  if (barrier->wanted == 0) b->epoch++;
  *barrier = (Barrier){.epoch = barrier->epoch + 1};
  return 1;
}

static int release_cluster(Block* b) {
  Block* const first = b->cluster;
  u32 alive = 0;
  for (u32 k = 0; k < first->cluster_size; ++k) alive += first[k].alive;
  if (first->cluster_arrived == 0 || first->cluster_arrived < alive) return 0;
  for (u32 k = 0; k < first->cluster_size; ++k) {
    for (u32 j = 0; j < first[k].warp_count; ++j) {
      Warp* const w = &first[k].warps[j];
      w->at_barrier &= ~waits_at(w, NAMED_BARRIERS);
    }
    first[k].epoch++;
    check_cluster_passed(&first[k]);
  }
  first->cluster_arrived = 0;
  first->cluster_epoch++;
  return 1;
}

/* ---- one warp */

typedef struct Front {
  u32 pc, next, lanes; /* the lowest pc, the one after it, and the lanes at the lowest */
} Front;

static Front front(const Warp* w, u32 movable) {
  Front f = {NONE, NONE, 0};
  FOR_LANES(movable) {
    if (w->pc[lane] < f.pc) f.pc = w->pc[lane];
  }
  FOR_LANES(movable) {
    if (w->pc[lane] == f.pc) f.lanes |= 1u << lane;
    else if (w->pc[lane] < f.next) f.next = w->pc[lane];
  }
  return f;
}

/* A branch runs in the lanes that do not take it as well. */
static void cover(const Launch* l, const Instruction* i, u32 lanes, u32 on) {
  if (unlikely(l->covered != NULL)) l->covered[i - l->program->code] += (u32)__builtin_popcount(i->kind == BRANCH ? lanes : on);
}

/* What changes where lanes are. Returns the lanes that go on to the next instruction in step. */
static u32 turn(Warp* w, const Instruction* i, u32 lanes, u32 on, u32 pc) {
  const u32 off = lanes & ~on;
  switch (i->kind) {
    case BRANCH:
      FOR_LANES(on) w->pc[lane] = i->target;
      return off;
    case TABLE: jump(w, i, on); return off;
    case CALL: call(w, i, on, pc + 1); return off;
    case RETURN: leave(w, give_back(w, on)); return off;
    case EXIT: leave(w, on); return off;
    case BARRIER:
      FOR_LANES(on) w->pc[lane] = pc + 1;
      arrive(w, i, on);
      return i->mode == BAR_ARRIVE || i->mode == CLUSTER_ARRIVE ? lanes : off;
    default: fail(w, i, on); return off;
  }
}

static void keep(Warp* w, u32 lanes, u32 pc) {
  FOR_LANES(lanes) w->pc[lane] = pc;
}

/* An aligned barrier is for all lanes of the warp: those that come first wait for the others, wherever these are. */
static u32 gathered(Warp* w, const Instruction* i, u32 on, u32 pc) {
  if (i->kind != BARRIER || !i->aligned || i->mode == CLUSTER_ARRIVE || i->mode == CLUSTER_WAIT) return on;
  const u32 group = on | lanes_at(w, w->parked, pc);
  if (group == w->alive) w->parked &= ~group;
  else w->parked |= on;
  return group == w->alive ? group : 0;
}

/* From `f` on, until lanes part, meet or wait, or the budget is used. Returns 0 when it is others' turn. */
static int run_front(Warp* w, Front f) {
  Launch* const l = w->block->launch;
  const Instruction* const code = l->program->code;
  u32 lanes = f.lanes, pc = f.pc;
  while (lanes != 0 && pc < f.next && !l->stopped) {
    const Instruction* const i = &code[pc];
    if (unlikely(w->budget-- <= 0)) break;
    const u32 on = guarded(w, i, lanes);
    cover(l, i, lanes, on);
    if (likely(i->kind == PLAIN)) {
      if (on) i->run(w, i, on);
      pc++;
    } else if (i->kind == COLLECTIVE) {
      if (on != 0) {
        const u32 group = collected(w, i, on, pc, 0);
        keep(w, lanes, pc + 1);
        keep(w, on & ~group, pc);
        w->parked = (w->parked & ~group) | (on & ~group);
        if (group) i->run(w, i, group), check_met(w, group);
        keep(w, group, pc + 1);
        if (group != on || f.next != NONE) return 1;
      }
      pc++;
    } else if (i->kind == YIELD) {
      if (on) i->run(w, i, on);
      keep(w, lanes, pc + 1);
      if (on) return 0;
      pc++;
    } else if (on == 0) {
      pc++;
    } else if (i->kind == BRANCH && on == lanes && f.next == NONE) {
      pc = i->target;
    } else {
      const u32 group = gathered(w, i, on, pc);
      keep(w, lanes, pc + 1);
      if (group == 0) {
        keep(w, on, pc);
        return 1;
      }
      lanes = turn(w, i, lanes, group, pc);
      if (on != 0 && (i->kind != BARRIER || lanes == 0)) return 1;
      pc++;
    }
  }
  keep(w, lanes, pc);
  return w->budget >= 0 && !l->stopped;
}

/* Lanes wait for others of the warp that never come: the first group goes on without them, and that is reported. */
static int unpark(Warp* w) {
  const Front f = front(w, w->parked & ~w->at_barrier);
  if (f.pc == NONE) return 0;
  const Instruction* const i = &w->block->launch->program->code[f.pc];
  if (i->kind == BARRIER) { /* some are elsewhere, or have ended since */
    w->parked &= ~f.lanes;
    keep(w, f.lanes, f.pc + 1);
    arrive(w, i, f.lanes);
    return 1;
  }
  const u32 group = collected(w, i, f.lanes, f.pc, 1);
  w->parked &= ~group;
  if (group) i->run(w, i, group), check_met(w, group);
  keep(w, group, f.pc + 1);
  return group != 0;
}

static u32 next_in_turn(Warp* w, u32 movable) {
  u32 found = 0;
  FOR_LANES(w->after ? movable : 0) found |= (u32)(w->pc[lane] >= w->after) << lane;
  if (found == 0) w->after = 0;
  return found ? found : movable;
}

/* Until all lanes wait for other warps, or it is their turn. Returns whether anything moved. */
static int run_warp(Warp* w) {
  Launch* const l = w->block->launch;
  w->budget = w->block->patience;
  int moved = 0;
  while (!l->stopped) {
    const u32 movable = w->alive & ~w->parked & ~w->at_barrier;
    if (movable == 0) {
      /* those at a barrier may bring those that are missed, after it: not while others can open it */
      if (w->parked & ~w->at_barrier && !w->at_barrier && unpark(w)) { moved = 1; continue; }
      break;
    }
    moved = 1;
    const Front f = front(w, next_in_turn(w, movable));
    if (!run_front(w, f)) {
      /* lanes that spin, or sleep, may wait for others of their warp: those come next */
      w->after = f.lanes == movable ? 0 : w->pc[__builtin_ctz(f.lanes)] + 1;
      break;
    }
  }
  l->steps += (u64)(w->block->patience - w->budget);
  return moved;
}

/* ---- blocks */

static int run_block(Block* b) {
  int moved = 0;
  for (u32 k = 0; k < b->warp_count && !b->launch->stopped; ++k) {
    if (b->warps[k].alive & ~b->warps[k].at_barrier) moved |= run_warp(&b->warps[k]);
  }
  for (u32 number = 0; number < NAMED_BARRIERS; ++number) moved |= release(b, number);
  return moved | release_cluster(b);
}

static void deadlocked(Block* b) {
  const Instruction* const code = b->launch->program->code;
  for (u32 k = 0; k < b->warp_count; ++k) {
    Warp* const w = &b->warps[k];
    if (w->parked & ~w->at_barrier && unpark(w)) return; /* reported; those go on */
  }
  for (u32 k = 0; k < b->warp_count; ++k) {
    Warp* const w = &b->warps[k];
    if (w->alive == 0) continue;
    const u32 lane = (u32)__builtin_ctz(w->alive);
    report(w, &code[w->pc[lane] - 1], lane, DEADLOCK);
    stop(b->launch, 719);
    return;
  }
}

/* The launch takes more than it may: told of a thread that runs, or else of one that waits. */
static void too_long(const Block* blocks, u32 count) {
  Launch* const l = blocks->launch;
  Warp* waits = NULL;
  for (u32 k = 0; k < count; ++k) {
    for (u32 j = 0; j < blocks[k].warp_count; ++j) {
      Warp* const w = &blocks[k].warps[j];
      const Front f = front(w, w->alive & ~w->parked & ~w->at_barrier);
      if (f.lanes != 0) {
        report(w, &l->program->code[f.pc], (u32)__builtin_ctz(f.lanes), TOO_LONG);
        return stop(l, 702);
      }
      if (waits == NULL && w->alive != 0) waits = w;
    }
  }
  const u32 lane = (u32)__builtin_ctz(waits->alive), pc = waits->pc[lane];
  report(waits, &l->program->code[waits->at_barrier >> lane & 1 ? pc - 1 : pc], lane, TOO_LONG);
  stop(l, 702);
}

/* A turn of each of these blocks, which belong together. Returns how many threads are left. */
u32 gpuwheel_ptx_run_blocks(Block* blocks, u32 count) {
  Launch* const l = blocks->launch;
  u32 alive = 0;
  int moved = 0;
  if (l->step_limit && l->steps > l->step_limit) return too_long(blocks, count), 0;
  for (u32 k = 0; k < count && !l->stopped; ++k) {
    if (blocks[k].alive) moved |= run_block(&blocks[k]);
    alive += blocks[k].alive;
  }
  for (u32 k = 0; k < count && !moved && !l->stopped; ++k) {
    if (!blocks[k].alive) continue;
    deadlocked(&blocks[k]);
    break;
  }
  return l->stopped ? 0 : alive;
}
