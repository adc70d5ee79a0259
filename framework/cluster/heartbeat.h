/* SPDX-License-Identifier: MIT
 *
 * Who is alive: a pure judge of silence. It is told the time and when bytes last came, and says
 * what to do: nothing, ask (a ping), or give the peer up. Any byte counts as life.
 *
 * A check that comes much later than it was asked for means that this process was held up itself,
 * and what the peer sent meanwhile is still unread; the peer is then asked once more instead of
 * being given up for our own silence.
 */
#ifndef DURE_CLUSTER_HEARTBEAT_H
#define DURE_CLUSTER_HEARTBEAT_H

#include <stdint.h>

typedef enum dure_heartbeat_advice {
    DURE_HEARTBEAT_WAIT,
    DURE_HEARTBEAT_PING,
    DURE_HEARTBEAT_LOST
} dure_heartbeat_advice;

typedef struct dure_heartbeat {
    uint32_t _every_ms;
    uint32_t _timeout_ms;
    uint64_t _heard_ms;
    uint64_t _asked_ms;    /* the last ping, 0: none since it was heard */
    uint64_t _expected_ms; /* when the next check was to come */
} dure_heartbeat;

/* Silence of every_ms is asked about, one of timeout_ms, which is longer, ends the link. Thread:
 * owner, here and below. */
void dure_heartbeat_init(dure_heartbeat *heartbeat, uint32_t every_ms, uint32_t timeout_ms,
                         uint64_t now_ms);

/*
 * What to do at now_ms when bytes last came at heard_ms; out_next_ms: milliseconds to the next
 * check, at least 1.
 */
dure_heartbeat_advice dure_heartbeat_check(dure_heartbeat *heartbeat, uint64_t now_ms,
                                           uint64_t heard_ms, uint32_t *out_next_ms);

#endif
