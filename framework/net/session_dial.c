/* SPDX-License-Identifier: MIT
 *
 * Dialling: the name is looked up at each dial, since it may have moved; its addresses are tried in
 * turn until one connects. connect_ms bounds all of it together: a look-up that takes longer is
 * nobody's any more, and goes on by itself.
 */
#include <string.h>

#include "base/assert.h"
#include "net/session_impl.h"

static dure_err session_dial_address(dure_session *session)
{
    dure_client_slot *slot = session->slot;
    const dure_net_address *address = &slot->addresses[slot->address_at];
    dure_err err = dure_iocp_socket_open(session->object.core, address->family, &session->socket);
    if (err != DURE_OK) {
        session->socket = NULL;
        return err;
    }
    err = dure_iocp_connect(session->socket, &session->connect_event, address);
    if (err != DURE_OK) {
        dure_iocp_socket_close(session->socket);
        session->socket = NULL;
    }
    return err;
}

/* The present address did not do: the next one, or the end. */
static void session_dial_next(dure_session *session, dure_err cause)
{
    dure_client_slot *slot = session->slot;
    while (slot->address_at + 1 < slot->address_count) {
        slot->address_at++;
        cause = session_dial_address(session);
        if (cause == DURE_OK) {
            return;
        }
    }
    dure_session_fail(session, cause);
}

static void session_take_addresses(dure_session *session, const dure_net_address *addresses,
                                   size_t count)
{
    dure_client_slot *slot = session->slot;
    DURE_ASSERT(count > 0);
    slot->address_count = count < DURE_DIAL_ADDRESSES_MAX ? count : DURE_DIAL_ADDRESSES_MAX;
    memcpy(slot->addresses, addresses, slot->address_count * sizeof *addresses);
    slot->address_at = 0;
    dure_err err = session_dial_address(session);
    if (err != DURE_OK) {
        session_dial_next(session, err);
    }
}

/* A life that is connecting now waits for this look-up, whichever life began it. */
static void slot_resolved(void *ctx, dure_err status, const dure_net_address *addresses,
                          size_t count)
{
    dure_client_slot *slot = ctx;
    dure_session *session = slot->session;
    DURE_ASSERT(slot->resolver != NULL);
    slot->resolver = NULL;
    if (session->state == DURE_SESSION_CONNECTING) {
        DURE_ASSERT(session->socket == NULL);
        if (session->shard->is_closing) {
            dure_session_fail(session, DURE_ERR_CLOSED);
        } else if (status != DURE_OK) {
            dure_session_fail(session, status);
        } else {
            session_take_addresses(session, addresses, count);
        }
    }
    dure_session_check_end(session);
    dure_shard_drop_busy(session->shard);
}

static dure_err session_dial_name(dure_session *session, const char *host)
{
    const dure_service *service = session_service(session);
    dure_client_slot *slot = session->slot;
    if (slot->resolver != NULL) {
        return DURE_OK; /* a former life's look-up has not come back yet */
    }
    dure_net_name name = {host, dure_client_port(service), dure_client_lookup(service)};
    dure_err err =
        dure_net_resolve(session->object.core, &name, slot_resolved, slot, &slot->resolver);
    if (err == DURE_OK) {
        dure_shard_add_busy(session->shard);
    }
    return err;
}

dure_err dure_session_dial(dure_session *session)
{
    const dure_service *service = session_service(session);
    dure_client_slot *slot = session->slot;
    DURE_ASSERT(session->state == DURE_SESSION_IDLE);
    const char *host = dure_client_host(service);
    dure_err err = DURE_OK;
    if (host != NULL) {
        err = session_dial_name(session, host);
    } else {
        slot->addresses[0] = *dure_client_target(service);
        slot->address_count = 1;
        slot->address_at = 0;
        err = session_dial_address(session);
    }
    if (err != DURE_OK) {
        return err;
    }
    dure_session_begin(session);
    dure_session_set_deadline(session, session_config(session)->connect_ms);
    return DURE_OK;
}

dure_err dure_session_connect(dure_session *session)
{
    DURE_ASSERT_OWNER(session->object.core);
    if (session->slot == NULL || session->shard->is_closing) {
        return DURE_ERR_STATE;
    }
    if (session->state == DURE_SESSION_CLOSED) {
        dure_session_recycle(session);
    }
    if (session->state != DURE_SESSION_IDLE) {
        return DURE_ERR_STATE;
    }
    dure_err err = dure_session_dial(session);
    if (err == DURE_OK) {
        dure_client_forget_redial(session->slot);
    }
    return err;
}

void dure_session_connect_done(dure_session *session, const dure_iocp_event *event)
{
    DURE_ASSERT(session->slot != NULL);
    dure_err status = event->status;
    if (session->state != DURE_SESSION_CONNECTING) {
        return; /* it ended meanwhile; the socket is closed already */
    }
    if (status == DURE_OK) {
        dure_session_stand(session);
        return;
    }
    dure_iocp_socket_close(session->socket);
    session->socket = NULL;
    session_dial_next(session, status);
}
