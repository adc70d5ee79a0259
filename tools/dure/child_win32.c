/* SPDX-License-Identifier: MIT
 *
 * Processes by CreateProcess, in a job that ends them with us; their output by named pipes, since
 * anonymous ones cannot be read overlapped, all on one completion port. Processes have no signals
 * here, so none is asked to stop: who has the node's admin port does that.
 */
#include "tools/dure/child.h"

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path_win32.h"
#include "iocp/system.h"
#include "node/process.h"

#define COMMAND_BYTES_MAX 32767u /* what CreateProcess takes */
#define PIPE_BYTES        65536u
#define READ_BYTES        4096u
#define LAST_WORDS_MS     1000u /* a grandchild may hold the pipe open */
#define EXIT_BY_KILL      137u  /* as a shell names SIGKILL */

/* Exit codes from here on are what an exception left (NTSTATUS, severity error). */
#define EXCEPTION_FIRST 0xc0000000u

struct child_group {
    HANDLE port;
    HANDLE job;
    dure_stop_signals *signals;
    uint32_t pipe_count; /* made so far: a name for each */
    /* any thread, atomic */
    atomic_uint stops;
};

struct child {
    child_group *group;
    HANDLE process;
    uint32_t id;
    uint64_t ended_ms; /* 0: it runs, as far as we know */
    HANDLE pipe;       /* NULL: none, or it is at its end */
    OVERLAPPED read;
    bool is_reading; /* a packet will come to the port */
    size_t got;      /* bytes that nobody has taken yet */
    size_t taken;
    char bytes[READ_BYTES];
};

static dure_err last_error(void)
{
    return dure_err_from_system((int)GetLastError());
}

static uint64_t clock_ms(void)
{
    return dure_system_now_ns() / 1000000u;
}

/* ---- the group ---- */

/* On the thread of the signals. */
static void group_on_stop(void *ctx)
{
    child_group *group = ctx;
    atomic_fetch_add_explicit(&group->stops, 1, memory_order_release);
    (void)PostQueuedCompletionStatus(group->port, 0, 0, NULL);
}

static dure_err group_make_job(child_group *group)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    group->job = CreateJobObjectW(NULL, NULL);
    if (group->job == NULL ||
        !SetInformationJobObject(group->job, JobObjectExtendedLimitInformation, &limits,
                                 sizeof limits)) {
        return last_error();
    }
    return DURE_OK;
}

dure_err child_group_create(child_group **out_group)
{
    child_group *group = dure_mem_alloc(sizeof *group);
    if (group == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    /* Children inherit it: one that crashes ends, and waits for no click. */
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    group->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    dure_err err = group->port == NULL ? last_error() : group_make_job(group);
    if (err == DURE_OK) {
        err = dure_stop_signals_create(group_on_stop, group, &group->signals);
    }
    if (err != DURE_OK) {
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
    dure_stop_signals_destroy(group->signals);
    if (group->job != NULL) {
        (void)CloseHandle(group->job);
    }
    if (group->port != NULL) {
        (void)CloseHandle(group->port);
    }
    dure_mem_free(group);
}

static void child_close_pipe(child *c)
{
    if (c->pipe != NULL) {
        (void)CloseHandle(c->pipe);
        c->pipe = NULL;
    }
}

/* Takes one packet, of whichever child. False when none came in time. */
static bool group_take(child_group *group, uint32_t timeout_ms)
{
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *overlapped = NULL;
    BOOL is_good = GetQueuedCompletionStatus(group->port, &bytes, &key, &overlapped, timeout_ms);
    if (overlapped == NULL) {
        return is_good != FALSE; /* a stop, or nothing */
    }
    child *c = DURE_CONTAINER_OF(overlapped, child, read);
    DURE_ASSERT(c->is_reading);
    c->is_reading = false;
    c->got = is_good ? bytes : 0;
    c->taken = 0;
    if (c->got == 0) {
        child_close_pipe(c); /* nobody writes any more */
    }
    return true;
}

void child_group_wait(child_group *group, uint32_t timeout_ms)
{
    bool has_come = group_take(group, timeout_ms);
    while (has_come) {
        has_come = group_take(group, 0);
    }
}

uint32_t child_group_stops(child_group *group)
{
    return atomic_load_explicit(&group->stops, memory_order_acquire);
}

/* ---- programs ---- */

static bool find_exe(const char *folder, const char *program, char *out)
{
    char path[CHILD_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s%s.exe", folder, program);
    if (len < 0 || (size_t)len >= sizeof path || !dure_file_exists(path)) {
        return false;
    }
    memcpy(out, path, (size_t)len + 1);
    return true;
}

void child_find_program(const char *program, char *out)
{
    wchar_t wide[CHILD_PATH_MAX / 4];
    char self[CHILD_PATH_MAX];
    DWORD len = GetModuleFileNameW(NULL, wide, CHILD_PATH_MAX / 4);
    (void)snprintf(out, CHILD_PATH_MAX, "%s", program);
    if (strpbrk(program, "/\\:") != NULL) {
        /* To a path the system appends nothing. */
        if (!dure_file_exists(program)) {
            (void)find_exe("", program, out);
        }
        return;
    }
    if (len == 0 || len >= CHILD_PATH_MAX / 4 ||
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, self, sizeof self, NULL, NULL) == 0) {
        return;
    }
    char *slash = strrchr(self, '\\');
    if (slash != NULL) {
        slash[1] = '\0';
        (void)find_exe(self, program, out);
    }
}

dure_err child_become(const child_command *command)
{
    (void)command;
    return DURE_ERR_UNSUPPORTED;
}

/*
 * Appends one argument as the C library of the other side takes a command line apart: a quote needs
 * a backslash, and so does each backslash that stands before a quote.
 */
static dure_err line_append(dure_buf *line, const char *argument)
{
    size_t backslashes = 0;
    dure_err err = dure_buf_append(line, line->len > 0 ? " \"" : "\"", line->len > 0 ? 2 : 1);
    for (const char *at = argument; err == DURE_OK; at++) {
        bool is_end = *at == '\0';
        for (; err == DURE_OK && (is_end || *at == '"') && backslashes > 0; backslashes--) {
            err = dure_buf_append(line, "\\", 1);
        }
        if (err == DURE_OK && *at == '"') {
            err = dure_buf_append(line, "\\", 1);
        }
        if (is_end) {
            break;
        }
        backslashes = *at == '\\' ? backslashes + 1 : 0;
        err = err == DURE_OK ? dure_buf_append(line, at, 1) : err;
    }
    return err == DURE_OK ? dure_buf_append(line, "\"", 1) : err;
}

static dure_err line_of(const child_command *command, wchar_t **out_wide)
{
    dure_buf line;
    dure_buf_init(&line, COMMAND_BYTES_MAX);
    dure_err err = line_append(&line, command->program);
    for (size_t i = 1; err == DURE_OK && command->args[i] != NULL; i++) {
        err = line_append(&line, command->args[i]);
    }
    if (err == DURE_OK) {
        err = dure_buf_append(&line, "", 1);
    }
    if (err == DURE_OK) {
        err = dure_path_widen((const char *)line.data, 0, out_wide);
    }
    dure_buf_fini(&line);
    return err;
}

/* ---- starting ---- */

/* What the new process begins with. */
typedef struct start {
    STARTUPINFOEXW info;
    HANDLE handles[2]; /* stdin and the output: the only ones that it inherits */
    wchar_t *line;
} start;

static HANDLE open_inherited(const wchar_t *path, DWORD access)
{
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    HANDLE handle = CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherit,
                                OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    return handle == INVALID_HANDLE_VALUE ? NULL : handle;
}

static dure_err start_list_handles(start *self)
{
    SIZE_T size = 0;
    (void)InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    LPPROC_THREAD_ATTRIBUTE_LIST list = dure_mem_alloc(size);
    if (list == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    if (!InitializeProcThreadAttributeList(list, 1, 0, &size)) {
        dure_mem_free(list);
        return last_error();
    }
    self->info.lpAttributeList = list;
    return UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, self->handles,
                                     sizeof self->handles, NULL, NULL)
               ? DURE_OK
               : last_error();
}

/* The pipe of c, and its other end among the handles. */
static dure_err start_make_pipe(start *self, child *c)
{
    wchar_t name[64];
    (void)_snwprintf(name, DURE_COUNT_OF(name) - 1, L"\\\\.\\pipe\\dure-%lu-%u",
                     (unsigned long)GetCurrentProcessId(), (unsigned)c->group->pipe_count++);
    name[DURE_COUNT_OF(name) - 1] = L'\0';
    HANDLE pipe = CreateNamedPipeW(
        name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
        PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, 0,
        PIPE_BYTES, 0, NULL);
    if (pipe == INVALID_HANDLE_VALUE) {
        return last_error();
    }
    c->pipe = pipe;
    if (CreateIoCompletionPort(pipe, c->group->port, 0, 0) == NULL) {
        return last_error();
    }
    self->handles[1] = open_inherited(name, GENERIC_WRITE);
    return self->handles[1] != NULL ? DURE_OK : last_error();
}

static dure_err start_with_pipe(start *self, child *c)
{
    self->handles[0] = open_inherited(L"NUL", GENERIC_READ);
    dure_err err = self->handles[0] != NULL ? start_make_pipe(self, c) : last_error();
    if (err == DURE_OK) {
        err = start_list_handles(self);
    }
    self->info.StartupInfo.hStdInput = self->handles[0];
    self->info.StartupInfo.hStdOutput = self->handles[1];
    self->info.StartupInfo.hStdError = self->handles[1];
    return err;
}

static HANDLE own_handle(DWORD which)
{
    HANDLE handle = GetStdHandle(which);
    if (handle != NULL && handle != INVALID_HANDLE_VALUE) {
        (void)SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    }
    return handle;
}

static dure_err start_init(start *self, child *c, const child_command *command, bool with_pipe)
{
    memset(self, 0, sizeof *self);
    self->info.StartupInfo.cb = sizeof self->info;
    self->info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    dure_err err = line_of(command, &self->line);
    if (err == DURE_OK && with_pipe) {
        err = start_with_pipe(self, c);
    } else if (err == DURE_OK) {
        self->info.StartupInfo.hStdInput = own_handle(STD_INPUT_HANDLE);
        self->info.StartupInfo.hStdOutput = own_handle(STD_OUTPUT_HANDLE);
        self->info.StartupInfo.hStdError = own_handle(STD_ERROR_HANDLE);
    }
    return err;
}

static void start_fini(start *self)
{
    for (size_t i = 0; i < DURE_COUNT_OF(self->handles); i++) {
        if (self->handles[i] != NULL) {
            (void)CloseHandle(self->handles[i]);
        }
    }
    if (self->info.lpAttributeList != NULL) {
        DeleteProcThreadAttributeList(self->info.lpAttributeList);
        dure_mem_free(self->info.lpAttributeList);
    }
    dure_mem_free(self->line);
}

/* What it writes ends on our stderr, so its form is that of our stderr. */
static void choose_log_format(void)
{
    if (GetEnvironmentVariableW(L"DURE_LOG_FORMAT", NULL, 0) == 0) {
        (void)SetEnvironmentVariableW(L"DURE_LOG_FORMAT",
                                      dure_process_has_terminal() ? L"logfmt" : L"json");
    }
}

/* It runs first when it is in the job. A process group of its own has no Ctrl-C. */
static dure_err child_run(child *c, start *begin)
{
    PROCESS_INFORMATION made;
    const DWORD flags = CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
    if (!CreateProcessW(NULL, begin->line, NULL, NULL, TRUE, flags, NULL, NULL,
                        &begin->info.StartupInfo, &made)) {
        return last_error();
    }
    dure_err err = DURE_OK;
    c->process = made.hProcess;
    c->id = made.dwProcessId;
    if (!AssignProcessToJobObject(c->group->job, made.hProcess) ||
        ResumeThread(made.hThread) == (DWORD)-1) {
        err = last_error();
    }
    (void)CloseHandle(made.hThread);
    return err;
}

/* Lets the next bytes come to the port. */
static void child_post_read(child *c)
{
    if (c->pipe == NULL || c->is_reading || c->got > 0) {
        return;
    }
    memset(&c->read, 0, sizeof c->read);
    c->is_reading = true;
    if (!ReadFile(c->pipe, c->bytes, sizeof c->bytes, NULL, &c->read) &&
        GetLastError() != ERROR_IO_PENDING) {
        c->is_reading = false;
        child_close_pipe(c);
    }
}

dure_err child_start(child_group *group, const child_command *command, bool with_pipe,
                     child **out_child)
{
    start begin;
    child *c = dure_mem_alloc(sizeof *c);
    if (c == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    c->group = group;
    choose_log_format();
    (void)SetEnvironmentVariableW(L"DURE_SUPERVISED", with_pipe ? L"1" : NULL);
    dure_err err = start_init(&begin, c, command, with_pipe);
    if (err == DURE_OK) {
        err = child_run(c, &begin);
    }
    start_fini(&begin);
    if (err != DURE_OK) {
        child_destroy(c);
        return err;
    }
    child_post_read(c);
    *out_child = c;
    return DURE_OK;
}

/* ---- a child's life ---- */

void child_destroy(child *c)
{
    if (c == NULL) {
        return;
    }
    child_kill(c);
    if (c->is_reading) {
        (void)CancelIoEx(c->pipe, &c->read);
    }
    while (c->is_reading) {
        (void)group_take(c->group, INFINITE);
    }
    child_close_pipe(c);
    if (c->process != NULL) {
        (void)CloseHandle(c->process);
    }
    dure_mem_free(c);
}

uint64_t child_id(const child *c)
{
    return c->id;
}

size_t child_read(child *c, char *out, size_t size)
{
    size_t left = c->got - c->taken;
    size_t count = left < size ? left : size;
    memcpy(out, c->bytes + c->taken, count);
    c->taken += count;
    if (c->taken == c->got) {
        c->got = 0;
        c->taken = 0;
        child_post_read(c);
    }
    return count;
}

bool child_has_ended(child *c, child_end *out_end)
{
    DWORD code = 0;
    if (c->ended_ms == 0 && WaitForSingleObject(c->process, 0) != WAIT_OBJECT_0) {
        return false;
    }
    c->ended_ms = c->ended_ms == 0 ? clock_ms() : c->ended_ms;
    /* What it wrote last comes by packets, before the end of the pipe. */
    if ((c->pipe != NULL || c->got > 0) && clock_ms() - c->ended_ms < LAST_WORDS_MS) {
        return false;
    }
    (void)GetExitCodeProcess(c->process, &code);
    out_end->is_exit = code < EXCEPTION_FIRST;
    out_end->number = code;
    out_end->word = out_end->is_exit ? "exit code" : "exception";
    return true;
}

dure_err child_ask_to_stop(child *c)
{
    (void)c;
    return DURE_ERR_UNSUPPORTED;
}

void child_kill(child *c)
{
    if (c->process != NULL && WaitForSingleObject(c->process, 0) != WAIT_OBJECT_0) {
        (void)TerminateProcess(c->process, EXIT_BY_KILL);
    }
}
