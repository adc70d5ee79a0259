/* SPDX-License-Identifier: MIT
 *
 * ServerService: a listener on the first core, sessions on all of them in turn.
 */
#include "net/server_service.h"

#include "base/assert.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/session_impl.h"

#define SERVER_BACKLOG 4096u

struct dure_server {
    dure_service base;

    /* owner of the first core */
    dure_listener *listener;
    size_t next_shard;
};

static dure_server *server_of(dure_service *service)
{
    return DURE_CONTAINER_OF(service, dure_server, base);
}

/* The accepted connection becomes a session of this shard, or ends here. Owner of the shard. */
static void server_open(dure_service_shard *shard, dure_iocp_socket *socket)
{
    dure_service *service = shard->service;
    dure_err err = dure_session_open(shard, socket);
    if (err != DURE_OK) {
        atomic_fetch_sub_explicit(&service->session_count, 1, memory_order_relaxed);
        dure_iocp_socket_close(socket);
    }
}

void dure_server_take_socket(dure_service_shard *shard, dure_iocp_socket *socket)
{
    dure_iocp_socket_adopt(shard->object.core, socket);
    /* Accepting and closing happen on the first core, which posts both in their order. */
    DURE_ASSERT(!shard->is_closing);
    server_open(shard, socket);
}

/* Sends an accepted socket to the core that will own it. Takes: socket, on OK only. */
static dure_err server_hand_over(dure_service_shard *shard, dure_iocp_socket *socket)
{
    dure_shard_post *post = dure_mem_alloc(sizeof *post);
    if (post == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    post->socket = socket;
    dure_iocp_socket_release(socket);
    dure_err err = dure_shard_post_send(shard, post);
    if (err != DURE_OK) {
        dure_iocp_socket_adopt(shard->service->main.core, socket);
        dure_mem_free(post);
    }
    return err;
}

static void server_accepted(void *ctx, dure_iocp_socket *socket)
{
    dure_server *server = ctx;
    dure_service *service = &server->base;
    unsigned count = atomic_fetch_add_explicit(&service->session_count, 1, memory_order_relaxed);
    if (count >= service->config.sessions_max) {
        atomic_fetch_sub_explicit(&service->session_count, 1, memory_order_relaxed);
        dure_shard_count(&service->shards[0].counters.refused_full, 1);
        dure_iocp_socket_close(socket);
        return;
    }
    dure_service_shard *shard = &service->shards[server->next_shard];
    server->next_shard = (server->next_shard + 1) % service->shard_count;
    if (dure_iocp_socket_is_pinned(socket)) {
        shard = &service->shards[0];
    }
    if (shard->index == 0) {
        server_open(shard, socket);
    } else if (server_hand_over(shard, socket) != DURE_OK) {
        atomic_fetch_sub_explicit(&service->session_count, 1, memory_order_relaxed);
        dure_iocp_socket_close(socket);
    }
}

static void server_paused(void *ctx, dure_err cause)
{
    dure_server *server = ctx;
    (void)cause;
    dure_shard_count(&server->base.shards[0].counters.accept_pauses, 1);
}

static void server_listener_closed(void *ctx)
{
    dure_server *server = ctx;
    dure_shard_drop_busy(&server->base.shards[0]);
}

static dure_err server_start(dure_service *service)
{
    dure_err err = dure_listener_open(server_of(service)->listener);
    if (err == DURE_OK) {
        dure_shard_add_busy(&service->shards[0]);
    }
    return err;
}

static void server_shard_start(dure_service_shard *shard)
{
    (void)shard; /* sessions come by themselves */
}

static void server_shard_close(dure_service_shard *shard)
{
    if (shard->index == 0) {
        dure_listener_close(server_of(shard->service)->listener);
    }
}

static void server_session_connected(dure_session *session)
{
    (void)session;
}

static void server_session_ended(dure_session *session)
{
    dure_service *service = session->shard->service;
    atomic_fetch_sub_explicit(&service->session_count, 1, memory_order_relaxed);
    dure_iocp_object_release(&session->object); /* the creator's */
}

static void server_destroy(dure_service *service)
{
    dure_server *server = server_of(service);
    dure_listener_destroy(server->listener);
    dure_service_fini(service);
    dure_mem_free(server);
}

static const dure_service_ops server_ops = {
    .start = server_start,
    .shard_start = server_shard_start,
    .shard_close = server_shard_close,
    .session_connected = server_session_connected,
    .session_ended = server_session_ended,
    .destroy = server_destroy,
};

static dure_err server_make_listener(dure_server *server, const dure_net_address *address)
{
    dure_listener_config config = {
        .core = server->base.main.core,
        .name = server->base.name,
        .address = *address,
        .backlog = SERVER_BACKLOG,
        .pause_first_ms = server->base.config.accept_pause_first_ms,
        .pause_max_ms = server->base.config.accept_pause_max_ms,
        .keepalive_s = server->base.config.keepalive_s,
        .user_timeout_ms = server->base.config.user_timeout_ms,
        .unsent_bytes = server->base.config.unsent_bytes_max,
        .on_accept = server_accepted,
        .on_pause = server_paused,
        .on_closed = server_listener_closed,
        .ctx = server,
    };
    return dure_listener_create(&config, &server->listener);
}

dure_err dure_server_service_create(const dure_service_config *config,
                                    const dure_net_address *address, dure_service **out_service)
{
    if (address->family == DURE_FAMILY_NONE) {
        return DURE_ERR_INVALID;
    }
    dure_server *server = dure_mem_alloc(sizeof *server);
    if (server == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err =
        dure_service_init(&server->base, config, &server_ops, 1u << DURE_SHARD_SLOT_BITS);
    if (err != DURE_OK) {
        dure_mem_free(server);
        return err;
    }
    server->base.is_server = true;
    err = server_make_listener(server, address);
    if (err != DURE_OK) {
        dure_service_destroy(&server->base);
        return err;
    }
    *out_service = &server->base;
    return DURE_OK;
}

dure_err dure_server_service_address(const dure_service *service, dure_net_address *out_address)
{
    DURE_ASSERT(service->is_server);
    const dure_server *server = (const dure_server *)(const void *)service;
    return dure_listener_address(server->listener, out_address);
}

void dure_server_service_stop_accepting(dure_service *service)
{
    DURE_ASSERT(service->is_server);
    DURE_ASSERT_OWNER(service->main.core);
    dure_listener_close(server_of(service)->listener);
}
