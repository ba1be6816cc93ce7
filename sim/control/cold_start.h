/* SPDX-License-Identifier: Apache-2.0
 *
 * cold_start.h: how long it takes from a scheduled pod to an engine that answers.
 *
 * A start is the sum of its parts, one after the other: image, init container, process,
 * weights (download, then read), compilation and graph capture. Which parts are needed
 * depends on what the node and the volume already hold. Readiness is not seen when it
 * is there but at the next try of a probe (spec/production-stack.md 2.3, 7.2, 7.3).
 */
#ifndef STACKSIM_SIM_CONTROL_COLD_START_H
#define STACKSIM_SIM_CONTROL_COLD_START_H

#include <stdbool.h>
#include <stdint.h>

/* Where an engine finds its weights. */
enum weights_from {
    WEIGHTS_HUB,       /* no volume: every start downloads them */
    WEIGHTS_PVC,       /* the pool's claim: downloaded once, read ever after */
    WEIGHTS_HOST_PATH, /* a folder of the node: downloaded once for each node */
};

struct cold_start {
    uint64_t image_bytes;
    double image_bytes_per_s; /* of the registry */
    int64_t init_ns;          /* init container */
    int64_t boot_ns;          /* process, imports, GPU context */
    enum weights_from from;
    uint64_t weight_bytes;
    double download_bytes_per_s;
    double read_bytes_per_s; /* from volume, page cache or just written file to GPU */
    int64_t capture_ns;      /* profiling run, compilation, CUDA graphs */
};

/* What is there already. */
struct cold_start_has {
    bool image;   /* on the node */
    bool weights; /* on claim or node */
};

struct cold_start_parts {
    int64_t image_ns;
    int64_t init_ns;
    int64_t boot_ns;
    int64_t download_ns;
    int64_t read_ns;
    int64_t capture_ns;
};

/* Bytes over bandwidth, cut to whole ns; a bandwidth of 0 takes no time. A restarted
 * container needs no image and no init container again: has.image, and init_ns left
 * out by cold_start_restart. */
struct cold_start_parts cold_start_parts(const struct cold_start *start,
                                         struct cold_start_has has);
struct cold_start_parts cold_start_restart(const struct cold_start *start,
                                           bool has_weights);
int64_t cold_start_sum(const struct cold_start_parts *parts);

/* A probe tries first `initial_ns` after the container's start, then every period. */
struct probe {
    int64_t initial_ns;
    int64_t period_ns; /* 0 = there is no probe: what is there is seen at once */
    uint32_t failures; /* in a row, until it gives up; >= 1 */
};
/* The first try at or after up_ns, both since the container's start. */
int64_t probe_seen_ns(const struct probe *probe, int64_t up_ns);
/* When the last try fails that it makes, since the container's start: the container is
 * killed then. INT64_MAX without a probe. */
int64_t probe_limit_ns(const struct probe *probe);
/* When it gives up on a container that stops answering at `gone_ns`: its tries from
 * then on fail. Since the container's start. INT64_MAX without a probe. */
int64_t probe_down_ns(const struct probe *probe, int64_t gone_ns);

/* Before the restart-th restart of a container (from 0 on): none, then 10 s, doubled
 * each time, 300 s at most, as the kubelet's. */
int64_t crash_backoff_ns(uint32_t restart);

#endif
