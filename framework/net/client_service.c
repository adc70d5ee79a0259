/* SPDX-License-Identifier: MIT
 *
 * ClientService: its sessions live from start to the end of the service; each connection is a new
 * life of one.
 */
#include "net/client_service.h"

#include "base/mem.h"
#include "net/address.h"
#include "net/session_impl.h"

typedef struct client_service {
    dure_service base; /* first */
    dure_client_service_config client;
    char *host;
    bool is_numeric;
    dure_net_address address; /* where the host is numeric */
    dure_session **sessions;
} client_service;

void dure_client_service_config_init(dure_client_service_config *config)
{
    *config = (dure_client_service_config){
        .session_count = 1,
        .connect_at_start = true,
        .redial = true,
    };
    dure_backoff_config_init(&config->backoff);
}

static client_service *client_of(dure_service *service)
{
    return DURE_CONTAINER_OF(service, client_service, base);
}

static void client_release_sessions(client_service *client)
{
    for (uint32_t i = 0; i < client->client.session_count; i++) {
        if (client->sessions[i] != NULL) {
            dure_iocp_object_release(&client->sessions[i]->object);
            client->sessions[i] = NULL;
        }
    }
}

static dure_err client_make_sessions(client_service *client)
{
    for (uint32_t i = 0; i < client->client.session_count; i++) {
        service_shard *shard = &client->base.shards[i % client->base.shard_count];
        dure_err err = net_session_create(shard, &client->sessions[i]);
        if (err != DURE_OK) {
            return err;
        }
        client->sessions[i]->index = i;
        dure_backoff_init(&client->sessions[i]->backoff, &client->client.backoff);
    }
    return DURE_OK;
}

static void client_schedule(dure_session *session)
{
    uint32_t pause =
        dure_backoff_next(&session->backoff, dure_iocp_core_random(session->object.core));
    if (pause < session->hold_off_ms) {
        pause = session->hold_off_ms;
    }
    session->hold_off_ms = 0;
    if (!dure_iocp_event_is_active(&session->redial)) {
        dure_err err = dure_iocp_timer(session->object.core, &session->redial, pause);
        DURE_ASSERT(err == DURE_OK);
    }
}

static dure_err client_start(dure_service *service)
{
    client_service *client = client_of(service);
    dure_err err = client_make_sessions(client);
    if (err != DURE_OK) {
        client_release_sessions(client);
        return err;
    }
    if (!client->client.connect_at_start) {
        return DURE_OK;
    }
    for (uint32_t i = 0; i < client->client.session_count; i++) {
        dure_session *session = client->sessions[i];
        /* On its own core: the redial timer with no pause is the way there. */
        if (session->shard->index == 0) {
            if (dure_session_connect(session) != DURE_OK) {
                client_schedule(session);
            }
        } else {
            net_shard_dial(session);
        }
    }
    return DURE_OK;
}

static void client_close(dure_service *service)
{
    (void)service; /* each shard ends its own sessions and redials */
}

/* A shard is quiet when none of its sessions waits for a redial or lives. */
static bool client_is_quiet(const dure_service *service, uint32_t shard_index)
{
    const client_service *client = (const client_service *)service;
    for (uint32_t i = shard_index; i < client->client.session_count; i += service->shard_count) {
        dure_session *session = client->sessions[i];
        if (session != NULL && dure_iocp_event_is_active(&session->redial)) {
            dure_iocp_cancel(&session->redial);
            return false;
        }
    }
    return true;
}

static void client_on_session_end(dure_session *session)
{
    const client_service *client = client_of(session->service);
    bool is_idle = session->state == DURE_SESSION_IDLE || session->state == DURE_SESSION_CLOSED;
    if (client->client.redial && is_idle && !session->shard->is_closing) {
        client_schedule(session);
    }
}

static dure_err client_target(dure_session *session, dure_net_address *out_address,
                              const char **out_name, uint16_t *out_port)
{
    const client_service *client = client_of(session->service);
    *out_address = client->address;
    *out_name = client->is_numeric ? NULL : client->host;
    *out_port = client->client.port;
    return DURE_OK;
}

static uint64_t client_accept_pauses(const dure_service *service)
{
    (void)service;
    return 0;
}

static void client_free(dure_service *service)
{
    client_service *client = client_of(service);
    client_release_sessions(client);
    dure_mem_free(client->sessions);
    dure_mem_free(client->host);
    net_service_fini(service);
    dure_mem_free(client);
}

static void client_on_session_connected(dure_session *session)
{
    if (!client_of(session->service)->client.confirm_by_user) {
        dure_backoff_reset(&session->backoff);
    }
}

static const service_kind_ops client_ops = {
    .is_server = false,
    .start = client_start,
    .close = client_close,
    .is_quiet = client_is_quiet,
    .on_session_connected = client_on_session_connected,
    .on_session_end = client_on_session_end,
    .target = client_target,
    .accept_pauses = client_accept_pauses,
    .free = client_free,
};

dure_err dure_client_service_create(const dure_service_config *config,
                                    const dure_client_service_config *client_config,
                                    dure_service **out_service)
{
    if (client_config->host == NULL || client_config->host[0] == '\0' ||
        client_config->session_count == 0) {
        return DURE_ERR_INVALID;
    }
    client_service *client = dure_mem_alloc(sizeof *client);
    if (client == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = net_service_init(&client->base, config, &client_ops);
    if (err != DURE_OK) {
        dure_mem_free(client);
        return err;
    }
    client->client = *client_config;
    client->host = dure_mem_strdup(client_config->host);
    client->sessions = dure_mem_alloc_array(client_config->session_count, sizeof(dure_session *));
    if (client->host == NULL || client->sessions == NULL) {
        client->client.session_count = client->sessions != NULL ? client->client.session_count : 0;
        client_free(&client->base);
        return DURE_ERR_NO_MEMORY;
    }
    client->is_numeric =
        dure_net_address_from_ip(client->host, client_config->port, &client->address) == DURE_OK;
    *out_service = &client->base;
    return DURE_OK;
}

void dure_client_service_confirm(dure_session *session)
{
    dure_backoff_reset(&session->backoff);
}

void dure_client_service_hold_off(dure_session *session, uint32_t delay_ms)
{
    session->hold_off_ms = delay_ms;
}

dure_session *dure_client_service_session(dure_service *service, uint32_t index)
{
    client_service *client = client_of(service);
    DURE_ASSERT(service->ops == &client_ops);
    return index < client->client.session_count ? client->sessions[index] : NULL;
}
