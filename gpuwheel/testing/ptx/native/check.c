/* What is checked beside bounds: shadow memory. */
#include "copies.h"

void check_begin(Block* b) { (void)b; }
void check_block(Block* b) { (void)b; }
void check_end(Block* b) { (void)b; }
void check_global(Warp* w, const Instruction* i, u32 lane, const Range* range, u64 address, u32 bytes, Access access) {
  (void)w, (void)i, (void)lane, (void)range, (void)address, (void)bytes, (void)access;
}
void check_shared(Warp* w, const Instruction* i, u32 lane, Block* owner, u32 offset, u32 bytes, Access access) {
  (void)w, (void)i, (void)lane, (void)owner, (void)offset, (void)bytes, (void)access;
}
void check_copy(Warp* w, const Instruction* i, u32 lane, const u8* at, u32 bytes, int done) {
  (void)w, (void)i, (void)lane, (void)at, (void)bytes, (void)done;
}
