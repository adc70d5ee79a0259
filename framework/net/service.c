/* SPDX-License-Identifier: MIT
 *
 * What both services share: shards, ids, messages from other threads, and the end, which is reached
 * when every shard has seen its last session go.
 */
#include "net/service.h"

#include <string.h>

#include "base/mem.h"
#include "net/session_impl.h"

typedef enum message_kind {
    MESSAGE_SEND,
    MESSAGE_DISCONNECT,
    MESSAGE_PLACE,       /* an accepted socket */
    MESSAGE_DIAL,        /* a client's session connects on its own core */
    MESSAGE_SHARD_CLOSED /* to the first shard */
} message_kind;

/* What travels between threads. The event's owner is the shard that it goes to. */
typedef struct service_message {
    dure_iocp_event event;
    message_kind kind;
    uint64_t session_id;
    dure_err cause;
    dure_iocp_socket *socket;
    dure_session *session;
    size_t len;
    uint8_t data[];
} service_message;

void dure_service_config_init(dure_service_config *config)
{
    *config = (dure_service_config){
        .sessions_max = 100000,
        .send_queue_max = 1024 * 1024,
        .recv_rest_max = 64 * 1024,
        .close_ms = 5000,
        .connect_ms = 5000,
        .write_stall_ms = 10000,
        .keepalive_s = 60,
    };
}

/* ---- ids ---- */

static uint32_t id_shard(uint64_t id)
{
    return ((uint32_t)id >> NET_SLOT_BITS) & 0xff;
}

static uint64_t id_slot(uint64_t id)
{
    return ((id >> 32) << 32) | ((uint32_t)id & ((1u << NET_SLOT_BITS) - 1));
}

static dure_session *shard_find(const service_shard *shard, uint64_t id)
{
    return dure_idtable_find(&shard->sessions, id_slot(id));
}

dure_session *dure_service_find(dure_service *service, dure_iocp_core *core, uint64_t session_id)
{
    uint32_t index = id_shard(session_id);
    if (index >= service->shard_count || service->shards[index].object.core != core) {
        return NULL;
    }
    return shard_find(&service->shards[index], session_id);
}

void dure_service_each(dure_service *service, dure_iocp_core *core,
                       void (*visit)(dure_session *session, void *ctx), void *ctx)
{
    for (uint32_t i = 0; i < service->shard_count; i++) {
        service_shard *shard = &service->shards[i];
        if (shard->object.core != core) {
            continue;
        }
        uint32_t cursor = 0;
        dure_session *session;
        while ((session = dure_idtable_next(&shard->sessions, &cursor)) != NULL) {
            if (session->state == DURE_SESSION_CONNECTED) {
                visit(session, ctx);
            }
        }
    }
}

/* ---- messages ---- */

static service_message *message_new(service_shard *shard, message_kind kind, size_t len)
{
    service_message *message = dure_mem_alloc(sizeof *message + len);
    if (message != NULL) {
        dure_iocp_event_init(&message->event, &shard->object, DURE_IOCP_POST);
        message->kind = kind;
        message->len = len;
    }
    return message;
}

static void message_post(service_shard *shard, service_message *message)
{
    atomic_fetch_add_explicit(&shard->posts, 1, memory_order_acq_rel);
    dure_iocp_post(shard->object.core, &message->event);
}

/* The count goes up before the flag is read, so a shard that has seen the flag and no posts is
 * alone. */
static dure_err message_post_from_outside(dure_service *service, service_shard *shard,
                                          service_message *message)
{
    if (message == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    atomic_fetch_add_explicit(&shard->posts, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&service->is_refusing, memory_order_seq_cst)) {
        atomic_fetch_sub_explicit(&shard->posts, 1, memory_order_seq_cst);
        dure_mem_free(message);
        return DURE_ERR_STALE;
    }
    dure_iocp_post(shard->object.core, &message->event);
    return DURE_OK;
}

dure_err dure_service_send(dure_service *service, uint64_t session_id, const void *data, size_t len)
{
    uint32_t index = id_shard(session_id);
    if (session_id == 0 || index >= service->shard_count) {
        return DURE_ERR_STALE;
    }
    service_shard *shard = &service->shards[index];
    service_message *message = message_new(shard, MESSAGE_SEND, len);
    if (message != NULL) {
        message->session_id = session_id;
        memcpy(message->data, data, len);
    }
    return message_post_from_outside(service, shard, message);
}

dure_err dure_service_disconnect(dure_service *service, uint64_t session_id, dure_err cause)
{
    uint32_t index = id_shard(session_id);
    if (session_id == 0 || index >= service->shard_count) {
        return DURE_OK;
    }
    service_shard *shard = &service->shards[index];
    service_message *message = message_new(shard, MESSAGE_DISCONNECT, 0);
    if (message != NULL) {
        message->session_id = session_id;
        message->cause = cause;
    }
    dure_err err = message_post_from_outside(service, shard, message);
    return err == DURE_ERR_STALE ? DURE_OK : err;
}

/* ---- accepted sockets ---- */

static void shard_place(service_shard *shard, dure_iocp_socket *socket)
{
    dure_service *service = shard->service;
    dure_session *session = NULL;
    uint64_t count = atomic_load_explicit(&service->session_count, memory_order_relaxed);
    if (shard->is_closing || count >= service->config.sessions_max) {
        atomic_fetch_add_explicit(&service->refused_full, 1, memory_order_relaxed);
        dure_iocp_socket_close(socket);
        return;
    }
    if (net_session_create(shard, &session) != DURE_OK) {
        dure_iocp_socket_close(socket);
        return;
    }
    if (net_session_begin_life(session) != DURE_OK) {
        dure_iocp_socket_close(socket);
        dure_iocp_object_release(&session->object);
        return;
    }
    net_session_accepted(session, socket);
}

void net_service_place(dure_service *service, uint32_t shard_index, dure_iocp_socket *socket)
{
    service_shard *shard = &service->shards[shard_index];
    if (shard_index == 0) {
        shard_place(shard, socket);
        return;
    }
    service_message *message = message_new(shard, MESSAGE_PLACE, 0);
    if (message == NULL) {
        dure_iocp_socket_close(socket);
        return;
    }
    dure_iocp_socket_release(socket);
    message->socket = socket;
    message_post(shard, message);
}

void net_shard_dial(dure_session *session)
{
    service_message *message = message_new(session->shard, MESSAGE_DIAL, 0);
    if (message != NULL) {
        message->session = session;
        message_post(session->shard, message);
    }
}

/* ---- the end ---- */

static bool shard_has_redial(const service_shard *shard)
{
    return !shard->service->ops->is_quiet(shard->service, shard->index);
}

void net_service_check_closed(dure_service *service)
{
    if (service->state != SERVICE_CLOSING || service->shards_open > 0 ||
        !service->ops->is_quiet(service, 0)) {
        return;
    }
    service->state = SERVICE_CLOSED;
    if (service->config.on_closed != NULL) {
        service->config.on_closed(service, service->config.context);
    }
}

static void service_shard_closed(dure_service *service)
{
    DURE_ASSERT(service->shards_open > 0);
    service->shards_open--;
    net_service_check_closed(service);
}

void net_shard_check_closed(service_shard *shard)
{
    if (!shard->is_closing || shard->is_closed || shard->sessions.count > 0 ||
        shard_has_redial(shard) || atomic_load_explicit(&shard->posts, memory_order_seq_cst) > 0) {
        return;
    }
    dure_service *service = shard->service;
    if (shard->index != 0) {
        service_message *message = message_new(&service->shards[0], MESSAGE_SHARD_CLOSED, 0);
        DURE_ASSERT(message != NULL);
        shard->is_closed = true;
        message_post(&service->shards[0], message);
        return;
    }
    shard->is_closed = true;
    service_shard_closed(service);
}

static void shard_close(service_shard *shard)
{
    shard->is_closing = true;
    uint32_t cursor = 0;
    dure_session *session;
    while ((session = dure_idtable_next(&shard->sessions, &cursor)) != NULL) {
        dure_session_disconnect(session, DURE_ERR_CLOSED);
    }
}

static void shard_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    service_shard *shard = DURE_CONTAINER_OF(object, service_shard, object);
    service_message *message = DURE_CONTAINER_OF(event, service_message, event);
    dure_session *session = NULL;
    bool is_own = &message->event == &shard->close_event;
    atomic_fetch_sub_explicit(&shard->posts, 1, memory_order_seq_cst);
    if (is_own) {
        shard_close(shard);
        net_shard_check_closed(shard);
        return;
    }
    switch (message->kind) {
    case MESSAGE_SEND:
        session = shard_find(shard, message->session_id);
        if (session == NULL || dure_session_send(session, message->data, message->len) != DURE_OK) {
            atomic_fetch_add_explicit(&shard->dropped_sends, 1, memory_order_relaxed);
        }
        break;
    case MESSAGE_DISCONNECT:
        session = shard_find(shard, message->session_id);
        if (session != NULL) {
            dure_session_disconnect(session, message->cause);
        }
        break;
    case MESSAGE_PLACE:
        dure_iocp_socket_adopt(shard->object.core, message->socket);
        shard_place(shard, message->socket);
        break;
    case MESSAGE_DIAL:
        if (dure_session_connect(message->session) != DURE_OK) {
            shard->service->ops->on_session_end(message->session);
        }
        break;
    case MESSAGE_SHARD_CLOSED:
        service_shard_closed(shard->service);
        break;
    }
    dure_mem_free(message);
    net_shard_check_closed(shard);
}

static void shard_destroy(dure_iocp_object *object)
{
    (void)object; /* part of the service's array */
}

static const dure_iocp_object_ops shard_ops = {shard_dispatch, shard_destroy};

/* ---- life ---- */

static bool config_is_valid(const dure_service_config *config)
{
    const dure_session_handlers *h = config->handlers;
    return config->cores != NULL && config->core_count > 0 &&
           config->core_count <= NET_SHARDS_MAX && config->name != NULL && h != NULL &&
           h->on_connected != NULL && h->on_connect_failed != NULL && h->on_recv != NULL &&
           h->on_sent != NULL && h->on_disconnected != NULL && config->send_queue_max > 0 &&
           config->sessions_max > 0;
}

dure_err net_service_init(dure_service *service, const dure_service_config *config,
                          const service_kind_ops *ops)
{
    if (!config_is_valid(config)) {
        return DURE_ERR_INVALID;
    }
    service->shards = dure_mem_alloc_array(config->core_count, sizeof *service->shards);
    if (service->shards == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    service->config = *config;
    service->config.cores = NULL;
    service->ops = ops;
    service->shard_count = (uint32_t)config->core_count;
    service->state = SERVICE_NEW;
    atomic_init(&service->is_refusing, false);
    atomic_init(&service->session_count, 0);
    atomic_init(&service->refused_full, 0);
    for (uint32_t i = 0; i < service->shard_count; i++) {
        service_shard *shard = &service->shards[i];
        dure_iocp_object_init(&shard->object, config->cores[i], &shard_ops);
        dure_iocp_event_init(&shard->close_event, &shard->object, DURE_IOCP_POST);
        shard->service = service;
        shard->index = i;
        dure_idtable_init(&shard->sessions, 1u << NET_SLOT_BITS);
    }
    return DURE_OK;
}

void net_service_fini(dure_service *service)
{
    for (uint32_t i = 0; i < service->shard_count; i++) {
        dure_idtable_fini(&service->shards[i].sessions);
    }
    dure_mem_free(service->shards);
}

bool dure_service_can_start(const dure_service *service)
{
    return service->state == SERVICE_NEW;
}

dure_err dure_service_start(dure_service *service)
{
    if (!dure_service_can_start(service)) {
        return DURE_ERR_STATE;
    }
    dure_err err = service->ops->start(service);
    if (err == DURE_OK) {
        service->state = SERVICE_STARTED;
        service->shards_open = service->shard_count;
    }
    return err;
}

void dure_service_close(dure_service *service)
{
    if (service->state == SERVICE_CLOSING || service->state == SERVICE_CLOSED) {
        return;
    }
    service->shards_open = service->shard_count;
    service->state = SERVICE_CLOSING;
    service->ops->close(service);
    atomic_store_explicit(&service->is_refusing, true, memory_order_seq_cst);
    for (uint32_t i = 0; i < service->shard_count; i++) {
        service_shard *shard = &service->shards[i];
        atomic_fetch_add_explicit(&shard->posts, 1, memory_order_seq_cst);
        dure_iocp_post(shard->object.core, &shard->close_event);
    }
}

bool dure_service_is_closed(const dure_service *service)
{
    return service->state == SERVICE_CLOSED;
}

void dure_service_destroy(dure_service *service)
{
    if (service != NULL) {
        DURE_ASSERT(service->state == SERVICE_CLOSED || service->state == SERVICE_NEW);
        service->ops->free(service);
    }
}

void *dure_service_context(const dure_service *service)
{
    return service->config.context;
}

void dure_service_counters_of(const dure_service *service, dure_service_counters *out_counters)
{
    dure_service_counters sum = {0};
    for (uint32_t i = 0; i < service->shard_count; i++) {
        const service_shard *shard = &service->shards[i];
        sum.opened += atomic_load_explicit(&shard->opened, memory_order_relaxed);
        sum.closed += atomic_load_explicit(&shard->closed, memory_order_relaxed);
        sum.connect_failed += atomic_load_explicit(&shard->connect_failed, memory_order_relaxed);
        sum.recv_bytes += atomic_load_explicit(&shard->recv_bytes, memory_order_relaxed);
        sum.sent_bytes += atomic_load_explicit(&shard->sent_bytes, memory_order_relaxed);
        sum.dropped_sends += atomic_load_explicit(&shard->dropped_sends, memory_order_relaxed);
    }
    sum.refused_full = atomic_load_explicit(&service->refused_full, memory_order_relaxed);
    sum.accept_pauses = service->ops->accept_pauses(service);
    *out_counters = sum;
}
