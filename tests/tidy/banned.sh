#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The build refuses each banned function, and only those.
set -eu
compile() {
    printf '#include <stdio.h>\n#include <string.h>\nvoid f(char *p);\nvoid f(char *p) {\n%s\n}\n' \
        "$1" | ${CC:-gcc} -std=c17 -D_GNU_SOURCE -I. -include base/banned.h -Werror \
        -fsyntax-only -x c - 2>/dev/null
}
compile '(void)snprintf(p, 3, "x"); (void)strlen(p);' || {
    echo "banned.h breaks code that is allowed"
    exit 1
}
for call in 'sprintf(p, "x");' 'strcpy(p, p);' 'strcat(p, p);' '(void)strtok(p, p);' \
    '(void)rand();' '(void)time(NULL);' '(void)localtime(NULL);' '(void)atoi(p);'; do
    if compile "$call"; then
        echo "banned.h lets pass: $call"
        exit 1
    fi
done
