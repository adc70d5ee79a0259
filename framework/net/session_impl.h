/* SPDX-License-Identifier: MIT
 *
 * What the session's files share; no other room includes it.
 *
 *   session.c       its states, its two ends, its one timer, its dispatch
 *   session_dial.c  from a target to a connected socket
 *   session_recv.c  from the socket through the filter to on_recv
 *   session_send.c  from send through the filter to the socket
 *
 * The invariant: a session that is live has a socket with a receive on its way, or is paused, or
 * is ending; and it ends (on_disconnected) only when none of its operations is pending, so that
 * nothing of one life can reach the next.
 */
#ifndef DURE_NET_SESSION_IMPL_H
#define DURE_NET_SESSION_IMPL_H

#include "net/address.h"
#include "net/backoff.h"
#include "net/service_impl.h"

#define DURE_DIAL_ADDRESSES_MAX 8u

/* How far the end has come; forward only within a life. */
typedef enum dure_session_ending {
    DURE_SESSION_ENDING_NONE,
    DURE_SESSION_ENDING_FLUSH, /* what was queued before leaves */
    DURE_SESSION_ENDING_FIN,   /* DisconnectEx is on its way */
    DURE_SESSION_ENDING_READ,  /* the peer's end is awaited */
    DURE_SESSION_ENDING_CUT    /* the socket is closed; pending operations come back */
} dure_session_ending;

/* What becomes of what the peer sends; within a life. */
#define DURE_SESSION_READING_LIST(X)                                                               \
    X(FLOWING) /* a receive is on its way, or is started when its cancelled one comes back */      \
    X(PAUSED)  /* by the user; an end of the peer stays in the socket, behind its bytes */         \
    X(ENDED)   /* the peer's end, or an error, was seen: there is nothing more to read */

typedef enum dure_session_reading {
#define DURE_SESSION_READING_ROW(name) DURE_SESSION_##name,
    DURE_SESSION_READING_LIST(DURE_SESSION_READING_ROW)
#undef DURE_SESSION_READING_ROW
} dure_session_reading;

/* A ClientService's half of one session: where to dial and when. */
typedef struct dure_client_slot {
    dure_iocp_object object;
    dure_session *session;
    dure_backoff backoff;
    dure_iocp_event redial_event;
    uint32_t hold_off_ms;
    /* The next pause, where the timer of a redial that was taken back is still in the way: a life
     * may begin and end within one round. */
    bool is_pause_due;
    uint32_t pause_ms;
    /* The look-up under way, or NULL. It may outlast the life that began it: the next one waits for
     * it too, so that a name which hangs has one thread and no more. */
    dure_net_resolver *resolver;
    dure_net_address addresses[DURE_DIAL_ADDRESSES_MAX];
    size_t address_count;
    size_t address_at;
} dure_client_slot;

struct dure_session {
    dure_iocp_object object;

    /* set before start */
    dure_service_shard *shard;
    dure_client_slot *slot; /* NULL: a server's */

    /* owner, for one life */
    dure_session_state state;
    dure_session_ending ending;
    dure_err cause;
    uint64_t id;
    void *context;
    dure_iocp_socket *socket;
    dure_filter *filter;
    dure_net_address local;
    dure_net_address peer;
    uint64_t last_recv_ms;
    bool was_connected;
    dure_session_reading reading;
    bool is_offer_due; /* the rest is to be offered again after a pause */

    dure_buf rest;      /* received, not consumed */
    dure_buf out;       /* queued for the next send */
    dure_buf in_flight; /* being sent */
    size_t in_flight_at;
    uint64_t sent_total;     /* bytes of this life that left */
    uint64_t handed_total;   /* of this life, given to the system; they may have left */
    uint64_t filtered_total; /* of this life, given to its filter */
    dure_buf plain;          /* reserved by the user, not yet through the filter */
    size_t reserved;         /* bytes of room that a commit may use */

    /* How far the peer had got in this life and the system in the send in flight, when last looked
     * at, and since when neither has been seen to go on. */
    uint64_t acknowledged;
    size_t taken;
    uint64_t progress_ns;

    uint64_t deadline_ns; /* of what the state waits for; 0: none */
    uint64_t timer_due_ns;

    /* owner, over all lives */
    dure_list node; /* in the shard's live or spare list */
    dure_iocp_deferred turn;
    dure_iocp_event connect_event;
    dure_iocp_event recv_event;
    dure_iocp_event send_event;
    dure_iocp_event disconnect_event;
    dure_iocp_event timer_event;
};

static inline dure_service *session_service(const dure_session *session)
{
    return session->shard->service;
}

static inline const dure_service_config *session_config(const dure_session *session)
{
    return &session->shard->service->config;
}

static inline const dure_session_handlers *session_handlers(const dure_session *session)
{
    return session->shard->service->config.handlers;
}

/* ---- session.c ---- */

/* A session in IDLE with an id. Fails: NO_MEMORY, FULL. */
DURE_CHECKED dure_err dure_session_create(dure_service_shard *shard, dure_client_slot *slot,
                                          dure_session **out_session);

/* Frees the memory of a session that has no life and no operation. NULL is fine. */
void dure_session_free(dure_session *session);

/*
 * A server's session over an accepted socket. Takes: socket, on OK only.
 * Fails: NO_MEMORY, FULL.
 */
DURE_CHECKED dure_err dure_session_open(dure_service_shard *shard, dure_iocp_socket *socket);

/* IDLE -> CONNECTING: a life begins and is counted. */
void dure_session_begin(dure_session *session);

/* The socket is connected: options, filter, first receive, on_connected. */
void dure_session_stand(dure_session *session);

/* The filter is ready: on_connected. */
void dure_session_connected(dure_session *session);

/* Ends at once because of an error of the socket; the first cause counts. */
void dure_session_fail(dure_session *session, dure_err cause);

/* CLOSED -> IDLE: a client's session as if it were new, with a new id. */
void dure_session_recycle(dure_session *session);

/* Lets the end come when nothing is pending any more. */
void dure_session_check_end(dure_session *session);

/* What the present state waits for must have come within ms from now; 0: no such limit. */
void dure_session_set_deadline(dure_session *session, uint32_t ms);

/* Runs the session's turn at the end of this round. */
void dure_session_defer(dure_session *session);

/* ---- session_dial.c ---- */

/*
 * Begins to dial the target of the client service; the session is CONNECTING then.
 * Fails: as dure_session_connect; the session is IDLE still.
 */
DURE_CHECKED dure_err dure_session_dial(dure_session *session);
void dure_session_connect_done(dure_session *session, const dure_iocp_event *event);

/* ---- client_service.c ---- */

/* Host (NULL: target is it), port and numeric target of a client service. */
const char *dure_client_host(const dure_service *service);
uint16_t dure_client_port(const dure_service *service);
const dure_net_address *dure_client_target(const dure_service *service);
/* What a dial asks the system for host; NULL: its own look-up. */
dure_net_lookup_fn dure_client_lookup(const dure_service *service);
/* The user dials himself: a waiting redial is taken back. */
void dure_client_forget_redial(dure_client_slot *slot);

/* ---- session_recv.c ---- */

DURE_CHECKED dure_err dure_session_recv_start(dure_session *session);
void dure_session_recv_done(dure_session *session, const dure_iocp_event *event);
/* Offers the rest once more after a pause. */
void dure_session_offer_again(dure_session *session);

/* ---- session_send.c ---- */

void dure_session_flush(dure_session *session);
void dure_session_send_done(dure_session *session, const dure_iocp_event *event);
/* While CONNECTED: the deadline is the next look at the send in flight, or none without one.
 * Without memory for the timer the session fails. */
void dure_session_watch_send(dure_session *session);
/* Looks whether the send in flight goes on; ends the session where it stands still. */
void dure_session_check_stall(dure_session *session);
/* Drops what is queued; what is in flight stays until its completion. */
void dure_session_drop_queue(dure_session *session);

#endif
