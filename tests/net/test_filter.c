/* SPDX-License-Identifier: MIT
 *
 * The place of TLS and WebSocket: a filter that greets, turns every bit on the wire and refuses
 * what is not its own, between sessions that know nothing of it.
 */
#include "base/mem.h"
#include "net/filter.h"
#include "net_fixture.h"

#define GREETING 0x42u
#define MASK     0xffu

typedef struct xor_filter {
    dure_filter base;
    bool is_greeted;
    unsigned *alive;
} xor_filter;

static dure_err xor_copy(const uint8_t *data, size_t len, dure_buf *out)
{
    uint8_t *room = NULL;
    dure_err err = dure_buf_reserve(out, len, &room);
    if (err != DURE_OK) {
        return err;
    }
    for (size_t i = 0; i < len; i++) {
        room[i] = (uint8_t)(data[i] ^ MASK);
    }
    out->len += len;
    return DURE_OK;
}

static dure_err xor_on_wire(dure_filter *base, const uint8_t *data, size_t len, dure_buf *out_plain,
                            dure_buf *out_wire)
{
    xor_filter *filter = DURE_CONTAINER_OF(base, xor_filter, base);
    (void)out_wire;
    if (!filter->is_greeted) {
        if (data[0] != GREETING) {
            return DURE_ERR_PROTOCOL;
        }
        filter->is_greeted = true;
        data++;
        len--;
    }
    return len > 0 ? xor_copy(data, len, out_plain) : DURE_OK;
}

static dure_err xor_on_plain(dure_filter *base, const uint8_t *data, size_t len, dure_buf *out_wire)
{
    (void)base;
    return xor_copy(data, len, out_wire);
}

static dure_err xor_on_open(dure_filter *base, dure_buf *out_wire)
{
    const uint8_t greeting = GREETING;
    (void)base;
    return dure_buf_append(out_wire, &greeting, 1);
}

static int xor_is_ready(const dure_filter *base)
{
    return ((const xor_filter *)(const void *)base)->is_greeted;
}

static void xor_destroy(dure_filter *base)
{
    xor_filter *filter = DURE_CONTAINER_OF(base, xor_filter, base);
    (*filter->alive)--;
    dure_mem_free(filter);
}

static dure_err xor_create(void *ctx, int is_server, dure_filter **out_filter)
{
    (void)is_server;
    xor_filter *filter = dure_mem_alloc(sizeof *filter);
    if (filter == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    filter->base.on_wire = xor_on_wire;
    filter->base.on_plain = xor_on_plain;
    filter->base.on_open = xor_on_open;
    filter->base.is_ready = xor_is_ready;
    filter->base.destroy = xor_destroy;
    filter->alive = ctx;
    (*filter->alive)++;
    *out_filter = &filter->base;
    return DURE_OK;
}

/* Of each message one byte goes out. */
static dure_err shrink_on_plain(dure_filter *base, const uint8_t *data, size_t len,
                                dure_buf *out_wire)
{
    (void)base;
    return len > 0 ? xor_copy(data, 1, out_wire) : DURE_OK;
}

static dure_err shrink_create(void *ctx, int is_server, dure_filter **out_filter)
{
    const dure_err err = xor_create(ctx, is_server, out_filter);
    if (err == DURE_OK) {
        (*out_filter)->on_plain = shrink_on_plain;
    }
    return err;
}

/* What left is told in bytes of the user, and never as too few of them. */
static void what_a_filter_shrinks_has_left_all_the_same(void)
{
    static const uint8_t message[100];
    net_fixture fixture;
    net_side server = {.is_filtered = true};
    net_side client = {.is_filtered = true};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = shrink_create, .ctx = &alive};
    dure_service_config server_config;
    dure_service_config client_config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &server_config);
    net_side_config(&fixture, &client, &client_config);
    server_config.filter = &factory;
    client_config.filter = &factory;
    dure_net_address address = net_side_serve(&fixture, &server, &server_config);
    net_side_dial(&fixture, &client, &client_config, &address, 1);
    NET_RUN_UNTIL(&fixture, client.session != NULL && dure_session_is_connected(client.session));
    DURE_CHECK_OK(dure_session_send(client.session, message, sizeof message));
    NET_RUN_UNTIL(&fixture, server.received_bytes == 1);
    DURE_CHECK_EQ(dure_session_handed_bytes(client.session), sizeof message);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

static void both_ends_speak_through_it(void)
{
    net_fixture fixture;
    net_side server = {.echoes = true, .is_filtered = true};
    net_side client = {.greeting = "Hello World!", .is_filtered = true};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = xor_create, .ctx = &alive};
    dure_service_config server_config;
    dure_service_config client_config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &server_config);
    net_side_config(&fixture, &client, &client_config);
    server_config.filter = &factory;
    client_config.filter = &factory;
    dure_net_address address = net_side_serve(&fixture, &server, &server_config);
    net_side_dial(&fixture, &client, &client_config, &address, 2);
    NET_RUN_UNTIL(&fixture, client.received_bytes == 24);
    DURE_CHECK_BYTES(client.received, 12, "Hello World!", 12);
    uint8_t *room = NULL;
    DURE_CHECK_OK(dure_session_reserve(client.session, 64, &room));
    memcpy(room, "more", 4);
    dure_session_commit(client.session, 4);
    NET_RUN_UNTIL(&fixture, client.received_bytes == 28);
    DURE_CHECK_BYTES(client.received + 24, 4, "more", 4);
    DURE_CHECK_EQ(alive, 4);
    net_sides_end(&fixture, &client, &server);
    DURE_CHECK_EQ(alive, 0);
    net_fixture_close(&fixture);
}

static void a_plain_server_sees_what_is_on_the_wire(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = xor_create, .ctx = &alive};
    dure_service_config config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &client, &config);
    config.filter = &factory;
    config.connect_ms = 700;
    dure_net_address address = net_side_serve(&fixture, &server, NULL);
    net_side_dial(&fixture, &client, &config, &address, 1);
    NET_RUN_UNTIL(&fixture, server.received_bytes == 1);
    DURE_CHECK_EQ(server.received[0], GREETING);
    /* Nobody greets back: the handshake is part of connecting, and of its time. */
    NET_RUN_UNTIL(&fixture, client.connect_failed == 1);
    DURE_CHECK_ERR(client.cause, DURE_ERR_TIMED_OUT);
    DURE_CHECK_EQ(client.connected, 0);
    net_sides_end(&fixture, &client, &server);
    DURE_CHECK_EQ(alive, 0);
    net_fixture_close(&fixture);
}

static void a_handshake_that_does_not_come_ends_a_servers_session_too(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {0};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = xor_create, .ctx = &alive};
    dure_service_config config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &config);
    config.filter = &factory;
    config.connect_ms = 700;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, client.connected == 1);
    net_fixture_run_for(&fixture, 600);
    DURE_CHECK_EQ(client.disconnected, 0);
    net_fixture_run_for(&fixture, 200);
    DURE_CHECK_EQ(client.disconnected, 1);
    DURE_CHECK_EQ(server.connected, 0);
    DURE_CHECK_EQ(alive, 0);
    net_sides_end(&fixture, &client, &server);
    net_fixture_close(&fixture);
}

static void what_it_refuses_ends_the_session(void)
{
    net_fixture fixture;
    net_side server = {0};
    net_side client = {.greeting = "not the greeting"};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = xor_create, .ctx = &alive};
    dure_service_config config;
    DURE_REQUIRE(net_fixture_open(&fixture, DURE_BACKEND_SIM));
    net_side_config(&fixture, &server, &config);
    config.filter = &factory;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, client.disconnected == 1);
    DURE_CHECK_EQ(server.connected, 0); /* its user never saw it */
    DURE_CHECK_EQ(server.disconnected, 0);
    DURE_CHECK_EQ(server.connect_failed, 0);
    net_sides_end(&fixture, &client, &server);
    DURE_CHECK_EQ(alive, 0);
    net_fixture_close(&fixture);
}

/* A handshake's last flight, larger than what a peer that reads nothing has room for. */
static dure_err long_on_open(dure_filter *base, dure_buf *out_wire)
{
    static const uint8_t flight[65536];
    (void)base;
    return dure_buf_append(out_wire, flight, sizeof flight);
}

static dure_err long_create(void *ctx, int is_server, dure_filter **out_filter)
{
    const dure_err err = xor_create(ctx, is_server, out_filter);
    if (err == DURE_OK) {
        (*out_filter)->on_open = long_on_open;
    }
    return err;
}

/* The peer is connected by what it said, and takes nothing of what was sent while it was not. */
static void a_write_that_began_in_the_handshake_stalls_like_any_other(void)
{
    net_fixture fixture;
    net_side server = {.is_filtered = true};
    net_side client = {.greeting = "B", .pauses_at_once = true};
    unsigned alive = 0;
    dure_filter_factory factory = {.create = long_create, .ctx = &alive};
    dure_service_config config;
    DURE_CHECK_EQ(client.greeting[0], GREETING);
    DURE_REQUIRE(net_fixture_open_windowed(&fixture, 16384));
    net_side_config(&fixture, &server, &config);
    config.filter = &factory;
    config.write_stall_ms = 2000;
    dure_net_address address = net_side_serve(&fixture, &server, &config);
    net_side_dial(&fixture, &client, NULL, &address, 1);
    NET_RUN_UNTIL(&fixture, server.connected == 1);
    net_fixture_run_for(&fixture, 1900);
    DURE_CHECK_EQ(server.disconnected, 0);
    net_fixture_run_for(&fixture, 700);
    DURE_CHECK_EQ(server.disconnected, 1);
    DURE_CHECK_ERR(server.cause, DURE_ERR_SLOW);
    net_sides_end(&fixture, &client, &server);
    DURE_CHECK_EQ(alive, 0);
    net_fixture_close(&fixture);
}

DURE_SUITE(net_filter, DURE_TEST(both_ends_speak_through_it),
           DURE_TEST(what_a_filter_shrinks_has_left_all_the_same),
           DURE_TEST(a_plain_server_sees_what_is_on_the_wire),
           DURE_TEST(a_handshake_that_does_not_come_ends_a_servers_session_too),
           DURE_TEST(what_it_refuses_ends_the_session),
           DURE_TEST(a_write_that_began_in_the_handshake_stalls_like_any_other));
