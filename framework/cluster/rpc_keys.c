/* SPDX-License-Identifier: MIT
 *
 * Request keys of requests: the first one of a key is served, those that repeat it get its answer,
 * now or when there is one. One whose link breaks goes on, because its caller will ask again.
 */
#include "cluster/rpc_impl.h"
#include "wire/cursor.h"

#define META_REQUEST_KEY 2u

/* ---- the wire ---- */

static void store_u64(uint8_t *at, uint64_t value)
{
    at[0] = 0xcf;
    for (unsigned i = 0; i < 8; i++) {
        at[1 + i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

void dure_rpc_pack_key(const dure_request_key *key, uint8_t out_meta[DURE_RPC_KEY_META_BYTES])
{
    out_meta[0] = 0x81; /* a map of one: the key 2 and an array of three */
    out_meta[1] = META_REQUEST_KEY;
    out_meta[2] = 0x93;
    store_u64(out_meta + 3, key->origin);
    store_u64(out_meta + 12, key->number);
    store_u64(out_meta + 21, key->callee);
}

static dure_err read_key(dure_cursor *cursor, dure_request_key *out_key)
{
    uint32_t count = 0;
    if (dure_cursor_array(cursor, &count) != DURE_OK || count != 3 ||
        dure_cursor_u64(cursor, &out_key->origin) != DURE_OK ||
        dure_cursor_u64(cursor, &out_key->number) != DURE_OK ||
        dure_cursor_u64(cursor, &out_key->callee) != DURE_OK || out_key->number == 0) {
        return DURE_ERR_PROTOCOL;
    }
    return DURE_OK;
}

dure_err dure_rpc_read_key(dure_slice meta, dure_request_key *out_key)
{
    uint32_t pairs = 0;
    memset(out_key, 0, sizeof *out_key);
    if (meta.len == 0) {
        return DURE_OK;
    }
    dure_cursor cursor = dure_cursor_of(meta.data, meta.len);
    dure_err err = dure_cursor_map(&cursor, &pairs);
    for (uint32_t i = 0; err == DURE_OK && i < pairs; i++) {
        uint32_t name = 0;
        err = dure_cursor_u32(&cursor, &name);
        if (err == DURE_OK) {
            err = name == META_REQUEST_KEY ? read_key(&cursor, out_key) : dure_cursor_skip(&cursor);
        }
    }
    return err;
}

/* ---- requests ---- */

static void give(dure_request *request, dure_slice answer, bool is_error)
{
    if (is_error) {
        dure_request_answer_error(request, answer);
    } else {
        dure_request_answer_body(request, answer);
    }
    dure_request_finish(request);
}

static void waiter_cancelled(dure_request *request, void *ctx)
{
    (void)ctx;
    dure_request_finish(request);
}

static void keys_expire(dure_rpc *rpc)
{
    const uint32_t next_ms =
        dure_key_table_expire(rpc->keys, dure_iocp_core_now_ms(rpc->config.core));
    if (next_ms > 0 && !dure_deadline_is_set(&rpc->keys_expire)) {
        const dure_err err = dure_deadline_set(&rpc->deadlines, &rpc->keys_expire, next_ms);
        (void)err; /* the next answer tries again */
    }
}

void dure_rpc_keys_due(dure_deadline *deadline)
{
    keys_expire(DURE_CONTAINER_OF(deadline, dure_rpc, keys_expire));
}

static uint64_t incarnation_of(const dure_rpc *rpc, uint32_t peer)
{
    const dure_link *link = rpc->peers[peer].link;
    return link != NULL ? dure_link_incarnation(link) : dure_links_incarnation(rpc->links);
}

static dure_err begin(dure_request *request, dure_key_entry **out_entry, bool *out_is_new)
{
    dure_rpc *rpc = request->rpc;
    const uint32_t peer = request->key_peer;
    DURE_ASSERT(peer < rpc->peer_count);
    const dure_key_payload payload = {.method = request->method,
                                      .subject = request->subject,
                                      .body = {request->params.data, request->params.len}};
    if (request->key.callee != dure_links_incarnation(rpc->links)) {
        return DURE_ERR_TOO_OLD; /* another process was asked first */
    }
    keys_expire(rpc);
    return dure_key_table_begin(rpc->keys, peer, incarnation_of(rpc, peer), &request->key, &payload,
                                out_entry, out_is_new);
}

bool dure_rpc_keys_begin(dure_request *request)
{
    dure_key_entry *entry = NULL;
    bool is_new = false;
    DURE_ASSERT(request->key.number != 0);
    DURE_ASSERT(request->key_entry == NULL);
    const dure_err err = begin(request, &entry, &is_new);
    if (err != DURE_OK) {
        const dure_err told = err == DURE_ERR_NO_MEMORY ? DURE_ERR_OVERLOADED : err;
        dure_request_fail(request, told, "%s", dure_err_text(told));
        return false;
    }
    if (is_new) {
        entry->request = request;
        request->key_entry = entry;
        return true;
    }
    request->rpc->counters.repeats++;
    if (entry->request == NULL) {
        give(request, (dure_slice){entry->answer, entry->answer_len}, entry->is_error);
        return false;
    }
    request->state = DURE_REQUEST_HELD;
    request->is_held = true;
    dure_list_push_back(&entry->waiters, &request->in_key);
    dure_request_on_cancel(request, waiter_cancelled, NULL);
    return false;
}

/* What surely did not happen may be tried again under its key. */
static bool is_lasting(dure_slice answer, bool is_error)
{
    dure_outcome outcome = {.status = DURE_OK};
    return !is_error || dure_rpc_read_error(answer, &outcome) != DURE_OK ||
           dure_err_class_of(outcome.status) != DURE_ERR_CLASS_TEMPORARY;
}

void dure_rpc_keys_answered(dure_request *request, dure_slice answer, bool is_error)
{
    dure_rpc *rpc = request->rpc;
    dure_key_entry *entry = request->key_entry;
    DURE_ASSERT(entry != NULL);
    DURE_ASSERT(entry->request == request);
    dure_list waiters;
    dure_buf copy; /* the answer may stand where those to the waiters are packed */
    dure_list_init(&waiters);
    dure_list_move_all(&waiters, &entry->waiters);
    dure_buf_init(&copy, answer.len);
    const dure_err err =
        dure_list_is_empty(&waiters) ? DURE_OK : dure_buf_append(&copy, answer.data, answer.len);
    request->key_entry = NULL;
    if (is_lasting(answer, is_error)) {
        dure_key_table_answer(rpc->keys, entry, answer, is_error,
                              dure_iocp_core_now_ms(rpc->config.core));
        keys_expire(rpc);
    } else {
        dure_key_table_forget(rpc->keys, entry, false);
    }
    dure_list *node;
    while ((node = dure_list_pop_front(&waiters)) != NULL) {
        dure_request *waiter = DURE_CONTAINER_OF(node, dure_request, in_key);
        if (err == DURE_OK) {
            give(waiter, (dure_slice){copy.data, copy.len}, is_error);
        } else {
            dure_request_fail(waiter, DURE_ERR_OUTCOME_UNKNOWN, "out of memory for the answer");
        }
    }
    dure_buf_fini(&copy);
}

void dure_rpc_keys_dropped(dure_request *request, bool did_happen)
{
    dure_key_entry *entry = request->key_entry;
    dure_list waiters;
    dure_list_init(&waiters);
    dure_list_move_all(&waiters, &entry->waiters);
    request->key_entry = NULL;
    dure_key_table_forget(request->rpc->keys, entry, did_happen);
    dure_list *node;
    while ((node = dure_list_pop_front(&waiters)) != NULL) {
        dure_request_fail(DURE_CONTAINER_OF(node, dure_request, in_key),
                          did_happen ? DURE_ERR_OUTCOME_UNKNOWN : DURE_ERR_UNAVAILABLE,
                          "the call of this key was given up");
    }
}

bool dure_rpc_keys_is_awaited(const dure_request *request)
{
    return request->key_entry != NULL && !dure_list_is_empty(&request->key_entry->waiters);
}
