/* What rows of the table of meanings say of copies that end later, and of mbarrier objects. */
#ifndef GPUWHEEL_PTX_COPIES_H
#define GPUWHEEL_PTX_COPIES_H

#include "machine.h"

#define copy_later gpuwheel_ptx_copy_later
#define copies_commit gpuwheel_ptx_copies_commit
#define copies_wait gpuwheel_ptx_copies_wait
#define copies_wait_all gpuwheel_ptx_copies_wait_all
#define barrier_init gpuwheel_ptx_barrier_init
#define barrier_arrive gpuwheel_ptx_barrier_arrive
#define barrier_passed gpuwheel_ptx_barrier_passed
#define barrier_passed_parity gpuwheel_ptx_barrier_passed_parity
#define barrier_pending gpuwheel_ptx_barrier_pending
#define check_copy gpuwheel_ptx_check_copy

u8* barrier_at(Warp*, const Instruction*, u32 lane, u64 address, Access);
void barrier_complete(u8* at, u32 bytes);
/* check.c: these bytes of shared memory are on their way, or have come. */
void check_copy(Warp*, const Instruction*, u32 lane, const u8* at, u32 bytes, int done);

#pragma GCC visibility push(default)
void copy_later(Warp*, const Instruction*, u32 lane, u64 to, u64 from, u32 size, u32 source_size);
void copies_commit(Warp*, u32 lane);
void copies_wait(Warp*, const Instruction*, u32 lane, u32 but);
void copies_wait_all(Warp*, const Instruction*, u32 lane);
void barrier_init(Warp*, const Instruction*, u32 lane, u64 address, u32 count);
u64 barrier_arrive(Warp*, const Instruction*, u32 lane, u64 address, u32 count, s32 bytes, u32 drop);
u32 barrier_passed(Warp*, const Instruction*, u32 lane, u64 address, u64 state);
u32 barrier_passed_parity(Warp*, const Instruction*, u32 lane, u64 address, u32 parity);
u32 barrier_pending(u64 state);
#pragma GCC visibility pop

#endif
