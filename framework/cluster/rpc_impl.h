/* SPDX-License-Identifier: MIT
 *
 * What the files of a dure_rpc share: rpc.c (the life of it all), rpc_route.c, rpc_call.c and
 * rpc_notify.c (the side that asks), rpc_serve.c, request.c and request_answer.c (the side that
 * answers), rpc_body.c (what both send).
 */
#ifndef DURE_CLUSTER_RPC_IMPL_H
#define DURE_CLUSTER_RPC_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "cluster/call_table.h"
#include "cluster/deadline.h"
#include "cluster/link.h"
#include "cluster/request_keys.h"
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
#define DURE_RPC_KEY_META_BYTES    30u /* a meta map with a request key */
/* two texts, a number, three heads */
#define DURE_RPC_ERROR_OBJECT_MAX (2 * DURE_RPC_ERROR_TEXT_MAX + 32)

/* What goes on with one peer while its link stands. */
typedef struct dure_rpc_peer {
    dure_rpc *rpc;
    const dure_registry_node *node;
    dure_link *link;    /* NULL: this node itself */
    dure_list calls;    /* that wait for it */
    dure_list requests; /* of it, not answered yet */
    dure_list parked;   /* what it asked while its link had no room for answers, in order */
    size_t parked_bytes;
    uint32_t parked_notifies;
    uint32_t call_count;
    uint32_t request_count;
    dure_request **buckets; /* its requests by id; made when it first asks */
} dure_rpc_peer;

typedef enum dure_request_state {
    DURE_REQUEST_FREE,
    DURE_REQUEST_QUEUED,  /* no handler has seen it: of this node itself, or parked */
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
    bool is_overdue; /* cancelled by its deadline */
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
    dure_request_key key;      /* number 0: none */
    uint32_t key_peer;         /* who asks, and whose key that is, by index */
    dure_key_entry *key_entry; /* that waits for its answer */
    dure_list in_key;          /* where it waits for another one's answer */
    dure_list in_parked;       /* where it waits for room */
    dure_list calls;           /* made for it, that end with it */
};

struct dure_rpc {
    /* set before start */
    dure_rpc_config config;
    const dure_registry_node *self;
    uint32_t self_index;
    const dure_registry_settings *settings;
    dure_router *router;
    dure_key_table *keys;
    dure_deadline keys_expire;
    const dure_method **methods; /* open addressing by number, a power of two of slots */
    uint32_t method_slots;
    dure_rpc_peer *peers; /* by index in the registry */
    uint32_t peer_count;

    /* owner */
    dure_links *links;
    dure_deadlines deadlines;
    dure_call_table calls;
    dure_list ended;      /* calls that are to be told */
    dure_list retrying;   /* calls between two attempts */
    uint64_t retry_milli; /* the budget: thousandths of an attempt */
    uint64_t retry_refilled_ms;
    uint64_t retry_bytes;      /* bodies kept for another attempt */
    uint64_t last_key;         /* number of the request key made last */
    dure_list queued_requests; /* of this node itself, to be served */
    dure_list local_requests;  /* without a peer: local ones, and those whose link is gone */
    dure_list to_cancel;       /* whose on_cancel came after they were cancelled */
    dure_list free_requests;
    dure_iocp_deferred deferred;
    dure_buf frame; /* a call or notify on its way out: room for the header, then the body */
    dure_buf keyed; /* a call whose header has a request key */
    dure_packer call_packer;
    dure_buf reply; /* an answer on its way out */
    dure_buf error; /* a [code, name, text] while it is packed */
    dure_packer reply_packer;
    size_t reply_start;
    uint32_t serving;
    uint32_t turn; /* of equally busy nodes, where to begin */
    bool is_started;
    bool is_draining; /* this node */
    bool is_closing;
    bool is_quiet;  /* links and timer have ended */
    bool is_closed; /* on_closed was called */
    dure_rpc_counters counters;
};

/* Something is to be done at the end of the round. */
void dure_rpc_defer(dure_rpc *rpc);

/* ---- rpc_body.c ---- */

/* Whether bytes may go out as a body: one object within what the other end will accept. */
DURE_CHECKED dure_err dure_rpc_check_body(const dure_rpc *rpc, dure_slice body);

/* Empties a frame's buffer, and gives its memory back where a large body grew it. */
void dure_rpc_clear_buf(dure_buf *buf);

/* The body that stands in rpc->frame behind room for its header. */
dure_slice dure_rpc_frame_body(const dure_rpc *rpc);

/* Packs a body that is given (len 0: nil), behind room for the header. */
DURE_CHECKED dure_err dure_rpc_pack_body(dure_rpc *rpc, dure_slice body);

/* Whether what was packed may go out. Fails: TOO_LARGE, NO_MEMORY, INVALID. */
DURE_CHECKED dure_err dure_rpc_packed_body_status(const dure_rpc *rpc);

/* Writes the header into the room before the packed body; the bytes are lent until the next one. */
DURE_CHECKED dure_err dure_rpc_finish_frame(dure_rpc *rpc, const dure_frame *frame,
                                            dure_slice *out_bytes);

/* Fills an outcome from a [code, name, text]. Fails: PROTOCOL. */
DURE_CHECKED dure_err dure_rpc_read_error(dure_slice error, dure_outcome *out_outcome);

/* Fills an outcome of ours. */
void dure_rpc_own_outcome(dure_err status, dure_outcome *out_outcome);

/* ---- rpc_route.c ---- */

/* Whether something can be sent to a peer now, and whether it ever could; of itself always. */
bool dure_rpc_peer_is_up(const dure_rpc_peer *peer);
bool dure_rpc_peer_was_up(const dure_rpc_peer *peer);
dure_peer_state dure_rpc_state_of(const dure_rpc_peer *peer);

/* Of the nodes of a role that are up, the one with the fewest calls. Fails: NOT_UP, DOWN. */
DURE_CHECKED dure_err dure_rpc_route_to_role(dure_rpc *rpc, const dure_router_role *role,
                                             dure_rpc_peer **out_peer);

/* The peer of a target that is one node. Fails: NOT_CONFIGURED, NOT_UP, DOWN. */
DURE_CHECKED dure_err dure_rpc_route(dure_rpc *rpc, const dure_target *target,
                                     dure_rpc_peer **out_peer);

/* ---- rpc_call.c ---- */

/*
 * Sends the body that stands in rpc->frame to a peer that is up. Not OK: how the attempt ended, for
 * dure_rpc_attempt_ended.
 */
DURE_CHECKED dure_err dure_rpc_attempt(dure_call *call, dure_rpc_peer *peer, uint32_t left_ms);

/* An attempt ended without an answer: the call is made again, or ends with what is true. */
void dure_rpc_attempt_ended(dure_call *call, dure_err status);

/* The call waits for no peer any more. */
void dure_rpc_call_leave(dure_call *call);

/* The answer to a call of this node to itself; error: its [code, name, text], else body. */
void dure_rpc_on_local_answer(dure_rpc *rpc, uint64_t call_id, dure_slice body, bool is_error);

/* A frame of kind response or error. Not OK: the peer broke the protocol. */
DURE_CHECKED dure_err dure_rpc_on_answer(dure_rpc_peer *peer, const dure_frame *frame);

/* The link of a peer is gone: what was not given to the system cannot have run. */
void dure_rpc_end_calls_of(dure_rpc_peer *peer);

/* Calls of this node to itself: those that no handler has seen did not run. */
void dure_rpc_end_local_calls(dure_rpc *rpc);

/* Tells the calls whose outcome became known during the round. */
void dure_rpc_tell_ended_calls(dure_rpc *rpc);

/* ---- rpc_retry.c ---- */

/* A call was made: a part of it is credited to the budget. */
void dure_rpc_retry_count_call(dure_rpc *rpc);

/* Keeps what a repetition of the call in rpc->frame would need, where it may be repeated. */
void dure_rpc_retry_prepare(dure_call *call, const dure_call_options *options);

/* The call ends: gives back what it kept. */
void dure_rpc_retry_forget(dure_call *call);

/* Whether the call will be made again after an attempt that ended so; it has left its peer then. */
bool dure_rpc_retry_later(dure_call *call, dure_err status, bool is_answer);

/* What is true of all attempts, the last of which ended so. */
DURE_CHECKED dure_err dure_rpc_retry_truth(const dure_call *call, dure_err status);

/* The next attempt is due. */
void dure_rpc_retry_now(dure_deadline *deadline);

/* A link stands again: what waited for it need not wait longer. */
void dure_rpc_retry_on_up(dure_rpc_peer *peer);

/* The rpc closes. */
void dure_rpc_retry_end_all(dure_rpc *rpc);

/* ---- rpc_serve.c ---- */

/* NULL: this node does not serve it. */
const dure_method *dure_rpc_find_method(const dure_rpc *rpc, uint32_t number);

/* Frames of kinds request, notify and cancel. Not OK: the peer broke the protocol. */
DURE_CHECKED dure_err dure_rpc_on_request(dure_rpc_peer *peer, const dure_frame *frame);
DURE_CHECKED dure_err dure_rpc_on_notify(dure_rpc_peer *peer, const dure_frame *frame);
void dure_rpc_on_cancel(dure_rpc_peer *peer, const dure_frame *frame);

/* Begins what was parked for want of room, as far as there is some. */
void dure_rpc_run_parked(dure_rpc_peer *peer);

/* Takes a request out of what is parked; others are left alone. */
void dure_rpc_unpark(dure_request *request);

/* A call of this node to itself. */
typedef struct dure_local_call {
    uint64_t call_id; /* 0: a notify */
    uint32_t method;
    uint32_t left_ms;
    uint64_t subject;
    dure_request_key key;
    dure_slice body;
} dure_local_call;

/* Queues it. Fails: NO_MEMORY. */
DURE_CHECKED dure_err dure_rpc_queue_local(dure_rpc *rpc, const dure_local_call *local,
                                           dure_request **out_request);

/* Serves what was queued, runs the on_cancel that came late. */
void dure_rpc_run_requests(dure_rpc *rpc);

/* ---- request.c ---- */

/*
 * A request with a copy of its params and its deadline (left_ms 0: none), in no list yet.
 * Fails: NO_MEMORY.
 */
DURE_CHECKED dure_err dure_request_create(dure_rpc *rpc, uint32_t method, uint64_t subject,
                                          uint32_t left_ms, dure_slice params,
                                          dure_request **out_request);

/* Makes it a peer's request of this id. Fails: NO_MEMORY. */
DURE_CHECKED dure_err dure_request_attach(dure_request *request, dure_rpc_peer *peer, uint32_t id);

/* A peer's request that is not answered yet, or NULL. */
dure_request *dure_request_find(const dure_rpc_peer *peer, uint32_t id);

/* The answer is given, or nobody wants it: it is gone once its handler has returned. */
void dure_request_finish(dure_request *request);

/* The caller is gone: nobody wants the answer. */
void dure_request_cancel(dure_request *request);

/*
 * Its caller gave it up, or is gone with its link: it is cancelled, unless others of its request
 * key wait for it or, after a lost link, may still ask.
 */
void dure_request_abandon(dure_request *request, bool is_link_lost);

/* Runs its on_cancel, which may answer, and so end, the request. */
void dure_request_run_on_cancel(dure_request *request);

/* A call is cancelled when the request is. */
void dure_rpc_tie_call(dure_request *request, dure_list *in_request);

/* Gives an ended request back for reuse. */
void dure_request_give_free(dure_request *request);

/* All requests of a peer whose link is gone; all that are left at the end. */
void dure_rpc_cancel_peer(dure_rpc_peer *peer);
void dure_rpc_cancel_local(dure_rpc *rpc);
void dure_rpc_free_requests(dure_rpc *rpc);

/* ---- rpc_keys.c ---- */

/* A key as the meta map of a frame. */
void dure_rpc_pack_key(const dure_request_key *key, uint8_t out_meta[DURE_RPC_KEY_META_BYTES]);

/* The key in a meta map; number 0: there is none. Fails: PROTOCOL. */
DURE_CHECKED dure_err dure_rpc_read_key(dure_slice meta, dure_request_key *out_key);

/* Whether a request with a key is to be served; else it was answered, or waits for the answer. */
bool dure_rpc_keys_begin(dure_request *request);

/* The one that was served is answered: those that repeat it are too. */
void dure_rpc_keys_answered(dure_request *request, dure_slice answer, bool is_error);

/* It ends without an answer; did_happen: perhaps. */
void dure_rpc_keys_dropped(dure_request *request, bool did_happen);

/* Whether others wait for its answer. */
bool dure_rpc_keys_is_awaited(const dure_request *request);

/* Something may be forgotten. */
void dure_rpc_keys_due(dure_deadline *deadline);

/* ---- request_answer.c ---- */

/* A body as one object: nil where it is empty. */
dure_slice dure_rpc_object_of(dure_slice body);

/*
 * Packs [code, name, text] into room, which answers of other requests cannot overwrite; its length,
 * 0 when there is no memory.
 */
size_t dure_rpc_pack_error(dure_rpc *rpc, uint32_t code, const char *name, const char *text,
                           uint8_t room[DURE_RPC_ERROR_OBJECT_MAX]);

/* Sends one object to where the request's answers go. */
void dure_request_answer_body(dure_request *request, dure_slice body);

/* Sends a [code, name, text] to where the request's answers go. */
void dure_request_answer_error(dure_request *request, dure_slice error);

/* Tells the client or admin behind a local request, once. */
void dure_request_tell_local(dure_request *request, const dure_outcome *outcome);

#endif
