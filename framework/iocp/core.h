/* SPDX-License-Identifier: MIT
 *
 * IocpCore: one worker's completion queue, and the only door to sockets, timers, the clock,
 * entropy and job threads. The programming model is that of a Windows I/O completion port on
 * every platform; iocp/backend.h says what a back end must do.
 *
 * The rules, the same for all back ends (tests/contract holds them):
 *   1. A start function that returns OK leads to exactly one last completion, also when the
 *      operation fails, is cancelled or its socket is closed. Not OK: nothing started, no
 *      completion will come.
 *   2. A completion never runs inside the call that started it.
 *   3. A pending operation holds its owner.
 *   4. Completions of one socket's receives come in the order of the bytes.
 *   5. Bytes of a RECV are lent until dispatch returns. An idle RECV pins no buffer.
 *   6. Cancel only asks: the completion tells what happened, and it may be a success.
 *   7. Except where it says "any", a function is called on the core's own thread: the one in
 *      dure_iocp_core_run, or before it starts, the one that created the core. A core passes from
 *      one thread to another only while none of its operations is in the kernel: before its first
 *      round, whatever was started and however much, or when the ledger is empty (an io_uring
 *      belongs to one thread).
 */
#ifndef DURE_IOCP_CORE_H
#define DURE_IOCP_CORE_H

#include "base/err.h"
#include "base/log.h"
#include "iocp/event.h"
#include "iocp/object.h"

typedef enum dure_backend_choice {
    DURE_BACKEND_AUTO,  /* the platform's best: uring where the kernel allows it, else epoll */
    DURE_BACKEND_LIGHT, /* the one that is set up soonest, for a program of one call */
    DURE_BACKEND_EPOLL,
    DURE_BACKEND_URING,
    DURE_BACKEND_WIN32,
    DURE_BACKEND_SIM
} dure_backend_choice;

typedef struct dure_sim_world dure_sim_world; /* iocp/core_sim.h */
typedef struct dure_winsock dure_winsock;     /* iocp/winsock_win32.h */

/* Whether sockets whose connection ended are kept for another one (DisconnectEx with
 * TF_REUSE_SOCKET, on win32 only). */
typedef enum dure_recycling {
    DURE_RECYCLING_PROBE, /* where a trial at the start of the core shows that it works */
    DURE_RECYCLING_ON,
    DURE_RECYCLING_OFF
} dure_recycling;

#define DURE_IOCP_BUFFERS_MAX     32768u /* the kernel's limit for one ring of buffers */
#define DURE_IOCP_JOB_THREADS_MAX 64u
#define DURE_IOCP_ACCEPTS_MAX     1024u

typedef struct dure_iocp_core_config {
    dure_backend_choice backend;
    dure_log *log;              /* borrowed for the core's life; NULL: silent */
    dure_sim_world *sim;        /* for DURE_BACKEND_SIM: the world to live in, borrowed */
    uint32_t recv_buffer_bytes; /* size of one lent buffer; 1 to 2^31 - 1 */
    uint32_t recv_buffer_count; /* lent buffers of a core (uring); 1 to DURE_IOCP_BUFFERS_MAX */
    uint32_t job_threads;       /* most threads for jobs; 1 to DURE_IOCP_JOB_THREADS_MAX */
    uint32_t apart_threads;     /* most threads for jobs that may hang, beside those; as many */
    uint32_t sockets_max;       /* most sockets of this core; 0: as many as its process may have */
    uint32_t accepts_max; /* AcceptEx calls that a listener keeps outstanding (win32); 1 to 1,024 */
    dure_recycling recycling;
    const dure_winsock *winsock; /* for tests of win32, borrowed; NULL: the system's functions */
} dure_iocp_core_config;

/* Fills in the defaults: auto, 64 KiB, 256, 2, 16, 0, 64, probe. */
void dure_iocp_core_config_init(dure_iocp_core_config *config);

/*
 * The choice of a name: "auto", "epoll", "uring", "win32", "sim".
 * Fails: INVALID.
 */
DURE_CHECKED dure_err dure_backend_parse(const char *name, dure_backend_choice *out_choice);

/*
 * A core with its back end. AUTO logs one line BACKEND with the choice and, where uring was not
 * taken, why. The sockets of all cores of a process together are at most its descriptor limit less
 * 32 (of few descriptors a quarter), as it is when the core is made.
 * Owned by the caller; ends with dure_iocp_core_destroy.
 * Fails: INVALID (a member of the configuration that is out of bounds; BACKEND_FAILED names it),
 *        UNSUPPORTED (a back end that is not in this build or that the kernel forbids), NO_MEMORY,
 *        TOO_MANY_FILES, SYSTEM.
 * Thread: any; the core then belongs to the thread that runs it.
 */
DURE_CHECKED dure_err dure_iocp_core_create(const dure_iocp_core_config *config,
                                            dure_iocp_core **out_core);

/*
 * Ends a core: asserts that no operation is pending and no socket open. NULL is fine.
 * Thread: stopped.
 */
void dure_iocp_core_destroy(dure_iocp_core *core);

/*
 * Dispatches until dure_iocp_core_stop, and then until the ledger is empty.
 * Thread: the one that becomes the owner.
 */
void dure_iocp_core_run(dure_iocp_core *core);

/*
 * One round: waits at most max_wait_ms (UINT32_MAX: as long as it takes) for a first completion,
 * dispatches what is there, runs what was deferred. Returns the number of completions.
 * For tests and for programs with a loop of their own. A sim core moves its virtual clock instead
 * of waiting; see iocp/core_sim.h for several cores in one world. Thread: owner.
 */
size_t dure_iocp_core_run_once(dure_iocp_core *core, uint32_t max_wait_ms);

/*
 * Lets dure_iocp_core_run return once no operation is pending. Owners must end theirs themselves.
 * Thread: any.
 */
void dure_iocp_core_stop(dure_iocp_core *core);

/* ---- sockets ---- */

/*
 * A TCP socket of one family, of this core for life; TCP_NODELAY is set, and an IPv6 socket is
 * V6ONLY until it is told otherwise.
 * Owned by the caller; ends with dure_iocp_socket_close.
 * Fails: TOO_MANY_FILES, NO_MEMORY, UNSUPPORTED, SYSTEM.
 */
DURE_CHECKED dure_err dure_iocp_socket_open(dure_iocp_core *core, dure_family family,
                                            dure_iocp_socket **out_socket);

/*
 * Cancels what is pending and closes. Pending operations complete (mostly with CANCELLED), later,
 * as always. The handle is dead at once. NULL is fine.
 */
void dure_iocp_socket_close(dure_iocp_socket *socket);

/*
 * As close, but the other side sees a reset (SO_LINGER 0) instead of an end.
 */
void dure_iocp_socket_abort(dure_iocp_socket *socket);

/*
 * Hands a socket without operations to another core of the same back end: release on the thread of
 * the one that has it, adopt on the thread of the one that gets it. For accepted sockets on their
 * way to a worker.
 */
void dure_iocp_socket_release(dure_iocp_socket *socket);
void dure_iocp_socket_adopt(dure_iocp_core *core, dure_iocp_socket *socket);

/*
 * Whether it must stay with its core, so that it may not be released: on Windows a socket joins one
 * completion port for life, and one that has been recycled has joined its port before.
 */
bool dure_iocp_socket_is_pinned(const dure_iocp_socket *socket);

/*
 * Fails: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE, PERMISSION, INVALID, SYSTEM.
 */
DURE_CHECKED dure_err dure_iocp_socket_bind(dure_iocp_socket *socket,
                                            const dure_net_address *address);

/*
 * Fails: as bind. A listener comes back at once after a kill (SO_REUSEADDR on Linux,
 * SO_EXCLUSIVEADDRUSE on Windows).
 */
DURE_CHECKED dure_err dure_iocp_socket_listen(dure_iocp_socket *socket, uint32_t backlog);

/*
 * Where this end and the other end are.
 * Fails: STATE when there is no such end yet or any more.
 */
DURE_CHECKED dure_err dure_iocp_socket_local(const dure_iocp_socket *socket,
                                             dure_net_address *out_address);
DURE_CHECKED dure_err dure_iocp_socket_peer(const dure_iocp_socket *socket,
                                            dure_net_address *out_address);

/*
 * Whether accepted sockets have the options that their listener had when it began to listen, so
 * that they need not be set once more (not on Windows). Thread: any.
 */
bool dure_iocp_core_passes_options_on(const dure_iocp_core *core);

typedef enum dure_iocp_option {
    DURE_IOCP_OPTION_NODELAY,         /* 0 or 1; TCP_NODELAY */
    DURE_IOCP_OPTION_KEEPALIVE_S,     /* seconds of silence before the first probe; 0: off */
    DURE_IOCP_OPTION_SEND_BUFFER,     /* bytes; SO_SNDBUF */
    DURE_IOCP_OPTION_RECV_BUFFER,     /* bytes; SO_RCVBUF */
    DURE_IOCP_OPTION_USER_TIMEOUT_MS, /* TCP_USER_TIMEOUT; 0: the system's */
    DURE_IOCP_OPTION_UNSENT_BYTES,    /* taken but not yet sent, at most; TCP_NOTSENT_LOWAT */
    DURE_IOCP_OPTION_V6ONLY           /* 0 or 1 */
} dure_iocp_option;

/*
 * Fails: UNSUPPORTED where the platform does not have it, INVALID, SYSTEM.
 */
DURE_CHECKED dure_err dure_iocp_socket_set(dure_iocp_socket *socket, dure_iocp_option option,
                                           int value);

/* ---- operations; the event's kind must be the operation's ---- */

/*
 * ConnectEx. Binds the socket first where the platform wants that.
 * Completes: OK; CONNECT_REFUSED, UNREACHABLE, TIMED_OUT (the system's own), SELF_CONNECT,
 *            ADDRESS_NOT_AVAILABLE, CANCELLED. After a failure the socket must be closed.
 * Fails: INVALID, STATE (already started), NO_MEMORY.
 */
DURE_CHECKED dure_err dure_iocp_connect(dure_iocp_socket *socket, dure_iocp_event *event,
                                        const dure_net_address *address);

/*
 * Accepts until cancelled or closed. Each completion with OK and more carries `accepted`. Trouble
 * of one connection (reset before it was accepted) is passed over. TOO_MANY_FILES, NO_MEMORY and
 * other errors end the operation (more is false): the owner pauses and starts it again.
 * Fails: STATE, NO_MEMORY.
 */
DURE_CHECKED dure_err dure_iocp_accept(dure_iocp_socket *socket, dure_iocp_event *event);

/*
 * Completes once, with OK, when a receive would not wait; takes no byte.
 * Completes: OK, CANCELLED, RESET.
 * Fails: STATE while a RECV is active on the socket, or without a connection.
 */
DURE_CHECKED dure_err dure_iocp_pre_recv(dure_iocp_socket *socket, dure_iocp_event *event);

/*
 * Receives until the end. Each completion with OK and more lends data[0..bytes), bytes > 0.
 * After dure_iocp_cancel at most one more buffer is lent; what else has come stays in the system
 * and holds the sender back. Ends with: PEER_CLOSED (FIN), RESET, TIMED_OUT, CANCELLED, NO_BUFFERS
 * (win32, where the system is short of them: start it again), SYSTEM. Fails: STATE while a receive
 * is active on the socket, or without a connection.
 */
DURE_CHECKED dure_err dure_iocp_recv(dure_iocp_socket *socket, dure_iocp_event *event);

/*
 * Sends all slices in order, gathered; one send at a time a socket. Short sends are continued.
 * The array is copied; the bytes must stay until the completion.
 * Completes: OK with bytes = all; RESET, PEER_CLOSED, TIMED_OUT, CANCELLED with bytes = what left.
 * Fails: INVALID (no slice, more than DURE_IOCP_SLICES_MAX), STATE, NO_MEMORY.
 */
DURE_CHECKED dure_err dure_iocp_send(dure_iocp_socket *socket, dure_iocp_event *event,
                                     const dure_iocp_slice *slices, size_t count);

/*
 * Bytes of this connection that the peer's system has acknowledged, and bytes that this one has
 * taken of the present SEND: a send that goes on is seen by either. The first is 0 where the system
 * does not tell; it costs a system call.
 */
uint64_t dure_iocp_socket_acknowledged(const dure_iocp_socket *socket);
size_t dure_iocp_socket_taken(const dure_iocp_socket *socket);

/*
 * Ends this side's sending (FIN). The receive goes on until the peer's end. A socket that is closed
 * after it has read the peer's end goes through DisconnectEx, and serves again, where the platform
 * recycles sockets (win32); the handle is dead for its owner in any case.
 * Completes: OK; STATE where there was no connection; RESET; CANCELLED.
 * Fails: STATE while a SEND is active: its bytes come first.
 */
DURE_CHECKED dure_err dure_iocp_disconnect(dure_iocp_socket *socket, dure_iocp_event *event);

/*
 * Completes after delay_ms with OK, or with CANCELLED.
 * Not early; late by what the worker is busy with.
 */
DURE_CHECKED dure_err dure_iocp_timer(dure_iocp_core *core, dure_iocp_event *event,
                                      uint32_t delay_ms);

/*
 * Completes on the core's thread with OK as soon as it gets there. The caller must keep event and
 * its owner alive until then (the hold is taken when it arrives, not on the calling thread).
 * Thread: any.
 */
void dure_iocp_post(dure_iocp_core *core, dure_iocp_event *event);

/*
 * Runs fn(job_ctx) on a job thread and completes here with OK; CANCELLED when it had not begun.
 * Jobs begin in the order of their start.
 * Fails: STATE. NO_MEMORY, SYSTEM where the core has no job thread yet and none can be started;
 *        after its first job, a core takes every other.
 */
DURE_CHECKED dure_err dure_iocp_job(dure_iocp_core *core, dure_iocp_event *event,
                                    dure_iocp_job_fn fn, void *job_ctx);

/*
 * As dure_iocp_job, for work that may hang, such as a look-up of a name: it has threads of its own,
 * so that no job waits behind it, and nobody waits for it. A cancel completes it at once, begun or
 * not; fn may then run on, past the end of the core even. So fn touches job_ctx alone and nothing
 * that a worker owns. release(job_ctx) is called once, when fn does not touch it any more, on any
 * thread, perhaps before the completion: an owner who wants the result has a hold of his own.
 * Takes: job_ctx, on OK only.
 * Fails: STATE, NO_MEMORY, SYSTEM.
 */
DURE_CHECKED dure_err dure_iocp_job_apart(dure_iocp_core *core, dure_iocp_event *event,
                                          dure_iocp_job_fn fn, dure_iocp_job_fn release,
                                          void *job_ctx);

/*
 * Asks a pending operation to end. It completes as always, with CANCELLED or with its own result.
 * Nothing happens when it is not active. A POST cannot be cancelled.
 */
void dure_iocp_cancel(dure_iocp_event *event);

/* ---- rounds, clock, chance ---- */

/*
 * Something to be done once at the end of the present dispatch round, such as flushing a send
 * queue. Set up zeroed but for fn.
 */
typedef struct dure_iocp_deferred {
    void (*fn)(struct dure_iocp_deferred *self);
    dure_list _node;
    bool _is_queued;
} dure_iocp_deferred;

/* Queues it; twice in one round is once. Outside a round it runs in the next one, which is begun at
 * once. */
void dure_iocp_core_defer(dure_iocp_core *core, dure_iocp_deferred *deferred);

/* Takes it back. */
void dure_iocp_core_undefer(dure_iocp_deferred *deferred);

/*
 * Monotonic nanoseconds, as of the beginning of this round (or of this call, outside one).
 */
uint64_t dure_iocp_core_now_ns(const dure_iocp_core *core);

/* The same in milliseconds. */
uint64_t dure_iocp_core_now_ms(const dure_iocp_core *core);

/* Monotonic nanoseconds at this very moment, for measuring. Stands still while the machine is
 * suspended, where the system has such a clock (Linux), as the timers do. */
uint64_t dure_iocp_core_exact_ns(const dure_iocp_core *core);

/*
 * Nanoseconds at this very moment by a clock that goes on while the machine is suspended: for what
 * others count on to be over, such as a lease. Timers do not run by it. Thread: any.
 */
uint64_t dure_iocp_core_elapsed_ns(const dure_iocp_core *core);

/* Milliseconds since 1970. */
uint64_t dure_iocp_core_wall_ms(const dure_iocp_core *core);

/* A seeded generator for jitter and choices; on sim it follows the world's seed. */
uint64_t dure_iocp_core_random(dure_iocp_core *core);

/*
 * Bytes that nobody can guess (getrandom, BCryptGenRandom; the world's seed on sim).
 * Fails: SYSTEM.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_iocp_core_entropy(dure_iocp_core *core, void *out, size_t len);

/* ---- questions ---- */

typedef struct dure_iocp_counters {
    uint64_t started;   /* operations; started == completed when all is quiet */
    uint64_t completed; /* last completions */
    uint64_t delivered; /* all completions, those of persistent operations included */
    uint64_t sockets_opened;
    uint64_t sockets_closed;
    uint64_t sockets_fresh;   /* win32: made by the system */
    uint64_t sockets_reused;  /* win32: taken from a pool instead */
    uint64_t sockets_refused; /* win32: the system would not recycle or reuse it after all */
    uint64_t rounds;
    uint64_t system_calls; /* that moved bytes or waited */
} dure_iocp_counters;

/* Thread: owner. */
void dure_iocp_core_counters(const dure_iocp_core *core, dure_iocp_counters *out_counters);

/* "epoll", "uring", "win32" or "sim". Thread: any. */
const char *dure_iocp_core_backend_name(const dure_iocp_core *core);

/* The log it was given; may be NULL. Thread: any. */
dure_log *dure_iocp_core_log(const dure_iocp_core *core);

/* Whether the caller is on the core's thread (always, on a core that nobody runs). Thread: any. */
bool dure_iocp_core_is_owner(const dure_iocp_core *core);

#define DURE_ASSERT_OWNER(core) DURE_DEBUG_ASSERT(dure_iocp_core_is_owner(core))

#endif
