/* SPDX-License-Identifier: Apache-2.0
 *
 * usage.h: the token counts at the end of an engine's answer.
 *
 * Looks only at the tail of the answer, of which a stream keeps a few KiB: the last
 * "usage" object of the text, wherever it stands.
 */
#ifndef STACKSIM_ROUTER_USAGE_H
#define STACKSIM_ROUTER_USAGE_H

#include <stddef.h>
#include <stdint.h>

struct usage {
    uint32_t prompt_tokens; /* 0 = not reported */
    uint32_t output_tokens;
    uint32_t cached_tokens;
};

/* text need not begin or end at the border of anything. */
void usage_read(const char *text, size_t byte_count, struct usage *usage);

#endif
