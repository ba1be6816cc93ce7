/* SPDX-License-Identifier: Apache-2.0
 *
 * report_facts.h: the parts of the report page behind its figures.
 */
#ifndef STACKSIM_REPORTS_REPORT_FACTS_H
#define STACKSIM_REPORTS_REPORT_FACTS_H

#include "base/text.h"
#include "reports/report.h"

void report_add_engines(const struct report *report, struct text *out);
void report_add_events(const struct report *report, struct text *out);
void report_add_scenarios(const struct report *report, struct text *out);
void report_add_provenance(const struct report *report, struct text *out);
void report_add_limits(const struct report *report, struct text *out);

#endif
