/* SPDX-License-Identifier: Apache-2.0
 *
 * A result appears whole under its name or not at all, and nothing is left lying about.
 */
#include "base/outfile.h"
#include "tests/harness.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Entries of a folder, hidden ones included. */
static size_t count_files(const char *folder)
{
    DIR *entries = opendir(folder);
    size_t count = 0;
    while (entries != NULL && readdir(entries) != NULL) {
        count++;
    }
    REQUIRE(entries != NULL && closedir(entries) == 0);
    return count - 2; /* . and .. */
}

static const char *make_folder(const char *name)
{
    const char *folder = harness_temp(name);
    REQUIRE(mkdir(folder, 0777) == 0);
    return folder;
}

static const char *content(const char *path)
{
    static char text[256];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return NULL;
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void result_appears_at_commit_and_not_before(void)
{
    const char *folder = make_folder("commit");
    const char *path = harness_temp("commit/result.csv");
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, path, &err), &err);
    (void)fputs("a,b\n", outfile_stream(file));
    EXPECT(access(path, F_OK) != 0);
    EXPECT_HAS(outfile_temp_path(file), "commit/.result.csv.");
    REQUIRE_OK(outfile_commit(file, &err), &err);
    EXPECT_STR(content(path), "a,b\n");
    EXPECT_U64(count_files(folder), 1);
}

static void abort_keeps_the_old_result(void)
{
    const char *folder = make_folder("abort");
    const char *path = harness_temp_file("abort/result.csv", "old", 3);
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, path, &err), &err);
    (void)fputs("new", outfile_stream(file));
    outfile_abort(file);
    outfile_abort(NULL);
    EXPECT_STR(content(path), "old");
    EXPECT_U64(count_files(folder), 1);
}

static void two_writers_do_not_meet(void)
{
    const char *folder = make_folder("two");
    const char *path = harness_temp("two/result.csv");
    struct outfile *first = NULL;
    struct outfile *second = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&first, path, &err), &err);
    REQUIRE_OK(outfile_open(&second, path, &err), &err);
    (void)fputs("first", outfile_stream(first));
    (void)fputs("second", outfile_stream(second));
    EXPECT_OK(outfile_commit(second, &err), &err);
    EXPECT_STR(content(path), "second");
    EXPECT_OK(outfile_commit(first, &err), &err);
    EXPECT_STR(content(path), "first");
    EXPECT_U64(count_files(folder), 1);
}

static void full_disk_leaves_the_old_result(void)
{
    const char *folder = make_folder("full");
    const char *path = harness_temp_file("full/result.csv", "old", 3);
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, path, &err), &err);
    /* A file that may not grow fails as a full disk does, at the flush. */
    struct rlimit before;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const struct rlimit tiny = {16, before.rlim_max};
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tiny) == 0);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("much more than sixteen bytes\n", outfile_stream(file));
    }
    const bool held = outfile_commit(file, &err);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)signal(SIGXFSZ, handler);
    EXPECT_FAILS(held, &err, "full/result.csv: not written: ");
    EXPECT_I64(err.kind, ERR_IO);
    EXPECT_STR(content(path), "old");
    EXPECT_U64(count_files(folder), 1);
}

static void devices_are_written_in_place(void)
{
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, "/dev/null", &err), &err);
    (void)fputs("gone", outfile_stream(file));
    EXPECT_STR(outfile_temp_path(file), "/dev/null");
    EXPECT_OK(outfile_commit(file, &err), &err);
    struct stat status;
    EXPECT(stat("/dev/null", &status) == 0 && S_ISCHR(status.st_mode));
    REQUIRE_OK(outfile_open(&file, "/dev/full", &err), &err);
    (void)fputs("no room", outfile_stream(file));
    EXPECT_FAILS(outfile_commit(file, &err), &err,
                 "/dev/full: not written: No space left on device");
}

static void links_stay_links(void)
{
    (void)make_folder("link");
    const char *path = harness_temp_file("link/real.csv", "old", 3);
    const char *link = harness_temp("link/link.csv");
    REQUIRE(symlink("real.csv", link) == 0);
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, link, &err), &err);
    (void)fputs("new", outfile_stream(file));
    REQUIRE_OK(outfile_commit(file, &err), &err);
    EXPECT_STR(content(path), "new");
    struct stat status;
    EXPECT(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
}

static void places_that_cannot_be_written_fail_at_once(void)
{
    struct outfile *file = NULL;
    struct err err;
    EXPECT_FAILS(outfile_open(&file, harness_temp("absent/x.csv"), &err), &err,
                 "absent/x.csv: cannot be written: No such file or directory");
    EXPECT_I64(err.kind, ERR_IO);
    EXPECT_FAILS(outfile_open(&file, make_folder("folder"), &err), &err, "is a folder");
    EXPECT_FAILS(outfile_open(&file, "", &err), &err, "empty name");
    EXPECT_FAILS(outfile_open(&file, "/proc/x.csv", &err), &err,
                 "/proc/x.csv: cannot be written");
}

static void minus_is_stdout(void)
{
    struct outfile *file = NULL;
    struct err err;
    REQUIRE_OK(outfile_open(&file, "-", &err), &err);
    EXPECT(outfile_stream(file) == stdout);
    EXPECT(outfile_temp_path(file) == NULL);
    EXPECT_OK(outfile_commit(file, &err), &err);
    REQUIRE_OK(outfile_open(&file, "-", &err), &err);
    outfile_abort(file);
    EXPECT(fileno(stdout) == STDOUT_FILENO);
}

HARNESS_MAIN("outfile", TEST(result_appears_at_commit_and_not_before),
             TEST(abort_keeps_the_old_result), TEST(two_writers_do_not_meet),
             TEST(full_disk_leaves_the_old_result), TEST(devices_are_written_in_place),
             TEST(links_stay_links), TEST(places_that_cannot_be_written_fail_at_once),
             TEST(minus_is_stdout))
