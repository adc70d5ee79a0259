/* SPDX-License-Identifier: MIT
 *
 * Standard error by write(2) and poll(2). The descriptor stays as it is: O_NONBLOCK would count for
 * everyone who shares the terminal or the pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/log_out.h"

#define PIPE_FREE_BYTES 4096u /* a pipe that poll(2) calls writable has room for so many */

void dure_log_out_open(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", O_RDWR); /* the lowest that is free: this one */
        }
    }
}

static int wait_until_writable(int timeout_ms)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, timeout_ms);
}

size_t dure_log_out_write(const char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t put = write(STDERR_FILENO, bytes + done, len - done);
        if (put > 0) {
            done += (size_t)put;
        } else if (put < 0 && errno == EAGAIN) {
            (void)wait_until_writable(-1); /* somebody else made it non-blocking */
        } else if (put == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

void dure_log_out_write_within(const char *bytes, size_t len, uint32_t timeout_ms)
{
    if (wait_until_writable((int)timeout_ms) > 0) {
        ssize_t ignored =
            write(STDERR_FILENO, bytes, len < PIPE_FREE_BYTES ? len : PIPE_FREE_BYTES);
        (void)ignored;
    }
}

uint64_t dure_log_out_process(void)
{
    return (uint64_t)getpid();
}
