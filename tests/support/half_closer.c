/* SPDX-License-Identifier: MIT
 *
 * Connect, then receive and send; the sending ends when all has left.
 */
#include "support/half_closer.h"

#include "support/check.h"

#define RECEIVED_MAX ((size_t)16 << 20)

static void closer_connected(half_closer *self, const dure_iocp_event *event)
{
    if (event->status != DURE_OK) {
        self->is_over = true;
        self->status = event->status;
        return;
    }
    const dure_iocp_slice words = {self->words, self->words_len};
    DURE_CHECK_OK(dure_iocp_recv(self->socket, &self->recv));
    DURE_CHECK_OK(dure_iocp_send(self->socket, &self->send, &words, 1));
}

static void closer_received(half_closer *self, const dure_iocp_event *event)
{
    if (event->bytes > 0) {
        DURE_CHECK_OK(dure_buf_append(&self->received, event->data, event->bytes));
    }
    if (!event->more) {
        self->is_over = true;
        self->status = event->status;
    }
}

static void closer_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    half_closer *self = DURE_CONTAINER_OF(object, half_closer, object);
    if (event == &self->connect) {
        closer_connected(self, event);
    } else if (event == &self->recv) {
        closer_received(self, event);
    } else if (event == &self->end) {
        self->has_ended = true;
    } else if (event->status == DURE_OK && self->socket != NULL) {
        DURE_CHECK_OK(dure_iocp_disconnect(self->socket, &self->end));
    }
}

static void closer_keep(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops closer_ops = {closer_dispatch, closer_keep};

void half_closer_start(half_closer *self, dure_iocp_core *core, const dure_net_address *address,
                       const void *words, size_t len)
{
    *self = (half_closer){.words = words, .words_len = len};
    dure_buf_init(&self->received, RECEIVED_MAX);
    dure_iocp_object_init(&self->object, core, &closer_ops);
    dure_iocp_event_init(&self->connect, &self->object, DURE_IOCP_CONNECT);
    dure_iocp_event_init(&self->recv, &self->object, DURE_IOCP_RECV);
    dure_iocp_event_init(&self->send, &self->object, DURE_IOCP_SEND);
    dure_iocp_event_init(&self->end, &self->object, DURE_IOCP_DISCONNECT);
    DURE_REQUIRE_OK(dure_iocp_socket_open(core, address->family, &self->socket));
    DURE_REQUIRE_OK(dure_iocp_connect(self->socket, &self->connect, address));
}

void half_closer_reset(half_closer *self)
{
    dure_iocp_socket_abort(self->socket);
    self->socket = NULL;
}

void half_closer_close(half_closer *self)
{
    dure_iocp_socket_close(self->socket);
    self->socket = NULL;
}

void half_closer_fini(half_closer *self)
{
    DURE_CHECK(self->socket == NULL);
    DURE_CHECK(self->object.pending == 0);
    dure_buf_fini(&self->received);
}
