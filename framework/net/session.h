/* SPDX-License-Identifier: MIT
 *
 * Session: one connection from its birth in a Service to its one end. It receives through its
 * handlers, sends through a bounded queue whose content leaves once per dispatch round, and
 * disconnects once, with one cause, whoever asks and however often.
 *
 * A session belongs to one worker. Handlers run there, one at a time, and may call everything
 * below. Other threads hold the session's id and use net/service.h.
 */
#ifndef DURE_NET_SESSION_H
#define DURE_NET_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iocp/core.h"

typedef struct dure_session dure_session;
typedef struct dure_service dure_service;

/* Forward only; a second life is a recycled session that carries nothing of its former one. */
#define DURE_SESSION_STATE_LIST(X)                                                                 \
    X(IDLE)       /* made, or disconnected; may connect (ClientService) */                         \
    X(CONNECTING) /* ConnectEx is on its way */                                                    \
    X(CONNECTED)  /* on_connected was called */                                                    \
    X(CLOSING)    /* a cause is set; what was queued before leaves; nothing new is taken */        \
    X(CLOSED)     /* on_disconnected (or on_connect_failed) was called */

typedef enum dure_session_state {
#define DURE_SESSION_STATE_ROW(name) DURE_SESSION_##name,
    DURE_SESSION_STATE_LIST(DURE_SESSION_STATE_ROW)
#undef DURE_SESSION_STATE_ROW
} dure_session_state;

typedef struct dure_session_handlers {
    /* The connection stands. */
    void (*on_connected)(dure_session *session);

    /* The connect ended without a connection; on_disconnected is not called. */
    void (*on_connect_failed)(dure_session *session, dure_err cause);

    /*
     * Bytes came: data[0..len) lent for the call, starting with what was not consumed last time.
     * Says in *out_consumed (0 at entry, at most len) how many were used; the rest is offered again
     * with what follows. Not OK: the session disconnects with that cause.
     */
    dure_err (*on_recv)(dure_session *session, const uint8_t *data, size_t len,
                        size_t *out_consumed);

    /* So many bytes of the queue left for the system. */
    void (*on_sent)(dure_session *session, size_t bytes);

    /* The end, once per connection; the cause is the first one given. */
    void (*on_disconnected)(dure_session *session, dure_err cause);
} dure_session_handlers;

/* Handlers that do nothing (on_recv consumes all), for tables that must be complete. */
void dure_session_ignore_connected(dure_session *session);
void dure_session_ignore_connect_failed(dure_session *session, dure_err cause);
DURE_CHECKED dure_err dure_session_ignore_recv(dure_session *session, const uint8_t *data,
                                               size_t len, size_t *out_consumed);
void dure_session_ignore_sent(dure_session *session, size_t bytes);
void dure_session_ignore_disconnected(dure_session *session, dure_err cause);

/*
 * Connects to the target of its ClientService.
 * Fails: STATE on a session that is connecting or connected, and on one of a ServerService;
 *        TOO_MANY_FILES, NO_MEMORY. No handler will be called.
 * Calls: on_connected or on_connect_failed, once, later.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_session_connect(dure_session *session);

/*
 * Ends the session with a cause (not DURE_OK). What was queued before still leaves, then FIN, then
 * the peer's end is awaited; all of it within the service's close_ms, after which it is cut. While
 * it is connecting it ends at once.
 * The first call counts; all others do nothing.
 * Calls: on_disconnected, once, later (on_connect_failed while connecting).
 * Thread: owner.
 */
void dure_session_disconnect(dure_session *session, dure_err cause);

/*
 * As disconnect, but at once: queued bytes are dropped and the other side sees a reset.
 * Thread: owner.
 */
void dure_session_abort(dure_session *session, dure_err cause);

/*
 * Queues a copy of len bytes; all that is queued in one dispatch round leaves together.
 * Borrows: data, for the call.
 * Fails:   STATE when not connected or closing; OVERLOADED past the service's send_queue_max;
 *          NO_MEMORY. Nothing was queued.
 * Thread:  owner.
 * Calls:   on_sent, later.
 */
DURE_CHECKED dure_err dure_session_send(dure_session *session, const void *data, size_t len);

/*
 * Room for up to len bytes at the end of the send queue, to encode into without a copy. Valid until
 * the next call for this session; dure_session_commit queues the bytes really written (0: none),
 * and asserts that there was so much room.
 * Fails: as send.
 * Thread: owner.
 */
DURE_CHECKED dure_err dure_session_reserve(dure_session *session, size_t len, uint8_t **out_room);
void dure_session_commit(dure_session *session, size_t len);

/*
 * Stops and restarts reading, so that TCP holds the peer back. Restarting offers unconsumed bytes
 * again, later. Thread: owner.
 */
void dure_session_pause_recv(dure_session *session);
void dure_session_resume_recv(dure_session *session);

/* ---- questions; owner thread except the id ---- */

/* Never 0; stale after the end. Names the worker too, so any thread may pass it to net/service.h.
 */
uint64_t dure_session_id(const dure_session *session);
dure_session_state dure_session_state_of(const dure_session *session);
const char *dure_session_state_name(dure_session_state state);
bool dure_session_is_connected(const dure_session *session);
size_t dure_session_send_queue_bytes(const dure_session *session);
/*
 * Bytes of this connection that were given to the system, also when it did not say what became of
 * them; what was queued behind them never left. Also in on_disconnected. Behind a filter, which may
 * make more or fewer of them, all that was queued: what of it left is not known.
 */
uint64_t dure_session_handed_bytes(const dure_session *session);
/* Milliseconds (core clock) when bytes last came. */
uint64_t dure_session_last_recv_ms(const dure_session *session);
const dure_net_address *dure_session_peer(const dure_session *session);
const dure_net_address *dure_session_local(const dure_session *session);
dure_service *dure_session_service(const dure_session *session);
dure_iocp_core *dure_session_core(const dure_session *session);

/* A pointer of the user's; NULL at the start of each life. */
void *dure_session_context(const dure_session *session);
void dure_session_set_context(dure_session *session, void *context);

#endif
