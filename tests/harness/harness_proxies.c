/* SPDX-License-Identifier: MIT
 *
 * All proxies of a run on one core and one thread. The test's thread asks for something, wakes the
 * core and waits until it is done; so a fault holds when the function that said it returns.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "harness_impl.h"
#include "net/address.h"

#define PROXIES_MAX 8192u

typedef enum proxies_wish { WISH_ADD, WISH_SAY, WISH_COUNT, WISH_END } proxies_wish;

struct harness_proxies {
    dure_iocp_object object;
    dure_iocp_event wish_event;
    dure_iocp_core *core;
    dure_thread *thread;
    dure_mutex *mutex;
    dure_cond *cond;

    /* the core's thread */
    dure_fault_proxy **all;
    size_t count;
    size_t closed;

    /* one wish at a time; under mutex while is_wished */
    bool is_wished;
    proxies_wish wish;
    const char *name;
    const char *line;
    uint16_t listen;
    uint16_t to;
    size_t index;
    dure_fault_counters *counters;
    dure_err result;
};

/* ---- on the core's thread ---- */

static void proxies_check_end(harness_proxies *p)
{
    if (p->closed == p->count) {
        dure_iocp_core_stop(p->core);
    }
}

static void proxies_on_closed(void *ctx)
{
    harness_proxies *p = ctx;
    p->closed++;
    proxies_check_end(p);
}

static dure_err proxies_open(harness_proxies *p)
{
    dure_fault_proxy_config config = {
        .core = p->core, .name = p->name, .on_closed = proxies_on_closed, .ctx = p};
    dure_fault_proxy *proxy = NULL;
    if (p->count == PROXIES_MAX) {
        return DURE_ERR_FULL;
    }
    dure_err err = dure_net_address_from_ip("127.0.0.1", p->listen, &config.listen);
    if (err == DURE_OK) {
        err = dure_net_address_from_ip("127.0.0.1", p->to, &config.to);
    }
    if (err == DURE_OK) {
        err = dure_fault_proxy_create(&config, &proxy);
    }
    if (err == DURE_OK) {
        err = dure_fault_proxy_open(proxy);
    }
    if (err != DURE_OK) {
        dure_fault_proxy_destroy(proxy);
        return err;
    }
    p->index = p->count;
    p->all[p->count++] = proxy;
    return DURE_OK;
}

static void proxies_close(harness_proxies *p)
{
    proxies_check_end(p); /* there may be none */
    for (size_t i = 0; i < p->count; i++) {
        dure_fault_proxy_close(p->all[i]);
    }
}

static void proxies_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    harness_proxies *p = DURE_CONTAINER_OF(object, harness_proxies, object);
    (void)event;
    dure_mutex_lock(p->mutex);
    p->result = DURE_OK;
    switch (p->wish) {
    case WISH_ADD:
        p->result = proxies_open(p);
        break;
    case WISH_SAY:
        p->result = dure_fault_proxy_command(p->all[p->index], p->line);
        break;
    case WISH_COUNT:
        dure_fault_proxy_counters(p->all[p->index], p->counters);
        break;
    case WISH_END:
        proxies_close(p);
        break;
    }
    p->is_wished = false;
    dure_cond_broadcast(p->cond);
    dure_mutex_unlock(p->mutex);
}

static void proxies_free(dure_iocp_object *object)
{
    (void)object; /* harness_proxies_destroy */
}

static const dure_iocp_object_ops proxies_ops = {proxies_dispatch, proxies_free};

static void proxies_main(void *ctx)
{
    dure_iocp_core_run(((harness_proxies *)ctx)->core);
}

/* ---- on the test's thread ---- */

static dure_err proxies_wish_for(harness_proxies *p, proxies_wish wish)
{
    dure_mutex_lock(p->mutex);
    p->wish = wish;
    p->is_wished = true;
    dure_iocp_post(p->core, &p->wish_event);
    while (p->is_wished) {
        dure_cond_wait(p->cond, p->mutex);
    }
    dure_err result = p->result;
    dure_mutex_unlock(p->mutex);
    return result;
}

/* io_uring would take megabytes from a sender that is to be held back before it can be told to
 * stop; epoll takes a buffer at a time. */
static dure_err proxies_make_core(harness_proxies *p)
{
    dure_iocp_core_config config;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_EPOLL;
    dure_err err = dure_iocp_core_create(&config, &p->core);
    if (err == DURE_ERR_UNSUPPORTED) {
        config.backend = DURE_BACKEND_AUTO;
        err = dure_iocp_core_create(&config, &p->core);
    }
    return err;
}

dure_err harness_proxies_create(harness_proxies **out_proxies)
{
    harness_proxies *p = dure_mem_alloc(sizeof *p);
    if (p == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    p->all = dure_mem_alloc_array(PROXIES_MAX, sizeof(dure_fault_proxy *));
    p->mutex = dure_mutex_create();
    p->cond = dure_cond_create();
    dure_err err = p->all != NULL && p->mutex != NULL && p->cond != NULL ? proxies_make_core(p)
                                                                         : DURE_ERR_NO_MEMORY;
    if (err == DURE_OK) {
        dure_iocp_object_init(&p->object, p->core, &proxies_ops);
        dure_iocp_event_init(&p->wish_event, &p->object, DURE_IOCP_POST);
        err = dure_thread_create("proxies", proxies_main, p, &p->thread);
    }
    if (err != DURE_OK) {
        harness_proxies_destroy(p);
        return err;
    }
    *out_proxies = p;
    return DURE_OK;
}

dure_err harness_proxies_add(harness_proxies *proxies, const char *name, uint16_t listen,
                             uint16_t to, size_t *out_index)
{
    proxies->name = name;
    proxies->listen = listen;
    proxies->to = to;
    dure_err err = proxies_wish_for(proxies, WISH_ADD);
    if (err == DURE_OK) {
        *out_index = proxies->index;
    }
    return err;
}

dure_err harness_proxies_say(harness_proxies *proxies, size_t index, const char *line)
{
    proxies->index = index;
    proxies->line = line;
    return proxies_wish_for(proxies, WISH_SAY);
}

void harness_proxies_count(harness_proxies *proxies, size_t index,
                           dure_fault_counters *out_counters)
{
    proxies->index = index;
    proxies->counters = out_counters;
    dure_err never = proxies_wish_for(proxies, WISH_COUNT);
    DURE_ASSERT(never == DURE_OK);
}

void harness_proxies_destroy(harness_proxies *proxies)
{
    if (proxies == NULL) {
        return;
    }
    if (proxies->thread != NULL) {
        dure_err never = proxies_wish_for(proxies, WISH_END);
        DURE_ASSERT(never == DURE_OK);
        dure_thread_join(proxies->thread);
    }
    for (size_t i = 0; proxies->all != NULL && i < proxies->count; i++) {
        dure_fault_proxy_destroy(proxies->all[i]);
    }
    dure_iocp_core_destroy(proxies->core);
    dure_cond_destroy(proxies->cond);
    dure_mutex_destroy(proxies->mutex);
    dure_mem_free(proxies->all);
    dure_mem_free(proxies);
}
