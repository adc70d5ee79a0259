/* SPDX-License-Identifier: MIT
 *
 * The tables of connections and clients, the steps of a client's state, and its line of calls.
 */
#define HASH_NONFATAL_OOM 1
#include "nodes/gateway/client.h"

#include "base/assert.h"
#include "base/mem.h"

void gateway_clients_init(gateway_clients *clients, dure_log *log)
{
    *clients = (gateway_clients){.log = log};
    dure_list_init(&clients->unbound);
    dure_list_init(&clients->waiting);
}

void gateway_clients_fini(gateway_clients *clients)
{
    while (clients->by_id != NULL) {
        gateway_client_fail_waiting(clients->by_id, DURE_ERR_CANCELLED, "the gateway has ended");
        gateway_client_remove(clients, clients->by_id);
    }
    while (clients->conns != NULL) {
        gateway_conn_remove(clients, clients->conns);
    }
}

/* ---- connections ---- */

gateway_conn *gateway_conn_add(gateway_clients *clients, uint64_t id)
{
    gateway_conn *conn = dure_mem_alloc(sizeof *conn);
    if (conn == NULL) {
        return NULL;
    }
    conn->id = id;
    HASH_ADD(hh, clients->conns, id, sizeof conn->id, conn);
    if (conn->hh.tbl == NULL) {
        dure_mem_free(conn);
        return NULL;
    }
    return conn;
}

gateway_conn *gateway_conn_find(const gateway_clients *clients, uint64_t id)
{
    gateway_conn *conn = NULL;
    HASH_FIND(hh, clients->conns, &id, sizeof id, conn);
    return conn;
}

void gateway_conn_remove(gateway_clients *clients, gateway_conn *conn)
{
    if (conn->client != NULL) {
        gateway_client_detach(conn->client);
    }
    HASH_DELETE(hh, clients->conns, conn);
    dure_mem_free(conn);
}

/* ---- clients ---- */

gateway_client *gateway_client_add(gateway_clients *clients, uint64_t id, gateway_conn *conn,
                                   dure_str player)
{
    DURE_ASSERT(id != 0);
    gateway_client *client = dure_mem_alloc(sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->id = id;
    client->state = GATEWAY_CLIENT_LOGGING_IN;
    gateway_name_copy(client->player, player);
    dure_list_init(&client->waiting);
    dure_list_init(&client->in_waiting);
    dure_list_init(&client->forwarded);
    dure_list_init(&client->in_dropped);
    dure_list_init(&client->in_unbound);
    HASH_ADD(hh, clients->by_id, id, sizeof client->id, client);
    if (client->hh.tbl == NULL) {
        dure_mem_free(client);
        return NULL;
    }
    gateway_client_attach(client, conn);
    return client;
}

gateway_client *gateway_client_find(const gateway_clients *clients, uint64_t id)
{
    gateway_client *client = NULL;
    HASH_FIND(hh, clients->by_id, &id, sizeof id, client);
    return client;
}

void gateway_client_attach(gateway_client *client, gateway_conn *conn)
{
    DURE_ASSERT(client->conn == NULL);
    DURE_ASSERT(conn->client == NULL);
    client->conn = conn;
    conn->client = client;
}

void gateway_client_detach(gateway_client *client)
{
    if (client->conn != NULL) {
        client->conn->client = NULL;
        client->conn = NULL;
    }
}

void gateway_client_remove(gateway_clients *clients, gateway_client *client)
{
    DURE_ASSERT(client->waiting_count == 0);
    DURE_ASSERT(dure_list_is_empty(&client->in_dropped));
    DURE_ASSERT(dure_list_is_empty(&client->in_waiting));
    gateway_client_set_state(clients, client, GATEWAY_CLIENT_ENDED, "end");
    HASH_DELETE(hh, clients->by_id, client);
    gateway_client_detach(client);
    while (dure_list_pop_front(&client->forwarded) != NULL) {
    }
    gateway_missed_fini(&client->missed);
    dure_mem_free(client);
}

bool gateway_client_is_logged_in(const gateway_client *client)
{
    return client->state != GATEWAY_CLIENT_LOGGING_IN;
}

/* ---- states ---- */

#define TO(name) (1u << GATEWAY_CLIENT_##name)

/* Where a state may lead. Whatever has begun may end. */
static const unsigned client_steps[] = {
    [GATEWAY_CLIENT_LOGGING_IN] = TO(ENTERING) | TO(UNBOUND) | TO(ENDED),
    [GATEWAY_CLIENT_ENTERING] = TO(BOUND) | TO(UNBOUND) | TO(ENDED),
    [GATEWAY_CLIENT_BINDING] = TO(BOUND) | TO(AWAITING) | TO(UNBOUND) | TO(ENDED),
    [GATEWAY_CLIENT_BOUND] = TO(BINDING) | TO(AWAITING) | TO(UNBOUND) | TO(ENDED),
    [GATEWAY_CLIENT_AWAITING] = TO(BINDING) | TO(UNBOUND) | TO(ENDED),
    [GATEWAY_CLIENT_UNBOUND] = TO(BINDING) | TO(ENDED),
    [GATEWAY_CLIENT_ENDED] = 0,
};

#undef TO

const char *gateway_client_state_name(gateway_client_state state)
{
    static const char *const names[] = {
#define STATE_NAME(name) #name,
        GATEWAY_CLIENT_STATE_LIST(STATE_NAME)
#undef STATE_NAME
    };
    return names[state];
}

bool gateway_client_step_is_allowed(gateway_client_state from, gateway_client_state to)
{
    return (client_steps[from] & 1u << to) != 0;
}

/* Whether the tick has to look after it. */
static bool is_on_none(gateway_client_state state)
{
    return state == GATEWAY_CLIENT_AWAITING || state == GATEWAY_CLIENT_UNBOUND;
}

void gateway_client_set_state(gateway_clients *clients, gateway_client *client,
                              gateway_client_state state, const char *why)
{
    DURE_ASSERT(gateway_client_step_is_allowed(client->state, state));
    if (is_on_none(client->state)) {
        dure_list_remove(&client->in_unbound);
        clients->unbound_count--;
    }
    if (is_on_none(state)) {
        dure_list_push_back(&clients->unbound, &client->in_unbound);
        clients->unbound_count++;
    }
    dure_log_write(clients->log, DURE_LOG_DEBUG, "gateway", "CLIENT_STATE",
                   "client=%llx from=%s to=%s why=\"%s\"", (unsigned long long)client->id,
                   gateway_client_state_name(client->state), gateway_client_state_name(state), why);
    client->state = state;
}

/* ---- calls ---- */

bool gateway_client_is_busy(const gateway_client *client)
{
    switch (client->state) {
    case GATEWAY_CLIENT_LOGGING_IN:
    case GATEWAY_CLIENT_ENTERING:
    case GATEWAY_CLIENT_BINDING:
    case GATEWAY_CLIENT_AWAITING:
        return true;
    case GATEWAY_CLIENT_BOUND:
    case GATEWAY_CLIENT_UNBOUND:
    case GATEWAY_CLIENT_ENDED:
        break;
    }
    return false;
}

gateway_call *gateway_call_create(gateway_client *client, dure_request *request,
                                  gateway_call_fn run)
{
    gateway_call *call = dure_mem_alloc(sizeof *call);
    if (call == NULL) {
        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    dure_request_hold(request);
    dure_list_init(&call->in_client);
    call->request = request;
    call->run = run;
    if (client != NULL) {
        call->client = client->id;
        call->number = ++client->call_number;
    }
    return call;
}

void gateway_call_free(gateway_call *call)
{
    dure_list_remove(&call->in_client);
    dure_mem_free(call);
}

static gateway_call *call_in(dure_list *node)
{
    return DURE_CONTAINER_OF(node, gateway_call, in_client);
}

/* Behind those that came before it: from the end, where it belongs but for one that waits again. */
static void line_insert(gateway_clients *clients, gateway_client *client, gateway_call *call)
{
    dure_list *behind = client->waiting.prev;
    while (behind != &client->waiting && call_in(behind)->number > call->number) {
        behind = behind->prev;
    }
    /* In front of what follows: a node is pushed to the back of a list whose head it is. */
    dure_list_push_back(behind->next, &call->in_client);
    if (client->waiting_count++ == 0) {
        dure_list_push_back(&clients->waiting, &client->in_waiting);
    }
}

void gateway_client_wait(gateway_clients *clients, gateway_client *client, gateway_call *call)
{
    if (client->waiting_count >= GATEWAY_WAITING_MAX) {
        dure_request_fail(call->request, DURE_ERR_OVERLOADED,
                          "too many calls wait for the player to arrive");
        gateway_call_free(call);
        return;
    }
    line_insert(clients, client, call);
}

void gateway_client_wait_again(gateway_clients *clients, gateway_client *client, gateway_call *call)
{
    dure_list_remove(&call->in_client); /* of the forwarded */
    line_insert(clients, client, call);
}

static void line_remove(gateway_client *client, gateway_call *call)
{
    DURE_ASSERT(client->waiting_count > 0);
    dure_list_remove(&call->in_client);
    if (--client->waiting_count == 0) {
        dure_list_remove(&client->in_waiting);
    }
}

static gateway_call *client_take_waiting(gateway_client *client)
{
    if (dure_list_is_empty(&client->waiting)) {
        return NULL;
    }
    gateway_call *call = call_in(client->waiting.next);
    line_remove(client, call);
    return call;
}

static void client_end_late(gateway_client *client, uint32_t left_ms)
{
    dure_list *next;
    for (dure_list *node = client->waiting.next; node != &client->waiting; node = next) {
        gateway_call *call = call_in(node);
        next = node->next;
        if (call->method == NULL || dure_request_is_cancelled(call->request) ||
            dure_request_left_ms(call->request) > left_ms) {
            continue;
        }
        line_remove(client, call);
        dure_request_fail(call->request, DURE_ERR_UNAVAILABLE,
                          "the game node of the player is not reachable");
        gateway_call_free(call);
    }
}

void gateway_clients_end_late(gateway_clients *clients, uint32_t left_ms)
{
    dure_list *next;
    for (dure_list *node = clients->waiting.next; node != &clients->waiting; node = next) {
        next = node->next;
        client_end_late(DURE_CONTAINER_OF(node, gateway_client, in_waiting), left_ms);
    }
}

void gateway_client_fail_asked(gateway_client *client, dure_err err, const char *text)
{
    dure_request *request = client->asked != NULL ? *client->asked : NULL;
    if (request == NULL) {
        return;
    }
    *client->asked = NULL;
    client->asked = NULL;
    if (client->state == GATEWAY_CLIENT_BINDING) {
        dure_request_fail(request, DURE_ERR_OUTCOME_UNKNOWN, "%s; the call may have run", text);
    } else {
        dure_request_fail(request, err, "%s", text); /* a login, of a session that is no more */
    }
}

void gateway_client_fail_waiting(gateway_client *client, dure_err err, const char *text)
{
    gateway_call *call;
    while ((call = client_take_waiting(client)) != NULL) {
        dure_request_fail(call->request, err, "%s", text);
        gateway_call_free(call);
    }
}

/* Nothing that nobody waits for any more is begun: its client has been told so already. */
static void call_run(gateway_client *client, gateway_call *call, void *ctx)
{
    if (dure_request_is_cancelled(call->request)) {
        dure_request_not_begun(call->request);
        gateway_call_free(call);
    } else {
        call->run(ctx, client, call);
    }
}

void gateway_client_run_waiting(gateway_clients *clients, gateway_client *client, void *ctx)
{
    uint64_t id = client->id;
    while (client != NULL && !gateway_client_is_busy(client)) {
        gateway_call *call = client_take_waiting(client);
        if (call == NULL) {
            return;
        }
        call_run(client, call, ctx);
        client = gateway_client_find(clients, id); /* run may have ended it */
    }
}

void gateway_name_copy(char out[GATEWAY_NAME_BYTES_MAX + 1], dure_str name)
{
    size_t len = name.len < GATEWAY_NAME_BYTES_MAX ? name.len : GATEWAY_NAME_BYTES_MAX;
    memcpy(out, name.data, len);
    out[len] = '\0';
}
