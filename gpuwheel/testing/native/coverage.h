/* What was loaded and executed, as files in the folder that GPUWHEEL_FAKE_GPU_COVERAGE names; none is written without it.
   gpuwheel/testing/coverage/counted.py reads them. */
#ifndef GPUWHEEL_COVERAGE_H
#define GPUWHEEL_COVERAGE_H

#include "image.h"

/* Begins a file of counts; the rest is the path of the program's file, zeros up to a multiple of 8, and a count for each
   instruction of the program. */
typedef struct Covered {
  char magic[8];
  uint64_t instructions, launches, path_bytes; /* with the zeros */
} Covered;

/* The PTX that launches of an image execute is kept, so that kernels that nobody launched are known. */
void coverage_loaded(const Image* image);

/* The counts of a program; NULL: nobody asked for them, or they cannot be kept, which is said. Shared with the file, so
   that they are there however the process ends. */
Covered* coverage_open(const char* program_file, uint32_t instructions);

/* A launch begins: where the interpreter counts. `covered` may be NULL. Two launches at a time may lose counts, and never
   all of an instruction's. */
uint64_t* coverage_launched(Covered* covered);

#endif
