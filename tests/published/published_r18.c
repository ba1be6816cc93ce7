/* SPDX-License-Identifier: Apache-2.0
 *
 * R18 of spec/policies.md 14.5: AIBrix's vtc-basic against random on three small
 * engines at 1 to 5 requests/s. Published: small users gain 1.7 % in mean latency (-1.1
 * to +4.4 %), heavy ones lose 1.2 %: a null result, which must come out as one.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

enum { SMALL, MEDIUM, HEAVY, CLASSES };

/* Classes are told apart by their prompts: means 64, 256 and 1024. */
static int class_of(const struct published_row *row)
{
    return row->prompt_tokens < 130 ? SMALL
                                    : (row->prompt_tokens < 550 ? MEDIUM : HEAVY);
}

static void means_of(const struct published_arm *arm, double mean_s[CLASSES])
{
    struct published_run run;
    double sum_s[CLASSES] = {0};
    size_t count[CLASSES] = {0};
    published_simulate(&run, "published/r18-vtc-basic.yaml", arm);
    for (size_t i = 0; i < run.count; i++) {
        const struct published_row *row = &run.rows[i];
        sum_s[class_of(row)] += (double)(row->end_ns - row->arrival_ns) / 1e9;
        count[class_of(row)]++;
    }
    for (int i = 0; i < CLASSES; i++) {
        mean_s[i] = sum_s[i] / (double)count[i];
    }
    published_fini(&run);
}

static void fairness_has_nothing_to_do_at_small_loads(void)
{
    static const char *const rates[] = {"workload.rate_factor=0.34",
                                        "workload.rate_factor=1",
                                        "workload.rate_factor=1.67"};
    double gain[CLASSES] = {0};
    for (size_t i = 0; i < 3; i++) {
        const struct published_arm random = {
            .label = "random", .policy = "random", .sets = {rates[i]}};
        const struct published_arm vtc = {
            .label = "vtc_basic", .policy = "vtc_basic", .sets = {rates[i]}};
        double random_s[CLASSES];
        double vtc_s[CLASSES];
        means_of(&random, random_s);
        means_of(&vtc, vtc_s);
        printf("%s: small %+.1f %%, medium %+.1f %%, heavy %+.1f %%\n", rates[i],
               100 * (1 - vtc_s[SMALL] / random_s[SMALL]),
               100 * (1 - vtc_s[MEDIUM] / random_s[MEDIUM]),
               100 * (1 - vtc_s[HEAVY] / random_s[HEAVY]));
        for (int k = 0; k < CLASSES; k++) {
            gain[k] += (1 - vtc_s[k] / random_s[k]) / 3;
        }
    }
    harness_note("gain of small %.4f, of heavy %.4f", gain[SMALL], gain[HEAVY]);
    EXPECT(gain[SMALL] > -0.03 && gain[SMALL] < 0.06);
    EXPECT(gain[HEAVY] > -0.06 && gain[HEAVY] < 0.03);
    EXPECT(gain[SMALL] > gain[HEAVY]);
}

HARNESS_MAIN("published.r18", TEST(fairness_has_nothing_to_do_at_small_loads))
