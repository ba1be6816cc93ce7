/* SPDX-License-Identifier: Apache-2.0
 *
 * scrape.c: an engine's GET /metrics, old names and new.
 *
 * A line is a name, labels in braces, a number; the rest of the format is not needed.
 * Ranks of a data-parallel engine report one sample each: counts add up, the ratio of
 * used KV cache is their mean.
 */
#include "router/proxy_state.h"

#include <stdlib.h>
#include <string.h>

enum sample {
    SAMPLE_RUNNING,
    SAMPLE_WAITING,
    SAMPLE_KV_USED,
    SAMPLE_HITS,
    SAMPLE_QUERIES,
    SAMPLE_HIT_RATE,
    SAMPLE_COUNT,
};

static const struct {
    const char *name;
    enum sample sample;
} NAMES[] = {
    {"vllm:num_requests_running", SAMPLE_RUNNING},
    {"vllm:num_requests_waiting", SAMPLE_WAITING},
    {"vllm:gpu_cache_usage_perc", SAMPLE_KV_USED},
    {"vllm:kv_cache_usage_perc", SAMPLE_KV_USED},
    {"vllm:gpu_prefix_cache_hits_total", SAMPLE_HITS},
    {"vllm:prefix_cache_hits_total", SAMPLE_HITS},
    {"vllm:gpu_prefix_cache_queries_total", SAMPLE_QUERIES},
    {"vllm:prefix_cache_queries_total", SAMPLE_QUERIES},
    {"vllm:gpu_prefix_cache_hit_rate", SAMPLE_HIT_RATE},
};

struct samples {
    double sum[SAMPLE_COUNT];
    uint32_t count[SAMPLE_COUNT];
    uint32_t blocks;
    size_t name_of[SAMPLE_COUNT]; /* an engine that reports both names counts once */
};

static const char *find_in(const char *from, const char *end, char wanted)
{
    return memchr(from, wanted, (size_t)(end - from));
}

/* num_gpu_blocks="1234" of vllm:cache_config_info. */
static void read_blocks(const char *line, const char *end, struct samples *samples)
{
    static const char INFO[] = "vllm:cache_config_info{";
    static const char LABEL[] = "num_gpu_blocks=\"";
    if ((size_t)(end - line) < sizeof INFO ||
        memcmp(line, INFO, sizeof INFO - 1) != 0) {
        return;
    }
    const char *label = memmem(line, (size_t)(end - line), LABEL, sizeof LABEL - 1);
    if (label != NULL) {
        const long blocks = strtol(label + sizeof LABEL - 1, NULL, 10);
        if (blocks > 0 && blocks <= (long)UINT32_MAX) {
            samples->blocks = (uint32_t)blocks;
        }
    }
}

static void read_line(const char *line, const char *end, struct samples *samples)
{
    const char *brace = find_in(line, end, '{');
    const char *blank = find_in(line, end, ' ');
    const char *name_end =
        brace != NULL && (blank == NULL || brace < blank) ? brace : blank;
    if (name_end == NULL || line[0] == '#') {
        return;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const size_t length = strlen(NAMES[i].name);
        if ((size_t)(name_end - line) != length ||
            memcmp(line, NAMES[i].name, length) != 0) {
            continue;
        }
        const char *closing =
            brace != NULL ? memrchr(line, '}', (size_t)(end - line)) : name_end;
        char number[64] = "";
        const char *value = closing != NULL ? closing + (brace != NULL ? 1 : 0) : end;
        const size_t bytes = (size_t)(end - value);
        memcpy(number, value, bytes < sizeof number - 1 ? bytes : sizeof number - 1);
        const double parsed = strtod(number, NULL);
        const enum sample sample = NAMES[i].sample;
        if (!(parsed >= 0 && parsed < 1e18) ||
            (samples->count[sample] > 0 && samples->name_of[sample] != i)) {
            return;
        }
        samples->sum[sample] += parsed;
        samples->count[sample]++;
        samples->name_of[sample] = i;
        return;
    }
}

static uint32_t as_u32(double value)
{
    return value >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void fill(const struct samples *samples, struct endpoint_metrics *metrics)
{
    *metrics = (struct endpoint_metrics){
        .running_requests = as_u32(samples->sum[SAMPLE_RUNNING]),
        .waiting_requests = as_u32(samples->sum[SAMPLE_WAITING]),
        .prefix_query_tokens = (uint64_t)samples->sum[SAMPLE_QUERIES],
        .prefix_hit_tokens = (uint64_t)samples->sum[SAMPLE_HITS],
    };
    metrics->valid |= samples->count[SAMPLE_RUNNING] > 0 ? METRIC_RUNNING : 0U;
    metrics->valid |= samples->count[SAMPLE_WAITING] > 0 ? METRIC_WAITING : 0U;
    if (samples->count[SAMPLE_KV_USED] > 0) {
        const double mean =
            samples->sum[SAMPLE_KV_USED] / samples->count[SAMPLE_KV_USED];
        metrics->kv_used_ratio = mean < 1 ? mean : 1;
        metrics->valid |= METRIC_KV_USED;
    }
    if (samples->count[SAMPLE_HITS] > 0 && samples->count[SAMPLE_QUERIES] > 0) {
        metrics->valid |= METRIC_PREFIX_HITS;
    }
    if (samples->blocks > 1) {
        metrics->kv_total_blocks = samples->blocks - 1; /* the null block left out */
        metrics->valid |= METRIC_KV_TOTAL;
    }
}

bool scrape_read(const char *text, size_t byte_count, struct endpoint_metrics *metrics,
                 double *hit_rate)
{
    struct samples samples = {0};
    const char *const text_end = text + byte_count;
    const char *line = text;
    while (line < text_end) {
        const char *end = find_in(line, text_end, '\n');
        end = end != NULL ? end : text_end;
        read_line(line, end, &samples);
        read_blocks(line, end, &samples);
        line = end < text_end ? end + 1 : text_end;
    }
    fill(&samples, metrics);
    *hit_rate = samples.sum[SAMPLE_HIT_RATE];
    return metrics->valid != 0;
}
