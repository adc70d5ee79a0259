/* SPDX-License-Identifier: MIT
 *
 * Tokens, and the line of those whose connection is gone, the longest gone first.
 */
#include "nodes/gateway/session.h"

#include <stdio.h>

#include "base/assert.h"
#include "nodes/gateway/binding.h"
#include "nodes/gateway/forward.h"

/* ---- tokens ---- */

dure_err gateway_session_begin(gateway *g, gateway_client *client)
{
    return dure_iocp_core_entropy(dure_node_core(g->node), client->secret, sizeof client->secret);
}

void gateway_session_token(const gateway_client *client, char out[GATEWAY_TOKEN_SIZE])
{
    (void)snprintf(out, 17, "%016llx", (unsigned long long)client->id);
    for (size_t i = 0; i < GATEWAY_SECRET_BYTES; i++) {
        (void)snprintf(out + 16 + 2 * i, 3, "%02x", (unsigned)client->secret[i]);
    }
}

void gateway_session_heard(gateway_client *client)
{
    client->former_serves = false;
}

/* 16 for what is no digit. */
static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* False where there is something else than hex. */
static bool hex_read(const char *text, uint8_t *out, size_t count)
{
    unsigned seen = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned high = hex_value(text[2 * i]);
        unsigned low = hex_value(text[2 * i + 1]);
        seen |= high | low;
        out[i] = (uint8_t)((high & 15) << 4 | (low & 15));
    }
    return seen < 16;
}

static bool is_same_secret(const uint8_t *a, const uint8_t *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < GATEWAY_SECRET_BYTES; i++) {
        difference |= (unsigned)(a[i] ^ b[i]);
    }
    return difference == 0;
}

static bool is_late(const gateway *g, const gateway_client *client)
{
    return client->conn == NULL &&
           dure_iocp_core_now_ms(dure_node_core(g->node)) - client->dropped_ms >= g->resume_ms;
}

dure_err gateway_session_renew(gateway *g, gateway_client *client, dure_str used)
{
    uint8_t former[GATEWAY_SECRET_BYTES];
    uint8_t secret[GATEWAY_SECRET_BYTES];
    DURE_ASSERT(used.len == GATEWAY_TOKEN_SIZE - 1);
    const bool is_hex = hex_read(used.data + 16, former, sizeof former);
    DURE_ASSERT(is_hex);
    dure_err err = dure_iocp_core_entropy(dure_node_core(g->node), secret, sizeof secret);
    if (err == DURE_OK) {
        memcpy(client->former, former, sizeof former);
        memcpy(client->secret, secret, sizeof secret);
        client->former_serves = true;
    }
    return err;
}

/* Both are compared, whichever it is. */
static bool is_token_of(const gateway_client *client, const uint8_t *secret)
{
    const bool is_present = is_same_secret(client->secret, secret);
    const bool is_former = is_same_secret(client->former, secret);
    return is_present || (is_former && client->former_serves);
}

gateway_client *gateway_session_of(gateway *g, dure_str token)
{
    uint8_t id_bytes[8];
    uint8_t secret[GATEWAY_SECRET_BYTES];
    if (token.len != GATEWAY_TOKEN_SIZE - 1 || !hex_read(token.data, id_bytes, sizeof id_bytes) ||
        !hex_read(token.data + 16, secret, sizeof secret)) {
        return NULL;
    }
    uint64_t id = 0;
    for (size_t i = 0; i < sizeof id_bytes; i++) {
        id = id << 8 | id_bytes[i];
    }
    gateway_client *client = gateway_client_find(&g->clients, id);
    if (client == NULL || !is_token_of(client, secret) || is_late(g, client)) {
        return NULL;
    }
    return client;
}

/* ---- connections ---- */

static void dropped_remove(gateway *g, gateway_client *client)
{
    if (!dure_list_is_empty(&client->in_dropped)) {
        DURE_ASSERT(g->dropped_count > 0);
        dure_list_remove(&client->in_dropped);
        g->dropped_count--;
    }
}

/*
 * The calls are ended, so that no answer looks for the connection. It says its last words yet, and
 * is nobody's from here on.
 */
static void close_connection(gateway *g, gateway_client *client, dure_err cause, const char *text)
{
    gateway_forward_end(client, cause, text);
    if (client->conn != NULL) {
        gateway_client_fail_asked(client, cause, text);
        const uint64_t id = client->conn->id;
        gateway_conn_remove(&g->clients, client->conn);
        dure_node_client_close(g->node, id, cause, text);
    }
}

void gateway_session_resume(gateway *g, gateway_client *client, gateway_conn *conn)
{
    close_connection(g, client, DURE_ERR_TAKEN_OVER, "the session goes on elsewhere");
    dropped_remove(g, client);
    gateway_client_attach(client, conn);
    dure_node_client_set_logged_in(g->node, conn->id, true);
}

void gateway_session_send_missed(gateway *g, const gateway_client *client, uint64_t received)
{
    for (uint64_t i = received; i < client->missed.total; i++) {
        const gateway_notice *notice = gateway_missed_at(&client->missed, i);
        dure_err ignored =
            dure_node_client_notify(g->node, client->conn->id, notice->method, notice->params);
        (void)ignored; /* cut for being slow, with a session to resume */
    }
}

void gateway_session_end(gateway *g, gateway_client *client, dure_err cause, const char *text)
{
    /* Closing takes as long as the client pleases; nothing of it counts from here on. */
    gateway_unbind(g, client);
    close_connection(g, client, cause, text);
    dropped_remove(g, client);
    gateway_client_remove(&g->clients, client);
}

static void end_oldest(gateway *g)
{
    gateway_client *oldest = DURE_CONTAINER_OF(g->dropped.next, gateway_client, in_dropped);
    gateway_session_end(g, oldest, DURE_ERR_IDLE, "the client has not come back");
}

/* Nobody has a token of a session whose login has not been answered. */
static bool may_come_back(const gateway *g, const gateway_client *client)
{
    return g->resume_ms != 0 && g->resume_max != 0 && !dure_node_is_stopping(g->node) &&
           client->state != GATEWAY_CLIENT_LOGGING_IN && client->state != GATEWAY_CLIENT_ENTERING;
}

void gateway_session_dropped(gateway *g, gateway_client *client)
{
    if (!may_come_back(g, client)) {
        gateway_session_end(g, client, DURE_ERR_CANCELLED, "the client is gone");
        return;
    }
    if (g->dropped_count >= g->resume_max) {
        end_oldest(g);
    }
    gateway_client_detach(client);
    gateway_forward_end(client, DURE_ERR_CANCELLED, "the client is gone");
    client->dropped_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    dure_list_push_back(&g->dropped, &client->in_dropped);
    g->dropped_count++;
}

void gateway_session_tick(gateway *g)
{
    while (!dure_list_is_empty(&g->dropped)) {
        const gateway_client *oldest =
            DURE_CONTAINER_OF(g->dropped.next, gateway_client, in_dropped);
        if (!is_late(g, oldest)) {
            return;
        }
        end_oldest(g);
    }
}
