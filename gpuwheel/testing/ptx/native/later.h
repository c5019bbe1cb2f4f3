/* Operations of the async proxy on shared and global memory: copies and reductions in bulk, st.async and red.async
   (PTX ISA, 9.7.9.25.4, 9.7.9.12, 9.7.13.7). They end when an mbarrier or a group is waited for, as late as they may. */
#ifndef GPUWHEEL_PTX_LATER_H
#define GPUWHEEL_PTX_LATER_H

#include "machine.h"

#define later_to_shared gpuwheel_ptx_later_to_shared
#define later_across gpuwheel_ptx_later_across
#define later_to_global gpuwheel_ptx_later_to_global
#define later_value gpuwheel_ptx_later_value
#define later_arrived gpuwheel_ptx_later_arrived
#define later_wait gpuwheel_ptx_later_wait
#define later_commit gpuwheel_ptx_later_commit
#define check_landed gpuwheel_ptx_check_landed

typedef enum Reduction { COPIED, REDUCE_add, REDUCE_min, REDUCE_max, REDUCE_and, REDUCE_or, REDUCE_xor, REDUCE_inc, REDUCE_dec } Reduction;
typedef enum Element { OF_b32, OF_u32, OF_s32, OF_b64, OF_u64, OF_s64, OF_f16, OF_bf16, OF_f32, OF_f64 } Element;

enum { MANY_BLOCKS = 1 << 16 };

/* check_shared.c: what was on its way is there, for all that wait for it. */
void check_landed(Block*, u32 offset, u32 bytes);
int later_begin(Block*);
void later_block(Block*);
void later_end(Block*);
/* A thread waits at this mbarrier: what it is told of comes. */
void later_arrived(Warp*, const u8* barrier);

#pragma GCC visibility push(default)
/* cp.async.bulk from global to shared memory; `blocks`: MANY_BLOCKS and a bit for each of the cluster that gets it, or 0. */
void later_to_shared(Warp*, const Instruction*, u32 lane, u64 to, u64 from, u32 bytes, u64 barrier, u32 blocks);
/* From shared memory to that of another block. */
void later_across(Warp*, const Instruction*, u32 lane, u64 to, u64 from, u32 bytes, u64 barrier, Reduction, Element);
/* From shared to global memory, in the thread's group; `mask`: which bytes of each 16. */
void later_to_global(Warp*, const Instruction*, u32 lane, u64 to, u64 from, u32 bytes, u32 mask, Reduction, Element);
/* st.async, red.async: a value that the instruction holds. */
void later_value(Warp*, const Instruction*, u32 lane, u64 to, const void* value, u32 bytes, u64 barrier, Reduction, Element);
void later_commit(Warp*, u32 lane);
void later_wait(Warp*, u32 lane, u32 but);
#pragma GCC visibility pop

#endif
