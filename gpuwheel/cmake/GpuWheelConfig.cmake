# find_package(GpuWheel): the toolchain of the build that gpuwheel runs, for a project with a CMakeLists.txt of its own.
#
# Targets: GpuWheel::torch_stable or GpuWheel::torch (as `abi` of the extensions says), GpuWheel::python,
# GpuWheel::cuda_headers, GpuWheel::cudart_static, and GpuWheel::NAME for each of `libraries`, such as GpuWheel::cublas.
# Functions: gpuwheel_add_extension(), gpuwheel_add_kernels(). Archs and flags are in GPUWHEEL_CODE, GPUWHEEL_NVCC_FLAGS.
# In mode embed there is one function, gpuwheel_add_embed(): targets come with it.
if(NOT DEFINED GPUWHEEL_SETUP)
  set(GpuWheel_FOUND FALSE)
  set(GpuWheel_NOT_FOUND_MESSAGE
    "this project is configured by gpuwheel, which knows the toolchain: pip install -e . or pip wheel .")
  return()
endif()
include("${GPUWHEEL_SETUP}")

function(_gpuwheel_check_extension caller import_path)
  if(NOT "${import_path}" IN_LIST GPUWHEEL_EXTENSIONS)
    message(FATAL_ERROR "${caller}: ${import_path} is not an extension (expected one of ${GPUWHEEL_EXTENSIONS}): "
      "add [tool.gpuwheel.extensions.\"${import_path}\"] to pyproject.toml")
  endif()
  if(NOT ARGN)
    message(FATAL_ERROR "${caller}: ${import_path} has no SOURCES")
  endif()
endfunction()

if(GPUWHEEL_MODE STREQUAL "embed")
  if(NOT CMAKE_ASM_COMPILER_LOADED)
    enable_language(ASM)
  endif()
  include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelEmbed.cmake")

  # gpuwheel_add_embed(TARGET package._C  SOURCES ...)
  # The library of [tool.gpuwheel.extensions."package._C"] in mode embed: C++ sources, and the images of its `kernels`.
  function(gpuwheel_add_embed target import_path)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES")
    _gpuwheel_check_extension(gpuwheel_add_embed "${import_path}" ${arg_SOURCES})
    set(sources "")
    foreach(source IN LISTS arg_SOURCES)
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
      list(APPEND sources "${source}")
    endforeach()
    gpuwheel_embed_library(${target} ${GPUWHEEL_EXTENSION_${import_path}} SOURCES ${sources})
  endfunction()
  return()
endif()

if(NOT CMAKE_CUDA_COMPILER_LOADED)
  enable_language(CUDA)
endif()
set_property(GLOBAL APPEND PROPERTY JOB_POOLS nvcc=${GPUWHEEL_POOL})
include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelNvcc.cmake")
set(GPUWHEEL_KERNEL_TREE_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/GpuWheelKernelTree.cmake")

function(_gpuwheel_interface name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "INCLUDES;DEFINITIONS;FLAGS;NVCC_FLAGS;NEEDED;LIBRARIES")
  if(TARGET GpuWheel::${name})
    return()
  endif()
  add_library(GpuWheel::${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(GpuWheel::${name} SYSTEM INTERFACE ${arg_INCLUDES})
  target_compile_definitions(GpuWheel::${name} INTERFACE ${arg_DEFINITIONS})
  target_compile_options(GpuWheel::${name} INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:${arg_FLAGS}>" "$<$<COMPILE_LANGUAGE:CUDA>:${arg_NVCC_FLAGS}>")
  if(arg_NEEDED)
    target_link_libraries(GpuWheel::${name} INTERFACE -Wl,--push-state,--no-as-needed ${arg_NEEDED} -Wl,--pop-state)
  endif()
  target_link_libraries(GpuWheel::${name} INTERFACE ${arg_LIBRARIES})
endfunction()

_gpuwheel_interface(cuda_headers INCLUDES ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
_gpuwheel_interface(cudart_static INCLUDES ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}
  LIBRARIES "${GPUWHEEL_CUDA_LIBRARIES}/libcudart_static.a" -lrt -lpthread ${CMAKE_DL_LIBS})
foreach(name IN LISTS GPUWHEEL_LIBRARIES)
  _gpuwheel_interface(${name} INCLUDES "${GPUWHEEL_${name}_INCLUDE}" NEEDED "${GPUWHEEL_${name}_LIBRARY}")
endforeach()
if(GPUWHEEL_TORCH)
  _gpuwheel_interface(${GPUWHEEL_TORCH} INCLUDES ${GPUWHEEL_TORCH_INCLUDES} DEFINITIONS ${GPUWHEEL_TORCH_DEFINITIONS}
    FLAGS ${GPUWHEEL_TORCH_FLAGS} NVCC_FLAGS ${GPUWHEEL_TORCH_NVCC_FLAGS} NEEDED ${GPUWHEEL_TORCH_NEEDED})
endif()
if(GPUWHEEL_PYTHON_INCLUDES)
  _gpuwheel_interface(python INCLUDES ${GPUWHEEL_PYTHON_INCLUDES} DEFINITIONS ${GPUWHEEL_PYTHON_DEFINITIONS})
endif()

# gpuwheel_add_extension(TARGET package._C  SOURCES ...  [KERNELS library ...]  [CODE arch=compute_90a,code=[sm_90a] ...])
# The library of [tool.gpuwheel.extensions."package._C"], with what that table says, installed where it belongs.
# KERNELS are targets of gpuwheel_add_kernels(); CODE is for these CUDA sources in place of `archs`.
function(gpuwheel_add_extension target import_path)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;KERNELS;CODE")
  _gpuwheel_check_extension(gpuwheel_add_extension "${import_path}" ${arg_SOURCES})
  _gpuwheel_sources(cuda cxx "${arg_CODE}" ${arg_SOURCES})
  gpuwheel_nvcc_library(${target} ${GPUWHEEL_EXTENSION_${import_path}} CUDA_SOURCES ${cuda} CXX_SOURCES ${cxx})
  if(arg_KERNELS)
    target_link_libraries(${target} PRIVATE ${arg_KERNELS} GpuWheel::cudart_static)
  endif()
endfunction()

function(_gpuwheel_sources cuda_variable cxx_variable code)
  set(cuda "")
  set(cxx "")
  if(NOT code)
    set(code ${GPUWHEEL_CODE})
  endif()
  foreach(source IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    if(source MATCHES "\\.cu$")
      list(APPEND cuda "${source}")
      gpuwheel_nvcc_source("${source}" ARCHS ${code} FLAGS ${GPUWHEEL_NVCC_FLAGS})
    else()
      list(APPEND cxx "${source}")
    endif()
  endforeach()
  set(${cuda_variable} "${cuda}" PARENT_SCOPE)
  set(${cxx_variable} "${cxx}" PARENT_SCOPE)
endfunction()

# gpuwheel_add_kernels(TARGET  SOURCES ...  [INCLUDES ...] [DEFINITIONS ...] [FLAGS ...] [CODE ...] [STD 17])
# A static library of device code and its launchers, free of torch and of Python, which the build proves from the headers
# that were read. It is compiled in a tree of the cache and shared by all builds of this project with the same toolkit and
# host compiler, whatever their Python and their torch: a build compiles what changed since any of them.
function(gpuwheel_add_kernels target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "STD" "SOURCES;INCLUDES;DEFINITIONS;FLAGS;CODE")
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "gpuwheel_add_kernels: ${target} has no SOURCES")
  endif()
  if(NOT arg_STD)
    set(arg_STD 17)
  endif()
  if(NOT arg_CODE)
    set(arg_CODE ${GPUWHEEL_CODE})
  endif()
  foreach(list IN ITEMS SOURCES INCLUDES)
    set(absolute "")
    foreach(path IN LISTS arg_${list})
      cmake_path(ABSOLUTE_PATH path BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
      list(APPEND absolute "${path}")
    endforeach()
    set(arg_${list} "${absolute}")
  endforeach()
  list(TRANSFORM arg_CODE PREPEND "--generate-code=")
  set(options ${arg_CODE} ${GPUWHEEL_NVCC_FLAGS} ${arg_FLAGS})

  string(SHA256 key "${arg_SOURCES}|${arg_INCLUDES}|${arg_DEFINITIONS}|${options}|${arg_STD}")
  string(SUBSTRING "${key}" 0 16 key)
  set(tree "${GPUWHEEL_KERNEL_TREES}/${target}-${key}")
  set(library "${tree}/build/lib${target}.a")
  file(CONFIGURE OUTPUT "${tree}/project/CMakeLists.txt" @ONLY CONTENT [==[
cmake_minimum_required(VERSION 3.26...4.4)
project(gpuwheel_kernels LANGUAGES CUDA)
add_library(@target@ STATIC "@arg_SOURCES@")
set_target_properties(@target@ PROPERTIES
  CUDA_STANDARD @arg_STD@ CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CUDA_ARCHITECTURES OFF
  POSITION_INDEPENDENT_CODE ON)
target_include_directories(@target@ PRIVATE "@arg_INCLUDES@")
target_compile_definitions(@target@ PRIVATE "@arg_DEFINITIONS@")
target_compile_options(@target@ PRIVATE "@options@" "-Xcompiler=@@GPUWHEEL_PREFIX_MAP_FILE@")
]==])
  add_custom_target(${target}_tree ALL
    COMMAND "${CMAKE_COMMAND}" "-DTREE=${tree}" "-DCUDA_COMPILER=${CMAKE_CUDA_COMPILER}" "-DNINJA=${CMAKE_MAKE_PROGRAM}"
      "-DHOST_COMPILER=${CMAKE_CUDA_HOST_COMPILER}" "-DJOBS=${GPUWHEEL_POOL}" -P "${GPUWHEEL_KERNEL_TREE_SCRIPT}"
    BYPRODUCTS "${library}" JOB_POOL nvcc VERBATIM COMMENT "Device code of ${target}, shared between builds")
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${library}" IMPORTED_LINK_INTERFACE_LANGUAGES CUDA)
  target_include_directories(${target} INTERFACE ${arg_INCLUDES})
  add_dependencies(${target} ${target}_tree)
endfunction()
