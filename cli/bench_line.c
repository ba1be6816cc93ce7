/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_line.c: medians, and the machine that was measured.
 */
#include "cli/bench_line.h"

#include "base/json.h"
#include "cli/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2]
                          : (values[count / 2 - 1] + values[count / 2]) / 2.0;
}

static void cpu_name(char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            const char *name = colon + 1 + strspn(colon + 1, " \t");
            snprintf(out, out_bytes, "%.*s", (int)strcspn(name, "\n"), name);
            break;
        }
    }
    fclose(file);
}

void bench_line_host(struct json *object)
{
    char cpu[256];
    double load = -1.0;
    cpu_name(cpu, sizeof cpu);
    json_put_str(object, "commit", version_commit());
    json_put_str(object, "compiler", version_compiler());
    json_put_str(object, "cpu", cpu);
    if (getloadavg(&load, 1) == 1) {
        json_put_f64(object, "load_1min", load);
    }
}
