/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c: libcurl's multi interface (the only user of <curl/...>).
 *
 * One thread sends and receives. Every request has an easy handle of its own; the multi
 * handle keeps connections alive and opens as many as are needed, since a limit would
 * make the loop a closed one.
 */
#include "cli/live/client.h"

#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/clock.h"
#include "router/body.h"
#include "router/usage.h"
#include "traces/token_text.h"
#include "traces/workload.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    KINDS_MAX = 32,
    LINE_MAX_BYTES = 1 << 20,
    POLL_MS_MAX = 50,
    GAPS_MAX = 1 << 26,
    PROBE_SECONDS = 10,
    SENDS_A_TURN = 64, /* so that answers are not left waiting behind a burst */
};

struct failure_kind {
    char what[80];
    uint64_t count;
};

/* One request under way. */
struct call {
    struct call *previous;
    struct call *next;
    struct client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct text body;
    struct text line; /* an unfinished line of the answer */
    struct request_row row;
    struct usage usage;
    int64_t last_ns; /* of the last event; 0 = none */
    uint32_t events;
    bool done; /* "[DONE]" came */
};

struct client {
    struct client_setup setup;
    struct workload *workload;
    struct run_record *run;
    CURLM *multi;
    struct call *calls;
    char *model;
    char *target;
    const struct trace_record *next; /* NULL = none left */
    int64_t start_ns;
    int64_t first_arrival_ns;
    struct client_counts counts;
    double late_sum_ns;
    struct failure_kind kinds[KINDS_MAX];
    size_t kind_count;
    int64_t *gaps_ns;
    size_t gap_count;
    size_t gap_capacity;
};

/* --- time ------------------------------------------------------------------------- */

static int64_t due_ns(const struct client *client, int64_t arrival_ns)
{
    return client->start_ns +
           (int64_t)((double)(arrival_ns - client->first_arrival_ns) /
                     client->setup.time_scale);
}

/* Time of the workload. */
static int64_t workload_ns(const struct client *client, int64_t wall_ns)
{
    return client->first_arrival_ns +
           (int64_t)((double)(wall_ns - client->start_ns) * client->setup.time_scale);
}

/* --- the server's models ---------------------------------------------------------- */

static size_t collect(char *bytes, size_t size, size_t count, void *context)
{
    struct text *out = context;
    if (out->length + size * count > LINE_MAX_BYTES) {
        return 0;
    }
    text_add_bytes(out, bytes, size * count);
    return size * count;
}

/* GET; answer is filled with the body. */
static bool fetch(const struct client *client, const char *path, struct text *answer,
                  struct err *err)
{
    struct text url = {0};
    struct text bearer = {0};
    struct curl_slist *headers = NULL;
    CURL *easy = curl_easy_init();
    long status = 0;
    CHECK(easy != NULL, "libcurl has no memory");
    text_printf(&url, "%s%s", client->setup.url, path);
    if (client->setup.api_key != NULL) {
        text_printf(&bearer, "Authorization: Bearer %s", client->setup.api_key);
        headers = curl_slist_append(headers, text_str(&bearer));
    }
    (void)curl_easy_setopt(easy, CURLOPT_URL, text_str(&url));
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)PROBE_SECONDS);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    const CURLcode code = curl_easy_perform(easy);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    bool good = true;
    if (code != CURLE_OK) {
        good = err_set(err, ERR_IO, "%s: %s; is a server listening there?",
                       client->setup.url, curl_easy_strerror(code));
    } else if (status != 200) {
        good =
            err_set(err, ERR_IO, "%s: HTTP %ld; is that an OpenAI-compatible server?",
                    text_str(&url), status);
    }
    text_fini(&url);
    text_fini(&bearer);
    return good;
}

/* The wanted model, else the first one; adds the ids it met to `known`. */
static const char *pick_model(const struct json *root, const char *wanted,
                              struct text *known)
{
    const char *first = NULL;
    for (const struct json *card = json_first(json_get(root, "data")); card != NULL;
         card = json_next(card)) {
        const char *id = json_str(json_get(card, "id"));
        if (id == NULL) {
            continue;
        }
        first = first == NULL ? id : first;
        text_printf(known, "%s%s", known->length > 0 ? ", " : "", id);
        if (wanted != NULL && strcmp(id, wanted) == 0) {
            return id;
        }
    }
    return wanted == NULL ? first : NULL;
}

static bool find_model(struct client *client, struct err *err)
{
    struct text answer = {0};
    struct text known = {0};
    struct json *root = NULL;
    struct err why = {0};
    bool good = fetch(client, "/v1/models", &answer, err);
    if (good && !json_parse(&root, "models", text_str(&answer), answer.length, &why)) {
        good = err_set(err, ERR_IO, "%s/v1/models: %s", client->setup.url, why.text);
    }
    if (good) {
        const char *model = pick_model(root, client->setup.model, &known);
        if (model != NULL) {
            client->model = mem_strdup(model);
        } else {
            good = err_set(err, ERR_USAGE, "--model: %s has %s", client->setup.url,
                           known.length > 0 ? text_str(&known) : "no models");
        }
    }
    json_delete(root);
    text_fini(&answer);
    text_fini(&known);
    return good;
}

/* --- sending ---------------------------------------------------------------------- */

static void write_prompt(const struct client *client, const struct trace_record *record,
                         struct text *out)
{
    if (client->setup.ids) {
        const size_t count = record->prompt_tokens;
        uint32_t *ids = mem_alloc(count, sizeof *ids);
        (void)token_text_ids(record->segments, record->segment_count, ids, count);
        text_add(out, ",\"prompt\":[");
        for (size_t i = 0; i < count; i++) {
            text_printf(out, "%s%" PRIu32, i == 0 ? "" : ",", ids[i]);
        }
        text_add(out, "]");
        mem_free(ids);
        return;
    }
    text_add(out, client->setup.chat
                      ? ",\"messages\":[{\"role\":\"user\",\"content\":\""
                      : ",\"prompt\":\"");
    /* Rendered text needs no escapes. */
    token_text_add(out, record->segments, record->segment_count);
    text_add(out, client->setup.chat ? "\"}]" : "\"");
}

static void write_body(const struct client *client, const struct trace_record *record,
                       struct text *out)
{
    text_add(out, "{\"model\":");
    body_add_string(out, client->model, strlen(client->model));
    write_prompt(client, record, out);
    text_printf(out,
                ",\"max_tokens\":%" PRIu32 ",\"ignore_eos\":true,\"temperature\":0",
                record->output_tokens);
    if (record->priority != 0) {
        text_printf(out, ",\"priority\":%" PRId32, record->priority);
    }
    text_add(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
}

static void add_header(struct call *call, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_header(struct call *call, const char *format, ...)
{
    char line[1024];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(line, sizeof line, format, values);
    va_end(values);
    call->headers = curl_slist_append(call->headers, line);
}

static void on_line(struct call *call, const char *line)
{
    struct client *client = call->client;
    static const char DATA[] = "data:";
    if (strncmp(line, DATA, sizeof DATA - 1) != 0) {
        return;
    }
    const char *data = line + sizeof DATA - 1;
    data += *data == ' ' ? 1 : 0;
    if (strcmp(data, "[DONE]") == 0) {
        call->done = true;
        return;
    }
    if (strstr(data, "\"usage\":{") != NULL) {
        usage_read(data, strlen(data), &call->usage);
    }
    if (strstr(data, "\"choices\":[{") == NULL) {
        return;
    }
    const int64_t now_ns = workload_ns(client, clock_wall_ns());
    if (call->events++ == 0) {
        call->row.first_token_ns = now_ns;
    } else {
        void *array = client->gaps_ns;
        if (mem_grow(&array, &client->gap_capacity, client->gap_count + 1,
                     sizeof *client->gaps_ns, GAPS_MAX)) {
            client->gaps_ns = array;
            client->gaps_ns[client->gap_count++] = now_ns - call->last_ns;
        }
    }
    call->last_ns = now_ns;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    const size_t byte_count = size * count;
    size_t begin = 0;
    for (size_t at = 0; at < byte_count; at++) {
        if (bytes[at] == '\n') {
            text_add_bytes(&call->line, bytes + begin, at - begin);
            while (call->line.length > 0 &&
                   call->line.bytes[call->line.length - 1] == '\r') {
                call->line.bytes[--call->line.length] = '\0';
            }
            on_line(call, text_str(&call->line));
            call->line.length = 0;
            begin = at + 1;
        }
    }
    if (call->line.length + byte_count - begin > LINE_MAX_BYTES) {
        return 0;
    }
    text_add_bytes(&call->line, bytes + begin, byte_count - begin);
    return byte_count;
}

static void set_options(struct call *call)
{
    const struct client *client = call->client;
    CURL *easy = call->easy;
    (void)curl_easy_setopt(easy, CURLOPT_URL, client->target);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.bytes);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)call->body.length);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                           (long)(client->setup.timeout_ns / 1000000));
}

static void send_next(struct client *client, int64_t now_ns)
{
    const struct trace_record *record = client->next;
    struct call *call = mem_alloc(1, sizeof *call);
    const int64_t late_ns = now_ns - due_ns(client, record->arrival_ns);
    call->client = client;
    call->row = (struct request_row){
        .request_id = record->id,
        .session_id = record->session,
        .arrival_ns = record->arrival_ns,
        .queued_ns = RUN_TIME_NONE,
        .scheduled_ns = RUN_TIME_NONE,
        .first_token_ns = RUN_TIME_NONE,
        .turn = record->turn,
        .engine = RUN_ENGINE_NONE,
        .prompt_tokens = record->prompt_tokens,
    };
    write_body(client, record, &call->body);
    add_header(call, "Content-Type: application/json");
    add_header(call, "Expect:");
    add_header(call, "X-Request-Id: stacksim-%" PRIu64, record->id);
    if (record->session != 0) {
        add_header(call, "%s: %" PRIu64, client->setup.session_header, record->session);
    }
    if (client->setup.api_key != NULL) {
        add_header(call, "Authorization: Bearer %s", client->setup.api_key);
    }
    call->easy = curl_easy_init();
    CHECK(call->easy != NULL, "libcurl has no memory");
    set_options(call);
    call->next = client->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    client->calls = call;
    (void)curl_multi_add_handle(client->multi, call->easy);
    client->counts.sent++;
    client->counts.in_flight++;
    client->late_sum_ns += (double)late_ns;
    if (late_ns > client->counts.late_ns_max) {
        client->counts.late_ns_max = late_ns;
    }
}

static bool advance_workload(struct client *client, struct err *err)
{
    const uint64_t most = client->setup.requests_max;
    client->next = NULL;
    if (most > 0 && client->counts.sent >= most) {
        return true;
    }
    return workload_next(client->workload, &client->next, err) != WORKLOAD_ERROR;
}

static bool send_due(struct client *client, struct err *err)
{
    for (uint32_t i = 0; i < SENDS_A_TURN && client->next != NULL; i++) {
        const int64_t now_ns = clock_wall_ns();
        if (due_ns(client, client->next->arrival_ns) > now_ns) {
            return true;
        }
        send_next(client, now_ns);
        if (!advance_workload(client, err)) {
            return false;
        }
    }
    return true;
}

/* --- ending ----------------------------------------------------------------------- */

static void call_delete(struct call *call)
{
    struct client *client = call->client;
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        client->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    (void)curl_multi_remove_handle(client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    text_fini(&call->body);
    text_fini(&call->line);
    mem_free(call);
    client->counts.in_flight--;
}

static void count_failure(struct client *client, const char *what)
{
    size_t i = 0;
    while (i < client->kind_count && strcmp(client->kinds[i].what, what) != 0) {
        i++;
    }
    if (i == KINDS_MAX) {
        i--; /* the last kind stands for all further ones */
    } else if (i == client->kind_count) {
        (void)snprintf(client->kinds[i].what, sizeof client->kinds[i].what, "%s", what);
        client->kind_count++;
    }
    client->kinds[i].count++;
    client->counts.failed++;
}

/* Fills what when it was no good. */
static enum request_status status_of(const struct call *call, CURLcode code, char *what,
                                     size_t what_bytes)
{
    long http = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &http);
    if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)snprintf(what, what_bytes, "no complete answer within --timeout");
        return REQUEST_UNFINISHED;
    }
    if (code != CURLE_OK) {
        (void)snprintf(what, what_bytes, "%s", curl_easy_strerror(code));
        return REQUEST_REJECTED;
    }
    if (http != 200) {
        (void)snprintf(what, what_bytes, "HTTP %ld", http);
        return http == 429  ? REQUEST_SHED
               : http < 500 ? REQUEST_REFUSED
                            : REQUEST_REJECTED;
    }
    if (!call->done || call->events == 0) {
        (void)snprintf(what, what_bytes, "the stream ended without [DONE]");
        return REQUEST_REJECTED;
    }
    return REQUEST_COMPLETED;
}

static bool call_ended(struct call *call, CURLcode code, struct err *err)
{
    struct client *client = call->client;
    struct request_row row = call->row;
    char what[80] = "";
    row.status = status_of(call, code, what, sizeof what);
    row.end_ns = workload_ns(client, clock_wall_ns());
    if (row.status == REQUEST_COMPLETED) {
        row.end_ns = call->last_ns;
        row.output_tokens =
            call->usage.output_tokens > 0 ? call->usage.output_tokens : call->events;
        row.cached_tokens = call->usage.cached_tokens;
    } else {
        count_failure(client, what);
    }
    client->counts.ended++;
    call_delete(call);
    return run_add_request(client->run, &row) ||
           err_set(err, ERR_RUN, "more requests than a store can hold");
}

static bool end_ready(struct client *client, struct err *err)
{
    int left = 0;
    for (const CURLMsg *message = curl_multi_info_read(client->multi, &left);
         message != NULL; message = curl_multi_info_read(client->multi, &left)) {
        char *owner = NULL;
        const CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
        if (!call_ended((struct call *)(void *)owner, code, err)) {
            return false;
        }
    }
    return true;
}

/* --- life ------------------------------------------------------------------------- */

bool client_new(struct client **out, const struct client_setup *setup,
                struct workload *workload, struct run_record *run, struct err *err)
{
    struct client *client = mem_alloc(1, sizeof *client);
    struct text target = {0};
    client->setup = *setup;
    client->workload = workload;
    client->run = run;
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    client->multi = curl_multi_init();
    CHECK(client->multi != NULL, "libcurl has no memory");
    text_printf(&target, "%s%s", setup->url,
                setup->chat ? "/v1/chat/completions" : "/v1/completions");
    client->target = target.bytes;
    if (!find_model(client, err) || !advance_workload(client, err)) {
        client_delete(client);
        return false;
    }
    client->start_ns = clock_wall_ns();
    client->first_arrival_ns = client->next != NULL ? client->next->arrival_ns : 0;
    *out = client;
    return true;
}

void client_delete(struct client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->calls != NULL) {
        call_delete(client->calls);
    }
    (void)curl_multi_cleanup(client->multi);
    curl_global_cleanup();
    mem_free(client->target);
    mem_free(client->model);
    mem_free(client->gaps_ns);
    mem_free(client);
}

bool client_turn(struct client *client, bool *done, struct err *err)
{
    int running = 0;
    int wait_ms = POLL_MS_MAX;
    if (!send_due(client, err)) {
        return false;
    }
    (void)curl_multi_perform(client->multi, &running);
    if (!end_ready(client, err)) {
        return false;
    }
    *done = client->next == NULL && client->calls == NULL;
    if (*done) {
        return true;
    }
    if (client->next != NULL) {
        const int64_t left_ns =
            due_ns(client, client->next->arrival_ns) - clock_wall_ns();
        const int64_t left_ms = left_ns <= 0 ? 0 : left_ns / 1000000;
        wait_ms = left_ms < POLL_MS_MAX ? (int)left_ms : POLL_MS_MAX;
    }
    const CURLMcode code = curl_multi_poll(client->multi, NULL, 0, wait_ms, NULL);
    return code == CURLM_OK ||
           err_set(err, ERR_IO, "waiting for answers: %s", curl_multi_strerror(code));
}

void client_count(const struct client *client, struct client_counts *counts)
{
    *counts = client->counts;
    if (counts->sent > 0) {
        counts->late_ns_mean = (int64_t)(client->late_sum_ns / (double)counts->sent);
    }
}

const char *client_model(const struct client *client)
{
    return client->model;
}

void client_failures(const struct client *client, struct text *out)
{
    for (size_t i = 0; i < client->kind_count; i++) {
        text_printf(out, "%s%" PRIu64 " requests: %s", out->length > 0 ? "\n" : "",
                    client->kinds[i].count, client->kinds[i].what);
    }
}

const int64_t *client_gaps_ns(const struct client *client, size_t *count)
{
    *count = client->gap_count;
    return client->gaps_ns;
}
