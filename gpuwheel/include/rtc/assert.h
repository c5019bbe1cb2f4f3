// Device code under NVRTC: assert() is built in.
#pragma once
