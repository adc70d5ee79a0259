/* SPDX-License-Identifier: MIT
 *
 * How often something may happen: a bucket that fills at so many tokens a second up to a burst, and
 * a table of such buckets by network address. Nothing here reads a clock. The table has a fixed
 * size: where a new address finds no room, the one that has been quiet for longest makes it, so
 * many addresses cost no memory, and a single one that floods keeps its place.
 */
#ifndef DURE_NODE_RATE_H
#define DURE_NODE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "iocp/address.h"

typedef struct node_rate_limit {
    uint32_t per_second; /* 0: no limit */
    uint32_t burst;
} node_rate_limit;

/* All zero is a full bucket. */
typedef struct node_rate {
    uint64_t used_milli; /* tokens taken and not filled in again, in thousandths */
    uint64_t at_ms;
} node_rate;

/* Takes one token; false when there is none. Time that runs back counts as no time. Thread: owner.
 */
bool node_rate_take(node_rate *rate, const node_rate_limit *limit, uint64_t now_ms);

typedef struct node_rate_table node_rate_table;

/* Fails: NO_MEMORY. Owned by the caller. */
DURE_CHECKED dure_err node_rate_table_create(const node_rate_limit *limit,
                                             node_rate_table **out_table);
/* NULL is fine. */
void node_rate_table_destroy(node_rate_table *table);

/* Takes one token of the address's bucket; the 2^64 addresses of an IPv6 subnet share one. Thread:
 * owner. */
bool node_rate_table_take(node_rate_table *table, const dure_net_address *address, uint64_t now_ms);

#endif
