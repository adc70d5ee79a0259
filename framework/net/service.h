/* SPDX-License-Identifier: MIT
 *
 * Service: what ServerService and ClientService share: an address, the cores that its sessions are
 * pinned to, the handlers, limits, counts, start and close.
 *
 * A service is made at start-up, started and closed on the thread of its first core (or before the
 * cores run), and destroyed when on_closed has been called.
 */
#ifndef DURE_NET_SERVICE_H
#define DURE_NET_SERVICE_H

#include "net/filter.h"
#include "net/session.h"

typedef struct dure_service_config {
    const char *name; /* for logs, such as "clients"; borrowed for the service's life */
    /* Array borrowed for the create call. The cores are destroyed after the threads of all of them
     * have ended: one may be posting to another until then. */
    dure_iocp_core *const *cores;
    size_t core_count;                     /* at least 1, at most 64 */
    const dure_session_handlers *handlers; /* all set; borrowed for the service's life */
    /*
     * The peer has ended its sending, and on_recv has had all of its bytes. NULL: the session
     * disconnects with PEER_CLOSED. Set: it stays connected, for what it still has to write, until
     * its user disconnects it, who sees to it that this comes. A reset ends it at once, and one
     * that comes after the end does when something is written.
     */
    void (*on_peer_ended)(dure_session *session);
    void *context;                     /* dure_service_context */
    const dure_filter_factory *filter; /* NULL: identity */
    uint32_t sessions_max;             /* server: most at once, further ones are closed at accept */
    size_t send_queue_max;             /* bytes; past it send fails as OVERLOADED */
    size_t recv_rest_max; /* bytes that on_recv may leave unconsumed before TOO_LARGE */
    uint32_t close_ms;    /* a graceful end in all; then the session is cut */
    uint32_t connect_ms;  /* a connect in all, look-up and handshake of a filter included */
    /* Queued bytes of which none has got on for so long (the system has taken none and the peer's
     * has acknowledged none): cut as SLOW, an eighth of it later at most. 0: never. Windows
     * tells only when a piece of 64 KiB has left: who takes less than that in this time is cut. */
    uint32_t write_stall_ms;
    uint32_t keepalive_s;           /* TCP keepalive; 0: off */
    uint32_t user_timeout_ms;       /* TCP_USER_TIMEOUT; 0: the system's */
    uint32_t unsent_bytes_max;      /* that the system keeps unsent; 0: as it likes */
    uint32_t accept_pause_first_ms; /* server: the pause after an error of an accept, */
    uint32_t accept_pause_max_ms;   /* doubling up to this while errors last */
    void (*on_closed)(dure_service *service,
                      void *context); /* all sessions are gone; may be NULL */
} dure_service_config;

/*
 * Defaults: 100,000 sessions, 1 MiB, 64 KiB, 5,000 ms, 5,000 ms, 10,000 ms, keepalive 60 s, 0,
 * 10 ms to 1,000 ms;
 * everything else zero.
 */
void dure_service_config_init(dure_service_config *config);

/*
 * Whether everything is there that start needs.
 * Thread: owner.
 */
bool dure_service_can_start(const dure_service *service);

/*
 * Server: binds, listens, accepts. Client: connects its sessions.
 * Fails: STATE when started already; server: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION;
 *        NO_MEMORY, TOO_MANY_FILES.
 * Thread: owner of the first core, or before it runs.
 */
DURE_CHECKED dure_err dure_service_start(dure_service *service);

/*
 * Stops accepting or redialling, disconnects all sessions with CLOSED, a bounded number a round so
 * that others have their turn, and calls on_closed when the last is gone (later, on the first core;
 * also when it never started). Twice is once. Thread: owner of the first core.
 */
void dure_service_close(dure_service *service);

/* True once on_closed has been (or would have been) called. */
bool dure_service_is_closed(const dure_service *service);

/* Asserts that it is closed or was never started. NULL is fine. */
void dure_service_destroy(dure_service *service);

/*
 * Queues a copy for a session of any worker.
 * Fails: STALE where that can be told at once, NO_MEMORY, OVERLOADED (64 MiB are on their way to
 *        that worker). A later failure (the session ended, the
 *        queue was full) ends in the drop of these bytes, counted in dure_service_counters.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_service_send(dure_service *service, uint64_t session_id,
                                        const void *data, size_t len);

/*
 * Disconnects a session of any worker; nothing happens when the id is stale.
 * Fails: NO_MEMORY.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_service_disconnect(dure_service *service, uint64_t session_id,
                                              dure_err cause);

/* The session of an id that belongs to the calling core; NULL when stale or of another core. */
dure_session *dure_service_find(dure_service *service, dure_iocp_core *core, uint64_t session_id);

/* Calls visit for every session of the calling core that is connected. visit may disconnect it. */
void dure_service_each(dure_service *service, dure_iocp_core *core,
                       void (*visit)(dure_session *session, void *ctx), void *ctx);

/* The config's context. Thread: any. */
void *dure_service_context(const dure_service *service);

typedef struct dure_service_counters {
    uint64_t opened; /* connections that stood */
    uint64_t closed; /* of these, ended */
    uint64_t connect_failed;
    uint64_t refused_full; /* closed at accept because of sessions_max */
    uint64_t recv_bytes;
    uint64_t sent_bytes;
    uint64_t dropped_sends; /* from other threads, for a session that was gone or full */
    uint64_t accept_pauses;
} dure_service_counters;

/* Sums over all workers; a little old while they run. Thread: any. */
void dure_service_counters_of(const dure_service *service, dure_service_counters *out_counters);

#endif
