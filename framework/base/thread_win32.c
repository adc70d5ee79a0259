/* SPDX-License-Identifier: MIT
 *
 * Threads over Win32: slim locks and condition variables, which need no clean-up and cannot fail.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <process.h>
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"

struct dure_thread {
    HANDLE handle;
    dure_thread_fn fn;
    void *ctx;
    char name[16];
    atomic_uint holds; /* the thread's own, and that of who started it; acquire and release */
};

struct dure_mutex {
    SRWLOCK lock;
};

struct dure_cond {
    CONDITION_VARIABLE variable;
};

typedef HRESULT(WINAPI *set_description_fn)(HANDLE thread, PCWSTR description);

/* SetThreadDescription came with Windows 10, 1607: asked for by name, missed without harm. */
static void thread_name(const char *name)
{
    WCHAR wide[16];
    set_description_fn set_description = NULL;
    FARPROC found = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "SetThreadDescription");
    memcpy(&set_description, &found, sizeof set_description);
    if (set_description != NULL &&
        MultiByteToWideChar(CP_UTF8, 0, name, -1, wide, (int)DURE_COUNT_OF(wide)) > 0) {
        (void)set_description(GetCurrentThread(), wide);
    }
}

static void thread_release(dure_thread *thread)
{
    if (atomic_fetch_sub_explicit(&thread->holds, 1, memory_order_acq_rel) == 1) {
        dure_mem_free(thread);
    }
}

static unsigned __stdcall thread_main(void *arg)
{
    dure_thread *thread = arg;
    thread_name(thread->name);
    thread->fn(thread->ctx);
    thread_release(thread);
    return 0;
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
    /* Not CreateThread: the C library keeps things for each of its threads. */
    uintptr_t handle = _beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    if (handle == 0) {
        dure_mem_free(thread);
        return dure_err_from_system((int)GetLastError());
    }
    thread->handle = (HANDLE)handle;
    *out_thread = thread;
    return DURE_OK;
}

void dure_thread_join(dure_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    DWORD result = WaitForSingleObject(thread->handle, INFINITE);
    DURE_ASSERT(result == WAIT_OBJECT_0);
    (void)CloseHandle(thread->handle);
    thread_release(thread);
}

void dure_thread_detach(dure_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    (void)CloseHandle(thread->handle);
    thread_release(thread);
}

dure_mutex *dure_mutex_create(void)
{
    dure_mutex *mutex = dure_mem_alloc(sizeof *mutex);
    if (mutex != NULL) {
        InitializeSRWLock(&mutex->lock);
    }
    return mutex;
}

void dure_mutex_destroy(dure_mutex *mutex)
{
    dure_mem_free(mutex);
}

void dure_mutex_lock(dure_mutex *mutex)
{
    AcquireSRWLockExclusive(&mutex->lock);
}

void dure_mutex_unlock(dure_mutex *mutex)
{
    ReleaseSRWLockExclusive(&mutex->lock);
}

dure_cond *dure_cond_create(void)
{
    dure_cond *cond = dure_mem_alloc(sizeof *cond);
    if (cond != NULL) {
        InitializeConditionVariable(&cond->variable);
    }
    return cond;
}

void dure_cond_destroy(dure_cond *cond)
{
    dure_mem_free(cond);
}

void dure_cond_wait(dure_cond *cond, dure_mutex *mutex)
{
    BOOL is_awake = SleepConditionVariableSRW(&cond->variable, &mutex->lock, INFINITE, 0);
    DURE_ASSERT(is_awake);
}

bool dure_cond_wait_ms(dure_cond *cond, dure_mutex *mutex, uint32_t timeout_ms)
{
    DWORD wait_ms = timeout_ms == INFINITE ? INFINITE - 1 : timeout_ms;
    BOOL is_awake = SleepConditionVariableSRW(&cond->variable, &mutex->lock, wait_ms, 0);
    DURE_ASSERT(is_awake || GetLastError() == ERROR_TIMEOUT);
    return is_awake != FALSE;
}

void dure_cond_signal(dure_cond *cond)
{
    WakeConditionVariable(&cond->variable);
}

void dure_cond_broadcast(dure_cond *cond)
{
    WakeAllConditionVariable(&cond->variable);
}
