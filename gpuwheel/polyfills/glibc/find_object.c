#define _GNU_SOURCE
/* glibc 2.35, <dlfcn.h>: libgcc_eh.a (-static-libgcc) finds the tables for exceptions with it, and with nothing else.
   Weaker: it looks through all loaded objects under the loader's lock, as libgcc did before, and names no link map. */
#include <elf.h>
#include <link.h>
#include <stddef.h>

#include "../polyfill.h"

/* `struct dl_find_object` of 64-bit machines. */
struct found {
  unsigned long long flags;
  void *start, *end, *link_map, *eh_frame;
  unsigned long long reserved[7];
};

struct search {
  ElfW(Addr) address;
  struct found* found;
};

extern int each_object(int (*visit)(struct dl_phdr_info*, size_t, void*), void* data) __asm__("dl_iterate_phdr");

static int look(struct dl_phdr_info* object, size_t size, void* data) {
  (void)size;
  const struct search* search = data;
  ElfW(Addr) start = ~(ElfW(Addr))0, end = 0, eh_frame = 0;
  int inside = 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)* segment = &object->dlpi_phdr[i];
    const ElfW(Addr) from = object->dlpi_addr + segment->p_vaddr;
    if (segment->p_type == PT_GNU_EH_FRAME) eh_frame = from;
    if (segment->p_type != PT_LOAD) continue;
    const ElfW(Addr) to = from + segment->p_memsz;
    if (from < start) start = from;
    if (to > end) end = to;
    if (search->address >= from && search->address < to) inside = 1;
  }
  if (!inside) return 0;
  *search->found = (struct found){0, (void*)start, (void*)end, NULL, (void*)eh_frame, {0}};
  return 1;
}

POLYFILL int polyfill_find_object(void* address, struct found* result) __asm__("_dl_find_object");

int polyfill_find_object(void* address, struct found* result) {
  struct search search = {(ElfW(Addr))address, result};
  return each_object(look, &search) ? 0 : -1;
}
