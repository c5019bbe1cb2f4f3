// Device code under NVRTC: printf() is built in.
#pragma once
