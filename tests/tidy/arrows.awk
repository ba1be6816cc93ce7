# SPDX-License-Identifier: Apache-2.0
#
# Fails on an #include that runs against the arrows of STYLE 1.1, on one that is not from
# the repository's root, and on a header that does not exist.
BEGIN {
    may["base"] = "base"
    may["stats"] = "stats base"
    may["traces"] = "traces base stats"
    may["policies"] = "policies base"
    may["sim"] = "sim base stats traces policies"
    may["reports"] = "reports base stats"
    may["stack"] = "stack base"
    may["router"] = "router base policies stack"
    may["cli"] = "cli base stats traces policies stack sim reports router"
    may["tests"] = "tests cli base stats traces policies stack sim reports router"
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    target = quoted[2]
    # Written into the build folder by cmake/commit.cmake.
    if (target == "stacksim_commit.h" && FILENAME ~ /^cli\//) {
        next
    }
    split(FILENAME, from, "/")
    slashes = split(target, to, "/")
    if (slashes < 2 || !(to[1] in may)) {
        printf "%s:%d: includes \"%s\"; write the path from the root\n", FILENAME, FNR,
            target
        next
    }
    if (index(" " may[from[1]] " ", " " to[1] " ") == 0) {
        printf "%s:%d: %s/ may not include %s/; see STYLE 1.1\n", FILENAME, FNR, from[1],
            to[1]
    }
    if ((getline unused < target) < 0) {
        printf "%s:%d: includes \"%s\", which does not exist\n", FILENAME, FNR, target
    }
    close(target)
}
