/* Global memory: reads of what nothing wrote, and races of the blocks of a launch. Memory is looked at in lines of 128
   bytes. A line that is touched as a whole, by one block, needs a word; one that is touched in parts, or that several
   blocks only read, three sets of its bytes; one in which blocks meet gets a list of who touched each byte. */
#include "check.h"

#include <stdio.h>

enum { LINE = 128, MANY = 0x7fffffff, ATOMICALLY = 1u << 31 };
static const u32 READERS = ~0u; /* in Line.owner: no block, several read it */

typedef struct Line {
  u64 owner;      /* launch and block plus one, or READERS */
  u64 written[2]; /* ever */
  u64 wrote[2];   /* by the owner; of READERS: what several have read */
  u64 read[2];    /* by the owner; of READERS: by the first of them */
  u32 released;   /* how often the owner had released */
  u32 more;       /* of READERS the first of them, plus one; of a block: 0, or which Meeting */
} Line;

/* Of a line that one block, which has not released yet, touched as a whole: launch, block plus one, and how. PARTLY: there
   is more to know in this launch, in the Line. */
enum { WHOLE_READ = 1, WHOLE_WRITTEN = 2, PARTLY = 4, WHOLE_BITS = 3 };

/* Which warp of a block wrote last, plus one, and its clock then. It counts where the block is said to have written. */
enum { STAMPED_WARP = 0x3f, CLOCK_AT = 6, WORDS = LINE / 4 };

/* Of each byte, who wrote it last, and which two blocks read it since then (MANY: further ones, or one of several): a
   block plus one, and how often it had released. */
typedef struct Meeting {
  u32 writer[LINE], wrote_at[LINE], reader[2][LINE], read_at[2][LINE];
} Meeting;

typedef struct Shadow {
  u64 start, begin, end; /* start: of the first line */
  int complete; /* all is written */
  u32 launch;   /* whose meetings these are */
  Meeting* meetings;
  u32 meeting_count, meeting_room;
  u64* whole; /* of each line */
  u32* by;    /* of each line that is written as a whole: by which warp, and when */
  u32* words; /* of each word of the others; NULL until there are some */
  u8* filled; /* of each line: all of it is written, though its Line may not say so */
  Line lines[];
} Shadow;

/* ---- of memory */

EXPORT void* gpuwheel_ptx_shadow(u64 start, u64 end, int written) {
  const u64 first = start / LINE * LINE, lines = (end - first + LINE - 1) / LINE;
  Shadow* const made = calloc(1, sizeof *made + lines * (sizeof(Line) + sizeof(u64) + sizeof(u32) + 1));
  if (made == NULL) return NULL;
  made->whole = (u64*)(made->lines + lines);
  made->by = (u32*)(made->whole + lines);
  made->filled = (u8*)(made->by + lines);
  made->start = first;
  made->begin = start;
  made->end = end;
  made->complete = written;
  return made;
}

EXPORT void gpuwheel_ptx_shadow_free(void* shadow) {
  Shadow* const s = shadow;
  if (s == NULL) return;
  free(s->meetings);
  free(s->words);
  free(s);
}

static u64 bits(u32 first, u64 count) { return (count >= 64 ? ~0ull : (1ull << count) - 1) << first; }

/* The host wrote there: a copy, a memset, an operator of torch. */
EXPORT void gpuwheel_ptx_written(void* shadow, u64 start, u64 bytes) {
  Shadow* const s = shadow;
  if (s == NULL || s->complete || bytes == 0 || start < s->begin || start + bytes > s->end) return;
  if (start == s->begin && start + bytes == s->end) {
    s->complete = 1;
    return;
  }
  for (u64 at = start - s->start, last = at + bytes; at < last;) {
    const u64 half = 64 - at % 64, count = last - at < half ? last - at : half;
    s->lines[at / LINE].written[at % LINE / 64] |= bits((u32)(at % 64), count);
    at += count;
  }
}

/* ---- warps of a block: what one wrote another touches, and nothing lies between. Where a block has used fences, its warps
   may have told each other in ways that are not followed here. */

static int watches(const BlockCheck* c) { return !c->fenced && c->checks & CHECK_GLOBAL; }

static u32 stamp_of(const Warp* w) { return clock_now(w) >> (32 - CLOCK_AT) ? 0 : clock_now(w) << CLOCK_AT | (w->index + 1); }

/* The warp, plus one, if this one does not know of it. */
static inline u32 unordered(const BlockCheck* c, const Warp* w, u32 lane, u32 stamp) {
  const u32 warp = stamp & STAMPED_WARP;
  return warp == 0 || warp == w->index + 1 || knows_some(c, w, lane, warp - 1, stamp >> CLOCK_AT) ? 0 : warp;
}

static u32* words_of(Shadow* s, u64 number) {
  if (s->words == NULL) s->words = calloc((s->end - s->start + LINE - 1) / LINE * WORDS, sizeof *s->words);
  return s->words ? s->words + number * WORDS : NULL;
}

static u32 unordered_writer(Shadow* s, const BlockCheck* c, const Warp* w, u32 lane, u64 number, u32 half, u64 set) {
  const u32* const words = words_of(s, number);
  for (u32 k = 0; k < WORDS / 2 && words; ++k) {
    const u32 other = set >> 4 * k & 15 ? unordered(c, w, lane, words[WORDS / 2 * half + k]) : 0;
    if (other) return other;
  }
  return 0;
}

static void stamp(Shadow* s, const Line* line, const Warp* w, u64 number, u32 half, u64 set) {
  u32* const words = words_of(s, number);
  const u32 mine = stamp_of(w);
  for (u32 k = 0; k < WORDS / 2 && words; ++k) {
    u32* const word = &words[WORDS / 2 * half + k];
    const u64 here = set >> 4 * k & 15;
    if (here == 0) continue;
    /* other bytes of the word are another's: whose it is cannot be said */
    const int shared = here != 15 && line->wrote[half] >> 4 * k & 15 & ~here && (*word & STAMPED_WARP) != w->index + 1;
    *word = shared ? 0 : mine;
  }
}

static void write_down(Shadow* s, Line* line, const Warp* w, const BlockCheck* c, u64 number, u32 half, u64 set, u32 kind) {
  if (kind == READ) {
    line->read[half] |= set;
    return;
  }
  if (watches(c)) stamp(s, line, w, number, half, set);
  line->wrote[half] |= set;
}

/* ---- lines that are touched as a whole */

static u64 key_of(const BlockCheck* c) { return c->owner >> 32 << 32 | (u64)(u32)c->owner << WHOLE_BITS; }

/* The Line, with all that is known of it. */
static Line* line_of(Shadow* s, const BlockCheck* c, u64 number) {
  Line* const line = &s->lines[number];
  const u64 whole = s->whole[number];
  if (whole >> 32 == c->launch->number && !(whole & PARTLY)) {
    line->owner = whole >> 32 << 32 | (u32)whole >> WHOLE_BITS;
    line->read[0] = line->read[1] = whole & WHOLE_READ ? ~0ull : 0;
    line->wrote[0] = line->wrote[1] = whole & WHOLE_WRITTEN ? ~0ull : 0;
    line->released = line->more = 0;
    u32* const words = whole & WHOLE_WRITTEN ? words_of(s, number) : NULL;
    for (u32 k = 0; k < WORDS && words; ++k) words[k] = s->by[number];
  }
  s->whole[number] = (u64)c->launch->number << 32 | PARTLY;
  return line;
}

/* 1: nothing has to be said of this line, and what has to be written down was. */
static inline int whole_line(Shadow* s, const Warp* w, const BlockCheck* c, u64 number, Access access) {
  const u64 whole = s->whole[number], key = key_of(c);
  const u64 mine = whole >> 32 == key >> 32 ? whole : key;
  if (c->released != 0 || (mine & ~(u64)(WHOLE_READ | WHOLE_WRITTEN)) != key) return 0;
  if (mine & WHOLE_WRITTEN && watches(c) && unordered(c, w, 0, s->by[number])) return 0;
  if (access == READ) {
    if (!s->complete && !s->filled[number]) return 0;
    s->whole[number] = mine | WHOLE_READ;
  } else {
    s->filled[number] = 1;
    s->by[number] = stamp_of(w);
    s->whole[number] = mine | WHOLE_WRITTEN;
  }
  return 1;
}

/* ---- lines in which blocks meet */

static Meeting* meeting_of(Shadow* s, Line* line, const BlockCheck* c) {
  if (line->more && line->more <= s->meeting_count) return &s->meetings[line->more - 1];
  if (s->launch != c->launch->number) s->meeting_count = 0;
  s->launch = c->launch->number;
  if (s->meeting_count == s->meeting_room) {
    const u32 room = s->meeting_room ? 2 * s->meeting_room : 4;
    Meeting* const made = realloc(s->meetings, room * sizeof *made);
    if (made == NULL) return NULL;
    s->meetings = made;
    s->meeting_room = room;
  }
  Meeting* const m = &s->meetings[s->meeting_count++];
  memset(m, 0, sizeof *m);
  line->more = s->meeting_count;
  return m;
}

/* What the sets of a line say, as a list. */
static Meeting* met(Shadow* s, Line* line, const BlockCheck* c) {
  const u32 owner = (u32)line->owner, first = owner == READERS ? line->more : owner;
  if (owner == READERS) line->more = 0;
  if (line->more) return meeting_of(s, line, c);
  Meeting* const m = meeting_of(s, line, c);
  if (m == NULL) return NULL;
  for (u32 k = 0; k < LINE; ++k) {
    const u64 bit = 1ull << (k & 63);
    const int wrote = (line->wrote[k >> 6] & bit) != 0, read = (line->read[k >> 6] & bit) != 0;
    if (owner != READERS && wrote) m->writer[k] = first, m->wrote_at[k] = line->released;
    if (read) m->reader[0][k] = owner == READERS && wrote ? MANY : first, m->read_at[0][k] = line->released;
  }
  line->owner = (line->owner & ~0xffffffffull) | 1;
  return m;
}

typedef struct Found {
  u32 other, at; /* a block plus one; 0: nothing */
  const char* how;
} Found;

static int knows(const BlockCheck* c, u32 block, u32 released) {
  return block == MANY ? c->learned_count != 0 : orders_knows(c, block, released);
}

/* A reader of a byte that is not this block, and whose reading it knows nothing of; 0: there is none. */
static u32 unordered_reader(const Meeting* m, const BlockCheck* c, u32 k, u32 atomic) {
  for (u32 of = 0; of < 2; ++of) {
    const u32 reader = m->reader[of][k];
    if (reader == 0 || (reader & MANY) == (u32)c->owner || (reader & ATOMICALLY && atomic)) continue;
    if (!knows(c, reader & MANY, m->read_at[of][k])) return reader & MANY;
  }
  return 0;
}

static void add_reader(Meeting* m, const BlockCheck* c, u32 k, u32 strong) {
  const u32 me = (u32)c->owner;
  const u32 first = m->reader[0][k] & MANY, second = m->reader[1][k] & MANY;
  const u32 slot = first == me || first == 0 ? 0 : 1;
  m->reader[slot][k] = (slot == 1 && second != 0 && second != me ? MANY : me) | strong;
  m->read_at[slot][k] = c->released;
}

static Found meet(Meeting* m, const BlockCheck* c, u32 first, u32 bytes, Access access) {
  const u32 me = (u32)c->owner, kind = access & KIND_OF_ACCESS, strong = access & STRONG ? ATOMICALLY : 0;
  Found found = {0, 0, ""};
  for (u32 k = first; k < first + bytes; ++k) {
    const u32 writer = m->writer[k] & MANY;
    const int both_atomic = m->writer[k] & ATOMICALLY && (kind == ATOMIC || strong);
    const u32 reader = kind == READ ? 0 : unordered_reader(m, c, k, kind == ATOMIC || strong);
    if (writer && writer != me && !both_atomic && !knows(c, writer, m->wrote_at[k])) {
      found = (Found){writer, k, m->writer[k] & ATOMICALLY ? "changed atomically" : "wrote"};
    } else if (reader) {
      found = (Found){reader, k, "read"};
    }
    if (kind == READ) {
      add_reader(m, c, k, strong);
      continue;
    }
    /* an atomic of the block that has just written plainly orders that write for nobody */
    const int plain = !(kind == ATOMIC || strong) || (m->writer[k] == me && m->wrote_at[k] == c->released);
    m->writer[k] = me | (plain ? 0 : ATOMICALLY);
    m->wrote_at[k] = c->released;
    m->reader[0][k] = m->reader[1][k] = 0;
  }
  return found;
}

/* ---- accesses */

typedef struct Where {
  const Instruction* i;
  u32 lane, bytes;
  const Range* range;
  u64 address;
} Where;

static Report* begin_report(Warp* w, const Where* at, ReportKind kind, Access access) {
  Report* const made = report(w, at->i, at->lane, kind);
  if (made == NULL) return NULL;
  made->address = at->address;
  made->bytes = at->bytes;
  made->start = at->range->start;
  made->end = at->range->end;
  made->write = access & KIND_OF_ACCESS;
  return made;
}

/* With a thread of this block, or another block (the thread is NONE). */
static void tell_race(Warp* w, const Where* at, Access access, u32 thread, u32 block, const char* how) {
  if ((access & KIND_OF_ACCESS) == WRITE && how[0] == 'w') {
    const u8* const place = (const u8*)at->address;
    doubt(w, at->i, at->lane, (Doubt){.bytes = at->bytes, .kind = GLOBAL_RACE, .other = thread, .other_block = block, .address = at->address, .place = place});
    return;
  }
  Report* const made = begin_report(w, at, GLOBAL_RACE, access);
  if (made == NULL) return;
  made->other = thread;
  made->other_block = block;
  snprintf(made->text, sizeof made->text, "%s", how);
}

/* Another block had this line, or the launch is another, or it is no plain access. */
static Found enter(Shadow* s, Line* line, const Warp* w, BlockCheck* c, u32 first, u32 bytes, Access access) {
  const u32 half = first >> 6, kind = access & KIND_OF_ACCESS;
  const u64 set = bits(first & 63, bytes);
  if (line->owner >> 32 != c->launch->number) {
    line->wrote[0] = line->wrote[1] = line->read[0] = line->read[1] = line->more = 0;
    line->owner = c->owner;
    line->released = c->released;
  }
  const int mine = line->owner == c->owner, plain = kind != ATOMIC && !(access & STRONG);
  if (plain && mine && line->more == 0) {
    if (line->released != c->released) line->wrote[0] = line->wrote[1] = line->read[0] = line->read[1] = 0;
    line->released = c->released;
    write_down(s, line, w, c, (u64)(line - s->lines), half, set, kind);
    return (Found){0};
  }
  if (plain && kind == READ && line->owner != c->owner) {
    const u32 owner = (u32)line->owner;
    if (owner != READERS && line->more == 0 && (line->wrote[0] | line->wrote[1]) == 0 && (set & ~line->read[half]) == 0) {
      line->more = owner;
      line->owner |= READERS;
      line->wrote[half] = set;
      return (Found){0};
    }
    if (owner == READERS && (set & ~line->read[half]) == 0) {
      if (line->more != (u32)c->owner) line->wrote[half] |= set;
      return (Found){0};
    }
  }
  Meeting* const m = met(s, line, c);
  return m == NULL ? (Found){0} : meet(m, c, first, bytes, access);
}

/* Bytes that lie in one half of a line. */
static void touch(Warp* w, const Where* at, u64 address, u32 bytes, Access access) {
  Shadow* const s = at->range->shadow;
  BlockCheck* const c = check_of(w);
  const u64 offset = address - s->start;
  Line* const line = line_of(s, c, offset / LINE);
  const u32 first = offset % LINE, half = first >> 6, kind = access & KIND_OF_ACCESS, tile = access & TILE;
  const u64 set = bits(first & 63, bytes);
  if (kind == WRITE) {
    line->written[half] |= set;
  } else if (unlikely(!s->complete && (set & ~line->written[half]) && !s->filled[offset / LINE] && !tile)) {
    line->written[half] |= set; /* it is told once */
    if (c->checks & CHECK_UNINITIALISED) begin_report(w, at, GLOBAL_UNINITIALISED, access);
  }
  if (likely(line->owner == c->owner && line->released == c->released && line->more == 0 && access <= WRITE)) {
    const u32 other = line->wrote[half] & set && watches(c) ? unordered_writer(s, c, w, at->lane, offset / LINE, half, set & line->wrote[half]) : 0;
    write_down(s, line, w, c, offset / LINE, half, set, kind);
    if (unlikely(other)) tell_race(w, at, access, (other - 1) * LANES, w->block->number, "wrote");
    return;
  }
  if (access == READ && line->owner == (c->owner | READERS) && (set & ~line->wrote[half]) == 0) return;
  const Found found = enter(s, line, w, c, first, bytes, access);
  if (unlikely(found.other) && c->checks & CHECK_GLOBAL) tell_race(w, at, access, NONE, found.other == MANY ? NONE : found.other - 1, found.how);
}

/* One half of a line: whether nothing has to be said, and all that has to be written down was. */
static int plainly(Shadow* s, u64 number, const Warp* w, const BlockCheck* c, u32 half, u64 set, Access access) {
  Line* const line = line_of(s, c, number);
  if (access == READ && !s->complete && set & ~line->written[half] && !s->filled[number]) return 0;
  if (line->owner != c->owner || line->released != c->released) {
    if (access == READ && line->owner == (c->owner | READERS)) return (set & ~line->wrote[half]) == 0;
    if (line->owner >> 32 == c->owner >> 32) return 0;
    line->wrote[0] = line->wrote[1] = line->read[0] = line->read[1] = line->more = 0;
    line->owner = c->owner;
    line->released = c->released;
  }
  if (line->more != 0) return 0;
  if (line->wrote[half] & set && watches(c) && unordered_writer(s, c, w, 0, number, half, set & line->wrote[half])) return 0;
  write_down(s, line, w, c, number, half, set, access);
  if (access == WRITE) line->written[half] |= set;
  return 1;
}

int check_span(Warp* w, const Range* range, u64 address, u32 bytes, Access access) {
  Shadow* const s = range->shadow;
  const BlockCheck* const c = check_of(w);
  if (c == NULL || c->launch->doubt.warp != NULL) return c == NULL;
  u64 at = address - s->start;
  for (const u64 end = at + bytes; at < end;) {
    if (at % LINE == 0 && end - at >= LINE && whole_line(s, w, c, at / LINE, access)) {
      at += LINE;
      continue;
    }
    const u64 room = 64 - at % 64, part = end - at < room ? end - at : room;
    if (!plainly(s, at / LINE, w, c, at % LINE / 64, bits((u32)(at % 64), part), access)) return 0;
    at += part;
  }
  return 1;
}

/* What an atomic or a strong access tells other blocks, or learns of them. */
static void order(BlockCheck* c, u64 address, Access access) {
  if (access & RELEASE) c->fenced = FRESH;
  if ((access & KIND_OF_ACCESS) == READ) orders_learn(c, address);
  else orders_atomic(c, address, (u32)c->owner);
}

void check_global(Warp* w, const Instruction* i, u32 lane, const Range* range, u64 address, u32 bytes, Access access) {
  BlockCheck* const c = check_of(w);
  if (unlikely(c == NULL)) return;
  if (unlikely(c->launch->doubt.warp != NULL)) settle_doubt(c->launch);
  const Where at = {i, lane, bytes, range, address};
  if (likely(address % 64 + bytes <= 64)) {
    touch(w, &at, address, bytes, access);
  } else {
    for (u64 from = address, end = address + bytes; from < end;) {
      const u64 room = 64 - from % 64, part = end - from < room ? end - from : room;
      touch(w, &at, from, (u32)part, access);
      from += part;
    }
  }
  if (unlikely(access & (ATOMIC | STRONG))) order(c, address, access);
}

void check_workspace(Warp* w, u64 address, Access access) {
  if (w->block->shadow != NULL) order(check_of(w), address, access | STRONG);
}
