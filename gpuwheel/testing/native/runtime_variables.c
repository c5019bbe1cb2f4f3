/* The fake runtime's variables of device code: where launches are executed, those of the library's code, with what they
   begin with; else memory of the device, made at their first use. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

typedef struct Variable {
  const void* host;
  const char* name;
  void* module;
  size_t bytes;
  void* memory[MAX_DEVICES];
  struct Variable* next;
} Variable;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Variable* variables;

EXPORT void __cudaRegisterVar(void** module, void* host, char* device, const char* name, int external, size_t bytes, int constant, int global) {
  (void)device, (void)external, (void)constant, (void)global;
  Variable* made = calloc(1, sizeof *made);
  made->host = host;
  made->name = name;
  made->module = module;
  made->bytes = bytes;
  pthread_mutex_lock(&lock);
  made->next = variables;
  variables = made;
  pthread_mutex_unlock(&lock);
}

/* Of a __managed__ variable the program reads the pointer itself. */
EXPORT void __cudaRegisterManagedVar(void** module, void** host, char* device, const char* name, int external, size_t bytes, int constant, int global) {
  (void)module, (void)device, (void)name, (void)external, (void)constant, (void)global;
  *host = calloc(1, bytes ? bytes : 1);
}

EXPORT void __cudaRegisterHostVar(void** module, const char* name, char* host, size_t bytes) { (void)module, (void)name, (void)host, (void)bytes; }

static int make(Variable* variable, int device) {
  void* library;
  size_t bytes;
  if (gpuwheel_fake_executing() && runtime_library(variable->module, &library) == SUCCESS &&
      cuLibraryGetGlobal(&variable->memory[device], &bytes, library, variable->name) == SUCCESS) return SUCCESS;
  const int result = gpuwheel_fake_allocate(&variable->memory[device], variable->bytes, 4, variable->name, NULL);
  if (result == SUCCESS) memset(variable->memory[device], 0, variable->bytes);
  return result;
}

static int memory_of(const void* host, char** memory, size_t* bytes) {
  const int device = gpuwheel_fake_current();
  int result = INVALID_SYMBOL;
  pthread_mutex_lock(&lock);
  for (Variable* it = variables; it != NULL && result == INVALID_SYMBOL; it = it->next) {
    if (it->host != host) continue;
    result = it->memory[device] == NULL ? make(it, device) : SUCCESS;
    *memory = it->memory[device];
    *bytes = it->bytes;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

EXPORT int cudaGetSymbolAddress(void** pointer, const void* symbol) {
  ENTER_CONTEXT(cudaGetSymbolAddress);
  size_t bytes;
  return runtime_done(memory_of(symbol, (char**)pointer, &bytes));
}

EXPORT int cudaGetSymbolSize(size_t* bytes, const void* symbol) {
  ENTER_CONTEXT(cudaGetSymbolSize);
  char* memory;
  return runtime_done(memory_of(symbol, &memory, bytes));
}

static int copy_symbol(const void* symbol, void* other, size_t bytes, size_t offset, int to_symbol) {
  char* memory;
  size_t room;
  const int result = memory_of(symbol, &memory, &room);
  if (result != SUCCESS) return result;
  if (offset > room || bytes > room - offset) return INVALID_VALUE;
  if (to_symbol) memmove(memory + offset, other, bytes);
  else memmove(other, memory + offset, bytes);
  return SUCCESS;
}

EXPORT int cudaMemcpyToSymbol(const void* symbol, const void* from, size_t bytes, size_t offset, int kind) {
  (void)kind;
  ENTER_CONTEXT(cudaMemcpyToSymbol);
  return runtime_done(copy_symbol(symbol, (void*)from, bytes, offset, 1));
}

EXPORT int cudaMemcpyToSymbolAsync(const void* symbol, const void* from, size_t bytes, size_t offset, int kind, void* stream) {
  (void)stream;
  return cudaMemcpyToSymbol(symbol, from, bytes, offset, kind);
}

EXPORT int cudaMemcpyFromSymbol(void* to, const void* symbol, size_t bytes, size_t offset, int kind) {
  (void)kind;
  ENTER_CONTEXT(cudaMemcpyFromSymbol);
  return runtime_done(copy_symbol(symbol, to, bytes, offset, 0));
}

EXPORT int cudaMemcpyFromSymbolAsync(void* to, const void* symbol, size_t bytes, size_t offset, int kind, void* stream) {
  (void)stream;
  return cudaMemcpyFromSymbol(to, symbol, bytes, offset, kind);
}
