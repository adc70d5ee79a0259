/* SPDX-License-Identifier: MIT
 *
 * What the files of net/ share about services; no other room includes it.
 *
 * A service is cut into shards, one for each of its cores. A shard owns the sessions of its core
 * and is touched by that core's thread alone, but for what is marked atomic. The service itself
 * (`main`) lives on the first core. It ends in steps: each shard ends its sessions, then releases
 * itself; its last release posts to the main object; the last of these posts closes the service.
 */
#ifndef DURE_NET_SERVICE_IMPL_H
#define DURE_NET_SERVICE_IMPL_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/idtable.h"
#include "base/list.h"
#include "net/service.h"

#define DURE_SERVICE_CORES_MAX   64u
#define DURE_SHARD_SLOT_BITS     26u /* of an id; the worker's index takes the next six */
#define DURE_SHARD_SPARE_MAX     1024u
#define DURE_SHARD_BUFS_MAX      32u
#define DURE_SHARD_BUF_KEEP_MAX  65536u /* of memory; larger ones are given back to the heap */
#define DURE_SHARD_POSTED_MAX    ((size_t)64u << 20u) /* bytes on their way from other threads */
#define DURE_SHARD_POSTS_CLOSED  0x80000000u
#define DURE_SESSION_BUF_SLACK   65536u   /* what a filter may add on top of a full queue */
#define DURE_SESSION_PIECE_BYTES 65536u   /* copied behind a rest at once */
#define DURE_SESSION_PAUSED_MAX  1048576u /* bytes that may come in after a pause was asked for */

typedef struct dure_service_shard dure_service_shard;
typedef struct dure_server dure_server;
typedef struct dure_client dure_client;

#define DURE_SERVICE_STATE_LIST(X)                                                                 \
    X(NEW)                                                                                         \
    X(STARTED)                                                                                     \
    X(CLOSING) /* sessions are ending */                                                           \
    X(CLOSED)  /* on_closed was called */

typedef enum dure_service_state {
#define DURE_SERVICE_STATE_ROW(name) DURE_SERVICE_##name,
    DURE_SERVICE_STATE_LIST(DURE_SERVICE_STATE_ROW)
#undef DURE_SERVICE_STATE_ROW
} dure_service_state;

/* What ServerService and ClientService do differently. */
typedef struct dure_service_ops {
    /* On the first core, before any shard starts. */
    dure_err (*start)(dure_service *service);
    /* On each shard's core. */
    void (*shard_start)(dure_service_shard *shard);
    void (*shard_close)(dure_service_shard *shard);
    void (*session_connected)(dure_session *session);
    /* After on_disconnected or on_connect_failed. The session may be gone afterwards. */
    void (*session_ended)(dure_session *session);
    /* Frees the kind's own memory, the service included. */
    void (*destroy)(dure_service *service);
} dure_service_ops;

typedef struct dure_shard_counters {
    atomic_ullong opened;
    atomic_ullong closed;
    atomic_ullong connect_failed;
    atomic_ullong refused_full;
    atomic_ullong recv_bytes;
    atomic_ullong sent_bytes;
    atomic_ullong dropped_sends;
    atomic_ullong accept_pauses;
} dure_shard_counters;

struct dure_service_shard {
    dure_iocp_object object;

    /* set before start */
    dure_service *service;
    uint32_t index;

    /* owner */
    dure_idtable ids;
    dure_list live;    /* sessions between connecting and their end */
    dure_list leaving; /* those that a close of the service has told to end */
    dure_list spare;   /* ended sessions of a server, kept for the next accept */
    uint32_t spare_count;
    uint32_t busy; /* what must end before the shard does: live sessions, listener, redials */
    bool is_closing;
    bool is_ending;
    dure_buf bufs[DURE_SHARD_BUFS_MAX]; /* empty ones with memory, for the next queue or rest */
    uint32_t buf_count;
    dure_iocp_event start_event;
    dure_iocp_event close_event;
    dure_iocp_event end_event;
    dure_iocp_event done_event; /* of the main object */

    /* any thread, atomic */
    atomic_uint posts; /* on their way here; DURE_SHARD_POSTS_CLOSED: no more are taken */
    atomic_size_t posted_bytes;
    dure_shard_counters counters; /* written by the owner with relaxed order */
};

struct dure_service {
    dure_iocp_object main;

    /* set before start */
    const dure_service_ops *ops;
    dure_service_config config; /* name and cores are copies */
    const char *name;
    bool is_server;
    bool has_filter;
    dure_filter_factory filter;
    dure_service_shard *shards;
    size_t shard_count;

    /* owner of the first core */
    size_t shards_left;

    /* any thread, atomic */
    atomic_int state;          /* written by the owner of the first core; acquire, release */
    atomic_uint session_count; /* of a server, all shards together; relaxed */
};

/* ---- service.c ---- */

/*
 * Sets up the shared half in zeroed memory of the kind.
 * Fails: INVALID, NO_MEMORY; nothing is held then.
 */
DURE_CHECKED dure_err dure_service_init(dure_service *service, const dure_service_config *config,
                                        const dure_service_ops *ops, uint32_t ids_max);

/* Frees what init took. */
void dure_service_fini(dure_service *service);

dure_service_state dure_service_state_now(const dure_service *service);

/* One more, or one less, thing that must end before the shard does. */
void dure_shard_add_busy(dure_service_shard *shard);
void dure_shard_drop_busy(dure_service_shard *shard);

/* An empty buffer, with memory where one is at hand. */
void dure_shard_take_buf(dure_service_shard *shard, dure_buf *out_buf);

/* Empties a buffer and keeps its memory for the next, or frees it where that is large. */
void dure_shard_give_buf(dure_service_shard *shard, dure_buf *buf);

static inline void dure_shard_count(atomic_ullong *counter, uint64_t more)
{
    /* One writer: a load and a store are enough, and cost no locked instruction. */
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + more, memory_order_relaxed);
}

/*
 * What comes from another thread to a shard: bytes for a session, a cause to end it with, or an
 * accepted socket.
 */
typedef struct dure_shard_post {
    dure_iocp_event event;
    uint64_t session_id;
    dure_err cause;           /* not OK: disconnect */
    dure_iocp_socket *socket; /* not NULL: handed over */
    size_t len;
    uint8_t data[];
} dure_shard_post;

/*
 * Sends a post on its way. Takes: post, on OK only.
 * Fails: STALE when the shard takes no more; OVERLOADED past DURE_SHARD_POSTED_MAX. Thread: any.
 */
DURE_CHECKED dure_err dure_shard_post_send(dure_service_shard *shard, dure_shard_post *post);

/* ---- server_service.c ---- */

/* A socket that the listener's core handed over; the shard's core owns it from now on. */
void dure_server_take_socket(dure_service_shard *shard, dure_iocp_socket *socket);

#endif
