/* SPDX-License-Identifier: MIT
 *
 * Clocks, entropy and the descriptor limit on Linux.
 */
#include "iocp/system.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#define DESCRIPTORS_RESERVED                                                                       \
    128u /* for files, databases, and to be able to say what went wrong                            \
          */
#define DESCRIPTORS_MANY (1u << 20)

uint64_t dure_system_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
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
    return limit.rlim_cur > 2 * DESCRIPTORS_RESERVED
               ? (uint32_t)limit.rlim_cur - DESCRIPTORS_RESERVED
               : (uint32_t)limit.rlim_cur / 2;
}
