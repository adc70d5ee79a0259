/* SPDX-License-Identifier: MIT
 *
 * What rpc.c (the side that asks, and the life of it all) and request.c (the side that answers)
 * share.
 */
#ifndef DURE_CLUSTER_RPC_IMPL_H
#define DURE_CLUSTER_RPC_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "cluster/call_table.h"
#include "cluster/deadline.h"
#include "cluster/link.h"
#include "cluster/router.h"
#include "cluster/rpc.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define DURE_RPC_CALLS_MAX         1048576u /* outstanding at a node */
#define DURE_RPC_LINK_CALLS_MAX    65536u   /* of these, on one link */
#define DURE_RPC_LINK_REQUESTS_MAX 65536u   /* not answered yet, of one peer */
#define DURE_RPC_FRAME_ROOM        1024u    /* of a frame around the largest body */
#define DURE_RPC_BUF_KEEP          1048576u /* no more memory is kept for the next frame */
#define DURE_RPC_ERROR_TEXT_MAX    512
#define DURE_RPC_REQUEST_BUCKETS   256u

/* What goes on with one peer while its link stands. */
typedef struct dure_rpc_peer {
    dure_rpc *rpc;
    const dure_registry_node *node;
    dure_link *link;    /* NULL: this node itself */
    dure_list calls;    /* that wait for it */
    dure_list requests; /* of it, not answered yet */
    uint32_t call_count;
    uint32_t request_count;
    dure_request **buckets; /* its requests by id; made when it first asks */
} dure_rpc_peer;

typedef enum dure_request_state {
    DURE_REQUEST_FREE,
    DURE_REQUEST_QUEUED,  /* of this node itself: to be served in the next round */
    DURE_REQUEST_SERVING, /* its handler is on the stack */
    DURE_REQUEST_HELD,    /* to be answered from some callback */
    DURE_REQUEST_ANSWERED /* while its handler is still on the stack */
} dure_request_state;

struct dure_request {
    dure_list node; /* of its peer's requests, of rpc->local_requests, rpc->to_cancel or free */
    dure_rpc *rpc;
    dure_request_state state;
    bool is_held;
    bool is_notify;
    bool is_cancelled;
    uint32_t id;
    uint32_t method;
    uint64_t subject;
    dure_rpc_peer *peer; /* whom the answer goes to over a link; NULL: elsewhere or nowhere */
    const dure_registry_node *from;
    dure_request *next_in_bucket;
    dure_deadline deadline;
    void (*on_cancel)(dure_request *request, void *ctx);
    void *cancel_ctx;
    dure_local_reply_fn reply; /* a client's or an admin's; NULL once it ran */
    void *reply_ctx;
    uint64_t call_id; /* a call of this node itself; 0: none */
    dure_buf params;
    void *room; /* of dure_request_room; kept for the next life */
    size_t room_bytes;
    bool is_room_taken;
};

struct dure_rpc {
    /* set before start */
    dure_rpc_config config;
    const dure_registry_node *self;
    uint32_t self_index;
    const dure_registry_settings *settings;
    dure_router *router;
    const dure_method **methods; /* open addressing by number, a power of two of slots */
    uint32_t method_slots;
    dure_rpc_peer *peers; /* by index in the registry */
    uint32_t peer_count;

    /* owner */
    dure_links *links;
    dure_deadlines deadlines;
    dure_call_table calls;
    dure_list ended;           /* calls that are to be told */
    dure_list queued_requests; /* of this node itself, to be served */
    dure_list local_requests;  /* without a peer: local ones, and those whose link is gone */
    dure_list to_cancel;       /* whose on_cancel came after they were cancelled */
    dure_list free_requests;
    dure_iocp_deferred deferred;
    dure_buf frame; /* a call or notify on its way out: room for the header, then the body */
    dure_packer call_packer;
    dure_buf reply; /* an answer on its way out */
    dure_buf error; /* a [code, name, text] while it is packed */
    dure_packer reply_packer;
    size_t reply_start;
    uint32_t serving;
    uint32_t turn; /* of equally busy nodes, where to begin */
    bool is_started;
    bool is_closing;
    bool is_quiet;  /* links and timer have ended */
    bool is_closed; /* on_closed was called */
    dure_rpc_counters counters;
};

/* Something is to be done at the end of the round. */
void dure_rpc_defer(dure_rpc *rpc);

/* Whether bytes may go out as a body: one object within what the other end will accept. */
DURE_CHECKED dure_err dure_rpc_check_body(const dure_rpc *rpc, dure_slice body);

/* Empties a frame's buffer, and gives its memory back where a large body grew it. */
void dure_rpc_clear_buf(dure_buf *buf);

/* ---- request.c ---- */

const dure_method *dure_rpc_find_method(const dure_rpc *rpc, uint32_t number);

/* Frames of kinds request, notify and cancel. Not OK: the peer broke the protocol. */
DURE_CHECKED dure_err dure_rpc_on_request(dure_rpc_peer *peer, const dure_frame *frame);
DURE_CHECKED dure_err dure_rpc_on_notify(dure_rpc_peer *peer, const dure_frame *frame);
void dure_rpc_on_cancel(dure_rpc_peer *peer, const dure_frame *frame);

/* Queues a request of this node to itself. call_id 0: a notify. */
DURE_CHECKED dure_err dure_rpc_queue_local(dure_rpc *rpc, uint64_t call_id, uint32_t method,
                                           uint64_t subject, uint32_t left_ms, dure_slice body,
                                           dure_request **out_request);

/* The caller is gone: nobody wants the answer. */
void dure_request_cancel(dure_request *request);

/* Serves what was queued, runs the on_cancel that came late. */
void dure_rpc_run_requests(dure_rpc *rpc);

/* All requests of a peer whose link is gone; all that are left at the end. */
void dure_rpc_cancel_peer(dure_rpc_peer *peer);
void dure_rpc_cancel_local(dure_rpc *rpc);
void dure_rpc_free_requests(dure_rpc *rpc);

/* ---- rpc.c ---- */

/* The answer to a call of this node to itself; error: its [code, name, text], else body. */
void dure_rpc_on_local_answer(dure_rpc *rpc, uint64_t call_id, dure_slice body, bool is_error);

/* Fills an outcome from a [code, name, text]. Fails: PROTOCOL. */
DURE_CHECKED dure_err dure_rpc_read_error(dure_slice error, dure_outcome *out_outcome);

/* Fills an outcome of ours. */
void dure_rpc_own_outcome(dure_err status, dure_outcome *out_outcome);

#endif
