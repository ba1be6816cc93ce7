/* SPDX-License-Identifier: Apache-2.0
 *
 * origin.c: a small URL reader; more than these parts a backend's URL may not have.
 */
#include "router/origin.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/unit.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static char *copy_part(const char *from, size_t length)
{
    char *part = mem_alloc(length + 1, 1);
    memcpy(part, from, length);
    return part;
}

struct parts {
    const char *host;
    size_t host_bytes;
    const char *port; /* NULL = none */
    size_t port_bytes;
    const char *path;
    bool bracketed;
};

static bool split(const char *rest, struct parts *parts)
{
    const size_t authority = strcspn(rest, "/?#");
    const char *end = rest + authority;
    *parts = (struct parts){.host = rest, .path = end};
    if (memchr(rest, '@', authority) != NULL || strpbrk(end, "?#") != NULL) {
        return false;
    }
    const char *colon = NULL;
    if (rest[0] == '[') {
        const char *bracket = memchr(rest, ']', authority);
        if (bracket == NULL) {
            return false;
        }
        parts->bracketed = true;
        parts->host = rest + 1;
        parts->host_bytes = (size_t)(bracket - rest - 1);
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    } else {
        colon = memchr(rest, ':', authority);
        parts->host_bytes = (size_t)((colon != NULL ? colon : end) - rest);
    }
    if (colon != NULL) {
        if (*colon != ':') {
            return false;
        }
        parts->port = colon + 1;
        parts->port_bytes = (size_t)(end - colon - 1);
    }
    return parts->host_bytes > 0;
}

static bool clean_host(const char *host, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)host[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"'<>\\^`{|}%,", c) != NULL) {
            return false;
        }
    }
    return true;
}

static bool read_port(const struct parts *parts, bool tls, uint16_t *port)
{
    uint64_t value = tls ? 443 : 80;
    char digits[8] = "";
    if (parts->port != NULL) {
        if (parts->port_bytes == 0 || parts->port_bytes >= sizeof digits) {
            return false;
        }
        memcpy(digits, parts->port, parts->port_bytes);
        struct err ignored;
        if (!unit_u64(digits, &value, &ignored) || value == 0 || value > UINT16_MAX) {
            return false;
        }
    }
    *port = (uint16_t)value;
    return true;
}

static struct origin *make(const char *url, const struct parts *parts)
{
    struct origin *origin = mem_alloc(1, sizeof *origin);
    const size_t authority = strcspn(strstr(url, "://") + 3, "/");
    size_t base = strlen(parts->path);
    while (base > 0 && parts->path[base - 1] == '/') {
        base--;
    }
    origin->url = mem_strdup(url);
    origin->host = copy_part(parts->host, parts->host_bytes);
    origin->host_field = copy_part(strstr(url, "://") + 3, authority);
    origin->base = copy_part(parts->path, base);
    origin->conn_list = UINT32_MAX;
    origin->holders = 1;
    return origin;
}

bool origin_new(struct origin **out, const char *url, struct err *err)
{
    const bool tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0) {
        return err_set(err, ERR_INPUT, "'%s': not a http:// or https:// URL", url);
    }
    struct parts parts;
    uint16_t port = 0;
    if (!split(strstr(url, "://") + 3, &parts) ||
        !clean_host(parts.host, parts.host_bytes) || !read_port(&parts, tls, &port) ||
        !clean_host(parts.path, strlen(parts.path))) {
        return err_set(err, ERR_INPUT,
                       "'%s': write http://HOST[:PORT][/PATH]; no user, query or blank",
                       url);
    }
    *out = make(url, &parts);
    (*out)->tls = tls;
    (*out)->port = port;
    return true;
}

struct origin *origin_take(struct origin *origin)
{
    origin->holders++;
    return origin;
}

void origin_give(struct origin *origin)
{
    if (origin == NULL) {
        return;
    }
    CHECK(origin->holders > 0, "%s was given back too often", origin->url);
    if (--origin->holders == 0) {
        mem_free(origin->url);
        mem_free(origin->host);
        mem_free(origin->host_field);
        mem_free(origin->base);
        mem_free(origin);
    }
}

bool origin_fits_tag(const char *url)
{
    static const char PATTERN[] =
        "^https?://(([A-Z0-9]([A-Z0-9-]{0,61}[A-Z0-9])?\\.)+[A-Z]{2,}\\.?|localhost|"
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3})(:[0-9]+)?(/.*)?$";
    regex_t regex;
    if (regcomp(&regex, PATTERN, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) {
        return false;
    }
    const bool fits = regexec(&regex, url, 0, NULL, 0) == 0;
    regfree(&regex);
    return fits;
}
