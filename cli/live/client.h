/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h: an open-loop client of an OpenAI-compatible server: a workload's requests
 * at their times, whatever the server does, measured from when they were due.
 *
 * Prompts are rendered by traces/token_text.h. Answers are asked for at their recorded
 * length (max_tokens with ignore_eos), streamed, with usage. Times of the rows are the
 * workload's: at a time scale of 10 a second that passed counts as ten.
 */
#ifndef STACKSIM_CLI_LIVE_CLIENT_H
#define STACKSIM_CLI_LIVE_CLIENT_H

#include "base/text.h"
#include "reports/run.h"

struct client;
struct workload;

struct client_setup {
    const char *url;            /* "http://127.0.0.1:8000" */
    const char *model;          /* NULL = the first one of /v1/models */
    bool chat;                  /* /v1/chat/completions instead of /v1/completions */
    bool ids;                   /* prompts as token ids; not with chat */
    const char *session_header; /* that carries the session's number */
    const char *api_key;        /* sent as bearer token, or NULL */
    double time_scale;          /* the workload runs this many times as fast; > 0 */
    int64_t timeout_ns;         /* of a request, as time passes here */
    uint64_t requests_max;      /* 0 = all */
};

/* Asks the server for its models: false when it is not there or lacks the model. The
 * strings of setup, workload and run are borrowed until client_delete. Rows of ended
 * requests are added to run. */
NODISCARD bool client_new(struct client **out, const struct client_setup *setup,
                          struct workload *workload, struct run_record *run,
                          struct err *err);
void client_delete(struct client *client); /* drops what is under way */

/* Some milliseconds of sending and receiving. */
NODISCARD bool client_turn(struct client *client, bool *done, struct err *err);

struct client_counts {
    uint64_t sent;
    uint64_t ended;
    uint64_t failed; /* not answered as asked, whatever the reason */
    uint64_t in_flight;
    int64_t late_ns_max; /* a request left this long after it was due, here */
    int64_t late_ns_mean;
};
void client_count(const struct client *client, struct client_counts *counts);
const char *client_model(const struct client *client);
/* "12 requests: HTTP 503" for each kind of failure, one a line. */
void client_failures(const struct client *client, struct text *out);
/* Gaps between events of streams, ns as of the workload; as they came, borrowed. */
const int64_t *client_gaps_ns(const struct client *client, size_t *count);

#endif
