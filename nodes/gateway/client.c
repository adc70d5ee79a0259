/* SPDX-License-Identifier: MIT
 *
 * The table of clients, and the line of requests that each may have.
 */
#define HASH_NONFATAL_OOM 1
#include "nodes/gateway/client.h"

#include "base/mem.h"

gateway_client *gateway_client_add(gateway_clients *clients, uint64_t conn)
{
    gateway_client *client = dure_mem_alloc(sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->id = conn;
    dure_list_init(&client->waiting);
    dure_list_init(&client->forwarded);
    dure_list_init(&client->in_dropped);
    HASH_ADD(hh, clients->by_id, id, sizeof client->id, client);
    if (client->hh.tbl == NULL) {
        dure_mem_free(client);
        return NULL;
    }
    gateway_client_attach(clients, client, conn);
    if (client->conn == 0) {
        gateway_client_remove(clients, client);
        return NULL;
    }
    return client;
}

void gateway_client_attach(gateway_clients *clients, gateway_client *client, uint64_t conn)
{
    client->conn = conn;
    HASH_ADD(by_conn, clients->by_conn, conn, sizeof client->conn, client);
    if (client->by_conn.tbl == NULL) {
        client->conn = 0; /* no memory: like one that has lost its connection */
    }
}

void gateway_client_detach(gateway_clients *clients, gateway_client *client)
{
    if (client->conn != 0) {
        HASH_DELETE(by_conn, clients->by_conn, client);
        client->conn = 0;
    }
}

gateway_client *gateway_client_of(const gateway_clients *clients, uint64_t conn)
{
    gateway_client *client = NULL;
    HASH_FIND(by_conn, clients->by_conn, &conn, sizeof conn, client);
    return client;
}

gateway_client *gateway_client_find(const gateway_clients *clients, uint64_t id)
{
    gateway_client *client = NULL;
    HASH_FIND(hh, clients->by_id, &id, sizeof id, client);
    return client;
}

static gateway_waiting *client_take_waiting(gateway_client *client)
{
    dure_list *node = dure_list_pop_front(&client->waiting);
    if (node == NULL) {
        return NULL;
    }
    client->waiting_count--;
    return DURE_CONTAINER_OF(node, gateway_waiting, in_client);
}

void gateway_client_fail_waiting(gateway_client *client, dure_err err, const char *text)
{
    gateway_waiting *waiting;
    while ((waiting = client_take_waiting(client)) != NULL) {
        dure_request_fail(waiting->request, err, "%s", text);
        dure_mem_free(waiting);
    }
}

void gateway_client_remove(gateway_clients *clients, gateway_client *client)
{
    HASH_DELETE(hh, clients->by_id, client);
    gateway_client_detach(clients, client);
    gateway_client_fail_waiting(client, DURE_ERR_CANCELLED, "the client is gone");
    while (dure_list_pop_front(&client->forwarded) != NULL) {
    }
    gateway_missed_fini(&client->missed);
    dure_mem_free(client);
}

bool gateway_client_is_logged_in(const gateway_client *client)
{
    return client->state != GATEWAY_CLIENT_STRANGER && client->state != GATEWAY_CLIENT_LOGGING_IN;
}

void gateway_client_wait(gateway_client *client, const gateway_waiting *waiting)
{
    gateway_waiting *copy =
        client->waiting_count < GATEWAY_WAITING_MAX ? dure_mem_alloc(sizeof *copy) : NULL;
    if (copy == NULL) {
        dure_request_fail(waiting->request, DURE_ERR_OVERLOADED,
                          "too many calls wait for the player to arrive");
        return;
    }
    *copy = *waiting;
    dure_request_hold(copy->request);
    dure_list_init(&copy->in_client);
    dure_list_push_back(&client->waiting, &copy->in_client);
    client->waiting_count++;
}

bool gateway_client_is_awaiting(const gateway_client *client)
{
    return client->state == GATEWAY_CLIENT_UNBOUND && client->await_until_ms != 0;
}

void gateway_client_run_waiting(gateway_clients *clients, gateway_client *client, void *ctx)
{
    uint64_t id = client->id;
    while (client != NULL && client->state != GATEWAY_CLIENT_BINDING &&
           client->state != GATEWAY_CLIENT_LOGGING_IN && !gateway_client_is_awaiting(client)) {
        gateway_waiting *waiting = client_take_waiting(client);
        if (waiting == NULL) {
            return;
        }
        waiting->run(ctx, client, waiting);
        dure_mem_free(waiting);
        client = gateway_client_find(clients, id); /* run may have ended it */
    }
}

void gateway_name_copy(char out[GATEWAY_NAME_BYTES_MAX + 1], dure_str name)
{
    size_t len = name.len < GATEWAY_NAME_BYTES_MAX ? name.len : GATEWAY_NAME_BYTES_MAX;
    memcpy(out, name.data, len);
    out[len] = '\0';
}
