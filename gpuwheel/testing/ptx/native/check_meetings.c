/* Who knows what: barriers and meetings of lanes tell those who take part what the others have done before. Most often a
   whole warp takes part, and what its lanes know is kept once. From where some lanes meet, arrive or pass without the
   others until all meet again, what each lane knows beside that is kept for itself. */
#include "check.h"

/* Of some lanes of a warp, what they did before this clock. */
typedef struct Part {
  u32 clock, lanes;
} Part;

/* Of each warp, beside BlockCheck.known. */
struct Meetings {
  u32 apart; /* warps whose lanes know different things */
  u32 far;   /* of them those whose lanes know different things of other warps */
  u32 parts; /* whether anything was told of some lanes of a warp alone */
  u32 met[MOST_WARPS][LANES][LANES];        /* by a lane, of another of its warp: what it did before this clock */
  u32 heard[MOST_WARPS][LANES];             /* of which of them it knows more than all do */
  u32 all[MOST_WARPS][LANES][MOST_WARPS];   /* by a lane, of all lanes of another warp */
  Part some[MOST_WARPS][LANES][MOST_WARPS]; /* by a lane, of some of them */
  Part known[MOST_WARPS][MOST_WARPS];       /* by all lanes, of some of them */
  Part told[MEETING_PLACES][MOST_WARPS]; /* by those that arrived, of some of them */
};

static u32 later(u32 a, u32 b) { return a > b ? a : b; }

/* Of lanes that did so at different times, the last counts: rather too much is known than too little. */
static void join(Part* to, const Part* from) {
  to->clock = later(to->clock, from->clock);
  to->lanes |= from->lanes;
}

void meetings_begin(BlockCheck* c) {
  Meetings* const m = c->meetings;
  if (m == NULL) return;
  m->apart = m->far = 0;
  if (!m->parts) return;
  memset(m->known, 0, sizeof m->known);
  memset(m->told, 0, sizeof m->told);
  m->parts = 0;
}

/* From here on its lanes are told apart. 0: there is no memory for that. */
static Meetings* part(BlockCheck* c, const Warp* w, int far) {
  Meetings* const m = c->meetings ? c->meetings : (c->meetings = calloc(1, sizeof *m));
  const u32 bit = 1u << w->index;
  if (m == NULL) return NULL;
  if (!(m->apart & bit)) {
    memset(m->met[w->index], 0, sizeof m->met[0]);
    memset(m->heard[w->index], 0, sizeof m->heard[0]);
  }
  if (far && !(m->far & bit)) {
    memset(m->all[w->index], 0, sizeof m->all[0]);
    memset(m->some[w->index], 0, sizeof m->some[0]);
  }
  m->apart |= bit;
  m->far |= far ? bit : 0;
  return m;
}

/* What these lanes know of other warps, beside what the whole warp does. */
static void gather(const BlockCheck* c, const Warp* w, u32 lanes, u32* all, Part* some) {
  const Meetings* const m = c->meetings;
  if (m == NULL || !(m->far >> w->index & 1)) return;
  FOR_LANES(lanes) {
    for (u32 k = 0; k < c->warps; ++k) {
      all[k] = later(all[k], m->all[w->index][lane][k]);
      join(&some[k], &m->some[w->index][lane][k]);
    }
  }
}

/* All lanes met: what one knew all know. */
static void together(BlockCheck* c, Warp* w) {
  Meetings* const m = c->meetings;
  if (m != NULL && m->apart >> w->index & 1) {
    gather(c, w, ~0u, c->known[w->index], m->known[w->index]);
    m->apart &= ~(1u << w->index);
    m->far &= ~(1u << w->index);
  }
  w->met_at = ++w->epoch;
}

void check_met(Warp* w, u32 lanes) {
  BlockCheck* const c = check_of(w);
  if (c == NULL) return;
  Meetings* const m = lanes == w->alive ? NULL : part(c, w, 0);
  if (m == NULL) return together(c, w);
  u32(*const met)[LANES] = m->met[w->index];
  u32 joined[LANES] = {0}, heard = lanes;
  FOR_LANES(lanes) {
    heard |= m->heard[w->index][lane];
    for (u32 k = 0; k < LANES; ++k) joined[k] = later(joined[k], met[lane][k]);
  }
  w->epoch++;
  FOR_LANES(lanes) joined[lane] = clock_now(w);
  FOR_LANES(lanes) {
    memcpy(met[lane], joined, sizeof joined);
    m->heard[w->index][lane] = heard;
  }
  if (!(m->far >> w->index & 1)) return;
  u32 all[MOST_WARPS] = {0};
  Part some[MOST_WARPS] = {{0, 0}};
  gather(c, w, lanes, all, some);
  FOR_LANES(lanes) {
    memcpy(m->all[w->index][lane], all, sizeof all);
    memcpy(m->some[w->index][lane], some, sizeof some);
  }
}

/* ---- barriers: who arrived tells what it knows, who passes learns what was told */

static void tell_some(BlockCheck* c, Meetings* m, const Warp* w, u32 lanes, u32 number) {
  u32* const all = c->at_barrier[number];
  Part* const some = m->told[number];
  Part own = {clock_now(w) + 1, lanes};
  FOR_LANES(lanes) own.lanes |= m->heard[w->index][lane];
  m->parts = 1;
  all[w->index] = later(all[w->index], (u32)w->met_at);
  join(&some[w->index], &own);
}

void check_arrived(Warp* w, u32 lanes, u32 number) {
  BlockCheck* const c = check_of(w);
  if (c == NULL) return;
  Meetings* const m = lanes == w->alive ? c->meetings : part(c, w, 0);
  u32* const all = c->at_barrier[number];
  for (u32 k = 0; k < c->warps; ++k) all[k] = later(all[k], c->known[w->index][k]);
  if (m != NULL) {
    for (u32 k = 0; k < c->warps && m->parts; ++k) join(&m->told[number][k], &m->known[w->index][k]);
    gather(c, w, lanes, all, m->told[number]);
  }
  if (m != NULL && lanes != w->alive) tell_some(c, m, w, lanes, number);
  else all[w->index] = clock_now(w) + 1;
  w->epoch++;
}

void check_passed(Warp* w, u32 lanes, u32 number) {
  BlockCheck* const c = check_of(w);
  if (c == NULL) return;
  Meetings* const m = lanes == w->alive ? c->meetings : part(c, w, 1);
  const u32* const all = c->at_barrier[number];
  if (m == NULL || lanes == w->alive) {
    for (u32 k = 0; k < c->warps; ++k) c->known[w->index][k] = later(c->known[w->index][k], all[k]);
    for (u32 k = 0; k < c->warps && m != NULL && m->parts; ++k) join(&m->known[w->index][k], &m->told[number][k]);
    return together(c, w);
  }
  const Part own = m->told[number][w->index];
  FOR_LANES(lanes) {
    u32* const met = m->met[w->index][lane];
    m->heard[w->index][lane] |= all[w->index] > w->met_at ? ~0u : own.lanes;
    for (u32 k = 0; k < LANES; ++k) met[k] = later(met[k], own.lanes >> k & 1 ? own.clock : all[w->index]);
    for (u32 k = 0; k < c->warps; ++k) {
      m->all[w->index][lane][k] = later(m->all[w->index][lane][k], all[k]);
      join(&m->some[w->index][lane][k], &m->told[number][k]);
    }
  }
  w->epoch++;
}

/* A barrier of all blocks of a cluster: what came before is ordered for everybody (clocks rise at it). */
void check_cluster_passed(Block* b) {
  BlockCheck* const c = b->shadow;
  if (c == NULL) return;
  for (u32 k = 0; k < c->warps; ++k) {
    for (u32 j = 0; j < c->warps; ++j) c->known[k][j] = clock_now(&b->warps[j]) + 1;
  }
  for (u32 k = 0; k < c->warps; ++k) together(c, &b->warps[k]);
}

/* ---- what a lane knows */

u32 lanes_not_known(const BlockCheck* c, const Warp* w, u32 lane, u32 warp, u32 clock, u32 lanes) {
  const Meetings* const m = c->meetings;
  if (warp == w->index) {
    if (!(m->apart >> warp & 1)) return lanes;
    u32 met = 0;
    for (u32 k = 0; k < LANES; ++k) met |= (u32)(m->met[warp][lane][k] > clock) << k;
    return lanes & ~met;
  }
  if (m->known[w->index][warp].clock > clock) lanes &= ~m->known[w->index][warp].lanes;
  if (!(m->far >> w->index & 1)) return lanes;
  if (m->all[w->index][lane][warp] > clock) return 0;
  return m->some[w->index][lane][warp].clock > clock ? lanes & ~m->some[w->index][lane][warp].lanes : lanes;
}

int knows_some(const BlockCheck* c, const Warp* w, u32 lane, u32 warp, u32 clock) {
  const Meetings* const m = c->meetings;
  if (c->known[w->index][warp] > clock) return 1;
  if (m == NULL) return 0;
  if (m->known[w->index][warp].clock > clock) return 1;
  return m->far >> w->index & 1 && later(m->all[w->index][lane][warp], m->some[w->index][lane][warp].clock) > clock;
}
