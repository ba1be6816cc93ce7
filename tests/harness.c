/* SPDX-License-Identifier: Apache-2.0
 *
 * harness.c: mechanism of harness.h over CUnit's basic interface.
 *
 * State of the running test is global here: a test executable is one thread running one
 * test, and CUnit keeps its own registry the same way.
 */
#include "tests/harness.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOTE_BYTES = 256, MESSAGE_BYTES = 4096, PATHS_MAX = 4096, SKIPPED_EXIT = 77 };

static char note[NOTE_BYTES];
static unsigned skipped_count;
static char *paths[PATHS_MAX];
static size_t path_count;
static char temp_folder[512];

_Noreturn static void broken(const char *what)
{
    (void)fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Before each test; a note of the test before would mislead. */
static void forget_note(void)
{
    note[0] = '\0';
}

int harness_main(const char *suite_name, const struct harness_test *tests, size_t count,
                 int argc, char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS) {
        broken("CUnit");
    }
    CU_pSuite suite =
        CU_add_suite_with_setup_and_teardown(suite_name, NULL, NULL, forget_note, NULL);
    size_t added = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && strstr(tests[i].name, argv[1]) == NULL) {
            continue;
        }
        if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL) {
            broken(tests[i].name);
        }
        added++;
    }
    if (added == 0) {
        (void)fprintf(stderr, "harness: no test to run\n");
        return 1;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    CU_basic_run_tests();
    const unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    for (size_t i = 0; i < path_count; i++) {
        free(paths[i]);
    }
    if (failures > 0) {
        return 1;
    }
    return skipped_count > 0 ? SKIPPED_EXIT : 0;
}

void harness_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(note, sizeof note, format, args);
    va_end(args);
}

void harness_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)printf("\n    skipped: ");
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
    skipped_count++;
}

static const char *keep_path(const char *folder, const char *relative)
{
    if (path_count == PATHS_MAX) {
        errno = ENOMEM;
        broken("paths");
    }
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, relative) < 0) {
        broken("paths");
    }
    paths[path_count++] = path;
    return path;
}

static const char *source_folder(void)
{
    const char *folder = getenv("STACKSIM_SOURCE");
    return folder != NULL ? folder : ".";
}

const char *harness_source(const char *relative_path)
{
    return keep_path(source_folder(), relative_path);
}

const char *harness_data(const char *relative_path)
{
    const char *folder = getenv("STACKSIM_DATA");
    if (folder == NULL) {
        folder = keep_path(source_folder(), "../shared");
    }
    const char *path = keep_path(folder, relative_path);
    if (access(path, R_OK) != 0) {
        harness_skip("recorded data %s is not here; set STACKSIM_DATA to its folder",
                     path);
        return NULL;
    }
    return path;
}

const char *harness_temp(const char *name)
{
    if (temp_folder[0] == '\0') {
        const char *given = getenv("STACKSIM_TMP");
        if (given != NULL) {
            (void)snprintf(temp_folder, sizeof temp_folder, "%s", given);
        } else {
            (void)snprintf(temp_folder, sizeof temp_folder, "/tmp/stacksim-XXXXXX");
            if (mkdtemp(temp_folder) == NULL) {
                broken(temp_folder);
            }
        }
    }
    return keep_path(temp_folder, name);
}

const char *harness_temp_file(const char *name, const void *bytes, size_t byte_count)
{
    const char *path = harness_temp(name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, byte_count, file) != byte_count ||
        fclose(file) != 0) {
        broken(path);
    }
    return path;
}

/* Reports to CUnit, which copies the text. */
static bool report(struct harness_at at, bool held, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool report(struct harness_at at, bool held, const char *format, ...)
{
    char message[MESSAGE_BYTES] = "";
    if (!held) {
        va_list args;
        va_start(args, format);
        int length = vsnprintf(message, sizeof message, format, args);
        va_end(args);
        if (note[0] != '\0' && length >= 0 && length < MESSAGE_BYTES) {
            (void)snprintf(message + length, sizeof message - (size_t)length, " [%s]",
                           note);
        }
    }
    (void)CU_assertImplementation(held ? CU_TRUE : CU_FALSE, (unsigned)at.line, message,
                                  at.file, "", at.fatal ? CU_TRUE : CU_FALSE);
    return held;
}

bool harness_true(struct harness_at at, bool got)
{
    return report(at, got, "%s is false", at.got_text);
}

bool harness_i64(struct harness_at at, int64_t got, int64_t expected)
{
    return report(at, got == expected, "%s is %" PRId64 ", expected %" PRId64,
                  at.got_text, got, expected);
}

bool harness_u64(struct harness_at at, uint64_t got, uint64_t expected)
{
    return report(at, got == expected,
                  "%s is %" PRIu64 " (0x%" PRIx64 "), expected %" PRIu64 " (0x%" PRIx64
                  ")",
                  at.got_text, got, got, expected, expected);
}

bool harness_near(struct harness_at at, double got, double expected, double tolerance)
{
    return report(at, fabs(got - expected) <= tolerance,
                  "%s is %.17g, expected %.17g within %g", at.got_text, got, expected,
                  tolerance);
}

static const char *or_null(const char *text)
{
    return text != NULL ? text : "(null)";
}

bool harness_str(struct harness_at at, const char *got, const char *expected)
{
    const bool held = got == expected ||
                      (got != NULL && expected != NULL && strcmp(got, expected) == 0);
    return report(at, held, "%s is \"%s\", expected \"%s\"", at.got_text, or_null(got),
                  or_null(expected));
}

bool harness_bytes(struct harness_at at, const void *got, const void *expected,
                   size_t byte_count)
{
    const unsigned char *a = got;
    const unsigned char *b = expected;
    size_t same = 0;
    while (same < byte_count && a[same] == b[same]) {
        same++;
    }
    const bool held = same == byte_count;
    return report(at, held, "%s differs at byte %zu of %zu: got %02x, expected %02x",
                  at.got_text, same, byte_count, held ? 0U : a[same],
                  held ? 0U : b[same]);
}

bool harness_has(struct harness_at at, const char *got, const char *part)
{
    return report(at, got != NULL && strstr(got, part) != NULL,
                  "%s is \"%s\", expected it to hold \"%s\"", at.got_text, or_null(got),
                  part);
}

bool harness_ok(struct harness_at at, bool got, const struct err *err)
{
    return report(at, got, "%s failed: %s", at.got_text, got ? "" : err->text);
}

bool harness_end(struct harness_at at, const struct err *err)
{
    if (err != NULL) {
        (void)report(at, false, "%s failed: %s", at.got_text, err->text);
    } else {
        (void)report(at, false, "%s is false", at.got_text);
    }
    /* CUnit left through longjmp; without it there is no test to end. */
    broken("a REQUIRE outside a test");
}

bool harness_fails(struct harness_at at, bool got, const struct err *err,
                   const char *part)
{
    if (!report(at, !got, "%s succeeded, expected a failure that says \"%s\"",
                at.got_text, part)) {
        return false;
    }
    return report(at, strstr(err->text, part) != NULL,
                  "%s failed with \"%s\", expected it to say \"%s\"", at.got_text,
                  err->text, part);
}

/* The child's last words are read before it is waited for, so that a long text cannot
 * block it for ever. */
static size_t read_all(int from, char *text, size_t text_bytes)
{
    size_t length = 0;
    char rest[512];
    for (;;) {
        const bool full = length + 1 >= text_bytes;
        const ssize_t count = full ? read(from, rest, sizeof rest)
                                   : read(from, text + length, text_bytes - 1 - length);
        if (count <= 0) {
            break;
        }
        length += full ? 0 : (size_t)count;
    }
    text[length] = '\0';
    return length;
}

bool harness_aborts(struct harness_at at, void (*run)(void *), void *context,
                    const char *part)
{
    int ends[2];
    if (pipe(ends) != 0) {
        broken("pipe");
    }
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0) {
        broken("fork");
    }
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        run(context);
        _exit(0);
    }
    (void)close(ends[1]);
    char text[2048];
    (void)read_all(ends[0], text, sizeof text);
    (void)close(ends[0]);
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        broken("waitpid");
    }
    const bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (!report(at, aborted, "%s did not abort; it printed \"%s\"", at.got_text,
                text)) {
        return false;
    }
    return report(at, strstr(text, part) != NULL,
                  "%s aborted with \"%s\", expected \"%s\"", at.got_text, text, part);
}
