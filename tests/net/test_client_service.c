/* SPDX-License-Identifier: MIT
 *
 * ClientService: failures are told, redials keep their pauses, names are looked up, and it ends
 * from wherever it stands.
 */
#include "base/mem.h"
#include "net_fixture.h"

/* A client service with its own config, not started. */
static void make_client(net_fixture *fixture, net_side *side, dure_client_service_config *client,
                        uint32_t connect_ms)
{
    dure_service_config config;
    net_side_config(fixture, side, &config);
    config.connect_ms = connect_ms;
    DURE_REQUIRE_OK(dure_client_service_create(&config, client, &side->service));
}

static void client_config(dure_client_service_config *client, const char *host, uint16_t port)
{
    dure_client_service_config_init(client);
    client->host = host;
    client->port = port;
    client->redial = false;
}

/* One dial to somewhere, and its one outcome. */
static void check_outcome(const char *host, uint16_t port, dure_err expected)
{
    net_fixture fixture;
    net_side side = {0};
    dure_client_service_config client;
    dure_service_counters counters;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    client_config(&client, host, port);
    make_client(&fixture, &side, &client, 1000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    DURE_CHECK_EQ(side.connect_failed, 0);
    NET_RUN_UNTIL(&fixture, side.connect_failed == 1);
    net_fixture_run_for(&fixture, 5000);
    DURE_CHECK_ERR(side.cause, expected);
    DURE_CHECK_EQ(side.connect_failed, 1);
    DURE_CHECK_EQ(side.connected, 0);
    DURE_CHECK_EQ(side.disconnected, 0);
    dure_service_counters_of(side.service, &counters);
    DURE_CHECK_EQ(counters.connect_failed, 1);
    DURE_CHECK_EQ(counters.opened, 0);
    net_sides_end(&fixture, &side, NULL);
    net_fixture_close(&fixture);
}

static void a_failed_connect_is_told_with_its_cause(void)
{
    check_outcome("127.0.0.1", 9, DURE_ERR_CONNECT_REFUSED);
    check_outcome("localhost", 9, DURE_ERR_CONNECT_REFUSED);
    check_outcome("nobody", 9, DURE_ERR_NAME_NOT_FOUND);
    check_outcome(NET_SILENT_HOST, 9, DURE_ERR_TIMED_OUT);
    check_outcome(NET_UNREACHABLE_HOST, 9, DURE_ERR_UNREACHABLE);
}

static void a_name_leads_to_a_connection(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side side = {.greeting = "hi"};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    client_config(&client, "localhost", address.port);
    make_client(&fixture, &side, &client, 1000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    NET_RUN_UNTIL(&fixture, server.received_bytes == 2);
    net_sides_end(&fixture, &side, &server);
    net_fixture_close(&fixture);
}

static void it_redials_with_growing_pauses_until_somebody_is_there(void)
{
    net_fixture fixture;
    net_side side = {0};
    net_side server = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_sides_end(&fixture, &server, NULL); /* the port is free now, and known */
    client_config(&client, "127.0.0.1", address.port);
    client.redial = true;
    make_client(&fixture, &side, &client, 1000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    net_fixture_run_for(&fixture, 190);
    DURE_CHECK_EQ(side.connect_failed, 1);
    net_fixture_run_for(&fixture, 120); /* 250 ms +-20 % */
    DURE_CHECK_EQ(side.connect_failed, 2);
    net_fixture_run_for(&fixture, 1500);
    DURE_CHECK(side.connect_failed >= 4);
    DURE_CHECK(side.connect_failed <= 5);

    dure_service_config config;
    net_side again = {0};
    net_side_config(&fixture, &again, &config);
    DURE_REQUIRE_OK(dure_server_service_create(&config, &address, &again.service));
    DURE_REQUIRE_OK(dure_service_start(again.service));
    NET_RUN_UNTIL(&fixture, side.connected == 1 && again.connected == 1);

    /* Connected: the next pause is the first one again. */
    dure_session_abort(again.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&fixture, side.disconnected == 1);
    net_fixture_run_for(&fixture, 310);
    DURE_CHECK_EQ(side.connected, 2);
    net_sides_end(&fixture, &side, &again);
    net_fixture_close(&fixture);
}

/* The server ends the connection; how long the client waits before the next one, in ms. */
static uint64_t pause_after_end(net_fixture *fixture, net_side *side, net_side *server)
{
    unsigned connected = side->connected;
    dure_session_disconnect(server->session, DURE_ERR_REFUSED);
    NET_RUN_UNTIL(fixture, side->disconnected == connected);
    uint64_t begin_ms = dure_iocp_core_now_ms(fixture->core);
    NET_RUN_UNTIL(fixture, side->connected == connected + 1 && server->connected == connected + 1);
    return dure_iocp_core_now_ms(fixture->core) - begin_ms;
}

static void the_user_confirms_and_holds_off(void)
{
    net_fixture fixture;
    net_side side = {0};
    net_side server = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    client_config(&client, "127.0.0.1", address.port);
    client.redial = true;
    client.confirm_by_user = true;
    client.backoff.jitter_percent = 0;
    make_client(&fixture, &side, &client, 1000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    NET_RUN_UNTIL(&fixture, side.connected == 1 && server.connected == 1);
    DURE_CHECK_EQ(pause_after_end(&fixture, &side, &server), 250);
    DURE_CHECK_EQ(pause_after_end(&fixture, &side, &server), 400); /* unconfirmed: it grows */
    dure_client_service_confirm(side.session);
    DURE_CHECK_EQ(pause_after_end(&fixture, &side, &server), 250);
    dure_client_service_hold_off(side.session, 20000);
    DURE_CHECK_EQ(pause_after_end(&fixture, &side, &server), 20000);
    DURE_CHECK_EQ(pause_after_end(&fixture, &side, &server), 640); /* once */
    net_sides_end(&fixture, &side, &server);
    net_fixture_close(&fixture);
}

typedef struct test_caller {
    dure_iocp_object object;
    dure_iocp_event post;
    dure_session *session;
} test_caller;

static void caller_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_session *session = DURE_CONTAINER_OF(object, test_caller, object)->session;
    (void)event;
    dure_client_service_hold_off(session, 20000);
    DURE_CHECK_OK(dure_session_connect(session));
    dure_session_abort(session, DURE_ERR_CANCELLED);
}

static void caller_keep(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops caller_ops = {caller_dispatch, caller_keep};

/* Dialled by the user and given up in one round, while the timer of the redial that this took back
 * has not come back: the pause that follows is the one that was asked for. */
static void a_life_of_one_round_keeps_its_pause(void)
{
    net_fixture fixture;
    net_side side = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    client_config(&client, "localhost", 9);
    client.redial = true;
    client.backoff.jitter_percent = 0;
    make_client(&fixture, &side, &client, 0); /* nothing else of a life is pending then */
    DURE_REQUIRE_OK(dure_service_start(side.service));
    NET_RUN_UNTIL(&fixture, side.connect_failed == 1);
    net_fixture_run_for(&fixture, 100); /* of 250 */
    test_caller caller = {.session = dure_client_service_session(side.service, 0)};
    dure_iocp_object_init(&caller.object, fixture.core, &caller_ops);
    dure_iocp_event_init(&caller.post, &caller.object, DURE_IOCP_POST);
    dure_iocp_post(fixture.core, &caller.post);
    NET_RUN_UNTIL(&fixture, side.connect_failed == 2);
    DURE_CHECK_ERR(side.cause, DURE_ERR_CANCELLED);
    net_fixture_run_for(&fixture, 19900);
    DURE_CHECK_EQ(side.connect_failed, 2);
    net_fixture_run_for(&fixture, 200);
    DURE_CHECK_EQ(side.connect_failed, 3);
    net_fixture_run_for(&fixture, 500); /* 250, 400, 640: each was taken once */
    DURE_CHECK_EQ(side.connect_failed, 3);
    net_fixture_run_for(&fixture, 150);
    DURE_CHECK_EQ(side.connect_failed, 4);
    net_sides_end(&fixture, &side, NULL);
    net_fixture_close(&fixture);
}

static void sessions_wait_for_their_user_where_asked_to(void)
{
    net_fixture fixture;
    net_side side = {0};
    net_side server = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    client_config(&client, "127.0.0.1", address.port);
    client.connect_at_start = false;
    client.session_count = 2;
    make_client(&fixture, &side, &client, 1000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    DURE_CHECK_ERR(dure_service_start(side.service), DURE_ERR_STATE);
    net_fixture_run_for(&fixture, 1000);
    DURE_CHECK_EQ(side.connected, 0);
    dure_session *session = dure_client_service_session(side.service, 1);
    DURE_CHECK(dure_client_service_session(side.service, 2) == NULL);
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_IDLE);
    DURE_CHECK_OK(dure_session_connect(session));
    DURE_CHECK_ERR(dure_session_connect(session), DURE_ERR_STATE);
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_CONNECTING);
    NET_RUN_UNTIL(&fixture, side.connected == 1);
    DURE_CHECK(side.session == session);
    net_sides_end(&fixture, &side, &server);
    net_fixture_close(&fixture);
}

static void a_disconnect_while_connecting_is_a_failed_connect(void)
{
    net_fixture fixture;
    net_side side = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    client_config(&client, NET_SILENT_HOST, 9);
    make_client(&fixture, &side, &client, 60000);
    DURE_REQUIRE_OK(dure_service_start(side.service));
    net_fixture_run_for(&fixture, 100);
    dure_session *session = dure_client_service_session(side.service, 0);
    dure_session_disconnect(session, DURE_ERR_CANCELLED);
    dure_session_disconnect(session, DURE_ERR_IDLE);
    DURE_CHECK_EQ(side.connect_failed, 0);
    NET_RUN_UNTIL(&fixture, side.connect_failed == 1);
    DURE_CHECK_ERR(side.cause, DURE_ERR_CANCELLED);
    net_sides_end(&fixture, &side, NULL);
    DURE_CHECK_EQ(side.connect_failed, 1);
    net_fixture_close(&fixture);
}

static void it_ends_from_every_state(void)
{
    /* never started; dialling a name; connecting; in a redial's pause */
    static const struct {
        const char *host;
        bool is_started;
        uint32_t run_ms;
    } rows[] = {{"127.0.0.1", false, 0},
                {"localhost", true, 0},
                {NET_SILENT_HOST, true, 50},
                {"127.0.0.1", true, 50}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        net_fixture fixture;
        net_side side = {0};
        dure_client_service_config client;
        DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
        client_config(&client, rows[i].host, 9);
        client.redial = true;
        client.session_count = 3;
        make_client(&fixture, &side, &client, 60000);
        if (rows[i].is_started) {
            DURE_REQUIRE_OK(dure_service_start(side.service));
            net_fixture_run_for(&fixture, rows[i].run_ms);
        }
        net_sides_end(&fixture, &side, NULL);
        DURE_CHECK_EQ(side.connect_failed, rows[i].is_started ? 3 : 0);
        net_fixture_close(&fixture);
    }
}

static void a_service_that_never_started_is_just_destroyed(void)
{
    net_fixture fixture;
    net_side side = {0};
    dure_client_service_config client;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    client_config(&client, "localhost", 9);
    make_client(&fixture, &side, &client, 1000);
    DURE_CHECK(dure_service_can_start(side.service));
    dure_service_destroy(side.service);
    dure_service_destroy(NULL);
    net_fixture_close(&fixture);
}

static void making_one_without_memory_holds_nothing(void)
{
    net_fixture fixture;
    net_side side = {0};
    dure_service_config config;
    dure_client_service_config client;
    dure_net_address address;
    size_t failures = 0;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &side, &config);
    client_config(&client, "localhost", 9);
    client.session_count = 3;
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &address));
    for (size_t n = 1; n < 20; n++) {
        for (int kind = 0; kind < 2; kind++) {
            side.service = NULL;
            dure_mem_fail_nth(n);
            dure_err err = kind == 0 ? dure_client_service_create(&config, &client, &side.service)
                                     : dure_server_service_create(&config, &address, &side.service);
            dure_mem_fail_nth(0);
            DURE_CHECK(err == DURE_OK || err == DURE_ERR_NO_MEMORY);
            DURE_CHECK((err == DURE_OK) == (side.service != NULL));
            failures += err != DURE_OK;
            dure_service_destroy(side.service);
        }
    }
    DURE_CHECK(failures >= 6);
    net_fixture_close(&fixture);
}

static void impossible_configs_are_refused(void)
{
    net_fixture fixture;
    net_side side = {0};
    dure_service_config config;
    dure_client_service_config client;
    dure_session_handlers incomplete = net_side_handlers;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &side, &config);
    client_config(&client, "", 9);
    DURE_CHECK_ERR(dure_client_service_create(&config, &client, &side.service), DURE_ERR_INVALID);
    client_config(&client, "localhost", 0);
    DURE_CHECK_ERR(dure_client_service_create(&config, &client, &side.service), DURE_ERR_INVALID);
    client_config(&client, "localhost", 9);
    client.session_count = 0;
    DURE_CHECK_ERR(dure_client_service_create(&config, &client, &side.service), DURE_ERR_INVALID);
    client_config(&client, "localhost", 9);
    incomplete.on_sent = NULL;
    config.handlers = &incomplete;
    DURE_CHECK_ERR(dure_client_service_create(&config, &client, &side.service), DURE_ERR_INVALID);
    config.handlers = &net_side_handlers;
    config.core_count = 0;
    DURE_CHECK_ERR(dure_client_service_create(&config, &client, &side.service), DURE_ERR_INVALID);
    net_fixture_close(&fixture);
}

DURE_SUITE(net_client_service, DURE_TEST(a_failed_connect_is_told_with_its_cause),
           DURE_TEST(a_name_leads_to_a_connection),
           DURE_TEST(it_redials_with_growing_pauses_until_somebody_is_there),
           DURE_TEST(the_user_confirms_and_holds_off),
           DURE_TEST(a_life_of_one_round_keeps_its_pause),
           DURE_TEST(sessions_wait_for_their_user_where_asked_to),
           DURE_TEST(a_disconnect_while_connecting_is_a_failed_connect),
           DURE_TEST(it_ends_from_every_state),
           DURE_TEST(a_service_that_never_started_is_just_destroyed),
           DURE_TEST(making_one_without_memory_holds_nothing),
           DURE_TEST(impossible_configs_are_refused));
