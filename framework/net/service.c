/* SPDX-License-Identifier: MIT
 *
 * What both services share: the shards, their start and their end in steps, and what comes from
 * other threads.
 */
#include "net/service.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/session_impl.h"

static const char *const state_names[] = {
#define DURE_SERVICE_STATE_ROW(name) #name,
    DURE_SERVICE_STATE_LIST(DURE_SERVICE_STATE_ROW)
#undef DURE_SERVICE_STATE_ROW
};

/* Rows: from; bits: to. */
#define STEP(name) (1u << DURE_SERVICE_##name)
static const unsigned state_steps[] = {
    [DURE_SERVICE_NEW] = STEP(STARTED) | STEP(CLOSING),
    [DURE_SERVICE_STARTED] = STEP(CLOSING),
    [DURE_SERVICE_CLOSING] = STEP(CLOSED),
    [DURE_SERVICE_CLOSED] = 0,
};
#undef STEP

/* Sessions of a shard that a close ends in one round: a shutdown(2) each, some milliseconds in all.
 */
#define CLOSED_PER_ROUND 256u

void dure_service_config_init(dure_service_config *config)
{
    *config = (dure_service_config){
        .sessions_max = 100000,
        .send_queue_max = (size_t)1024 * 1024,
        .recv_rest_max = (size_t)64 * 1024,
        .close_ms = 5000,
        .connect_ms = 5000,
        .write_stall_ms = 10000,
        .keepalive_s = 60,
        .accept_pause_first_ms = 10,
        .accept_pause_max_ms = 1000,
    };
}

dure_service_state dure_service_state_now(const dure_service *service)
{
    return (dure_service_state)atomic_load_explicit(&service->state, memory_order_acquire);
}

static void service_set_state(dure_service *service, dure_service_state state)
{
    DURE_ASSERT_OWNER(service->main.core);
    dure_service_state old = dure_service_state_now(service);
    DURE_ASSERT((state_steps[old] & (1u << (unsigned)state)) != 0);
    dure_log_write(dure_iocp_core_log(service->main.core), DURE_LOG_DEBUG, "net", "SERVICE_STATE",
                   "service=%s old=%s new=%s", service->name, state_names[old], state_names[state]);
    atomic_store_explicit(&service->state, (int)state, memory_order_release);
}

/* ---- buffers ---- */

void dure_shard_take_buf(dure_service_shard *shard, dure_buf *out_buf)
{
    DURE_ASSERT_OWNER(shard->object.core);
    DURE_ASSERT(out_buf->data == NULL);
    if (shard->buf_count > 0) {
        shard->buf_count--;
        *out_buf = shard->bufs[shard->buf_count];
        return;
    }
    const dure_service_config *config = &shard->service->config;
    size_t rest = config->recv_rest_max + DURE_SESSION_PAUSED_MAX;
    size_t queue = config->send_queue_max + DURE_SESSION_BUF_SLACK;
    dure_buf_init(out_buf, rest > queue ? rest : queue);
}

void dure_shard_give_buf(dure_service_shard *shard, dure_buf *buf)
{
    size_t capacity = dure_buf_capacity(buf);
    if (capacity > 0 && capacity <= DURE_SHARD_BUF_KEEP_MAX &&
        shard->buf_count < DURE_SHARD_BUFS_MAX) {
        dure_buf_clear(buf);
        shard->bufs[shard->buf_count] = *buf;
        shard->buf_count++;
    } else {
        dure_buf_fini(buf);
    }
    *buf = (dure_buf){0};
}

/* ---- the end of a shard ---- */

/* No more posts, nothing busy: the end comes with a completion of its own, when no session's
 * dispatch is on the stack any more. */
static void shard_check_end(dure_service_shard *shard)
{
    if (!shard->is_closing || shard->is_ending || shard->busy > 0 ||
        atomic_load_explicit(&shard->posts, memory_order_acquire) != DURE_SHARD_POSTS_CLOSED) {
        return;
    }
    shard->is_ending = true;
    dure_iocp_post(shard->object.core, &shard->end_event);
}

void dure_shard_add_busy(dure_service_shard *shard)
{
    DURE_ASSERT(!shard->is_ending);
    shard->busy++;
}

void dure_shard_drop_busy(dure_service_shard *shard)
{
    DURE_ASSERT(shard->busy > 0);
    shard->busy--;
    shard_check_end(shard);
}

/*
 * So many sessions begin their end in one round: others are served meanwhile. Ending is never
 * finished inside the call, so each stands in a list until its last completion.
 */
static void shard_close_some(dure_service_shard *shard)
{
    for (uint32_t i = 0; i < CLOSED_PER_ROUND; i++) {
        dure_list *node = dure_list_pop_front(&shard->live);
        if (node == NULL) {
            break;
        }
        dure_list_push_back(&shard->leaving, node);
        dure_session_disconnect(DURE_CONTAINER_OF(node, dure_session, node), DURE_ERR_CLOSED);
    }
    if (!dure_list_is_empty(&shard->live)) {
        dure_iocp_post(shard->object.core, &shard->close_event);
    }
    shard_check_end(shard);
}

static void shard_close(dure_service_shard *shard)
{
    if (!shard->is_closing) {
        shard->is_closing = true;
        shard->service->ops->shard_close(shard);
    }
    shard_close_some(shard);
}

/* ---- posts ---- */

dure_err dure_shard_post_send(dure_service_shard *shard, dure_shard_post *post)
{
    size_t queued =
        atomic_fetch_add_explicit(&shard->posted_bytes, post->len, memory_order_relaxed);
    if (queued + post->len > DURE_SHARD_POSTED_MAX) {
        atomic_fetch_sub_explicit(&shard->posted_bytes, post->len, memory_order_relaxed);
        return DURE_ERR_OVERLOADED;
    }
    /* Counted before it is sent, so that the shard cannot end while it is on its way. */
    unsigned posts = atomic_load_explicit(&shard->posts, memory_order_relaxed);
    do {
        if ((posts & DURE_SHARD_POSTS_CLOSED) != 0) {
            atomic_fetch_sub_explicit(&shard->posted_bytes, post->len, memory_order_relaxed);
            return DURE_ERR_STALE;
        }
    } while (!atomic_compare_exchange_weak_explicit(&shard->posts, &posts, posts + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    dure_iocp_event_init(&post->event, &shard->object, DURE_IOCP_POST);
    post->event.ctx = post;
    dure_iocp_post(shard->object.core, &post->event);
    return DURE_OK;
}

static dure_session *shard_find(const dure_service_shard *shard, uint64_t session_id)
{
    const uint64_t worker_bits = (uint64_t)(DURE_SERVICE_CORES_MAX - 1) << DURE_SHARD_SLOT_BITS;
    return dure_idtable_find(&shard->ids, session_id & ~worker_bits);
}

static void shard_apply(dure_service_shard *shard, dure_shard_post *post)
{
    if (post->socket != NULL) {
        dure_server_take_socket(shard, post->socket);
        return;
    }
    dure_session *session = shard_find(shard, post->session_id);
    if (post->cause != DURE_OK) {
        if (session != NULL) {
            dure_session_disconnect(session, post->cause);
        }
        return;
    }
    if (session == NULL || dure_session_send(session, post->data, post->len) != DURE_OK) {
        dure_shard_count(&shard->counters.dropped_sends, 1);
    }
}

static void shard_post_arrived(dure_service_shard *shard, dure_shard_post *post)
{
    shard_apply(shard, post);
    atomic_fetch_sub_explicit(&shard->posted_bytes, post->len, memory_order_relaxed);
    dure_mem_free(post);
    atomic_fetch_sub_explicit(&shard->posts, 1, memory_order_acq_rel);
    shard_check_end(shard);
}

static void shard_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_service_shard *shard = DURE_CONTAINER_OF(object, dure_service_shard, object);
    DURE_ASSERT_OWNER(object->core);
    if (event == &shard->start_event) {
        if (!shard->is_closing) {
            shard->service->ops->shard_start(shard);
        }
    } else if (event == &shard->close_event) {
        shard_close(shard);
    } else if (event == &shard->end_event) {
        dure_iocp_object_release(object); /* the creator's; the last one follows at once */
    } else {
        shard_post_arrived(shard, event->ctx);
    }
}

/* Nothing on this core will touch the shard again: tell the first core. */
static void shard_destroy(dure_iocp_object *object)
{
    dure_service_shard *shard = DURE_CONTAINER_OF(object, dure_service_shard, object);
    dure_iocp_post(shard->service->main.core, &shard->done_event);
}

static const dure_iocp_object_ops shard_ops = {shard_dispatch, shard_destroy};

/* ---- the service ---- */

static void service_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_service *service = DURE_CONTAINER_OF(object, dure_service, main);
    (void)event; /* a shard is done */
    DURE_ASSERT_OWNER(object->core);
    DURE_ASSERT(service->shards_left > 0);
    service->shards_left--;
    if (service->shards_left > 0) {
        return;
    }
    service_set_state(service, DURE_SERVICE_CLOSED);
    if (service->config.on_closed != NULL) {
        service->config.on_closed(service, service->config.context);
    }
}

static void service_destroy(dure_iocp_object *object)
{
    dure_service *service = DURE_CONTAINER_OF(object, dure_service, main);
    service->ops->destroy(service);
}

static const dure_iocp_object_ops service_ops = {service_dispatch, service_destroy};

static bool service_config_is_valid(const dure_service_config *config)
{
    const dure_session_handlers *handlers = config->handlers;
    return config->cores != NULL && config->core_count >= 1 &&
           config->core_count <= DURE_SERVICE_CORES_MAX && handlers != NULL &&
           handlers->on_connected != NULL && handlers->on_connect_failed != NULL &&
           handlers->on_recv != NULL && handlers->on_sent != NULL &&
           handlers->on_disconnected != NULL && config->sessions_max > 0 &&
           config->send_queue_max > 0 && config->close_ms > 0;
}

static void shard_init(dure_service *service, size_t index, dure_iocp_core *core, uint32_t ids_max)
{
    dure_service_shard *shard = &service->shards[index];
    dure_iocp_object_init(&shard->object, core, &shard_ops);
    shard->service = service;
    shard->index = (uint32_t)index;
    dure_idtable_init(&shard->ids, ids_max);
    dure_list_init(&shard->live);
    dure_list_init(&shard->leaving);
    dure_list_init(&shard->spare);
    dure_iocp_event_init(&shard->start_event, &shard->object, DURE_IOCP_POST);
    dure_iocp_event_init(&shard->close_event, &shard->object, DURE_IOCP_POST);
    dure_iocp_event_init(&shard->end_event, &shard->object, DURE_IOCP_POST);
    dure_iocp_event_init(&shard->done_event, &service->main, DURE_IOCP_POST);
}

dure_err dure_service_init(dure_service *service, const dure_service_config *config,
                           const dure_service_ops *ops, uint32_t ids_max)
{
    if (!service_config_is_valid(config)) {
        return DURE_ERR_INVALID;
    }
    service->shards = dure_mem_alloc_array(config->core_count, sizeof *service->shards);
    if (service->shards == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&service->main, config->cores[0], &service_ops);
    service->ops = ops;
    service->config = *config;
    service->config.cores = NULL;
    service->name = config->name != NULL ? config->name : "unnamed";
    if (config->filter != NULL) {
        service->has_filter = true;
        service->filter = *config->filter;
    }
    service->shard_count = config->core_count;
    service->shards_left = config->core_count;
    atomic_init(&service->state, DURE_SERVICE_NEW);
    for (size_t i = 0; i < config->core_count; i++) {
        shard_init(service, i, config->cores[i], ids_max);
    }
    return DURE_OK;
}

static void shard_fini(dure_service_shard *shard)
{
    DURE_ASSERT(shard->busy == 0);
    for (dure_list *node = dure_list_pop_front(&shard->spare); node != NULL;
         node = dure_list_pop_front(&shard->spare)) {
        dure_session_free(DURE_CONTAINER_OF(node, dure_session, node));
    }
    for (uint32_t i = 0; i < shard->buf_count; i++) {
        dure_buf_fini(&shard->bufs[i]);
    }
    dure_idtable_fini(&shard->ids);
}

void dure_service_fini(dure_service *service)
{
    for (size_t i = 0; i < service->shard_count; i++) {
        shard_fini(&service->shards[i]);
    }
    dure_mem_free(service->shards);
}

bool dure_service_can_start(const dure_service *service)
{
    return dure_service_state_now(service) == DURE_SERVICE_NEW;
}

dure_err dure_service_start(dure_service *service)
{
    DURE_ASSERT_OWNER(service->main.core);
    if (!dure_service_can_start(service)) {
        return DURE_ERR_STATE;
    }
    dure_err err = service->ops->start(service);
    if (err != DURE_OK) {
        return err;
    }
    service_set_state(service, DURE_SERVICE_STARTED);
    for (size_t i = 1; i < service->shard_count; i++) {
        dure_iocp_post(service->shards[i].object.core, &service->shards[i].start_event);
    }
    service->ops->shard_start(&service->shards[0]);
    return DURE_OK;
}

void dure_service_close(dure_service *service)
{
    DURE_ASSERT_OWNER(service->main.core);
    if (dure_service_state_now(service) >= DURE_SERVICE_CLOSING) {
        return;
    }
    service_set_state(service, DURE_SERVICE_CLOSING);
    for (size_t i = 0; i < service->shard_count; i++) {
        dure_service_shard *shard = &service->shards[i];
        atomic_fetch_or_explicit(&shard->posts, DURE_SHARD_POSTS_CLOSED, memory_order_acq_rel);
        dure_iocp_post(shard->object.core, &shard->close_event);
    }
}

bool dure_service_is_closed(const dure_service *service)
{
    return dure_service_state_now(service) == DURE_SERVICE_CLOSED;
}

void dure_service_destroy(dure_service *service)
{
    if (service == NULL) {
        return;
    }
    dure_service_state state = dure_service_state_now(service);
    DURE_ASSERT(state == DURE_SERVICE_NEW || state == DURE_SERVICE_CLOSED);
    dure_iocp_object_release(&service->main);
}

/* ---- from any thread ---- */

static dure_service_shard *service_shard_of(dure_service *service, uint64_t session_id)
{
    uint32_t index = (uint32_t)session_id >> DURE_SHARD_SLOT_BITS;
    return index < service->shard_count ? &service->shards[index] : NULL;
}

static dure_err service_post(dure_service *service, uint64_t session_id, dure_err cause,
                             const void *data, size_t len)
{
    dure_service_shard *shard = service_shard_of(service, session_id);
    if (session_id == 0 || shard == NULL) {
        return DURE_ERR_STALE;
    }
    dure_shard_post *post = dure_mem_alloc(sizeof *post + len);
    if (post == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    post->session_id = session_id;
    post->cause = cause;
    post->len = len;
    if (len > 0) {
        memcpy(post->data, data, len);
    }
    dure_err err = dure_shard_post_send(shard, post);
    if (err != DURE_OK) {
        dure_mem_free(post);
    }
    return err;
}

dure_err dure_service_send(dure_service *service, uint64_t session_id, const void *data, size_t len)
{
    return service_post(service, session_id, DURE_OK, data, len);
}

dure_err dure_service_disconnect(dure_service *service, uint64_t session_id, dure_err cause)
{
    DURE_ASSERT(cause != DURE_OK);
    dure_err err = service_post(service, session_id, cause, NULL, 0);
    return err == DURE_ERR_STALE ? DURE_OK : err;
}

dure_session *dure_service_find(dure_service *service, dure_iocp_core *core, uint64_t session_id)
{
    const dure_service_shard *shard = service_shard_of(service, session_id);
    if (session_id == 0 || shard == NULL || shard->object.core != core) {
        return NULL;
    }
    DURE_ASSERT_OWNER(core);
    return shard_find(shard, session_id);
}

void dure_service_each(dure_service *service, dure_iocp_core *core,
                       void (*visit)(dure_session *session, void *ctx), void *ctx)
{
    DURE_ASSERT_OWNER(core);
    for (size_t i = 0; i < service->shard_count; i++) {
        dure_service_shard *shard = &service->shards[i];
        if (shard->object.core != core) {
            continue;
        }
        uint32_t cursor = 0;
        for (dure_session *session = dure_idtable_next(&shard->ids, &cursor); session != NULL;
             session = dure_idtable_next(&shard->ids, &cursor)) {
            if (dure_session_is_connected(session)) {
                visit(session, ctx);
            }
        }
    }
}

void *dure_service_context(const dure_service *service)
{
    return service->config.context;
}

static uint64_t counter_value(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void dure_service_counters_of(const dure_service *service, dure_service_counters *out_counters)
{
    *out_counters = (dure_service_counters){0};
    for (size_t i = 0; i < service->shard_count; i++) {
        const dure_shard_counters *counters = &service->shards[i].counters;
        out_counters->opened += counter_value(&counters->opened);
        out_counters->closed += counter_value(&counters->closed);
        out_counters->connect_failed += counter_value(&counters->connect_failed);
        out_counters->refused_full += counter_value(&counters->refused_full);
        out_counters->recv_bytes += counter_value(&counters->recv_bytes);
        out_counters->sent_bytes += counter_value(&counters->sent_bytes);
        out_counters->dropped_sends += counter_value(&counters->dropped_sends);
        out_counters->accept_pauses += counter_value(&counters->accept_pauses);
    }
}
