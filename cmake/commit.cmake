# SPDX-License-Identifier: Apache-2.0
#
# Run at build time: writes the commit of the source tree into OUTPUT, and touches it
# only when it changed, so that one file is compiled again and no other.
execute_process(
  COMMAND git describe --always --dirty --abbrev=12 --match "v[0-9]*"
  WORKING_DIRECTORY "${SOURCE}" OUTPUT_VARIABLE commit ERROR_QUIET
  RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
if(failed)
  set(commit "unknown")
endif()
set(content "#define STACKSIM_COMMIT \"${commit}\"\n")
set(before "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" before)
endif()
if(NOT before STREQUAL content)
  file(WRITE "${OUTPUT}" "${content}")
endif()
