/* SPDX-License-Identifier: Apache-2.0
 *
 * gnuplot.h: runs gnuplot on a script (reports/gnuplot.c is its only user).
 */
#ifndef STACKSIM_REPORTS_GNUPLOT_H
#define STACKSIM_REPORTS_GNUPLOT_H

#include "base/err.h"

enum gnuplot_result { GNUPLOT_DRAWN, GNUPLOT_ABSENT, GNUPLOT_FAILED };

/* Runs `gnuplot script` in `folder` (which ends with '/'), found through $PATH, without
 * the user's own start-up files. err is filled when it failed, with what gnuplot said.
 */
enum gnuplot_result gnuplot_run(const char *folder, const char *script,
                                struct err *err);

#endif
