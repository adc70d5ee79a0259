/* SPDX-License-Identifier: MIT
 *
 * A failed assertion says what and where, and ends the process; one that holds does nothing. There
 * is no fork here: a child is this program again, told by a variable what to do.
 */
#include "base/assert.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "support/check.h"

#define TASK          L"DURE_TEST_ASSERT"
#define EXIT_BY_ABORT 3
#define CHILD_WAIT_MS 60000u

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

/* Stands first in the suite: a child does its task here and goes. */
static void a_child_does_as_it_is_told(void)
{
    wchar_t task[2] = L"";
    if (GetEnvironmentVariableW(TASK, task, 2) == 0) {
        return;
    }
    (void)SetErrorMode(SEM_NOGPFAULTERRORBOX);
    if (task[0] == L'f') {
        assert_false();
    } else if (task[0] == L'u') {
        assert_unreachable();
    } else {
        assert_true();
    }
    ExitProcess(0);
}

static size_t read_all(HANDLE pipe, char *said, size_t said_size)
{
    size_t len = 0;
    DWORD got = 0;
    while (len + 1 < said_size &&
           ReadFile(pipe, said + len, (DWORD)(said_size - 1 - len), &got, NULL) && got > 0) {
        len += got;
    }
    said[len] = '\0';
    return len;
}

/* What a child with this task says on stderr, and its exit code. */
static DWORD run_child(const wchar_t *task, char *said, size_t said_size)
{
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    STARTUPINFOW startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION made;
    wchar_t program[1024];
    wchar_t line[] = L"test_base assert_win32";
    HANDLE ends[2];
    DWORD code = 0;
    DURE_REQUIRE(GetModuleFileNameW(NULL, program, 1024) < 1024);
    DURE_REQUIRE(CreatePipe(&ends[0], &ends[1], &inherit, 0) != FALSE);
    startup.hStdError = ends[1];
    DURE_REQUIRE(SetEnvironmentVariableW(TASK, task) != FALSE);
    BOOL is_made = CreateProcessW(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &made);
    (void)SetEnvironmentVariableW(TASK, NULL);
    (void)CloseHandle(ends[1]);
    DURE_REQUIRE(is_made != FALSE);
    (void)read_all(ends[0], said, said_size);
    (void)CloseHandle(ends[0]);
    DURE_CHECK_EQ(WaitForSingleObject(made.hProcess, CHILD_WAIT_MS), WAIT_OBJECT_0);
    DURE_CHECK(GetExitCodeProcess(made.hProcess, &code) != FALSE);
    (void)CloseHandle(made.hThread);
    (void)CloseHandle(made.hProcess);
    return code;
}

static void a_failed_assertion_aborts_and_says_where(void)
{
    char said[512];
    DURE_CHECK_EQ(run_child(L"f", said, sizeof said), EXIT_BY_ABORT);
    DURE_CHECK(strstr(said, "ASSERTION_FAILED") != NULL);
    DURE_CHECK(strstr(said, "1 + 1 == 3") != NULL);
    DURE_CHECK(strstr(said, "test_assert_win32.c:") != NULL);
}

static void what_cannot_be_reached_aborts(void)
{
    char said[512];
    DURE_CHECK_EQ(run_child(L"u", said, sizeof said), EXIT_BY_ABORT);
}

static void an_assertion_that_holds_says_nothing(void)
{
    char said[512];
    DURE_CHECK_EQ(run_child(L"t", said, sizeof said), 0);
    DURE_CHECK_STR(said, "");
}

DURE_SUITE(base_assert_win32, DURE_TEST(a_child_does_as_it_is_told),
           DURE_TEST(a_failed_assertion_aborts_and_says_where),
           DURE_TEST(what_cannot_be_reached_aborts),
           DURE_TEST(an_assertion_that_holds_says_nothing));
