// What the test programs share: control over the fake driver, found in the process like a test of an author would.
#pragma once
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "small.kernels.h"
extern "C" {
#include "fake.h"
}

struct Fake {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  template <typename F>
  F* find(const char* name) const {
    return reinterpret_cast<F*>(dlsym(library, name));
  }
  long calls(const char* function) const { return find<long(const char*)>("gpuwheel_fake_calls")(function); }
  void fail(const char* function, int code, int times = 1) const { find<int(const char*, int, int)>("gpuwheel_fake_fail")(function, code, times); }
  void configure(int devices, int capability, int driver) const {
    find<void(int, int, int, std::uint64_t)>("gpuwheel_fake_configure")(devices, capability, driver, 0);
  }
  long launches() const { return find<long()>("gpuwheel_fake_launch_count")(); }
  const Submission& launch(long index) const { return *find<const Submission*(long)>("gpuwheel_fake_launch")(index); }
  void* stream(int device) const {
    void *context = nullptr, *made = nullptr;
    find<int(unsigned)>("cuInit")(0);
    find<int(void**, int)>("cuDevicePrimaryCtxRetain")(&context, device);
    find<int(void*)>("cuCtxPushCurrent")(context);
    find<int(void**, unsigned)>("cuStreamCreate")(&made, 0);
    find<int(void**)>("cuCtxPopCurrent")(&context);
    return made;
  }
};

template <typename F>
void report(const char* what, F f) {
  try {
    f();
    std::printf("%s: ok\n", what);
  } catch (const gpuwheel::Error& error) {
    std::printf("%s: [%d] %s\n", what, error.code(), error.what());
  } catch (const std::exception& error) {
    std::printf("%s: %s\n", what, error.what());
  }
  std::fflush(stdout);
}

inline void add(gpuwheel::Stream stream = {}) {
  float* p = reinterpret_cast<float*>(0x7f0000001000);
  small::add.launch({17, 256, stream}, p, p + 1, 4096, 1e-6f);
}
