/* SPDX-License-Identifier: MIT
 *
 * Calls that are made again: which, when, within which budget, and what is true of one that was
 * made more than once. Between two attempts a call waits for nobody; its deadline runs on.
 */
#include "cluster/rpc_impl.h"

#define RETRY_FIRST_MS 100u
#define RETRY_MAX_MS   1000u
#define RETRY_SPARE_MS 10u /* an attempt with less left is not worth making */
#define RETRY_MILLI    1000u
#define RETRY_SECONDS  10u /* of the budget's rate that may be saved up */
#define RETRY_BODIES   16777216u
#define RETRY_ON_UP_MS 20u /* after a link came up, spread */

/* ---- the budget ---- */

static uint64_t budget_max(const dure_rpc *rpc)
{
    const uint64_t rate = rpc->settings->retry_budget_per_s;
    const uint64_t saved = rate * RETRY_SECONDS;
    const uint64_t most = saved > RETRY_SECONDS ? saved : RETRY_SECONDS;
    const bool is_off = rate == 0 && rpc->settings->retry_budget_percent == 0;
    return is_off ? 0 : most * RETRY_MILLI;
}

static void budget_add(dure_rpc *rpc, uint64_t milli)
{
    const uint64_t most = budget_max(rpc);
    rpc->retry_milli += milli;
    rpc->retry_milli = rpc->retry_milli < most ? rpc->retry_milli : most;
}

void dure_rpc_retry_count_call(dure_rpc *rpc)
{
    budget_add(rpc, (uint64_t)rpc->settings->retry_budget_percent * RETRY_MILLI / 100);
}

static bool budget_take(dure_rpc *rpc)
{
    const uint64_t now_ms = dure_iocp_core_now_ms(rpc->config.core);
    const uint64_t past_ms = now_ms - rpc->retry_refilled_ms;
    const uint64_t refill_ms = RETRY_SECONDS * 1000u;
    rpc->retry_refilled_ms = now_ms;
    budget_add(rpc,
               (past_ms < refill_ms ? past_ms : refill_ms) * rpc->settings->retry_budget_per_s);
    if (rpc->retry_milli < RETRY_MILLI) {
        rpc->counters.retries_refused++;
        return false;
    }
    rpc->retry_milli -= RETRY_MILLI;
    return true;
}

/* ---- which calls ---- */

/* Keeps the body, where it may be wanted again and there is room for it. */
static bool keep_body(dure_call *call)
{
    dure_rpc *rpc = call->rpc;
    const dure_slice body = dure_rpc_frame_body(rpc);
    if (body.len > RETRY_BODIES - rpc->retry_bytes ||
        dure_buf_append(&call->again, body.data, body.len) != DURE_OK) {
        return false;
    }
    rpc->retry_bytes += body.len;
    return true;
}

void dure_rpc_retry_prepare(dure_call *call, const dure_call_options *options)
{
    const uint32_t flags = options != NULL ? options->method_flags : 0;
    const dure_retry retry = options != NULL ? options->retry : DURE_RETRY_BY_METHOD;
    call->is_idempotent = (flags & DURE_METHOD_IDEMPOTENT) != 0;
    call->is_safe = retry == DURE_RETRY_SAFE;
    if (retry != DURE_RETRY_NEVER && call->rpc->settings->call_attempts > 1 &&
        (call->is_idempotent || call->is_safe || call->key.number != 0)) {
        call->can_repeat = keep_body(call);
    }
}

void dure_rpc_retry_forget(dure_call *call)
{
    dure_deadline_clear(&call->rpc->deadlines, &call->backoff);
    if (call->can_repeat) {
        DURE_ASSERT(call->rpc->retry_bytes >= call->again.len);
        call->rpc->retry_bytes -= call->again.len;
        call->can_repeat = false;
    }
}

/* ---- what is true ---- */

/* Only the process that was asked first knows what became of a key. */
static bool asks_the_same(const dure_call *call, const dure_rpc_peer *peer)
{
    return peer->link != NULL && dure_link_incarnation(peer->link) == call->key.callee;
}

/* Whether the answer to a later attempt tells what became of the earlier ones. */
static bool is_telling(const dure_call *call, dure_err status)
{
    if (status == DURE_OK || dure_err_class_of(status) == DURE_ERR_CLASS_UNKNOWN) {
        return true;
    }
    if (!call->is_safe && call->key.number == 0) {
        return false; /* it may be another answer now, just because an earlier one ran */
    }
    return status != DURE_ERR_TOO_OLD && dure_err_class_of(status) != DURE_ERR_CLASS_TEMPORARY;
}

dure_err dure_rpc_retry_truth(const dure_call *call, dure_err status)
{
    return call->may_have_run && !is_telling(call, status) ? DURE_ERR_OUTCOME_UNKNOWN : status;
}

/* ---- when ---- */

static uint32_t backoff_ms(dure_call *call)
{
    uint32_t base = RETRY_FIRST_MS;
    for (uint32_t i = 0; i < call->waits && base < RETRY_MAX_MS; i++) {
        base *= 2;
    }
    base = base < RETRY_MAX_MS ? base : RETRY_MAX_MS;
    call->waits++;
    return base / 2 + (uint32_t)(dure_iocp_core_random(call->rpc->config.core) % base);
}

static bool is_nobody_there(dure_err status)
{
    return status == DURE_ERR_NOT_UP || status == DURE_ERR_DOWN;
}

/* Whether one more attempt could end otherwise. */
static bool is_worth_it(const dure_call *call, dure_err status, bool is_answer)
{
    if (status == DURE_ERR_OUTCOME_UNKNOWN) {
        /* A callee remembers under a link's key that it does not know. */
        return !is_answer || call->is_idempotent || call->is_safe;
    }
    return status == DURE_ERR_NOT_SENT || status == DURE_ERR_UNAVAILABLE ||
           status == DURE_ERR_OVERLOADED || (is_nobody_there(status) && call->attempts > 0);
}

static bool wait_for_next(dure_call *call, dure_err status)
{
    dure_rpc *rpc = call->rpc;
    const bool was_made = !is_nobody_there(status);
    const uint32_t delay_ms = backoff_ms(call);
    const uint32_t left_ms = dure_deadline_left_ms(&rpc->deadlines, &call->deadline);
    if ((was_made && call->attempts >= rpc->settings->call_attempts) ||
        delay_ms + RETRY_SPARE_MS >= left_ms || (was_made && !budget_take(rpc)) ||
        dure_deadline_set(&rpc->deadlines, &call->backoff, delay_ms) != DURE_OK) {
        return false;
    }
    dure_rpc_call_leave(call);
    DURE_ASSERT(call->peer == NULL);
    call->last_status = status;
    dure_list_push_back(&rpc->retrying, &call->node);
    return true;
}

bool dure_rpc_retry_later(dure_call *call, dure_err status, bool is_answer)
{
    if (dure_err_class_of(status) == DURE_ERR_CLASS_UNKNOWN) {
        call->may_have_run = true;
    }
    return call->can_repeat && !call->rpc->is_closing && is_worth_it(call, status, is_answer) &&
           wait_for_next(call, status);
}

/* ---- again ---- */

static dure_err find_peer(dure_call *call, dure_rpc_peer **out_peer)
{
    *out_peer = call->last_peer;
    if (call->role != NULL) {
        return dure_rpc_route_to_role(call->rpc, call->role, out_peer);
    }
    return dure_rpc_peer_is_up(*out_peer) ? DURE_OK : DURE_ERR_DOWN;
}

/* The process that was asked first is gone, or was never reached. */
static dure_err key_for_another(dure_call *call, bool needs_the_same)
{
    if (needs_the_same) {
        dure_rpc_retry_forget(call); /* it alone knew */
        return DURE_ERR_OUTCOME_UNKNOWN;
    }
    if (!call->is_key_given || call->is_safe) {
        call->key.callee = 0;
    }
    return DURE_OK;
}

void dure_rpc_retry_now(dure_deadline *deadline)
{
    dure_call *call = DURE_CONTAINER_OF(deadline, dure_call, backoff);
    dure_rpc *rpc = call->rpc;
    dure_rpc_peer *peer = NULL;
    const uint32_t left_ms = dure_deadline_left_ms(&rpc->deadlines, &call->deadline);
    DURE_ASSERT(call->can_repeat);
    DURE_ASSERT(call->peer == NULL);
    dure_list_remove(&call->node);
    const bool needs_the_same = call->may_have_run && !call->is_idempotent && !call->is_safe;
    if (needs_the_same) {
        call->role = NULL;
    }
    dure_err err = left_ms == 0 ? DURE_ERR_DEADLINE : find_peer(call, &peer);
    if (err == DURE_OK && call->key.number != 0 && !asks_the_same(call, peer)) {
        err = key_for_another(call, needs_the_same);
    }
    if (err == DURE_OK) {
        err = dure_rpc_pack_body(rpc, (dure_slice){call->again.data, call->again.len});
    }
    if (err == DURE_OK) {
        rpc->counters.retries++;
        err = dure_rpc_attempt(call, peer, left_ms);
    }
    if (err != DURE_OK) {
        dure_rpc_attempt_ended(call, err);
    }
}

void dure_rpc_retry_on_up(dure_rpc_peer *peer)
{
    dure_rpc *rpc = peer->rpc;
    for (dure_list *node = rpc->retrying.next; node != &rpc->retrying; node = node->next) {
        dure_call *call = DURE_CONTAINER_OF(node, dure_call, node);
        if (is_nobody_there(call->last_status) && (call->role != NULL || call->last_peer == peer)) {
            const uint64_t spread = dure_iocp_core_random(rpc->config.core) % RETRY_ON_UP_MS;
            const dure_err err =
                dure_deadline_set(&rpc->deadlines, &call->backoff, (uint32_t)spread + 1);
            (void)err; /* it is moved only: no memory is taken */
        }
    }
}

void dure_rpc_retry_end_all(dure_rpc *rpc)
{
    while (!dure_list_is_empty(&rpc->retrying)) {
        dure_call *call = DURE_CONTAINER_OF(rpc->retrying.next, dure_call, node);
        dure_rpc_attempt_ended(call, call->last_status);
    }
}
