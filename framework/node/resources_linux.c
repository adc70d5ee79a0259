/* SPDX-License-Identifier: MIT
 *
 * Descriptors from getrlimit(2), memory from proc(5) and cgroups(7).
 */
#include "node/resources.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

uint32_t node_resources_descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur > UINT32_MAX) {
        return UINT32_MAX;
    }
    return (uint32_t)limit.rlim_cur;
}

uint64_t node_resources_memory_used(void)
{
    uint64_t size = 0;
    uint64_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    int found = fscanf(file, "%20" SCNu64 " %20" SCNu64, &size, &resident);
    (void)fclose(file);
    return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* 0 where the file is not there or says "max". */
static uint64_t read_number(const char *path)
{
    uint64_t value = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int found = fscanf(file, "%20" SCNu64, &value);
    (void)fclose(file);
    return found == 1 ? value : 0;
}

uint64_t node_resources_memory_limit(void)
{
    /* Inside a container its own group is the root: version 2, then version 1, whose "no limit" is
       a number near 2^63. */
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
    if (limit == 0) {
        limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    }
    return limit < UINT64_C(1) << 60 ? limit : 0;
}

void node_resources_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
