/* SPDX-License-Identifier: MIT
 *
 * What link.c (one peer: dialling, which connection stays) and link_conn.c (one connection:
 * handshake, heartbeat, end) and link_hear.c (its frames) share.
 */
#ifndef DURE_CLUSTER_LINK_IMPL_H
#define DURE_CLUSTER_LINK_IMPL_H

#include "base/list.h"
#include "cluster/heartbeat.h"
#include "cluster/hello.h"
#include "cluster/link.h"
#include "cluster/link_lanes.h"
#include "cluster/link_parts.h"
#include "net/address.h"
#include "net/backoff.h"
#include "net/client_service.h"
#include "net/server_service.h"
#include "net/strangers.h"

#define DURE_LINK_PROBE_MS       2000u  /* an old connection has so long to prove it lives */
#define DURE_LINK_IDENTITY_MS    60000u /* no redial sooner after a proven refusal of an identity */
#define DURE_LINK_CLOSE_MS       1000u  /* a graceful end in all */
#define DURE_LINK_LOG_PER_SECOND 10u    /* refusals and failed dials that are logged */
/* On a slow line the system would keep megabytes, and a heartbeat would wait behind them. */
#define DURE_LINK_UNSENT_BYTES   131072u
#define DURE_LINK_CONTROL_BYTES  1048576u /* room in a session beyond what calls may queue */
#define DURE_LINK_BEYOND_BODIES  16u      /* of answers, beyond the queues of all links together */
#define DURE_LINK_JOINING_BODIES 16u /* all links together may have so many largest bodies open */

/* Forward only. */
#define DURE_LINK_CONN_STATE_LIST(X)                                                               \
    X(HANDSHAKE) /* hello and its answers; nothing is dispatched */                                \
    X(WAITING)   /* known, but the link's old connection is being probed */                        \
    X(UP)        /* it is the link */                                                              \
    X(ENDED)     /* the cause is known; the session is on its way out */

typedef enum dure_link_conn_state {
#define DURE_LINK_CONN_STATE_ROW(name) DURE_LINK_CONN_##name,
    DURE_LINK_CONN_STATE_LIST(DURE_LINK_CONN_STATE_ROW)
#undef DURE_LINK_CONN_STATE_ROW
} dure_link_conn_state;

typedef struct dure_link_conn dure_link_conn;

/* One connection, from on_connected to on_disconnected. */
struct dure_link_conn {
    dure_list node; /* of links->conns */
    dure_links *links;
    dure_session *session;
    dure_link *link; /* dialled: from the start; accepted: once the peer is known */
    dure_link_conn_state state;
    bool is_dialled;
    dure_stranger stranger; /* accepted: counted until the handshake is over */
    dure_err cut_cause; /* it is cut with that, which its session reports later; OK: it is not */
    uint64_t incarnation;
    dure_hello *hello;      /* until the handshake is over */
    dure_deadline deadline; /* the handshake's, then the next heartbeat */
    dure_heartbeat heartbeat;

    /* a probe: is the process behind this connection alive? */
    dure_deadline probe;
    uint64_t probe_value;       /* of the ping whose pong counts */
    dure_link_conn *challenger; /* who takes its place if not; may be NULL */
    dure_link_conn *probed;     /* the other way round */

    dure_link_lanes lanes; /* what it sends */
    dure_link_parts parts; /* large bodies that it hears */
    bool is_flushed;       /* it ends gracefully: what is queued still leaves */
    bool is_out_of_room;   /* nothing new is begun for the peer */
};

struct dure_link {
    dure_links *links;
    const dure_registry_node *node;
    uint32_t index;
    bool was_up;
    dure_link_conn *conn; /* UP, or NULL */

    /* dialling; service is NULL where the peer is not dialled */
    dure_net_address address;
    dure_service *service;
    bool is_dial_busy; /* its session connects or stands */
    dure_backoff backoff;
    dure_deadline redial;
    dure_err last_dial_cause;
    uint64_t incarnation;        /* of the peer's process, the last one that was up */
    const dure_link_conn *ended; /* the connection that has just ended, during on_down */
    uint64_t handed_bytes;       /* of it */

    bool is_peer_draining; /* said so on the connection that is up */
    bool has_answered_all; /* said so at the end of it */
};

struct dure_links {
    /* set before start */
    dure_iocp_core *core;
    const dure_registry *registry;
    const dure_registry_settings *settings;
    dure_deadlines *deadlines;
    const dure_links_handlers *handlers;
    void *ctx;
    bool listens_on_free_port;
    uint32_t strangers_max;
    dure_hello_self self;
    dure_link *links; /* by index in the registry; that of this node itself is not used */
    uint32_t link_count;

    /* owner */
    dure_service *server;
    dure_strangers *silent; /* accepted; no sound hello has come */
    dure_strangers *spoken; /* accepted; it has, and the handshake has not ended */
    uint32_t open_services;
    bool is_started;
    uint32_t drain_ms; /* this node drains; 0: it does not */
    bool is_closing;
    dure_list conns;
    dure_buf out; /* a frame of the handshake or of control, for the length of a call */
    uint64_t log_second;
    uint32_t log_count;
    dure_links_counters counters;
    uint64_t joining_bytes; /* announced by bodies in parts that are open */
};

extern const dure_session_handlers dure_link_dialled_handlers;
extern const dure_session_handlers dure_link_accepted_handlers;

/* The link to a node of the registry. */
dure_link *dure_links_find(const dure_links *links, const dure_registry_node *node);

/* Whether one more line that a stranger can cause may be written now. */
bool dure_links_may_log(dure_links *links);

/* ---- link_conn.c ---- */

/* Takes a connection that is known and proven as the link: says welcome where that is ours to say.
 */
void dure_link_conn_admit(dure_link_conn *conn);

/* Ends a connection: refused, goaway, or nothing, as its state wants; is_cut: at once. */
void dure_link_conn_end(dure_link_conn *conn, dure_err cause, const char *text, bool is_cut);

/* Ends an UP connection whose peer has been answered all that it asked. */
void dure_link_conn_end_finished(dure_link_conn *conn);

/* Says on an UP connection that this node drains. */
void dure_link_conn_say_draining(dure_link_conn *conn);

/* Asks whether the process behind an UP connection lives. */
void dure_link_conn_probe(dure_link_conn *conn, dure_link_conn *challenger);

/* Sends links->out, what is in it. Fails: as dure_session_send. */
DURE_CHECKED dure_err dure_link_conn_send_out(dure_link_conn *conn);

/* Sends a ping or pong; one that cannot leave is for silence to judge. */
void dure_link_conn_send_u64(dure_link_conn *conn, dure_frame_kind kind, uint64_t value);

/* The pong of the probe came: the one that waited for its place is refused. */
void dure_link_conn_probe_answered(dure_link_conn *conn);

/* A sound hello came: it stands in line with others who have said so much. */
void dure_link_conn_has_spoken(dure_link_conn *conn);

/* Cuts it; its end is reported later, because the caller stands in the middle of its use. */
void dure_link_conn_cut_later(dure_link_conn *conn, dure_err cause);

/* Adds to the counters what the connection counted for itself; once, at its end or for a look. */
void dure_link_conn_count(const dure_link_conn *conn, dure_links_counters *counters);

/* ---- link_hear.c ---- */

/* on_recv of both kinds of sessions. */
DURE_CHECKED dure_err dure_link_conn_on_recv(dure_session *session, const uint8_t *data, size_t len,
                                             size_t *out_consumed);

/* ---- link.c ---- */

/* A connection's peer is known and proven: decides which one stays. */
void dure_link_offer(dure_link *link, dure_link_conn *conn);

/* Something of an UP connection has left: on_room, where that was waited for. */
void dure_link_look_for_room(dure_link_conn *conn);

/* How much of answers may wait beyond the queues of all links. */
uint64_t dure_links_beyond_max(const dure_links *links);

/* An UP connection became, or ceased to be, the link. */
void dure_link_set_up(dure_link *link, dure_link_conn *conn);
void dure_link_set_down(dure_link *link, dure_link_conn *conn, dure_err cause);

/* The dialled session is idle again: dials later, unless the link stands. */
void dure_link_dial_ended(dure_link *link, dure_err cause, bool was_connected);

#endif
