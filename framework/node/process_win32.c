/* SPDX-License-Identifier: MIT
 *
 * Windows' half of node/process.h. The system calls a console handler on a thread of its own, so
 * nothing is interrupted in the middle.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <shellapi.h> /* needs what stands above it */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path_win32.h"
#include "iocp/system.h"
#include "node/process.h"

#define EXIT_BY_INTERRUPT 130

struct dure_stop_signals {
    void (*on_stop)(void *ctx);
    void *ctx;
};

/* A console handler is given nothing of ours; one at a time in a process. The lock keeps the object
   while a handler uses it. */
static SRWLOCK current_lock = SRWLOCK_INIT;
static dure_stop_signals *current; /* under current_lock */
static unsigned stops;             /* under current_lock */

/* One argument in UTF-8; NULL when there is no memory, or it is not UTF-16. */
static char *argument_of(const wchar_t *wide)
{
    int size = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, NULL, 0, NULL, NULL);
    char *argument = size > 0 ? dure_mem_alloc((size_t)size) : NULL;
    if (argument != NULL) {
        (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, argument, size, NULL, NULL);
    }
    return argument;
}

void dure_process_arguments(int *argc, char ***argv)
{
    int count = 0;
    /* What is printed is UTF-8 too; without a console this does nothing. */
    (void)SetConsoleOutputCP(CP_UTF8);
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **arguments =
        wide != NULL ? dure_mem_alloc_array((size_t)count + 1, sizeof *arguments) : NULL;
    bool is_good = arguments != NULL;
    for (int i = 0; i < count && is_good; i++) {
        arguments[i] = argument_of(wide[i]);
        is_good = arguments[i] != NULL;
    }
    (void)LocalFree(wide);
    if (is_good) {
        *argc = count;
        *argv = arguments; /* until the process ends, as those that main was given */
    }
}

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

bool dure_process_is_supervised(void)
{
    /* Safe, since nothing here changes the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    return getenv("DURE_SUPERVISED") != NULL;
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

/* Whether there is somebody to tell, and has been told. */
static bool tell(void)
{
    AcquireSRWLockExclusive(&current_lock);
    bool is_first = current != NULL && stops++ == 0;
    bool is_again = current != NULL && !is_first;
    if (is_first) {
        current->on_stop(current->ctx);
    }
    ReleaseSRWLockExclusive(&current_lock);
    if (is_again) {
        ExitProcess(EXIT_BY_INTERRUPT);
    }
    return is_first;
}

static BOOL WINAPI on_console_event(DWORD event)
{
    if (!tell()) {
        return FALSE;
    }
    if (is_last_call(event)) {
        Sleep(INFINITE); /* main's return ends the process, and this thread; the system waits 5 s */
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
    AcquireSRWLockExclusive(&current_lock);
    current = signals;
    stops = 0;
    ReleaseSRWLockExclusive(&current_lock);
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
    (void)SetConsoleCtrlHandler(on_console_event, FALSE);
    AcquireSRWLockExclusive(&current_lock);
    current = NULL;
    ReleaseSRWLockExclusive(&current_lock);
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
