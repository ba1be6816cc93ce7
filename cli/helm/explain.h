/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.h: what will run, in words or as JSON.
 */
#ifndef STACKSIM_CLI_HELM_EXPLAIN_H
#define STACKSIM_CLI_HELM_EXPLAIN_H

#include "cli/helm/deployment.h"

void helm_explain_text(const struct helm *helm, const char *path, struct text *out);
void helm_explain_json(const struct helm *helm, const char *path, struct text *out);

#endif
