# SPDX-License-Identifier: Apache-2.0

# stacksim_folder(NAME base GLOBS *.c formats/*.c LINKS stacksim_stats ...)
# makes the static library stacksim_NAME of the calling folder. A folder without sources
# becomes an interface library, so that the arrows can be drawn before the code.
function(stacksim_folder)
  cmake_parse_arguments(arg "" "NAME" "GLOBS;EXCLUDE;LINKS;PRIVATE_LINKS" ${ARGN})
  set(sources)
  foreach(pattern IN LISTS arg_GLOBS)
    file(GLOB found CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${pattern}")
    list(APPEND sources ${found})
  endforeach()
  foreach(name IN LISTS arg_EXCLUDE)
    list(REMOVE_ITEM sources "${CMAKE_CURRENT_SOURCE_DIR}/${name}")
  endforeach()
  if(NOT sources)
    add_library(stacksim_${arg_NAME} INTERFACE)
    target_link_libraries(stacksim_${arg_NAME} INTERFACE stacksim_flags ${arg_LINKS})
    return()
  endif()
  add_library(stacksim_${arg_NAME} STATIC ${sources})
  target_link_libraries(stacksim_${arg_NAME} PUBLIC stacksim_flags ${arg_LINKS}
                        PRIVATE ${arg_PRIVATE_LINKS})
endfunction()

# Where configs/ lies, for the folders that look for it (ARCHITECTURE 7).
function(stacksim_configs_path name)
  get_target_property(type stacksim_${name} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  target_compile_definitions(stacksim_${name} PRIVATE
    STACKSIM_VERSION="${PROJECT_VERSION}"
    STACKSIM_SOURCE_CONFIGS="${CMAKE_SOURCE_DIR}/configs"
    STACKSIM_INSTALL_CONFIGS="${CMAKE_INSTALL_FULL_DATADIR}/stacksim/configs")
endfunction()
