/* SPDX-License-Identifier: Apache-2.0
 *
 * test_control.c: the control plane alone, every time worked by hand. Seconds are those
 * of the example: image 20, init 3, boot 8, download 16, read 4, capture 25; startup
 * probe 15/10/60, liveness 15/10/3.
 */
#include "base/text.h"
#include "sim/control/control.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t second = 1000000000;

struct plane {
    struct control *control;
    struct control_pool pool;
    struct control_setup setup;
    struct node_spec nodes[3];
    uint32_t in_flight;
    bool answers;    /* engines, at once */
    struct text log; /* "12 up 3" */
    int64_t now_ns;
};

static void note(struct plane *plane, const char *what, uint32_t slot)
{
    text_printf(&plane->log, "%" PRId64 " %s %u\n", plane->now_ns / second, what, slot);
}

static void saw_up(void *context, uint32_t slot)
{
    note(context, "up", slot);
}
static void saw_down(void *context, uint32_t slot, enum down_how how)
{
    note(context, how == DOWN_RESET ? "down" : "silent", slot);
}
static void saw_reset(void *context, uint32_t slot)
{
    note(context, "reset", slot);
}
static void saw_listed(void *context, uint32_t slot, bool listed, uint32_t incarnation)
{
    (void)incarnation;
    note(context, listed ? "listed" : "unlisted", slot);
}
static void saw_check(void *context, uint32_t slot)
{
    struct plane *plane = context;
    note(plane, "check", slot);
    if (plane->answers) {
        control_checked(plane->control, plane->now_ns, slot, true);
    }
}
static void saw_check_over(void *context, uint32_t slot)
{
    note(context, "over", slot);
}
static uint32_t in_flight(void *context, uint32_t slot)
{
    (void)slot;
    return ((const struct plane *)context)->in_flight;
}
static void saw_event(void *context, const struct control_event *event)
{
    struct plane *plane = context;
    text_printf(&plane->log, "%" PRId64 " %s%s %s\n", event->time_ns / second,
                event->warning ? "!" : "", event->reason, event->object);
}

static struct plane plane_of(uint32_t replicas)
{
    return (struct plane){
        .pool =
            {
                .name = "p",
                .replicas = replicas,
                .slots = replicas + 2,
                .warm = true,
                .start = {.image_bytes = 10000000000,
                          .image_bytes_per_s = 5e8,
                          .init_ns = 3 * second,
                          .boot_ns = 8 * second,
                          .weight_bytes = 16000000000,
                          .download_bytes_per_s = 1e9,
                          .read_bytes_per_s = 4e9,
                          .capture_ns = 25 * second},
                .startup = {15 * second, 10 * second, 60},
                .liveness = {15 * second, 10 * second, 3},
                .request = {.gpu = "nvidia.com/gpu", .gpus = 1},
                .surge = 1,
                .disruptions = UINT32_MAX,
                .grace_ns = 30 * second,
                .deadline_ns = 1200 * second,
            },
        .answers = true,
        .setup = {.pool_count = 1,
                  .discovery = {.mode = DISCOVERY_K8S, .delay_ns = second}},
    };
}

static void plane_start(struct plane *plane)
{
    plane->setup.pools = &plane->pool;
    plane->setup.nodes = plane->nodes;
    plane->setup.hooks = (struct control_hooks){plane,          saw_up,     saw_down,
                                                saw_reset,      saw_listed, saw_check,
                                                saw_check_over, in_flight,  saw_event};
    plane->control = control_new(&plane->setup);
    plane->log.length = 0;
}

static void run_until(struct plane *plane, int64_t until_s)
{
    int64_t next_ns = 0;
    while ((next_ns = control_next_ns(plane->control)) <= until_s * second) {
        plane->now_ns = next_ns;
        control_advance(plane->control, next_ns);
    }
    plane->now_ns = until_s * second;
    control_advance(plane->control, plane->now_ns);
}

static bool logged(const struct plane *plane, const char *line)
{
    const bool found = strstr(text_str(&plane->log), line) != NULL;
    if (!found) {
        harness_note("no '%s' in:\n%s", line, text_str(&plane->log));
    }
    return found;
}

static void plane_end(struct plane *plane)
{
    control_delete(plane->control);
    text_fini(&plane->log);
}

/* Created at 100. 20 + 3: the container starts at 123. 8 + 16 + 4 + 25 = 53 s later it
 * answers, at 176; the probe tries at 15, 25 .. 55: 178. The router hears at 179. */
static void a_new_pod_is_routable_after_the_sum_of_all(void)
{
    struct plane plane = plane_of(1);
    plane_start(&plane);
    run_until(&plane, 100);
    control_scale(plane.control, 100 * second, 0, 2);
    run_until(&plane, 400);
    EXPECT(logged(&plane, "100 ScalingReplicaSet deployment/p\n"));
    EXPECT(logged(&plane, "120 Pulled pod/p-1\n"));
    EXPECT(logged(&plane, "176 up 1\n"));
    EXPECT(logged(&plane, "178 Ready pod/p-1\n"));
    EXPECT(logged(&plane, "179 listed 1\n"));
    plane_end(&plane);
}

/* The first restart is at once and needs neither image nor init container: 100 + 53 =
 * 153, seen at 155. The second one, in the same ten minutes, waits 10 s. */
static void a_crash_restarts_the_container_with_back_off(void)
{
    struct plane plane = plane_of(1);
    plane_start(&plane);
    run_until(&plane, 100);
    control_crash(plane.control, 100 * second, 0, 0);
    run_until(&plane, 400);
    EXPECT(logged(&plane, "100 down 0\n"));
    EXPECT(logged(&plane, "101 unlisted 0\n"));
    EXPECT(logged(&plane, "153 up 0\n"));
    EXPECT(logged(&plane, "155 Ready pod/p-0\n"));
    EXPECT(logged(&plane, "156 listed 0\n"));
    control_crash(plane.control, 400 * second, 0, 0);
    run_until(&plane, 600);
    EXPECT(logged(&plane, "400 !BackOff pod/p-0\n"));
    EXPECT(logged(&plane, "463 up 0\n"));
    plane_end(&plane);
}

/* 8 + 700 s of capture: the 60th try fails 605 s after the container's start, and so
 * for ever. */
static void a_start_beyond_the_startup_probe_is_killed(void)
{
    struct plane plane = plane_of(1);
    plane.pool.warm = false;
    plane.pool.start =
        (struct cold_start){.boot_ns = 8 * second, .capture_ns = 700 * second};
    plane_start(&plane);
    run_until(&plane, 1300);
    EXPECT(logged(&plane, "605 !Unhealthy pod/p-0\n"));
    EXPECT(logged(&plane, "1210 !Unhealthy pod/p-0\n"));
    EXPECT_U64(control_ready(plane.control, 0), 0);
    plane_end(&plane);
}

/* Silent from 100 on, 100 s after the container's start (warm: at 0). Tries fail at
 * 105, 115, 125; SIGKILL 30 s later: 155, then 53 s. */
static void a_hung_engine_is_restarted_by_its_liveness_probe(void)
{
    struct plane plane = plane_of(1);
    plane_start(&plane);
    run_until(&plane, 100);
    control_hang(plane.control, 100 * second, 0);
    EXPECT(!control_serves(plane.control, 0));
    run_until(&plane, 300);
    EXPECT(logged(&plane, "100 silent 0\n"));
    EXPECT(logged(&plane, "155 reset 0\n"));
    EXPECT(logged(&plane, "208 up 0\n"));
    plane_end(&plane);
}

static void a_drained_pod_ends_with_its_last_request(void)
{
    struct plane plane = plane_of(2);
    plane.in_flight = 1;
    plane_start(&plane);
    run_until(&plane, 10);
    control_drain(plane.control, 10 * second, 1, false);
    EXPECT(!control_serves(plane.control, 1));
    run_until(&plane, 20);
    EXPECT(logged(&plane, "11 unlisted 1\n"));
    plane.now_ns = 20 * second;
    control_empty(plane.control, 20 * second, 1);
    EXPECT(logged(&plane, "20 down 1\n"));
    EXPECT_U64(control_desired(plane.control, 0), 1);
    run_until(&plane, 500);
    EXPECT_U64(control_ready(plane.control, 0), 1);
    plane_end(&plane);
}

static void grace_ends_what_does_not(void)
{
    struct plane plane = plane_of(1);
    plane.in_flight = 1;
    plane.pool.pre_stop_ns = 5 * second;
    plane_start(&plane);
    run_until(&plane, 10);
    control_drain(plane.control, 10 * second, 0, true);
    EXPECT(control_serves(plane.control, 0)); /* until its hook has run */
    run_until(&plane, 16);
    EXPECT(!control_serves(plane.control, 0));
    run_until(&plane, 500);
    EXPECT(logged(&plane, "40 down 0\n"));
    EXPECT(logged(&plane, "10 SuccessfulCreate pod/p-1\n"));
    EXPECT_U64(control_ready(plane.control, 0), 1);
    plane_end(&plane);
}

/* It has a request until 20, sleeps then, and answers 0.285 s after 30; the router,
 * which does it all, knows at once. */
static void an_engine_sleeps_when_its_requests_have_ended(void)
{
    struct plane plane = plane_of(2);
    plane.in_flight = 1;
    plane_start(&plane);
    run_until(&plane, 10);
    control_sleep(plane.control, 10 * second, 0);
    EXPECT(logged(&plane, "10 unlisted 0\n"));
    EXPECT(!control_serves(plane.control, 0));
    run_until(&plane, 20);
    EXPECT(strstr(text_str(&plane.log), "down") == NULL);
    control_empty(plane.control, 20 * second, 0);
    EXPECT(logged(&plane, "20 down 0\n20 Asleep pod/p-0\n"));
    EXPECT_I64(control_next_ns(plane.control), INT64_MAX);
    control_wake(plane.control, 30 * second, 0);
    EXPECT_I64(control_next_ns(plane.control), 30 * second + 285000000);
    run_until(&plane, 40);
    EXPECT(control_serves(plane.control, 0));
    EXPECT(logged(&plane, "30 up 0\n30 listed 0\n"));
    plane_end(&plane);
}

/* Woken before its last request has ended it has lost nothing; one that does not sleep
 * is not woken, one that sleeps does not crash. */
static void an_engine_that_was_about_to_sleep_wakes_at_once(void)
{
    struct plane plane = plane_of(2);
    plane.in_flight = 1;
    plane_start(&plane);
    control_sleep(plane.control, 0, 0);
    control_wake(plane.control, 0, 0);
    EXPECT(control_serves(plane.control, 0));
    EXPECT(logged(&plane, "0 listed 0\n"));
    control_wake(plane.control, 0, 0);
    EXPECT(logged(&plane, "0 !FaultIgnored pod/p-0\n"));
    EXPECT(strstr(text_str(&plane.log), "down") == NULL);
    plane.in_flight = 0;
    control_sleep(plane.control, 0, 1);
    control_crash(plane.control, 0, 1, 0);
    EXPECT(logged(&plane, "0 Asleep pod/p-1\n0 !FaultIgnored pod/p-1\n"));
    plane_end(&plane);
}

/* ---- nodes ----------------------------------------------------------------------- */

static void give_nodes(struct plane *plane, uint32_t count, uint32_t gpus)
{
    static const char *const names[] = {"n0", "n1", "n2"};
    for (uint32_t i = 0; i < count; i++) {
        plane->nodes[i] =
            (struct node_spec){.name = names[i], .gpu = "nvidia.com/gpu", .gpus = gpus};
    }
    plane->setup.node_count = count;
}

/* Silence at 50; the node controller says so at 90 and takes the pods away at 390, when
 * the other node gets the new pod: image 20 + init 3 + 53, seen at 55: 390 + 78. */
static void a_lost_node_is_noticed_late_and_replaced_later(void)
{
    struct plane plane = plane_of(2);
    give_nodes(&plane, 2, 2);
    plane.pool.request.node_name = NULL;
    plane_start(&plane);
    EXPECT_U64(control_node_of(plane.control, 0), 0);
    run_until(&plane, 50);
    control_node_lost(plane.control, 50 * second, 0, 0);
    run_until(&plane, 600);
    EXPECT(logged(&plane, "50 silent 0\n"));
    EXPECT(logged(&plane, "90 !NodeNotReady node/n0\n"));
    EXPECT(logged(&plane, "91 unlisted 0\n"));
    EXPECT(logged(&plane, "390 !TaintManagerEviction pod/p-0\n"));
    EXPECT(logged(&plane, "468 Ready pod/p-0.1\n"));
    plane_end(&plane);
}

/* A head and a worker of two GPUs each, on machines of two: the worker's is lost at 50.
 * The engine is silent at once; its pods go at 390 and find n0 and n2: 390 + 78. */
static void a_cluster_is_down_until_it_is_whole(void)
{
    struct plane plane = plane_of(1);
    give_nodes(&plane, 3, 2);
    plane.pool.request.gpus = 2;
    plane.pool.workers = 1;
    plane.pool.worker = plane.pool.request;
    plane_start(&plane);
    EXPECT_U64(control_node_of(plane.control, 0), 0);
    run_until(&plane, 50);
    control_node_lost(plane.control, 50 * second, 1, 0);
    run_until(&plane, 600);
    EXPECT(logged(&plane, "50 silent 0\n"));
    EXPECT(logged(&plane, "390 !TaintManagerEviction pod/p-0\n"));
    EXPECT(logged(&plane, "468 Ready pod/p-0.1\n"));
    EXPECT_U64(control_ready(plane.control, 0), 1);
    plane_end(&plane);
}

/* Only one machine has room: the head keeps its GPUs and waits for the worker's. A
 * machine that comes back restarts the whole cluster, but not while its other one is
 * lost. */
static void a_cluster_waits_for_its_last_worker(void)
{
    struct plane plane = plane_of(1);
    give_nodes(&plane, 2, 2);
    plane.nodes[1].gpus = 1;
    plane.pool.warm = false;
    plane.pool.request.gpus = 2;
    plane.pool.workers = 1;
    plane.pool.worker = plane.pool.request;
    plane_start(&plane);
    run_until(&plane, 500);
    EXPECT(logged(&plane, "0 Scheduled pod/p-0\n"));
    EXPECT(logged(&plane, "0 !FailedScheduling pod/p-0\n"));
    EXPECT_U64(control_ready(plane.control, 0), 0);
    plane_end(&plane);

    plane = plane_of(1);
    give_nodes(&plane, 2, 2);
    plane.pool.request.gpus = 2;
    plane.pool.workers = 1;
    plane.pool.worker = plane.pool.request;
    plane_start(&plane);
    run_until(&plane, 50);
    control_node_lost(plane.control, 50 * second, 0, 100 * second);
    control_node_lost(plane.control, 50 * second, 1, 200 * second);
    run_until(&plane, 600);
    EXPECT(logged(&plane, "150 NodeReady node/n0\n"));
    EXPECT(!logged(&plane, "150 reset 0\n"));
    EXPECT(logged(&plane, "250 reset 0\n"));
    EXPECT_U64(control_ready(plane.control, 0), 1);
    plane_end(&plane);
}

static void nobody_fits_until_somebody_leaves(void)
{
    struct plane plane = plane_of(2);
    give_nodes(&plane, 1, 2);
    plane_start(&plane);
    control_scale(plane.control, 0, 0, 3);
    EXPECT(logged(&plane, "0 !FailedScheduling pod/p-2\n"));
    run_until(&plane, 10);
    control_drain(plane.control, 10 * second, 0, false);
    run_until(&plane, 500);
    EXPECT(logged(&plane, "10 Scheduled pod/p-2\n"));
    EXPECT_U64(control_ready(plane.control, 0), 2);
    plane_end(&plane);
}

/* The selector asks for n0, which is what a scheduler would give; nobody asks one. */
static void acceptance_400_a_named_node_takes_all_and_fails_the_surplus(void)
{
    struct plane plane = plane_of(3);
    give_nodes(&plane, 2, 2);
    plane.pool.request.node_name = "n1";
    plane.pool.request.term_count = 1;
    plane.pool.request.terms[0] =
        (struct selector_term){.expression_count = 1,
                               .expressions = {{.key = "kubernetes.io/hostname",
                                                .how = MATCH_IN,
                                                .value_count = 1,
                                                .values = {"n0"}}}};
    plane.pool.warm = false;
    plane_start(&plane);
    run_until(&plane, 500);
    EXPECT_U64(control_node_of(plane.control, 0), 1);
    EXPECT_U64(control_node_of(plane.control, 1), 1);
    EXPECT_U64(control_node_of(plane.control, 2), NODE_NONE);
    EXPECT_U64(control_ready(plane.control, 0), 2);
    plane_end(&plane);
}

static void a_claim_for_one_node_keeps_pods_elsewhere_waiting(void)
{
    struct plane plane = plane_of(2);
    give_nodes(&plane, 2, 1);
    plane.pool.warm = false;
    plane.pool.start.from = WEIGHTS_PVC;
    plane.pool.access = ACCESS_ONCE;
    plane_start(&plane);
    run_until(&plane, 500);
    EXPECT_U64(control_ready(plane.control, 0), 1);
    control_drain(plane.control, 500 * second, 0, false);
    run_until(&plane, 700);
    EXPECT_U64(control_ready(plane.control, 0), 1); /* the other one, at last */
    plane_end(&plane);
}

/* Two starts on one claim: the second waits for the download of the first, both answer
 * at 20 + 3 + 8 + 16 + 4 + 25 = 76. A third, later: 76 - 16 = 60 after its start. */
static void a_shared_claim_is_filled_once(void)
{
    struct plane plane = plane_of(2);
    plane.pool.warm = false;
    plane.pool.start.from = WEIGHTS_PVC;
    plane_start(&plane);
    run_until(&plane, 200);
    EXPECT(logged(&plane, "76 up 0\n"));
    EXPECT(logged(&plane, "76 up 1\n"));
    control_scale(plane.control, 200 * second, 0, 3);
    run_until(&plane, 400);
    EXPECT(logged(&plane, "260 up 2\n"));
    plane_end(&plane);
}

static void acceptance_396_a_host_path_is_read_where_it_was_downloaded(void)
{
    struct plane plane = plane_of(1);
    give_nodes(&plane, 1, 2);
    plane.pool.warm = false;
    plane.pool.start.from = WEIGHTS_HOST_PATH;
    plane_start(&plane);
    run_until(&plane, 200);
    EXPECT(logged(&plane, "76 up 0\n"));
    control_scale(plane.control, 200 * second, 0, 2);
    run_until(&plane, 400);
    EXPECT(logged(&plane, "240 up 1\n")); /* 3 + 8 + 4 + 25, the image is there, too */
    plane_end(&plane);
}

/* 16 GB into a volume of 10: evicted when it is full, again and again. */
static void acceptance_396_beyond_its_size_limit_a_volume_evicts_its_pod(void)
{
    struct plane plane = plane_of(1);
    plane.pool.warm = false;
    plane.pool.size_limit_bytes = 10000000000;
    plane_start(&plane);
    run_until(&plane, 99);
    EXPECT(logged(&plane, "47 !Evicted pod/p-0\n")); /* 20 + 3 + 8 + 16 */
    EXPECT(logged(&plane, "94 !Evicted pod/p-0.1\n"));
    plane_end(&plane);
}

/* ---- rollouts and budgets -------------------------------------------------------- */

/* Surge 1: one new pod at a time, each ready 78 s after its creation (no nodes: every
 * image is pulled). Old ones go one by one. */
static void a_rollout_with_surge_never_has_fewer_ready(void)
{
    struct plane plane = plane_of(2);
    plane_start(&plane);
    run_until(&plane, 10);
    control_rollout(plane.control, 10 * second, 0);
    for (int64_t t = 11; t < 400; t++) {
        run_until(&plane, t);
        EXPECT(control_ready(plane.control, 0) >= 2);
    }
    EXPECT(logged(&plane, "88 Ready pod/p-2\n"));
    EXPECT(logged(&plane, "166 RolloutComplete deployment/p\n"));
    EXPECT_U64(control_ready(plane.control, 0), 2);
    plane_end(&plane);
}

/* As many GPUs as pods, surge 1, none may be missing: nothing can move. */
static void a_rollout_without_spare_gpus_stalls(void)
{
    struct plane plane = plane_of(2);
    give_nodes(&plane, 1, 2);
    plane_start(&plane);
    control_rollout(plane.control, 0, 0);
    run_until(&plane, 1300);
    EXPECT(logged(&plane, "0 !FailedScheduling pod/p-2\n"));
    EXPECT(logged(&plane, "1200 !ProgressDeadlineExceeded deployment/p\n"));
    EXPECT_U64(control_ready(plane.control, 0), 2);
    plane_end(&plane);
}

/* The chart's budget selects nobody: both go at once. One that works lets the second
 * go when the first one's successor is ready. */
static void a_budget_protects_only_where_it_selects(void)
{
    for (uint32_t budget = 0; budget < 2; budget++) {
        struct plane plane = plane_of(2);
        give_nodes(&plane, 2, 2);
        plane.pool.disruptions = budget == 1 ? 1 : UINT32_MAX;
        plane_start(&plane);
        /* Both were put on n0 and n1 in turn or both on n0: move what is on n0. */
        const bool both = control_node_of(plane.control, 1) == 0;
        control_node_drain(plane.control, 0, 0);
        const uint32_t ready = control_ready(plane.control, 0);
        EXPECT_U64(ready, both && budget == 0 ? 0 : 1);
        run_until(&plane, 400);
        EXPECT_U64(control_ready(plane.control, 0), 2);
        plane_end(&plane);
    }
}

/* ---- discovery ------------------------------------------------------------------- */

/* Release 0.1.3 looks at readiness alone: the pod stays in the list until it is gone,
 * at 10 + 30 s. */
static void an_ending_pod_stays_in_the_list_of_the_tag(void)
{
    struct plane plane = plane_of(2);
    plane.in_flight = 1;
    plane.setup.discovery.keeps_ending = true;
    plane_start(&plane);
    run_until(&plane, 10);
    control_drain(plane.control, 10 * second, 1, false);
    run_until(&plane, 100);
    EXPECT(logged(&plane, "41 unlisted 1\n"));
    plane_end(&plane);
}

static void a_pod_deleted_between_two_watches_stays_for_ever(void)
{
    struct plane plane = plane_of(2);
    plane.setup.discovery.keeps_ending = true;
    plane.setup.discovery.relist_ns = 30 * second;
    plane.setup.discovery.gap_ns = second;
    plane_start(&plane);
    run_until(&plane, 60);
    control_drain(plane.control, 60 * second, 1, false);
    run_until(&plane, 1000);
    EXPECT(logged(&plane, "60 silent 1\n"));
    EXPECT(strstr(text_str(&plane.log), "unlisted 1") == NULL);
    plane_end(&plane);
}

/* Two answer in 1 s each; a pass takes 2 s, then 60 s pause. Crash at 10: the second
 * pass begins at 62 and finds a refused connection: it ends at 63. */
static void a_static_backend_is_excluded_at_the_end_of_the_next_pass(void)
{
    struct plane plane = plane_of(2);
    plane.setup.discovery = (struct control_discovery){.mode = DISCOVERY_STATIC,
                                                       .checks = true,
                                                       .check_interval_ns = 60 * second,
                                                       .check_ns = second,
                                                       .check_timeout_ns = 30 * second,
                                                       .check_backends = UINT32_MAX};
    plane_start(&plane);
    run_until(&plane, 10);
    control_crash(plane.control, 10 * second, 0, 300 * second);
    run_until(&plane, 70);
    EXPECT(logged(&plane, "0 check 0\n"));
    EXPECT(logged(&plane, "1 check 1\n"));
    EXPECT(logged(&plane, "62 check 1\n"));
    EXPECT(logged(&plane, "63 unlisted 0\n"));
    run_until(&plane, 500);
    EXPECT(logged(&plane, "363 up 0\n")); /* 10 + 300 + 53 */
    /* Passes begin at 62 + 61 k; the one at 367 finds it up and ends at 369. */
    EXPECT(logged(&plane, "369 listed 0\n"));
    plane_end(&plane);
}

/* One hangs: the pass takes 30 s more. */
static void a_hanging_backend_lengthens_the_pass(void)
{
    struct plane plane = plane_of(2);
    plane.pool.liveness = (struct probe){0};
    plane.setup.discovery = (struct control_discovery){.mode = DISCOVERY_STATIC,
                                                       .checks = true,
                                                       .check_interval_ns = 60 * second,
                                                       .check_ns = second,
                                                       .check_timeout_ns = 30 * second,
                                                       .check_backends = UINT32_MAX};
    plane_start(&plane);
    run_until(&plane, 10);
    control_hang(plane.control, 10 * second, 0);
    run_until(&plane, 100);
    EXPECT(logged(&plane, "93 unlisted 0\n")); /* 62 + 30 + 1 */
    plane_end(&plane);
}

static void backends_of_type_score_are_never_well_at_the_tag(void)
{
    struct plane plane = plane_of(2);
    plane.setup.discovery = (struct control_discovery){.mode = DISCOVERY_STATIC,
                                                       .checks = true,
                                                       .check_interval_ns = 60 * second,
                                                       .check_ns = second,
                                                       .check_always_fails = true,
                                                       .check_backends = UINT32_MAX};
    plane_start(&plane);
    run_until(&plane, 300);
    EXPECT(logged(&plane, "2 unlisted 0\n"));
    EXPECT(logged(&plane, "2 unlisted 1\n"));
    EXPECT(strstr(text_str(&plane.log), " listed") == NULL);
    plane_end(&plane);
}

/* A pass of 0 to 2 s finds an engine that ends its last request, and does not list it
 * again. */
static void a_probe_does_not_wake_who_sleeps(void)
{
    struct plane plane = plane_of(2);
    plane.in_flight = 1;
    plane.setup.discovery = (struct control_discovery){.mode = DISCOVERY_STATIC,
                                                       .checks = true,
                                                       .check_interval_ns = 60 * second,
                                                       .check_ns = second,
                                                       .check_backends = UINT32_MAX};
    plane_start(&plane);
    control_sleep(plane.control, 0, 1);
    run_until(&plane, 100);
    EXPECT(logged(&plane, "0 unlisted 1\n"));
    EXPECT(strstr(text_str(&plane.log), " listed") == NULL);
    plane_end(&plane);
}

HARNESS_MAIN("unit.control", TEST(a_new_pod_is_routable_after_the_sum_of_all),
             TEST(a_crash_restarts_the_container_with_back_off),
             TEST(a_start_beyond_the_startup_probe_is_killed),
             TEST(a_hung_engine_is_restarted_by_its_liveness_probe),
             TEST(a_drained_pod_ends_with_its_last_request),
             TEST(grace_ends_what_does_not),
             TEST(an_engine_sleeps_when_its_requests_have_ended),
             TEST(an_engine_that_was_about_to_sleep_wakes_at_once),
             TEST(a_probe_does_not_wake_who_sleeps),
             TEST(a_lost_node_is_noticed_late_and_replaced_later),
             TEST(a_cluster_is_down_until_it_is_whole),
             TEST(a_cluster_waits_for_its_last_worker),
             TEST(nobody_fits_until_somebody_leaves),
             TEST(acceptance_400_a_named_node_takes_all_and_fails_the_surplus),
             TEST(a_claim_for_one_node_keeps_pods_elsewhere_waiting),
             TEST(a_shared_claim_is_filled_once),
             TEST(acceptance_396_a_host_path_is_read_where_it_was_downloaded),
             TEST(acceptance_396_beyond_its_size_limit_a_volume_evicts_its_pod),
             TEST(a_rollout_with_surge_never_has_fewer_ready),
             TEST(a_rollout_without_spare_gpus_stalls),
             TEST(a_budget_protects_only_where_it_selects),
             TEST(an_ending_pod_stays_in_the_list_of_the_tag),
             TEST(a_pod_deleted_between_two_watches_stays_for_ever),
             TEST(a_static_backend_is_excluded_at_the_end_of_the_next_pass),
             TEST(a_hanging_backend_lengthens_the_pass),
             TEST(backends_of_type_score_are_never_well_at_the_tag))
