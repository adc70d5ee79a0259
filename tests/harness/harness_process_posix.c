/* SPDX-License-Identifier: MIT
 *
 * By fork and exec. Between the two a child of a process with threads may do little, so everything
 * that needs memory is made before. On Linux a child is killed with the thread that started it
 * (prctl(2), PR_SET_PDEATHSIG), which is the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "harness_process.h"
#include "iocp/system.h"
#include "node/process.h"

#define LOOK_MS 2u

struct harness_process {
    pid_t pid;
    bool is_over;
    int exit_code;
};

struct harness_watchdog {
    int pipe; /* whoever reads its other end learns of our end */
};

/* ---- before the fork ---- */

/* The environment with another DURE_LOG_FORMAT and no DURE_SET; the strings stay where they are. */
static char **make_environment(void)
{
    static char format[] = "DURE_LOG_FORMAT=logfmt";
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **made = dure_mem_alloc_array(count + 2, sizeof *made);
    size_t kept = 0;
    for (size_t i = 0; made != NULL && i < count; i++) {
        if (strncmp(environ[i], "DURE_SET=", 9) != 0 &&
            strncmp(environ[i], "DURE_LOG_FORMAT=", 16) != 0) {
            made[kept++] = environ[i];
        }
    }
    if (made != NULL) {
        made[kept] = format;
    }
    return made;
}

/* ---- in the child ---- */

static void child_run(char *const *args, char *const *environment, int log, int nothing,
                      pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(127);
    }
    (void)execve(args[0], args, environment);
    _exit(127);
}

dure_err harness_process_start(char *const *args, const char *log_path, int *out_system_error,
                               harness_process **out_process)
{
    *out_system_error = 0;
    harness_process *process = dure_mem_alloc(sizeof *process);
    char **environment = make_environment();
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dure_err err = process != NULL && environment != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
    if (err == DURE_OK && (log < 0 || nothing < 0 || access(args[0], X_OK) != 0)) {
        *out_system_error = errno;
    } else if (err == DURE_OK) {
        pid_t parent = getpid();
        process->pid = fork();
        if (process->pid == 0) {
            child_run(args, environment, log, nothing, parent);
        }
        *out_system_error = process->pid < 0 ? errno : 0;
    }
    err = *out_system_error != 0 ? dure_err_from_system(*out_system_error) : err;
    if (log >= 0) {
        (void)close(log);
    }
    if (nothing >= 0) {
        (void)close(nothing);
    }
    dure_mem_free(environment);
    if (err != DURE_OK) {
        dure_mem_free(process);
        return err;
    }
    *out_process = process;
    return DURE_OK;
}

/* ---- its life ---- */

static dure_err process_signal(harness_process *process, int number)
{
    if (process->is_over) {
        return DURE_ERR_STATE;
    }
    return kill(process->pid, number) == 0 ? DURE_OK : dure_err_from_system(errno);
}

dure_err harness_process_suspend(harness_process *process)
{
    return process_signal(process, SIGSTOP);
}

dure_err harness_process_continue(harness_process *process)
{
    return process_signal(process, SIGCONT);
}

dure_err harness_process_ask(harness_process *process)
{
    return process_signal(process, SIGTERM);
}

void harness_process_kill(harness_process *process)
{
    dure_err ignored = process_signal(process, SIGKILL); /* it may be over already */
    (void)ignored;
}

static void process_look(harness_process *process)
{
    int status = 0;
    if (!process->is_over && waitpid(process->pid, &status, WNOHANG) == process->pid) {
        process->is_over = true;
        process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
}

bool harness_process_wait(harness_process *process, uint32_t ms, int *out_exit_code)
{
    uint64_t due_ns = dure_system_now_ns() + ms * UINT64_C(1000000);
    process_look(process);
    while (!process->is_over && dure_system_now_ns() < due_ns) {
        dure_process_pause_ms(LOOK_MS);
        process_look(process);
    }
    *out_exit_code = process->exit_code;
    return process->is_over;
}

void harness_process_destroy(harness_process *process)
{
    if (process == NULL) {
        return;
    }
    int status;
    harness_process_kill(process);
    while (!process->is_over && waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    dure_mem_free(process);
}

/* ---- the watchdog ---- */

/*
 * A shell that waits for the end of its input, which is that of our process, and removes the folder
 * (again while somebody still writes there). Forked twice, so that nobody who kills a test with
 * all its children kills it too.
 */
static void watchdog_run(int input, const char *folder)
{
    static const char script[] = "read -r line; n=0; while ! rm -rf \"$0\" 2>/dev/null && "
                                 "[ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done";
    (void)setsid();
    if (fork() == 0 && dup2(input, STDIN_FILENO) >= 0) {
        (void)execl("/bin/sh", "sh", "-c", script, folder, (char *)NULL);
    }
    _exit(0);
}

dure_err harness_watchdog_start(const char *folder, harness_watchdog **out_watchdog)
{
    int ends[2];
    int status;
    harness_watchdog *watchdog = dure_mem_alloc(sizeof *watchdog);
    if (watchdog == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        dure_mem_free(watchdog);
        return dure_err_from_system(errno);
    }
    pid_t pid = fork();
    if (pid == 0) {
        watchdog_run(ends[0], folder);
    }
    dure_err err = pid < 0 ? dure_err_from_system(errno) : DURE_OK;
    (void)close(ends[0]);
    if (err != DURE_OK) {
        (void)close(ends[1]);
        dure_mem_free(watchdog);
        return err;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    watchdog->pipe = ends[1];
    *out_watchdog = watchdog;
    return DURE_OK;
}

void harness_watchdog_stop(harness_watchdog *watchdog)
{
    if (watchdog != NULL) {
        (void)close(watchdog->pipe);
        dure_mem_free(watchdog);
    }
}

/* ---- programs and ports ---- */

static bool try_program(const char *folder, size_t folder_len, const char *program, char *out_path,
                        uint32_t out_size)
{
    int len = snprintf(out_path, out_size, "%.*s/%s", (int)folder_len, folder, program);
    return len > 0 && (uint32_t)len < out_size && access(out_path, X_OK) == 0;
}

dure_err harness_find_program(const char *program, const char *folder, char *out_path,
                              uint32_t out_size)
{
    if (strchr(program, '/') != NULL) {
        int len = snprintf(out_path, out_size, "%s", program);
        return len > 0 && (uint32_t)len < out_size ? DURE_OK : DURE_ERR_NOT_FOUND;
    }
    if (folder != NULL && try_program(folder, strlen(folder), program, out_path, out_size)) {
        return DURE_OK;
    }
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        if (len > 0 && try_program(path, len, program, out_path, out_size)) {
            return DURE_OK;
        }
        path += len + (path[len] == ':');
    }
    return DURE_ERR_NOT_FOUND;
}

bool harness_port_is_free(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return false;
    }
    bool is_free =
        bind(probe, (const struct sockaddr *)(const void *)&address, sizeof address) == 0;
    (void)close(probe);
    return is_free;
}
