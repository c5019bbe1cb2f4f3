# gpuwheel_languages(C ASM): enable the languages of further sources. C is compiled by the compiler in CC, else by the one
# beside the C++ compiler: gcc-13 for g++-13, clang for clang++.
include_guard(GLOBAL)

macro(gpuwheel_languages)
  foreach(_gpuwheel_language IN ITEMS ${ARGV})
    if(_gpuwheel_language STREQUAL "C" AND NOT DEFINED ENV{CC} AND NOT DEFINED CMAKE_C_COMPILER)
      cmake_path(GET CMAKE_CXX_COMPILER FILENAME _gpuwheel_name)
      string(REPLACE "clang++" "clang" _gpuwheel_name "${_gpuwheel_name}")
      string(REPLACE "g++" "gcc" _gpuwheel_name "${_gpuwheel_name}")
      string(REPLACE "c++" "cc" _gpuwheel_name "${_gpuwheel_name}")
      cmake_path(REPLACE_FILENAME CMAKE_CXX_COMPILER "${_gpuwheel_name}" OUTPUT_VARIABLE _gpuwheel_compiler)
      if(EXISTS "${_gpuwheel_compiler}")
        set(CMAKE_C_COMPILER "${_gpuwheel_compiler}")
      endif()
    endif()
    enable_language(${_gpuwheel_language})
  endforeach()
endmacro()
