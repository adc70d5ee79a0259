/* SPDX-License-Identifier: MIT
 *
 * The port of the untrusted: who may call what before login, what this node serves itself, and what
 * goes to the role's on_client_call.
 */
#include "node/node_impl.h"

#include <stdio.h>

#include "base/assert.h"

#define CLIENT_ROOM_MIN 2u
#define CLIENT_ROOM_MAX 32u

static dure_node *port_node(const node_port *port)
{
    return node_port_ctx(port);
}

static void client_on_open(node_port *port, node_conn *conn)
{
    dure_node *node = port_node(port);
    if (node->config.role->on_client_open != NULL) {
        node->config.role->on_client_open(node, conn->id, node->role_state);
    }
}

static void client_on_close(node_port *port, node_conn *conn, dure_err cause)
{
    dure_node *node = port_node(port);
    if (node->config.role->on_client_close != NULL) {
        node->config.role->on_client_close(node, conn->id, cause, node->role_state);
    }
}

static void client_unknown(node_conn *conn, const dure_mprpc_message *message)
{
    char text[128];
    int len = message->method.len > 64 ? 64 : (int)message->method.len;
    (void)snprintf(text, sizeof text, "method: there is no \"%.*s\"", len, message->method.data);
    node_conn_fail(conn, message, DURE_ERR_UNKNOWN_METHOD, text);
}

static void client_on_call(node_port *port, node_conn *conn, const dure_mprpc_message *message)
{
    dure_node *node = port_node(port);
    const dure_role *role = node->config.role;
    DURE_ASSERT(conn->is_open); /* the role knows of it */
    if (!conn->is_trusted && node->pressure != NODE_PRESSURE_NONE) {
        node_conn_fail(conn, message, DURE_ERR_OVERLOADED, "the node is short of memory");
        return;
    }
    const dure_method *method =
        node_method_find(role->methods, message->method, DURE_METHOD_CLIENT);
    if (method != NULL) {
        if (!conn->is_trusted && (method->flags & DURE_METHOD_NO_LOGIN) == 0) {
            node_conn_fail(conn, message, DURE_ERR_NOT_LOGGED_IN, "log in first");
        } else {
            node_conn_serve(conn, message, method);
        }
        return;
    }
    if (role->on_client_call == NULL) {
        client_unknown(conn, message);
        return;
    }
    dure_request *request = node_conn_open_request(conn, message);
    if (request != NULL) {
        /* The message's bytes go with this call, the request's own stay with it. */
        role->on_client_call(node, request, message->method, dure_request_params(request),
                             node->role_state);
    }
}

static const node_port_ops client_ops = {client_on_open, client_on_close, client_on_call};

/* Descriptors that are kept for other things than clients: of few at most the half. */
static uint32_t client_reserve(const dure_registry_settings *settings, uint32_t descriptors)
{
    return settings->descriptor_reserve < descriptors / 2 ? settings->descriptor_reserve
                                                          : descriptors / 2;
}

uint32_t node_client_port_max(const dure_registry_settings *settings, uint32_t descriptors)
{
    uint32_t left = descriptors - client_reserve(settings, descriptors);
    DURE_ASSERT(left <= descriptors);
    left = left > 0 ? left : 1;
    return settings->clients_max < left ? settings->clients_max : left;
}

/* For those who go: a part of the reserve. */
static uint32_t client_room(const dure_registry_settings *settings, uint32_t descriptors)
{
    uint32_t part = client_reserve(settings, descriptors) / 4;
    return part < CLIENT_ROOM_MIN   ? CLIENT_ROOM_MIN
           : part < CLIENT_ROOM_MAX ? part
                                    : CLIENT_ROOM_MAX;
}

/* Whether there is anything to log in for: some method is not for strangers. */
static bool role_offers_login(const dure_role *role)
{
    for (const dure_method *row = role->methods; row != NULL && row->serve != NULL; row++) {
        if ((row->flags & DURE_METHOD_CLIENT) != 0 && (row->flags & DURE_METHOD_NO_LOGIN) == 0) {
            return true;
        }
    }
    return false;
}

dure_err node_client_port_create(dure_node *node)
{
    const dure_registry_settings *settings = node->settings;
    uint32_t descriptors = node_resources_descriptors_max();
    bool has_login = role_offers_login(node->config.role);
    node_port_config config = {
        .name = "clients",
        .log = node->config.log,
        .rpc = node->rpc,
        .ops = &client_ops,
        .ctx = node,
        .connections_max = node_client_port_max(settings, descriptors),
        .room = client_room(settings, descriptors),
        .has_strangers = has_login,
        .strangers_per_address = settings->strangers_per_address,
        .login_ms = has_login ? settings->client_login_ms : 0,
        .idle_ms = settings->client_idle_ms,
        .calls = {settings->client_calls_per_s, settings->client_calls_burst},
        .connects = {settings->connects_per_s, settings->connects_burst},
        .exempt = &settings->address_exempt,
        .settings = settings,
        .call_deadline_ms = settings->call_deadline_ms,
        .on_closed = node_port_closed,
    };
    return node_port_create(&config, &node->clients);
}

/* ---- what roles do with clients ---- */

void dure_node_client_set_logged_in(dure_node *node, uint64_t client, bool is_logged_in)
{
    node_conn *conn = node_port_find(node->clients, client);
    if (conn != NULL) {
        node_conn_set_trusted(conn, is_logged_in);
    }
}

bool dure_node_client_is_logged_in(const dure_node *node, uint64_t client)
{
    const node_conn *conn = node_port_find(node->clients, client);
    return conn != NULL && conn->is_trusted;
}

dure_err dure_node_client_notify(dure_node *node, uint64_t client, dure_str method,
                                 dure_slice params)
{
    node_conn *conn = node_port_find(node->clients, client);
    return conn != NULL ? node_conn_notify(conn, method, params) : DURE_ERR_STALE;
}

void dure_node_client_close(dure_node *node, uint64_t client, dure_err cause, const char *text)
{
    node_conn *conn = node_port_find(node->clients, client);
    if (conn != NULL) {
        node_conn_close(conn, cause, text);
    }
}

uint32_t dure_node_client_count(const dure_node *node)
{
    return node_port_count(node->clients);
}
