/* SPDX-License-Identifier: MIT
 *
 * What becomes of log lines on standard errors of all kinds: read, full and never read, full disks,
 * closed. Each in a process of its own.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "base/thread.h"
#include "iocp/system.h"
#include "support/check.h"

/* Starts a process that runs fn with this standard error; its exit code is what fn returns. */
static pid_t start_child(int (*fn)(void), int error_fd)
{
    pid_t pid = fork();
    DURE_REQUIRE(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        if (error_fd >= 0) {
            (void)dup2(error_fd, STDERR_FILENO);
        } else {
            (void)close(STDERR_FILENO);
        }
        _exit(fn());
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    DURE_REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

static void make_pipe(int ends[2])
{
    DURE_REQUIRE(pipe(ends) == 0);
}

/* As a reader leaves it that has stopped reading. */
static void fill_pipe(int fd)
{
    static const char bytes[4096];
    DURE_REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
    DURE_REQUIRE(fcntl(fd, F_SETFL, 0) == 0);
}

static size_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while (len + 1 < size && (got = read(fd, out + len, size - 1 - len)) > 0) {
        len += (size_t)got;
    }
    out[len] = '\0';
    return len;
}

static dure_log *open_log(void)
{
    const dure_log_config config = {.level = DURE_LOG_INFO, .node = "n"};
    dure_log *log = NULL;
    return dure_log_create(&config, &log) == DURE_OK ? log : NULL;
}

static int log_and_assert(void)
{
    dure_log *log = open_log();
    for (int i = 0; i < 500; i++) {
        dure_log_write(log, DURE_LOG_INFO, "t", "E", "i=%d", i);
    }
    DURE_ASSERT(1 + 1 == 3);
    return 0;
}

static void a_failed_assertion_comes_behind_what_the_log_holds(void)
{
    static char said[65536];
    int ends[2];
    make_pipe(ends);
    pid_t pid = start_child(log_and_assert, ends[1]);
    (void)close(ends[1]);
    (void)read_all(ends[0], said, sizeof said);
    (void)close(ends[0]);
    int status = end_of(pid);
    DURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    const char *last = strstr(said, "event=E i=499\n");
    DURE_REQUIRE(last != NULL);
    DURE_CHECK(strstr(last, "ASSERTION_FAILED condition=\"1 + 1 == 3\"") != NULL);
}

static void a_failed_assertion_ends_a_process_that_nobody_reads(void)
{
    int ends[2];
    make_pipe(ends);
    fill_pipe(ends[1]);
    int status = end_of(start_child(log_and_assert, ends[1])); /* would never end */
    DURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static int log_a_mebibyte_and_end(void)
{
    static char text[1024];
    uint64_t since_ns = dure_system_now_ns();
    dure_log *log = open_log();
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 1024; i++) {
        dure_log_write(log, DURE_LOG_INFO, "t", "E", "i=%d text=%s", i, text);
    }
    uint64_t written_ns = dure_system_now_ns() - since_ns;
    dure_log_destroy(log);
    return written_ns < UINT64_C(5000000000) ? 0 : 1;
}

static void a_log_that_nobody_reads_lets_its_process_go_on_and_end(void)
{
    int ends[2];
    make_pipe(ends);
    fill_pipe(ends[1]);
    int status = end_of(start_child(log_a_mebibyte_and_end, ends[1])); /* would never end */
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static int log_past_a_stall(void)
{
    static char text[1024];
    dure_log *log = open_log();
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 512; i++) {
        dure_log_write(log, DURE_LOG_INFO, "t", "E", "i=%d text=%s", i, text);
    }
    char byte = 'w'; /* all are written or lost: read now */
    if (write(STDOUT_FILENO, &byte, 1) != 1 || read(STDIN_FILENO, &byte, 1) != 1) {
        return 1;
    }
    dure_log_write(log, DURE_LOG_INFO, "t", "AFTER", NULL);
    dure_log_destroy(log);
    return 0;
}

static int in_end = -1;
static int out_end = -1;

static int log_past_a_stall_with_words(void)
{
    (void)dup2(in_end, STDIN_FILENO);
    (void)dup2(out_end, STDOUT_FILENO);
    return log_past_a_stall();
}

static void lines_that_were_lost_are_told_where_they_are_missing(void)
{
    static char said[1024 * 1024];
    int log_ends[2], in_ends[2], out_ends[2];
    char byte;
    make_pipe(log_ends);
    make_pipe(in_ends);
    make_pipe(out_ends);
    in_end = in_ends[0];
    out_end = out_ends[1];
    pid_t pid = start_child(log_past_a_stall_with_words, log_ends[1]);
    (void)close(log_ends[1]);
    DURE_REQUIRE(read(out_ends[0], &byte, 1) == 1);
    /* Until the line of the lost ones has come: those before it have left by then. */
    size_t len = 0;
    said[0] = '\0';
    while (strstr(said, "event=LOG_DROPPED") == NULL) {
        ssize_t got = read(log_ends[0], said + len, sizeof said - 1 - len);
        DURE_REQUIRE(got > 0);
        len += (size_t)got;
        said[len] = '\0';
    }
    DURE_REQUIRE(write(in_ends[1], "g", 1) == 1);
    (void)read_all(log_ends[0], said + len, sizeof said - len);
    int status = end_of(pid);
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    int written = 0;
    for (const char *at = said; (at = strstr(at, "event=E ")) != NULL; at++) {
        written++;
    }
    const char *told = strstr(said, "level=warn node=n topic=log event=LOG_DROPPED lines=");
    DURE_REQUIRE(told != NULL);
    DURE_CHECK_EQ(written + strtol(strstr(told, "lines=") + 6, NULL, 10), 512);
    DURE_CHECK(written >= 200 && written < 512); /* the ring holds 240, and the pipe some */
    DURE_CHECK(strstr(told, "event=E ") == NULL && strstr(told, "event=AFTER") != NULL);
    (void)close(log_ends[0]);
    for (int i = 0; i < 2; i++) {
        (void)close(in_ends[i]);
        (void)close(out_ends[i]);
    }
}

static void a_full_disk_is_no_end(void)
{
    int full = open("/dev/full", O_WRONLY);
    if (full < 0) {
        return; /* this system has none */
    }
    int status = end_of(start_child(log_a_mebibyte_and_end, full));
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(full);
}

static int log_and_open_a_file(void)
{
    char path[] = "/tmp/dure-log-XXXXXX";
    dure_log *log = open_log();
    int file = mkstemp(path);
    dure_log_write(log, DURE_LOG_ERROR, "t", "E", NULL);
    dure_log_destroy(log);
    off_t size = lseek(file, 0, SEEK_END);
    (void)unlink(path);
    return log != NULL && file > STDERR_FILENO && size == 0 ? 0 : 1;
}

static void without_a_standard_error_no_file_becomes_it(void)
{
    int status = end_of(start_child(log_and_open_a_file, -1));
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int assert_in_a_fork(void)
{
    dure_log *log = open_log();
    pid_t pid = fork(); /* has the log, and no thread of its */
    if (pid == 0) {
        DURE_ASSERT(2 + 2 == 5);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    dure_log_destroy(log);
    return WIFSIGNALED(status) ? 0 : 1;
}

static void a_fork_does_not_wait_for_the_log_of_its_parent(void)
{
    char said[1024];
    int ends[2];
    make_pipe(ends);
    pid_t pid = start_child(assert_in_a_fork, ends[1]);
    (void)close(ends[1]);
    (void)read_all(ends[0], said, sizeof said);
    (void)close(ends[0]);
    int status = end_of(pid);
    DURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    DURE_CHECK(strstr(said, "ASSERTION_FAILED condition=\"2 + 2 == 5\"") != NULL);
}

static void look_at_mask(void *ctx)
{
    (void)pthread_sigmask(SIG_BLOCK, NULL, ctx);
}

static void signals_of_the_process_do_not_reach_a_thread(void)
{
    sigset_t of_thread, of_main;
    dure_thread *thread = NULL;
    (void)sigemptyset(&of_thread);
    DURE_REQUIRE_OK(dure_thread_create("t", look_at_mask, &of_thread, &thread));
    dure_thread_join(thread);
    look_at_mask(&of_main);
    static const int of_process[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < DURE_COUNT_OF(of_process); i++) {
        DURE_CHECK(sigismember(&of_thread, of_process[i]) == 1);
        DURE_CHECK(sigismember(&of_main, of_process[i]) == 0);
    }
    DURE_CHECK(sigismember(&of_thread, SIGSEGV) == 0 && sigismember(&of_thread, SIGABRT) == 0);
}

DURE_SUITE(base_log_out_posix, DURE_TEST(a_failed_assertion_comes_behind_what_the_log_holds),
           DURE_TEST(a_failed_assertion_ends_a_process_that_nobody_reads),
           DURE_TEST(a_log_that_nobody_reads_lets_its_process_go_on_and_end),
           DURE_TEST(lines_that_were_lost_are_told_where_they_are_missing),
           DURE_TEST(a_full_disk_is_no_end), DURE_TEST(without_a_standard_error_no_file_becomes_it),
           DURE_TEST(a_fork_does_not_wait_for_the_log_of_its_parent),
           DURE_TEST(signals_of_the_process_do_not_reach_a_thread));
