/* Which memory an instruction may touch, and what is said where it may not. */
#include "calls.h"
#include "check_hooks.h"

/* ---- reports: one for each instruction and kind */

Report* report(Warp* w, const Instruction* i, u32 lane, ReportKind kind) {
  Launch* const l = w->block->launch;
  const u32 at = i == NULL ? NONE : (u32)(i - l->program->code);
  for (u32 k = 0; k < l->report_count; ++k) {
    if (l->reports[k].instruction == at && l->reports[k].kind == (u32)kind) {
      l->reports[k].count++;
      return NULL;
    }
  }
  if (l->report_count == l->report_room) {
    stop(l, 719);
    return NULL;
  }
  Report* const made = &l->reports[l->report_count++];
  memset(made, 0, sizeof *made);
  made->kind = kind;
  made->instruction = at;
  made->count = 1;
  const u32 linear = w->index * LANES + lane, *block = l->block;
  made->thread[0] = linear % block[0];
  made->thread[1] = linear / block[0] % block[1];
  made->thread[2] = linear / block[0] / block[1];
  memcpy(made->block, w->block->index, sizeof made->block);
  return made;
}

void stop(Launch* l, u32 failed) {
  if (!l->stopped) l->failed = failed;
  l->stopped = 1;
}

static void say(Report* made, u64 address, u32 bytes, Access access, u64 start, u64 end) {
  if (made == NULL) return;
  made->address = address;
  made->bytes = bytes;
  made->write = access & KIND_OF_ACCESS;
  made->start = start;
  made->end = end;
}

/* ---- global memory */

/* The first range that ends after the address. */
static u32 range_at(const Launch* l, u64 address) {
  u32 low = 0, high = l->range_count;
  while (low < high) {
    const u32 middle = low + (high - low) / 2;
    if (l->ranges[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Writes down which pages are touched; `met` becomes the pages, so that others come here as well. */
static void touch(const Launch* l, Touched* touched, u64 address, u32 bytes, Access access, Range* met) {
  u64 pages = ~0ull;
  if (l->by_pages) {
    const u64 equal = (met->end - met->start + 63) / 64, page = equal > PAGE ? equal : PAGE;
    const u64 first = (address - met->start) / page, last = (address + bytes - 1 - met->start) / page;
    const u64 end = met->start + (last + 1) * page;
    pages = (last - first >= 63 ? ~0ull : (1ull << (last - first + 1)) - 1) << first;
    met->start += first * page;
    if (end < met->end) met->end = end;
  }
  if ((access & KIND_OF_ACCESS) != WRITE) touched->read |= pages;
  if ((access & KIND_OF_ACCESS) != READ) touched->written |= pages;
}

u8* global_slow(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  Launch* const l = w->block->launch;
  const u64 within = address - (u64)l->workspace;
  if (l->workspace && within < WORKSPACE_BYTES && bytes <= WORKSPACE_BYTES - within && !(address & (align - 1))) {
    check_workspace(w, address, access);
    return (u8*)address;
  }
  const u32 at = range_at(l, address);
  const Range* const found = at < l->range_count ? &l->ranges[at] : NULL;
  const int inside = found && address >= found->start && address < found->end && bytes <= found->end - address;
  if (inside && !(address & (align - 1))) {
    w->block->sites[i->site] = *found;
    if (l->touched) touch(l, &l->touched[at], address, bytes, access, &w->block->sites[i->site]);
    if (found->shadow) check_global(w, i, lane, found, address, bytes, access);
    return (u8*)address;
  }
  const Range* nearest = found;
  if (!inside && at > 0 && (found == NULL || (address < found->start && address - l->ranges[at - 1].end < found->start - address))) nearest = &l->ranges[at - 1];
  say(report(w, i, lane, inside ? MISALIGNED : OUT_OF_BOUNDS), address, bytes, access, nearest ? nearest->start : 0, nearest ? nearest->end : 0);
  return NULL;
}

/* ---- shared memory: the block's own, and that of others of its cluster */

u8* shared_slow(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  Block* const b = w->block;
  const u32 rank = (u32)address >> RANK_SHIFT, offset = (u32)address & ((1u << RANK_SHIFT) - 1);
  Block* const owner = rank < b->cluster->cluster_size ? &b->cluster[rank] : NULL;
  const int inside = owner != NULL && (u64)offset + bytes <= owner->shared_bytes;
  if (inside && !(offset & (align - 1))) {
    if (owner->shadow) check_shared(w, i, lane, owner, offset, bytes, access);
    return owner->shared + offset;
  }
  say(report(w, i, lane, inside ? MISALIGNED : SHARED_OUT_OF_BOUNDS), offset, bytes, access, 0, b->shared_bytes);
  return NULL;
}

/* ---- memory of one thread, and of the launch */

static u8* within(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access, u64 start, u64 size, ReportKind kind) {
  const int inside = address - start < size && bytes <= size - (address - start);
  if (inside && !(address & (align - 1))) return (u8*)address;
  say(report(w, i, lane, inside ? MISALIGNED : kind), address - start, bytes, access, 0, size);
  return NULL;
}

static u64 local_base(const Warp* w, u32 lane) {
  return (u64)w->block->local + (u64)(w->index * LANES + lane) * w->block->launch->program->stack_bytes;
}

u8* at_local(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  const u64 base = local_base(w, lane);
  u8* const at = within(w, i, lane, address, bytes, align, access, base, calls_local_bytes(w, lane), LOCAL_OUT_OF_BOUNDS);
  if (at != NULL && w->block->shadow != NULL) check_local(w, i, lane, address - base, bytes, access);
  return at;
}

u8* at_parameter(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  const Launch* const l = w->block->launch;
  const u64 start = (u64)l->parameters, size = l->program->parameter_bytes;
  if (address - start >= size && address - local_base(w, lane) < l->program->stack_bytes) return at_local(w, i, lane, address, bytes, align, access);
  return within(w, i, lane, address, bytes, align, access, start, size, PARAMETER_OUT_OF_BOUNDS);
}

u8* at_generic(Warp* w, const Instruction* i, u32 lane, u64 address, u32 bytes, u32 align, Access access) {
  const Block* const cluster = w->block->cluster;
  const Launch* const l = w->block->launch;
  for (u32 rank = 0; rank < cluster->cluster_size; ++rank) {
    const u64 offset = address - (u64)cluster[rank].shared;
    if (offset < cluster[rank].shared_bytes) return at_shared(w, i, lane, (u64)rank << RANK_SHIFT | offset, bytes, align, access);
  }
  if (address - local_base(w, lane) < l->program->stack_bytes) return at_local(w, i, lane, address, bytes, align, access);
  if (access == READ && address - (u64)l->parameters < l->program->parameter_bytes) return at_parameter(w, i, lane, address, bytes, align, access);
  return at_global(w, i, lane, address, bytes, align, access);
}

/* ---- generic addresses: those of the host; of shared memory they are not the same as its own */

u64 generic_of_shared(const Warp* w, u64 address) {
  const Block* const cluster = w->block->cluster;
  const u32 rank = (u32)address >> RANK_SHIFT;
  return (u64)cluster[rank < cluster->cluster_size ? rank : 0].shared + ((u32)address & ((1u << RANK_SHIFT) - 1));
}

static const Block* shared_block(const Warp* w, u64 address) {
  const Block* const cluster = w->block->cluster;
  for (u32 rank = 0; rank < cluster->cluster_size; ++rank) {
    if (address - (u64)cluster[rank].shared <= cluster[rank].shared_bytes) return &cluster[rank];
  }
  return NULL;
}

u64 shared_of_generic(const Warp* w, u64 address) {
  const Block* const owner = shared_block(w, address);
  /* an address of other memory: what it becomes is beyond all shared memory */
  return owner ? (u64)owner->rank << RANK_SHIFT | (address - (u64)owner->shared) : 0xffffffffu;
}

Space space_of(const Warp* w, u32 lane, u64 address) {
  const Launch* const l = w->block->launch;
  const Block* const owner = shared_block(w, address);
  if (owner) return owner == w->block ? IN_SHARED : IN_CLUSTER;
  if (address - local_base(w, lane) < l->program->stack_bytes) return IN_LOCAL;
  return address - (u64)l->parameters < l->program->parameter_bytes ? IN_PARAMETERS : IN_GLOBAL;
}
