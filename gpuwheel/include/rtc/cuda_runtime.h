// Device code under NVRTC: the device part of the runtime is built in.
#pragma once
