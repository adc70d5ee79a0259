/* SPDX-License-Identifier: MIT
 *
 * A MessagePack-RPC client for command-line tools and tests: one connection on a core of its own,
 * one call at a time, each blocking up to its time limit. Programs that do anything else meanwhile
 * use net/client_service.h.
 */
#ifndef DURE_NODE_RPC_CLIENT_H
#define DURE_NODE_RPC_CLIENT_H

#include "base/str.h"
#include "iocp/core.h"

typedef struct dure_rpc_client dure_rpc_client;

/* An answer; lent until the next function of the same client is called. */
typedef struct dure_rpc_answer {
    bool is_error;
    dure_slice value; /* the result, or the error object [code, name, text] */
} dure_rpc_answer;

/* A notification came while a call or a wait was on its way; lent for the call. */
typedef void (*dure_rpc_notified_fn)(void *ctx, dure_str method, dure_slice params);

/*
 * Connects.
 * Fails: what the connect said (CONNECT_REFUSED, TIMED_OUT, ...), NO_MEMORY.
 * Owned by the caller; ends with dure_rpc_client_destroy. Thread: the caller's, here and below.
 */
DURE_CHECKED dure_err dure_rpc_client_create(const dure_net_address *address, uint32_t timeout_ms,
                                             dure_rpc_client **out_client);

/* Notifications go to fn(ctx) from now on; NULL: they are dropped. */
void dure_rpc_client_on_notified(dure_rpc_client *client, dure_rpc_notified_fn fn, void *ctx);

/*
 * Calls and waits for the answer. params is one MessagePack array.
 * Fails: TIMED_OUT, what ended the connection (PEER_CLOSED, RESET, ...), NO_MEMORY. An error that
 * the callee answered is OK here and stands in out_answer.
 */
DURE_CHECKED dure_err dure_rpc_client_call(dure_rpc_client *client, dure_str method,
                                           dure_slice params, uint32_t timeout_ms,
                                           dure_rpc_answer *out_answer);

/*
 * The two halves of a call, for those that do something in between: begin sends, finish waits for
 * the answer. A further begin gives the answer of the former one up.
 * Fails: as dure_rpc_client_call, and finish STATE where nothing was begun.
 */
DURE_CHECKED dure_err dure_rpc_client_begin(dure_rpc_client *client, dure_str method,
                                            dure_slice params);
DURE_CHECKED dure_err dure_rpc_client_finish(dure_rpc_client *client, uint32_t timeout_ms,
                                             dure_rpc_answer *out_answer);

/* Waits for notifications, at most so long. Fails: what ended the connection. */
DURE_CHECKED dure_err dure_rpc_client_wait(dure_rpc_client *client, uint32_t ms);

/* Disconnects and frees. NULL is fine. */
void dure_rpc_client_destroy(dure_rpc_client *client);

#endif
