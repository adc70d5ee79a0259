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

/* Bytes of memory that the process occupies; 0 where that cannot be told. Thread: any. */
uint64_t node_resources_memory_used(void);

/* Bytes that its container may occupy (cgroup, job object); 0: no limit. Thread: any. */
uint64_t node_resources_memory_limit(void);

/* Gives what was freed back to the system. Thread: any. */
void node_resources_trim(void);

#endif
