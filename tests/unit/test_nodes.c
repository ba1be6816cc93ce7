/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nodes.c: who is placed where, and what is said when nobody fits.
 */
#include "sim/control/nodes.h"
#include "tests/harness.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

/* Two of 8 GPUs, the second tainted; one of 4 GPUs and few CPUs. */
static struct nodes *three_nodes(void)
{
    const struct node_spec specs[] = {
        {.name = "a",
         .gpu = "nvidia.com/gpu",
         .gpus = 8,
         .cpu_millis = 64000,
         .memory_bytes = 512 * GIB,
         .label_count = 1,
         .labels = {{"zone", "east"}}},
        {.name = "b",
         .gpu = "nvidia.com/gpu",
         .gpus = 8,
         .cpu_millis = 64000,
         .memory_bytes = 512 * GIB,
         .label_count = 1,
         .labels = {{"zone", "west"}},
         .taint_count = 1,
         .taints = {{"gpu", "reserved"}}},
        {.name = "c",
         .gpu = "nvidia.com/gpu",
         .gpus = 4,
         .cpu_millis = 16000,
         .memory_bytes = 128 * GIB},
    };
    return nodes_new(specs, 3);
}

static struct pod_request plain(void)
{
    return (struct pod_request){.gpu = "nvidia.com/gpu",
                                .gpus = 1,
                                .cpu_millis = 8000,
                                .memory_bytes = 48 * GIB,
                                .bound_node = NODE_NONE};
}

/* Free parts after placing, mean of CPU and memory: a (56/64 + 464/512)/2 = 0.89,
 * c (8/16 + 80/128)/2 = 0.56; b is tainted. */
static void the_least_allocated_node_is_taken(void)
{
    struct nodes *nodes = three_nodes();
    const struct pod_request pod = plain();
    const struct pod_placement first = nodes_place(nodes, &pod);
    EXPECT(first.verdict == PLACE_BOUND);
    EXPECT_STR(nodes_name(nodes, first.node), "a");
    EXPECT_U64(nodes_free_gpus(nodes, first.node), 7);
    nodes_give(nodes, first.node, &pod);
    EXPECT_U64(nodes_free_gpus(nodes, first.node), 8);
    nodes_delete(nodes);
}

static void taints_are_tolerated_by_name(void)
{
    struct nodes *nodes = three_nodes();
    struct pod_request pod = plain();
    pod.term_count = 1;
    pod.terms[0] = (struct selector_term){
        .expression_count = 1,
        .expressions =
            {{.key = "zone", .how = MATCH_IN, .value_count = 1, .values = {"west"}}},
    };
    const struct pod_placement refused = nodes_place(nodes, &pod);
    EXPECT(refused.verdict == PLACE_PENDING);
    EXPECT_STR(refused.reason, "FailedScheduling");
    EXPECT_STR(refused.message,
               "0/3 nodes are available: 1 node(s) had untolerated taint, 2 node(s) "
               "didn't match Pod's node affinity/selector");
    pod.toleration_count = 1;
    pod.tolerations[0] = (struct node_label){"gpu", ""};
    const struct pod_placement taken = nodes_place(nodes, &pod);
    EXPECT(taken.verdict == PLACE_BOUND);
    EXPECT_STR(nodes_name(nodes, taken.node), "b");
    nodes_delete(nodes);
}

/* By name of the node or by selector alone, as Kubernetes evaluates it: zone is x, rank
 * is 5; a key that is not there satisfies NotIn, and neither Gt nor Lt. */
static void selectors_match_as_in_kubernetes(void)
{
    static const struct {
        struct match_expression expression;
        bool matches;
    } cases[] = {
        {{"zone", MATCH_IN, 2, {"w", "x"}}, true},
        {{"zone", MATCH_IN, 1, {"w"}}, false},
        {{"zone", MATCH_NOT_IN, 1, {"x"}}, false},
        {{"none", MATCH_NOT_IN, 1, {"x"}}, true},
        {{"none", MATCH_IN, 1, {"x"}}, false},
        {{"zone", MATCH_EXISTS, 0, {NULL}}, true},
        {{"zone", MATCH_DOES_NOT_EXIST, 0, {NULL}}, false},
        {{"rank", MATCH_GT, 1, {"4"}}, true},
        {{"rank", MATCH_GT, 1, {"5"}}, false},
        {{"rank", MATCH_LT, 1, {"5"}}, false},
        {{"rank", MATCH_LT, 1, {"16"}}, true},
        {{"zone", MATCH_GT, 1, {"4"}}, false},
        {{"rank", MATCH_LT, 1, {"many"}}, false},
        {{"none", MATCH_LT, 1, {"5"}}, false},
        {{"kubernetes.io/hostname", MATCH_IN, 1, {"n"}}, true},
    };
    const struct node_spec spec = {
        .name = "n", .label_count = 2, .labels = {{"zone", "x"}, {"rank", "5"}}};
    struct nodes *nodes = nodes_new(&spec, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pod_request pod = {.term_count = 1};
        pod.terms[0].expression_count = 1;
        pod.terms[0].expressions[0] = cases[i].expression;
        EXPECT(nodes_selects(nodes, 0, &pod) == cases[i].matches);
        pod.node_name = "m"; /* which passes every selector by */
        EXPECT(!nodes_selects(nodes, 0, &pod));
    }
    nodes_delete(nodes);
}

static void expressions_of_a_term_are_joined_and_terms_are_alternatives(void)
{
    struct nodes *nodes = three_nodes();
    struct pod_request pod = plain();
    pod.term_count = 1;
    pod.terms[0] = (struct selector_term){
        .expression_count = 2,
        .expressions = {{.key = "zone", .how = MATCH_DOES_NOT_EXIST},
                        {.key = "kubernetes.io/hostname",
                         .how = MATCH_NOT_IN,
                         .value_count = 1,
                         .values = {"c"}}},
    };
    EXPECT(nodes_place(nodes, &pod).verdict == PLACE_PENDING);
    pod.term_count = 2;
    pod.terms[1] = (struct selector_term){
        .expression_count = 1,
        .expressions = {{.key = "kubernetes.io/hostname",
                         .how = MATCH_IN,
                         .value_count = 1,
                         .values = {"c"}}},
    };
    const struct pod_placement taken = nodes_place(nodes, &pod);
    EXPECT(taken.verdict == PLACE_BOUND);
    EXPECT_STR(nodes_name(nodes, taken.node), "c");
    nodes_delete(nodes);
}

/* c has 16 CPUs: two pods of 8. GPUs are checked first, as the kubelet allocates
 * devices before it counts CPUs. */
static void acceptance_400_a_named_node_admits_or_fails(void)
{
    struct nodes *nodes = three_nodes();
    struct pod_request pod = plain();
    pod.node_name = "c";
    EXPECT(nodes_place(nodes, &pod).verdict == PLACE_BOUND);
    EXPECT(nodes_place(nodes, &pod).verdict == PLACE_BOUND);
    const struct pod_placement cpu = nodes_place(nodes, &pod);
    EXPECT(cpu.verdict == PLACE_FAILED);
    EXPECT_STR(cpu.reason, "OutOfcpu");
    pod.gpus = 3;
    const struct pod_placement gpu = nodes_place(nodes, &pod);
    EXPECT(gpu.verdict == PLACE_FAILED);
    EXPECT_STR(gpu.reason, "UnexpectedAdmissionError");
    EXPECT(strstr(gpu.message, "Requested: 3, Available: 2") != NULL);
    pod.node_name = "b"; /* taint and selector are the scheduler's business */
    pod.gpus = 1;
    EXPECT(nodes_place(nodes, &pod).verdict == PLACE_BOUND);
    pod.node_name = "z";
    EXPECT(nodes_place(nodes, &pod).verdict == PLACE_UNKNOWN_NODE);
    nodes_delete(nodes);
}

static void a_cordoned_node_takes_nobody(void)
{
    struct nodes *nodes = three_nodes();
    const struct pod_request pod = plain();
    nodes_set_schedulable(nodes, nodes_find(nodes, "a"), false);
    const struct pod_placement taken = nodes_place(nodes, &pod);
    EXPECT_STR(nodes_name(nodes, taken.node), "c");
    nodes_delete(nodes);
}

static void what_was_pulled_stays(void)
{
    struct nodes *nodes = three_nodes();
    EXPECT(!nodes_has(nodes, 1, 0, true));
    nodes_note(nodes, 1, 0, true);
    EXPECT(nodes_has(nodes, 1, 0, true) && !nodes_has(nodes, 1, 0, false) &&
           !nodes_has(nodes, 1, 1, true) && !nodes_has(nodes, 0, 0, true));
    nodes_delete(nodes);
}

HARNESS_MAIN("unit.nodes", TEST(the_least_allocated_node_is_taken),
             TEST(taints_are_tolerated_by_name), TEST(selectors_match_as_in_kubernetes),
             TEST(expressions_of_a_term_are_joined_and_terms_are_alternatives),
             TEST(acceptance_400_a_named_node_admits_or_fails),
             TEST(a_cordoned_node_takes_nobody), TEST(what_was_pulled_stays))
