/* glibc 2.18: destructors of thread_local objects, which run where a thread ends. As libstdc++ does it where the C library
   cannot. Weaker: nothing keeps a library from being unloaded (dlclose) while its objects live. */
#include <pthread.h>
#include <stdlib.h>

#include "../polyfill.h"

struct destructor {
  void (*function)(void*);
  void* object;
  struct destructor* next;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Newest first; a destructor may register more. */
static void run(void* list) {
  while (list) {
    struct destructor* first = list;
    pthread_setspecific(key, first->next);
    first->function(first->object);
    free(first);
    list = pthread_getspecific(key);
  }
}

/* The first thread ends by exit(), without the destructors of keys. */
static void run_last(void) { run(pthread_getspecific(key)); }

static void begin(void) {
  if (pthread_key_create(&key, run) != 0 || atexit(run_last) != 0) abort();
}

POLYFILL int __cxa_thread_atexit_impl(void (*function)(void*), void* object, void* library) {
  (void)library;
  pthread_once(&once, begin);
  struct destructor* first = malloc(sizeof *first);
  if (!first) return -1;
  *first = (struct destructor){function, object, pthread_getspecific(key)};
  return pthread_setspecific(key, first);
}
