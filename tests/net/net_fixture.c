/* SPDX-License-Identifier: MIT
 *
 * The fixture of the suites of net/.
 */
#include "net_fixture.h"

static dure_err sim_world_open(net_fixture *fixture, dure_iocp_core_config *config,
                               uint32_t window_bytes)
{
    dure_sim_config sim;
    dure_sim_config_init(&sim);
    if (window_bytes != 0) {
        sim.send_window_bytes = window_bytes;
    }
    dure_err err = dure_sim_world_create(&sim, &fixture->world);
    config->sim = fixture->world;
    return err;
}

static bool fixture_open(net_fixture *fixture, dure_backend_choice backend, uint32_t sockets_max,
                         uint32_t window_bytes)
{
    dure_iocp_core_config config;
    *fixture = (net_fixture){0};
    dure_iocp_core_config_init(&config);
    config.backend = backend;
    config.sockets_max = sockets_max;
    if (backend == DURE_BACKEND_SIM && sim_world_open(fixture, &config, window_bytes) != DURE_OK) {
        return false;
    }
    dure_err err = dure_iocp_core_create(&config, &fixture->core);
    if (err != DURE_OK) {
        DURE_CHECK_ERR(err, DURE_ERR_UNSUPPORTED);
        dure_sim_world_destroy(fixture->world);
        return false;
    }
    return true;
}

bool net_fixture_open(net_fixture *fixture, dure_backend_choice backend)
{
    return fixture_open(fixture, backend, 0, 0);
}

bool net_fixture_open_limited(net_fixture *fixture, dure_backend_choice backend,
                              uint32_t sockets_max)
{
    return fixture_open(fixture, backend, sockets_max, 0);
}

bool net_fixture_open_windowed(net_fixture *fixture, uint32_t window_bytes)
{
    return fixture_open(fixture, DURE_BACKEND_SIM, 0, window_bytes);
}

bool net_fixture_add_core(net_fixture *copy)
{
    dure_iocp_core_config config;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_SIM;
    config.sim = copy->world;
    return dure_iocp_core_create(&config, &copy->core) == DURE_OK;
}

void net_fixture_drop_core(net_fixture *copy)
{
    dure_iocp_counters counters;
    dure_iocp_core_counters(copy->core, &counters);
    DURE_CHECK_EQ(counters.started, counters.completed);
    DURE_CHECK_EQ(counters.sockets_opened, counters.sockets_closed);
    dure_iocp_core_destroy(copy->core);
}

void net_fixture_close(net_fixture *fixture)
{
    net_fixture_drop_core(fixture);
    dure_sim_world_destroy(fixture->world);
}

bool net_fixture_step(net_fixture *fixture, uint64_t limit_ms)
{
    (void)dure_iocp_core_run_once(fixture->core, 20);
    return dure_iocp_core_now_ms(fixture->core) < limit_ms;
}

void net_fixture_run_for(net_fixture *fixture, uint32_t ms)
{
    uint64_t limit_ms = dure_iocp_core_now_ms(fixture->core) + ms;
    while (net_fixture_step(fixture, limit_ms)) {
    }
}

/* ---- a side ---- */

static net_side *side_of(const dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void side_on_connected(dure_session *session)
{
    net_side *side = side_of(session);
    side->connected++;
    side->session = session;
    side->id = dure_session_id(session);
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_CONNECTED);
    DURE_CHECK(dure_session_context(session) == NULL);
    DURE_CHECK(side->is_filtered || dure_session_send_queue_bytes(session) == 0);
    dure_session_set_context(session, side);
    if (side->greeting != NULL) {
        DURE_CHECK_OK(dure_session_send(session, side->greeting, strlen(side->greeting)));
    }
    if (side->pauses_at_once) {
        dure_session_pause_recv(session);
    }
    if (side->disconnects_at_once != DURE_OK) {
        dure_session_disconnect(session, side->disconnects_at_once);
    }
}

static void side_on_connect_failed(dure_session *session, dure_err cause)
{
    net_side *side = side_of(session);
    side->connect_failed++;
    side->cause = cause;
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_CLOSED);
}

static dure_err side_on_recv(dure_session *session, const uint8_t *data, size_t len,
                             size_t *out_consumed)
{
    net_side *side = side_of(session);
    side->recv_calls++;
    if (side->consumes_nothing) {
        return side->answer;
    }
    for (size_t i = 0; i < len && side->received_bytes + i < sizeof side->received; i++) {
        side->received[side->received_bytes + i] = data[i];
    }
    side->received_bytes += len;
    *out_consumed = len;
    if (side->echoes) {
        dure_err err = dure_session_send(session, data, len);
        DURE_CHECK(err == DURE_OK || err == DURE_ERR_NO_MEMORY);
    }
    return side->answer;
}

static void side_on_sent(dure_session *session, size_t bytes)
{
    net_side *side = side_of(session);
    side->sent_bytes += bytes;
    side->sent_calls++;
}

static void side_on_disconnected(dure_session *session, dure_err cause)
{
    net_side *side = side_of(session);
    side->disconnected++;
    side->cause = cause;
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_CLOSED);
    if (side->connects_again) {
        DURE_CHECK_OK(dure_session_connect(session));
    }
}

const dure_session_handlers net_side_handlers = {
    .on_connected = side_on_connected,
    .on_connect_failed = side_on_connect_failed,
    .on_recv = side_on_recv,
    .on_sent = side_on_sent,
    .on_disconnected = side_on_disconnected,
};

void net_side_on_peer_ended(dure_session *session)
{
    DURE_CHECK(dure_session_is_connected(session));
    side_of(session)->peer_ends++;
}

static void side_on_closed(dure_service *service, void *context)
{
    net_side *side = context;
    DURE_CHECK(side->service == service);
    DURE_CHECK(!side->is_closed);
    side->is_closed = true;
}

void net_side_config(net_fixture *fixture, net_side *side, dure_service_config *out_config)
{
    dure_service_config_init(out_config);
    out_config->name = "side";
    out_config->cores = &fixture->core;
    out_config->core_count = 1;
    out_config->handlers = &net_side_handlers;
    out_config->context = side;
    out_config->on_closed = side_on_closed;
}

dure_net_address net_side_serve(net_fixture *fixture, net_side *side,
                                const dure_service_config *config)
{
    dure_service_config defaults;
    dure_net_address address;
    net_side_config(fixture, side, &defaults);
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &address));
    DURE_REQUIRE_OK(
        dure_server_service_create(config != NULL ? config : &defaults, &address, &side->service));
    DURE_CHECK(dure_service_can_start(side->service));
    DURE_REQUIRE_OK(dure_service_start(side->service));
    DURE_REQUIRE_OK(dure_server_service_address(side->service, &address));
    DURE_CHECK(address.port != 0);
    return address;
}

void net_side_dial(net_fixture *fixture, net_side *side, const dure_service_config *config,
                   const dure_net_address *address, uint32_t session_count)
{
    dure_service_config defaults;
    dure_client_service_config client;
    net_side_config(fixture, side, &defaults);
    dure_client_service_config_init(&client);
    client.host = "127.0.0.1";
    client.port = address->port;
    client.session_count = session_count;
    client.redial = false;
    DURE_REQUIRE_OK(
        dure_client_service_create(config != NULL ? config : &defaults, &client, &side->service));
    DURE_REQUIRE_OK(dure_service_start(side->service));
}

void net_sides_end(net_fixture *fixture, net_side *a, net_side *b)
{
    net_side *sides[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        if (sides[i] != NULL && sides[i]->service != NULL) {
            sides[i]->connects_again = false;
            dure_service_close(sides[i]->service);
            dure_service_close(sides[i]->service);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (sides[i] != NULL && sides[i]->service != NULL) {
            NET_RUN_UNTIL(fixture, sides[i]->is_closed);
            DURE_CHECK(dure_service_is_closed(sides[i]->service));
            dure_service_destroy(sides[i]->service);
            sides[i]->service = NULL;
        }
    }
}
