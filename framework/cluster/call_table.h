/* SPDX-License-Identifier: MIT
 *
 * The outstanding calls of a node, by id. Ids are one rising sequence, so an id is not given twice
 * for four thousand million calls, and a late answer finds nothing instead of another call. A slot
 * is the id's low bits; a number whose slot is still taken by a long call is passed over.
 *
 * Ended calls are kept for reuse: the steady state allocates nothing. Owner thread only.
 */
#ifndef DURE_CLUSTER_CALL_TABLE_H
#define DURE_CLUSTER_CALL_TABLE_H

#include "base/buf.h"
#include "base/list.h"
#include "cluster/deadline.h"
#include "cluster/router.h"
#include "cluster/rpc.h"

/* Bytes of an answer kept until it is reported; body_max_bytes holds before. */
#define DURE_CALL_RESULT_MAX 268435456u

typedef struct dure_call {
    dure_list node; /* of its peer's calls, of the ended ones, or of the free ones */
    uint64_t id;    /* 0 when it is in no table; the wire carries its low 32 bits */
    dure_deadline deadline;
    dure_rpc *rpc;
    dure_call_fn on_done;
    dure_typed_fn typed_fn;
    void *ctx;
    void *peer;            /* whom it waits for; NULL: nobody */
    uint64_t end_offset;   /* where its frame ends in what the link has queued */
    dure_request *request; /* where this node serves it itself */
    dure_err status;       /* how it ended, while it waits to be told */
    dure_buf result;       /* the body or error of an answer that waits to be told */
    bool is_callee_error;
    uint32_t method;
    uint64_t subject;
    dure_request_key key; /* number 0: none */
    dure_list in_request; /* of the calls that end with a request */

    /* what rpc_retry.c needs to make it again */
    bool can_repeat;
    bool is_key_given; /* by the caller, for calls of its own */
    bool is_idempotent;
    bool is_safe;      /* the callee keeps a key of the params for ever */
    bool may_have_run; /* some attempt */
    uint32_t attempts;
    uint32_t waits;
    dure_err last_status; /* of the last attempt, while the next one is awaited */
    dure_deadline backoff;
    void *last_peer;
    const dure_router_role *role; /* any node of it; NULL: last_peer alone */
    dure_buf again;               /* the body */
} dure_call;

typedef struct dure_call_table {
    dure_call **_slots; /* a power of two of them */
    uint32_t _slot_count;
    uint32_t _max;
    uint64_t _next_id;
    dure_list _free;
    uint32_t count; /* calls that have an id */
} dure_call_table;

/* An empty table of at most max calls whose first id is first_id. Allocates nothing. */
void dure_call_table_init(dure_call_table *table, uint32_t max, uint64_t first_id);

/* Frees the table and the free calls; those with an id are the caller's to release before. */
void dure_call_table_fini(dure_call_table *table);

/*
 * A zeroed call with a new id.
 * Fails: FULL, NO_MEMORY.
 */
DURE_CHECKED dure_err dure_call_table_add(dure_call_table *table, dure_call **out_call);

/* The call of an id, or NULL when it has ended or never was. */
dure_call *dure_call_table_find(const dure_call_table *table, uint64_t id);

/* The same by what the wire carries. */
dure_call *dure_call_table_find_wire(const dure_call_table *table, uint32_t wire_id);

/* Takes the id away: it is stale from now on. The call stays the caller's. */
void dure_call_table_remove(dure_call_table *table, dure_call *call);

/* Gives a call without an id back, for reuse. */
void dure_call_table_release(dure_call_table *table, dure_call *call);

#endif
