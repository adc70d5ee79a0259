/* SPDX-License-Identifier: MIT
 *
 * ClientService: a slot for each of its sessions, which dials, redials and remembers the pause.
 */
#include "net/client_service.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/session_impl.h"

#define CLIENT_SESSIONS_MAX 1000000u
#define CLIENT_HOST_MAX     253u /* RFC 1035, section 2.3.4, as text */

struct dure_client {
    dure_service base;

    /* set before start */
    dure_client_service_config config;
    char host[CLIENT_HOST_MAX + 1]; /* empty: the target is numeric */
    dure_net_address target;
    dure_client_slot *slots;
};

static dure_client *client_of(dure_service *service)
{
    DURE_ASSERT(!service->is_server);
    return DURE_CONTAINER_OF(service, dure_client, base);
}

static const dure_client *client_of_const(const dure_service *service)
{
    DURE_ASSERT(!service->is_server);
    return (const dure_client *)(const void *)service;
}

void dure_client_service_config_init(dure_client_service_config *config)
{
    *config =
        (dure_client_service_config){.session_count = 1, .connect_at_start = true, .redial = true};
    dure_backoff_config_init(&config->backoff);
}

const char *dure_client_host(const dure_service *service)
{
    const dure_client *client = client_of_const(service);
    return client->host[0] != '\0' ? client->host : NULL;
}

uint16_t dure_client_port(const dure_service *service)
{
    return client_of_const(service)->config.port;
}

dure_net_lookup_fn dure_client_lookup(const dure_service *service)
{
    return client_of_const(service)->config.lookup;
}

const dure_net_address *dure_client_target(const dure_service *service)
{
    return &client_of_const(service)->target;
}

/* ---- dialling ---- */

/* Dials; what fails at the call is told like any other failure, later. */
static void slot_dial(dure_client_slot *slot)
{
    dure_session *session = slot->session;
    dure_err err = dure_session_dial(session);
    if (err != DURE_OK) {
        dure_session_begin(session);
        dure_session_fail(session, err);
    }
}

static void slot_pause(dure_client_slot *slot, uint32_t pause_ms)
{
    if (dure_iocp_event_is_active(&slot->redial_event)) {
        slot->is_pause_due = true; /* the old timer was cancelled and is coming back */
        slot->pause_ms = pause_ms;
        return;
    }
    dure_err err = dure_iocp_timer(slot->object.core, &slot->redial_event, pause_ms);
    if (err != DURE_OK) {
        /* Without memory for a timer the only pause left is the dial's own failure. */
        slot_dial(slot);
        return;
    }
    dure_shard_add_busy(slot->session->shard);
}

static void slot_redial_later(dure_client_slot *slot)
{
    uint32_t pause_ms = dure_backoff_next(&slot->backoff, dure_iocp_core_random(slot->object.core));
    if (pause_ms < slot->hold_off_ms) {
        pause_ms = slot->hold_off_ms;
    }
    slot->hold_off_ms = 0;
    slot_pause(slot, pause_ms);
}

static void slot_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_client_slot *slot = DURE_CONTAINER_OF(object, dure_client_slot, object);
    dure_session *session = slot->session;
    DURE_ASSERT_OWNER(object->core);
    bool is_idle = session->state == DURE_SESSION_IDLE && !session->shard->is_closing;
    bool is_pause_due = slot->is_pause_due;
    slot->is_pause_due = false;
    if (is_idle && is_pause_due) {
        slot_pause(slot, slot->pause_ms);
    } else if (is_idle && event->status == DURE_OK) {
        slot_dial(slot);
    }
    dure_shard_drop_busy(session->shard);
}

/* Slots live in their service's array. */
static void slot_destroy(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops slot_ops = {slot_dispatch, slot_destroy};

void dure_client_forget_redial(dure_client_slot *slot)
{
    dure_iocp_cancel(&slot->redial_event);
}

/* ---- what a service does ---- */

static dure_err client_start(dure_service *service)
{
    (void)service;
    return DURE_OK;
}

static void client_each_slot(dure_service_shard *shard, void (*visit)(dure_client_slot *slot))
{
    dure_client *client = client_of(shard->service);
    for (size_t i = shard->index; i < client->config.session_count; i += client->base.shard_count) {
        visit(&client->slots[i]);
    }
}

static void client_dial_idle(dure_client_slot *slot)
{
    if (slot->session->state == DURE_SESSION_IDLE) {
        slot_dial(slot);
    }
}

static void client_shard_start(dure_service_shard *shard)
{
    if (client_of(shard->service)->config.connect_at_start) {
        client_each_slot(shard, client_dial_idle);
    }
}

static void client_give_up(dure_client_slot *slot)
{
    dure_client_forget_redial(slot);
    if (slot->resolver != NULL) {
        dure_net_resolve_cancel(slot->resolver);
    }
}

static void client_shard_close(dure_service_shard *shard)
{
    client_each_slot(shard, client_give_up);
}

static void client_session_connected(dure_session *session)
{
    if (!client_of(session->shard->service)->config.confirm_by_user) {
        dure_backoff_reset(&session->slot->backoff);
    }
}

static void client_session_ended(dure_session *session)
{
    const dure_client *client = client_of(session->shard->service);
    if (session->state == DURE_SESSION_CLOSED) {
        dure_session_recycle(session);
    }
    if (session->state == DURE_SESSION_IDLE && client->config.redial &&
        !session->shard->is_closing) {
        slot_redial_later(session->slot);
    }
}

static void client_destroy(dure_service *service)
{
    dure_client *client = client_of(service);
    for (size_t i = 0; client->slots != NULL && i < client->config.session_count; i++) {
        dure_session_free(client->slots[i].session);
    }
    dure_mem_free(client->slots);
    dure_service_fini(service);
    dure_mem_free(client);
}

static const dure_service_ops client_ops = {
    .start = client_start,
    .shard_start = client_shard_start,
    .shard_close = client_shard_close,
    .session_connected = client_session_connected,
    .session_ended = client_session_ended,
    .destroy = client_destroy,
};

/* ---- making one ---- */

static dure_err client_make_slots(dure_client *client)
{
    size_t count = client->config.session_count;
    client->slots = dure_mem_alloc_array(count, sizeof *client->slots);
    if (client->slots == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        dure_service_shard *shard = &client->base.shards[i % client->base.shard_count];
        dure_client_slot *slot = &client->slots[i];
        dure_iocp_object_init(&slot->object, shard->object.core, &slot_ops);
        dure_iocp_event_init(&slot->redial_event, &slot->object, DURE_IOCP_TIMER);
        dure_backoff_init(&slot->backoff, &client->config.backoff);
        dure_err err = dure_session_create(shard, slot, &slot->session);
        if (err != DURE_OK) {
            return err;
        }
    }
    return DURE_OK;
}

static bool client_config_is_valid(const dure_client_service_config *config)
{
    size_t host_len = config->host != NULL ? strlen(config->host) : 0;
    return host_len > 0 && host_len <= CLIENT_HOST_MAX && config->port > 0 &&
           config->session_count > 0 && config->session_count <= CLIENT_SESSIONS_MAX &&
           config->backoff.jitter_percent <= 100 && config->backoff.factor_percent >= 100;
}

dure_err dure_client_service_create(const dure_service_config *config,
                                    const dure_client_service_config *client_config,
                                    dure_service **out_service)
{
    if (!client_config_is_valid(client_config)) {
        return DURE_ERR_INVALID;
    }
    dure_client *client = dure_mem_alloc(sizeof *client);
    if (client == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err =
        dure_service_init(&client->base, config, &client_ops, client_config->session_count);
    if (err != DURE_OK) {
        dure_mem_free(client);
        return err;
    }
    client->config = *client_config;
    client->config.host = NULL;
    if (dure_net_address_from_ip(client_config->host, client_config->port, &client->target) !=
        DURE_OK) {
        memcpy(client->host, client_config->host, strlen(client_config->host));
    }
    err = client_make_slots(client);
    if (err != DURE_OK) {
        dure_service_destroy(&client->base);
        return err;
    }
    *out_service = &client->base;
    return DURE_OK;
}

/* ---- what the user may say ---- */

void dure_client_service_confirm(dure_session *session)
{
    DURE_ASSERT(session->slot != NULL);
    DURE_ASSERT_OWNER(session->object.core);
    dure_backoff_reset(&session->slot->backoff);
}

void dure_client_service_hold_off(dure_session *session, uint32_t delay_ms)
{
    DURE_ASSERT(session->slot != NULL);
    DURE_ASSERT_OWNER(session->object.core);
    session->slot->hold_off_ms = delay_ms;
}

dure_session *dure_client_service_session(dure_service *service, uint32_t index)
{
    dure_client *client = client_of(service);
    return index < client->config.session_count ? client->slots[index].session : NULL;
}
