/* SPDX-License-Identifier: MIT
 *
 * The rig of the contract suite.
 */
#include "contract/rig.h"

#include <stdlib.h>

#define LIMIT_REAL_NS 10000000000u
#define LIMIT_SIM_NS  300000000000u

static dure_backend_choice choice;
static uint32_t calls_open; /* start functions on the stack; a completion meanwhile is an error */

void rig_choose(dure_backend_choice backend)
{
    choice = backend;
}

bool rig_is_sim(void)
{
    return choice == DURE_BACKEND_SIM;
}

void rig_config(dure_iocp_core_config *out_config)
{
    dure_iocp_core_config_init(out_config);
    out_config->backend = choice;
}

void rig_open(rig *out_rig, const dure_iocp_core_config *config)
{
    dure_iocp_core_config own;
    dure_sim_config sim;
    rig_config(&own);
    if (config != NULL) {
        own = *config;
    }
    memset(out_rig, 0, sizeof *out_rig);
    if (rig_is_sim()) {
        dure_sim_config_init(&sim);
        DURE_REQUIRE_OK(dure_sim_world_create(&sim, &out_rig->world));
        own.sim = out_rig->world;
    }
    calls_open = 0;
    DURE_REQUIRE_OK(dure_iocp_core_create(&own, &out_rig->core));
}

void rig_close(rig *self)
{
    dure_iocp_counters counters;
    dure_iocp_core_counters(self->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    DURE_CHECK_EQ(counters.sockets_opened, counters.sockets_closed);
    dure_iocp_core_destroy(self->core);
    dure_sim_world_destroy(self->world);
}

uint64_t rig_limit_ns(rig *self)
{
    return dure_iocp_core_exact_ns(self->core) + (rig_is_sim() ? LIMIT_SIM_NS : LIMIT_REAL_NS);
}

void rig_run_for(rig *self, uint32_t ms)
{
    uint64_t until_ns = dure_iocp_core_exact_ns(self->core) + (uint64_t)ms * 1000000u;
    while (dure_iocp_core_exact_ns(self->core) < until_ns) {
        (void)dure_iocp_core_run_once(self->core, 1);
    }
}

/* ---- actors ---- */

static void note_received(actor *self, const dure_iocp_event *event)
{
    for (size_t i = 0; i < event->bytes; i++) {
        self->received_sum += (uint64_t)event->data[i] * (self->received_bytes + i + 1);
    }
    self->received_bytes += event->bytes;
}

static void actor_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    actor *self = DURE_CONTAINER_OF(object, actor, object);
    DURE_CHECK_EQ(calls_open, 0);
    DURE_CHECK(dure_iocp_core_is_owner(object->core));
    DURE_CHECK_EQ(event->more, dure_iocp_event_is_active(event));
    self->delivered[event->kind]++;
    if (!event->more) {
        self->completed[event->kind]++;
    }
    self->status[event->kind] = event->status;
    if (event->kind == DURE_IOCP_RECV && event->more) {
        DURE_CHECK(event->bytes > 0);
        note_received(self, event);
    }
    if (event->kind == DURE_IOCP_SEND) {
        self->sent_bytes += event->bytes;
    }
    if (event->accepted != NULL && self->accept_into != NULL) {
        self->accept_into->socket = event->accepted;
        self->accept_into = NULL;
    } else if (event->accepted != NULL && self->on_event == NULL) {
        dure_iocp_socket_close(event->accepted);
    }
    if (self->on_event != NULL) {
        self->on_event(self, event);
    }
}

static void actor_destroyed(dure_iocp_object *object)
{
    DURE_CONTAINER_OF(object, actor, object)->was_destroyed = true;
}

static const dure_iocp_object_ops actor_ops = {actor_dispatch, actor_destroyed};

void actor_init(actor *self, rig *owner)
{
    memset(self, 0, sizeof *self);
    self->rig = owner;
    dure_iocp_object_init(&self->object, owner->core, &actor_ops);
    for (size_t kind = 0; kind < RIG_KINDS; kind++) {
        dure_iocp_event_init(&self->events[kind], &self->object, (dure_iocp_kind)kind);
    }
}

void actor_fini(actor *self)
{
    actor_close(self);
    dure_iocp_object_release(&self->object);
    RIG_UNTIL(self->rig, self->was_destroyed);
    for (size_t kind = 0; kind < RIG_KINDS; kind++) {
        DURE_CHECK(!dure_iocp_event_is_active(&self->events[kind]));
    }
}

dure_iocp_event *actor_event(actor *self, dure_iocp_kind kind)
{
    return &self->events[kind];
}

dure_net_address rig_loopback(void)
{
    dure_net_address address = {.family = DURE_FAMILY_IPV4, .ip = {127, 0, 0, 1}};
    return address;
}

void actor_open(actor *self, dure_family family)
{
    DURE_REQUIRE_OK(dure_iocp_socket_open(self->rig->core, family, &self->socket));
}

dure_net_address actor_listen(actor *self, const dure_net_address *at, uint32_t backlog)
{
    dure_net_address address;
    actor_open(self, at->family);
    DURE_REQUIRE_OK(dure_iocp_socket_bind(self->socket, at));
    DURE_REQUIRE_OK(dure_iocp_socket_listen(self->socket, backlog));
    DURE_REQUIRE_OK(dure_iocp_socket_local(self->socket, &address));
    DURE_CHECK(address.port != 0);
    return address;
}

void actor_close(actor *self)
{
    calls_open++;
    dure_iocp_socket_close(self->socket);
    calls_open--;
    self->socket = NULL;
}

void actor_connect(actor *self, const dure_net_address *address)
{
    if (self->socket == NULL) {
        actor_open(self, address->family);
    }
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_connect(self->socket, actor_event(self, DURE_IOCP_CONNECT), address));
    calls_open--;
}

void actor_accept(actor *self)
{
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_accept(self->socket, actor_event(self, DURE_IOCP_ACCEPT)));
    calls_open--;
}

void actor_recv(actor *self)
{
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_recv(self->socket, actor_event(self, DURE_IOCP_RECV)));
    calls_open--;
}

void actor_pre_recv(actor *self)
{
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_pre_recv(self->socket, actor_event(self, DURE_IOCP_PRE_RECV)));
    calls_open--;
}

void actor_send(actor *self, const void *data, size_t len)
{
    dure_iocp_slice slice = {data, len};
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_send(self->socket, actor_event(self, DURE_IOCP_SEND), &slice, 1));
    calls_open--;
}

void actor_disconnect(actor *self)
{
    calls_open++;
    DURE_REQUIRE_OK(dure_iocp_disconnect(self->socket, actor_event(self, DURE_IOCP_DISCONNECT)));
    calls_open--;
}

void rig_pair(rig *self, actor *client, actor *server)
{
    actor listener;
    dure_net_address at = rig_loopback();
    actor_init(&listener, self);
    actor_init(client, self);
    actor_init(server, self);
    listener.accept_into = server;
    dure_net_address address = actor_listen(&listener, &at, 16);
    actor_accept(&listener);
    actor_connect(client, &address);
    RIG_UNTIL(self, server->socket != NULL && client->completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_OK(client->status[DURE_IOCP_CONNECT]);
    DURE_REQUIRE(server->socket != NULL);
    actor_fini(&listener);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_CANCELLED);
}

uint8_t *rig_bytes(size_t len, uint64_t *out_sum)
{
    uint8_t *bytes = dure_mem_alloc(len);
    DURE_REQUIRE(bytes != NULL);
    *out_sum = 0;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
        *out_sum += (uint64_t)bytes[i] * (i + 1);
    }
    return bytes;
}
