/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate_ops.h: from tables of kernel times to the lines of op_fit.h.
 */
#ifndef STACKSIM_SIM_CALIBRATE_CALIBRATE_OPS_H
#define STACKSIM_SIM_CALIBRATE_CALIBRATE_OPS_H

#include "sim/calibrate/op_fit.h"

/* Every knot of every kind of kernel that has three rows and more for each coefficient.
 * l2_bytes: decodes whose keys and values of one call stay in the L2 cache are left out
 * (an engine reads other layers' in between); 0: none are. source: for the file. */
NODISCARD bool calibrate_ops(struct op_fit *fit, const struct op_table *table,
                             uint64_t l2_bytes, const char *source, struct err *err);

/* For people: errors by kind, coefficients by knot with their intervals, and what the
 * rows do not determine. */
void calibrate_ops_report(const struct op_fit *fit, struct text *out);

#endif
