/* SPDX-License-Identifier: MIT
 *
 * The fixture of the suites of node/.
 */
#include "sim_node.h"

#include "base/mem.h"
#include "net/address.h"
#include "wire/mprpc.h"

#define SIM_BYTES_MAX (1024u * 1024u)
#define SIM_ANSWER_MS 20u
#define SIM_LINGER_MS 20000u

static void sim_log(void *ctx, const char *line, size_t len)
{
    sim_node *sim = ctx;
    DURE_CHECK_OK(dure_buf_append(&sim->log_text, line, len));
}

static void sim_on_ready(dure_node *node, void *ctx)
{
    sim_node *sim = ctx;
    (void)node;
    sim->readied++;
}

static void sim_on_ended(dure_node *node, int exit_code, void *ctx)
{
    sim_node *sim = ctx;
    (void)node;
    DURE_CHECK(!sim->is_ended);
    sim->is_ended = true;
    sim->exit_code = exit_code;
}

static void sim_make_world(sim_node *sim)
{
    dure_sim_config world;
    dure_iocp_core_config core;
    dure_sim_config_init(&world);
    DURE_REQUIRE_OK(dure_sim_world_create(&world, &sim->world));
    dure_iocp_core_config_init(&core);
    core.backend = DURE_BACKEND_SIM;
    core.sim = sim->world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &sim->core));
}

static void sim_make_registry(sim_node *sim, uint16_t client_port, sim_settings_fn change)
{
    dure_registry_builder *builder = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "unused", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "greeter", "dure-greeter", NULL));
    DURE_REQUIRE_OK(
        dure_registry_builder_node(builder, "greeter-1", "greeter", "127.0.0.1", 0, client_port));
    DURE_REQUIRE_OK(dure_registry_builder_clients(builder));
    if (change != NULL) {
        change(dure_registry_builder_settings(builder));
    }
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &sim->registry));
}

void sim_node_make(sim_node *sim, const dure_role *role, uint16_t client_port,
                   sim_settings_fn change)
{
    *sim = (sim_node){0};
    dure_buf_init(&sim->log_text, SIM_BYTES_MAX);
    dure_log_config log = {.level = DURE_LOG_DEBUG, .sink = sim_log, .ctx = sim};
    DURE_REQUIRE_OK(dure_log_create(&log, &sim->log));
    sim_make_world(sim);
    sim_make_registry(sim, client_port, change);
    dure_node_config config = {
        .registry = sim->registry,
        .node_id = "greeter-1",
        .role = role,
        .core = sim->core,
        .log = sim->log,
        .no_admin = true,
        .on_ready = sim_on_ready,
        .on_ended = sim_on_ended,
        .ctx = sim,
    };
    DURE_REQUIRE_OK(dure_node_create(&config, &sim->node));
}

void sim_node_open(sim_node *sim, sim_settings_fn change)
{
    sim_node_make(sim, &greeter_role, 0, change);
    DURE_REQUIRE_OK(dure_node_start(sim->node));
    sim->role = dure_node_state(sim->node);
}

void sim_node_close(sim_node *sim)
{
    dure_iocp_counters counters;
    if (!sim->is_ended) {
        dure_node_stop(sim->node);
        sim_node_run(sim, SIM_LINGER_MS);
    }
    DURE_CHECK(sim->is_ended);
    dure_node_destroy(sim->node);
    dure_mem_free(sim->role);
    sim_node_run(sim, SIM_LINGER_MS);
    dure_iocp_core_counters(sim->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    DURE_CHECK_EQ(counters.sockets_opened, counters.sockets_closed);
    dure_iocp_core_destroy(sim->core);
    dure_sim_world_destroy(sim->world);
    dure_registry_destroy(sim->registry);
    dure_log_destroy(sim->log);
    dure_buf_fini(&sim->log_text);
}

void sim_node_run(sim_node *sim, uint32_t ms)
{
    dure_sim_run_for(sim->world, ms);
}

static bool bytes_hold(const dure_buf *bytes, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= bytes->len; i++) {
        if (memcmp(bytes->data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

bool sim_node_logged(const sim_node *sim, const char *text)
{
    return bytes_hold(&sim->log_text, text);
}

/* ---- clients ---- */

static sim_client *client_of(dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void client_connected(dure_session *session)
{
    client_of(session)->session = session;
}

static dure_err client_recv(dure_session *session, const uint8_t *data, size_t len,
                            size_t *out_consumed)
{
    *out_consumed = len;
    return dure_buf_append(&client_of(session)->received, data, len);
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

static void client_service_closed(dure_service *service, void *context)
{
    sim_client *client = context;
    (void)service;
    client->is_closed = true;
}

void sim_client_dial(sim_client *client, sim_node *sim)
{
    dure_service_config config;
    dure_client_service_config dial;
    dure_net_address address;
    *client = (sim_client){.sim = sim};
    dure_buf_init(&client->received, SIM_BYTES_MAX);
    DURE_REQUIRE_OK(dure_node_client_address(sim->node, &address));
    dure_service_config_init(&config);
    config.name = "client";
    config.cores = &sim->core;
    config.core_count = 1;
    config.handlers = &client_handlers;
    config.context = client;
    config.on_closed = client_service_closed;
    dure_client_service_config_init(&dial);
    dial.host = "127.0.0.1";
    dial.port = address.port;
    dial.redial = false;
    DURE_REQUIRE_OK(dure_client_service_create(&config, &dial, &client->service));
    DURE_REQUIRE_OK(dure_service_start(client->service));
    sim_node_run(sim, SIM_ANSWER_MS);
}

void sim_client_open(sim_client *client, sim_node *sim)
{
    sim_client_dial(client, sim);
    DURE_REQUIRE(client->session != NULL);
}

void sim_client_close(sim_client *client)
{
    dure_service_close(client->service);
    sim_node_run(client->sim, SIM_ANSWER_MS);
    if (!client->is_closed) {
        sim_node_run(client->sim, SIM_LINGER_MS);
    }
    DURE_CHECK(client->is_closed);
    dure_service_destroy(client->service);
    dure_buf_fini(&client->received);
}

void sim_client_send(sim_client *client, const void *bytes, size_t len)
{
    DURE_REQUIRE(client->session != NULL);
    DURE_CHECK_OK(dure_session_send(client->session, bytes, len));
}

void sim_client_ask(sim_client *client, const char *method, const char *text, size_t len)
{
    dure_buf params;
    dure_buf message;
    dure_buf_init(&params, SIM_BYTES_MAX);
    dure_buf_init(&message, SIM_BYTES_MAX);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, text != NULL ? 1 : 0);
    if (text != NULL) {
        dure_packer_str(&packer, (dure_str){text, len});
    }
    DURE_CHECK_OK(packer.status);
    DURE_CHECK_OK(dure_mprpc_write_request(&message, ++client->next_id, dure_str_of(method),
                                           (dure_slice){params.data, params.len}));
    sim_client_send(client, message.data, message.len);
    dure_buf_fini(&params);
    dure_buf_fini(&message);
}

bool sim_client_hears(sim_client *client, const char *method, const char *text,
                      const char *expected)
{
    sim_client_forget(client);
    sim_client_ask(client, method, text, text != NULL ? strlen(text) : 0);
    sim_node_run(client->sim, SIM_ANSWER_MS);
    return sim_client_saw(client, expected);
}

bool sim_client_saw(const sim_client *client, const char *expected)
{
    return bytes_hold(&client->received, expected);
}

void sim_client_forget(sim_client *client)
{
    dure_buf_clear(&client->received);
}
