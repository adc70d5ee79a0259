/* SPDX-License-Identifier: MIT
 *
 * The loop of a blocking client: rounds of its core until what is waited for has come.
 */
#include "node/rpc_client.h"

#include "base/buf.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/client_service.h"
#include "wire/limits.h"
#include "wire/mprpc.h"

#define CLIENT_MESSAGE_MAX (4u * 1024u * 1024u)
#define CLIENT_CLOSE_MS    2000u

struct dure_rpc_client {
    dure_iocp_core *core;
    dure_service *service;
    dure_session *session;
    dure_mprpc_reader reader;
    dure_rpc_notified_fn on_notified;
    void *ctx;
    dure_buf answer;
    uint32_t next_id;
    bool is_connected;
    bool is_closed;
    bool has_answer;
    bool answer_is_error;
    dure_err end;
};

static dure_rpc_client *client_of(dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void client_on_connected(dure_session *session)
{
    dure_rpc_client *client = client_of(session);
    client->session = session;
    client->is_connected = true;
}

static void client_on_end(dure_session *session, dure_err cause)
{
    dure_rpc_client *client = client_of(session);
    client->is_connected = false;
    client->end = cause;
}

static void client_message(dure_rpc_client *client, const dure_mprpc_message *message)
{
    if (message->kind == DURE_MPRPC_NOTIFICATION && client->on_notified != NULL) {
        client->on_notified(client->ctx, message->method, message->params);
    }
    if (message->kind != DURE_MPRPC_RESPONSE || message->id != client->next_id) {
        return;
    }
    client->answer_is_error = message->error.len != 1 || message->error.data[0] != 0xc0;
    dure_slice value = client->answer_is_error ? message->error : message->result;
    dure_buf_clear(&client->answer);
    client->has_answer = dure_buf_append(&client->answer, value.data, value.len) == DURE_OK;
}

static dure_err client_on_recv(dure_session *session, const uint8_t *data, size_t len,
                               size_t *out_consumed)
{
    dure_rpc_client *client = client_of(session);
    size_t at = 0;
    while (at < len) {
        dure_mprpc_message message;
        size_t message_len = 0;
        dure_err err =
            dure_mprpc_read(&client->reader, data + at, len - at, &message, &message_len);
        if (err == DURE_ERR_MORE) {
            break;
        }
        if (err != DURE_OK) {
            return err;
        }
        client_message(client, &message);
        at += message_len;
    }
    *out_consumed = at;
    return DURE_OK;
}

static const dure_session_handlers client_handlers = {
    .on_connected = client_on_connected,
    .on_connect_failed = client_on_end,
    .on_recv = client_on_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = client_on_end,
};

static void client_on_closed(dure_service *service, void *context)
{
    dure_rpc_client *client = context;
    (void)service;
    client->is_closed = true;
}

/* Rounds until *flag, the end of the connection, or the time limit. */
static dure_err client_run_until(dure_rpc_client *client, const bool *flag, uint32_t timeout_ms)
{
    uint64_t due = dure_iocp_core_exact_ns(client->core) / 1000000u + timeout_ms;
    while (!*flag && client->end == DURE_OK) {
        uint64_t now = dure_iocp_core_exact_ns(client->core) / 1000000u;
        if (now >= due) {
            return DURE_ERR_TIMED_OUT;
        }
        (void)dure_iocp_core_run_once(client->core, (uint32_t)(due - now));
    }
    return *flag ? DURE_OK : client->end;
}

/* The address without brackets and port. */
static const char *client_host(const dure_net_address *address,
                               char host[DURE_NET_ADDRESS_TEXT_MAX])
{
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    (void)dure_net_address_print(address, text);
    const char *start = text[0] == '[' ? text + 1 : text;
    const char *end = text[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
    size_t len = (size_t)(end - start);
    memcpy(host, start, len);
    host[len] = '\0';
    return host;
}

static dure_err client_open(dure_rpc_client *client, const dure_net_address *address,
                            uint32_t timeout_ms)
{
    dure_iocp_core_config core_config;
    dure_iocp_core_config_init(&core_config);
    core_config.backend = DURE_BACKEND_LIGHT;
    core_config.recycling = DURE_RECYCLING_OFF;
    dure_err err = dure_iocp_core_create(&core_config, &client->core);
    if (err != DURE_OK) {
        return err;
    }
    char host[DURE_NET_ADDRESS_TEXT_MAX];
    dure_service_config config;
    dure_client_service_config client_config;
    dure_service_config_init(&config);
    dure_client_service_config_init(&client_config);
    config.name = "rpc_client";
    config.cores = &client->core;
    config.core_count = 1;
    config.handlers = &client_handlers;
    config.context = client;
    config.connect_ms = timeout_ms;
    config.close_ms = CLIENT_CLOSE_MS;
    config.recv_rest_max = CLIENT_MESSAGE_MAX;
    config.on_closed = client_on_closed;
    client_config.host = client_host(address, host);
    client_config.port = address->port;
    client_config.redial = false;
    err = dure_client_service_create(&config, &client_config, &client->service);
    if (err == DURE_OK) {
        err = dure_service_start(client->service);
    }
    return err == DURE_OK ? client_run_until(client, &client->is_connected, timeout_ms) : err;
}

dure_err dure_rpc_client_create(const dure_net_address *address, uint32_t timeout_ms,
                                dure_rpc_client **out_client)
{
    dure_rpc_client *client = dure_mem_alloc(sizeof *client);
    if (client == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_buf_init(&client->answer, CLIENT_MESSAGE_MAX);
    dure_mprpc_reader_init(&client->reader, CLIENT_MESSAGE_MAX);
    dure_err err = client_open(client, address, timeout_ms);
    if (err != DURE_OK) {
        dure_rpc_client_destroy(client);
        return err;
    }
    *out_client = client;
    return DURE_OK;
}

void dure_rpc_client_on_notified(dure_rpc_client *client, dure_rpc_notified_fn fn, void *ctx)
{
    client->on_notified = fn;
    client->ctx = ctx;
}

dure_err dure_rpc_client_begin(dure_rpc_client *client, dure_str method, dure_slice params)
{
    if (!client->is_connected) {
        return client->end != DURE_OK ? client->end : DURE_ERR_STATE;
    }
    dure_buf bytes;
    dure_buf_init(&bytes, CLIENT_MESSAGE_MAX);
    client->next_id++;
    client->has_answer = false;
    dure_err err = dure_mprpc_write_request(&bytes, client->next_id, method, params);
    if (err == DURE_OK) {
        err = dure_session_send(client->session, bytes.data, bytes.len);
    }
    dure_buf_fini(&bytes);
    if (err == DURE_OK) {
        (void)dure_iocp_core_run_once(client->core, 0); /* in which it leaves */
    }
    return err;
}

dure_err dure_rpc_client_finish(dure_rpc_client *client, uint32_t timeout_ms,
                                dure_rpc_answer *out_answer)
{
    if (client->next_id == 0) {
        return DURE_ERR_STATE;
    }
    dure_err err = client_run_until(client, &client->has_answer, timeout_ms);
    if (err == DURE_OK) {
        out_answer->is_error = client->answer_is_error;
        out_answer->value = (dure_slice){client->answer.data, client->answer.len};
    }
    return err;
}

dure_err dure_rpc_client_call(dure_rpc_client *client, dure_str method, dure_slice params,
                              uint32_t timeout_ms, dure_rpc_answer *out_answer)
{
    dure_err err = dure_rpc_client_begin(client, method, params);
    return err == DURE_OK ? dure_rpc_client_finish(client, timeout_ms, out_answer) : err;
}

dure_err dure_rpc_client_wait(dure_rpc_client *client, uint32_t ms)
{
    const bool never = false;
    dure_err err = client_run_until(client, &never, ms);
    return err == DURE_ERR_TIMED_OUT ? DURE_OK : err;
}

void dure_rpc_client_destroy(dure_rpc_client *client)
{
    if (client == NULL) {
        return;
    }
    if (client->service != NULL) {
        dure_service_close(client->service);
        while (!client->is_closed) {
            (void)dure_iocp_core_run_once(client->core, CLIENT_CLOSE_MS);
        }
        dure_service_destroy(client->service);
    }
    dure_iocp_core_destroy(client->core);
    dure_buf_fini(&client->answer);
    dure_mem_free(client);
}
