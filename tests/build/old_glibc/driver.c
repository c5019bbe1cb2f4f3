/* driver LIBRARY FUNCTION...: load the library, call each function, print its name and what it returned. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char** words) {
  void* library = dlopen(words[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  for (int i = 2; i < count; ++i) {
    int (*function)(void) = (int (*)(void))dlsym(library, words[i]);
    printf("%s %d\n", words[i], function ? function() : -1);
    fflush(stdout);
  }
  return 0;
}
