/* SPDX-License-Identifier: MIT
 *
 * dure_net_resolve: numeric hosts and "localhost" are known here; every other name
 * is asked of the system on a thread that nobody waits for. What
 * that thread touches is a look-up of its own, held by it and by the resolver.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"

#define RESOLVE_ADDRESSES_MAX 8u
#define RESOLVE_HOST_MAX      253u

/* Two hold it: the resolver, and the thread that asks. */
typedef struct lookup {
    atomic_uint holds;

    /* set before start */
    dure_net_lookup_fn fn;
    uint16_t port;
    char host[RESOLVE_HOST_MAX + 1];

    /* the thread's, until it completes */
    dure_err status;
    size_t count;
    dure_net_address addresses[RESOLVE_ADDRESSES_MAX];
} lookup;

struct dure_net_resolver {
    dure_iocp_object object;
    dure_iocp_event event;
    dure_net_resolve_fn on_done;
    void *ctx;
    lookup *lookup;
};

static void lookup_release(void *ctx)
{
    lookup *self = ctx;
    if (atomic_fetch_sub_explicit(&self->holds, 1, memory_order_acq_rel) == 1) {
        dure_mem_free(self);
    }
}

/* On a thread of its own. */
static void lookup_run(void *ctx)
{
    lookup *self = ctx;
    self->status =
        self->fn(self->host, self->port, self->addresses, RESOLVE_ADDRESSES_MAX, &self->count);
}

/* What was asked may still be written by its thread unless the event says that it is done. */
static void resolver_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_net_resolver *self = DURE_CONTAINER_OF(object, dure_net_resolver, object);
    DURE_ASSERT_OWNER(object->core);
    if (event->status != DURE_OK) {
        self->on_done(self->ctx, event->status, NULL, 0);
    } else {
        const lookup *found = self->lookup;
        DURE_ASSERT(found->count <= RESOLVE_ADDRESSES_MAX);
        self->on_done(self->ctx, found->status, found->addresses,
                      found->status == DURE_OK ? found->count : 0);
    }
    dure_iocp_object_release(object); /* the creator's */
}

static void resolver_destroy(dure_iocp_object *object)
{
    dure_net_resolver *self = DURE_CONTAINER_OF(object, dure_net_resolver, object);
    lookup_release(self->lookup);
    dure_mem_free(self);
}

static const dure_iocp_object_ops resolver_ops = {resolver_dispatch, resolver_destroy};

/* What needs no system: true when the outcome is there. */
static bool lookup_knows(lookup *self, const dure_iocp_core *core)
{
    if (dure_net_address_from_ip(self->host, self->port, &self->addresses[0]) == DURE_OK) {
        self->count = 1;
        return true;
    }
    if (strcmp(self->host, "localhost") == 0) {
        /* RFC 6761, section 6.3: it is the loopback, whatever a machine's files say or lack. */
        self->addresses[0] = (dure_net_address){
            .family = DURE_FAMILY_IPV4, .port = self->port, .ip = {127, 0, 0, 1}};
        self->count = 1;
        return true;
    }
    if (self->fn == dure_net_lookup && strcmp(dure_iocp_core_backend_name(core), "sim") == 0) {
        self->status = DURE_ERR_NAME_NOT_FOUND;
        return true;
    }
    return false;
}

static dure_err resolver_create(dure_iocp_core *core, const dure_net_name *name,
                                dure_net_resolver **out_resolver)
{
    dure_net_resolver *self = dure_mem_alloc(sizeof *self);
    lookup *asked = dure_mem_alloc(sizeof *asked);
    if (self == NULL || asked == NULL) {
        dure_mem_free(asked);
        dure_mem_free(self);
        return DURE_ERR_NO_MEMORY;
    }
    atomic_init(&asked->holds, 1);
    asked->fn = name->lookup != NULL ? name->lookup : dure_net_lookup;
    asked->port = name->port;
    memcpy(asked->host, name->host, strlen(name->host));
    self->lookup = asked;
    dure_iocp_object_init(&self->object, core, &resolver_ops);
    *out_resolver = self;
    return DURE_OK;
}

static dure_err resolver_start(dure_net_resolver *self)
{
    dure_iocp_core *core = self->object.core;
    if (lookup_knows(self->lookup, core)) {
        dure_iocp_event_init(&self->event, &self->object, DURE_IOCP_POST);
        dure_iocp_post(core, &self->event);
        return DURE_OK;
    }
    dure_iocp_event_init(&self->event, &self->object, DURE_IOCP_JOB);
    atomic_fetch_add_explicit(&self->lookup->holds, 1, memory_order_relaxed);
    dure_err err =
        dure_iocp_job_apart(core, &self->event, lookup_run, lookup_release, self->lookup);
    if (err != DURE_OK) {
        lookup_release(self->lookup);
    }
    return err;
}

dure_err dure_net_resolve(dure_iocp_core *core, const dure_net_name *name,
                          dure_net_resolve_fn on_done, void *ctx, dure_net_resolver **out_resolver)
{
    DURE_ASSERT_OWNER(core);
    size_t len = strlen(name->host);
    if (len == 0 || len > RESOLVE_HOST_MAX) {
        return DURE_ERR_INVALID;
    }
    dure_net_resolver *self = NULL;
    dure_err err = resolver_create(core, name, &self);
    if (err != DURE_OK) {
        return err;
    }
    self->on_done = on_done;
    self->ctx = ctx;
    err = resolver_start(self);
    if (err != DURE_OK) {
        dure_iocp_object_release(&self->object);
        return err;
    }
    if (out_resolver != NULL) {
        *out_resolver = self;
    }
    return DURE_OK;
}

void dure_net_resolve_cancel(dure_net_resolver *resolver)
{
    DURE_ASSERT_OWNER(resolver->object.core);
    dure_iocp_cancel(&resolver->event);
}
