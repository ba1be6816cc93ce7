/* SPDX-License-Identifier: Apache-2.0
 *
 * fx.h: from seconds to fixed point, in one place (STYLE 5.1).
 */
#ifndef STACKSIM_SIM_COST_FX_H
#define STACKSIM_SIM_COST_FX_H

#include <stdint.h>

/* Rounds to the nearest 2^-16 ns. CHECK: a number, not negative, below 38 hours. */
int64_t cost_fx_of_s(double seconds);
/* What is not affine in the context would break the law; this many steps are promised
 * where nothing else ends a regime. */
#define COST_STEPS_MAX (UINT32_C(1) << 20)

#endif
