/* Copies and fills of memory, in the order of their stream. What reaches beyond memory, or into memory that was freed, is
   refused as CUDA does, and named. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "mistakes.h"
#include "ordering.h"

typedef struct Work {
  Copy copy;
  const char* function;
  void* stream;
  int value, width; /* of a fill: its bytes are `width` of `value`, again and again; 0: a copy */
} Work;

static size_t span(size_t pitch, size_t width, size_t height) { return height == 0 || width == 0 ? 0 : pitch * (height - 1) + width; }

/* Whether bytes that begin in memory of ours end there too. What is not ours is the host's own business. */
static int is_whole(const void* pointer, size_t bytes, const char* function, int write) {
  Memory memory;
  const uint64_t start = (uint64_t)(uintptr_t)pointer;
  if (bytes == 0 || !memory_find(start, &memory) || start < memory.start || start >= memory.end) return 1;
  const int is_freed = memory.freed >= 0; /* what a graph keeps alive may be used by it */
  if (!is_freed && bytes <= memory.end - start) return 1;
  if (is_freed && memory.kind == PINNED_MEMORY) return 1; /* the host may have other memory there */
  mistakes_add(is_freed ? "freed-memory" : "copy-out-of-bounds", start, "\"function\":\"%s\",\"bytes\":%zu,\"write\":%d", function, bytes, write);
  return 0;
}

/* Whether it is memory of CUDA, also what was freed, where it has to be. */
static int is_ours(const void* pointer, const Copy* c, const char* function, int write) {
  Memory memory;
  const uint64_t start = (uint64_t)(uintptr_t)pointer;
  if (memory_find(start, &memory) && start >= memory.start && start < memory.end) return 1;
  mistakes_add("host-memory", start, "\"function\":\"%s\",\"bytes\":%zu,\"write\":%d", function, c->width * c->height, write);
  return 0;
}

static int is_allowed(const Work* work) {
  const Copy* const c = &work->copy;
  const int to_device = work->width > 0 || c->kind == HOST_TO_DEVICE || c->kind == DEVICE_TO_DEVICE;
  const int from_device = work->width == 0 && (c->kind == DEVICE_TO_HOST || c->kind == DEVICE_TO_DEVICE);
  if (c->width == 0 || c->height == 0) return 1;
  if (to_device && !is_ours(c->to, c, work->function, 1)) return 0;
  if (from_device && !is_ours(c->from, c, work->function, 0)) return 0;
  if (c->to == NULL || (work->width == 0 && c->from == NULL)) return 0;
  if (!is_whole(c->to, span(c->to_pitch, c->width, c->height), work->function, 1)) return 0;
  return work->width > 0 || is_whole(c->from, span(c->from_pitch, c->width, c->height), work->function, 0);
}

static void fill(char* to, int value, int width, size_t bytes) {
  if (width == 1) {
    memset(to, value, bytes);
    return;
  }
  for (size_t i = 0; i + (size_t)width <= bytes; i += (size_t)width) memcpy(to + i, &value, (size_t)width);
}

static void touch(const Operation* by, const void* pointer, size_t bytes, int write) {
  Memory memory;
  const uint64_t start = (uint64_t)(uintptr_t)pointer;
  if (bytes == 0 || !memory_find(start, &memory) || start < memory.start || start >= memory.end || memory.freed >= 0) return;
  const uint64_t pages = ordering_pages(memory.start, memory.end, start, start + bytes);
  ordering_touch(by, memory.id, start, write ? 0 : pages, write ? pages : 0);
}

static int is_pageable(const void* pointer) {
  int kind;
  return gpuwheel_fake_pointer(pointer, &kind) < 0;
}

static void settle_order(const Work* work) {
  const Copy* const c = &work->copy;
  const Operation by = ordering_begin(work->stream, work->function);
  touch(&by, c->to, span(c->to_pitch, c->width, c->height), 1);
  if (work->width > 0) return;
  touch(&by, c->from, span(c->from_pitch, c->width, c->height), 0);
  /* The host goes on when it is done: without Async, and out of memory that a device cannot reach by itself. */
  if (strstr(work->function, "Async") == NULL || is_pageable(c->to)) ordering_host_waits(work->stream);
}

static void run(void* data) {
  const Work* const work = data;
  const Copy* const c = &work->copy;
  if (!is_allowed(work)) return;
  if (ordering_is_checked()) settle_order(work);
  for (size_t row = 0; row < c->height; ++row) {
    char* const to = (char*)c->to + row * c->to_pitch;
    if (work->width > 0) fill(to, work->value, work->width, c->width);
    else memmove(to, (const char*)c->from + row * c->from_pitch, c->width);
    memory_written(to, c->width);
  }
}

static int submit(const Work* work, void* stream) {
  if (!is_allowed(work)) return INVALID_VALUE;
  Work* const copy = malloc(sizeof *copy);
  *copy = *work;
  gpuwheel_fake_enqueue(stream, run, copy, free);
  return SUCCESS;
}

int gpuwheel_fake_copy(const Copy* copy, void* stream, const char* function) {
  const Work work = {*copy, function, stream, 0, 0};
  return submit(&work, stream);
}

int gpuwheel_fake_fill(const Copy* to, int value, int width, void* stream, const char* function) {
  const Work work = {*to, function, stream, value, width};
  return submit(&work, stream);
}
