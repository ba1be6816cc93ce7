# SPDX-License-Identifier: Apache-2.0
#
# sweep.bash: what the tests of `sweep` share: a small one, and what a store holds.

# small_sweep REQUESTS: 2 policies x 2 rates x 3 seeds in grid.yaml.
small_sweep() {
    cat >grid.yaml <<END
scenario: published/shared-prefix
keys: {rate: workload.rate_factor}
set: {end.requests: $1}
grid:
  policy: [random, "chwbl:load_ratio=1.5"]
  rate: [1, 2]
  seed: 1..3
END
}

# dump STORE: every row of every table but for the clock on the wall.
dump() {
    cp "$1" dump.db
    sqlite3 dump.db "UPDATE run SET started_utc = '', wall_s = 0" &&
        sqlite3 dump.db .dump
    rm -f dump.db
}

runs_in() {
    sqlite3 -cmd '.timeout 5000' "$1" 'SELECT count(*) FROM run'
}
