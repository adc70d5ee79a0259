/* SPDX-License-Identifier: MIT
 *
 * How long each game node may still act for the players that it owns, as the db node knows it. A
 * game node counts its lease from the moment at which it asked, the db node from the later one at
 * which it answers and a tenth longer: what is over here was over there before, however long either
 * was stopped, or its machine suspended. Pure: the time is given, that of this moment by a clock
 * that a suspended machine does not stop (dure_iocp_core_elapsed_ns).
 *
 * A life is one process of a node. What this db node has not heard of it may have granted before it
 * was started itself, so nothing is over before one lease has passed since then: the longest that
 * was granted, which may have been longer than those of now.
 */
#ifndef DURE_NODES_DB_LEASE_H
#define DURE_NODES_DB_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

typedef struct db_lease {
    const char *node; /* borrowed: the registry's */
    uint64_t life;
    uint64_t until_ms;
    uint64_t former_until_ms; /* of the lives before */
} db_lease;

typedef struct db_leases {
    db_lease *rows;
    uint32_t count;
    uint32_t max;
    uint32_t lease_ms;
    uint32_t former_ms; /* the longest lease that may last from before the start */
    uint64_t started_ms;
} db_leases;

/* Room for `max` nodes; former_ms is at least lease_ms. Fails: NO_MEMORY. */
DURE_CHECKED dure_err db_leases_init(db_leases *leases, uint32_t max, uint32_t lease_ms,
                                     uint32_t former_ms, uint64_t now_ms);
/* Also of a zeroed one. */
void db_leases_fini(db_leases *leases);

/* Borrows: node, for life. Fails: FULL. */
DURE_CHECKED dure_err db_lease_grant(db_leases *leases, const char *node, uint64_t life,
                                     uint64_t now_ms);

/* The node has let go of all that this life owned. */
void db_lease_end(db_leases *leases, const char *node, uint64_t life);

/* When nothing from before the start lasts any more. */
uint64_t db_lease_former_end(const db_leases *leases);

/* Whether a life of a node can act no more. */
bool db_lease_is_over(const db_leases *leases, const char *node, uint64_t life, uint64_t now_ms);

#endif
