# SPDX-License-Identifier: Apache-2.0
#
# Flags of every translation unit, gathered in the interface library stacksim_flags.

option(STACKSIM_WERROR "Treat warnings as errors" ON)
option(STACKSIM_DCHECK "Compile the expensive checks in" OFF)
option(STACKSIM_FUZZ "Build fuzzers with libFuzzer (clang)" OFF)
option(STACKSIM_COVERAGE "Instrument for gcov" OFF)
set(STACKSIM_SANITIZE "" CACHE STRING "Value of -fsanitize=, empty for none")

find_program(STACKSIM_CCACHE ccache)
mark_as_advanced(STACKSIM_CCACHE)
if(STACKSIM_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${STACKSIM_CCACHE})
endif()

add_library(stacksim_flags INTERFACE)
target_include_directories(stacksim_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(stacksim_flags INTERFACE _GNU_SOURCE)
target_compile_options(stacksim_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
  -Wundef -Wcast-qual -Wswitch-enum -Wnull-dereference)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(stacksim_flags INTERFACE -Wlogical-op -Wduplicated-cond)
else()
  target_compile_options(stacksim_flags INTERFACE -Wmissing-variable-declarations)
endif()
target_compile_options(stacksim_flags INTERFACE
  "SHELL:-include ${CMAKE_SOURCE_DIR}/base/banned.h")
if(STACKSIM_WERROR)
  target_compile_options(stacksim_flags INTERFACE -Werror)
endif()

# Same seed, same bytes, whatever the compiler: no fused multiply-add, and no function
# whose rounding the C standard leaves open may be folded by the compiler's own library.
# sqrt, fabs, floor and the like are exact by IEEE 754 and may stay built in.
target_compile_options(stacksim_flags INTERFACE -ffp-contract=off)
foreach(function IN ITEMS
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp10 exp2 expm1
    hypot lgamma log log10 log1p log2 pow sin sincos sinh tan tanh tgamma
    expf exp2f logf log10f log2f powf sinf cosf)
  target_compile_options(stacksim_flags INTERFACE -fno-builtin-${function})
endforeach()

if(STACKSIM_DCHECK)
  target_compile_definitions(stacksim_flags INTERFACE STACKSIM_DCHECK)
endif()
if(STACKSIM_SANITIZE)
  target_compile_options(stacksim_flags INTERFACE -fsanitize=${STACKSIM_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(stacksim_flags INTERFACE -fsanitize=${STACKSIM_SANITIZE})
endif()
if(STACKSIM_FUZZ)
  target_compile_options(stacksim_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(STACKSIM_COVERAGE)
  target_compile_options(stacksim_flags INTERFACE --coverage)
  target_link_options(stacksim_flags INTERFACE --coverage)
endif()
