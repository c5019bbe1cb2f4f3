/* Calls of functions, and what a thread keeps for them (calls.c). */
#ifndef GPUWHEEL_PTX_CALLS_H
#define GPUWHEEL_PTX_CALLS_H

#include "machine.h"

enum { CALL_AGAIN = 1 }; /* the mode of a CALL that may come to call its caller */

int calls_begin(Block*); /* 0: no memory */
void calls_enter(Block*);
void calls_end(Block*);
u64 calls_local_bytes(const Warp*, u32 lane);
void call(Warp*, const Instruction*, u32 on, u32 back);
u32 give_back(Warp*, u32 on);

#endif
