/* SPDX-License-Identifier: MIT
 *
 * Processes by fork and exec, their output by pipes, signals by signalfd(2), all in one poll(2).
 * A child dies with us by PR_SET_PDEATHSIG.
 */
#include "tools/dure/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

struct child_group {
    dure_list children;
    size_t count;
    struct pollfd *fds; /* room for count and the signals */
    int signals;
    sigset_t former;
    uint32_t stops;
};

struct child {
    dure_list link;
    child_group *group;
    pid_t pid;
    int pipe; /* -1: none, or it is at its end */
    bool has_ended;
    int status;
};

/* ---- the group ---- */

dure_err child_group_create(child_group **out_group)
{
    sigset_t set;
    child_group *group = dure_mem_alloc(sizeof *group);
    if (group == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&group->children);
    group->fds = dure_mem_alloc(sizeof *group->fds);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, &group->former);
    group->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (group->fds == NULL || group->signals < 0) {
        dure_err err = group->fds == NULL ? DURE_ERR_NO_MEMORY : dure_err_from_system(errno);
        child_group_destroy(group);
        return err;
    }
    *out_group = group;
    return DURE_OK;
}

void child_group_destroy(child_group *group)
{
    if (group == NULL) {
        return;
    }
    if (group->signals >= 0) {
        (void)close(group->signals);
    }
    (void)sigprocmask(SIG_SETMASK, &group->former, NULL);
    dure_mem_free(group->fds);
    dure_mem_free(group);
}

static void group_read_signals(child_group *group)
{
    struct signalfd_siginfo info;
    while (read(group->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        group->stops += info.ssi_signo == SIGCHLD ? 0u : 1u;
    }
}

void child_group_wait(child_group *group, uint32_t timeout_ms)
{
    nfds_t count = 0;
    group->fds[count++] = (struct pollfd){.fd = group->signals, .events = POLLIN};
    for (dure_list *at = group->children.next; at != &group->children; at = at->next) {
        const child *c = DURE_CONTAINER_OF(at, child, link);
        if (c->pipe >= 0) {
            group->fds[count++] = (struct pollfd){.fd = c->pipe, .events = POLLIN};
        }
    }
    (void)poll(group->fds, count, (int)timeout_ms);
    group_read_signals(group);
}

uint32_t child_group_stops(child_group *group)
{
    return group->stops;
}

/* ---- programs ---- */

void child_find_program(const char *program, char *out)
{
    char self[CHILD_PATH_MAX - 256];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    (void)snprintf(out, CHILD_PATH_MAX, "%s", program);
    if (len <= 0 || strchr(program, '/') != NULL || strlen(program) > 200) {
        return;
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        char beside[CHILD_PATH_MAX];
        *slash = '\0';
        (void)snprintf(beside, sizeof beside, "%s/%s", self, program);
        if (access(beside, X_OK) == 0) {
            (void)snprintf(out, CHILD_PATH_MAX, "%s", beside);
        }
    }
}

static void command_exec(const child_command *command)
{
    char *args[CHILD_ARGS_MAX];
    size_t at = 1;
    union {
        const char *in;
        char *out;
    } text; /* execvp takes char *const[], and does not write */
    text.in = command->program;
    args[0] = text.out;
    for (; command->args[at] != NULL; at++) {
        text.in = command->args[at];
        args[at] = text.out;
    }
    args[at] = NULL;
    (void)execvp(command->program, args);
    (void)fprintf(stderr, "dure: cannot run %s: %s\n", command->program, strerror(errno));
}

dure_err child_become(const child_command *command)
{
    command_exec(command);
    return DURE_ERR_SYSTEM;
}

/* ---- children ---- */

/* In the new process. It may use the C library, whose locks nobody holds: the one other thread of
 * ours, a log writer's, takes none. */
static void child_main(const child_group *group, const child_command *command, int output)
{
    (void)sigprocmask(SIG_SETMASK, &group->former, NULL);
    (void)setpgid(0, 0); /* Ctrl-C is ours to pass on */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)setenv("DURE_LOG_FORMAT", isatty(STDERR_FILENO) == 1 ? "logfmt" : "json", 0);
    if (output >= 0) {
        (void)setenv("DURE_SUPERVISED", "1", 1);
        (void)dup2(output, STDOUT_FILENO);
        (void)dup2(output, STDERR_FILENO);
    }
    command_exec(command);
    _exit(127);
}

static dure_err child_make(child_group *group, child **out_child)
{
    struct pollfd *fds = dure_mem_realloc(group->fds, (group->count + 2) * sizeof *group->fds);
    if (fds == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    group->fds = fds;
    child *c = dure_mem_alloc(sizeof *c);
    if (c == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    c->group = group;
    c->pipe = -1;
    c->has_ended = true;
    dure_list_push_back(&group->children, &c->link);
    group->count++;
    *out_child = c;
    return DURE_OK;
}

dure_err child_start(child_group *group, const child_command *command, bool with_pipe,
                     child **out_child)
{
    int ends[2] = {-1, -1};
    child *c = NULL;
    dure_err err = child_make(group, &c);
    if (err != DURE_OK) {
        return err;
    }
    if (with_pipe && pipe2(ends, O_CLOEXEC) != 0) {
        err = dure_err_from_system(errno);
        goto out;
    }
    c->pipe = ends[0];
    c->pid = fork();
    if (c->pid == 0) {
        child_main(group, command, ends[1]);
    }
    if (c->pid < 0) {
        err = dure_err_from_system(errno);
        goto out;
    }
    c->has_ended = false;
    if (c->pipe >= 0) {
        (void)fcntl(c->pipe, F_SETFL, O_NONBLOCK);
    }
    *out_child = c;
    c = NULL;
out:
    if (ends[1] >= 0) {
        (void)close(ends[1]);
    }
    child_destroy(c);
    return err;
}

void child_destroy(child *c)
{
    if (c == NULL) {
        return;
    }
    if (!c->has_ended) {
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, &c->status, 0);
    }
    if (c->pipe >= 0) {
        (void)close(c->pipe);
    }
    c->group->count--;
    dure_list_remove(&c->link);
    dure_mem_free(c);
}

uint64_t child_id(const child *c)
{
    return (uint64_t)c->pid;
}

size_t child_read(child *c, char *out, size_t size)
{
    while (c->pipe >= 0) {
        ssize_t got = read(c->pipe, out, size);
        if (got > 0) {
            return (size_t)got;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return 0;
        }
        (void)close(c->pipe);
        c->pipe = -1;
    }
    return 0;
}

bool child_has_ended(child *c, child_end *out_end)
{
    if (!c->has_ended) {
        c->has_ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
    }
    if (!c->has_ended) {
        return false;
    }
    out_end->is_exit = WIFEXITED(c->status);
    out_end->number = (uint32_t)(out_end->is_exit ? WEXITSTATUS(c->status) : WTERMSIG(c->status));
    out_end->word = out_end->is_exit ? "exit code" : "signal";
    return true;
}

dure_err child_ask_to_stop(child *c)
{
    return c->has_ended || kill(c->pid, SIGTERM) == 0 ? DURE_OK : dure_err_from_system(errno);
}

void child_kill(child *c)
{
    if (!c->has_ended) {
        (void)kill(c->pid, SIGKILL);
    }
}
