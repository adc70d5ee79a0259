/* SPDX-License-Identifier: MIT
 *
 * Tokens, and the line of those whose connection is gone, the longest gone first.
 */
#include "nodes/gateway/session.h"

#include <stdio.h>

#include "nodes/gateway/binding.h"

/* ---- tokens ---- */

dure_err gateway_session_token(gateway *g, gateway_client *client, char out[GATEWAY_TOKEN_SIZE])
{
    uint8_t secret[GATEWAY_SECRET_BYTES];
    dure_err err = dure_iocp_core_entropy(dure_node_core(g->node), secret, sizeof secret);
    if (err != DURE_OK) {
        return err;
    }
    memcpy(client->secret, secret, sizeof secret);
    client->has_secret = true;
    (void)snprintf(out, 17, "%016llx", (unsigned long long)client->id);
    for (size_t i = 0; i < sizeof secret; i++) {
        (void)snprintf(out + 16 + 2 * i, 3, "%02x", (unsigned)secret[i]);
    }
    return DURE_OK;
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
    return client->conn == 0 &&
           dure_iocp_core_now_ms(dure_node_core(g->node)) - client->dropped_ms >= g->resume_ms;
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
    if (client == NULL || !client->has_secret || !gateway_client_is_logged_in(client) ||
        !is_same_secret(client->secret, secret) || is_late(g, client)) {
        return NULL;
    }
    return client;
}

/* ---- connections ---- */

static void dropped_remove(gateway *g, gateway_client *client)
{
    if (client->is_dropped) {
        client->is_dropped = false;
        dure_list_remove(&client->in_dropped);
        g->dropped_count--;
    }
}

/* Those that never left end as cause; what another node may have begun has an unknown outcome. */
static void end_calls(gateway_client *client, dure_err cause, const char *text)
{
    gateway_client_fail_waiting(client, cause, text);
    dure_list *node;
    while ((node = dure_list_pop_front(&client->forwarded)) != NULL) {
        gateway_forwarded *call = DURE_CONTAINER_OF(node, gateway_forwarded, in_client);
        dure_request *request = call->request;
        call->request = NULL;
        dure_request_on_cancel(request, NULL, NULL);
        if (call->is_idempotent) {
            dure_request_fail(request, cause, "%s", text);
        } else {
            dure_request_fail(request, DURE_ERR_OUTCOME_UNKNOWN, "%s; the call may have run", text);
        }
    }
}

/* The calls are ended, so that no answer looks for the connection. */
static void close_connection(gateway *g, gateway_client *client, dure_err cause, const char *text)
{
    uint64_t conn = client->conn;
    end_calls(client, cause, text);
    if (conn != 0) {
        gateway_client_detach(&g->clients, client);
        dure_node_client_close(g->node, conn, cause, text);
    }
}

void gateway_session_resume(gateway *g, gateway_client *client, uint64_t conn)
{
    close_connection(g, client, DURE_ERR_TAKEN_OVER, "the session goes on elsewhere");
    dropped_remove(g, client);
    gateway_client_attach(&g->clients, client, conn);
    dure_node_client_set_logged_in(g->node, conn, true);
}

void gateway_session_send_missed(gateway *g, const gateway_client *client, uint64_t received)
{
    for (uint64_t i = received; i < client->missed.total; i++) {
        const gateway_notice *notice = gateway_missed_at(&client->missed, i);
        dure_err ignored =
            dure_node_client_notify(g->node, client->conn, notice->method, notice->params);
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

void gateway_session_dropped(gateway *g, gateway_client *client)
{
    if (g->resume_ms == 0 || g->resume_max == 0 || dure_node_is_stopping(g->node) ||
        !client->has_secret) {
        gateway_session_end(g, client, DURE_ERR_CANCELLED, "the client is gone");
        return;
    }
    if (g->dropped_count >= g->resume_max) {
        end_oldest(g);
    }
    gateway_client_detach(&g->clients, client);
    end_calls(client, DURE_ERR_CANCELLED, "the client is gone");
    client->dropped_ms = dure_iocp_core_now_ms(dure_node_core(g->node));
    client->is_dropped = true;
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
