/* SPDX-License-Identifier: MIT
 *
 * Connections read, requests kept, answers written. A request that its connection does not outlive
 * is abandoned, so no answer looks for somebody who is gone.
 */
#include "node/port_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"
#include "wire/limits.h"

#define PORT_REQUESTS_MAX 1024u          /* of one connection, unanswered */
#define PORT_CLOSE_MS     1000u          /* for a farewell to be read */
#define PORT_SCRATCH_KEPT (256u * 1024u) /* of the room that large messages were built in */
#define PORT_METHOD_MAX   48u            /* bytes of a method's name that logs say */
#define PORT_SAID_MS      10000u         /* between two lines of the log about the same */

/* A request on its way, so that its answer finds the message it answers. */
typedef struct node_call {
    node_conn *conn;
    dure_list in_conn;
    dure_request *request;
    uint32_t id;
    bool is_notification;
    bool is_barrier;
    char method[PORT_METHOD_MAX];
} node_call;

/* ---- writing ---- */

static dure_slice scratch_slice(const node_port *port)
{
    return (dure_slice){port->scratch.data, port->scratch.len};
}

/* A large message's room is not kept: the next ones are small again. */
static void scratch_clear(node_port *port)
{
    if (port->scratch.len > PORT_SCRATCH_KEPT) {
        dure_buf_release(&port->scratch);
    } else {
        dure_buf_clear(&port->scratch);
    }
}

/*
 * Queues what stands in the scratch buffer. A connection that does not read is cut, and so is one
 * that something could not be queued for: it would wait for it, or count wrongly what it got.
 */
static dure_err conn_send_scratch(node_conn *conn)
{
    dure_slice bytes = scratch_slice(conn->port);
    dure_err err = dure_session_send(conn->session, bytes.data, bytes.len);
    scratch_clear(conn->port);
    if (err == DURE_ERR_OVERLOADED) {
        node_conn_cut(conn, DURE_ERR_SLOW);
    } else if (err == DURE_ERR_NO_MEMORY) {
        dure_session_disconnect(conn->session, err);
    }
    return err;
}

static void conn_send_or_cut(node_conn *conn, dure_err encoded)
{
    if (encoded != DURE_OK) {
        scratch_clear(conn->port);
        dure_session_disconnect(conn->session, encoded);
        return;
    }
    dure_err ignored = conn_send_scratch(conn); /* a connection that ends has nobody to tell */
    (void)ignored;
}

/* Says which method gives more than a client may be sent: it is the role's to mend. */
static void port_say_too_large(node_port *port, dure_str method)
{
    uint64_t now_ms = dure_iocp_core_now_ms(node_port_core(port));
    char quoted[2 * PORT_METHOD_MAX + 8];
    port->too_large_count++;
    if (now_ms < port->next_too_large_ms) {
        return;
    }
    size_t len = method.len < PORT_METHOD_MAX ? method.len : PORT_METHOD_MAX;
    dure_log_write(port->config.log, DURE_LOG_WARN, "node", "ANSWER_TOO_LARGE",
                   "port=%s method=%s most_bytes=%u count=%u", port->config.name,
                   dure_log_quote(method.data, len, quoted, sizeof quoted),
                   port->config.settings->client_queue_bytes, port->too_large_count);
    port->next_too_large_ms = now_ms + PORT_SAID_MS;
    port->too_large_count = 0;
}

void node_conn_reply(node_conn *conn, const dure_mprpc_message *message, dure_slice result)
{
    if (message->kind == DURE_MPRPC_REQUEST) {
        conn_send_or_cut(conn, dure_mprpc_write_result(&conn->port->scratch, message->id, result));
    }
}

void node_conn_fail(node_conn *conn, const dure_mprpc_message *message, dure_err err,
                    const char *text)
{
    if (message->kind == DURE_MPRPC_REQUEST) {
        conn_send_or_cut(
            conn, dure_mprpc_write_error(&conn->port->scratch, message->id, (uint32_t)err,
                                         dure_str_of(dure_err_name(err)), dure_str_of(text)));
    }
}

dure_err node_conn_notify(node_conn *conn, dure_str method, dure_slice params)
{
    dure_err err = dure_mprpc_write_notification(&conn->port->scratch, method, params);
    if (err != DURE_OK) {
        scratch_clear(conn->port);
        if (err == DURE_ERR_FULL) {
            port_say_too_large(conn->port, method);
            return DURE_ERR_TOO_LARGE;
        }
        dure_session_disconnect(conn->session, err);
        return err;
    }
    return conn_send_scratch(conn);
}

void node_conn_close(node_conn *conn, dure_err cause, const char *text)
{
    dure_buf params;
    dure_buf_init(&params, 4096);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, 2);
    dure_packer_cstr(&packer, cause == DURE_ERR_CLOSED ? "STOPPING" : dure_err_name(cause));
    dure_packer_cstr(&packer, text);
    if (packer.status == DURE_OK && dure_session_is_connected(conn->session)) {
        dure_err ignored =
            node_conn_notify(conn, dure_str_of("closing"), (dure_slice){params.data, params.len});
        (void)ignored; /* a courtesy: the end comes all the same */
    }
    dure_buf_fini(&params);
    dure_session_disconnect(conn->session, cause);
}

/* ---- requests ---- */

/* Whether so much waits to go out that nothing more is to be read for now. */
static bool conn_is_full(const node_conn *conn)
{
    size_t max = conn->is_trusted ? conn->port->config.settings->client_queue_soft_bytes
                                  : DURE_WIRE_CLIENT_STRANGER_MAX;
    return dure_session_send_queue_bytes(conn->session) > max;
}

static bool conn_has_to_wait(const node_conn *conn)
{
    return conn->barrier_count > 0 || conn_is_full(conn);
}

/* After something that it may have waited for. */
static void conn_read_on(node_conn *conn)
{
    if (conn->is_throttled && !conn_has_to_wait(conn)) {
        conn->is_throttled = false;
        dure_session_resume_recv(conn->session);
    }
}

static void call_free(node_call *call)
{
    node_conn *conn = call->conn;
    DURE_ASSERT(conn->request_count > 0);
    dure_list_remove(&call->in_conn);
    conn->request_count--;
    if (call->is_barrier) {
        DURE_ASSERT(conn->barrier_count > 0);
        conn->barrier_count--;
        conn_read_on(conn);
    }
    dure_mem_free(call);
}

static dure_err encode_outcome(dure_buf *out, uint32_t id, const dure_outcome *outcome)
{
    if (outcome->status == DURE_OK) {
        return dure_mprpc_write_result(out, id, outcome->body);
    }
    if (outcome->error.len > 0) {
        return dure_mprpc_write_error_raw(out, id, outcome->error);
    }
    uint32_t code = outcome->code != 0 ? outcome->code : (uint32_t)outcome->status;
    return dure_mprpc_write_error(out, id, code, outcome->name, outcome->text);
}

/* In the place of an answer that no queue can hold. A result's call has had its effect. */
static dure_err encode_too_large(dure_buf *out, uint32_t id, const dure_outcome *outcome)
{
    if (outcome->status == DURE_OK) {
        return dure_mprpc_write_error(out, id, DURE_ERR_INTERNAL, (dure_str){NULL, 0},
                                      dure_str_of("the call was made, and its answer is too large "
                                                  "to be sent (client_queue_bytes)"));
    }
    dure_str name = outcome->name.len <= PORT_METHOD_MAX ? outcome->name : (dure_str){NULL, 0};
    return dure_mprpc_write_error(out, id, outcome->code, name,
                                  dure_str_of("the text is too large to be sent"));
}

/* A client that sends no more goes with its last answer; each request has a deadline, so it does.
 */
static void conn_check_ended(node_conn *conn)
{
    if (conn->ended_ms != 0 && dure_list_is_empty(&conn->requests)) {
        dure_session_disconnect(conn->session, DURE_ERR_PEER_CLOSED);
    }
}

static void call_on_reply(void *ctx, const dure_outcome *outcome)
{
    node_call *call = ctx;
    node_conn *conn = call->conn;
    node_port *port = conn->port;
    uint32_t id = call->id;
    bool is_wanted = !call->is_notification && dure_session_is_connected(conn->session);
    dure_err encoded = is_wanted ? encode_outcome(&port->scratch, id, outcome) : DURE_OK;
    if (encoded == DURE_ERR_FULL) {
        port_say_too_large(port, dure_str_of(call->method));
        scratch_clear(port);
        encoded = encode_too_large(&port->scratch, id, outcome);
    }
    call_free(call);
    if (is_wanted) {
        conn_send_or_cut(conn, encoded);
    }
    conn_check_ended(conn);
}

static node_call *call_new(node_conn *conn, const dure_mprpc_message *message)
{
    if (conn->request_count >= PORT_REQUESTS_MAX) {
        node_conn_fail(conn, message, DURE_ERR_OVERLOADED,
                       "too many requests of this connection are unanswered");
        return NULL;
    }
    node_call *call = dure_mem_alloc(sizeof *call);
    if (call == NULL) {
        node_conn_fail(conn, message, DURE_ERR_OVERLOADED, "out of memory");
        return NULL;
    }
    call->conn = conn;
    call->id = message->id;
    call->is_notification = message->kind == DURE_MPRPC_NOTIFICATION;
    memcpy(call->method, message->method.data,
           message->method.len < PORT_METHOD_MAX ? message->method.len : PORT_METHOD_MAX - 1);
    dure_list_init(&call->in_conn);
    dure_list_push_back(&conn->requests, &call->in_conn);
    conn->request_count++;
    return call;
}

void node_conn_serve(node_conn *conn, const dure_mprpc_message *message, const dure_method *method)
{
    node_call *call = call_new(conn, message);
    if (call == NULL) {
        return;
    }
    if ((method->flags & DURE_METHOD_BARRIER) != 0) {
        call->is_barrier = true;
        conn->barrier_count++;
    }
    dure_request *request = NULL;
    dure_err err = dure_rpc_serve_local(conn->port->config.rpc, method->number, conn->id,
                                        conn->port->config.call_deadline_ms, message->params,
                                        call_on_reply, call, &request);
    if (err != DURE_OK) {
        call_free(call);
        node_conn_fail(conn, message, err, dure_err_text(err));
    } else if (request != NULL) {
        call->request = request; /* not answered yet: the call is still there */
    }
}

dure_request *node_conn_open_request(node_conn *conn, const dure_mprpc_message *message)
{
    node_call *call = call_new(conn, message);
    if (call == NULL) {
        return NULL;
    }
    dure_err err =
        dure_rpc_open_local(conn->port->config.rpc, conn->id, conn->port->config.call_deadline_ms,
                            message->params, call_on_reply, call, &call->request);
    if (err != DURE_OK) {
        call_free(call);
        node_conn_fail(conn, message, err, dure_err_text(err));
        return NULL;
    }
    return call->request;
}

/* ---- reading ---- */

static const char *limit_text(dure_err err)
{
    switch ((int)err) {
    case DURE_ERR_TOO_LARGE:
        return "the message is larger than is allowed here";
    case DURE_ERR_TOO_DEEP:
        return "the message is nested deeper than 32";
    case DURE_ERR_TOO_MANY_ELEMENTS:
        return "the message declares more elements than it can have";
    case DURE_ERR_MALFORMED:
        return "the bytes are not MessagePack";
    default:
        return "this is no MessagePack-RPC request or notification";
    }
}

static void conn_throttle(node_conn *conn)
{
    conn->is_throttled = true;
    dure_session_pause_recv(conn->session);
}

static void conn_message(node_conn *conn, const dure_mprpc_message *message)
{
    dure_list_remove(&conn->in_waiting); /* the first one came in time */
    if (message->kind == DURE_MPRPC_RESPONSE) {
        node_conn_close(conn, DURE_ERR_PROTOCOL, "nobody asked this connection anything");
        return;
    }
    uint64_t now_ms = dure_iocp_core_now_ms(node_port_core(conn->port));
    if (!node_rate_take(&conn->calls, &conn->port->config.calls, now_ms)) {
        node_conn_fail(conn, message, DURE_ERR_OVERLOADED, "too many calls of this connection");
        return;
    }
    conn->port->config.ops->on_call(conn->port, conn, message);
}

/* The clock of a message runs from its first byte; more bytes of it do not set it back. */
static void conn_note_partial(node_conn *conn, bool is_partial, bool was_ended)
{
    if (!is_partial) {
        conn->partial_since_ms = 0;
    } else if (was_ended || conn->partial_since_ms == 0) {
        conn->partial_since_ms = dure_iocp_core_now_ms(node_port_core(conn->port));
    }
}

static dure_err conn_on_recv(dure_session *session, const uint8_t *data, size_t len,
                             size_t *out_consumed)
{
    node_conn *conn = dure_session_context(session);
    size_t at = 0;
    bool is_partial = false;
    if (conn == NULL) {
        return DURE_ERR_CLOSED;
    }
    while (at < len && dure_session_is_connected(session)) {
        dure_mprpc_message message;
        size_t message_len = 0;
        if (conn_has_to_wait(conn)) {
            conn_throttle(conn);
            break;
        }
        dure_err err = dure_mprpc_read(&conn->reader, data + at, len - at, &message, &message_len);
        if (err == DURE_ERR_MORE) {
            is_partial = true;
            break;
        }
        if (err != DURE_OK) {
            node_conn_close(conn, err, limit_text(err));
            break;
        }
        conn_message(conn, &message);
        at += message_len;
    }
    conn_note_partial(conn, is_partial, at > 0);
    DURE_ASSERT(at <= len);
    *out_consumed = at;
    return DURE_OK;
}

/* What it asked before is still answered, within the deadline of its calls. */
static void conn_on_peer_ended(dure_session *session)
{
    node_conn *conn = dure_session_context(session);
    if (conn == NULL) {
        dure_session_disconnect(session, DURE_ERR_PEER_CLOSED);
        return;
    }
    conn->partial_since_ms = 0; /* the rest of it does not come, and nobody waits for it */
    conn->ended_ms = dure_iocp_core_now_ms(node_port_core(conn->port));
    conn_check_ended(conn);
}

static void conn_on_sent(dure_session *session, size_t bytes)
{
    node_conn *conn = dure_session_context(session);
    (void)bytes;
    if (conn != NULL) {
        conn_read_on(conn);
    }
}

/* ---- connections ---- */

static void conn_on_connected(dure_session *session)
{
    node_port *port = dure_service_context(dure_session_service(session));
    node_conn *conn = dure_mem_alloc(sizeof *conn);
    if (conn == NULL) {
        dure_session_abort(session, DURE_ERR_NO_MEMORY);
        return;
    }
    conn->port = port;
    conn->session = session;
    conn->id = dure_session_id(session);
    conn->opened_ms = dure_iocp_core_now_ms(node_port_core(port));
    dure_list_init(&conn->requests);
    dure_list_init(&conn->in_waiting);
    dure_list_init(&conn->in_leaving);
    dure_list_init(&conn->in_port);
    dure_list_push_back(&port->conns, &conn->in_port);
    dure_mprpc_reader_init(&conn->reader, DURE_WIRE_CLIENT_STRANGER_MAX);
    dure_session_set_context(session, conn);
    port->count++;
    if (node_guard_admit(conn)) {
        conn->is_open = true;
        dure_list_push_back(&port->waiting, &conn->in_waiting);
        port->config.ops->on_open(port, conn);
    }
}

static void conn_abandon_requests(node_conn *conn)
{
    dure_list *node;
    while ((node = dure_list_pop_front(&conn->requests)) != NULL) {
        node_call *call = DURE_CONTAINER_OF(node, node_call, in_conn);
        if (call->request != NULL) {
            dure_rpc_abandon_local(call->request);
        }
        dure_mem_free(call);
    }
}

static void conn_on_disconnected(dure_session *session, dure_err cause)
{
    node_conn *conn = dure_session_context(session);
    if (conn == NULL) {
        return;
    }
    node_port *port = conn->port;
    dure_session_set_context(session, NULL);
    dure_list_remove(&conn->in_waiting);
    dure_list_remove(&conn->in_port);
    conn_abandon_requests(conn);
    node_guard_forget(conn);
    DURE_ASSERT(port->count > 0);
    port->count--;
    if (conn->is_open) {
        port->config.ops->on_close(port, conn, cause);
    }
    dure_mem_free(conn);
}

static const dure_session_handlers conn_handlers = {
    .on_connected = conn_on_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = conn_on_recv,
    .on_sent = conn_on_sent,
    .on_disconnected = conn_on_disconnected,
};

/* ---- telling all to go ---- */

uint32_t node_port_say_farewell(node_port *port, uint32_t most, const char *text)
{
    uint32_t count = 0;
    dure_list *next;
    for (dure_list *at = port->conns.next; at != &port->conns && count < most; at = next) {
        node_conn *conn = DURE_CONTAINER_OF(at, node_conn, in_port);
        next = at->next;
        if (dure_session_is_connected(conn->session) && dure_list_is_empty(&conn->requests)) {
            node_conn_close(conn, DURE_ERR_CLOSED, text);
            count++;
        }
    }
    return count;
}

uint32_t node_port_staying(const node_port *port)
{
    uint32_t count = 0;
    for (dure_list *at = port->conns.next; at != &port->conns; at = at->next) {
        count += dure_session_is_connected(DURE_CONTAINER_OF(at, node_conn, in_port)->session);
    }
    return count;
}

/* ---- life ---- */

static void port_on_service_closed(dure_service *service, void *context)
{
    node_port *port = context;
    (void)service;
    port->is_closed = true;
    port->config.on_closed(port, port->config.ctx);
}

dure_err node_port_create(const node_port_config *config, node_port **out_port)
{
    DURE_ASSERT(config->connections_max > 0);
    DURE_ASSERT(config->room >= 2);
    DURE_ASSERT(config->exempt != NULL);
    DURE_ASSERT(config->settings != NULL);
    node_port *port = dure_mem_alloc(sizeof *port);
    if (port == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    port->config = *config;
    dure_list_init(&port->waiting);
    dure_list_init(&port->conns);
    dure_err err = node_guard_init(port);
    if (err != DURE_OK) {
        node_port_destroy(port);
        return err;
    }
    dure_buf_init(&port->scratch, config->settings->client_queue_bytes);
    *out_port = port;
    return DURE_OK;
}

dure_err node_port_start(node_port *port, const dure_net_address *address)
{
    dure_iocp_core *core = node_port_core(port);
    dure_service_config config;
    dure_service_config_init(&config);
    config.name = port->config.name;
    config.cores = &core;
    config.core_count = 1;
    config.handlers = &conn_handlers;
    config.on_peer_ended = conn_on_peer_ended;
    config.context = port;
    config.sessions_max = port->config.connections_max + port->config.room;
    config.send_queue_max = port->config.settings->client_queue_bytes;
    config.write_stall_ms = port->config.settings->write_stall_ms;
    config.recv_rest_max = DURE_WIRE_CLIENT_MESSAGE_MAX * 2;
    config.accept_pause_first_ms = port->config.settings->accept_pause_first_ms;
    config.accept_pause_max_ms = port->config.settings->accept_pause_max_ms;
    config.close_ms = PORT_CLOSE_MS;
    config.on_closed = port_on_service_closed;
    dure_err err = dure_server_service_create(&config, address, &port->service);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_service_start(port->service);
    if (err != DURE_OK) {
        dure_service_destroy(port->service);
        port->service = NULL;
        return err;
    }
    port->is_started = true;
    return DURE_OK;
}

dure_err node_port_address(const node_port *port, dure_net_address *out_address)
{
    return port->is_started ? dure_server_service_address(port->service, out_address)
                            : DURE_ERR_STATE;
}

void node_port_stop_accepting(node_port *port)
{
    if (port->is_started) {
        dure_server_service_stop_accepting(port->service);
    }
}

typedef struct port_farewell {
    dure_err cause;
    const char *text;
} port_farewell;

static void port_say_farewell(dure_session *session, void *ctx)
{
    const port_farewell *farewell = ctx;
    node_conn *conn = dure_session_context(session);
    if (conn != NULL) {
        node_conn_close(conn, farewell->cause, farewell->text);
    }
}

void node_port_close(node_port *port, dure_err cause, const char *text)
{
    if (port->is_closing) {
        return;
    }
    port->is_closing = true;
    if (!port->is_started) {
        port->is_closed = true;
        port->config.on_closed(port, port->config.ctx);
        return;
    }
    port_farewell farewell = {cause, text};
    dure_service_each(port->service, node_port_core(port), port_say_farewell, &farewell);
    dure_service_close(port->service);
}

bool node_port_is_closed(const node_port *port)
{
    return port->is_closed;
}

void node_port_destroy(node_port *port)
{
    if (port != NULL) {
        DURE_ASSERT(port->count == 0);
        dure_service_destroy(port->service);
        dure_buf_fini(&port->scratch);
        node_guard_fini(port);
        dure_mem_free(port);
    }
}

void *node_port_ctx(const node_port *port)
{
    return port->config.ctx;
}

uint32_t node_port_count(const node_port *port)
{
    return port->count;
}

node_conn *node_port_find(node_port *port, uint64_t id)
{
    if (!port->is_started) {
        return NULL;
    }
    dure_session *session = dure_service_find(port->service, node_port_core(port), id);
    return session != NULL && dure_session_is_connected(session) ? dure_session_context(session)
                                                                 : NULL;
}

const dure_method *node_method_find(const dure_method *methods, dure_str name, uint32_t flags)
{
    for (const dure_method *row = methods; row != NULL && row->serve != NULL; row++) {
        if ((row->flags & flags) == flags && dure_str_equal(dure_str_of(row->name), name)) {
            return row;
        }
    }
    return NULL;
}
