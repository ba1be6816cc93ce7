/* SPDX-License-Identifier: Apache-2.0
 *
 * The host of the policies: who is told what, in which order; ids; counters; and what
 * happens to a caller that does not keep its word.
 */
#include "policies/request_stats.h"
#include "tests/policy_fixture.h"

/* --- a policy that writes down what it is told -------------------------------------
 */

enum { NOTES_MAX = 512 };
static char notes[NOTES_MAX];

static void take_note(const char *what, uint64_t number)
{
    const size_t used = strlen(notes);
    snprintf(notes + used, NOTES_MAX - used, "%s%llu ", what,
             (unsigned long long)number);
}

static struct route_decision probe_pick(void *state, const struct cluster_view *view,
                                        const struct request_view *request)
{
    (void)state;
    take_note("pick", request->request_id);
    take_note("of", view->count);
    return (struct route_decision){
        .endpoint = (int32_t)view->count - 1, .reason = REASON_SCORED, .score = 0.5};
}

static void probe_on_route(void *state, const struct cluster_view *view,
                           const struct request_view *request,
                           const struct route_decision *decision)
{
    (void)state;
    take_note("route", request->request_id);
    take_note("to", view->endpoints[decision->endpoint]->id);
    take_note("load", view->inflight[decision->endpoint]);
}

static void probe_on_first_token(void *state, int64_t now_ns, uint64_t request_id,
                                 uint32_t endpoint_id)
{
    (void)state;
    (void)now_ns;
    (void)endpoint_id;
    take_note("token", request_id);
}

static void probe_on_end(void *state, int64_t now_ns, const struct attempt_end *end)
{
    (void)state;
    (void)now_ns;
    take_note("end", end->request_id);
}

static void probe_on_change(void *state, enum endpoint_change change,
                            const struct endpoint_view *endpoint)
{
    static const char *const names[] = {"join", "leave", "health", "forget"};
    (void)state;
    take_note(names[change], endpoint->id);
}

static const struct route_policy probe_policy = {
    .name = "probe",
    .help = "writes down what it is told",
    .source = "tests",
    .state_bytes = 8,
    .pick = probe_pick,
    .on_route = probe_on_route,
    .on_first_token = probe_on_first_token,
    .on_end = probe_on_end,
    .on_endpoint_change = probe_on_change,
};

static struct gateway *probe_gateway(uint32_t endpoints_max)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {.policy = &probe_policy,
                                        .endpoints_max = endpoints_max};
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    notes[0] = '\0';
    return gateway;
}

static void expect_notes(const char *expected)
{
    EXPECT_STR(notes, expected);
    notes[0] = '\0';
}

static struct route_decision route_to(struct gateway *gateway, uint64_t request_id,
                                      const char *model, uint32_t *id)
{
    const struct request_view request = {
        .request_id = request_id, .model = model, .prompt_tokens = 10};
    return gateway_route(gateway, 0, &request, id);
}

static void finish(struct gateway *gateway, uint64_t request_id, uint32_t id,
                   bool had_first_token)
{
    const struct attempt_end end = {.request_id = request_id,
                                    .endpoint_id = id,
                                    .prompt_tokens = 10,
                                    .had_first_token = had_first_token};
    gateway_end(gateway, 0, &end);
}

/* --- order -------------------------------------------------------------------------
 */

static void callbacks_come_in_their_order(void)
{
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", NULL, 1);
    expect_notes("join0 ");
    EXPECT_I64(route_to(gateway, 7, NULL, &id).endpoint, 0);
    /* The policy is told before the request counts. */
    expect_notes("pick7 of1 route7 to0 load0 ");
    gateway_first_token(gateway, 0, 7, id, 10);
    finish(gateway, 7, id, true);
    expect_notes("token7 end7 ");
    gateway_set_accepting(gateway, 0, true); /* no change, no call */
    gateway_set_accepting(gateway, 0, false);
    gateway_set_accepting(gateway, 0, true);
    gateway_leave(gateway, 0);
    expect_notes("health0 health0 leave0 ");
    gateway_delete(gateway);
}

static void nobody_is_asked_when_nobody_accepts(void)
{
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 77;
    EXPECT_I64(route_to(gateway, 1, NULL, &id).endpoint, -1);
    (void)gateway_join(gateway, "a", "A", 1);
    notes[0] = '\0';
    EXPECT_I64(route_to(gateway, 2, "B", &id).endpoint, -1);
    gateway_set_accepting(gateway, 0, false);
    EXPECT_U64(route_to(gateway, 3, "A", &id).reason, REASON_NONE);
    EXPECT_U64(id, 77);
    expect_notes("health0 ");
    gateway_delete(gateway);
}

static void requests_see_the_endpoints_of_their_model(void)
{
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", "A", 1);
    (void)gateway_join(gateway, "b", "B", 1);
    (void)gateway_join(gateway, "c", "A", 1);
    (void)gateway_join(gateway, "d", NULL, 1);
    notes[0] = '\0';
    (void)route_to(gateway, 1, "A", &id);
    (void)route_to(gateway, 2, "B", &id);
    (void)route_to(gateway, 3, NULL, &id);
    expect_notes("pick1 of2 route1 to2 load0 pick2 of1 route2 to1 load0 "
                 "pick3 of4 route3 to3 load0 ");
    gateway_delete(gateway);
}

/* A LoRA adapter is a model that some endpoints serve beside their own. Two names of
 * the same endpoints share their candidates, which follow health and load. */
static void models_can_be_served_beside_the_own_one(void)
{
    static const uint32_t both[] = {0, 2};
    static const uint32_t last[] = {2};
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", "A", 1);
    (void)gateway_join(gateway, "b", "A", 1);
    (void)gateway_join(gateway, "c", "A", 1);
    gateway_set_accepting(gateway, 0, false);
    gateway_serve(gateway, "x", both, 2);
    gateway_serve(gateway, "y", last, 1);
    gateway_serve(gateway, "z", both, 2);
    notes[0] = '\0';
    (void)route_to(gateway, 1, "z", &id);
    gateway_set_accepting(gateway, 0, true);
    gateway_set_accepting(gateway, 2, false);
    notes[0] = '\0';
    (void)route_to(gateway, 2, "x", &id);
    EXPECT_I64(route_to(gateway, 3, "y", &id).endpoint, -1);
    gateway_set_accepting(gateway, 2, true);
    (void)route_to(gateway, 4, "y", &id);
    (void)route_to(gateway, 5, "x", &id);
    (void)route_to(gateway, 6, "A", &id);
    const struct cluster_view *view = gateway_view(gateway, 0, "z");
    REQUIRE(view != NULL && view->count == 2);
    EXPECT_U64(view->inflight[0], 1);
    EXPECT_U64(view->inflight[1], 4);
    EXPECT_HAS(notes, "pick2 of1 route2 to0 load0 ");
    EXPECT_HAS(notes, "pick4 of1 route4 to2 load1 ");
    EXPECT_HAS(notes, "pick5 of2 route5 to2 load2 ");
    EXPECT_HAS(notes, "pick6 of3 route6 to2 load3 ");
    gateway_leave(gateway, 2);
    EXPECT_I64(route_to(gateway, 7, "y", &id).endpoint, -1);
    gateway_delete(gateway);
}

/* --- counters ----------------------------------------------------------------------
 */

static void counters_follow_a_request(void)
{
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", "A", 2.5);
    const struct endpoint_view *view = gateway_endpoint(gateway, 0);
    EXPECT_NEAR(view->weight, 2.5, 0);
    (void)route_to(gateway, 1, "A", &id);
    (void)route_to(gateway, 2, "A", &id);
    EXPECT_U64(view->inflight_requests, 2);
    EXPECT_U64(view->inflight_prefill, 2);
    EXPECT_U64(view->inflight_prompt_tokens, 20);
    gateway_first_token(gateway, 0, 1, id, 10);
    EXPECT_U64(view->inflight_prefill, 1);
    EXPECT_U64(view->inflight_decode, 1);
    EXPECT_U64(view->inflight_prompt_tokens, 10);
    notes[0] = '\0';
    (void)route_to(gateway, 3, NULL, &id);
    (void)route_to(gateway, 4, "A", &id);
    expect_notes("pick3 of1 route3 to0 load2 pick4 of1 route4 to0 load3 ");
    finish(gateway, 1, id, true);
    finish(gateway, 2, id, false);
    finish(gateway, 3, id, false);
    EXPECT_U64(view->inflight_requests, 1);
    EXPECT_U64(view->inflight_prefill, 1);
    EXPECT_U64(view->inflight_decode, 0);
    EXPECT_U64(view->inflight_prompt_tokens, 10);
    gateway_delete(gateway);
}

static void requests_end_on_endpoints_that_left(void)
{
    struct gateway *gateway = probe_gateway(0);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)route_to(gateway, 1, NULL, &id);
    gateway_leave(gateway, 0);
    finish(gateway, 1, id, false);
    EXPECT_U64(gateway_endpoint(gateway, 0)->inflight_requests, 0);
    EXPECT_U64(gateway_join(gateway, "a", NULL, 1), 0);
    EXPECT_U64(gateway_endpoint(gateway, 0)->generation, 2);
    gateway_delete(gateway);
}

static void scraped_metrics_reach_the_view(void)
{
    struct gateway *gateway = probe_gateway(0);
    (void)gateway_join(gateway, "a", NULL, 1);
    const struct endpoint_metrics metrics = {.valid = METRIC_WAITING,
                                             .waiting_requests = 5};
    gateway_scraped(gateway, 0, &metrics);
    EXPECT_U64(gateway_endpoint(gateway, 0)->metrics.waiting_requests, 5);
    EXPECT_U64(gateway_endpoint(gateway, 0)->metrics.valid, METRIC_WAITING);
    gateway_delete(gateway);
}

/* --- ids ---------------------------------------------------------------------------
 */

static void url_that_left_first_gives_up_its_id_when_ids_run_out(void)
{
    struct gateway *gateway = probe_gateway(3);
    uint32_t id = 0;
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)gateway_join(gateway, "b", NULL, 1);
    (void)gateway_join(gateway, "c", NULL, 1);
    (void)route_to(gateway, 1, NULL, &id);
    EXPECT_U64(id, 2);
    gateway_leave(gateway, 2); /* first, but with a request in flight */
    gateway_leave(gateway, 1);
    gateway_leave(gateway, 0);
    notes[0] = '\0';
    EXPECT_U64(gateway_join(gateway, "d", NULL, 1), 1);
    expect_notes("forget1 join1 ");
    EXPECT_STR(gateway_endpoint(gateway, 1)->url, "d");
    EXPECT_U64(gateway_join(gateway, "a", NULL, 1), 0);
    expect_notes("join0 ");
    finish(gateway, 1, 2, false);
    EXPECT_U64(gateway_join(gateway, "b", NULL, 1), 2);
    expect_notes("end1 forget2 join2 ");
    gateway_delete(gateway);
}

/* A forgotten url's statistics do not pass to the next one. */
static void window_is_forgotten_with_the_url(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {.policy = route_policy_find("session"),
                                        .endpoints_max = 1,
                                        .stats_window_ns = 5};
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    const struct request_view request = {.request_id = 1};
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)fixture_send(gateway, 0, &request);
    EXPECT(request_stats_known(gateway_stats(gateway), 0));
    EXPECT_U64(request_stats_arrivals(gateway_stats(gateway), 5, 0), 1);
    EXPECT_U64(request_stats_arrivals(gateway_stats(gateway), 6, 0), 0);
    gateway_leave(gateway, 0);
    (void)gateway_join(gateway, "a", NULL, 1);
    EXPECT(request_stats_known(gateway_stats(gateway), 0));
    gateway_leave(gateway, 0);
    (void)gateway_join(gateway, "b", NULL, 1);
    EXPECT(!request_stats_known(gateway_stats(gateway), 0));
    gateway_delete(gateway);
}

static void window_is_kept_only_for_policies_that_read_it(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
    EXPECT(gateway_stats(gateway) == NULL);
    EXPECT_U64(gateway_needs(gateway), 0);
    gateway_delete(gateway);
    gateway = fixture_plain("prefix_aware", COMPAT_HEAD);
    EXPECT(gateway_stats(gateway) != NULL);
    EXPECT_U64(gateway_needs(gateway), NEED_CHUNK_HASHES | NEED_REQUEST_STATS);
    gateway_delete(gateway);
}

/* --- decisions ---------------------------------------------------------------------
 */

struct log {
    struct decision_row row;
    uint64_t request_id;
    uint64_t rows;
    uint32_t inflight;
};

static void keep_row(void *context, const struct decision_row *row)
{
    struct log *log = context;
    log->row = *row;
    log->request_id = row->request->request_id;
    log->rows++;
    log->inflight = row->endpoint != NULL ? row->endpoint->inflight_requests : 0;
}

static void every_decision_is_logged_as_the_policy_saw_it(void)
{
    struct gateway *gateway = probe_gateway(0);
    struct log log = {0};
    uint32_t id = 0;
    const struct decision_sink sink = {.context = &log, .on_decision = keep_row};
    gateway_log_to(gateway, &sink);
    (void)route_to(gateway, 1, NULL, &id);
    EXPECT(log.rows == 1 && log.row.endpoint == NULL);
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)route_to(gateway, 2, NULL, &id);
    EXPECT_U64(log.rows, 2);
    EXPECT_U64(log.request_id, 2);
    EXPECT_STR(log.row.policy->name, "probe");
    EXPECT_STR(log.row.endpoint != NULL ? log.row.endpoint->url : "nobody", "a");
    EXPECT_NEAR(log.row.decision.score, 0.5, 0);
    EXPECT_U64(log.inflight, 0);
    gateway_log_to(gateway, NULL);
    (void)route_to(gateway, 3, NULL, &id);
    EXPECT_U64(log.rows, 2);
    gateway_delete(gateway);
}

static void replicas_of_a_gateway_draw_differently(void)
{
    uint32_t same = 0;
    struct gateway *gateways[2] = {NULL, NULL};
    struct err err;
    for (uint64_t replica = 0; replica < 2; replica++) {
        const struct gateway_setup setup = {.policy =
                                                route_policy_find("least_request"),
                                            .seed = 5,
                                            .replica = replica};
        REQUIRE_OK(gateway_new(&gateways[replica], &setup, &err), &err);
        fixture_join(gateways[replica], 9);
    }
    const struct request_view request = {.request_id = 1};
    for (int i = 0; i < 900; i++) {
        same += fixture_send(gateways[0], 0, &request) ==
                fixture_send(gateways[1], 0, &request);
    }
    EXPECT(same > 50 && same < 150); /* one in nine */
    gateway_delete(gateways[0]);
    gateway_delete(gateways[1]);
}

static void wrong_parameters_make_no_gateway(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const char *name = "speed";
    const double value = 1;
    const struct gateway_setup setup = {.policy = &probe_policy,
                                        .param_names = &name,
                                        .param_values = &value,
                                        .param_count = 1};
    EXPECT_FAILS(gateway_new(&gateway, &setup, &err), &err, "no parameter 'speed'");
    EXPECT(gateway == NULL);
}

/* --- callers that do not keep their word -------------------------------------------
 */

static void end_what_never_began(void *context)
{
    finish(context, 1, 0, false);
}

static void end_in_the_wrong_phase(void *context)
{
    uint32_t id = 0;
    (void)route_to(context, 1, NULL, &id);
    finish(context, 1, id, true);
}

static void turn_the_clock_back(void *context)
{
    const struct request_view request = {.request_id = 1};
    uint32_t id = 0;
    (void)gateway_route(context, 10, &request, &id);
    (void)gateway_route(context, 9, &request, &id);
}

static void join_twice(void *context)
{
    (void)gateway_join(context, "a", NULL, 1);
}

static void leave_twice(void *context)
{
    gateway_leave(context, 0);
    gateway_leave(context, 0);
}

static void join_beyond_the_last_id(void *context)
{
    (void)gateway_join(context, "b", NULL, 1);
    (void)gateway_join(context, "c", NULL, 1);
}

static void broken_promises_end_the_program(void)
{
    struct gateway *gateway = probe_gateway(2);
    (void)gateway_join(gateway, "a", NULL, 1);
    EXPECT_ABORTS(end_what_never_began, gateway, "0 are in flight");
    EXPECT_ABORTS(end_in_the_wrong_phase, gateway, "1 prefill, 0 decode");
    EXPECT_ABORTS(turn_the_clock_back, gateway, "clock went back");
    EXPECT_ABORTS(join_twice, gateway, "a is an endpoint already");
    EXPECT_ABORTS(leave_twice, gateway, "a left twice");
    EXPECT_ABORTS(join_beyond_the_last_id, gateway, "no room for an endpoint");
    gateway_delete(gateway);
}

#ifdef STACKSIM_DCHECK
static void end_another_request(void *context)
{
    uint32_t id = 0;
    (void)route_to(context, 1, NULL, &id);
    finish(context, 2, id, false);
}

static void route_the_same_request_twice(void *context)
{
    uint32_t id = 0;
    (void)route_to(context, 1, NULL, &id);
    (void)route_to(context, 1, NULL, &id);
}
#endif

/* Other builds keep no list of open requests and cannot tell. */
static void confused_requests_end_a_checking_program(void)
{
#ifdef STACKSIM_DCHECK
    struct gateway *gateway = probe_gateway(2);
    (void)gateway_join(gateway, "a", NULL, 1);
    EXPECT_ABORTS(end_another_request, gateway, "without being routed there");
    EXPECT_ABORTS(route_the_same_request_twice, gateway, "twice without an end");
    gateway_delete(gateway);
#endif
}

/* Request 1 was routed by the policy before: its token and its end are not told; that
 * of request 2 is. Counters go on: request 2 finds
 * request 1 at endpoint 1. */
static void after_a_reset_only_new_requests_are_told(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {.policy = &probe_policy, .resets = true};
    uint32_t id = 0;
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    notes[0] = '\0';
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)gateway_join(gateway, "b", NULL, 1);
    (void)gateway_join(gateway, "c", NULL, 1);
    gateway_leave(gateway, 2);
    gateway_set_accepting(gateway, 0, false);
    (void)route_to(gateway, 1, NULL, &id);
    expect_notes("join0 join1 join2 leave2 health0 pick1 of1 route1 to1 load0 ");
    gateway_reset(gateway);
    expect_notes("join0 health0 join1 ");
    (void)route_to(gateway, 2, NULL, &id);
    expect_notes("pick2 of1 route2 to1 load1 ");
    gateway_first_token(gateway, 0, 1, 1, 10);
    finish(gateway, 1, 1, true);
    expect_notes("");
    gateway_first_token(gateway, 0, 2, 1, 10);
    finish(gateway, 2, 1, true);
    expect_notes("token2 end2 ");
    EXPECT_U64(gateway_endpoint(gateway, 1)->inflight_requests, 0);
    gateway_delete(gateway);
}

HARNESS_MAIN("gateway", TEST(callbacks_come_in_their_order),
             TEST(nobody_is_asked_when_nobody_accepts),
             TEST(requests_see_the_endpoints_of_their_model),
             TEST(models_can_be_served_beside_the_own_one),
             TEST(counters_follow_a_request), TEST(requests_end_on_endpoints_that_left),
             TEST(scraped_metrics_reach_the_view),
             TEST(url_that_left_first_gives_up_its_id_when_ids_run_out),
             TEST(window_is_forgotten_with_the_url),
             TEST(window_is_kept_only_for_policies_that_read_it),
             TEST(every_decision_is_logged_as_the_policy_saw_it),
             TEST(replicas_of_a_gateway_draw_differently),
             TEST(wrong_parameters_make_no_gateway),
             TEST(after_a_reset_only_new_requests_are_told),
             TEST(broken_promises_end_the_program),
             TEST(confused_requests_end_a_checking_program))
