# gpuwheel_nvcc_library(): one shared library from CUDA and C++ sources, with nvcc.
# Included by the CMakeLists.txt that gpuwheel generates. Never find_package(Torch): headers and empty stubs are enough.
include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelIncludes.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelAdmission.cmake")
include_guard(GLOBAL)

# gpuwheel_nvcc_source(PATH  ARCHS "arch=compute_90a,code=[sm_90a]" ...  FLAGS ...): what one CUDA source is compiled for.
# Architectures are options of each source: CMake knows them per target only.
function(gpuwheel_nvcc_source path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ARCHS;FLAGS")
  list(TRANSFORM arg_ARCHS PREPEND "--generate-code=")
  set_property(SOURCE "${path}" APPEND PROPERTY COMPILE_OPTIONS ${arg_ARCHS} ${arg_FLAGS})
endfunction()

# gpuwheel_nvcc_library(TARGET
#   FILE name.so  DESTINATION folder  STD 17  RUNTIME Static|Shared  [RDC]  [SEPARATE  RUNTIME_LIBRARIES path]
#   CUDA_SOURCES ... CXX_SOURCES ... INCLUDES ... SYSTEM_INCLUDES ... DEFINITIONS ... FLAGS ... NVCC_FLAGS ...
#   NVCC_HOST ...  LINK_FLAGS ... (before the objects)  LINK_WORDS ... (after them)  LINK_INPUTS file ...
#   FURTHER source.cpp ...  WRAPPED function ...  LINK_ARCHS ... NEEDED stub.so ... RPATH dir ... VERSION_SCRIPT file  PREFIX_MAP from=to ...)
# SEPARATE: sources may be objects (*.o) that were compiled before. Every other one is a target of its own, so that objects
# are linked in the order of sources whichever of them are new. CMake brings the CUDA runtime only where it compiles itself.
function(gpuwheel_nvcc_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RDC;SEPARATE" "FILE;DESTINATION;STD;RUNTIME;VERSION_SCRIPT"
    "CUDA_SOURCES;CXX_SOURCES;INCLUDES;SYSTEM_INCLUDES;DEFINITIONS;FLAGS;NVCC_FLAGS;NVCC_HOST;FURTHER;WRAPPED;LINK_FLAGS;LINK_WORDS;LINK_INPUTS;LINK_ARCHS;NEEDED;RUNTIME_LIBRARIES;RPATH;PREFIX_MAP")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gpuwheel_nvcc_library: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()

  set(objects ${arg_CUDA_SOURCES} ${arg_CXX_SOURCES})
  set(compiling ${target})
  if(arg_SEPARATE)
    _gpuwheel_separate(objects compiling ${target} ${objects})
    set(arg_RUNTIME None)
  endif()
  add_library(${target} MODULE ${objects} ${arg_FURTHER})
  set_target_properties(${target} ${compiling} PROPERTIES
    PREFIX "" OUTPUT_NAME "${arg_FILE}" SUFFIX ""
    CXX_STANDARD ${arg_STD} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF CXX_SCAN_FOR_MODULES OFF
    CUDA_STANDARD ${arg_STD} CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CUDA_ARCHITECTURES OFF
    POSITION_INDEPENDENT_CODE ON BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${arg_RPATH}"
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/linked/${target}")
  if(arg_CUDA_SOURCES)
    set_target_properties(${target} ${compiling} PROPERTIES
      LINKER_LANGUAGE CUDA CUDA_RUNTIME_LIBRARY ${arg_RUNTIME} CUDA_SEPARABLE_COMPILATION ${arg_RDC}
      CUDA_RESOLVE_DEVICE_SYMBOLS ${arg_RDC} JOB_POOL_COMPILE nvcc)
  else()
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  endif()
  # Paths of this build must not reach the library (__FILE__ in headers): same sources, same bytes.
  list(TRANSFORM arg_PREFIX_MAP PREPEND "-ffile-prefix-map=")
  set(host_options ${arg_PREFIX_MAP} -ffunction-sections -fdata-sections)
  # nvcc splits what it passes on at commas and blanks, which folders may have: the host compiler reads them from a file.
  list(TRANSFORM host_options REPLACE "(.+)" "'\\1'" OUTPUT_VARIABLE quoted_options)
  list(JOIN quoted_options "\n" quoted_options)
  # By content: caches of compilers (ccache) see the name alone.
  string(SHA256 content "${quoted_options}")
  string(SUBSTRING "${content}" 0 16 content)
  set(options_file "${CMAKE_CURRENT_BINARY_DIR}/${target}-${content}.options")
  file(CONFIGURE OUTPUT "${options_file}" CONTENT "${quoted_options}\n" @ONLY)
  foreach(it IN LISTS compiling)
    target_compile_definitions(${it} PRIVATE ${arg_DEFINITIONS})
    target_include_directories(${it} PRIVATE ${arg_INCLUDES})
    target_include_directories(${it} SYSTEM PRIVATE ${arg_SYSTEM_INCLUDES}
      "$<$<COMPILE_LANGUAGE:C,CXX>:${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}>")
    target_compile_options(${it} PRIVATE
      "$<$<COMPILE_LANGUAGE:C,CXX>:${host_options}>"
      "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=@${options_file}>"
      "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique;-Wno-attributes>"
      "$<$<COMPILE_LANGUAGE:C,CXX>:${arg_FLAGS}>" "$<$<COMPILE_LANGUAGE:CUDA>:${arg_NVCC_HOST};${arg_NVCC_FLAGS}>")
  endforeach()
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${arg_VERSION_SCRIPT}" ${arg_LINK_INPUTS})
  # Relocatable device code is linked first, by nvcc, which takes other options than the host's linker.
  list(TRANSFORM arg_LINK_ARCHS PREPEND "--generate-code=")
  list(TRANSFORM arg_WRAPPED PREPEND "-Wl,--wrap=")
  set(host_link
    "-Wl,--version-script=${arg_VERSION_SCRIPT}" -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now
    -Wl,-z,noexecstack -Wl,--build-id=sha1 "-Wl,-soname,${arg_FILE}" ${arg_WRAPPED} ${arg_LINK_FLAGS})
  if(GPUWHEEL_NAMES_LINK_INPUTS)  # so that what did not change can be told from what did
    list(APPEND host_link "-Wl,--dependency-file=${target}.read")
  endif()
  string(REPLACE "," "$<COMMA>" device_link "${arg_LINK_ARCHS}")
  string(REPLACE "," "$<COMMA>" host_link "${host_link}")
  target_link_options(${target} PRIVATE "$<DEVICE_LINK:${device_link}>" "$<HOST_LINK:${host_link}>")
  if(arg_LINK_WORDS)
    target_link_libraries(${target} PRIVATE -Wl,--push-state,--as-needed ${arg_LINK_WORDS} -Wl,--pop-state)
  endif()
  if(arg_NEEDED)
    target_link_libraries(${target} PRIVATE -Wl,--push-state,--no-as-needed ${arg_NEEDED} -Wl,--pop-state)
  endif()
  if(arg_CUDA_SOURCES AND arg_SEPARATE)
    target_link_libraries(${target} PRIVATE ${arg_RUNTIME_LIBRARIES} -lrt -lpthread)
    set(arg_RUNTIME_LIBRARIES "")
  endif()
  # C++ alone may call the runtime, too.
  target_link_libraries(${target} PRIVATE -Wl,--as-needed ${arg_RUNTIME_LIBRARIES} ${CMAKE_DL_LIBS})
  install(TARGETS ${target} LIBRARY DESTINATION "${arg_DESTINATION}")
endfunction()

function(_gpuwheel_separate objects_variable compiling_variable target)
  set(objects "")
  set(compiling "")
  foreach(source IN LISTS ARGN)
    if(NOT source MATCHES "\\.o$")
      list(LENGTH objects number)
      add_library(${target}_${number} OBJECT "${source}")
      list(APPEND compiling ${target}_${number})
      set(source "$<TARGET_OBJECTS:${target}_${number}>")
    endif()
    list(APPEND objects "${source}")
  endforeach()
  set(${objects_variable} "${objects}" PARENT_SCOPE)
  set(${compiling_variable} "${compiling}" PARENT_SCOPE)
endfunction()
