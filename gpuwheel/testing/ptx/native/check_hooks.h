/* What the machine tells the checks (check.c). All but check_begin do nothing where there is no shadow memory. */
#ifndef GPUWHEEL_PTX_CHECK_HOOKS_H
#define GPUWHEEL_PTX_CHECK_HOOKS_H

#include "machine.h"

void check_begin(Block*, const Block* first); /* of those that live together */
void check_block(Block*);                     /* begins anew */
void check_end(Block*);
void check_met(Warp*, u32 lanes);
void check_arrived(Warp*, u32 lanes, u32 barrier); /* NAMED_BARRIERS: an mbarrier; check.h: RELEASES */
void check_passed(Warp*, u32 lanes, u32 barrier);
void check_cluster_passed(Block*);
void check_workspace(Warp*, u64 address, Access); /* of cooperative groups: their barrier of the grid */
void check_local(Warp*, const Instruction*, u32 lane, u64 offset, u32 bytes, Access);
void check_frame(Warp*, u32 lane, u64 offset);

#endif
