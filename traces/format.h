/* SPDX-License-Identifier: Apache-2.0
 *
 * format.h: a trace format is one file in traces/formats/ and one line in registry.def.
 *
 * A format turns rows into records and knows nothing of what is done with them:
 * opening, order, spreading of ticks, limits and the policy on broken rows belong to
 * reader.c, and what all formats need to build a record is in input.h.
 */
#ifndef STACKSIM_TRACES_FORMAT_H
#define STACKSIM_TRACES_FORMAT_H

#include "traces/input.h"

enum format_result {
    FORMAT_RECORD, /* input->record and input->segments are filled */
    FORMAT_BROKEN, /* this row breaks the format; err says how; the next may be fine */
    FORMAT_END,
    FORMAT_ERROR, /* cannot go on */
};

struct trace_format {
    const char *name;
    const char *help;
    /* Whether a file that begins with these bytes (whole lines, mostly) is ours. */
    bool (*detect)(const char *head, size_t byte_count);
    size_t state_bytes; /* zeroed before open */
    NODISCARD bool (*open)(void *state, struct trace_input *input, struct err *err);
    enum format_result (*next)(void *state, struct trace_input *input, struct err *err);
    /* NULL: nothing to free. Called after every open, failed ones too. */
    void (*close)(void *state);
    uint32_t block_tokens; /* of a recorded block id, unless told; 0 = has none */
    bool calendar;         /* times are dates: the trace starts with its first row */
    bool coarse_clock;     /* known to come with ticks of seconds */
};

#define FORMAT(name) extern const struct trace_format format_##name;
#include "traces/registry.def"
#undef FORMAT

/* In the order of registry.def, which is the order of detection. */
extern const struct trace_format *const trace_formats[];
extern const size_t trace_format_count;

const struct trace_format *trace_format_find(const char *name); /* NULL: no such */
const struct trace_format *trace_format_detect(const char *head, size_t byte_count);

/* Whether `text` occurs in the first line. For detect functions. */
bool trace_head_has(const char *head, size_t byte_count, const char *text);
bool trace_head_begins(const char *head, size_t byte_count, const char *text);

#endif
