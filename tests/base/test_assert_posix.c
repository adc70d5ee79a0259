/* SPDX-License-Identifier: MIT
 *
 * A failed assertion says what and where, and ends the process; one that holds does nothing.
 */
#include "base/assert.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

/* What a child process that runs fn says on stderr, and how it ends. */
static int run_child(void (*fn)(void), char *said, size_t said_size)
{
    int ends[2];
    int status = 0;
    DURE_REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    DURE_REQUIRE(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    (void)close(ends[1]);
    size_t len = 0;
    for (ssize_t got; len + 1 < said_size && (got = read(ends[0], said + len, 1)) > 0;) {
        len++;
    }
    said[len] = '\0';
    (void)close(ends[0]);
    DURE_REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

static void assert_false(void)
{
    DURE_ASSERT(1 + 1 == 3);
}

static void assert_true(void)
{
    DURE_ASSERT(1 + 1 == 2);
    DURE_DEBUG_ASSERT(1 + 1 == 2);
}

static void assert_unreachable(void)
{
    DURE_UNREACHABLE();
}

static void a_failed_assertion_aborts_and_says_where(void)
{
    char said[512];
    int status = run_child(assert_false, said, sizeof said);
    DURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    DURE_CHECK(strstr(said, "ASSERTION_FAILED") != NULL);
    DURE_CHECK(strstr(said, "1 + 1 == 3") != NULL);
    DURE_CHECK(strstr(said, "test_assert_posix.c:") != NULL);
}

static void what_cannot_be_reached_aborts(void)
{
    char said[512];
    int status = run_child(assert_unreachable, said, sizeof said);
    DURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void an_assertion_that_holds_says_nothing(void)
{
    char said[512];
    int status = run_child(assert_true, said, sizeof said);
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    DURE_CHECK_STR(said, "");
}

DURE_SUITE(base_assert_posix, DURE_TEST(a_failed_assertion_aborts_and_says_where),
           DURE_TEST(what_cannot_be_reached_aborts),
           DURE_TEST(an_assertion_that_holds_says_nothing));
