/* Programs and variables of kernels, read from the files that gpuwheel/testing/program_files.py writes: lines of words,
   and then bytes as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "programs.h"

typedef struct Variable {
  char* name;
  size_t bytes, align;
  const char* initial; /* NULL: zeros */
  void* memory[MAX_DEVICES];
} Variable;

typedef struct Pointer {
  unsigned variable;
  size_t offset;
  int64_t addend;
  char* target;
} Pointer;

typedef struct ModuleVariables {
  Variable* variables;
  Pointer* pointers;
  unsigned count, pointer_count;
  unsigned there[MAX_DEVICES]; /* how many have memory */
  int failure;
} ModuleVariables;

enum { CHECK_GLOBAL = 4, CHECK_UNINITIALISED = 8 }; /* of machine.h */

typedef Program* Open(const void* block, uint64_t bytes, void* const* handlers, uint64_t handler_count);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void complain(const char* subject, const char* what) { fprintf(stderr, "gpuwheel: %s %s\n", subject, what); }

/* The next line without its end, or NULL. */
static char* line_of(char** at) {
  char* const line = *at;
  char* const end = strchr(line, '\n');
  if (end == NULL) return NULL;
  *end = '\0';
  *at = end + 1;
  return line;
}

static void* grown(void* array, unsigned count, size_t size) {
  return count == 0 || (count & (count - 1)) == 0 ? realloc(array, size * (count ? count * 2 : 1)) : array;
}

/* ---- variables */

static int read_variables(ModuleVariables* made, const char* path) {
  size_t size, bytes, align, length;
  char *const data = programs_read(path, &size), *at = data, *line, name[8192];
  if (data == NULL) return 0;
  unsigned* lengths = NULL;
  while ((line = line_of(&at)) != NULL && strcmp(line, "data") != 0) {
    Pointer pointer = {0};
    if (sscanf(line, "variable %zu %zu %zu %8191s", &bytes, &align, &length, name) == 4) {
      made->variables = grown(made->variables, made->count, sizeof *made->variables);
      lengths = grown(lengths, made->count, sizeof *lengths);
      lengths[made->count] = (unsigned)length;
      made->variables[made->count++] = (Variable){.name = strdup(name), .bytes = bytes, .align = align};
    } else if (sscanf(line, "pointer %u %zu %ld %8191s", &pointer.variable, &pointer.offset, &pointer.addend, name) == 4) {
      pointer.target = strdup(name);
      made->pointers = grown(made->pointers, made->pointer_count, sizeof *made->pointers);
      made->pointers[made->pointer_count++] = pointer;
    } else {
      return free(lengths), free(data), 0;
    }
  }
  for (unsigned i = 0; i < made->count; ++i) {
    if (lengths[i] > (size_t)(data + size - at) || lengths[i] > made->variables[i].bytes) return free(lengths), free(data), 0;
    made->variables[i].initial = lengths[i] ? at : NULL; /* the file stays in memory */
    if (lengths[i] != 0 && lengths[i] != made->variables[i].bytes) return free(lengths), free(data), 0;
    at += lengths[i];
  }
  free(lengths);
  return 1;
}

static Variable* named(const ModuleVariables* of, const char* name) {
  for (unsigned i = 0; i < of->count; ++i) {
    if (strcmp(of->variables[i].name, name) == 0) return &of->variables[i];
  }
  return NULL;
}

static int place(ModuleVariables* of, int device) {
  for (unsigned i = 0; i < of->count; ++i) {
    Variable* const variable = &of->variables[i];
    if (variable->memory[device] != NULL) continue;
    const size_t align = variable->align > 512 ? variable->align : 512, room = (variable->bytes + align) / align * align;
    if (posix_memalign(&variable->memory[device], align, room) != 0) return OUT_OF_MEMORY;
    memset(variable->memory[device], 0, room);
    if (variable->initial != NULL) memcpy(variable->memory[device], variable->initial, variable->bytes);
    memory_add(variable->memory[device], variable->bytes, device, VARIABLE_MEMORY, variable->name);
  }
  for (unsigned i = 0; i < of->pointer_count; ++i) {
    const Pointer* const pointer = &of->pointers[i];
    const Variable* const target = named(of, pointer->target);
    if (target == NULL || pointer->variable >= of->count || pointer->offset + 8 > of->variables[pointer->variable].bytes) continue; /* of a function */
    const uint64_t value = (uint64_t)(uintptr_t)target->memory[device] + (uint64_t)pointer->addend;
    memcpy((char*)of->variables[pointer->variable].memory[device] + pointer->offset, &value, sizeof value);
  }
  of->there[device] = of->count;
  return SUCCESS;
}

static ModuleVariables* read_module(const Library* library) {
  ModuleVariables* const made = calloc(1, sizeof *made);
  const ImagePart* const ptx = image_ptx(&library->image, NULL);
  char why[2000];
  if (ptx == NULL) {
    complain("a library of kernels", "has no PTX, which says what its variables are: they are not there");
    made->failure = NOT_FOUND;
    return made;
  }
  char* const path = programs_ask(ptx, NULL, why, sizeof why);
  if (path == NULL) complain("a library of kernels", why);
  if (path == NULL || !read_variables(made, path)) made->failure = INVALID_PTX;
  free(path);
  return made;
}

/* A variable of a function, which its program's file tells of: `initial` is hexadecimal, or a dash. */
static void add_static(Library* library, size_t bytes, size_t align, const char* name, const char* initial) {
  if (library->variables == NULL) library->variables = read_module(library);
  ModuleVariables* const all = library->variables;
  if (all->failure != SUCCESS || named(all, name) != NULL) return;
  char* value = NULL;
  if (*initial != '-' && strlen(initial) == 2 * bytes) {
    value = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; ++i) {
      unsigned byte = 0;
      sscanf(initial + 2 * i, "%2x", &byte);
      value[i] = (char)byte;
    }
  }
  all->variables = grown(all->variables, all->count, sizeof *all->variables);
  all->variables[all->count++] = (Variable){.name = strdup(name), .bytes = bytes, .align = align, .initial = value};
}

int programs_variable(Library* library, const char* name, int device, void** pointer, size_t* bytes) {
  pthread_mutex_lock(&lock);
  if (library->variables == NULL) library->variables = read_module(library);
  ModuleVariables* const all = library->variables;
  int result = all->failure;
  if (result == SUCCESS && all->there[device] < all->count) result = place(all, device);
  const Variable* const found = result == SUCCESS ? named(all, name) : NULL;
  if (found != NULL) *pointer = found->memory[device], *bytes = found->bytes;
  else if (result == SUCCESS) result = NOT_FOUND;
  pthread_mutex_unlock(&lock);
  return result;
}

/* ---- programs */

typedef struct Parts {
  Library* of;
  void* machine;
  void* library;
  void** handlers;
  unsigned handler_count;
} Parts;

/* One line of a program's file. 0: it is not such a line, or names what is not there. */
static int read_line(KernelProgram* made, Parts* parts, char* line) {
  char name[8192];
  size_t bytes, align;
  int length = 0;
  unsigned offset, size;
  if (strncmp(line, "machine ", 8) == 0) return (parts->machine = dlopen(line + 8, RTLD_NOW | RTLD_GLOBAL)) != NULL;
  if (strncmp(line, "library ", 8) == 0) return (parts->library = dlopen(line + 8, RTLD_NOW | RTLD_LOCAL)) != NULL;
  if (strncmp(line, "handler ", 8) == 0 && parts->library != NULL) {
    parts->handlers = grown(parts->handlers, parts->handler_count, sizeof *parts->handlers);
    return (parts->handlers[parts->handler_count++] = dlsym(parts->library, line + 8)) != NULL;
  }
  if (sscanf(line, "parameter %u %u", &offset, &size) == 2) {
    made->offsets = grown(made->offsets, (unsigned)made->parameter_count, sizeof *made->offsets);
    made->sizes = grown(made->sizes, (unsigned)made->parameter_count, sizeof *made->sizes);
    made->offsets[made->parameter_count] = offset;
    made->sizes[made->parameter_count++] = size;
    if (offset + size > made->parameter_bytes) made->parameter_bytes = offset + size;
    return 1;
  }
  if (strncmp(line, "variable ", 9) == 0) {
    made->variables = grown(made->variables, (unsigned)made->variable_count, sizeof *made->variables);
    made->variables[made->variable_count++] = strdup(line + 9);
    return 1;
  }
  if (sscanf(line, "static %zu %zu %8191s %n", &bytes, &align, name, &length) == 3 && length > 0) {
    add_static(parts->of, bytes, align, name, line + length);
    return 1;
  }
  return sscanf(line, "instructions %u", &made->count) == 1 || strncmp(line, "kernel ", 7) == 0 || strncmp(line, "source ", 7) == 0;
}

static void have_shadows(void* machine) {
  static int done;
  if (done || !(gpuwheel_fake_checks() & (CHECK_GLOBAL | CHECK_UNINITIALISED))) return;
  done = 1;
  memory_have_shadows((Shadows){(void* (*)(uint64_t, uint64_t, int))dlsym(machine, "gpuwheel_ptx_shadow"),
                                (void (*)(void*, uint64_t, uint64_t))dlsym(machine, "gpuwheel_ptx_written"),
                                (void (*)(void*))dlsym(machine, "gpuwheel_ptx_shadow_free")});
}

static int read_program(KernelProgram* made, Library* library, const char* path) {
  size_t size, block = 0;
  char* const bytes = programs_read(path, &size);
  Parts parts = {.of = library};
  if (bytes == NULL) return 0;
  char *at = bytes, *line;
  while ((line = line_of(&at)) != NULL && sscanf(line, "block %zu", &block) != 1) {
    if (!read_line(made, &parts, line)) {
      complain(path, dlerror() ? "names a library that does not load" : "is damaged");
      return free(bytes), free(parts.handlers), 0;
    }
  }
  Open* const open = parts.machine ? (Open*)dlsym(parts.machine, "gpuwheel_ptx_open") : NULL;
  made->launch = parts.machine ? (uint32_t(*)(void*))dlsym(parts.machine, "gpuwheel_ptx_launch") : NULL;
  if (open != NULL && block == (size_t)(bytes + size - at)) made->program = open(at, block, parts.handlers, parts.handler_count);
  if (made->program != NULL) have_shadows(parts.machine);
  free(parts.handlers);
  free(bytes);
  return made->program != NULL && made->launch != NULL;
}

/* Which PTX, or why none: what a person can do about it. */
static const ImagePart* choose(const Kernel* kernel, int* failure) {
  const ImagePart* const ptx = image_ptx(&kernel->library->image, kernel->image);
  char what[400];
  const int capability = gpuwheel_fake_capability();
  if (ptx == NULL) {
    int arch = 0;
    for (int i = 0; i < kernel->library->image.part_count; ++i) {
      if (kernel->image->parts >> i & 1 && kernel->library->image.parts[i].arch > arch) arch = kernel->library->image.parts[i].arch;
    }
    snprintf(what, sizeof what,
             "cannot be executed: its image holds machine code alone (up to sm_%d), and the pretend GPU executes PTX; for CUDA C++ set "
             "archs = [\"...\", \"%d.%d+PTX\"] in [tool.gpuwheel] (cuTile has no PTX), or record launches alone with --fake-gpu-record",
             arch, arch / 10, arch % 10);
    *failure = NO_BINARY_FOR_GPU;
  } else if (ptx->arch > capability && !gpuwheel_fake_takes_newer()) {
    snprintf(what, sizeof what,
             "is not executed: its newest PTX is for %d.%d and the pretend GPU is a %d.%d, which would not take it; use "
             "--fake-gpu-capability %d.%d, or --fake-gpu-newer-ptx to execute it all the same",
             ptx->arch / 10, ptx->arch % 10, capability / 10, capability % 10, ptx->arch / 10, ptx->arch % 10);
    *failure = NO_BINARY_FOR_GPU;
  } else {
    return ptx;
  }
  complain(kernel->image->name, what);
  return NULL;
}

static KernelProgram* make(const Kernel* kernel) {
  KernelProgram* const made = calloc(1, sizeof *made);
  char why[2000];
  made->ptx = choose(kernel, &made->failure);
  if (made->ptx == NULL) return made;
  made->file = programs_ask(made->ptx, kernel->image->name, why, sizeof why);
  if (made->file == NULL) complain(kernel->image->name, why);
  if (made->file == NULL || !read_program(made, kernel->library, made->file)) made->failure = INVALID_PTX;
  else made->covered = coverage_open(made->file, made->count);
  return made;
}

KernelProgram* programs_of(Kernel* kernel) {
  KernelProgram* found = atomic_load(&kernel->program);
  if (found != NULL) return found;
  pthread_mutex_lock(&lock);
  found = atomic_load(&kernel->program);
  if (found == NULL) {
    found = make(kernel);
    atomic_store(&kernel->program, found);
  }
  pthread_mutex_unlock(&lock);
  return found;
}
