// Device code under NVRTC: memcpy() and memset() are built in.
#pragma once
