/* SPDX-License-Identifier: MIT
 *
 * The clients of the fixture: MessagePack-RPC over one connection.
 */
#include <stdarg.h>

#include "base/mem.h"
#include "role_cluster.h"
#include "wire/cursor.h"

#define CLIENT_MESSAGE_BYTES ((size_t)1024 * 1024)
#define CLIENT_CONNECT_MS    2000u

static void text_copy(char *out, size_t size, dure_str text)
{
    (void)snprintf(out, size, "%.*s", DURE_STR_ARG(text));
}

/* ---- what comes ---- */

static void answer_keep_error(role_answer *answer, dure_slice error)
{
    dure_cursor cursor = dure_cursor_of(error.data, error.len);
    uint32_t count = 0;
    uint32_t code = 0;
    DURE_CHECK_OK(dure_cursor_array(&cursor, &count));
    DURE_CHECK_OK(dure_cursor_u32(&cursor, &code));
    answer->code = (dure_err)code;
}

static void client_on_answer(role_client *client, const dure_mprpc_message *message)
{
    role_answer *answer = &client->answers[message->id % ROLE_ANSWERS_MAX];
    dure_cursor error = dure_cursor_of(message->error.data, message->error.len);
    DURE_CHECK(answer->id != message->id); /* each call once */
    *answer = (role_answer){.id = message->id};
    client->answered++;
    if (dure_cursor_peek(&error) != DURE_WIRE_NIL) {
        answer_keep_error(answer, message->error);
    } else if (message->result.len <= sizeof answer->value) {
        memcpy(answer->value, message->result.data, message->result.len);
        answer->len = message->result.len;
    }
}

/* A param of a notification, from 0; empty where it is no text. */
static dure_str param_text(dure_slice params, uint32_t index)
{
    dure_cursor cursor = dure_cursor_of(params.data, params.len);
    uint32_t count = 0;
    dure_str text = {"", 0};
    if (dure_cursor_array(&cursor, &count) != DURE_OK) {
        return text;
    }
    for (uint32_t i = 0; i < index; i++) {
        DURE_CHECK_OK(dure_cursor_skip(&cursor));
    }
    return dure_cursor_str(&cursor, &text) == DURE_OK ? text : (dure_str){"", 0};
}

static void client_on_notification(role_client *client, const dure_mprpc_message *message)
{
    if (dure_str_equal(message->method, dure_str_of("closing"))) {
        text_copy(client->closing, sizeof client->closing, param_text(message->params, 0));
        return;
    }
    client->notified++;
    if (dure_str_equal(message->method, dure_str_of("chat"))) {
        char former[sizeof client->said];
        memcpy(former, client->said, sizeof former);
        text_copy(client->said, sizeof client->said, param_text(message->params, 1));
        client->is_in_order = client->is_in_order && strcmp(former, client->said) <= 0;
    }
}

static role_client *client_of(dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static dure_err client_recv(dure_session *session, const uint8_t *data, size_t len,
                            size_t *out_consumed)
{
    role_client *client = client_of(session);
    dure_mprpc_message message;
    size_t used = 0;
    dure_err err;
    while ((err = dure_mprpc_read(&client->reader, data + *out_consumed, len - *out_consumed,
                                  &message, &used)) == DURE_OK) {
        *out_consumed += used;
        if (message.kind == DURE_MPRPC_RESPONSE) {
            client_on_answer(client, &message);
        } else {
            client_on_notification(client, &message);
        }
    }
    DURE_CHECK_ERR(err, DURE_ERR_MORE);
    return err == DURE_ERR_MORE ? DURE_OK : err;
}

static void client_connected(dure_session *session)
{
    client_of(session)->session = session;
}

static void client_disconnected(dure_session *session, dure_err cause)
{
    (void)cause;
    client_of(session)->session = NULL;
}

static const dure_session_handlers client_handlers = {
    .on_connected = client_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = client_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = client_disconnected,
};

/* ---- life ---- */

static void client_on_closed(dure_service *service, void *context)
{
    (void)service;
    ((role_client *)context)->is_closed = true;
}

static bool client_is_connected(void *ctx)
{
    return ((const role_client *)ctx)->session != NULL;
}

static bool client_is_closed(void *ctx)
{
    return ((const role_client *)ctx)->is_closed;
}

void role_client_open(role_client *client, role_cluster *cluster, const char *gateway)
{
    dure_service_config config;
    dure_client_service_config dial;
    dure_net_address address;
    memset(client, 0, sizeof *client);
    client->cluster = cluster;
    client->is_in_order = true;
    dure_mprpc_reader_init(&client->reader, CLIENT_MESSAGE_BYTES);
    DURE_REQUIRE_OK(dure_node_client_address(role_cluster_node(cluster, gateway)->node, &address));
    const size_t fails_in = dure_mem_fail_nth(0); /* what fails is the cluster's */
    dure_service_config_init(&config);
    config.name = "client";
    config.cores = &cluster->clients;
    config.core_count = 1;
    config.handlers = &client_handlers;
    config.context = client;
    config.on_closed = client_on_closed;
    dure_client_service_config_init(&dial);
    dial.host = "127.0.0.1";
    dial.port = address.port;
    dial.redial = false;
    DURE_REQUIRE_OK(dure_client_service_create(&config, &dial, &client->service));
    DURE_REQUIRE_OK(dure_service_start(client->service));
    (void)dure_mem_fail_nth(fails_in);
    (void)dure_sim_run_until(cluster->world, client_is_connected, client, CLIENT_CONNECT_MS);
}

void role_client_close(role_client *client)
{
    dure_service_close(client->service);
    (void)dure_sim_run_until(client->cluster->world, client_is_closed, client, ROLE_GOODBYE_MS);
    DURE_REQUIRE(client->is_closed);
    dure_service_destroy(client->service);
    client->service = NULL;
    client->session = NULL;
}

void role_client_abort(role_client *client)
{
    if (client->session != NULL) {
        dure_session_abort(client->session, DURE_ERR_CLOSED);
    }
}

/* ---- calls ---- */

static void pack_params(dure_packer *packer, const char *letters, va_list *args)
{
    dure_packer_array(packer, (uint32_t)strlen(letters));
    for (; *letters != '\0'; letters++) {
        if (*letters == 's') {
            dure_packer_cstr(packer, va_arg(*args, const char *));
        } else if (*letters == 't') {
            dure_packer_str(packer, va_arg(*args, dure_str));
        } else {
            DURE_REQUIRE(*letters == 'u');
            dure_packer_u64(packer, va_arg(*args, uint64_t));
        }
    }
}

static uint32_t client_ask(role_client *client, const char *method, const char *letters,
                           va_list *args)
{
    dure_buf params;
    dure_buf message;
    const size_t fails_in = dure_mem_fail_nth(0);
    dure_buf_init(&params, CLIENT_MESSAGE_BYTES);
    dure_buf_init(&message, CLIENT_MESSAGE_BYTES);
    dure_packer packer = dure_packer_of(&params);
    uint32_t id = 0;
    pack_params(&packer, letters, args);
    if (client->session != NULL && packer.status == DURE_OK &&
        dure_mprpc_write_request(&message, client->next_id + 1, dure_str_of(method),
                                 (dure_slice){params.data, params.len}) == DURE_OK &&
        dure_session_send(client->session, message.data, message.len) == DURE_OK) {
        id = ++client->next_id;
    }
    dure_buf_fini(&params);
    dure_buf_fini(&message);
    (void)dure_mem_fail_nth(fails_in);
    return id;
}

uint32_t role_client_ask(role_client *client, const char *method, const char *letters, ...)
{
    va_list args;
    va_start(args, letters);
    uint32_t id = client_ask(client, method, letters, &args);
    va_end(args);
    return id;
}

const role_answer *role_client_answer(const role_client *client, uint32_t id)
{
    const role_answer *answer = &client->answers[id % ROLE_ANSWERS_MAX];
    return id != 0 && answer->id == id ? answer : NULL;
}

static bool client_is_answered(void *ctx)
{
    const role_client *client = ctx;
    return client->session == NULL || role_client_answer(client, client->next_id) != NULL;
}

static dure_err client_await(role_client *client, uint32_t id)
{
    if (id == 0) {
        return DURE_ERR_TIMED_OUT;
    }
    (void)dure_sim_run_until(client->cluster->world, client_is_answered, client, ROLE_CALL_MS);
    const role_answer *answer = role_client_answer(client, id);
    return answer != NULL ? answer->code : DURE_ERR_TIMED_OUT;
}

dure_err role_client_call(role_client *client, const char *method, const char *letters, ...)
{
    va_list args;
    va_start(args, letters);
    uint32_t id = client_ask(client, method, letters, &args);
    va_end(args);
    return client_await(client, id);
}

/* ---- what is in an answer ---- */

/* A cursor on the value of a key; on nothing where the last answer has none. */
static dure_cursor value_of(const role_client *client, const char *key)
{
    const role_answer *answer = role_client_answer(client, client->next_id);
    dure_cursor cursor =
        answer != NULL ? dure_cursor_of(answer->value, answer->len) : dure_cursor_of(NULL, 0);
    uint32_t pairs = 0;
    dure_str at;
    if (dure_cursor_map(&cursor, &pairs) != DURE_OK) {
        return dure_cursor_of(NULL, 0);
    }
    for (uint32_t i = 0; i < pairs; i++) {
        DURE_CHECK_OK(dure_cursor_str(&cursor, &at));
        if (dure_str_equal(at, dure_str_of(key))) {
            return cursor;
        }
        DURE_CHECK_OK(dure_cursor_skip(&cursor));
    }
    return dure_cursor_of(NULL, 0);
}

static void take_text(const role_client *client, const char *key, char *out, size_t size)
{
    dure_cursor cursor = value_of(client, key);
    dure_str text;
    out[0] = '\0';
    if (dure_cursor_str(&cursor, &text) == DURE_OK) {
        text_copy(out, size, text);
    }
}

uint64_t role_client_number(const role_client *client)
{
    const role_answer *answer = role_client_answer(client, client->next_id);
    uint64_t number = 0;
    if (answer != NULL) {
        dure_cursor cursor = dure_cursor_of(answer->value, answer->len);
        dure_err ignored = dure_cursor_u64(&cursor, &number);
        (void)ignored; /* 0 then */
    }
    return number;
}

uint64_t role_client_count(const role_client *client, const char *key)
{
    dure_cursor cursor = value_of(client, key);
    uint64_t number = 0;
    dure_err ignored = dure_cursor_u64(&cursor, &number);
    (void)ignored; /* 0 then */
    return number;
}

void role_client_text(const role_client *client, const char *key, char *out, size_t size)
{
    take_text(client, key, out, size);
}

void role_client_players(const role_client *client, char *out, size_t size)
{
    dure_cursor cursor = value_of(client, "players");
    uint32_t count = 0;
    size_t len = 0;
    out[0] = '\0';
    if (dure_cursor_array(&cursor, &count) != DURE_OK) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        dure_str name = {"", 0};
        DURE_CHECK_OK(dure_cursor_str(&cursor, &name));
        int more = snprintf(out + len, size - len, "%s%.*s", i > 0 ? " " : "", DURE_STR_ARG(name));
        DURE_REQUIRE(more > 0 && len + (size_t)more < size);
        len += (size_t)more;
    }
}

static dure_err took_session(role_client *client, dure_err code)
{
    if (code == DURE_OK) {
        take_text(client, "player", client->player, sizeof client->player);
        take_text(client, "resume", client->token, sizeof client->token);
    }
    return code;
}

dure_err role_client_login(role_client *client, const char *name)
{
    return took_session(client, role_client_call(client, "login", "s", name));
}

dure_err role_client_resume(role_client *client, const char *token, uint64_t received)
{
    return took_session(client, role_client_call(client, "resume", "su", token, received));
}
