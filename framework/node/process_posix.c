/* SPDX-License-Identifier: MIT
 *
 * POSIX's half of node/process.h. Signals are blocked in all threads and waited for by one
 * (sigwait(3)), so no handler runs in the middle of anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "node/process.h"

struct dure_stop_signals {
    dure_thread *thread;
    sigset_t set;
    void (*on_stop)(void *ctx);
    void *ctx;
};

void dure_process_arguments(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
}

uint64_t dure_process_id(void)
{
    return (uint64_t)getpid();
}

bool dure_process_is_running(uint64_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

bool dure_process_is_supervised(void)
{
    /* Safe, since nothing here changes the environment. NOLINTBEGIN(concurrency-mt-unsafe) */
    const char *systemd_child = getenv("SYSTEMD_EXEC_PID"); /* what a service starts inherits it */
    return getenv("DURE_SUPERVISED") != NULL ||
           (systemd_child != NULL && strtoull(systemd_child, NULL, 10) == dure_process_id());
    /* NOLINTEND(concurrency-mt-unsafe) */
}

bool dure_process_has_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

uint64_t dure_process_wall_ms(void *unused)
{
    struct timespec now;
    (void)unused;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void dure_process_pause_ms(uint32_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
    (void)nanosleep(&pause, NULL);
}

static void signals_main(void *ctx)
{
    dure_stop_signals *signals = ctx;
    unsigned stops = 0;
    for (;;) {
        int number = 0;
        if (sigwait(&signals->set, &number) != 0) {
            continue;
        }
        if (number == SIGUSR2) {
            return; /* dure_stop_signals_destroy */
        }
        DURE_ASSERT(number == SIGINT || number == SIGTERM);
        if (stops++ > 0) {
            _exit(130);
        }
        signals->on_stop(signals->ctx);
    }
}

dure_err dure_stop_signals_create(void (*on_stop)(void *ctx), void *ctx,
                                  dure_stop_signals **out_signals)
{
    dure_stop_signals *signals = dure_mem_alloc(sizeof *signals);
    if (signals == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    signals->on_stop = on_stop;
    signals->ctx = ctx;
    (void)sigemptyset(&signals->set);
    (void)sigaddset(&signals->set, SIGINT);
    (void)sigaddset(&signals->set, SIGTERM);
    (void)sigaddset(&signals->set, SIGUSR2);
    (void)signal(SIGPIPE, SIG_IGN);
    int error = pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
    dure_err err = error == 0
                       ? dure_thread_create("signals", signals_main, signals, &signals->thread)
                       : dure_err_from_system(error);
    if (err != DURE_OK) {
        dure_mem_free(signals);
        return err;
    }
    *out_signals = signals;
    return DURE_OK;
}

void dure_stop_signals_destroy(dure_stop_signals *signals)
{
    if (signals == NULL) {
        return;
    }
    /* To the process: every thread has it blocked, so the one that waits takes it. */
    (void)kill(getpid(), SIGUSR2);
    dure_thread_join(signals->thread);
    dure_mem_free(signals);
}

dure_err dure_folder_lock(const char *folder, void **out_lock)
{
    char path[4200];
    int *lock = dure_mem_alloc(sizeof *lock);
    if (lock == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    size_t len = strlen(folder);
    if (len + sizeof "/lock" > sizeof path) {
        dure_mem_free(lock);
        return DURE_ERR_TOO_LARGE;
    }
    memcpy(path, folder, len);
    memcpy(path + len, "/lock", sizeof "/lock");
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error = *lock < 0 ? errno : 0;
    if (error == 0 && flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        error = errno;
        (void)close(*lock);
    }
    if (error != 0) {
        dure_mem_free(lock);
        return error == EWOULDBLOCK ? DURE_ERR_EXISTS : dure_err_from_system(error);
    }
    *out_lock = lock;
    return DURE_OK;
}

void dure_folder_unlock(void *lock)
{
    if (lock != NULL) {
        (void)close(*(int *)lock);
        dure_mem_free(lock);
    }
}
