/* SPDX-License-Identifier: MIT
 *
 * Processes by fork and exec, their stderr by pipes, signals by signalfd(2), all in one poll loop.
 */
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
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/exit_codes.h"
#include "tools/dure/supervisor.h"

#define CHILDREN_MAX       4096u
#define LINE_BYTES_MAX     8192u
#define RESTART_FIRST_MS   250u
#define RESTART_MAX_MS     15000u
#define RESTART_STEADY_MS  10000u /* one that ran so long starts afresh */
#define STOP_KILL_AFTER_MS 20000u
#define STARTED_MS         3000u /* one that ran so long had started */

typedef struct child {
    char *id;
    supervisor_command command;
    pid_t pid; /* 0: not running */
    int pipe;  /* -1: none */
    uint64_t started_ms;
    uint64_t restart_at_ms; /* 0: no restart is due */
    uint32_t pause_ms;
    bool has_given_up;
    bool has_started; /* it ran for a while once: what ends it later is a crash, not a failed start
                       */
    size_t line_len;
    char line[LINE_BYTES_MAX];
} child;

struct supervisor {
    child **children;
    size_t count;
    int signals;
    sigset_t former;
    bool is_stopping;
    bool is_killing;
    size_t stopping_at; /* the child that is being stopped */
    uint64_t stop_since_ms;
    int exit_code;
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- commands ---- */

/* The program beside this one, where it is there; else its name, for PATH. */
static void command_find_program(supervisor_command *command, const char *program)
{
    char self[SUPERVISOR_PATH_MAX - 256];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    (void)snprintf(command->program, sizeof command->program, "%s", program);
    if (len <= 0 || strchr(program, '/') != NULL || strlen(program) > 200) {
        return;
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        char beside[SUPERVISOR_PATH_MAX];
        *slash = '\0';
        (void)snprintf(beside, sizeof beside, "%s/%s", self, program);
        if (access(beside, X_OK) == 0) {
            (void)snprintf(command->program, sizeof command->program, "%s", beside);
        }
    }
}

void supervisor_command_init(supervisor_command *command, const char *program, const char *file,
                             const char *node_id, const char *const *sets, size_t set_count)
{
    size_t at = 0;
    command_find_program(command, program);
    command->args[at++] = NULL; /* the program, set when it is started: the struct may move */
    command->args[at++] = "--config";
    command->args[at++] = file;
    command->args[at++] = "--node";
    command->args[at++] = node_id;
    for (size_t i = 0; i < set_count && at + 3 < SUPERVISOR_ARGS_MAX; i++) {
        command->args[at++] = "--set";
        command->args[at++] = sets[i];
    }
    command->args[at] = NULL;
}

static void command_exec(const supervisor_command *command)
{
    char *args[SUPERVISOR_ARGS_MAX];
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

int supervisor_become(const supervisor_command *command)
{
    command_exec(command);
    return DURE_EXIT_FAILED;
}

/* ---- children ---- */

static void child_start(supervisor *s, child *c)
{
    int ends[2];
    c->restart_at_ms = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        c->restart_at_ms = clock_ms() + RESTART_MAX_MS;
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)sigprocmask(SIG_SETMASK, &s->former, NULL);
        (void)setpgid(0, 0); /* Ctrl-C is ours to pass on */
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        /* What it writes ends on our stderr, so its form is that of our stderr. */
        (void)setenv("DURE_LOG_FORMAT", isatty(STDERR_FILENO) == 1 ? "logfmt" : "json", 0);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        command_exec(&c->command);
        _exit(127);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        c->restart_at_ms = clock_ms() + RESTART_MAX_MS;
        return;
    }
    c->pid = pid;
    c->pipe = ends[0];
    c->started_ms = clock_ms();
    (void)fcntl(c->pipe, F_SETFL, O_NONBLOCK);
}

static void child_flush_line(child *c)
{
    if (c->line_len > 0) {
        (void)fprintf(stderr, "%-12s | %.*s\n", c->id, (int)c->line_len, c->line);
        c->line_len = 0;
    }
}

static void child_read(child *c)
{
    char bytes[4096];
    ssize_t got;
    while (c->pipe >= 0 && (got = read(c->pipe, bytes, sizeof bytes)) != 0) {
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\n' || c->line_len == sizeof c->line) {
                child_flush_line(c);
            }
            if (bytes[i] != '\n') {
                c->line[c->line_len++] = bytes[i];
            }
        }
    }
    child_flush_line(c);
    if (c->pipe >= 0) {
        (void)close(c->pipe);
        c->pipe = -1;
    }
}

static void child_say(const child *c, const char *what, int number)
{
    (void)fprintf(stderr, "%-12s | -- %s %d\n", c->id, what, number);
}

/* A first start that fails would fail again: its port or its folder is another's. */
static bool is_final(const child *c, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return (code == DURE_EXIT_FAILED && !c->has_started) || code == DURE_EXIT_OK ||
           code == DURE_EXIT_USAGE || code == DURE_EXIT_CONFIG;
}

static void child_ended(supervisor *s, child *c, int status)
{
    uint64_t now = clock_ms();
    c->pid = 0;
    child_read(c);
    if (WIFSIGNALED(status)) {
        child_say(c, "was ended by signal", WTERMSIG(status));
    } else {
        child_say(c, "ended with exit code", WEXITSTATUS(status));
    }
    if (s->is_stopping) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            s->exit_code = DURE_EXIT_FAILED;
        }
        return;
    }
    c->has_started = c->has_started || now - c->started_ms >= STARTED_MS;
    if (is_final(c, status)) {
        c->has_given_up = true;
        s->exit_code = WEXITSTATUS(status) == 0 ? s->exit_code : DURE_EXIT_FAILED;
        return;
    }
    if (c->pause_ms == 0 || now - c->started_ms >= RESTART_STEADY_MS) {
        c->pause_ms = RESTART_FIRST_MS;
    }
    c->restart_at_ms = now + c->pause_ms;
    child_say(c, "will be started again in milliseconds:", (int)c->pause_ms);
    c->pause_ms = c->pause_ms * 2 < RESTART_MAX_MS ? c->pause_ms * 2 : RESTART_MAX_MS;
}

static void reap(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        int status;
        child *c = s->children[i];
        if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid) {
            child_ended(s, c, status);
        }
    }
}

/* ---- the loop ---- */

static void on_signal(supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            continue;
        }
        if (!s->is_stopping) {
            s->is_stopping = true;
            s->stopping_at = 0;
            s->stop_since_ms = 0;
        } else {
            s->is_killing = true;
        }
    }
}

/* One after the other, so that players leave before the nodes that save them end. True when all
 * have ended. */
static bool stop_step(supervisor *s)
{
    while (s->stopping_at < s->count) {
        child *c = s->children[s->stopping_at];
        if (c->pid == 0) {
            s->stopping_at++;
            s->stop_since_ms = 0;
            continue;
        }
        if (s->stop_since_ms == 0) {
            s->stop_since_ms = clock_ms();
            (void)kill(c->pid, SIGTERM);
        }
        if (s->is_killing || clock_ms() - s->stop_since_ms > STOP_KILL_AFTER_MS) {
            (void)kill(c->pid, SIGKILL);
            s->exit_code = DURE_EXIT_FAILED;
        }
        return false;
    }
    return true;
}

static void start_due(supervisor *s)
{
    uint64_t now = clock_ms();
    for (size_t i = 0; i < s->count; i++) {
        child *c = s->children[i];
        if (c->pid == 0 && c->restart_at_ms != 0 && now >= c->restart_at_ms) {
            child_start(s, c);
        }
    }
}

static bool all_gave_up(const supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->children[i]->has_given_up) {
            return false;
        }
    }
    return true;
}

static void wait_for_something(supervisor *s, struct pollfd *fds)
{
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = s->signals, .events = POLLIN};
    for (size_t i = 0; i < s->count; i++) {
        if (s->children[i]->pipe >= 0) {
            fds[count++] = (struct pollfd){.fd = s->children[i]->pipe, .events = POLLIN};
        }
    }
    (void)poll(fds, count, 100);
    for (size_t i = 0; i < s->count; i++) {
        child_read(s->children[i]);
    }
}

int supervisor_run(supervisor *s)
{
    struct pollfd *fds = dure_mem_alloc_array(s->count + 1, sizeof *fds);
    if (fds == NULL) {
        return DURE_EXIT_FAILED;
    }
    for (size_t i = s->count; i > 0; i--) {
        child_start(s, s->children[i - 1]); /* any order would do; this one dials less in vain */
    }
    for (;;) {
        wait_for_something(s, fds);
        on_signal(s);
        reap(s);
        if (s->is_stopping) {
            if (stop_step(s)) {
                break;
            }
        } else if (all_gave_up(s)) {
            break;
        } else {
            start_due(s);
        }
    }
    dure_mem_free(fds);
    return s->exit_code;
}

/* ---- life ---- */

dure_err supervisor_create(supervisor **out_supervisor)
{
    supervisor *s = dure_mem_alloc(sizeof *s);
    sigset_t set;
    if (s == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    s->children = dure_mem_alloc_array(CHILDREN_MAX, sizeof(child *));
    if (s->children == NULL) {
        dure_mem_free(s);
        return DURE_ERR_NO_MEMORY;
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, &s->former);
    s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signals < 0) {
        dure_err err = dure_err_from_system(errno);
        supervisor_destroy(s);
        return err;
    }
    *out_supervisor = s;
    return DURE_OK;
}

dure_err supervisor_add(supervisor *s, const char *id, const supervisor_command *command)
{
    if (s->count == CHILDREN_MAX) {
        return DURE_ERR_FULL;
    }
    child *c = dure_mem_alloc(sizeof *c);
    if (c == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    c->id = dure_mem_strdup(id);
    c->command = *command;
    c->pipe = -1;
    if (c->id == NULL) {
        dure_mem_free(c);
        return DURE_ERR_NO_MEMORY;
    }
    s->children[s->count++] = c;
    return DURE_OK;
}

void supervisor_destroy(supervisor *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->children[i]->pipe >= 0) {
            (void)close(s->children[i]->pipe);
        }
        dure_mem_free(s->children[i]->id);
        dure_mem_free(s->children[i]);
    }
    if (s->signals >= 0) {
        (void)close(s->signals);
    }
    (void)sigprocmask(SIG_SETMASK, &s->former, NULL);
    dure_mem_free(s->children);
    dure_mem_free(s);
}
