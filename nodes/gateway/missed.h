/* SPDX-License-Identifier: MIT
 *
 * The last notifications of a session, so that a client that lost its connection gets what it
 * missed. A notification to many clients is kept once and counted. Pure tables.
 */
#ifndef DURE_NODES_GATEWAY_MISSED_H
#define DURE_NODES_GATEWAY_MISSED_H

#include "base/buf.h"
#include "base/str.h"

#define GATEWAY_MISSED_MAX       256u          /* notifications kept of a session */
#define GATEWAY_MISSED_BYTES_MAX (64u * 1024u) /* and what they may add up to */

typedef struct gateway_notice {
    uint32_t refs;
    dure_str method;
    dure_slice params;
} gateway_notice;

typedef struct gateway_missed {
    gateway_notice **ring; /* of cap, a power of two; made at the first push */
    uint32_t cap;
    uint32_t first;
    uint32_t count;
    size_t bytes;
    uint64_t total; /* since login */
} gateway_missed;

/* A copy with one reference. NULL: there is no memory. */
gateway_notice *gateway_notice_create(dure_str method, dure_slice params);
/* NULL is fine. */
void gateway_notice_release(gateway_notice *notice);

/*
 * Counts a notification and keeps it, with a reference of its own; the oldest go where it gets too
 * much. NULL, or no memory: it is counted, and nothing up to it is kept.
 */
void gateway_missed_push(gateway_missed *missed, gateway_notice *notice);

/* How many there were before the oldest that is kept. */
static inline uint64_t gateway_missed_gone(const gateway_missed *missed)
{
    return missed->total - missed->count;
}

/* The notification with `before` others before it; gone <= before < total. */
const gateway_notice *gateway_missed_at(const gateway_missed *missed, uint64_t before);

/* Lets go of all. Also of a zeroed one. */
void gateway_missed_fini(gateway_missed *missed);

#endif
