/* SPDX-License-Identifier: MIT
 *
 * NetAddress: text and back, and the look-up of names as a job.
 */
#include "net/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/address_impl.h"

#define RESOLVE_ADDRESSES_MAX 8
#define RESOLVE_HOST_MAX      253 /* RFC 1035, section 2.3.4, less the dots at both ends */

dure_err dure_net_address_from_ip(const char *ip, uint16_t port, dure_net_address *out_address)
{
    dure_net_address address;
    if (!net_ip_parse(ip, &address)) {
        return DURE_ERR_INVALID;
    }
    address.port = port;
    *out_address = address;
    return DURE_OK;
}

static dure_err port_parse(const char *text, uint16_t *out_port)
{
    uint32_t port = 0;
    if (*text == '\0') {
        return DURE_ERR_INVALID;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return DURE_ERR_INVALID;
        }
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > UINT16_MAX) {
            return DURE_ERR_INVALID;
        }
    }
    *out_port = (uint16_t)port;
    return DURE_OK;
}

dure_err dure_net_address_parse(const char *text, dure_net_address *out_address)
{
    char ip[DURE_NET_ADDRESS_TEXT_MAX];
    const char *start = text[0] == '[' ? text + 1 : text;
    const char *end = text[0] == '[' ? strchr(start, ']') : strchr(start, ':');
    if (end == NULL || (size_t)(end - start) >= sizeof ip) {
        return DURE_ERR_INVALID;
    }
    const char *colon = text[0] == '[' ? end + 1 : end;
    if (*colon != ':') {
        return DURE_ERR_INVALID;
    }
    uint16_t port = 0;
    dure_err err = port_parse(colon + 1, &port);
    if (err != DURE_OK) {
        return err;
    }
    memcpy(ip, start, (size_t)(end - start));
    ip[end - start] = '\0';
    return dure_net_address_from_ip(ip, port, out_address);
}

const char *dure_net_address_print(const dure_net_address *address,
                                   char out[DURE_NET_ADDRESS_TEXT_MAX])
{
    char ip[48];
    net_ip_print(address, ip, sizeof ip);
    (void)snprintf(out, DURE_NET_ADDRESS_TEXT_MAX,
                   address->family == DURE_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", ip,
                   (unsigned)address->port);
    return out;
}

static size_t ip_bytes(const dure_net_address *address)
{
    return address->family == DURE_FAMILY_IPV6 ? 16 : 4;
}

bool dure_net_address_equal(const dure_net_address *a, const dure_net_address *b)
{
    return a->family == b->family && a->port == b->port && a->scope_id == b->scope_id &&
           memcmp(a->ip, b->ip, ip_bytes(a)) == 0;
}

bool dure_net_address_is_loopback(const dure_net_address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    if (address->family == DURE_FAMILY_IPV4) {
        return address->ip[0] == 127;
    }
    return address->family == DURE_FAMILY_IPV6 &&
           (memcmp(address->ip, one, 16) == 0 || memcmp(address->ip, mapped, 13) == 0);
}

/* ---- looking up ---- */

typedef struct resolve {
    dure_iocp_object object;
    dure_iocp_event event;
    dure_net_resolve_fn on_done;
    void *ctx;
    dure_err status;
    size_t count;
    dure_net_address addresses[RESOLVE_ADDRESSES_MAX];
    char host[RESOLVE_HOST_MAX + 1];
    uint16_t port;
} resolve;

static void resolve_work(void *ctx)
{
    resolve *r = ctx;
    r->status = net_name_lookup(r->host, r->port, r->addresses, RESOLVE_ADDRESSES_MAX, &r->count);
}

static void resolve_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    resolve *r = DURE_CONTAINER_OF(object, resolve, object);
    dure_err status = event->status == DURE_OK ? r->status : event->status;
    r->on_done(r->ctx, status, r->addresses, status == DURE_OK ? r->count : 0);
    dure_iocp_object_release(object);
}

static void resolve_destroy(dure_iocp_object *object)
{
    dure_mem_free(DURE_CONTAINER_OF(object, resolve, object));
}

static const dure_iocp_object_ops resolve_ops = {resolve_dispatch, resolve_destroy};

/* What needs no look-up: a numeric host, and on sim the one name that it knows. */
static bool resolve_at_once(resolve *r)
{
    bool is_sim = strcmp(dure_iocp_core_backend_name(r->object.core), "sim") == 0;
    const char *ip = is_sim && strcmp(r->host, "localhost") == 0 ? "127.0.0.1" : r->host;
    r->status = dure_net_address_from_ip(ip, r->port, &r->addresses[0]);
    r->count = 1;
    if (r->status != DURE_OK && is_sim) {
        r->status = DURE_ERR_NAME_NOT_FOUND;
        return true;
    }
    return r->status == DURE_OK;
}

dure_err dure_net_resolve(dure_iocp_core *core, const char *host, uint16_t port,
                          dure_net_resolve_fn on_done, void *ctx)
{
    size_t len = strlen(host);
    if (len == 0 || len > RESOLVE_HOST_MAX) {
        return DURE_ERR_INVALID;
    }
    resolve *r = dure_mem_alloc(sizeof *r);
    if (r == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&r->object, core, &resolve_ops);
    r->on_done = on_done;
    r->ctx = ctx;
    r->port = port;
    memcpy(r->host, host, len + 1);
    dure_err err = DURE_OK;
    if (resolve_at_once(r)) {
        dure_iocp_event_init(&r->event, &r->object, DURE_IOCP_TIMER);
        err = dure_iocp_timer(core, &r->event, 0);
    } else {
        dure_iocp_event_init(&r->event, &r->object, DURE_IOCP_JOB);
        err = dure_iocp_job(core, &r->event, resolve_work, r);
    }
    if (err != DURE_OK) {
        dure_iocp_object_release(&r->object);
    }
    return err;
}
