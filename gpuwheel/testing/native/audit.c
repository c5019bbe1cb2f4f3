/* Libraries with NVIDIA's runtime linked in (nvcc's default) on the pretend GPU, as they are. That runtime works with
   NVIDIA's driver alone: it asks it to prove what it is, which a pretend one does not try. So it is not run: where the
   loader maps such a library, and before anything of it runs, the first bytes of each of its runtime's functions become
   a jump to the fake runtime of that major version. rtld-audit(7) says when; the table, entries.h, is written by
   gpuwheel/testing/static_runtimes.py, out of gpuwheel/data/static_runtimes.toml. Only memory of the process changes. */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Entry {
  uint32_t at;     /* in the release's machine code */
  uint32_t target; /* in the fake runtime */
  uint8_t head;    /* how many of its first bytes no linker changes */
} Entry;

typedef struct Release {
  const char* version;
  int runtime; /* place in runtimes */
  uint32_t size;
  uint32_t anchor_at; /* a run of bytes that no linker changes, and where */
  uint32_t anchor_size;
  const unsigned char* anchor;
  uint64_t heads; /* FNV-1a over the first bytes of all entries */
  const Entry* entries;
  int count;
} Release;

#include "entries.h" /* runtimes: {file name, 0}; releases; of_nvidia: names up to .so; of_torch: file names */

enum { JUMP = 14, MOST_WAITING = 16 };
static const char RARE[] = "\0dlmopen"; /* imported by every such runtime, and by little else */

static struct {
  const Release* release;
  unsigned char* code;
} waiting[MOST_WAITING]; /* mapped before the fake runtime: the program itself */
static int waiting_count;

static int write_jumps(const Release* release, unsigned char* code) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  void* const first = (void*)((uintptr_t)code & ~(page - 1));
  const size_t length = (uintptr_t)code + release->size + JUMP - (uintptr_t)first;
  if (mprotect(first, length, PROT_READ | PROT_WRITE) != 0) return 0;
  for (int i = 0; i < release->count; ++i) {
    static const unsigned char through_next[] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp *0(%rip) */
    const uintptr_t target = runtimes[release->runtime].base + release->entries[i].target;
    memcpy(code + release->entries[i].at, through_next, sizeof through_next);
    memcpy(code + release->entries[i].at + sizeof through_next, &target, sizeof target);
  }
  return mprotect(first, length, PROT_READ | PROT_EXEC) == 0;
}

static void say(const char* library, const char* what) {
  fprintf(stderr, "gpuwheel: %s %s: what it launches fails and is not recorded\n", *library ? library : "the program", what);
}

static void redirect(const Release* release, unsigned char* code, const char* library) {
  if (runtimes[release->runtime].base != 0) {
    if (!write_jumps(release, code)) say(library, "has a CUDA runtime in memory that must not be changed");
  } else if (waiting_count < MOST_WAITING) {
    waiting[waiting_count].release = release;
    waiting[waiting_count++].code = code;
  }
}

static int is_release(const Release* release, const unsigned char* code) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (int i = 0; i < release->count; ++i) {
    const unsigned char* at = code + release->entries[i].at;
    for (int j = 0; j < release->entries[i].head; ++j) hash = (hash ^ at[j]) * 0x100000001b3u;
  }
  return hash == release->heads;
}

/* The release whose machine code is in this memory, and where it begins. */
static const Release* find_release(unsigned char* memory, size_t size, unsigned char** code) {
  for (size_t i = 0; i < sizeof releases / sizeof *releases; ++i) {
    const Release* release = &releases[i];
    unsigned char *from = memory, *const end = memory + size;
    while ((from = memmem(from, (size_t)(end - from), release->anchor, release->anchor_size)) != NULL) {
      *code = from++ - release->anchor_at;
      if (*code >= memory && *code + release->size <= end && is_release(release, *code)) return release;
    }
  }
  return NULL;
}

/* The value of a dynamic tag. glibc adds the library's address to some of them, at times of its own choosing. */
static uintptr_t dynamic(const struct link_map* map, int64_t tag, int is_address) {
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag != tag) continue;
    return entry->d_un.d_ptr + (is_address && entry->d_un.d_ptr < map->l_addr ? map->l_addr : 0);
  }
  return 0;
}

/* Whether it has a runtime of its own: it asks for a function that such runtimes need, and for no libcudart. */
static int may_have_runtime(const struct link_map* map) {
  const char* strings = (const char*)dynamic(map, DT_STRTAB, 1);
  const size_t size = dynamic(map, DT_STRSZ, 0);
  if (strings == NULL || memmem(strings, size, RARE, sizeof RARE) == NULL) return 0;
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED && strncmp(strings + entry->d_un.d_val, "libcudart.", 10) == 0) return 0;
  }
  return 1;
}

/* NVIDIA's own libraries, and torch's: what they launch is no business of a test, and they are large. */
static int is_foreign(const char* name) {
  for (size_t i = 0; i < sizeof of_torch / sizeof *of_torch; ++i) {
    if (strcmp(name, of_torch[i]) == 0) return 1;
  }
  for (size_t i = 0; i < sizeof of_nvidia / sizeof *of_nvidia; ++i) {
    const size_t length = strlen(of_nvidia[i]);
    if (strncmp(name, of_nvidia[i], length) != 0) continue;
    const char* rest = name + length;
    if (*rest == '-') rest += 1 + strspn(rest + 1, "0123456789abcdef"); /* what auditwheel took into a package */
    /* With a version, as NVIDIA's have: an extension's library may be called libcuda.so. */
    if (strncmp(rest, ".so.", 4) == 0) return 1;
  }
  return strncmp(name, "libc.so.", 8) == 0 || strncmp(name, "ld-linux", 8) == 0;
}

static void look(const struct link_map* map) {
  const ElfW(Phdr)* header;
  size_t count;
  if (*map->l_name == '\0') {
    header = (const ElfW(Phdr)*)getauxval(AT_PHDR);
    count = getauxval(AT_PHNUM);
  } else {
    const ElfW(Ehdr)* file = (const ElfW(Ehdr)*)map->l_addr;
    if (file == NULL || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0) return;
    header = (const ElfW(Phdr)*)(map->l_addr + file->e_phoff);
    count = file->e_phnum;
  }
  int seen = 0;
  for (size_t i = 0; i < count; ++i) {
    if (header[i].p_type != PT_LOAD || header[i].p_flags & PF_W) continue;
    unsigned char *memory = (unsigned char*)map->l_addr + header[i].p_vaddr, *code;
    const Release* release = header[i].p_flags & PF_X ? find_release(memory, header[i].p_filesz, &code) : NULL;
    if (release != NULL) return redirect(release, code, map->l_name);
    seen |= memmem(memory, header[i].p_filesz, "cudaErrorInsufficientDriver", 28) != NULL;
  }
  if (seen) say(map->l_name, "has a CUDA runtime linked in that the pretend GPU does not know");
}

unsigned la_version(unsigned version) { return version; } /* none of what changed between them is used here */

unsigned la_objopen(struct link_map* map, Lmid_t space, uintptr_t* cookie) {
  (void)cookie;
  if (space != LM_ID_BASE || map->l_ld == NULL) return 0;
  const char* slash = strrchr(map->l_name, '/');
  const char* name = slash ? slash + 1 : map->l_name;
  for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; ++i) {
    if (strcmp(name, runtimes[i].name) != 0) continue;
    runtimes[i].base = map->l_addr;
    for (int j = 0; j < waiting_count; ++j) {
      if (waiting[j].release->runtime == (int)i && !write_jumps(waiting[j].release, waiting[j].code)) say("", "has a CUDA runtime in memory that must not be changed");
    }
    return 0;
  }
  if (!is_foreign(name) && may_have_runtime(map)) look(map);
  return 0;
}
