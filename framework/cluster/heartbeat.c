/* SPDX-License-Identifier: MIT
 *
 * The judge of silence; see heartbeat.h.
 */
#include "cluster/heartbeat.h"

#include "base/assert.h"

void dure_heartbeat_init(dure_heartbeat *heartbeat, uint32_t every_ms, uint32_t timeout_ms,
                         uint64_t now_ms)
{
    DURE_ASSERT(every_ms > 0);
    DURE_ASSERT(timeout_ms > every_ms); /* whoever reads the settings has refused others */
    heartbeat->_every_ms = every_ms;
    heartbeat->_timeout_ms = timeout_ms;
    heartbeat->_heard_ms = now_ms;
    heartbeat->_asked_ms = 0;
    heartbeat->_expected_ms = now_ms + every_ms;
}

/* The check came later than asked for by more than a heartbeat: it was us who slept. */
static void excuse_own_silence(dure_heartbeat *heartbeat, uint64_t now_ms)
{
    if (now_ms <= heartbeat->_expected_ms + heartbeat->_every_ms) {
        return;
    }
    const uint64_t grace_ms = now_ms + heartbeat->_every_ms;
    if (heartbeat->_heard_ms + heartbeat->_timeout_ms < grace_ms) {
        heartbeat->_heard_ms = grace_ms - heartbeat->_timeout_ms;
        heartbeat->_asked_ms = 0;
    }
}

static uint32_t until(uint64_t now_ms, uint64_t then_ms)
{
    return then_ms > now_ms ? (uint32_t)(then_ms - now_ms) : 1;
}

static dure_heartbeat_advice heartbeat_judge(dure_heartbeat *heartbeat, uint64_t now_ms,
                                             uint32_t *out_next_ms)
{
    const uint64_t lost_ms = heartbeat->_heard_ms + heartbeat->_timeout_ms;
    const uint64_t asked_ms =
        heartbeat->_asked_ms != 0 ? heartbeat->_asked_ms : heartbeat->_heard_ms;
    const uint64_t ask_ms = asked_ms + heartbeat->_every_ms;
    if (now_ms >= lost_ms) {
        *out_next_ms = 1;
        return DURE_HEARTBEAT_LOST;
    }
    if (now_ms < ask_ms) {
        *out_next_ms = until(now_ms, ask_ms < lost_ms ? ask_ms : lost_ms);
        return DURE_HEARTBEAT_WAIT;
    }
    heartbeat->_asked_ms = now_ms;
    const uint64_t next_ms = now_ms + heartbeat->_every_ms;
    *out_next_ms = until(now_ms, next_ms < lost_ms ? next_ms : lost_ms);
    return DURE_HEARTBEAT_PING;
}

dure_heartbeat_advice dure_heartbeat_check(dure_heartbeat *heartbeat, uint64_t now_ms,
                                           uint64_t heard_ms, uint32_t *out_next_ms)
{
    if (heard_ms > heartbeat->_heard_ms) {
        heartbeat->_heard_ms = heard_ms;
        heartbeat->_asked_ms = 0;
    }
    excuse_own_silence(heartbeat, now_ms);
    const dure_heartbeat_advice advice = heartbeat_judge(heartbeat, now_ms, out_next_ms);
    heartbeat->_expected_ms = now_ms + *out_next_ms;
    return advice;
}
