/* SPDX-License-Identifier: MIT
 *
 * The admin port: MessagePack-RPC on the loopback, for whoever may read the node's admin.json (mode
 * 0600), which holds the port and a token of 32 random bytes. The first call is auth [token].
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/address.h"
#include "node/node_impl.h"
#include "node/process.h"
#include "wire/cursor.h"

#define ADMIN_TOKEN_BYTES 32u
#define ADMIN_ROOM        16u

static dure_node *port_node(const node_port *port)
{
    return node_port_ctx(port);
}

static void admin_ignore_open(node_port *port, node_conn *conn)
{
    (void)port;
    (void)conn;
}

static void admin_ignore_close(node_port *port, node_conn *conn, dure_err cause)
{
    (void)port;
    (void)conn;
    (void)cause;
}

/* Takes as long for a wrong first character as for a wrong last one. */
static bool token_is_right(const dure_node *node, dure_str token)
{
    size_t len = sizeof node->admin_token - 1;
    DURE_ASSERT(strlen(node->admin_token) == len); /* an empty one would be anybody's */
    unsigned difference = token.len == len ? 0 : 1;
    for (size_t i = 0; i < len; i++) {
        unsigned given = i < token.len ? (unsigned char)token.data[i] : 0;
        difference |= given ^ (unsigned char)node->admin_token[i];
    }
    return difference == 0;
}

static void admin_auth(dure_node *node, node_conn *conn, const dure_mprpc_message *message)
{
    dure_cursor cursor = dure_cursor_of(message->params.data, message->params.len);
    uint32_t count = 0;
    dure_str token = {NULL, 0};
    bool is_right = dure_cursor_array(&cursor, &count) == DURE_OK && count == 1 &&
                    dure_cursor_str(&cursor, &token) == DURE_OK && token_is_right(node, token);
    if (!is_right) {
        dure_log_write(node->config.log, DURE_LOG_WARN, "admin", "ADMIN_REFUSED", NULL);
        node_conn_fail(conn, message, DURE_ERR_REFUSED, "token: wrong");
        dure_session_disconnect(conn->session, DURE_ERR_REFUSED);
        return;
    }
    static const uint8_t msgpack_true[] = {0xc3};
    node_conn_set_trusted(conn, true);
    node_conn_reply(conn, message, (dure_slice){msgpack_true, sizeof msgpack_true});
}

static void admin_on_call(node_port *port, node_conn *conn, const dure_mprpc_message *message)
{
    dure_node *node = port_node(port);
    if (dure_str_equal(message->method, dure_str_of("auth"))) {
        admin_auth(node, conn, message);
        return;
    }
    if (!conn->is_trusted) {
        node_conn_fail(conn, message, DURE_ERR_REFUSED, "call auth [token] first");
        dure_session_disconnect(conn->session, DURE_ERR_REFUSED);
        return;
    }
    const dure_method *method =
        node_method_find(node_builtin_methods, message->method, DURE_METHOD_ADMIN);
    if (method == NULL) {
        method = node_method_find(node->config.role->methods, message->method, DURE_METHOD_ADMIN);
    }
    if (method == NULL) {
        node_conn_fail(conn, message, DURE_ERR_UNKNOWN_METHOD, "no such admin method");
    } else {
        node_conn_serve(conn, message, method);
    }
}

static const node_port_ops admin_ops = {admin_ignore_open, admin_ignore_close, admin_on_call};

dure_err node_admin_create(dure_node *node)
{
    node_port_config config = {
        .name = "admin",
        .log = node->config.log,
        .rpc = node->rpc,
        .ops = &admin_ops,
        .ctx = node,
        .connections_max = node->settings->admin_connections_max,
        .room = ADMIN_ROOM,
        .has_strangers = true,
        .makes_room = true,
        .idle_ms = node->settings->admin_idle_ms,
        .exempt = &node->settings->address_exempt,
        .settings = node->settings,
        .call_deadline_ms = node->settings->call_deadline_ms,
        .on_closed = node_port_closed,
    };
    return node_port_create(&config, &node->admin);
}

static dure_err admin_make_token(dure_node *node)
{
    uint8_t bytes[ADMIN_TOKEN_BYTES];
    dure_err err = dure_iocp_core_entropy(node->object.core, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes && err == DURE_OK; i++) {
        (void)snprintf(node->admin_token + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    }
    return err;
}

static dure_err admin_write_file(dure_node *node)
{
    dure_net_address address;
    char text[256];
    char path[4200];
    dure_err err = node_port_address(node->admin, &address);
    if (err != DURE_OK) {
        return err;
    }
    (void)snprintf(path, sizeof path, "%s/admin.json", node->data_dir);
    node->admin_path = dure_mem_strdup(path);
    if (node->admin_path == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    int len =
        snprintf(text, sizeof text, "{\"port\":%u,\"token\":\"%s\",\"pid\":%llu}\n",
                 (unsigned)address.port, node->admin_token, (unsigned long long)dure_process_id());
    DURE_ASSERT(len > 0 && (size_t)len < sizeof text);
    return dure_file_write(node->admin_path, text, (size_t)len, DURE_FILE_OWNER_ONLY);
}

dure_err node_admin_start(dure_node *node)
{
    dure_net_address address;
    dure_err err = dure_net_address_from_ip("127.0.0.1", 0, &address);
    if (err == DURE_OK) {
        err = admin_make_token(node);
    }
    if (err == DURE_OK) {
        err = node_port_start(node->admin, &address);
    }
    return err == DURE_OK ? admin_write_file(node) : err;
}

void node_admin_forget(dure_node *node)
{
    if (node->admin_path != NULL) {
        dure_err ignored =
            dure_file_remove(node->admin_path); /* a stale one is recognised by its pid */
        (void)ignored;
        dure_mem_free(node->admin_path);
        node->admin_path = NULL;
    }
}
