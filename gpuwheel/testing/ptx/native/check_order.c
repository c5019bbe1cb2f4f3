/* By what blocks of a launch know of each other: a block releases by an atomic after a fence; another that meets the same
   address by an atomic or a strong read learns all that was released there so far, and what those knew. Releases are
   written down as they come; who knows what is looked up only where two blocks touch the same bytes. */
#include "check.h"

enum { MOST_RELEASES = 1 << 20, MOST_LOOKED_AT = 1 << 14, NOBODY = 0 };

typedef struct Release {
  u32 block, released, previous; /* the release before it at this address; `learned`: how much the block knew then */
  u32 learned;
  const u32* of; /* what it knew */
} Release;

typedef struct Place {
  u64 address;
  u32 last;
} Place;

struct Orders {
  Release* releases; /* from 1 */
  u32 count, room, seen_count;
  Place* places;
  u32 place_count, place_room; /* a power of two */
  u8* seen;
  u32** kept; /* what blocks knew, until the launch ends */
  u32 kept_count, kept_room;
};

static u32 hashed(u64 address, u32 room) { return (u32)(address * 0x9e3779b97f4a7c15ull >> 33) & (room - 1); }

static Place* place_of(Orders* o, u64 address) {
  u32 k = hashed(address, o->place_room);
  while (o->places[k].address != 0 && o->places[k].address != address) k = (k + 1) & (o->place_room - 1);
  return &o->places[k];
}

static int more_places(Orders* o) {
  Place* const old = o->places;
  const u32 count = o->place_room, room = count ? 2 * count : 64;
  Place* const made = calloc(room, sizeof *made);
  if (made == NULL) return 0;
  o->places = made;
  o->place_room = room;
  for (u32 k = 0; k < count; ++k) {
    if (old[k].address != 0) *place_of(o, old[k].address) = old[k];
  }
  free(old);
  return 1;
}

static int more_releases(Orders* o) {
  const u32 room = o->room ? 2 * o->room : 256;
  Release* const made = realloc(o->releases, room * sizeof *made);
  if (made == NULL) return 0;
  o->releases = made;
  o->room = room;
  return 1;
}

void orders_free(Orders* o) {
  if (o == NULL) return;
  for (u32 k = 0; k < o->kept_count; ++k) free(o->kept[k]);
  free(o->kept);
  free(o->releases);
  free(o->places);
  free(o->seen);
  free(o);
}

/* What the block knows, as it is now, for those that learn of this release. */
static const u32* keep(Orders* o, const BlockCheck* c) {
  if (c->learned_count == 0) return NULL;
  if (o->kept_count == o->kept_room) {
    const u32 room = o->kept_room ? 2 * o->kept_room : 64;
    u32** const made = realloc(o->kept, room * sizeof *made);
    if (made == NULL) return NULL;
    o->kept = made;
    o->kept_room = room;
  }
  u32* const copy = malloc(c->learned_count * sizeof *copy);
  if (copy == NULL) return NULL;
  memcpy(copy, c->learned, c->learned_count * sizeof *copy);
  return o->kept[o->kept_count++] = copy;
}

/* A fence covers every strong write after it (PTX ISA, 8.7, release patterns): the first counts, the others say it again. */
static void release(BlockCheck* c, u64 address, u32 block) {
  Orders* o = c->launch->orders;
  if (o == NULL) o = c->launch->orders = calloc(1, sizeof *o);
  if (o == NULL || o->count >= MOST_RELEASES) return;
  if (2 * o->place_count + 2 > o->place_room && !more_places(o)) return;
  if (o->count + 1 >= o->room && !more_releases(o)) return;
  Place* const at = place_of(o, address);
  if (at->address == 0) {
    at->address = address;
    o->place_count++;
  }
  const Release* const last = at->last ? &o->releases[at->last] : NULL;
  if (c->fenced == SPENT && last && last->block == block && last->released == c->mark && last->learned == c->learned_count) return;
  if (c->fenced == FRESH) c->mark = c->released++;
  c->fenced = SPENT;
  const u32* const of = keep(o, c);
  o->releases[++o->count] = (Release){block, c->mark, at->last, of ? c->learned_count : 0, of};
  at->last = o->count;
}

/* What came last at an address is known from here on. */
void orders_learn(BlockCheck* c, u64 address) {
  Orders* const o = c->launch->orders;
  if (o == NULL || o->place_room == 0) return;
  const u32 last = place_of(o, address)->last;
  if (last == 0) return;
  for (u32 k = 0; k < c->learned_count; ++k) {
    if (c->learned[k] == last) return;
  }
  /* an older one of the same address is a part of it */
  for (u32 k = 0; k < c->learned_count; ++k) {
    u32 older = last;
    for (u32 steps = 0; older > c->learned[k] && steps < 64; ++steps) older = o->releases[older].previous;
    if (older == c->learned[k]) {
      c->learned[k] = last;
      return;
    }
  }
  if (c->learned_count == c->learned_room) {
    const u32 room = c->learned_room ? 2 * c->learned_room : 8;
    u32* const made = realloc(c->learned, room * sizeof *made);
    if (made == NULL) return;
    c->learned = made;
    c->learned_room = room;
  }
  c->learned[c->learned_count++] = last;
}

void orders_atomic(BlockCheck* c, u64 address, u32 block) {
  orders_learn(c, address);
  if (!c->fenced) return;
  release(c, address, block);
}

typedef struct Search {
  Orders* o;
  u32 block, released, budget;
} Search;

static int finds(Search* s, u32 from) {
  for (u32 at = from; at != NOBODY && !s->o->seen[at]; at = s->o->releases[at].previous) {
    const Release* const r = &s->o->releases[at];
    if (s->budget == 0 || (r->block == s->block && r->released >= s->released)) return 1;
    s->budget--;
    s->o->seen[at] = 1;
    for (u32 k = 0; k < r->learned; ++k) {
      if (finds(s, r->of[k])) return 1;
    }
  }
  return 0;
}

/* Whether this block knows what another did before its release of that number. When it takes too long: yes. */
int orders_knows(const BlockCheck* c, u32 block, u32 released) {
  Orders* const o = c->launch->orders;
  if (o == NULL || c->learned_count == 0) return 0;
  if (o->count >= MOST_RELEASES) return 1;
  if (o->seen_count < o->room) {
    u8* const made = realloc(o->seen, o->room);
    if (made == NULL) return 1;
    o->seen = made;
    o->seen_count = o->room;
  }
  memset(o->seen, 0, o->count + 1);
  Search search = {o, block, released, MOST_LOOKED_AT};
  for (u32 k = 0; k < c->learned_count; ++k) {
    if (finds(&search, c->learned[k])) return 1;
  }
  return 0;
}
