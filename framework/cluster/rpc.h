/* SPDX-License-Identifier: MIT
 *
 * Calls between nodes: the side that asks (dure_rpc_call) and the side that answers (dure_request).
 * One dure_rpc per node process; it owns the links to all peers, the table of outstanding calls and
 * the methods that this node serves. Everything runs on the node's worker.
 *
 * A call ends exactly once, never inside dure_rpc_call, with one outcome:
 *   OK · an error of the callee (its code) · NOT_SENT · OUTCOME_UNKNOWN (the link broke after it
 *   left) · DEADLINE · CANCELLED · OVERLOADED · and at once NOT_UP, DOWN or NOT_CONFIGURED where
 * there is no peer to send it to.
 */
#ifndef DURE_CLUSTER_RPC_H
#define DURE_CLUSTER_RPC_H

#include "base/str.h"
#include "cluster/registry.h"
#include "iocp/core.h"
#include "wire/packer.h"

typedef struct dure_rpc dure_rpc;
typedef struct dure_request dure_request;
typedef struct dure_outcome dure_outcome;

/* ---- what a node serves ---- */

#define DURE_METHOD_CLIENT     0x01u /* clients may call it through a gateway */
#define DURE_METHOD_NO_LOGIN   0x02u /* also before login */
#define DURE_METHOD_IDEMPOTENT 0x04u /* asking again does no harm: may be retried */
#define DURE_METHOD_NOTIFY     0x08u /* has no answer */
#define DURE_METHOD_ADMIN      0x20u /* served on the admin port only */
#define DURE_METHOD_KEYED      0x40u /* each call carries a request key */
#define DURE_METHOD_BARRIER    0x80u /* a client's calls behind it begin when it has been answered */
#define DURE_METHOD_KEY_PARAM  0x10u /* routed by its first parameter, not to the client's node */

typedef struct dure_method {
    uint32_t number; /* from the schema: service number * 256 + method number */
    uint32_t flags;
    const char *name; /* as clients call it */
    /* Generated: decodes params, calls the handler on_<name>; a wrong parameter is answered
     * BAD_REQUEST. */
    void (*serve)(dure_request *request, dure_slice params, void *state);
} dure_method;

/* ---- the side that answers ---- */

/*
 * A request lives until it is answered. A handler answers before it returns, or calls
 * dure_request_hold and answers later from any callback. One that returns without either is
 * answered INTERNAL (and asserts in debug builds). An answer for which the link has no room left is
 * told to its caller as OUTCOME_UNKNOWN; while much waits for a peer its new requests are not
 * begun. Params are lent for as long as the request lives. A notify has no answer: replies to it do
 * nothing.
 */
void dure_request_hold(dure_request *request);

/*
 * Zeroed room of size bytes that lives as long as the request: where generated code keeps the
 * decoded params. Once per request. NULL: there is no memory.
 */
void *dure_request_room(dure_request *request, size_t size);

/* The number of the method that was called; 0 for one that was opened without. Thread: owner. */
uint32_t dure_request_method(const dure_request *request);
/* The client session, player or entity it concerns; 0: none. */
uint64_t dure_request_subject(const dure_request *request);

/* The request's own copy of its params, one MessagePack object; it lives as long as the request. */
dure_slice dure_request_params(const dure_request *request);
/* The node that asks; NULL when it came from a client of this node or over the admin port. */
const dure_registry_node *dure_request_peer(const dure_request *request);
/* Milliseconds left for it, for calls made on its behalf; at least 1. */
uint32_t dure_request_left_ms(const dure_request *request);
/* True once its caller is gone, cancelled or past the deadline: an answer will be dropped. */
bool dure_request_is_cancelled(const dure_request *request);

/* fn(ctx) runs once if the request is cancelled before it is answered. */
void dure_request_on_cancel(dure_request *request, void (*fn)(dure_request *request, void *ctx),
                            void *ctx);

/*
 * Answers with one MessagePack object (len 0: nil); the request is gone.
 * Borrows: result, for the call.
 */
void dure_request_reply(dure_request *request, dure_slice result);

/*
 * Answers by packing in place: write one object to the packer that begin gives, then call end. A
 * packer that failed becomes INTERNAL. (What generated replies do.)
 */
dure_packer *dure_request_reply_begin(dure_request *request);
void dure_request_reply_end(dure_request *request);

/*
 * Answers with an error: code err, its name, and a sentence for people. The request is gone. Codes
 * from 100 to 999 stay inside a process: what is told is what dure_err_code_on_wire says.
 */
void dure_request_fail(dure_request *request, dure_err err, const char *text, ...)
    DURE_PRINTF(3, 4);

/*
 * Answers a request of which nothing was begun, because nobody waits for it any more: DEADLINE
 * where its time is over, else CANCELLED. Its request key, if it has one, is as if it had not come.
 * The request is gone.
 */
void dure_request_not_begun(dure_request *request);

/* The same with a code of one's own, from 1000 on. */
void dure_request_fail_code(dure_request *request, uint32_t code, const char *name,
                            const char *text);

/*
 * Passes the outcome of a call on as the answer, undecoded: its body, or its error as it came.
 * NOT_UP, DOWN, NOT_CONFIGURED and NOT_SENT become UNAVAILABLE, because the asker knows nothing of
 * our peers.
 */
void dure_request_forward(dure_request *request, const dure_outcome *outcome);

/* ---- the side that asks ---- */

typedef enum dure_target_kind {
    DURE_TARGET_NODE, /* a node id */
    DURE_TARGET_ROLE, /* the node of a role with the fewest calls outstanding, of those that are up
                       */
    DURE_TARGET_KEY,  /* rendezvous hash of key over the configured nodes of a role */
    DURE_TARGET_ALL   /* every node of a role: notify only */
} dure_target_kind;

typedef struct dure_target {
    dure_target_kind kind;
    const char *name; /* node id or role; lent for the call */
    dure_str key;
} dure_target;

/* To one node by its id. */
static inline dure_target dure_to_node(const char *id)
{
    dure_target target = {DURE_TARGET_NODE, id, {NULL, 0}};
    return target;
}

/* To the node of a role with the fewest calls outstanding, of those that are up. */
static inline dure_target dure_to_role(const char *role)
{
    dure_target target = {DURE_TARGET_ROLE, role, {NULL, 0}};
    return target;
}

/* To the node of a role that a key belongs to. */
static inline dure_target dure_to_key(const char *role, dure_str key)
{
    dure_target target = {DURE_TARGET_KEY, role, key};
    return target;
}

/* To every node of a role; for notify. */
static inline dure_target dure_to_all(const char *role)
{
    dure_target target = {DURE_TARGET_ALL, role, {NULL, 0}};
    return target;
}

typedef void (*dure_typed_fn)(void); /* any function, kept for the one who knows its type */

/* How a call ended; everything in it is lent for the callback. */
struct dure_outcome {
    dure_err status;  /* OK, one of ours, or INTERNAL for a callee's own code (see code) */
    uint32_t code;    /* the number on the wire; 0 with OK */
    dure_str name;    /* the error's name */
    dure_str text;    /* a sentence for people */
    dure_slice body;  /* with OK: one MessagePack object */
    dure_slice error; /* with a callee's error: its [code, name, text] as it came; else empty */
    const dure_registry_node *from; /* who answered; NULL: nobody */
    dure_typed_fn _typed_fn;
};

typedef void (*dure_call_fn)(void *ctx, const dure_outcome *outcome);

typedef uint64_t dure_call_id; /* generation-checked; 0 is none */

/*
 * Whether a call that failed is made again. Up to `call_attempts` times within its deadline and the
 * node's retry budget, after NOT_SENT, UNAVAILABLE, OVERLOADED and OUTCOME_UNKNOWN; never where the
 * first attempt finds its peer NOT_UP, DOWN or NOT_CONFIGURED. The outcome is the truth over all
 * attempts: where one may have run and no later one can tell, it is OUTCOME_UNKNOWN.
 */
typedef enum dure_retry {
    DURE_RETRY_BY_METHOD, /* where method_flags say IDEMPOTENT or KEYED, or a key is given */
    DURE_RETRY_NEVER,
    DURE_RETRY_SAFE /* the callee keeps a key of the params for ever, as a row say */
} dure_retry;

/*
 * A request key: calls with the same key take effect once, as long as the process that served the
 * first one remembers (request_key_ms, request_keys_max, request_keys_bytes). It gives a repeat the
 * first one's answer; another method, subject or body is MISMATCH, a key that it cannot remember
 * any more (or that went to another process first) is TOO_OLD. What surely did not happen (an error
 * of class TEMPORARY) is not remembered.
 */
typedef struct dure_request_key {
    uint64_t origin; /* the incarnation of the process that made it */
    uint64_t number; /* rising in that process, from 1; 0: no key */
    uint64_t callee; /* the incarnation of the process that it went to first; 0: to none yet */
} dure_request_key;

typedef struct dure_call_options {
    uint64_t subject;
    uint32_t deadline_ms;  /* 0: the configuration's call_deadline_ms; capped to it never */
    uint32_t method_flags; /* DURE_METHOD_IDEMPOTENT, _KEYED: of the method; stubs fill them in */
    dure_retry retry;
    /* Of dure_rpc_new_key, for a call that its maker may want to repeat itself; its callee is
     * filled in by the call. Lent for the call. NULL: one of the call's own where it needs one. */
    dure_request_key *key;
    /* The call is cancelled when for_request is. */
    bool ends_with_request;
    /* The request on whose behalf the call is made: it never outlives it, and ends as DEADLINE
     * without being sent where nothing is left. NULL: none. */
    dure_request *for_request;
} dure_call_options;

/* What stubs do: the options given (NULL: defaults) with the flags of their method. */
static inline dure_call_options dure_call_options_for(const dure_call_options *options,
                                                      uint32_t method_flags)
{
    dure_call_options out = {.deadline_ms = 0};
    if (options != NULL) {
        out = *options;
    }
    out.method_flags |= method_flags;
    return out;
}

/* A key that no other call has. Thread: owner. */
dure_request_key dure_rpc_new_key(dure_rpc *rpc);

/*
 * Asks. body is one MessagePack object (len 0: nil). Calls of one subject (not 0) to one node are
 * begun there in the order in which they were made, whatever their sizes, unless one is made again;
 * calls without a subject, and of different ones, have no order.
 *
 * Borrows: target, options (NULL: defaults), body, for the call.
 * Fails:   INVALID (also a body that is not one object within the limits of docs/wire.md),
 *          TOO_LARGE, NO_MEMORY, OVERLOADED (2^20 calls are outstanding), STATE (after close).
 *          on_done will not be called.
 * Calls:   on_done, once, later.
 * Thread:  owner.
 */
DURE_CHECKED dure_err dure_rpc_call(dure_rpc *rpc, const dure_target *target, uint32_t method,
                                    const dure_call_options *options, dure_slice body,
                                    dure_call_fn on_done, void *ctx, dure_call_id *out_call);

/*
 * The same with a body packed in place: begin gives a packer to write one object to, send makes the
 * call (or drop gives it up). For generated stubs: typed_fn is kept for the generated on_done,
 * which gets it through dure_outcome_typed.
 */
dure_packer *dure_rpc_call_begin(dure_rpc *rpc);
DURE_CHECKED dure_err dure_rpc_call_send(dure_rpc *rpc, const dure_target *target, uint32_t method,
                                         const dure_call_options *options, dure_call_fn on_done,
                                         dure_typed_fn typed_fn, void *ctx, dure_call_id *out_call);
dure_typed_fn dure_outcome_typed(const dure_outcome *outcome);
/* Gives the packed body up. */
void dure_rpc_call_drop(dure_rpc *rpc);

/*
 * Gives a call up: it ends as CANCELLED, later, and the callee is told. A stale id does nothing.
 */
void dure_rpc_cancel(dure_rpc *rpc, dure_call_id call);

/*
 * A message without an answer, to one node or to all of a role; at most once. Those from one node
 * to another arrive in the order in which they were sent, whatever their sizes.
 *
 * Fails: NOT_UP, DOWN, NOT_CONFIGURED, OVERLOADED, NO_MEMORY: it did not leave (to ALL: to none).
 */
DURE_CHECKED dure_err dure_rpc_notify(dure_rpc *rpc, const dure_target *target, uint32_t method,
                                      uint64_t subject, dure_slice body);

/*
 * The same with a body packed in place: begin as for a call, then this instead of
 * dure_rpc_call_send.
 */
DURE_CHECKED dure_err dure_rpc_notify_send(dure_rpc *rpc, const dure_target *target,
                                           uint32_t method, uint64_t subject);

/* ---- the peers ---- */

typedef enum dure_peer_state { DURE_PEER_NOT_UP, DURE_PEER_UP, DURE_PEER_DOWN } dure_peer_state;

/* NOT_UP until the first welcome. */
dure_peer_state dure_rpc_peer_state(const dure_rpc *rpc, const char *node_id);

/*
 * Whether a peer is up and has said that it finishes what it has and wants nothing new. A call to a
 * role goes to others then, or ends as DOWN (unless this node drains too); one to the node itself
 * still reaches it. Thread: owner.
 */
bool dure_rpc_peer_is_draining(const dure_rpc *rpc, const char *node_id);

/*
 * The incarnation of the process that a peer's link leads or last led to; 0: it was never up. In
 * on_peer_up it tells the same process come back (what was under way may be lost, its memory is
 * not) from another one. Thread: owner.
 */
uint64_t dure_rpc_peer_incarnation(const dure_rpc *rpc, const char *node_id);

/* The node that a key belongs to, up or not; NULL when the role has no nodes. */
const dure_registry_node *dure_rpc_node_of_key(const dure_rpc *rpc, const char *role, dure_str key);

/* The registry it was made with. Thread: any. */
const dure_registry *dure_rpc_registry(const dure_rpc *rpc);
/* This node. Thread: any. */
const dure_registry_node *dure_rpc_self(const dure_rpc *rpc);
/* The core that it lives on. Thread: any. */
dure_iocp_core *dure_rpc_core(const dure_rpc *rpc);
/* Calls this node waits for, and requests it has not answered. */
uint32_t dure_rpc_outstanding(const dure_rpc *rpc);
uint32_t dure_rpc_serving(const dure_rpc *rpc);

/* ---- life ---- */

typedef struct dure_rpc_config {
    dure_iocp_core *core;
    const dure_registry *registry; /* borrowed for life */
    const char *node_id;           /* this node */
    uint64_t schema_hash;
    const dure_method *const
        *method_tables; /* each ends with a row whose serve is NULL; borrowed for life */
    size_t method_table_count;
    void *state; /* for serve and the callbacks below */
    /* What a method's serve gets instead of state, asked at each call. NULL: state. */
    void *(*method_state)(void *state, const dure_method *method);
    /* A peer's link stands, or is gone with its cause. May be NULL. */
    void (*on_peer_up)(dure_rpc *rpc, const dure_registry_node *peer, void *state);
    void (*on_peer_down)(dure_rpc *rpc, const dure_registry_node *peer, dure_err cause,
                         void *state);
    /* A peer whose link stands begins to drain. May be NULL. */
    void (*on_peer_draining)(dure_rpc *rpc, const dure_registry_node *peer, void *state);
    /* Another living process has this node's id: the program must exit with 78. Nobody can cause
     * this but a node that we dialled and that knows the secret where there is one. May be NULL. */
    void (*on_duplicate)(dure_rpc *rpc, void *state);
    void (*on_closed)(dure_rpc *rpc, void *state);
    /* Listens on a free port also where the registry says port 0 and nobody dials this role. */
    bool listens_on_free_port;
    /* Where the process has descriptors for less than link_strangers_max; 0: that. */
    uint32_t link_strangers_max;
} dure_rpc_config;

/*
 * Fails: NOT_CONFIGURED (no such node), EXISTS (two methods of one number), NO_MEMORY, SYSTEM.
 * Owned by the caller; ends with dure_rpc_destroy.
 */
DURE_CHECKED dure_err dure_rpc_create(const dure_rpc_config *config, dure_rpc **out_rpc);

/*
 * Listens on the node's link port (where it has one) and dials those whom its role dials.
 * Fails: as dure_service_start; INVALID where the address to bind is no numeric one. When it could
 *        not listen nothing runs and it may be destroyed; after NO_MEMORY it must be closed first.
 */
DURE_CHECKED dure_err dure_rpc_start(dure_rpc *rpc);

/* The link port really bound, for port 0. Fails: STATE. */
DURE_CHECKED dure_err dure_rpc_link_address(const dure_rpc *rpc, dure_net_address *out_address);

/*
 * Tells a dialler where a peer really is, where the registry says port 0 (dure dev, tests). Before
 * start.
 */
DURE_CHECKED dure_err dure_rpc_set_peer_address(dure_rpc *rpc, const char *node_id,
                                                const dure_net_address *address);

/*
 * Tells the peers that this node finishes what it has, for drain_ms at most, and wants nothing new.
 * It still serves what comes. Thread: owner.
 */
void dure_rpc_drain(dure_rpc *rpc, uint32_t drain_ms);

/*
 * Ends all links; where every request that was heard has been answered the peers learn that, and
 * their other calls end as NOT_SENT. Outstanding calls end first (NOT_SENT or OUTCOME_UNKNOWN),
 * requests not yet answered are cancelled. Also right after create. Calls: on_closed, once, later.
 */
void dure_rpc_close(dure_rpc *rpc);

/* After on_closed. NULL is fine. */
void dure_rpc_destroy(dure_rpc *rpc);

typedef struct dure_rpc_counters {
    uint64_t calls;           /* made, those to this node itself included */
    uint64_t served;          /* requests and notifies taken up */
    uint64_t late_answers;    /* to calls that had ended; dropped */
    uint64_t stale_answers;   /* of a connection that had ended, its process perhaps too; dropped */
    uint64_t retries;         /* attempts after the first one of a call */
    uint64_t retries_refused; /* that the retry budget did not allow */
    uint64_t repeats;         /* requests that a request key showed to be one made before */
    uint64_t not_begun;       /* requests whose caller was gone before they were begun */
    uint64_t dropped_answers; /* of requests whose caller was gone */
    uint64_t unknown_notifies; /* for methods that this node does not serve; dropped */
    uint64_t links_up;         /* how often a link stood */
    uint64_t links_refused;
    uint64_t links_shed; /* of these, strangers that made room for another one */
    uint64_t links_replaced;
    uint64_t dials_failed;
    uint64_t links_slow; /* cut because their peer took nothing for write_stall_ms */
    uint64_t overloaded; /* calls and notifies refused for a link's long queue */
    uint64_t parked; /* requests and notifies begun later, because too much waited for their peer */
    uint64_t parked_refused;       /* of these, for which there was no room either */
    uint64_t answers_without_room; /* told as OUTCOME_UNKNOWN */
    uint64_t parts_sent;           /* pieces of large bodies */
    uint64_t parts_heard;
    uint64_t bodies_dropped; /* large requests given up before their last part left */
    uint64_t queued_bytes;   /* that wait on all links now */
    uint64_t joining_bytes;  /* announced by large bodies that are not whole yet, now */
} dure_rpc_counters;

/* Counts since its creation. Thread: owner. */
void dure_rpc_counters_of(const dure_rpc *rpc, dure_rpc_counters *out_counters);

/*
 * Serves a request that did not come over a link: a client's or an admin's; any method, also an
 * admin one. left_ms 0: the configuration's call_deadline_ms. reply runs once, with the outcome
 * (body or error lent for the call), perhaps inside this call: *out_request is NULL then. At the
 * deadline it runs with DEADLINE. Fails: UNKNOWN_METHOD, NO_MEMORY; reply will not run.
 */
typedef void (*dure_local_reply_fn)(void *ctx, const dure_outcome *outcome);
DURE_CHECKED dure_err dure_rpc_serve_local(dure_rpc *rpc, uint32_t method, uint64_t subject,
                                           uint32_t left_ms, dure_slice params,
                                           dure_local_reply_fn reply, void *ctx,
                                           dure_request **out_request);
/*
 * The same without a method: a request for the role to forward or answer itself; nothing is
 * dispatched. Held already.
 */
DURE_CHECKED dure_err dure_rpc_open_local(dure_rpc *rpc, uint64_t subject, uint32_t left_ms,
                                          dure_slice params, dure_local_reply_fn reply, void *ctx,
                                          dure_request **out_request);
/* The caller of a local request is gone: on_cancel runs, reply will not. */
void dure_rpc_abandon_local(dure_request *request);

#endif
