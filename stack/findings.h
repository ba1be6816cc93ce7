/* SPDX-License-Identifier: Apache-2.0
 *
 * findings.h: what a reader has to say about a file that it did read: what it assumed,
 * what is odd, and what will not do what its author thinks.
 */
#ifndef STACKSIM_STACK_FINDINGS_H
#define STACKSIM_STACK_FINDINGS_H

#include "base/conf.h"

#include <stddef.h>
#include <stdint.h>

enum { FINDINGS_MAX = 1000 };

enum finding_level {
    FINDING_NOTE,    /* something was assumed */
    FINDING_WARNING, /* something has no effect, or is unknown */
    FINDING_TRAP,    /* something does what nobody would want */
};

struct finding {
    enum finding_level level;
    const char *name; /* "prefix_caching_off": stable, for scripts */
    const char *file; /* NULL = of no place */
    uint32_t line;    /* 0 = of no line */
    bool of_router;   /* concerns who runs the router alone */
    char *what;
    char *remedy; /* "" = none */
};

/* A zeroed struct is an empty list. */
struct findings {
    struct finding *items;
    size_t count;
    size_t capacity;
    size_t dropped; /* beyond FINDINGS_MAX */
};

void findings_fini(struct findings *findings);
/* where (may be NULL) gives file and line. Text is "what" or "what; remedy": the remedy
 * starts behind the last "; ". */
void findings_add(struct findings *findings, enum finding_level level, const char *name,
                  const struct conf_node *where, const char *format, ...)
    PRINTF_LIKE(5, 6);
/* The key is known to nobody (base/conf.h, conf_next_unknown). */
void findings_add_unknown(struct findings *findings, const struct conf_node *where,
                          const struct err *what);
/* Whether there is one of this name. */
bool findings_have(const struct findings *findings, const char *name);
/* By file order: notes without a place first, then by line; stable. */
void findings_sort(struct findings *findings);
const char *finding_level_name(enum finding_level level);
/* "values.yaml:12: what; remedy" */
void finding_print(const struct finding *finding, struct text *out);

#endif
