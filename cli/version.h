/* SPDX-License-Identifier: Apache-2.0
 *
 * version.h: which program this is, for --version, provenance and benchmarks.
 */
#ifndef STACKSIM_CLI_VERSION_H
#define STACKSIM_CLI_VERSION_H

const char *version_number(void);   /* "0.1.0" */
const char *version_commit(void);   /* of the source tree; "unknown" outside git */
const char *version_compiler(void); /* "gcc 12.2.0, optimised" */

#endif
