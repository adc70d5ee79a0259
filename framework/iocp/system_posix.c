/* SPDX-License-Identifier: MIT
 *
 * Clocks, entropy and the descriptor limit on Linux.
 */
#include "iocp/system.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

/* For files, databases, and to be able to say what went wrong: of few descriptors a quarter. What a
 * node keeps free of clients is a setting of its own and larger. */
#define DESCRIPTORS_RESERVED 32u
#define DESCRIPTORS_MANY     (1u << 20)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t dure_system_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t dure_system_elapsed_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

uint64_t dure_system_wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

dure_err dure_system_entropy(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t count = getrandom(at, len, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return DURE_ERR_SYSTEM;
        }
        at += count;
        len -= (size_t)count;
    }
    return DURE_OK;
}

uint32_t dure_system_sockets_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > DESCRIPTORS_MANY) {
        return DESCRIPTORS_MANY - DESCRIPTORS_RESERVED;
    }
    uint32_t quarter = (uint32_t)limit.rlim_cur / 4;
    return (uint32_t)limit.rlim_cur -
           (quarter < DESCRIPTORS_RESERVED ? quarter : DESCRIPTORS_RESERVED);
}
