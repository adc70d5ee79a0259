/* SPDX-License-Identifier: MIT
 *
 * The promises of test_session.c that a kernel could break, once more on real sockets of the
 * loopback: on epoll and, where it is to be had, on io_uring; on Windows on its completion port.
 */
#include "net_fixture.h"

typedef struct real_pair {
    net_fixture fixture;
    net_side server;
    net_side client;
} real_pair;

static bool pair_open(real_pair *pair, dure_backend_choice backend)
{
    memset(pair, 0, sizeof *pair);
    if (!net_fixture_open(&pair->fixture, backend)) {
        return false;
    }
    dure_net_address address = net_side_serve(&pair->fixture, &pair->server, NULL);
    net_side_dial(&pair->fixture, &pair->client, NULL, &address, 1);
    NET_RUN_UNTIL(&pair->fixture, pair->client.connected == 1 && pair->server.connected == 1);
    return true;
}

static void pair_close(real_pair *pair)
{
    net_sides_end(&pair->fixture, &pair->server, &pair->client);
    net_fixture_close(&pair->fixture);
}

static void bring_all_that_was_queued(dure_backend_choice backend)
{
    real_pair pair;
    static uint8_t data[1000000];
    if (!pair_open(&pair, backend)) {
        return;
    }
    DURE_CHECK_OK(dure_session_send(pair.client.session, data, sizeof data));
    dure_session_disconnect(pair.client.session, DURE_ERR_GOAWAY);
    NET_RUN_UNTIL(&pair.fixture, pair.client.disconnected == 1 && pair.server.disconnected == 1);
    DURE_CHECK_EQ(pair.server.received_bytes, sizeof data);
    DURE_CHECK_ERR(pair.server.cause, DURE_ERR_PEER_CLOSED);
    DURE_CHECK_ERR(pair.client.cause, DURE_ERR_GOAWAY);
    pair_close(&pair);
}

static void reset_on_abort(dure_backend_choice backend)
{
    real_pair pair;
    if (!pair_open(&pair, backend)) {
        return;
    }
    dure_session_abort(pair.client.session, DURE_ERR_SLOW);
    NET_RUN_UNTIL(&pair.fixture, pair.client.disconnected == 1 && pair.server.disconnected == 1);
    DURE_CHECK_ERR(pair.server.cause, DURE_ERR_RESET);
    DURE_CHECK_ERR(pair.client.cause, DURE_ERR_SLOW);
    pair_close(&pair);
}

/* Nobody reads, so sends and receives are pending in both directions when the services close. */
static void close_with_operations_pending(dure_backend_choice backend)
{
    real_pair pair;
    static uint8_t data[1000000];
    if (!pair_open(&pair, backend)) {
        return;
    }
    dure_session_pause_recv(pair.server.session);
    dure_session_pause_recv(pair.client.session);
    DURE_CHECK_OK(dure_session_send(pair.client.session, data, sizeof data));
    DURE_CHECK_OK(dure_session_send(pair.server.session, data, sizeof data));
    net_fixture_run_for(&pair.fixture, 5);
    pair_close(&pair);
    DURE_CHECK_EQ(pair.client.disconnected, 1);
    DURE_CHECK_EQ(pair.server.disconnected, 1);
}

static void tell_a_refused_connect(dure_backend_choice backend)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    if (!net_fixture_open(&fixture, backend)) {
        return;
    }
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_sides_end(&fixture, &server, NULL); /* the port is free now */
    net_side_dial(&fixture, &client, NULL, &address, 3);
    NET_RUN_UNTIL(&fixture, client.connect_failed == 3);
    DURE_CHECK_ERR(client.cause, DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_EQ(client.connected, 0);
    net_sides_end(&fixture, &client, NULL);
    net_fixture_close(&fixture);
}

static void pause_and_resume(dure_backend_choice backend)
{
    real_pair pair;
    static uint8_t data[300000];
    if (!pair_open(&pair, backend)) {
        return;
    }
    DURE_CHECK_OK(dure_session_send(pair.client.session, data, sizeof data));
    for (int i = 0; i < 1000 && pair.server.received_bytes < sizeof data; i++) {
        dure_session_pause_recv(pair.server.session);
        (void)dure_iocp_core_run_once(pair.fixture.core, 0);
        dure_session_resume_recv(pair.server.session);
        (void)dure_iocp_core_run_once(pair.fixture.core, 1);
    }
    NET_RUN_UNTIL(&pair.fixture, pair.server.received_bytes == sizeof data);
    pair_close(&pair);
}

static void live_many_lives(dure_backend_choice backend)
{
    real_pair pair;
    if (!pair_open(&pair, backend)) {
        return;
    }
    pair.client.connects_again = true;
    for (unsigned life = 2; life < 30; life++) {
        DURE_CHECK_OK(dure_session_send(pair.client.session, "x", 1));
        if (life % 2 == 0) {
            dure_session_disconnect(pair.client.session, DURE_ERR_CLOSED);
        } else {
            dure_session_abort(pair.client.session, DURE_ERR_CLOSED);
        }
        NET_RUN_UNTIL(&pair.fixture, pair.client.connected == life);
    }
    pair_close(&pair);
    DURE_CHECK_EQ(pair.client.disconnected, 29);
    DURE_CHECK_EQ(pair.server.connected, pair.server.disconnected);
}

static void run_all(dure_backend_choice backend)
{
    bring_all_that_was_queued(backend);
    reset_on_abort(backend);
    close_with_operations_pending(backend);
    tell_a_refused_connect(backend);
    pause_and_resume(backend);
    live_many_lives(backend);
}

static void promises_hold_on_epoll(void)
{
    run_all(DURE_BACKEND_EPOLL);
}

static void promises_hold_on_uring(void)
{
    run_all(DURE_BACKEND_URING);
}

static void promises_hold_on_win32(void)
{
    run_all(DURE_BACKEND_WIN32);
}

DURE_SUITE(net_real, DURE_TEST(promises_hold_on_epoll), DURE_TEST(promises_hold_on_uring),
           DURE_TEST(promises_hold_on_win32));
