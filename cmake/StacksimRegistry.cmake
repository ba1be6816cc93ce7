# SPDX-License-Identifier: Apache-2.0
#
# A registry.def lists the extensions of a folder, one KIND(name) a line. The C
# preprocessor makes the table; this makes sure that every line has its file, so that a
# typing error fails to configure instead of failing to link.

# The file of KIND(name) is name.c or kind_name.c in the folder or one below it.
function(stacksim_check_registry folder)
  set(registry "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/registry.def")
  if(NOT EXISTS "${registry}")
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${registry}")
  file(STRINGS "${registry}" lines REGEX "^[A-Z_]+\\([a-z0-9_]+")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^([A-Z_]+)\\(([a-z0-9_]+)" match "${line}")
    set(name "${CMAKE_MATCH_2}")
    string(TOLOWER "${CMAKE_MATCH_1}" kind)
    set(base "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    file(GLOB found CONFIGURE_DEPENDS "${base}/${name}.c" "${base}/${kind}_${name}.c"
         "${base}/*/${name}.c" "${base}/*/${kind}_${name}.c")
    if(NOT found)
      message(FATAL_ERROR "${registry}: '${line}' has no file: write "
        "${kind}_${name}.c or ${name}.c in ${base} (or a folder below), or drop the line")
    endif()
  endforeach()
endfunction()
