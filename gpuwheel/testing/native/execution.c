/* Executes a launch: the kernel's program, on the memory that its device may touch. What it does wrong becomes a line of
   JSON each, which gpuwheel/testing/ptx/reports.py makes sentences of. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ptx/native/machine.h"
#include "memory.h"
#include "mistakes.h"
#include "ordering.h"
#include "programs.h"

enum { MOST_REPORTS = 64, MOST_PARAMETER_BYTES = 32768 };

_Static_assert(sizeof(Range) == sizeof(MemoryRange), "memory.h mirrors machine.h");

static atomic_int sticky;
static atomic_long executed, lives;

long gpuwheel_fake_executed(void) { return atomic_load(&executed); }
int gpuwheel_fake_sticky(void) { return atomic_load_explicit(&sticky, memory_order_relaxed); }
long gpuwheel_fake_lives(void) { return atomic_load_explicit(&lives, memory_order_relaxed); }

void gpuwheel_fake_revive(void) {
  if (atomic_exchange(&sticky, SUCCESS) != SUCCESS) atomic_fetch_add(&lives, 1);
}


/* ---- what a launch hands on */

/* As PTX lays parameters out. */
static int lay_out(const Submission* launch, const KernelProgram* program, u8* to) {
  const unsigned char* from = launch->parameters;
  if (launch->parameter_count != program->parameter_count || program->parameter_bytes > MOST_PARAMETER_BYTES) return 0;
  for (int i = 0; i < program->parameter_count; ++i) {
    if (launch->parameter_sizes[i] != program->sizes[i]) return 0;
    memcpy(to + program->offsets[i], from, program->sizes[i]);
    from += program->sizes[i];
  }
  return 1;
}

static const u64* variables_of(const Submission* launch, KernelProgram* program) {
  u64* found = __atomic_load_n(&program->addresses[launch->device], __ATOMIC_ACQUIRE);
  if (found != NULL || program->variable_count == 0) return found;
  found = calloc((size_t)program->variable_count, sizeof *found);
  for (int i = 0; i < program->variable_count; ++i) {
    void* pointer;
    size_t bytes;
    if (programs_variable(launch->code->library, program->variables[i], launch->device, &pointer, &bytes) == SUCCESS) found[i] = (u64)(uintptr_t)pointer;
  }
  __atomic_store_n(&program->addresses[launch->device], found, __ATOMIC_RELEASE);
  return found;
}

static void print_text(const char* text, u64 bytes) { fwrite(text, 1, bytes, stdout); }

/* What a kernel failed with stays, as on a GPU: whatever is asked then gives it. */
static void remember(int failed) {
  int none = SUCCESS;
  atomic_compare_exchange_strong(&sticky, &none, failed);
}

/* What the launch touched, in the order of streams. */
static void settle_order(const Operation* by, const Snapshot* memory, Touched* touched) {
  for (u32 i = 0; i < memory->count; ++i) {
    if (touched[i].read | touched[i].written) ordering_touch(by, memory->ranges[i].id, memory->ranges[i].start, touched[i].read, touched[i].written);
  }
  free(touched);
}

int execution_run(const Submission* launch) {
  if (!gpuwheel_fake_executing() || launch->code == NULL) return SUCCESS;
  if (gpuwheel_fake_sticky() != SUCCESS) return gpuwheel_fake_sticky();
  KernelProgram* const program = programs_of(launch->code);
  if (program->failure != SUCCESS) return program->failure;
  u8 parameters[MOST_PARAMETER_BYTES] __attribute__((aligned(64)));
  Report reports[MOST_REPORTS];
  if (!lay_out(launch, program, parameters)) {
    fprintf(stderr, "gpuwheel: %s has other parameters in its PTX than in its machine code\n", launch->kernel);
    return INVALID_IMAGE;
  }
  const u64* const variables = variables_of(launch, program); /* before the snapshot: this makes memory */
  Snapshot* const memory = memory_snapshot(launch->device);
  Launch run = {.program = program->program, .dynamic_shared = launch->shared_bytes, .cooperative = (u32)launch->cooperative,
                .parameters = parameters, .ranges = (const Range*)memory->ranges, .range_count = memory->count, .variables = variables,
                .reports = reports, .report_room = MOST_REPORTS, .checks = gpuwheel_fake_checks(), .step_limit = gpuwheel_fake_patience(), .print = print_text,
                .covered = coverage_launched(program->covered)};
  Operation operation = {.slot = -1};
  if (ordering_is_checked()) {
    operation = ordering_begin(launch->stream, launch->code->image->name);
    run.touched = calloc(memory->count + 1, sizeof *run.touched);
    run.by_pages = (u32)gpuwheel_fake_has_streams();
  }
  run.multiprocessors = (u32)gpuwheel_fake_multiprocessors();
  memcpy(run.grid, launch->grid, sizeof run.grid);
  memcpy(run.block, launch->block, sizeof run.block);
  memcpy(run.cluster, launch->cluster, sizeof run.cluster);
  /* One launch at a time: what is atomic for a kernel is so among its own threads alone. */
  memory_hold_shadows();
  const int failed = (int)program->launch(&run);
  memory_leave_shadows();
  atomic_fetch_add(&executed, 1);
  if (run.touched != NULL) settle_order(&operation, memory, run.touched);
  memory_give_back(memory);
  fflush(stdout); /* what kernels print stands before what the program prints next */
  for (u32 i = 0; i < run.report_count; ++i) mistakes_of_kernel(launch, program, &reports[i]);
  if (failed == NOT_SUPPORTED) fprintf(stderr, "gpuwheel: %s has an instruction that the pretend GPU does not know: the report names it\n", launch->kernel);
  else if (failed != SUCCESS) remember(failed);
  return failed;
}
