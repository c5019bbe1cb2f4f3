/* Mistakes as lines of JSON: kept in memory for whoever asks (gpuwheel_fake_reports), and appended to the file of this
   process in the folder that GPUWHEEL_FAKE_GPU_REPORTS names. gpuwheel/testing/said_mistakes.py reads them. */
#define _GNU_SOURCE
#include "mistakes.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../ptx/native/machine.h"
#include "memory.h"

enum { MOST_LINES = 20000, MOST_BYTES = 8192, CHECK_LEAKS = 64 };

typedef struct Line {
  char text[MOST_BYTES];
  size_t length;
} Line;

static const char* const kinds[REPORT_KINDS] = {
    "out-of-bounds", "misaligned", "shared-out-of-bounds", "local-out-of-bounds", "parameter-out-of-bounds", "shared-uninitialised",
    "local-uninitialised", "global-uninitialised", "shared-race", "global-race", "divergent-barrier", "absent-lanes", "not-a-member",
    "deadlock", "assertion", "trap", "no-meaning", "too-long", "too-deep", "unfinished-copy", "read-only", "bad-barrier"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *lines, *given;
static size_t line_bytes, line_room;
static long line_count;

static void put(Line* line, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int made = vsnprintf(line->text + line->length, MOST_BYTES - line->length, format, arguments);
  va_end(arguments);
  if (made > 0) line->length += (size_t)made;
  if (line->length >= MOST_BYTES) line->length = MOST_BYTES - 1;
}

/* A member with a text; what JSON does not take as it is becomes a question mark. */
static void put_text(Line* line, const char* name, const char* value) {
  put(line, ",\"%s\":\"", name);
  for (const char* p = value == NULL ? "" : value; *p != '\0' && line->length + 512 < MOST_BYTES; ++p) {
    if (*p == '"' || *p == '\\') put(line, "\\%c", *p);
    else if (*p == '\n') put(line, "\\n");
    else put(line, "%c", (unsigned char)*p < 0x20 ? '?' : *p);
  }
  put(line, "\"");
}

static void put_memory(Line* line, uint64_t address) {
  static const char* const names[] = {"device", "managed", "pinned", "registered", "variable"};
  Memory memory;
  if (address == 0 || !memory_find(address, &memory)) return;
  put(line, ",\"memory\":{\"start\":%lu,\"bytes\":%lu,\"device\":%d,\"kind\":\"%s\",\"made\":%ld,\"freed\":%ld,\"graph\":%d", memory.start,
      memory.end - memory.start, memory.device, names[memory.kind], memory.made, memory.freed, memory.graph != NULL);
  put_text(line, "by", memory.by);
  put_text(line, "label", memory.label);
  put(line, "}");
}

static void append_to_file(const char* kind, const char* text, size_t length) {
  const char* const folder = getenv("GPUWHEEL_FAKE_GPU_REPORTS");
  char path[4096];
  if (folder == NULL || *folder == '\0') return;
  snprintf(path, sizeof path, "%s/%d.%s", folder, (int)getpid(), kind);
  const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, text, length) < 0) perror(path);
  close(file);
}

/* How much was executed: that a command found nothing, because it launched nothing, has to be seen. */
__attribute__((destructor)) static void leave_count(void) {
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", gpuwheel_fake_executed());
  if (gpuwheel_fake_executed() > 0) append_to_file("executed", text, (size_t)length);
}

static void keep(Line* line) {
  pthread_mutex_lock(&lock);
  if (line_count < MOST_LINES) {
    if (line_bytes + line->length + 3 > line_room) lines = realloc(lines, line_room = (line_bytes + line->length) * 2 + 4096);
    memcpy(lines + line_bytes, line->text, line->length);
    memcpy(lines + line_bytes + line->length, "\n", 2);
    append_to_file("jsonl", lines + line_bytes, line->length + 1);
    line_bytes += line->length + 1;
    ++line_count;
  }
  pthread_mutex_unlock(&lock);
}

const char* gpuwheel_fake_reports(void) {
  pthread_mutex_lock(&lock);
  free(given);
  given = strndup(lines == NULL ? "" : lines, line_bytes);
  line_bytes = 0;
  line_count = 0;
  pthread_mutex_unlock(&lock);
  return given;
}

void mistakes_of_kernel(const Submission* launch, const KernelProgram* program, const void* report_) {
  const Report* const made = report_;
  static __thread Line line;
  line.length = 0;
  put(&line, "{\"kind\":\"%s\",\"instruction\":%ld,\"block\":[%u,%u,%u],\"thread\":[%u,%u,%u]", kinds[made->kind], made->instruction == NONE ? -1 : (long)made->instruction,
      made->block[0], made->block[1], made->block[2], made->thread[0], made->thread[1], made->thread[2]);
  put(&line, ",\"address\":%lu,\"bytes\":%lu,\"start\":%lu,\"end\":%lu,\"other\":%lu,\"other_block\":%u,\"count\":%lu,\"write\":%u", made->address,
      made->bytes, made->start, made->end, made->other, made->other_block, made->count, made->write);
  put_text(&line, "text", made->text);
  put_text(&line, "kernel", launch->kernel);
  put_text(&line, "program", program->file);
  put(&line, ",\"arch\":%d,\"capability\":%d,\"launch\":{\"number\":%ld,\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],\"shared\":%u,\"device\":%d,\"stream\":%lu}", program->ptx->arch,
      gpuwheel_fake_capability(), launch->number, launch->grid[0], launch->grid[1], launch->grid[2], launch->block[0], launch->block[1], launch->block[2], launch->shared_bytes,
      launch->device, (unsigned long)(uintptr_t)launch->stream);
  const int of_global = made->kind == OUT_OF_BOUNDS || made->kind == GLOBAL_UNINITIALISED || made->kind == GLOBAL_RACE || made->kind == MISALIGNED || made->kind == READ_ONLY;
  if (of_global) put_memory(&line, made->address);
  put(&line, "}");
  keep(&line);
}

void mistakes_add(const char* kind, uint64_t address, const char* format, ...) {
  static __thread Line line;
  char members[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(members, sizeof members, format, arguments);
  va_end(arguments);
  line.length = 0;
  put(&line, "{\"kind\":\"%s\",\"address\":%lu,\"after\":%ld%s%s", kind, address, gpuwheel_fake_launch_number(), *members ? "," : "", members);
  put_memory(&line, address);
  put(&line, "}");
  keep(&line);
}

/* ---- leaks */

/* torch keeps memory for as long as there are tensors, which is Python's business. */
static int is_of_torch(const Memory* memory) {
  Dl_info found;
  if (memory->caller == NULL || !dladdr(memory->caller, &found) || found.dli_fname == NULL) return memory->caller == NULL;
  return strstr(found.dli_fname, "/libc10") != NULL || strstr(found.dli_fname, "/libtorch") != NULL;
}

void gpuwheel_fake_end(void) {
  Memory memory;
  if (!gpuwheel_fake_executing() || !(gpuwheel_fake_checks() & CHECK_LEAKS)) return;
  for (long i = 0; (i = memory_each(i, &memory)) > 0;) {
    if (memory.kind == REGISTERED_MEMORY || memory.kind == VARIABLE_MEMORY || memory.graph != NULL || is_of_torch(&memory)) continue;
    mistakes_add("leak", memory.start, "%s", "");
  }
}

/* A program without pytest ends. */
__attribute__((destructor)) static void end(void) {
  if (getenv("GPUWHEEL_FAKE_GPU_REPORTS") != NULL) gpuwheel_fake_end();
}
