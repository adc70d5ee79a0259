/* SPDX-License-Identifier: MIT
 *
 * Windows' half of harness_process.h. Each process lies in a job that ends with our handle of it,
 * and so with the test. There is no way to ask one to stop; to hold one where it is takes two
 * functions of ntdll that are not documented, but have been there since Windows XP.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>

#include <ws2tcpip.h>

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/path_win32.h"
#include "harness_process.h"
#include "node/process.h"

#define COMMAND_BYTES  32000u /* CreateProcessW takes 32,767 characters */
#define END_MS         10000u
#define START_TRIES    3u
#define START_PAUSE_MS 100u

struct harness_process {
    HANDLE process;
    HANDLE job;
    bool is_killed;
};

struct harness_watchdog {
    HANDLE pipe; /* whoever reads its other end learns of our end */
};

/* ---- command lines ---- */

/* One argument in the quotes that the C run-time takes apart again; those that are needed here hold
 * no quotes of their own. */
static bool append_argument(char *command, size_t *len, const char *argument)
{
    int added =
        snprintf(command + *len, COMMAND_BYTES - *len, "%s\"%s\"", *len > 0 ? " " : "", argument);
    *len += added > 0 ? (size_t)added : 0;
    return added > 0 && *len < COMMAND_BYTES && strchr(argument, '"') == NULL;
}

static dure_err make_command(char *const *args, wchar_t **out_command)
{
    size_t len = 0;
    char *command = dure_mem_alloc(COMMAND_BYTES);
    if (command == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = DURE_OK;
    for (size_t i = 0; args[i] != NULL && err == DURE_OK; i++) {
        err = append_argument(command, &len, args[i]) ? DURE_OK : DURE_ERR_TOO_LARGE;
    }
    if (err == DURE_OK) {
        err = dure_path_widen(command, 0, out_command);
    }
    dure_mem_free(command);
    return err;
}

/* A handle that children inherit; INVALID_HANDLE_VALUE where it cannot be had. */
static HANDLE open_inherited(const char *path, DWORD access, DWORD disposition)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    wchar_t *wide = NULL;
    if (dure_path_widen(path, 0, &wide) != DURE_OK) {
        return INVALID_HANDLE_VALUE;
    }
    HANDLE file = CreateFileW(wide, access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                              disposition, FILE_ATTRIBUTE_NORMAL, NULL);
    dure_mem_free(wide);
    return file;
}

/* 0, or the system's error. */
static int start_command(wchar_t *command, HANDLE input, HANDLE output, DWORD flags,
                         PROCESS_INFORMATION *out_started)
{
    STARTUPINFOW start = {.cb = sizeof start,
                          .dwFlags = STARTF_USESTDHANDLES,
                          .hStdInput = input,
                          .hStdOutput = output,
                          .hStdError = output};
    return CreateProcessW(NULL, command, NULL, NULL, TRUE, flags, NULL, NULL, &start, out_started)
               ? 0
               : (int)GetLastError();
}

/* ---- processes ---- */

static HANDLE make_job(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (job != NULL) {
        (void)SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits,
                                      sizeof limits);
    }
    return job;
}

/* 0, or the system's error. */
static int process_run(harness_process *process, wchar_t *command, const char *log_path)
{
    PROCESS_INFORMATION started = {0};
    HANDLE log = open_inherited(log_path, FILE_APPEND_DATA | SYNCHRONIZE, OPEN_ALWAYS);
    HANDLE nothing = open_inherited("NUL", GENERIC_READ, OPEN_EXISTING);
    int system_error =
        log != INVALID_HANDLE_VALUE && nothing != INVALID_HANDLE_VALUE ? 0 : (int)GetLastError();
    if (system_error == 0) {
        (void)SetEnvironmentVariableW(L"DURE_SET", NULL);
        (void)SetEnvironmentVariableW(L"DURE_LOG_FORMAT", L"logfmt");
        system_error = start_command(command, nothing, log,
                                     CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP, &started);
    }
    if (system_error == 0) {
        process->process = started.hProcess;
        (void)AssignProcessToJobObject(process->job, started.hProcess);
        (void)ResumeThread(started.hThread);
        (void)CloseHandle(started.hThread);
    }
    if (log != INVALID_HANDLE_VALUE) {
        (void)CloseHandle(log);
    }
    if (nothing != INVALID_HANDLE_VALUE) {
        (void)CloseHandle(nothing);
    }
    return system_error;
}

/* Wine 8 fails so once in some thousand times: the process has ended before its first instruction,
 * and the next one lives. */
static int process_try(harness_process *process, wchar_t *command, const char *log_path)
{
    int system_error = ERROR_INTERNAL_ERROR;
    for (unsigned i = 0; i < START_TRIES && system_error == ERROR_INTERNAL_ERROR; i++) {
        dure_process_pause_ms(i * START_PAUSE_MS);
        system_error = process_run(process, command, log_path);
    }
    return system_error;
}

dure_err harness_process_start(char *const *args, const char *log_path, int *out_system_error,
                               harness_process **out_process)
{
    wchar_t *command = NULL;
    harness_process *process = dure_mem_alloc(sizeof *process);
    if (process == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    process->job = make_job();
    *out_system_error = process->job != NULL ? 0 : (int)GetLastError();
    dure_err err = process->job != NULL ? make_command(args, &command) : DURE_ERR_SYSTEM;
    if (err == DURE_OK) {
        *out_system_error = process_try(process, command, log_path);
        err = dure_err_from_system(*out_system_error);
    }
    dure_mem_free(command);
    if (err != DURE_OK) {
        harness_process_destroy(process);
        return err;
    }
    *out_process = process;
    return DURE_OK;
}

/* Calls NtSuspendProcess or NtResumeProcess. */
static dure_err process_call(const harness_process *process, const char *function)
{
    LONG(NTAPI * call)(HANDLE process) = NULL;
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    FARPROC found = ntdll != NULL ? GetProcAddress(ntdll, function) : NULL;
    memcpy(&call, &found, sizeof call);
    if (call == NULL) {
        return DURE_ERR_UNSUPPORTED;
    }
    return call(process->process) >= 0 ? DURE_OK : DURE_ERR_SYSTEM;
}

dure_err harness_process_suspend(harness_process *process)
{
    return process_call(process, "NtSuspendProcess");
}

dure_err harness_process_continue(harness_process *process)
{
    return process_call(process, "NtResumeProcess");
}

dure_err harness_process_ask(harness_process *process)
{
    (void)process; /* Ctrl-Break goes to those of the same console alone */
    return DURE_ERR_UNSUPPORTED;
}

void harness_process_kill(harness_process *process)
{
    process->is_killed = true;
    (void)TerminateProcess(process->process, EXIT_FAILURE);
}

bool harness_process_wait(harness_process *process, uint32_t ms, int *out_exit_code)
{
    DWORD code = 0;
    *out_exit_code = 0;
    if (WaitForSingleObject(process->process, ms) != WAIT_OBJECT_0) {
        return false;
    }
    (void)GetExitCodeProcess(process->process, &code);
    *out_exit_code = process->is_killed ? -1 : (int)code;
    return true;
}

void harness_process_destroy(harness_process *process)
{
    if (process == NULL) {
        return;
    }
    if (process->process != NULL) {
        harness_process_kill(process);
        (void)WaitForSingleObject(process->process, END_MS);
        (void)CloseHandle(process->process);
    }
    if (process->job != NULL) {
        (void)CloseHandle(process->job);
    }
    dure_mem_free(process);
}

/* ---- the watchdog ---- */

/* `more` ends when its input does, which is when our process does. */
dure_err harness_watchdog_start(const char *folder, harness_watchdog **out_watchdog)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    PROCESS_INFORMATION started = {0};
    HANDLE input = NULL;
    HANDLE nothing = INVALID_HANDLE_VALUE;
    wchar_t *command = NULL;
    char text[MAX_PATH + 64];
    harness_watchdog *watchdog = dure_mem_alloc(sizeof *watchdog);
    if (watchdog == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    (void)snprintf(text, sizeof text, "cmd.exe /d /c \"more >NUL & rmdir /s /q \"%s\"\"", folder);
    for (char *at = text + strlen("cmd.exe /d /c"); *at != '\0'; at++) {
        /* rmdir takes a slash for an option. */
        if (*at == '/' && at[1] != 's' && at[1] != 'q') {
            *at = '\\';
        }
    }
    dure_err err = dure_path_widen(text, 0, &command);
    if (err == DURE_OK && !CreatePipe(&input, &watchdog->pipe, &inherited, 0)) {
        err = dure_err_from_system((int)GetLastError());
    }
    if (err == DURE_OK) {
        (void)SetHandleInformation(watchdog->pipe, HANDLE_FLAG_INHERIT, 0);
        nothing = open_inherited("NUL", GENERIC_WRITE, OPEN_EXISTING);
        err = dure_err_from_system(start_command(
            command, input, nothing, CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP, &started));
    }
    if (err == DURE_OK) {
        (void)CloseHandle(started.hThread);
        (void)CloseHandle(started.hProcess);
    }
    if (input != NULL) {
        (void)CloseHandle(input);
    }
    if (nothing != INVALID_HANDLE_VALUE) {
        (void)CloseHandle(nothing);
    }
    dure_mem_free(command);
    if (err != DURE_OK) {
        harness_watchdog_stop(watchdog);
        return err;
    }
    *out_watchdog = watchdog;
    return DURE_OK;
}

void harness_watchdog_stop(harness_watchdog *watchdog)
{
    if (watchdog != NULL) {
        if (watchdog->pipe != NULL) {
            (void)CloseHandle(watchdog->pipe);
        }
        dure_mem_free(watchdog);
    }
}

/* ---- programs and ports ---- */

static bool try_program(const char *folder, size_t folder_len, const char *program, char *out_path,
                        uint32_t out_size)
{
    const char *ending = strstr(program, ".exe") != NULL ? "" : ".exe";
    int len = snprintf(out_path, out_size, "%.*s%s%s%s", (int)folder_len, folder,
                       folder_len > 0 ? "\\" : "", program, ending);
    return len > 0 && (uint32_t)len < out_size && dure_file_exists(out_path);
}

dure_err harness_find_program(const char *program, const char *folder, char *out_path,
                              uint32_t out_size)
{
    if (strpbrk(program, "/\\") != NULL) {
        return try_program("", 0, program, out_path, out_size) ? DURE_OK : DURE_ERR_NOT_FOUND;
    }
    if (folder != NULL && try_program(folder, strlen(folder), program, out_path, out_size)) {
        return DURE_OK;
    }
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ";");
        if (len > 0 && try_program(path, len, program, out_path, out_size)) {
            return DURE_OK;
        }
        path += len + (path[len] == ';');
    }
    return DURE_ERR_NOT_FOUND;
}

/* Asked before any core is there, so Winsock is begun and ended here. */
bool harness_port_is_free(uint16_t port)
{
    WSADATA data;
    BOOL exclusive = TRUE;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        return false;
    }
    SOCKET probe = socket(AF_INET, SOCK_STREAM, 0);
    bool is_free = false;
    if (probe != INVALID_SOCKET) {
        (void)setsockopt(probe, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&exclusive,
                         sizeof exclusive);
        is_free = bind(probe, (const struct sockaddr *)(const void *)&address, sizeof address) == 0;
        (void)closesocket(probe);
    }
    (void)WSACleanup();
    return is_free;
}
