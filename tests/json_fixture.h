/* SPDX-License-Identifier: Apache-2.0
 *
 * json_fixture.h: elements by number, where a list is short.
 */
#ifndef STACKSIM_TESTS_JSON_FIXTURE_H
#define STACKSIM_TESTS_JSON_FIXTURE_H

#include "base/json.h"

/* NULL behind the last one, and when it is no array. */
static inline const struct json *json_at(const struct json *array, size_t index)
{
    const struct json *at = json_first(array);
    for (; at != NULL && index > 0; index--) {
        at = json_next(at);
    }
    return at;
}

#endif
