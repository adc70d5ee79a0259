/* SPDX-License-Identifier: MIT
 *
 * Standard error by WriteFile. A pipe here cannot be asked whether it has room, so what has to be
 * over in time is written by a thread that may be left behind.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <string.h>

#include "base/log_out.h"

#define WITHIN_BYTES_MAX 4096u

void dure_log_out_open(void)
{
    /* A process without it has no handle, and no file takes its place. */
}

size_t dure_log_out_write(const char *bytes, size_t len)
{
    HANDLE handle = GetStdHandle(STD_ERROR_HANDLE);
    size_t done = 0;
    while (done < len && handle != NULL && handle != INVALID_HANDLE_VALUE) {
        DWORD put = 0;
        if (!WriteFile(handle, bytes + done, (DWORD)(len - done), &put, NULL) || put == 0) {
            break;
        }
        done += put;
    }
    return done;
}

typedef struct words {
    size_t len;
    char bytes[WITHIN_BYTES_MAX];
} words;

static DWORD WINAPI words_main(void *arg)
{
    const words *self = arg;
    (void)dure_log_out_write(self->bytes, self->len);
    return 0;
}

void dure_log_out_write_within(const char *bytes, size_t len, uint32_t timeout_ms)
{
    static words said; /* the thread may outlive the call; nobody says more than one last word */
    said.len = len < sizeof said.bytes ? len : sizeof said.bytes;
    memcpy(said.bytes, bytes, said.len);
    HANDLE thread = CreateThread(NULL, 0, words_main, &said, 0, NULL);
    if (thread != NULL) {
        (void)WaitForSingleObject(thread, timeout_ms);
        (void)CloseHandle(thread);
    }
}

uint64_t dure_log_out_process(void)
{
    return GetCurrentProcessId();
}
