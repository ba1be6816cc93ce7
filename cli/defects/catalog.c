/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.c: defects.def as two tables.
 */
#include "cli/defects/catalog.h"

#include "base/nearest.h"

#include <string.h>

static const struct defect defects[] = {
#define DEFECT(id, where, what, scenario, policy, with, without, costs, here_only)     \
    {id, where, what, scenario, policy, with, without, costs, here_only},
#define UNSHOWN(id, where, what, why)
#include "cli/defects/defects.def"
#undef DEFECT
#undef UNSHOWN
};

static const struct defect_unshown unshown[] = {
#define DEFECT(id, where, what, scenario, policy, with, without, costs, here_only)
#define UNSHOWN(id, where, what, why) {id, where, what, why},
#include "cli/defects/defects.def"
#undef DEFECT
#undef UNSHOWN
};

enum {
    DEFECTS = sizeof defects / sizeof defects[0],
    UNSHOWN_DEFECTS = sizeof unshown / sizeof unshown[0]
};

size_t defect_count(void)
{
    return DEFECTS;
}

const struct defect *defect_at(size_t index)
{
    return index < DEFECTS ? &defects[index] : NULL;
}

const struct defect_unshown *defect_unshown_at(size_t index)
{
    return index < UNSHOWN_DEFECTS ? &unshown[index] : NULL;
}

bool defect_find(const struct defect **out, const char *id, struct err *err)
{
    const char *names[DEFECTS];
    for (size_t i = 0; i < DEFECTS; i++) {
        names[i] = defects[i].id;
        if (strcmp(defects[i].id, id) == 0) {
            *out = &defects[i];
            return true;
        }
    }
    for (size_t i = 0; i < UNSHOWN_DEFECTS; i++) {
        if (strcmp(unshown[i].id, id) == 0) {
            return err_set(err, ERR_USAGE, "%s: no run shows this defect: %s", id,
                           unshown[i].why);
        }
    }
    const char *nearest = nearest_word(id, names, DEFECTS);
    if (nearest != NULL) {
        return err_set(err, ERR_USAGE, "unknown defect '%s'; did you mean '%s'?", id,
                       nearest);
    }
    return err_set(err, ERR_USAGE,
                   "unknown defect '%s'; 'stacksim defects --list' has all", id);
}
