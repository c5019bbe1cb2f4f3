# gpuwheel_nvcc_library(): one shared library from CUDA and C++ sources, with nvcc.
# Included by the CMakeLists.txt that gpuwheel generates. Never find_package(Torch): headers and empty stubs are enough.
include_guard(GLOBAL)

# gpuwheel_nvcc_source(PATH  ARCHS "arch=compute_90a,code=[sm_90a]" ...  FLAGS ...): what one CUDA source is compiled for.
# Architectures are options of each source: CMake knows them per target only.
function(gpuwheel_nvcc_source path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ARCHS;FLAGS")
  list(TRANSFORM arg_ARCHS PREPEND "--generate-code=")
  set_property(SOURCE "${path}" APPEND PROPERTY COMPILE_OPTIONS ${arg_ARCHS} ${arg_FLAGS})
endfunction()

# gpuwheel_nvcc_library(TARGET
#   FILE name.so  DESTINATION folder  STD 17  RUNTIME Static|Shared  [RDC]
#   CUDA_SOURCES ... CXX_SOURCES ... INCLUDES ... SYSTEM_INCLUDES ... DEFINITIONS ... FLAGS ... NVCC_FLAGS ... LINK_FLAGS ...
#   LINK_ARCHS ... NEEDED stub.so ... LIBRARIES path ... RPATH dir ... VERSION_SCRIPT file  PREFIX_MAP from=to ...)
function(gpuwheel_nvcc_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RDC" "FILE;DESTINATION;STD;RUNTIME;VERSION_SCRIPT"
    "CUDA_SOURCES;CXX_SOURCES;INCLUDES;SYSTEM_INCLUDES;DEFINITIONS;FLAGS;NVCC_FLAGS;LINK_FLAGS;LINK_ARCHS;NEEDED;LIBRARIES;RPATH;PREFIX_MAP")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gpuwheel_nvcc_library: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()

  add_library(${target} MODULE ${arg_CUDA_SOURCES} ${arg_CXX_SOURCES})
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME "${arg_FILE}" SUFFIX ""
    CXX_STANDARD ${arg_STD} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF CXX_SCAN_FOR_MODULES OFF
    CUDA_STANDARD ${arg_STD} CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CUDA_ARCHITECTURES OFF
    POSITION_INDEPENDENT_CODE ON BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${arg_RPATH}")
  if(arg_CUDA_SOURCES)
    set_target_properties(${target} PROPERTIES
      CUDA_RUNTIME_LIBRARY ${arg_RUNTIME} CUDA_SEPARABLE_COMPILATION ${arg_RDC} CUDA_RESOLVE_DEVICE_SYMBOLS ${arg_RDC}
      JOB_POOL_COMPILE nvcc)
  endif()
  target_compile_definitions(${target} PRIVATE ${arg_DEFINITIONS})
  target_include_directories(${target} PRIVATE ${arg_INCLUDES})
  target_include_directories(${target} SYSTEM PRIVATE ${arg_SYSTEM_INCLUDES}
    "$<$<COMPILE_LANGUAGE:CXX>:${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}>")
  # Paths of this build must not reach the library (__FILE__ in headers): same sources, same bytes.
  list(TRANSFORM arg_PREFIX_MAP PREPEND "-ffile-prefix-map=")
  set(host_options ${arg_PREFIX_MAP} -ffunction-sections -fdata-sections)
  # nvcc splits what it passes on at commas and blanks, which folders may have: the host compiler reads them from a file.
  list(TRANSFORM host_options REPLACE "(.+)" "'\\1'" OUTPUT_VARIABLE quoted_options)
  list(JOIN quoted_options "\n" quoted_options)
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${target}.options" CONTENT "${quoted_options}\n" @ONLY)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${host_options}>" "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=@${CMAKE_CURRENT_BINARY_DIR}/${target}.options>"
    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique;-Wno-attributes>"
    "$<$<COMPILE_LANGUAGE:CXX>:${arg_FLAGS}>" "$<$<COMPILE_LANGUAGE:CUDA>:${arg_NVCC_FLAGS}>")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${arg_VERSION_SCRIPT}")
  # Relocatable device code is linked first, by nvcc, which takes other options than the host's linker.
  list(TRANSFORM arg_LINK_ARCHS PREPEND "--generate-code=")
  set(host_link
    "-Wl,--version-script=${arg_VERSION_SCRIPT}" -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now
    -Wl,-z,noexecstack -Wl,--build-id=sha1 "-Wl,-soname,${arg_FILE}" ${arg_LINK_FLAGS})
  string(REPLACE "," "$<COMMA>" device_link "${arg_LINK_ARCHS}")
  string(REPLACE "," "$<COMMA>" host_link "${host_link}")
  target_link_options(${target} PRIVATE "$<DEVICE_LINK:${device_link}>" "$<HOST_LINK:${host_link}>")
  if(arg_NEEDED)
    target_link_libraries(${target} PRIVATE -Wl,--push-state,--no-as-needed ${arg_NEEDED} -Wl,--pop-state)
  endif()
  target_link_libraries(${target} PRIVATE -Wl,--as-needed ${CMAKE_DL_LIBS})
  install(TARGETS ${target} LIBRARY DESTINATION "${arg_DESTINATION}")
endfunction()
