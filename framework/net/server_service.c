/* SPDX-License-Identifier: MIT
 *
 * ServerService: a listener on the first core, sessions on all cores in turn.
 */
#include "net/server_service.h"

#include "base/mem.h"
#include "net/session_impl.h"

typedef struct server_service {
    dure_service base; /* first */
    dure_net_address address;
    dure_listener *listener;
    bool is_listening; /* the listener was started and has not reported its end */
    uint32_t next_shard;
} server_service;

static server_service *server_of(dure_service *service)
{
    return DURE_CONTAINER_OF(service, server_service, base);
}

static void server_on_accept(void *ctx, dure_iocp_socket *socket)
{
    server_service *server = ctx;
    uint32_t shard = server->next_shard;
    server->next_shard = (shard + 1) % server->base.shard_count;
    net_service_place(&server->base, shard, socket);
}

static void server_on_listener_closed(void *ctx)
{
    server_service *server = ctx;
    server->is_listening = false;
    net_shard_check_closed(&server->base.shards[0]);
    net_service_check_closed(&server->base);
}

static dure_err server_start(dure_service *service)
{
    server_service *server = server_of(service);
    dure_err err = dure_listener_start(server->listener, &server->address);
    server->is_listening = err == DURE_OK;
    return err;
}

static void server_close(dure_service *service)
{
    server_service *server = server_of(service);
    if (server->is_listening) {
        dure_listener_close(server->listener);
    }
}

static bool server_is_quiet(const dure_service *service, uint32_t shard_index)
{
    const server_service *server = (const server_service *)service;
    return shard_index != 0 || !server->is_listening;
}

static void server_on_session_end(dure_session *session)
{
    dure_iocp_object_release(&session->object);
}

static dure_err server_target(dure_session *session, dure_net_address *out_address,
                              const char **out_name, uint16_t *out_port)
{
    (void)session;
    (void)out_address;
    (void)out_name;
    (void)out_port;
    return DURE_ERR_STATE;
}

static uint64_t server_accept_pauses(const dure_service *service)
{
    return dure_listener_pauses(((const server_service *)service)->listener);
}

static void server_free(dure_service *service)
{
    server_service *server = server_of(service);
    dure_listener_destroy(server->listener);
    net_service_fini(service);
    dure_mem_free(server);
}

static const service_kind_ops server_ops = {
    .is_server = true,
    .start = server_start,
    .close = server_close,
    .is_quiet = server_is_quiet,
    .on_session_end = server_on_session_end,
    .target = server_target,
    .accept_pauses = server_accept_pauses,
    .free = server_free,
};

dure_err dure_server_service_create(const dure_service_config *config,
                                    const dure_net_address *address, dure_service **out_service)
{
    server_service *server = dure_mem_alloc(sizeof *server);
    if (server == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    server->address = *address;
    dure_err err = net_service_init(&server->base, config, &server_ops);
    if (err != DURE_OK) {
        dure_mem_free(server);
        return err;
    }
    err = dure_listener_create(server->base.shards[0].object.core, server_on_accept,
                               server_on_listener_closed, server, &server->listener);
    if (err != DURE_OK) {
        net_service_fini(&server->base);
        dure_mem_free(server);
        return err;
    }
    *out_service = &server->base;
    return DURE_OK;
}

dure_err dure_server_service_address(const dure_service *service, dure_net_address *out_address)
{
    DURE_ASSERT(service->ops == &server_ops);
    return dure_listener_address(((const server_service *)service)->listener, out_address);
}

void dure_server_service_stop_accepting(dure_service *service)
{
    DURE_ASSERT(service->ops == &server_ops);
    server_close(service);
}
