/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c: environment and files, as "Accessing the API from a Pod" of Kubernetes'
 * documentation has them.
 */
#include "router/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"
enum { TOKEN_BYTES_MAX = 65536 };

void cluster_defaults(struct flags *flags, struct text *api)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (flags->k8s_api == NULL && host != NULL && host[0] != '\0') {
        const bool v6 = strchr(host, ':') != NULL;
        text_printf(api, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
                    port != NULL ? port : "443");
        flags->k8s_api = api->bytes;
    }
    if (flags->k8s_token == NULL && access(ACCOUNT "token", R_OK) == 0) {
        flags->k8s_token = ACCOUNT "token";
    }
    if (flags->k8s_ca == NULL && access(ACCOUNT "ca.crt", R_OK) == 0) {
        flags->k8s_ca = ACCOUNT "ca.crt";
    }
}

void cluster_token(void *path, struct text *out)
{
    FILE *stream = path != NULL ? fopen(path, "re") : NULL;
    if (stream == NULL) {
        return;
    }
    char token[TOKEN_BYTES_MAX];
    const size_t count = fread(token, 1, sizeof token - 1, stream);
    (void)fclose(stream);
    token[count] = '\0';
    /* White space would end the header field, and begin another one. */
    const size_t start = strspn(token, " \t\r\n");
    text_add_bytes(out, token + start, strcspn(token + start, " \t\r\n"));
}
