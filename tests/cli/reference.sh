#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/cli.md is what the option tables say now. To mend:
#     stacksim help --markdown > docs/cli.md
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
exits 0 help --markdown
same "$STACKSIM_SOURCE/docs/cli.md" out
done_testing
