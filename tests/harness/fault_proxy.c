/* SPDX-License-Identifier: MIT
 *
 * A listener, the faults that hold, and the relays of its connections.
 */
#include "fault_proxy.h"

#include "base/assert.h"
#include "base/mem.h"
#include "fault_relay.h"
#include "net/listener.h"

#define RELAYS_MAX 4096u
#define BACKLOG    256u

struct dure_fault_proxy {
    dure_fault_proxy_config config;
    dure_listener *listener;
    fault_set faults;
    fault_relays relays;
    uint64_t accepted;
    uint64_t refused;
    bool is_closing;
    bool is_closed;
};

static void proxy_check_closed(dure_fault_proxy *proxy)
{
    if (!proxy->is_closing || proxy->is_closed || proxy->relays.count > 0 ||
        dure_listener_is_open(proxy->listener)) {
        return;
    }
    proxy->is_closed = true;
    proxy->config.on_closed(proxy->config.ctx);
}

static void proxy_on_gone(void *ctx)
{
    proxy_check_closed(ctx);
}

static void proxy_on_accept(void *ctx, dure_iocp_socket *socket)
{
    dure_fault_proxy *proxy = ctx;
    proxy->accepted++;
    if (proxy->faults.is_cut || proxy->relays.count >= RELAYS_MAX ||
        fault_relay_create(&proxy->relays, socket) != DURE_OK) {
        proxy->refused++;
        dure_iocp_socket_abort(socket);
    }
}

static void proxy_on_pause(void *ctx, dure_err cause)
{
    (void)ctx; /* the listener has logged it */
    (void)cause;
}

static void proxy_on_listener_closed(void *ctx)
{
    proxy_check_closed(ctx);
}

dure_err dure_fault_proxy_create(const dure_fault_proxy_config *config,
                                 dure_fault_proxy **out_proxy)
{
    dure_fault_proxy *proxy = dure_mem_alloc(sizeof *proxy);
    if (proxy == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    proxy->config = *config;
    proxy->relays.core = config->core;
    proxy->relays.to = config->to;
    proxy->relays.faults = &proxy->faults;
    proxy->relays.on_gone = proxy_on_gone;
    proxy->relays.ctx = proxy;
    dure_list_init(&proxy->relays.live);
    dure_listener_config listener = {
        .core = config->core,
        .name = config->name,
        .address = config->listen,
        .backlog = BACKLOG,
        .on_accept = proxy_on_accept,
        .on_pause = proxy_on_pause,
        .on_closed = proxy_on_listener_closed,
        .ctx = proxy,
    };
    dure_err err = dure_listener_create(&listener, &proxy->listener);
    if (err != DURE_OK) {
        dure_mem_free(proxy);
        return err;
    }
    *out_proxy = proxy;
    return DURE_OK;
}

dure_err dure_fault_proxy_open(dure_fault_proxy *proxy)
{
    return dure_listener_open(proxy->listener);
}

dure_err dure_fault_proxy_address(const dure_fault_proxy *proxy, dure_net_address *out_address)
{
    return dure_listener_address(proxy->listener, out_address);
}

dure_err dure_fault_proxy_command(dure_fault_proxy *proxy, const char *line)
{
    fault_action action = FAULT_NONE;
    dure_err err = fault_parse(line, &proxy->faults, &action);
    if (err != DURE_OK) {
        return err;
    }
    if (action == FAULT_NONE) {
        fault_relays_look_again(&proxy->relays);
        return DURE_OK;
    }
    for (const dure_list *node = proxy->relays.live.next;
         action == FAULT_RESET && node != &proxy->relays.live; node = node->next) {
        proxy->relays.resets++;
    }
    fault_relays_end(&proxy->relays, action == FAULT_RESET);
    return DURE_OK;
}

void dure_fault_proxy_counters(const dure_fault_proxy *proxy, dure_fault_counters *out_counters)
{
    uint32_t live = 0;
    for (const dure_list *node = proxy->relays.live.next; node != &proxy->relays.live;
         node = node->next) {
        live++;
    }
    *out_counters = (dure_fault_counters){
        .connections = live,
        .accepted = proxy->accepted,
        .refused = proxy->refused,
        .resets = proxy->relays.resets,
        .bytes = {proxy->relays.bytes[FAULT_TO_SERVER], proxy->relays.bytes[FAULT_TO_CLIENT]},
        .held_bytes = proxy->relays.held_bytes,
    };
}

void dure_fault_proxy_close(dure_fault_proxy *proxy)
{
    if (proxy->is_closing) {
        return;
    }
    proxy->is_closing = true;
    bool was_idle = !dure_listener_is_open(proxy->listener);
    dure_listener_close(proxy->listener);
    fault_relays_end(&proxy->relays, false);
    if (was_idle) {
        proxy_check_closed(proxy);
    }
}

void dure_fault_proxy_destroy(dure_fault_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    DURE_ASSERT(proxy->relays.count == 0);
    dure_listener_destroy(proxy->listener);
    dure_mem_free(proxy);
}
