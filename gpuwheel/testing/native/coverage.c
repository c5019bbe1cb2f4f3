/* Counts of executed instructions, in files of their own (coverage.h). */
#define _GNU_SOURCE
#include "coverage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char* folder(void) {
  const char* const named = getenv("GPUWHEEL_FAKE_GPU_COVERAGE");
  return named == NULL || *named == '\0' ? NULL : named;
}

static uint64_t digest(const char* bytes, size_t size) { /* FNV-1a */
  uint64_t found = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; ++i) found = (found ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return found;
}

static int write_all(int file, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(file, bytes, size);
    if (written <= 0) return 0;
    bytes += written;
    size -= (size_t)written;
  }
  return 1;
}

void coverage_loaded(const Image* image) {
  const ImagePart* const ptx = image_ptx(image, NULL);
  const char* const in = folder();
  char path[4096], unfinished[4096];
  if (in == NULL || ptx == NULL) return;
  snprintf(path, sizeof path, "%s/%016lx.ptx", in, digest(ptx->text, ptx->size));
  if (access(path, F_OK) == 0) return;
  snprintf(unfinished, sizeof unfinished, "%s/text-XXXXXX", in);
  const int file = mkostemp(unfinished, O_CLOEXEC);
  const int whole = file >= 0 && write_all(file, ptx->text, ptx->size);
  if (file < 0 || close(file) != 0 || !whole || rename(unfinished, path) != 0) {
    perror(path);
    unlink(unfinished);
  }
}

Covered* coverage_open(const char* program_file, uint32_t instructions) {
  const char* const in = folder();
  char path[4096];
  if (in == NULL) return NULL;
  const size_t name = (strlen(program_file) + 8) & ~(size_t)7;
  const size_t size = sizeof(Covered) + name + instructions * sizeof(uint64_t);
  snprintf(path, sizeof path, "%s/counts-XXXXXX", in);
  const int file = mkostemp(path, O_CLOEXEC);
  Covered* covered = MAP_FAILED;
  if (file >= 0 && ftruncate(file, (off_t)size) == 0) covered = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (covered == MAP_FAILED) perror(path);
  if (file >= 0) close(file);
  if (covered == MAP_FAILED) return NULL;
  memcpy(covered->magic, "gwcover1", sizeof covered->magic);
  covered->instructions = instructions;
  covered->path_bytes = name;
  strcpy((char*)(covered + 1), program_file);
  return covered;
}

uint64_t* coverage_launched(Covered* covered) {
  if (covered == NULL) return NULL;
  __atomic_add_fetch(&covered->launches, 1, __ATOMIC_RELAXED);
  return (uint64_t*)((char*)(covered + 1) + covered->path_bytes);
}
