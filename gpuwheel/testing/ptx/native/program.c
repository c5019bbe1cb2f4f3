/* A program out of the block of bytes that program.py lays out. It is our own cache's: sizes are checked all the same. */
#include "machine.h"

typedef struct Header {
  char magic[8];
  u32 count, constants, specials, register_bytes, shared_bytes, local_bytes, parameter_bytes, sites, call_depth, stack_bytes, base_slot, is_recursive;
} Header;

/* A copy of the block with the handlers put in, or NULL: it is not whole. `handlers` are those of the forms, by number. */
EXPORT Program* gpuwheel_ptx_open(const u8* block, u64 bytes, Handler* const* handlers, u64 handler_count) {
  Header head;
  if (bytes < sizeof head) return NULL;
  memcpy(&head, block, sizeof head);
  const u64 code = (u64)head.count * sizeof(Instruction), constants = (u64)head.constants * sizeof(Constant), specials = (u64)head.specials * sizeof(Special);
  if (memcmp(head.magic, "gwptx002", 8) != 0 || bytes != sizeof head + code + constants + specials) return NULL;
  u8* const room = malloc(sizeof(Program) + code + constants + specials);
  if (room == NULL) return NULL;
  Program* const p = (Program*)room;
  p->code = (Instruction*)(room + sizeof *p);
  memcpy(p->code, block + sizeof head, code + constants + specials);
  p->constants = (const Constant*)((u8*)p->code + code);
  p->specials = (const Special*)((u8*)p->constants + constants);
  p->count = head.count;
  p->constant_count = head.constants;
  p->special_count = head.specials;
  p->register_bytes = head.register_bytes;
  p->shared_bytes = head.shared_bytes;
  p->local_bytes = head.local_bytes;
  p->parameter_bytes = head.parameter_bytes;
  p->site_count = head.sites;
  p->call_depth = head.call_depth;
  p->stack_bytes = head.stack_bytes;
  p->base_slot = head.base_slot;
  p->is_recursive = head.is_recursive;
  for (u32 k = 0; k < p->count; ++k) {
    Instruction* const i = &p->code[k];
    const u64 number = (u64)(uintptr_t)i->run;
    const int runs = i->kind == PLAIN || i->kind == COLLECTIVE || i->kind == YIELD;
    if (runs && number >= handler_count) return free(room), NULL;
    i->run = runs ? handlers[number] : NULL;
  }
  return p;
}

EXPORT void gpuwheel_ptx_close(Program* p) { free(p); }

_Static_assert(sizeof(Instruction) == 8 + 4 + 4 * 7 + 8 + 4 * MOST_OPERANDS, "Instruction has padding: program.py packs it without");
