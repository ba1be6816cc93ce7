/* SPDX-License-Identifier: Apache-2.0
 *
 * args.h: a command line in the making: words, each with the line it comes from.
 */
#ifndef STACKSIM_STACK_ARGS_H
#define STACKSIM_STACK_ARGS_H

#include "base/arena.h"
#include "base/conf.h"

enum { ARGS_MAX = 4096 };

struct args {
    const char **items; /* on the heap; the words are borrowed or in the arena */
    const struct conf_node **where; /* NULL = the chart's own doing */
    size_t count;
    size_t item_capacity;
    size_t where_capacity;
    struct arena *arena; /* borrowed */
};

void args_init(struct args *args, struct arena *arena);
void args_fini(struct args *args);
/* The word is borrowed, from the file or the program: an alias may repeat a long one a
 * thousand times. Words beyond ARGS_MAX are dropped. */
void args_add(struct args *args, const struct conf_node *where, const char *word);
/* At most 767 bytes, in the arena. */
void args_addf(struct args *args, const struct conf_node *where, const char *format,
               ...) PRINTF_LIKE(3, 4);
/* "--name" and its value; nothing when value is NULL. */
void args_pair(struct args *args, const struct conf_node *where, const char *name,
               const char *value);
/* Every scalar of a list (may be NULL). */
void args_list(struct args *args, const struct conf_node *list);
/* All words of another one. */
void args_append(struct args *args, const struct args *other);
/* The last value given to a flag, as "--name value" or "--name=value": "" where another
 * flag or nothing follows, NULL where it is not given. *where (may be NULL) gets its
 * line, and stays where the chart wrote it. */
const char *args_value(const struct args *args, const char *name,
                       const struct conf_node **where);
/* As a shell would need it, in one line without an end. */
void args_print(const struct args *args, struct text *out);

#endif
