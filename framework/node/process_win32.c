/* SPDX-License-Identifier: MIT
 *
 * Windows' half of node/process.h. The system calls a console handler on a thread of its own, so
 * nothing is interrupted in the middle.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/path_win32.h"
#include "iocp/system.h"
#include "node/process.h"

#define EXIT_BY_INTERRUPT 130

struct dure_stop_signals {
    void (*on_stop)(void *ctx);
    void *ctx;
    HANDLE ended; /* set by destroy: the process may go */
};

/* A console handler is given nothing of ours; one at a time in a process. */
static _Atomic(dure_stop_signals *) current;
static atomic_uint stops;

uint64_t dure_process_id(void)
{
    return GetCurrentProcessId();
}

bool dure_process_is_running(uint64_t pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
    if (process == NULL) {
        return GetLastError() == ERROR_ACCESS_DENIED;
    }
    bool is_running = WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    (void)CloseHandle(process);
    return is_running;
}

bool dure_process_has_terminal(void)
{
    DWORD mode = 0;
    return GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode) != FALSE;
}

uint64_t dure_process_wall_ms(void *unused)
{
    (void)unused;
    return dure_system_wall_ms();
}

void dure_process_pause_ms(uint32_t ms)
{
    Sleep(ms);
}

/* The window was closed, or the user leaves: when the handler returns the process is gone. */
static bool is_last_call(DWORD event)
{
    return event == CTRL_CLOSE_EVENT || event == CTRL_LOGOFF_EVENT || event == CTRL_SHUTDOWN_EVENT;
}

static BOOL WINAPI on_console_event(DWORD event)
{
    dure_stop_signals *signals = atomic_load_explicit(&current, memory_order_acquire);
    if (signals == NULL) {
        return FALSE;
    }
    if (atomic_fetch_add_explicit(&stops, 1, memory_order_relaxed) > 0) {
        ExitProcess(EXIT_BY_INTERRUPT);
    }
    HANDLE ended = signals->ended;
    signals->on_stop(signals->ctx);
    if (is_last_call(event)) {
        (void)WaitForSingleObject(ended, INFINITE); /* the system sets the bound, 5 s */
    }
    return TRUE;
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
    signals->ended = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (signals->ended == NULL) {
        dure_mem_free(signals);
        return dure_err_from_system((int)GetLastError());
    }
    atomic_store_explicit(&stops, 0, memory_order_relaxed);
    atomic_store_explicit(&current, signals, memory_order_release);
    if (!SetConsoleCtrlHandler(on_console_event, TRUE)) {
        dure_err err = dure_err_from_system((int)GetLastError());
        dure_stop_signals_destroy(signals);
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
    atomic_store_explicit(&current, NULL, memory_order_release);
    (void)SetConsoleCtrlHandler(on_console_event, FALSE);
    (void)SetEvent(signals->ended);
    /* The event's handle is left to the end of the process: a handler may still wait for it. */
    dure_mem_free(signals);
}

/* A file that is open without sharing, which ends with the process. */
dure_err dure_folder_lock(const char *folder, void **out_lock)
{
    static const wchar_t name[] = L"\\lock";
    wchar_t *path = NULL;
    dure_err err = dure_path_widen(folder, DURE_COUNT_OF(name), &path);
    if (err != DURE_OK) {
        return err;
    }
    memcpy(path + wcslen(path), name, sizeof name);
    HANDLE lock = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD system_error = lock == INVALID_HANDLE_VALUE ? GetLastError() : ERROR_SUCCESS;
    dure_mem_free(path);
    if (system_error == ERROR_SHARING_VIOLATION) {
        return DURE_ERR_EXISTS;
    }
    if (system_error != ERROR_SUCCESS) {
        return dure_err_from_system((int)system_error);
    }
    *out_lock = lock;
    return DURE_OK;
}

void dure_folder_unlock(void *lock)
{
    if (lock != NULL) {
        (void)CloseHandle(lock);
    }
}
