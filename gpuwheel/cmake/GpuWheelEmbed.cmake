# gpuwheel_embed_library(): one shared library on torch's stable ABI with kernel images inside.
# Included by the CMakeLists.txt that gpuwheel generates. Never find_package(Torch): headers and an empty stub are enough.
include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelIncludes.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/GpuWheelAdmission.cmake")
include_guard(GLOBAL)

# gpuwheel_embed_library(TARGET
#   FILE name.so  DESTINATION folder  STD 17
#   SOURCES ... IMAGES ... IMAGE_FILES ...  [SEPARATE]  [PRECOMPILE]
#   INCLUDES ... SYSTEM_INCLUDES ... DEFINITIONS ... FLAGS ...
#   LINK_FLAGS ... (before the objects)  LINK_WORDS ... (after them)  LINK_INPUTS file ...
#   TORCH_STUB libtorch.so  TORCH_TARGET 0x020a000000000000  PREFIX_MAP from=to ...)
# SEPARATE: sources may be objects (*.o) that were compiled before. Every other one is a target of its own, so that objects
# are linked in the order of sources whichever of them are new. PRECOMPILE: torch's headers are most of what each source
# costs, and parsed once; by the number of all sources, not of new ones, so that each object is the same every time.
function(gpuwheel_embed_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SEPARATE;PRECOMPILE" "FILE;DESTINATION;STD;TORCH_STUB;TORCH_TARGET;VERSION_SCRIPT"
    "SOURCES;IMAGES;IMAGE_FILES;INCLUDES;SYSTEM_INCLUDES;DEFINITIONS;FLAGS;LINK_FLAGS;LINK_WORDS;LINK_INPUTS;PREFIX_MAP")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gpuwheel_embed_library: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()

  set(objects ${arg_SOURCES})
  set(compiling "")
  set(precompiling ${target})
  if(arg_SEPARATE)
    _gpuwheel_embed_separate(objects compiling ${target} ${objects})
    set(precompiling ${compiling})
  endif()
  add_library(${target} MODULE ${objects} ${arg_IMAGES})
  set_source_files_properties(${arg_IMAGES} PROPERTIES OBJECT_DEPENDS "${arg_IMAGE_FILES}")
  set_target_properties(${target} ${compiling} PROPERTIES
    LINKER_LANGUAGE CXX PREFIX "" OUTPUT_NAME "${arg_FILE}" SUFFIX ""
    CXX_STANDARD ${arg_STD} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF CXX_SCAN_FOR_MODULES OFF
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/linked/${target}"
    POSITION_INDEPENDENT_CODE ON SKIP_BUILD_RPATH ON)
  # Paths of this build must not reach the library (__FILE__ in headers): same sources, same bytes.
  list(TRANSFORM arg_PREFIX_MAP PREPEND "-ffile-prefix-map=" OUTPUT_VARIABLE prefix_map)
  foreach(it IN ITEMS ${target} ${compiling})
    target_compile_definitions(${it} PRIVATE
      TORCH_TARGET_VERSION=${arg_TORCH_TARGET} USE_CUDA ${arg_DEFINITIONS})
    target_include_directories(${it} PRIVATE ${arg_INCLUDES})
    target_include_directories(${it} SYSTEM PRIVATE ${arg_SYSTEM_INCLUDES})
    target_compile_options(${it} PRIVATE
      ${prefix_map} -ffunction-sections -fdata-sections
      "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique;-Wno-attributes>"
      "$<$<COMPILE_LANGUAGE:C,CXX>:${arg_FLAGS}>")
  endforeach()
  list(LENGTH arg_SOURCES count)
  if(arg_PRECOMPILE OR (NOT arg_SEPARATE AND count GREATER 2))
    _gpuwheel_precompile(${precompiling})
  endif()
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${arg_VERSION_SCRIPT}" ${arg_LINK_INPUTS})
  # Registration is a static constructor: nothing is exported. The stub gives DT_NEEDED libtorch.so, whose own
  # dependencies bring libtorch_cpu and, in CUDA builds of torch, libtorch_cuda.
  target_link_options(${target} PRIVATE
    "LINKER:--version-script=${arg_VERSION_SCRIPT}" LINKER:--exclude-libs,ALL LINKER:--gc-sections
    LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:--build-id=sha1 "LINKER:-soname,${arg_FILE}"
    ${arg_LINK_FLAGS})
  if(arg_LINK_WORDS)
    target_link_libraries(${target} PRIVATE -Wl,--push-state,--as-needed ${arg_LINK_WORDS} -Wl,--pop-state)
  endif()
  if(GPUWHEEL_NAMES_LINK_INPUTS)  # so that what did not change can be told from what did
    target_link_options(${target} PRIVATE LINKER:--dependency-file=${target}.read)
  endif()
  target_link_libraries(${target} PRIVATE
    -Wl,--push-state,--no-as-needed "${arg_TORCH_STUB}" -Wl,--pop-state -Wl,--as-needed ${CMAKE_DL_LIBS})
  install(TARGETS ${target} LIBRARY DESTINATION "${arg_DESTINATION}")
endfunction()

function(_gpuwheel_precompile)
  set(first "")
  foreach(it IN LISTS ARGN)
    get_target_property(sources ${it} SOURCES)
    if(sources MATCHES "\\.c$")  # alone in its target: not in this language
      continue()
    elseif(first)
      target_precompile_headers(${it} REUSE_FROM ${first})
    else()
      set(first ${it})
      target_precompile_headers(${it} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:<gpuwheel/torch.h$<ANGLE-R>>")
    endif()
  endforeach()
endfunction()

function(_gpuwheel_embed_separate objects_variable compiling_variable target)
  set(objects "")
  set(compiling "")
  set(number 0)
  foreach(source IN LISTS ARGN)
    if(NOT source MATCHES "\\.o$")
      add_library(${target}_${number} OBJECT "${source}")
      list(APPEND compiling ${target}_${number})
      set(source "$<TARGET_OBJECTS:${target}_${number}>")
    endif()
    list(APPEND objects "${source}")
    math(EXPR number "${number} + 1")
  endforeach()
  set(${objects_variable} "${objects}" PARENT_SCOPE)
  set(${compiling_variable} "${compiling}" PARENT_SCOPE)
endfunction()
