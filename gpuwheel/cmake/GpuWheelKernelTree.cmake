# Builds one tree of gpuwheel_add_kernels(), and proves that its sources read no header of torch or Python.
# cmake -DTREE=folder -DCUDA_COMPILER=nvcc -DHOST_COMPILER=c++ -DNINJA=ninja -DJOBS=4 -P GpuWheelKernelTree.cmake
set(build "${TREE}/build")
# In an isolated build CMake and Ninja are other programs each time, and those of last time are gone. Configured anew by
# these, the tree compiles nothing that did not change.
set(programs "")
if(EXISTS "${build}/CMakeCache.txt")
  file(STRINGS "${build}/CMakeCache.txt" programs REGEX "^CMAKE_(COMMAND|MAKE_PROGRAM):")
  list(TRANSFORM programs REPLACE "^[^=]*=" "")
endif()
if(NOT EXISTS "${build}/build.ninja" OR NOT CMAKE_COMMAND IN_LIST programs OR NOT NINJA IN_LIST programs)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${TREE}/project" -B "${build}" -G Ninja "-DCMAKE_MAKE_PROGRAM=${NINJA}"
      -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CUDA_COMPILER=${CUDA_COMPILER}" "-DCMAKE_CUDA_HOST_COMPILER=${HOST_COMPILER}"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()
execute_process(COMMAND "${NINJA}" -C "${build}" -j "${JOBS}" COMMAND_ERROR_IS_FATAL ANY)

execute_process(
  COMMAND "${NINJA}" -C "${build}" -t deps OUTPUT_VARIABLE read COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]*/(ATen|c10|torch|pybind11|nanobind)/[^\n]*|[^\n]*/Python\\.h" foreign "${read}")
if(foreign)
  list(GET foreign 0 first)
  string(STRIP "${first}" first)
  message(FATAL_ERROR "gpuwheel_add_kernels: device code reads ${first}, and is shared between builds for every torch and "
    "Python: compile this source with gpuwheel_add_extension()")
endif()
