/* Programs that execute kernels: a Python process of gpuwheel makes them out of PTX, as files in its cache. */
#ifndef GPUWHEEL_PROGRAMS_H
#define GPUWHEEL_PROGRAMS_H

#include "coverage.h"
#include "driver.h"

typedef struct Program Program; /* of ptx/native/machine.h */

typedef struct KernelProgram {
  const Program* program;
  uint32_t (*launch)(void* launch);
  const ImagePart* ptx;
  const char* file; /* where it was read from */
  int parameter_count, variable_count;
  uint32_t *offsets, *sizes; /* of parameters */
  char** variables;          /* names */
  uint64_t* addresses[MAX_DEVICES]; /* of the variables, on the devices where it ran */
  uint32_t parameter_bytes, count; /* instructions */
  Covered* covered;          /* how often they ran, or NULL */
  int failure;               /* SUCCESS, or why there is no program: it was said */
} KernelProgram;

/* That of a kernel, made at the first call. Never NULL. */
KernelProgram* programs_of(Kernel* kernel);

/* A variable of a library's code: its memory on this device, made and initialised at the first call for any. SUCCESS,
   NOT_FOUND, or why the code could not be read. */
int programs_variable(Library* library, const char* name, int device, void** pointer, size_t* bytes);

/* An answer of the Python process: the path of a file, which the caller frees, or NULL and its message in `why`. */
char* programs_ask(const ImagePart* ptx, const char* kernel, char* why, size_t room);
/* A whole file, ended by a zero, or NULL. */
char* programs_read(const char* path, size_t* size);

#endif
