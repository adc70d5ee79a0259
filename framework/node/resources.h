/* SPDX-License-Identifier: MIT
 *
 * What the system lets this process have, descriptors and memory, and how much it has; and the
 * judgement of what is left.
 */
#ifndef DURE_NODE_RESOURCES_H
#define DURE_NODE_RESOURCES_H

#include <stdint.h>

typedef enum node_pressure {
    NODE_PRESSURE_NONE,
    NODE_PRESSURE_NO_LOGINS, /* who is there stays, nobody else comes */
    NODE_PRESSURE_SHED       /* connections have to go */
} node_pressure;

/* used and limit in bytes, limit 0: none; the bounds in percent of the limit. Thread: any. */
static inline node_pressure node_pressure_of(uint64_t used, uint64_t limit, uint32_t no_logins,
                                             uint32_t shed)
{
    uint64_t hundredth = limit / 100u;
    if (hundredth == 0 || used < hundredth * no_logins) {
        return NODE_PRESSURE_NONE;
    }
    return used >= hundredth * shed ? NODE_PRESSURE_SHED : NODE_PRESSURE_NO_LOGINS;
}

/* Most descriptors that this process may have open; UINT32_MAX: no limit. Thread: any. */
uint32_t node_resources_descriptors_max(void);

/*
 * Raises that number to the most that the system allows, a million where that is more; what it was.
 * Programs that the process starts by fork get the former number, since some of them go through all
 * that they may have, or cannot bear large ones (select(2)). Thread: start-up.
 */
uint32_t node_resources_raise_descriptors(void);

/* Bytes of memory that the process occupies; 0 where that cannot be told. Thread: any. */
uint64_t node_resources_memory_used(void);

typedef struct node_memory_limit {
    uint64_t bytes;   /* 0: no limit */
    char source[512]; /* where it comes from: a file, or words; cut where it is longer */
} node_memory_limit;

/*
 * What the process's container may occupy: the least limit of its control group and those above it
 * (memory.max and memory.high, or version 1), or of its job object. root stands before each path
 * that is read, "" for the system's own. Thread: any.
 */
void node_resources_memory_limit(const char *root, node_memory_limit *out_limit);

/* Gives what was freed back to the system. Thread: any. */
void node_resources_trim(void);

#endif
