/* What was done wrong, as lines of JSON. */
#ifndef GPUWHEEL_MISTAKES_H
#define GPUWHEEL_MISTAKES_H

#include "programs.h"

void mistakes_of_kernel(const Submission*, const KernelProgram*, const void* report);
/* One of the host: a free, a copy, an order of streams. `format` gives the members after the kind, without braces. */
void mistakes_add(const char* kind, uint64_t address, const char* format, ...) __attribute__((format(printf, 3, 4)));

#endif
