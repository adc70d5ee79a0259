/* SPDX-License-Identifier: MIT
 *
 * A listener goes on whatever the system says: it pauses and comes back.
 */
#include "net/listener.h"
#include "net_fixture.h"

typedef struct test_door {
    unsigned accepted;
    unsigned pauses;
    dure_err pause_cause;
    unsigned closed;
} test_door;

static void on_accept(void *ctx, dure_iocp_socket *socket)
{
    test_door *door = ctx;
    door->accepted++;
    dure_iocp_socket_close(socket);
}

static void on_pause(void *ctx, dure_err cause)
{
    test_door *door = ctx;
    door->pauses++;
    door->pause_cause = cause;
}

static void on_closed(void *ctx)
{
    test_door *door = ctx;
    door->closed++;
}

static dure_listener *listener_on(dure_iocp_core *core, test_door *door, const char *address)
{
    dure_listener_config config = {
        .core = core,
        .name = "door",
        .backlog = 16,
        .pause_first_ms = 10,
        .pause_max_ms = 1000,
        .on_accept = on_accept,
        .on_pause = on_pause,
        .on_closed = on_closed,
        .ctx = door,
    };
    dure_listener *listener = NULL;
    DURE_REQUIRE_OK(dure_net_address_parse(address, &config.address));
    DURE_REQUIRE_OK(dure_listener_create(&config, &listener));
    return listener;
}

static void it_tells_its_port_and_its_end(void)
{
    net_fixture fixture;
    test_door door = {0};
    net_side client = {0};
    dure_net_address address;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    dure_listener *listener = listener_on(fixture.core, &door, "127.0.0.1:0");
    DURE_CHECK_ERR(dure_listener_address(listener, &address), DURE_ERR_STATE);
    DURE_REQUIRE_OK(dure_listener_open(listener));
    DURE_REQUIRE_OK(dure_listener_address(listener, &address));
    DURE_CHECK(address.port != 0);
    net_side_dial(&fixture, &client, NULL, &address, 3);
    NET_RUN_UNTIL(&fixture, door.accepted == 3);
    dure_listener_close(listener);
    dure_listener_close(listener);
    DURE_CHECK_EQ(door.closed, 0);
    NET_RUN_UNTIL(&fixture, door.closed == 1);
    DURE_CHECK(!dure_listener_is_open(listener));
    dure_listener_destroy(listener);
    net_sides_end(&fixture, &client, NULL);
    DURE_CHECK_EQ(door.pauses, 0);
    net_fixture_close(&fixture);
}

static void a_taken_port_is_an_error_and_nothing_is_held(dure_backend_choice backend)
{
    net_fixture fixture;
    test_door door = {0};
    dure_net_address address;
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    DURE_REQUIRE(net_fixture_open(&fixture, backend));
    dure_listener *first = listener_on(fixture.core, &door, "127.0.0.1:0");
    DURE_REQUIRE_OK(dure_listener_open(first));
    DURE_REQUIRE_OK(dure_listener_address(first, &address));
    dure_listener *second =
        listener_on(fixture.core, &door, dure_net_address_print(&address, text));
    DURE_CHECK_ERR(dure_listener_open(second), DURE_ERR_ADDRESS_IN_USE);
    dure_listener_close(first);
    NET_RUN_UNTIL(&fixture, door.closed == 1);
    DURE_CHECK_OK(dure_listener_open(second)); /* free again at once */
    dure_listener_close(second);
    NET_RUN_UNTIL(&fixture, door.closed == 2);
    dure_listener_destroy(first);
    dure_listener_destroy(second);
    net_fixture_close(&fixture);
}

static void a_taken_port_is_told_on_sim(void)
{
    a_taken_port_is_an_error_and_nothing_is_held(DURE_BACKEND_SIM);
}

static void a_taken_port_is_told_by_the_system(void)
{
    a_taken_port_is_an_error_and_nothing_is_held(DURE_BACKEND_AUTO);
}

/* The server's core has room for its listener and two connections; four clients want in. */
static void without_descriptors_it_pauses_and_comes_back(void)
{
    net_fixture fixture;
    net_fixture clients;
    net_side server = {0};
    net_side client = {.connects_again = true};
    dure_service_counters counters;
    DURE_REQUIRE(net_fixture_open_limited(&fixture, DURE_BACKEND_SIM, 3));
    clients = fixture;
    DURE_REQUIRE(net_fixture_add_core(&clients));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&clients, &client, NULL, &address, 4);
    NET_RUN_UNTIL(&fixture, server.connected == 2);
    net_fixture_run_for(&fixture, 5000);
    dure_service_counters_of(server.service, &counters);
    DURE_CHECK(counters.accept_pauses >= 3); /* 10 ms, doubling */
    DURE_CHECK(counters.accept_pauses < 40); /* to 1 s: no spinning */
    DURE_CHECK_EQ(server.connected, 2);
    dure_session_disconnect(server.session, DURE_ERR_IDLE);
    NET_RUN_UNTIL(&fixture, server.connected == 3); /* the next one comes in */
    net_sides_end(&clients, &client, NULL);
    net_sides_end(&fixture, &server, NULL);
    net_fixture_drop_core(&clients);
    net_fixture_close(&fixture);
}

static unsigned pauses_of(const net_side *server)
{
    dure_service_counters counters;
    dure_service_counters_of(server->service, &counters);
    return (unsigned)counters.accept_pauses;
}

/* One that comes in ends the doubling: the next trouble begins with the first pause. */
static void a_pause_is_short_again_after_an_accept(void)
{
    net_fixture fixture;
    net_fixture clients;
    net_side server = {0};
    net_side client = {.connects_again = true};
    DURE_REQUIRE(net_fixture_open_limited(&fixture, DURE_BACKEND_SIM, 2));
    clients = fixture;
    DURE_REQUIRE(net_fixture_add_core(&clients));
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&clients, &client, NULL, &address, 8);
    NET_RUN_UNTIL(&fixture, server.connected == 1);
    net_fixture_run_for(&fixture, 5000); /* the pauses are a second long by now */
    unsigned before = pauses_of(&server);
    net_fixture_run_for(&fixture, 3000);
    DURE_CHECK(pauses_of(&server) - before <= 4);
    unsigned connected = server.connected;
    dure_session_abort(server.session, DURE_ERR_IDLE);
    NET_RUN_UNTIL(&fixture, server.connected > connected);
    before = pauses_of(&server);
    net_fixture_run_for(&fixture, 200); /* 10, 20, 40, 80 ms */
    DURE_CHECK(pauses_of(&server) - before >= 3);
    net_sides_end(&clients, &client, NULL);
    net_sides_end(&fixture, &server, NULL);
    net_fixture_drop_core(&clients);
    net_fixture_close(&fixture);
}

static void closing_during_a_pause_ends_it(void)
{
    net_fixture fixture;
    net_fixture clients;
    net_side server = {0};
    net_side client = {0};
    dure_service_config config;
    DURE_REQUIRE(net_fixture_open_limited(&fixture, DURE_BACKEND_SIM, 1));
    clients = fixture;
    DURE_REQUIRE(net_fixture_add_core(&clients));
    net_side_config(&fixture, &server, &config);
    config.accept_pause_first_ms = 50000;
    config.accept_pause_max_ms = 50000;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_dial(&clients, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, pauses_of(&server) == 1);
    uint64_t begin_ms = dure_iocp_core_now_ms(fixture.core);
    net_sides_end(&fixture, &server, NULL);
    DURE_CHECK(dure_iocp_core_now_ms(fixture.core) - begin_ms < 1000);
    net_sides_end(&clients, &client, NULL);
    net_fixture_drop_core(&clients);
    net_fixture_close(&fixture);
}

DURE_SUITE(net_listener, DURE_TEST(it_tells_its_port_and_its_end),
           DURE_TEST(a_taken_port_is_told_on_sim), DURE_TEST(a_taken_port_is_told_by_the_system),
           DURE_TEST(without_descriptors_it_pauses_and_comes_back),
           DURE_TEST(a_pause_is_short_again_after_an_accept),
           DURE_TEST(closing_during_a_pause_ends_it));
