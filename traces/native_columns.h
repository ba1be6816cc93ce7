/* SPDX-License-Identifier: Apache-2.0
 *
 * native_columns.h: the columns of our own trace format, for its reader and its writer.
 */
#ifndef STACKSIM_TRACES_NATIVE_COLUMNS_H
#define STACKSIM_TRACES_NATIVE_COLUMNS_H

#define NATIVE_MAGIC "#format=stacksim-trace"

/* In the order in which they are written (spec/traces.md 3.1). */
#define NATIVE_COLUMNS(X)                                                              \
    X(ID, "id")                                                                        \
    X(ARRIVAL, "arrival")                                                              \
    X(SESSION, "session")                                                              \
    X(TURN, "turn")                                                                    \
    X(PARENTS, "parents")                                                              \
    X(THINK, "think")                                                                  \
    X(IN, "in")                                                                        \
    X(OUT, "out")                                                                      \
    X(MAX_OUT, "max_out")                                                              \
    X(OUT_PRED, "out_pred")                                                            \
    X(MODEL, "model")                                                                  \
    X(TENANT, "tenant")                                                                \
    X(ADAPTER, "adapter")                                                              \
    X(PRIO, "prio")                                                                    \
    X(CANCEL, "cancel")                                                                \
    X(PROMPT, "prompt")

enum native_column {
#define X(name, text) NATIVE_##name,
    NATIVE_COLUMNS(X)
#undef X
        NATIVE_COLUMN_COUNT
};

#endif
