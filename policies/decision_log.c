/* SPDX-License-Identifier: Apache-2.0
 *
 * decision_log.c: see the header.
 */
#include "policies/decision_log.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void decision_log_header(struct text *out)
{
    text_add(out, "time_ns,request_id,policy,endpoint_id,url,reason,candidates,"
                  "matched_length,score,scores\n");
}

static void add_field(struct text *out, const char *field)
{
    if (strpbrk(field, ",\"\r\n") == NULL) {
        text_add(out, field);
        return;
    }
    text_add(out, "\"");
    for (const char *at = field; *at != '\0'; at++) {
        text_add_bytes(out, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    }
    text_add(out, "\"");
}

static void add_scores(struct text *out, const struct cluster_view *view)
{
    const char *separator = "";
    for (uint32_t i = 0; i < view->count; i++) {
        if (!isnan(view->scores[i])) {
            text_printf(out, "%s%" PRIu32 ":%.17g", separator, view->endpoints[i]->id,
                        view->scores[i]);
            separator = " ";
        }
    }
}

void decision_log_row(const struct decision_row *row, struct text *out)
{
    const struct route_decision *decision = &row->decision;
    text_printf(out, "%" PRId64 ",%" PRIu64 ",%s,", row->now_ns,
                row->request->request_id, row->policy->name);
    if (row->endpoint != NULL) {
        text_printf(out, "%" PRIu32 ",", row->endpoint->id);
        add_field(out, row->endpoint->url);
    } else {
        text_add(out, ",");
    }
    text_printf(out, ",%s,%" PRIu32 ",%" PRIu32 ",%.17g,",
                route_reason_name(decision->reason), decision->candidates,
                decision->matched_length, decision->score);
    if (row->view != NULL && row->view->scores != NULL) {
        add_scores(out, row->view);
    }
    text_add(out, "\n");
}
