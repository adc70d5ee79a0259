/* SPDX-License-Identifier: MIT
 *
 * Threads over pthreads (POSIX.1-2008).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"

struct dure_thread {
    pthread_t handle;
    dure_thread_fn fn;
    void *ctx;
    char name[16];
    atomic_uint holds; /* the thread's own, and that of who started it; acquire and release */
};

struct dure_mutex {
    pthread_mutex_t handle;
};

struct dure_cond {
    pthread_cond_t handle;
};

static void thread_release(dure_thread *thread)
{
    if (atomic_fetch_sub_explicit(&thread->holds, 1, memory_order_acq_rel) == 1) {
        dure_mem_free(thread);
    }
}

static void *thread_main(void *arg)
{
    dure_thread *thread = arg;
    (void)pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->ctx);
    thread_release(thread);
    return NULL;
}

/* What a fault of the thread's own code raises is not blocked: the system would end the process
 * without a word, past a sanitizer or a debugger. */
static void signals_of_others(sigset_t *out_set)
{
    static const int own[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    (void)sigfillset(out_set);
    for (size_t i = 0; i < DURE_COUNT_OF(own); i++) {
        (void)sigdelset(out_set, own[i]);
    }
}

/* The new thread has the mask of the one that starts it. */
static int thread_begin(dure_thread *thread)
{
    sigset_t blocked;
    sigset_t former;
    signals_of_others(&blocked);
    int error = pthread_sigmask(SIG_BLOCK, &blocked, &former);
    if (error != 0) {
        return error;
    }
    error = pthread_create(&thread->handle, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return error;
}

dure_err dure_thread_create(const char *name, dure_thread_fn fn, void *ctx,
                            dure_thread **out_thread)
{
    dure_thread *thread = dure_mem_alloc(sizeof *thread);
    if (thread == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    thread->fn = fn;
    thread->ctx = ctx;
    atomic_init(&thread->holds, 2);
    size_t len = strlen(name);
    memcpy(thread->name, name, len < sizeof thread->name ? len : sizeof thread->name - 1);
    int error = thread_begin(thread);
    if (error != 0) {
        dure_mem_free(thread);
        return dure_err_from_system(error);
    }
    *out_thread = thread;
    return DURE_OK;
}

void dure_thread_join(dure_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    int error = pthread_join(thread->handle, NULL);
    DURE_ASSERT(error == 0);
    thread_release(thread);
}

void dure_thread_detach(dure_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    int error = pthread_detach(thread->handle);
    DURE_ASSERT(error == 0);
    thread_release(thread);
}

dure_mutex *dure_mutex_create(void)
{
    dure_mutex *mutex = dure_mem_alloc(sizeof *mutex);
    if (mutex != NULL && pthread_mutex_init(&mutex->handle, NULL) != 0) {
        dure_mem_free(mutex);
        mutex = NULL;
    }
    return mutex;
}

void dure_mutex_destroy(dure_mutex *mutex)
{
    if (mutex != NULL) {
        (void)pthread_mutex_destroy(&mutex->handle);
        dure_mem_free(mutex);
    }
}

void dure_mutex_lock(dure_mutex *mutex)
{
    int error = pthread_mutex_lock(&mutex->handle);
    DURE_ASSERT(error == 0);
}

void dure_mutex_unlock(dure_mutex *mutex)
{
    int error = pthread_mutex_unlock(&mutex->handle);
    DURE_ASSERT(error == 0);
}

dure_cond *dure_cond_create(void)
{
    dure_cond *cond = dure_mem_alloc(sizeof *cond);
    pthread_condattr_t attributes;
    if (cond == NULL) {
        return NULL;
    }
    /* Waits with a time limit must not follow the wall clock when it is set. */
    if (pthread_condattr_init(&attributes) != 0) {
        dure_mem_free(cond);
        return NULL;
    }
    int error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) {
        error = pthread_cond_init(&cond->handle, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    if (error != 0) {
        dure_mem_free(cond);
        return NULL;
    }
    return cond;
}

void dure_cond_destroy(dure_cond *cond)
{
    if (cond != NULL) {
        (void)pthread_cond_destroy(&cond->handle);
        dure_mem_free(cond);
    }
}

void dure_cond_wait(dure_cond *cond, dure_mutex *mutex)
{
    int error = pthread_cond_wait(&cond->handle, &mutex->handle);
    DURE_ASSERT(error == 0);
}

bool dure_cond_wait_ms(dure_cond *cond, dure_mutex *mutex, uint32_t timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    int error = pthread_cond_timedwait(&cond->handle, &mutex->handle, &until);
    DURE_ASSERT(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

void dure_cond_signal(dure_cond *cond)
{
    (void)pthread_cond_signal(&cond->handle);
}

void dure_cond_broadcast(dure_cond *cond)
{
    (void)pthread_cond_broadcast(&cond->handle);
}
