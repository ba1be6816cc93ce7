/* SPDX-License-Identifier: Apache-2.0
 *
 * result.h: what one run prints.
 */
#ifndef STACKSIM_CLI_RESULT_H
#define STACKSIM_CLI_RESULT_H

#include "base/text.h"
#include "reports/run.h"
#include "reports/table.h"

/* For people: the metrics and a line on what they rest on. JSON: one object with
 * provenance, totals, metrics and engines. CSV and Markdown: one row. */
void result_print(const struct run_record *run, enum table_format format,
                  struct text *out);

#endif
