/* SPDX-License-Identifier: MIT
 *
 * A peer that sends what it likes; see raw_peer.h.
 */
#include "cluster/raw_peer.h"

#include "cluster/hello.h"
#include "support/check.h"

static raw_peer *raw_of(dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void raw_connected(dure_session *session)
{
    raw_peer *raw = raw_of(session);
    raw->is_connected = true;
    raw->session = session;
    if (raw->say_len > 0) {
        DURE_CHECK_OK(dure_session_send(session, raw->say, raw->say_len));
    }
}

static dure_err raw_recv(dure_session *session, const uint8_t *data, size_t len,
                         size_t *out_consumed)
{
    (void)data;
    raw_of(session)->heard += len;
    *out_consumed = len;
    if (raw_of(session)->is_deaf) {
        dure_session_pause_recv(session);
    }
    return DURE_OK;
}

static void raw_disconnected(dure_session *session, dure_err cause)
{
    (void)cause;
    raw_of(session)->is_over = true;
    raw_of(session)->session = NULL;
}

static void raw_closed(dure_service *service, void *context)
{
    (void)service;
    ((raw_peer *)context)->is_closed = true;
}

static bool raw_is_closed(void *ctx)
{
    return ((raw_peer *)ctx)->is_closed;
}

static const dure_session_handlers raw_handlers = {
    .on_connected = raw_connected,
    .on_connect_failed = dure_session_ignore_connect_failed,
    .on_recv = raw_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = raw_disconnected,
};

void raw_start(raw_peer *raw, test_cluster *cluster)
{
    dure_iocp_core_config core;
    dure_service_config config;
    dure_client_service_config client;
    dure_iocp_core_config_init(&core);
    core.backend = DURE_BACKEND_SIM;
    core.sim = cluster->world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &raw->core));
    dure_service_config_init(&config);
    config.name = "raw";
    config.cores = &raw->core;
    config.core_count = 1;
    config.handlers = &raw_handlers;
    config.context = raw;
    config.on_closed = raw_closed;
    dure_client_service_config_init(&client);
    client.host = "127.0.0.1";
    client.port = 7821;
    client.redial = false;
    DURE_REQUIRE_OK(dure_client_service_create(&config, &client, &raw->service));
    DURE_REQUIRE_OK(dure_service_start(raw->service));
}

void raw_stop(raw_peer *raw, test_cluster *cluster)
{
    dure_iocp_counters counters;
    dure_service_close(raw->service);
    DURE_CHECK(dure_sim_run_until(cluster->world, raw_is_closed, raw, 10000));
    dure_service_destroy(raw->service);
    dure_iocp_core_counters(raw->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    dure_iocp_core_destroy(raw->core);
}

void raw_write_hello(const test_cluster *cluster, dure_buf *out)
{
    static const uint8_t nonce[DURE_HELLO_NONCE_BYTES];
    const dure_hello_self self = {
        .registry = cluster->registry,
        .node = dure_registry_find_node(cluster->registry, "game-1"),
        .incarnation = 5,
        .schema_hash = 1,
        .protocol_min = DURE_PROTOCOL_MIN,
        .protocol_max = DURE_PROTOCOL_MAX,
    };
    dure_hello hello;
    dure_buf_init(out, 4096);
    dure_hello_init(&hello, &self, dure_registry_find_node(cluster->registry, "db-1"), nonce);
    DURE_REQUIRE_OK(dure_hello_start(&hello, out));
    dure_hello_fini(&hello);
}
