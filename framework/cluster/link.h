/* SPDX-License-Identifier: MIT
 *
 * A link is the one connection to one peer, kept connected: dialled (and redialled) where our role
 * dials the peer's, accepted where the peer dials us. dure_links are all links of a node, with the
 * listener, the handshakes and the heartbeats. What the frames of calls mean is rpc.c's.
 *
 * A link comes and goes: on_up and on_down alternate. Two connections between the same two
 * incarnations never make two links: of the same dialler the newer stays, else the one that the
 * node with the byte-wise smaller id dialled; the other ends with REPLACED.
 *
 * Owner thread only.
 */
#ifndef DURE_CLUSTER_LINK_H
#define DURE_CLUSTER_LINK_H

#include "cluster/deadline.h"
#include "cluster/registry.h"
#include "wire/frame.h"

typedef struct dure_link dure_link;
typedef struct dure_links dure_links;

typedef struct dure_links_handlers {
    void (*on_up)(void *ctx, dure_link *link);
    /* Once for each on_up, when nothing can be sent or will come any more. */
    void (*on_down)(void *ctx, dure_link *link, dure_err cause);
    /* The peer finishes what it has and wants nothing new; it will end the link. Once for each
     * on_up at most, also right after it. */
    void (*on_draining)(void *ctx, dure_link *link);
    /* Something new may be begun for the peer again, after dure_link_has_room said no. */
    void (*on_room)(void *ctx, dure_link *link);
    /*
     * A request, response, notify, error or cancel; the frame is lent for the call. Not OK: the
     * peer broke the protocol and the link ends with that cause.
     */
    dure_err (*on_frame)(void *ctx, dure_link *link, const dure_frame *frame);
    /* A node that this one dialled, and that knows the secret where there is one, refused it
     * because another living process has its id. */
    void (*on_duplicate)(void *ctx);
    void (*on_closed)(void *ctx);
} dure_links_handlers;

typedef struct dure_links_config {
    dure_iocp_core *core;
    const dure_registry *registry; /* borrowed for life */
    const dure_registry_node *self;
    uint64_t schema_hash;
    dure_deadlines *deadlines;           /* borrowed for life */
    bool listens_on_free_port;           /* also where the registry says port 0 and nobody dials */
    uint32_t strangers_max;              /* less than link_strangers_max, at least 8; 0: that */
    const dure_links_handlers *handlers; /* complete; borrowed for life */
    void *ctx;
} dure_links_config;

/*
 * Fails: NO_MEMORY, SYSTEM (no entropy).
 * Owned by the caller; ends with dure_links_destroy, after on_closed or when never started.
 */
DURE_CHECKED dure_err dure_links_create(const dure_links_config *config, dure_links **out_links);
void dure_links_destroy(dure_links *links);

/* Where a peer really is; before start. */
void dure_links_set_address(dure_links *links, uint32_t node, const dure_net_address *address);

/*
 * Listens and dials.
 * Fails: INVALID (the address to bind is no numeric one), else as dure_service_start; nothing runs
 *        then, but on_closed must still be awaited after dure_links_close.
 */
DURE_CHECKED dure_err dure_links_start(dure_links *links);

/*
 * Tells all peers, and those whose links come up later, that this node finishes what it has and
 * wants nothing new (goaway with drain_ms, which says how long that may take). The links stay.
 */
void dure_links_drain(dure_links *links, uint32_t drain_ms);

/*
 * Ends all links (goaway, then CLOSED) and stops dialling. is_finished: each request that was heard
 * has been answered, so that the peers' other calls are known not to have begun.
 * Calls: on_closed, once, later.
 */
void dure_links_close(dure_links *links, bool is_finished);

/* The address really bound. Fails: STATE. */
DURE_CHECKED dure_err dure_links_address(const dure_links *links, dure_net_address *out_address);

/* The number that this process drew for itself. */
uint64_t dure_links_incarnation(const dure_links *links);

/* The link to the node of a registry index; NULL for this node itself. */
dure_link *dure_links_at(const dure_links *links, uint32_t node);

/* ---- one link ---- */

/* What a frame is held to. */
typedef enum dure_link_load {
    DURE_LINK_NEW_WORK, /* a call, notify or cancel: the high mark */
    DURE_LINK_ANSWER,   /* to a request: the end of the queue, and what all links share beyond it */
    DURE_LINK_VERDICT   /* a short one in the place of an answer that found no room: always taken */
} dure_link_load;

/*
 * Queues a whole frame, of any length up to body_max_bytes; a body over 32 KiB leaves as parts.
 * out_end: a mark for dure_link_may_have_left. A cancel takes back a request that waits still, or
 * the rest of it.
 * Fails: STATE (not up), OVERLOADED, NO_MEMORY; nothing was queued. An answer that is lost for
 *        another cause than OVERLOADED, and a verdict, end the link with it, later: without them
 *        the peer would be told at our end that the call had not begun.
 */
DURE_CHECKED dure_err dure_link_send(dure_link *link, dure_slice frame, dure_link_load load,
                                     uint64_t *out_end);

/*
 * Whether something new may be begun for the peer. False once small frames past the high mark, or
 * frames of any size past the end of the queue, wait for it; on_room says when half has left.
 */
bool dure_link_has_room(dure_link *link);

/* The peer gave a call up: its answer is dropped where none of it has left yet. */
void dure_link_drop_answer(dure_link *link, uint32_t id);

/* An answer for the peer was lost before it could be queued: ends the link, if it is up, later. */
void dure_link_give_up(dure_link *link, dure_err cause);

/*
 * Whether the frame with this mark may have been taken up: its last bytes were given to the system,
 * and the peer did not say at its end that it had answered all it had heard. In on_down only.
 */
bool dure_link_may_have_left(const dure_link *link, uint64_t end);

/* Whether welcome was said and the link has not ended. Thread: owner. */
bool dure_link_is_up(const dure_link *link);
/* Whether it is up and its peer drains. Thread: owner. */
bool dure_link_is_draining(const dure_link *link);
/* Whether it has ever been up. */
bool dure_link_was_up(const dure_link *link);
const dure_registry_node *dure_link_node(const dure_link *link);
/* Of the peer's process that the link leads or last led to; 0: it has never been up. */
uint64_t dure_link_incarnation(const dure_link *link);
/* The peer's index in the registry. */
uint32_t dure_link_index(const dure_link *link);

typedef struct dure_links_counters {
    uint64_t up;
    uint64_t down;
    uint64_t dial_failed;
    uint64_t refused;       /* handshakes that ended without a link */
    uint64_t shed;          /* of these, those that made room for another stranger */
    uint64_t replaced;      /* connections that gave way to another of the same link */
    uint64_t overloaded;    /* calls and notifies that found a link's queue too long */
    uint64_t not_begun;     /* requests whose cancel stood behind them in what came at once */
    uint64_t stale_answers; /* heard behind the end of their connection; dropped */
    uint64_t slow;          /* links that were cut because their peer took nothing */
    uint64_t no_room;       /* answers that found no room, and were told as an unknown outcome */
    uint64_t parts_sent;    /* pieces of large bodies */
    uint64_t parts_heard;
    uint64_t bodies_dropped; /* large requests that were given up before their last part left */
    uint64_t queued_bytes;   /* that wait on all links now */
    uint64_t joining_bytes;  /* announced by large bodies that are not whole yet, now */
} dure_links_counters;

/* How often links stood, were refused or replaced, and what waits on them. Thread: owner. */
void dure_links_counters_of(const dure_links *links, dure_links_counters *out_counters);

#endif
