# Folders that the environment offers for headers are no part of the compiler. CMake takes them for that, and leaves out
# an option that names one: then the folder would be searched last, after others of the environment.
include_guard(DIRECTORY)
foreach(language IN ITEMS C CXX ASM CUDA)
  if(DEFINED CMAKE_${language}_IMPLICIT_INCLUDE_DIRECTORIES)
    string(REPLACE ":" ";" offered "$ENV{CPATH}:$ENV{C_INCLUDE_PATH}:$ENV{CPLUS_INCLUDE_PATH}")
    string(REGEX MATCHALL "-isystem +[^ ]+" named "${CMAKE_${language}_FLAGS}")
    list(TRANSFORM named REPLACE "^-isystem +" "")
    list(REMOVE_ITEM CMAKE_${language}_IMPLICIT_INCLUDE_DIRECTORIES ${offered} ${named})
  endif()
endforeach()
