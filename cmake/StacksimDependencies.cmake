# SPDX-License-Identifier: Apache-2.0
#
# Third-party libraries, each linked by the one folder that wraps it (STYLE 1.7).
# scripts/deps.sh installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(package IN ITEMS gsl sqlite3 libcjson yaml-0.1 libzstd libxxhash libmd zlib)
  string(REGEX REPLACE "[^a-z0-9]" "_" target "${package}")
  pkg_check_modules(${target} IMPORTED_TARGET "${package}")
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "library ${package} not found: run scripts/deps.sh")
  endif()
endforeach()
# Two that bring no .pc file.
find_library(STACKSIM_LIBCSV csv)
find_path(STACKSIM_JSMN jsmn.h)
if(NOT STACKSIM_LIBCSV OR NOT STACKSIM_JSMN)
  message(FATAL_ERROR "libcsv or jsmn not found: run scripts/deps.sh")
endif()
