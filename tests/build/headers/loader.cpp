// Launches from each of the libraries named on the command line, twice.
#include <dlfcn.h>
#include <cstdio>
int main(int n, char** names) {
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 1; i < n; ++i) {
      void* library = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
      auto entry = reinterpret_cast<void* (*)(int)>(dlsym(library, "entry"));
      void* first = entry(0);
      void* after = entry(1);
      if (first != after) std::printf("%s: %s\n", names[i], static_cast<char*>(after));
    }
  void* fake = dlopen("libcuda.so.1", RTLD_NOW);
  std::printf("launches %ld loads %ld\n", reinterpret_cast<long (*)()>(dlsym(fake, "gpuwheel_fake_launch_count"))(),
              reinterpret_cast<long (*)(const char*)>(dlsym(fake, "gpuwheel_fake_calls"))("cuLibraryLoadData"));
}
