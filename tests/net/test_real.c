/* SPDX-License-Identifier: MIT
 *
 * The promises of test_session.c that a kernel could break, once more on real sockets of the
 * loopback: on epoll and, where it is to be had, on io_uring; on Windows on its completion port.
 */
#include "net/listener.h"
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

/* ---- a reader that takes a little at a time ---- */

#define READER_BUFFER 4096

/* The accepting side without a session: it reads when it is told to, and then little. */
typedef struct slow_reader {
    dure_iocp_object object;
    dure_iocp_event recv;
    dure_iocp_socket *socket;
    size_t received_bytes;
    bool is_listener_closed;
} slow_reader;

static void reader_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    slow_reader *reader = DURE_CONTAINER_OF(object, slow_reader, object);
    reader->received_bytes += event->bytes;
    dure_iocp_cancel(event); /* enough for now */
}

static void reader_keep(dure_iocp_object *object)
{
    (void)object;
}

static const dure_iocp_object_ops reader_ops = {reader_dispatch, reader_keep};

static void reader_accept(void *ctx, dure_iocp_socket *socket)
{
    slow_reader *reader = ctx;
    DURE_CHECK_OK(dure_iocp_socket_set(socket, DURE_IOCP_OPTION_RECV_BUFFER, READER_BUFFER));
    reader->socket = socket;
}

static void reader_on_pause(void *ctx, dure_err cause)
{
    (void)ctx;
    DURE_CHECK_ERR(cause, DURE_OK);
}

static void reader_on_closed(void *ctx)
{
    ((slow_reader *)ctx)->is_listener_closed = true;
}

static dure_listener *reader_listen(net_fixture *fixture, slow_reader *reader,
                                    dure_net_address *out_address)
{
    dure_listener_config config = {
        .core = fixture->core,
        .name = "reader",
        .backlog = 4,
        .on_accept = reader_accept,
        .on_pause = reader_on_pause,
        .on_closed = reader_on_closed,
        .ctx = reader,
    };
    dure_listener *listener = NULL;
    dure_iocp_object_init(&reader->object, fixture->core, &reader_ops);
    dure_iocp_event_init(&reader->recv, &reader->object, DURE_IOCP_RECV);
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &config.address));
    DURE_REQUIRE_OK(dure_listener_create(&config, &listener));
    DURE_REQUIRE_OK(dure_listener_open(listener));
    DURE_REQUIRE_OK(dure_listener_address(listener, out_address));
    return listener;
}

static void reader_read_a_little(net_fixture *fixture, slow_reader *reader)
{
    if (!dure_iocp_event_is_active(&reader->recv)) {
        DURE_CHECK_OK(dure_iocp_recv(reader->socket, &reader->recv));
    }
    net_fixture_run_for(fixture, 30);
}

/* Something always waits: where the system takes much (Windows keeps no UNSENT_BYTES), more
 * follows. */
static bool client_ended(const net_side *client)
{
    static uint8_t data[1000000];
    if (client->disconnected == 0 && dure_session_send_queue_bytes(client->session) == 0) {
        DURE_CHECK_OK(dure_session_send(client->session, data, sizeof data));
    }
    return client->disconnected == 1;
}

/*
 * Bytes leave all the time, though one send takes longer than a stall may; when the reader stops,
 * the session ends. What the kernels hold between is kept small on both sides.
 */
static void cut_who_stops_and_not_who_is_slow(dure_backend_choice backend)
{
    net_fixture fixture;
    net_side client = {0};
    slow_reader reader = {0};
    dure_service_config config;
    dure_net_address address;
    if (!net_fixture_open(&fixture, backend)) {
        return;
    }
    dure_listener *listener = reader_listen(&fixture, &reader, &address);
    net_side_config(&fixture, &client, &config);
    config.write_stall_ms = 500;
    config.unsent_bytes_max = 16384;
    net_side_dial(&fixture, &client, &config, &address, 1);
    NET_RUN_UNTIL(&fixture, client.connected == 1 && reader.socket != NULL);
    uint64_t begin_ms = dure_iocp_core_now_ms(fixture.core);
    /* Windows tells when a piece has left and not how far it is: how slow is too slow is its own.
     */
    const uint32_t slow_ms = backend == DURE_BACKEND_WIN32 ? 0 : 1500;
    while (dure_iocp_core_now_ms(fixture.core) - begin_ms < slow_ms && !client_ended(&client)) {
        reader_read_a_little(&fixture, &reader);
    }
    DURE_CHECK_EQ(client.disconnected, 0);
    NET_RUN_UNTIL(&fixture, client_ended(&client));
    DURE_CHECK_ERR(client.cause, DURE_ERR_SLOW);
    dure_iocp_socket_close(reader.socket);
    dure_listener_close(listener);
    NET_RUN_UNTIL(&fixture, reader.is_listener_closed && !dure_iocp_event_is_active(&reader.recv));
    dure_listener_destroy(listener);
    net_sides_end(&fixture, &client, NULL);
    net_fixture_close(&fixture);
}

static void run_all(dure_backend_choice backend)
{
    bring_all_that_was_queued(backend);
    reset_on_abort(backend);
    close_with_operations_pending(backend);
    tell_a_refused_connect(backend);
    pause_and_resume(backend);
    live_many_lives(backend);
    cut_who_stops_and_not_who_is_slow(backend);
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
