/* Captures and graphs: what is submitted to a stream that is captured is kept, in its order, and runs when the graph is
   launched. A graph holds launches, copies, and whatever else is enqueued, e.g. torch's own operators. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "ordering.h"

enum { MOST_STREAMS = 64 };

typedef struct Node {
  void (*run)(void*);
  void (*release)(void*);
  void* data;
} Node;

typedef struct Graph {
  void* streams[MOST_STREAMS]; /* that are captured; the first is the one that it began with */
  int stream_count, users, unjoined;
  Node* nodes;
  long count;
  struct Graph* next;
} Graph;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Graph* captures; /* under way */
static atomic_int capture_count;

/* The capture that a stream is part of; with the lock. */
static Graph* capture_of(const void* stream) {
  for (Graph* graph = captures; graph != NULL; graph = graph->next) {
    for (int i = 0; i < graph->stream_count; ++i) {
      if (graph->streams[i] == stream) return graph;
    }
  }
  return NULL;
}

/* Runs it now, or when the graph that this stream is captured into is launched, each time. `release`, or NULL, is called
   when it will not be run again. */
void gpuwheel_fake_enqueue(void* stream, void (*run)(void*), void* data, void (*release)(void*)) {
  pthread_mutex_lock(&lock);
  Graph* const graph = stream == NULL ? NULL : capture_of(stream);
  if (graph != NULL) {
    if ((graph->count & (graph->count - 1)) == 0) graph->nodes = realloc(graph->nodes, sizeof *graph->nodes * (size_t)(graph->count ? graph->count * 2 : 1));
    graph->nodes[graph->count++] = (Node){run, release, data};
  }
  pthread_mutex_unlock(&lock);
  if (graph != NULL) return;
  run(data);
  if (release != NULL) release(data);
}

int gpuwheel_fake_begin_capture(void* stream) {
  if (stream == NULL) return CAPTURE_UNSUPPORTED; /* the legacy stream */
  pthread_mutex_lock(&lock);
  int result = ILLEGAL_STATE;
  if (capture_of(stream) == NULL) {
    Graph* const graph = calloc(1, sizeof *graph);
    graph->streams[graph->stream_count++] = stream;
    graph->users = 1;
    graph->next = captures;
    captures = graph;
    atomic_fetch_add(&capture_count, 1);
    result = SUCCESS;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

int gpuwheel_fake_end_capture(void* stream, void** graph) {
  int result = ILLEGAL_STATE;
  pthread_mutex_lock(&lock);
  for (Graph** link = &captures; *link != NULL; link = &(*link)->next) {
    Graph* const found = *link;
    if (found->streams[0] != stream) continue;
    *graph = found;
    *link = found->next;
    found->stream_count = 0;
    atomic_fetch_sub(&capture_count, 1);
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

/* The capture that an event was recorded in; a stream that waits for the event becomes part of it. */
void* gpuwheel_fake_capture_of(void* stream) {
  if (atomic_load_explicit(&capture_count, memory_order_relaxed) == 0 || stream == NULL) return NULL;
  pthread_mutex_lock(&lock);
  Graph* const graph = capture_of(stream);
  pthread_mutex_unlock(&lock);
  return graph;
}

int gpuwheel_fake_join_capture(void* stream, const void* capture) {
  int result = SUCCESS;
  pthread_mutex_lock(&lock);
  Graph* graph = captures;
  while (graph != NULL && graph != capture) graph = graph->next;
  if (graph != NULL && capture_of(stream) == NULL) {
    if (stream == NULL) result = CAPTURE_UNSUPPORTED;
    else if (graph->stream_count == MOST_STREAMS) result = NOT_SUPPORTED;
    else graph->streams[graph->stream_count++] = stream;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

int gpuwheel_fake_replay(void* graph, void* stream) {
  const Graph* const captured = graph;
  ordering_replay(stream);
  for (long i = 0; i < captured->count; ++i) captured->nodes[i].run(captured->nodes[i].data);
  ordering_replay((void*)-1);
  return gpuwheel_fake_sticky();
}

long gpuwheel_fake_graph_size(void* graph) { return ((Graph*)graph)->count; }

/* What is instantiated lives on when the graph that it was made from is destroyed. */
void* gpuwheel_fake_share_graph(void* graph) {
  pthread_mutex_lock(&lock);
  ++((Graph*)graph)->users;
  pthread_mutex_unlock(&lock);
  return graph;
}

void gpuwheel_fake_drop_graph(void* dropped) {
  Graph* const graph = dropped;
  pthread_mutex_lock(&lock);
  const int last = --graph->users == 0;
  pthread_mutex_unlock(&lock);
  if (!last) return;
  for (long i = 0; i < graph->count; ++i) {
    if (graph->nodes[i].release != NULL) graph->nodes[i].release(graph->nodes[i].data);
  }
  memory_end_graph(graph);
  free(graph->nodes);
  free(graph);
}

/* The graph that memory which is made now belongs to: with whatever thread, as torch's backward has its own. */
void* gpuwheel_fake_graph_of_capture(void) {
  if (atomic_load_explicit(&capture_count, memory_order_relaxed) == 0) return NULL;
  pthread_mutex_lock(&lock);
  Graph* const graph = captures;
  pthread_mutex_unlock(&lock);
  return graph;
}

/* Whether this stream, or with a null stream any stream, is being captured. */
int gpuwheel_fake_capturing(void* stream) {
  if (atomic_load_explicit(&capture_count, memory_order_relaxed) == 0) return 0;
  pthread_mutex_lock(&lock);
  const int found = stream == NULL ? captures != NULL : capture_of(stream) != NULL;
  pthread_mutex_unlock(&lock);
  return found;
}
