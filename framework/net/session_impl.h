/* SPDX-License-Identifier: MIT
 *
 * What the files of net/ share about sessions and services. No other room includes it.
 */
#ifndef DURE_NET_SESSION_IMPL_H
#define DURE_NET_SESSION_IMPL_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/idtable.h"
#include "net/backoff.h"
#include "net/listener.h"
#include "net/service.h"
#include "net/session.h"

#define NET_SHARDS_MAX     64u
#define NET_SEND_PIECE_MAX 262144u /* bytes of one send, so that progress of a long queue shows */
#define NET_SLOT_BITS      24u     /* of a session id: generation 32, shard 8, slot 24 */

/* One worker's part of a service. */
typedef struct service_shard {
    dure_iocp_object object; /* owns posts */
    dure_service *service;
    uint32_t index;

    /* owner */
    dure_iocp_event close_event;
    dure_idtable sessions;
    bool is_closing;
    bool is_closed;

    /* any thread, atomic, relaxed: sums for people */
    atomic_uint_fast64_t opened;
    atomic_uint_fast64_t closed;
    atomic_uint_fast64_t connect_failed;
    atomic_uint_fast64_t recv_bytes;
    atomic_uint_fast64_t sent_bytes;
    atomic_uint_fast64_t dropped_sends;
    /* any thread: messages posted and not yet dispatched */
    atomic_uint_fast32_t posts;
} service_shard;

typedef enum service_state {
    SERVICE_NEW,
    SERVICE_STARTED,
    SERVICE_CLOSING,
    SERVICE_CLOSED
} service_state;

struct dure_service {
    /* set before start */
    dure_service_config config;
    const struct service_kind_ops *ops;
    service_shard *shards;
    uint32_t shard_count;

    /* owner: the first core */
    service_state state;
    uint32_t shards_open;

    /* any thread, atomic */
    atomic_bool is_refusing;            /* closing has begun: posts are refused */
    atomic_uint_fast32_t session_count; /* sessions of all shards, against sessions_max */
    atomic_uint_fast64_t refused_full;
};

/* What a ServerService and a ClientService do differently. */
typedef struct service_kind_ops {
    bool is_server;
    dure_err (*start)(dure_service *service);
    /* First core: let nothing new begin. */
    void (*close)(dure_service *service);
    /* Whether nothing of the kind's own is pending any more. */
    bool (*is_quiet)(const dure_service *service, uint32_t shard_index);
    /* The connection stands; may be NULL. */
    void (*on_session_connected)(dure_session *session);
    /* A session's life has ended, after its handler; the client redials here. */
    void (*on_session_end)(dure_session *session);
    /* Where to dial: an address, or a name and port to look up first. */
    dure_err (*target)(dure_session *session, dure_net_address *out_address, const char **out_name,
                       uint16_t *out_port);
    uint64_t (*accept_pauses)(const dure_service *service);
    void (*free)(dure_service *service);
} service_kind_ops;

struct dure_session {
    dure_iocp_object object; /* first: the dispatcher's pointer is the session */
    dure_service *service;
    service_shard *shard;
    uint64_t id;
    void *context;
    dure_session_state state;
    dure_err cause;

    dure_iocp_socket *socket;
    dure_iocp_event connect;
    dure_iocp_event recv;
    dure_iocp_event send;
    dure_iocp_event disconnect;
    dure_iocp_event timer;
    dure_iocp_event redial; /* client */
    dure_iocp_deferred flush;
    uint64_t timer_due_ms; /* 0: none */

    dure_buf pending; /* queued, not given to the core */
    dure_buf flight;  /* given to the core */
    size_t flight_at;
    dure_buf plain; /* with a filter: what reserve lent */
    dure_buf rest;  /* received, not consumed */
    dure_filter *filter;

    dure_net_address peer;
    dure_net_address local;
    uint64_t last_recv_ms;
    uint64_t last_progress_ms;
    bool is_resolving;
    bool is_paused;
    bool was_connected; /* on_connected was called */
    bool recv_ended;    /* the peer's end was seen */
    bool fin_sent;
    bool is_ending; /* the socket is closed; waiting for completions */

    uint32_t index; /* client: which of its sessions */
    dure_backoff backoff;
    uint32_t hold_off_ms;
};

/* session.c */
dure_err net_session_create(service_shard *shard, dure_session **out_session);
void net_session_accepted(dure_session *session, dure_iocp_socket *socket);
void net_session_cut(dure_session *session, dure_err cause);
void net_session_arm(dure_session *session, uint32_t delay_ms);
void net_session_after_flush(dure_session *session);
dure_err net_session_begin_life(dure_session *session);

/* session_send.c */
void net_session_send_init(dure_session *session);
void net_session_flush(dure_session *session);
void net_session_on_sent(dure_session *session, dure_iocp_event *event);
bool net_session_has_unsent(const dure_session *session);
void net_session_drop_unsent(dure_session *session);
dure_err net_session_queue(dure_session *session, const void *data, size_t len);

/* service.c */
dure_err net_service_init(dure_service *service, const dure_service_config *config,
                          const service_kind_ops *ops);
void net_service_fini(dure_service *service);
void net_service_check_closed(dure_service *service);
void net_shard_check_closed(service_shard *shard);
/* Connects a session on its own core, later. */
void net_shard_dial(dure_session *session);
/* Gives an accepted socket to a shard; closes it when the service is full. */
void net_service_place(dure_service *service, uint32_t shard_index, dure_iocp_socket *socket);

#endif
