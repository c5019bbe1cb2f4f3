# Where a broker says which compilers run when, compilers and linkers are started by its script, ahead of any launcher.
# By rules and not by CMAKE_<LANG>_COMPILER_LAUNCHER: that stays the user's, however it is set.
include_guard(GLOBAL)

function(_gpuwheel_admission)
  foreach(it IN ITEMS COMPILE LINK)
    get_property(own GLOBAL PROPERTY RULE_LAUNCH_${it})
    string(JOIN " " launched "/bin/sh '$ENV{GPUWHEEL_BROKER}/gpuwheel-launch'" ${own})
    set_property(GLOBAL PROPERTY RULE_LAUNCH_${it} "${launched}")
  endforeach()
endfunction()

if(EXISTS "$ENV{GPUWHEEL_BROKER}/gpuwheel-launch" AND CMAKE_GENERATOR MATCHES "Ninja|Makefiles")
  # At the end of it all: a project may set rules of its own.
  cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL _gpuwheel_admission)
endif()
