/* SPDX-License-Identifier: MIT
 *
 * The contract between core.c, the half of the completion core that is the same everywhere, and a
 * back end, the half that talks to one system. core.c keeps the ledger, the timers, the mailbox,
 * the job threads, the list of ready completions and the order of a round; a back end opens
 * sockets, starts and cancels their operations, waits, and reports each result once.
 *
 * A round, in dure_iocp_core_round: poll (the only place that waits) - posts and due timers become
 * ready - then passes: advance (the back end delivers what it collected), dispatch of what is
 * ready, deferred functions - until nothing is left or the passes of a round are used up.
 *
 * What must survive a change: a completion is dispatched from advance or from the ready list, never
 * from start, cancel or close; and every event that start took is delivered once with more=false.
 */
#ifndef DURE_IOCP_BACKEND_H
#define DURE_IOCP_BACKEND_H

#include <stdatomic.h>

#include "base/mailbox.h"
#include "base/rng.h"
#include "iocp/apart.h"
#include "iocp/core.h"
#include "iocp/jobs.h"
#include "iocp/timer.h"

typedef struct dure_iocp_backend dure_iocp_backend;

/* What every core has. A back end's own struct begins with it. */
struct dure_iocp_core {
    /* set before start */
    const dure_iocp_backend *backend;
    dure_iocp_core_config config;
    uint32_t sockets_max;
    uint32_t sockets_of_process_max;

    /* owner */
    dure_list ready;     /* events whose result is known, to be dispatched in the next pass */
    dure_list deferred;  /* dure_iocp_deferred */
    dure_list graveyard; /* closed sockets without operations, freed at the end of the round */
    dure_timer_heap timers;
    dure_iocp_jobs *jobs;   /* NULL until the first job */
    dure_iocp_apart *apart; /* NULL until the first job that may hang */
    dure_rng rng;
    uint64_t now_ns;
    uint64_t pending; /* the ledger: operations started and not yet completed */
    dure_iocp_counters counters;
    bool is_in_round;

    /* any thread */
    dure_mailbox mailbox;
    atomic_bool is_mail_waiting; /* release by the writer, acquire by the reader */
    atomic_bool is_stopping;     /* release, acquire */
    _Atomic uint64_t owner;      /* dure_thread_self() of the thread in run; 0: nobody */
};

/*
 * A socket's share of a round, so that a loud one takes no other's turn. A back end may give less.
 */
#define DURE_IOCP_RECVS_PER_ROUND   4u
#define DURE_IOCP_ACCEPTS_PER_ROUND 64u

/* Kinds that belong to a socket come first in dure_iocp_kind. */
#define DURE_IOCP_SOCKET_KINDS ((size_t)DURE_IOCP_SEND + 1)

/* Forward only. */
typedef enum dure_iocp_socket_state {
    DURE_IOCP_SOCKET_OPEN,
    DURE_IOCP_SOCKET_LISTENING,
    DURE_IOCP_SOCKET_CONNECTING,
    DURE_IOCP_SOCKET_CONNECTED,
    DURE_IOCP_SOCKET_FAILED, /* a connect that failed */
    DURE_IOCP_SOCKET_CLOSED  /* the owner has let go */
} dure_iocp_socket_state;

/* What every socket has. A back end's own struct begins with it. */
struct dure_iocp_socket {
    dure_iocp_core *core;
    dure_iocp_socket_state state;
    dure_family family;
    uint32_t pending;                                /* active events */
    dure_iocp_event *events[DURE_IOCP_SOCKET_KINDS]; /* the active ones, by kind */
    dure_iocp_slice *slices; /* room for a long gathered send, made by the first one */
    dure_list node;          /* in core->graveyard */
};

struct dure_iocp_backend {
    const char *name;

    /* As dure_iocp_core_passes_options_on. */
    bool passes_options_on;

    /*
     * A zeroed core with the back end's own half set up; core.c does its half afterwards. When the
     * system forbids this back end, UNSUPPORTED with a word for the log in *out_reason.
     */
    dure_err (*create)(const dure_iocp_core_config *config, const char **out_reason,
                       dure_iocp_core **out_core);

    /* Frees the back end's half and the core. No operation is pending, no socket open. */
    void (*destroy)(dure_iocp_core *core);

    /*
     * Waits at most wait_ns (0: not at all, UINT64_MAX: as long as it takes) until something can be
     * delivered or wake was called, and collects what there is. Dispatches nothing. May return
     * early with nothing.
     */
    void (*poll)(dure_iocp_core *core, uint64_t wait_ns);

    /*
     * Delivers what poll collected and what has become possible since, without waiting. No socket
     * takes more of a round than its share: DURE_IOCP_RECVS_PER_ROUND lent buffers,
     * DURE_IOCP_ACCEPTS_PER_ROUND connections. What is left over waits for the next one, behind
     * the other sockets.
     */
    void (*advance)(dure_iocp_core *core);

    /* Whether advance has something to deliver; then poll must not wait. */
    bool (*is_busy)(const dure_iocp_core *core);

    /* As is_busy, but only what this round may still do. */
    bool (*is_busy_now)(const dure_iocp_core *core);

    /* Makes poll return, now or when it is next called. Any thread. */
    void (*wake)(dure_iocp_core *core);

    /*
     * For a back end with a world of its own; NULL: the system's, of iocp/system.h. Monotonic
     * nanoseconds without and with the time of suspensions, milliseconds since 1970 and unguessable
     * bytes, from any thread; and the most sockets when the configuration names no number.
     */
    uint64_t (*now_ns)(const dure_iocp_core *core);
    uint64_t (*elapsed_ns)(const dure_iocp_core *core);
    uint64_t (*wall_ms)(const dure_iocp_core *core);
    dure_err (*entropy)(dure_iocp_core *core, void *out, size_t len);
    uint32_t (*sockets_limit)(const dure_iocp_core *core);

    /*
     * A socket of the family; core.c fills in the common half afterwards.
     */
    dure_err (*open)(dure_iocp_core *core, dure_family family, dure_iocp_socket **out_socket);

    /*
     * The owner has let go of it (state is CLOSED already). Asks all of its events to end: each is
     * made ready with CANCELLED, now or later. With reset the peer is to see a reset. No byte and
     * no connection is delivered from now on.
     */
    void (*close)(dure_iocp_socket *socket, bool reset);

    /*
     * Hands an idle connected socket over: release on the thread of its core, which forgets it;
     * adopt on the thread of the new one; socket->core is the old one until adopt returns. Cannot
     * fail: a socket that the new core cannot serve looks as if its peer had ended. NULL: nothing
     * is to be done.
     */
    void (*release)(dure_iocp_socket *socket);
    void (*adopt)(dure_iocp_core *core, dure_iocp_socket *socket);

    /* As dure_iocp_socket_is_pinned; NULL: no socket is. */
    bool (*is_pinned)(const dure_iocp_socket *socket);

    /* The last event of a closed socket is gone: closes the descriptor if that is still open. */
    void (*bury)(dure_iocp_socket *socket);

    /* Frees the memory of a buried socket. */
    void (*free)(dure_iocp_socket *socket);

    dure_err (*bind)(dure_iocp_socket *socket, const dure_net_address *address);
    dure_err (*listen)(dure_iocp_socket *socket, uint32_t backlog);
    dure_err (*local)(const dure_iocp_socket *socket, dure_net_address *out_address);
    dure_err (*peer)(const dure_iocp_socket *socket, dure_net_address *out_address);
    dure_err (*set)(dure_iocp_socket *socket, dure_iocp_option option, int value);

    /*
     * Bytes of this connection that the other end's system has acknowledged: grows with each of
     * them, so that a send which goes on is told from one which stands still. NULL, or 0, where the
     * system does not say; the bytes of the SEND itself, which a back end counts as they leave,
     * must do then.
     */
    uint64_t (*acknowledged)(const dure_iocp_socket *socket);

    /*
     * Starts a socket operation. core.c has checked kind and state, filled in _address or the
     * slices, and entered the event in socket->events. A result that is known at once is made ready
     * (dure_iocp_ready) or kept for advance. Not OK: nothing started.
     */
    dure_err (*start)(dure_iocp_socket *socket, dure_iocp_event *event);

    /*
     * Asks a socket operation to end; it is not ready yet. Makes it ready with CANCELLED now or
     * later, or with its own result. A receive may deliver one buffer more on the way, and no
     * second: the rest stays in the system, where it holds the sender back.
     */
    void (*cancel)(dure_iocp_socket *socket, dure_iocp_event *event);

    /* Queues a job whose _job_fn is filled in; NULL: job threads do it. */
    dure_err (*job)(dure_iocp_core *core, dure_iocp_event *event);
    bool (*job_cancel)(dure_iocp_core *core, dure_iocp_event *event);

    /* For a back end with a clock of its own; NULL: core.c's. As dure_iocp_core_run_once. */
    size_t (*run_once)(dure_iocp_core *core, uint32_t max_wait_ms);
};

/* The back end of a choice (not AUTO); NULL when this build has none. */
const dure_iocp_backend *dure_iocp_backend_find(dure_backend_choice choice);

/* ---- what core.c does for back ends; owner thread ---- */

/*
 * Fixes the result of an active event and queues it for the next pass. bytes stays as it is.
 * It is the last completion.
 */
void dure_iocp_ready(dure_iocp_event *event, dure_err status, int system_error);

/* Whether the result is fixed already. */
bool dure_iocp_is_ready(const dure_iocp_event *event);

/*
 * Dispatches a completion at once; only from advance. The fields of its kind are filled in. The
 * socket's memory stays until the end of the round, but it may be closed afterwards.
 */
void dure_iocp_deliver(dure_iocp_event *event, dure_err status, int system_error, bool more);

/*
 * Fills in the common half of a socket that was opened or accepted, and counts it.
 */
void dure_iocp_socket_init(dure_iocp_socket *socket, dure_iocp_core *core, dure_family family,
                           dure_iocp_socket_state state);

/* Whether one more socket is within sockets_max, and within what the process may have. */
bool dure_iocp_core_has_room(const dure_iocp_core *core);

/* One round, waiting at most wait_ns for its beginning. Returns the number of completions. */
size_t dure_iocp_core_round(dure_iocp_core *core, uint64_t wait_ns);

/* Whether a round would have something to do at once, timers included. */
bool dure_iocp_core_is_due(const dure_iocp_core *core);

/* The active event of a kind that has no result yet; NULL when there is none. */
static inline dure_iocp_event *dure_iocp_socket_waiting(const dure_iocp_socket *socket,
                                                        dure_iocp_kind kind)
{
    dure_iocp_event *event = socket->events[kind];
    return event != NULL && !dure_iocp_is_ready(event) ? event : NULL;
}

/* The slices of a SEND that are still to leave. */
static inline dure_iocp_slice *dure_iocp_event_slices(dure_iocp_event *event)
{
    return event->_more_slices != NULL ? event->_more_slices : event->_slices;
}

/*
 * Takes sent bytes off the front of a SEND; true when all have left.
 */
bool dure_iocp_event_advance(dure_iocp_event *event, size_t sent);

#endif
