// Device code under NVRTC: the host API of the runtime does not exist in device code.
#pragma once
