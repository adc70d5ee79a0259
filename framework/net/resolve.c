/* SPDX-License-Identifier: MIT
 *
 * dure_net_resolve: numeric hosts and "localhost" are known here; every other name
 * is asked of the system on a job thread.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/lookup.h"

#define RESOLVE_ADDRESSES_MAX 8u
#define RESOLVE_HOST_MAX      253u

typedef struct resolver {
    dure_iocp_object object;
    dure_iocp_event event;
    dure_net_resolve_fn on_done;
    void *ctx;
    dure_err status;
    uint16_t port;
    size_t count;
    dure_net_address addresses[RESOLVE_ADDRESSES_MAX];
    char host[RESOLVE_HOST_MAX + 1];
} resolver;

static void resolver_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    resolver *self = DURE_CONTAINER_OF(object, resolver, object);
    dure_err status = event->status != DURE_OK ? event->status : self->status;
    self->on_done(self->ctx, status, self->addresses, status == DURE_OK ? self->count : 0);
    dure_iocp_object_release(object); /* the creator's */
}

static void resolver_destroy(dure_iocp_object *object)
{
    dure_mem_free(DURE_CONTAINER_OF(object, resolver, object));
}

static const dure_iocp_object_ops resolver_ops = {resolver_dispatch, resolver_destroy};

/* On a job thread. */
static void resolver_work(void *ctx)
{
    resolver *self = ctx;
    self->status = dure_net_lookup(self->host, self->port, self->addresses, RESOLVE_ADDRESSES_MAX,
                                   &self->count);
}

/* What needs no system: true when the outcome is there. */
static bool resolver_knows(resolver *self)
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
    if (strcmp(dure_iocp_core_backend_name(self->object.core), "sim") == 0) {
        self->status = DURE_ERR_NAME_NOT_FOUND;
        return true;
    }
    return false;
}

dure_err dure_net_resolve(dure_iocp_core *core, const char *host, uint16_t port,
                          dure_net_resolve_fn on_done, void *ctx)
{
    DURE_ASSERT_OWNER(core);
    size_t len = strlen(host);
    if (len == 0 || len > RESOLVE_HOST_MAX) {
        return DURE_ERR_INVALID;
    }
    resolver *self = dure_mem_alloc(sizeof *self);
    if (self == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&self->object, core, &resolver_ops);
    self->on_done = on_done;
    self->ctx = ctx;
    self->port = port;
    memcpy(self->host, host, len);
    if (resolver_knows(self)) {
        dure_iocp_event_init(&self->event, &self->object, DURE_IOCP_POST);
        dure_iocp_post(core, &self->event);
        return DURE_OK;
    }
    dure_iocp_event_init(&self->event, &self->object, DURE_IOCP_JOB);
    dure_err err = dure_iocp_job(core, &self->event, resolver_work, self);
    if (err != DURE_OK) {
        dure_iocp_object_release(&self->object);
    }
    return err;
}
