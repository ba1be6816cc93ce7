/* SPDX-License-Identifier: Apache-2.0
 *
 * version.c: the only file that is compiled again when the commit changes.
 */
#include "cli/version.h"

#include "stacksim_commit.h" /* made by the build, see cli/CMakeLists.txt */

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The level itself is not visible to the preprocessor. */
#ifdef __OPTIMIZE__
#define OPTIMISED ", optimised"
#else
#define OPTIMISED ", not optimised"
#endif

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED ", address sanitizer"
#else
#define SANITIZED ""
#endif

const char *version_number(void)
{
    return STACKSIM_VERSION;
}

const char *version_commit(void)
{
    return STACKSIM_COMMIT;
}

const char *version_compiler(void)
{
    return COMPILER OPTIMISED SANITIZED;
}
