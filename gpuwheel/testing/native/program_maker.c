/* The Python process that makes programs: started at the first kernel, and asked by a pipe. It is sent each PTX once.
   A process of its own, since this one may have no Python, or have it busy: a thread that launches may hold its lock. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "programs.h"

extern char** environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *to_maker, *from_maker;
static pid_t maker_of; /* the process that started it: a forked one starts its own */
static unsigned char* sent; /* a flag for each PTX, by id */
static size_t sent_room;

/* The maker is no process of the pretend GPU: what makes this one such a process is left out. */
static char** environment(void) {
  static const char* const left_out[] = {"LD_PRELOAD=", "LD_AUDIT=", "GPUWHEEL_FAKE_GPU="};
  size_t count = 0, kept = 0;
  while (environ[count] != NULL) ++count;
  char** const made = calloc(count + 1, sizeof *made);
  for (size_t i = 0; i < count; ++i) {
    int keep = 1;
    for (size_t k = 0; k < sizeof left_out / sizeof *left_out; ++k) keep &= strncmp(environ[i], left_out[k], strlen(left_out[k])) != 0;
    if (keep) made[kept++] = environ[i];
  }
  return made;
}

static int start(void) {
  const char* const python = getenv("GPUWHEEL_FAKE_GPU_PYTHON");
  int there[2], back[2];
  if (python == NULL || pipe2(there, O_CLOEXEC) != 0) return 0;
  if (pipe2(back, O_CLOEXEC) != 0) return close(there[0]), close(there[1]), 0;
  char* const words[] = {(char*)python, "-c", "import sys; sys.path[:] = [p for p in sys.path if p]; from gpuwheel.testing.program_files import serve; serve()", NULL};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, there[0], 0);
  posix_spawn_file_actions_adddup2(&actions, back[1], 1);
  char** const chosen = environment();
  pid_t pid;
  const int failed = posix_spawn(&pid, python, &actions, NULL, words, chosen);
  free(chosen);
  posix_spawn_file_actions_destroy(&actions);
  close(there[0]);
  close(back[1]);
  if (failed) return close(there[1]), close(back[0]), 0;
  to_maker = fdopen(there[1], "w");
  from_maker = fdopen(back[0], "r");
  maker_of = getpid();
  if (sent != NULL) memset(sent, 0, sent_room);
  return 1;
}

/* A maker that ended must not end this process as well. */
static int written(const void* bytes, size_t size) {
  struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
  sigaction(SIGPIPE, &ignored, &before);
  const int done = fwrite(bytes, 1, size, to_maker) == size && fflush(to_maker) == 0;
  sigaction(SIGPIPE, &before, NULL);
  return done;
}

static char* answered(char* why, size_t room) {
  char* line = NULL;
  size_t size = 0;
  const ssize_t length = getline(&line, &size, from_maker);
  if (length > 0 && line[length - 1] == '\n') line[length - 1] = '\0';
  if (length > 5 && strncmp(line, "file ", 5) == 0) {
    memmove(line, line + 5, strlen(line + 5) + 1);
    return line;
  }
  snprintf(why, room, "%s", length > 6 ? line + 6 : "the process that makes programs ended");
  free(line);
  return NULL;
}

static int send_text(const ImagePart* ptx) {
  if (ptx->id >= sent_room) {
    const size_t larger = ptx->id * 2 + 64;
    sent = realloc(sent, larger);
    memset(sent + sent_room, 0, larger - sent_room);
    sent_room = larger;
  }
  if (sent[ptx->id]) return 1;
  char head[64];
  const int length = snprintf(head, sizeof head, "text %lu %zu\n", (unsigned long)ptx->id, ptx->size);
  sent[ptx->id] = 1;
  return written(head, (size_t)length) && written(ptx->text, ptx->size);
}

/* `kernel` NULL: the variables of the whole PTX. */
char* programs_ask(const ImagePart* ptx, const char* kernel, char* why, size_t room) {
  char* request = NULL;
  const int length = asprintf(&request, kernel ? "kernel %lu %s\n" : "module %lu\n", (unsigned long)ptx->id, kernel);
  snprintf(why, room, "the process that makes programs does not start (GPUWHEEL_FAKE_GPU_PYTHON is %s)", getenv("GPUWHEEL_FAKE_GPU_PYTHON") ? getenv("GPUWHEEL_FAKE_GPU_PYTHON") : "not set");
  char* path = NULL;
  pthread_mutex_lock(&lock);
  if ((to_maker != NULL && maker_of == getpid()) || start()) {
    snprintf(why, room, "the process that makes programs ended");
    if (send_text(ptx) && written(request, (size_t)length)) path = answered(why, room);
  }
  pthread_mutex_unlock(&lock);
  free(request);
  return path;
}

char* programs_read(const char* path, size_t* size) {
  FILE* const file = fopen(path, "rbe");
  if (file == NULL) return NULL;
  char* bytes = NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (long)(*size = (size_t)ftell(file)) >= 0) {
    rewind(file);
    bytes = malloc(*size + 1);
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) free(bytes), bytes = NULL;
    if (bytes != NULL) bytes[*size] = '\0';
  }
  fclose(file);
  return bytes;
}
