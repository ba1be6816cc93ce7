/* SPDX-License-Identifier: Apache-2.0
 *
 * pods.h: what the Kubernetes API says of pods, turned into backends.
 *
 * Fed with pages of a list and lines of a watch (JSON of core/v1). A pod is a backend
 * once all its containers are ready and it has named its models; asking it is the
 * caller's work (pods_question, pods_told). Follows vllm_router/service_discovery.py;
 * spec/production-stack.md 2.3. Release 0.1.3 forgets no pod that vanished between two
 * watches and keeps those that terminate; `head` does neither.
 */
#ifndef STACKSIM_ROUTER_PODS_H
#define STACKSIM_ROUTER_PODS_H

#include "base/text.h"
#include "router/config.h"

struct pods;

struct pods_setup {
    enum compat compat;
    uint16_t port; /* of the engine in every pod */
};
struct pods *pods_new(const struct pods_setup *setup);
void pods_delete(struct pods *pods);

/* A list comes in pages: begin, every page, end. *next becomes the token of the page
 * that follows, "" behind the last. What is no list changes nothing. */
void pods_list_begin(struct pods *pods);
NODISCARD bool pods_list_page(struct pods *pods, const char *json, size_t byte_count,
                              struct text *next, struct err *err);
void pods_list_end(struct pods *pods);
/* Of the list or the last event: where a watch goes on. "" before the first list. */
const char *pods_version(const struct pods *pods);

enum pods_watch {
    PODS_WATCH_GOES_ON,
    PODS_WATCH_IS_OVER, /* the API forgot that version: list again */
};
/* One line of a watch. */
NODISCARD bool pods_event(struct pods *pods, const char *line, size_t byte_count,
                          enum pods_watch *watch, struct err *err);

/* A pod whose models are not known, or may have changed. */
struct pods_question {
    const char *pod; /* lent until the next call */
    const char *url;
    uint64_t serial; /* of the state that is asked about */
};
/* False when nobody has to be asked. The pod counts as asked from here on. */
bool pods_ask(struct pods *pods, struct pods_question *question);
/* It named these (adapters left out), or nothing: it could not be reached. An answer
 * about an older state than the pod's is dropped. */
void pods_told(struct pods *pods, const char *pod, uint64_t serial,
               const char *const *models, size_t count);
/* Asks again those that are ready and did not answer; release 0.1.3 waits for the next
 * list instead. */
void pods_ask_again(struct pods *pods);

/* True once after every change of what pods_backends gives. */
bool pods_changed(struct pods *pods);
/* In the order in which they were found; at most max. Strings are lent until the next
 * call. Returns how many there are. */
size_t pods_backends(const struct pods *pods, struct config_backend *out, size_t max);
/* Pods seen, backends or not. */
size_t pods_count(const struct pods *pods);

#endif
