// Device code under NVRTC: the functions of <math.h> are built in.
#pragma once
