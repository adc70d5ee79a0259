/* SPDX-License-Identifier: MIT
 *
 * The fault proxy does what its words say and loses, doubles or reorders no byte meanwhile: with
 * the simulated clock where times count, and on the system's sockets where only the outcome does.
 */
#include "harness/fault_proxy.h"
#include "net/net_fixture.h"

#define PATTERN_BYTES 4096u

typedef struct rig {
    net_fixture fixture;
    net_side server;
    net_side client;
    dure_net_address address; /* the proxy's */
    dure_fault_proxy *proxy;
    bool is_proxy_closed;
} rig;

static void rig_on_closed(void *ctx)
{
    ((rig *)ctx)->is_proxy_closed = true;
}

static void rig_command(rig *r, const char *line)
{
    DURE_CHECK_OK(dure_fault_proxy_command(r->proxy, line));
}

static bool rig_open(rig *r, dure_backend_choice backend)
{
    memset(r, 0, sizeof *r);
    if (!net_fixture_open(&r->fixture, backend)) {
        printf("(not to be had here) ");
        return false;
    }
    dure_fault_proxy_config config = {.core = r->fixture.core,
                                      .name = "proxy",
                                      .to = net_side_serve(&r->fixture, &r->server, NULL),
                                      .on_closed = rig_on_closed,
                                      .ctx = r};
    DURE_REQUIRE_OK(dure_net_address_parse("127.0.0.1:0", &config.listen));
    DURE_REQUIRE_OK(dure_fault_proxy_create(&config, &r->proxy));
    DURE_REQUIRE_OK(dure_fault_proxy_open(r->proxy));
    DURE_REQUIRE_OK(dure_fault_proxy_address(r->proxy, &r->address));
    return true;
}

static void rig_dial(rig *r)
{
    net_side_dial(&r->fixture, &r->client, NULL, &r->address, 1);
}

static void rig_connect(rig *r)
{
    rig_dial(r);
    NET_RUN_UNTIL(&r->fixture, r->server.connected == 1 && r->client.connected == 1);
}

static void rig_close(rig *r)
{
    net_sides_end(&r->fixture, &r->client, &r->server);
    dure_fault_proxy_close(r->proxy);
    dure_fault_proxy_close(r->proxy);
    NET_RUN_UNTIL(&r->fixture, r->is_proxy_closed);
    dure_fault_proxy_destroy(r->proxy);
    net_fixture_close(&r->fixture);
}

static void say(net_side *side, const char *text)
{
    DURE_CHECK_OK(dure_session_send(side->session, text, strlen(text)));
}

/* Bytes that tell where each of them belongs. */
static void say_pattern(net_side *side, size_t len)
{
    uint8_t bytes[PATTERN_BYTES];
    DURE_REQUIRE(len <= sizeof bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    DURE_CHECK_OK(dure_session_send(side->session, bytes, len));
}

static void check_pattern(const net_side *side, size_t len)
{
    size_t wrong = 0;
    DURE_CHECK_EQ(side->received_bytes, len);
    for (size_t i = 0; i < len && i < sizeof side->received; i++) {
        wrong += side->received[i] != (uint8_t)(i * 7 + i / 256);
    }
    DURE_CHECK_EQ(wrong, 0);
}

static uint64_t now_ms(const rig *r)
{
    return dure_iocp_core_now_ms(r->fixture.core);
}

/* ---- on every back end ---- */

static void pass(dure_backend_choice backend, const char *fault)
{
    rig r;
    dure_fault_counters counters;
    if (!rig_open(&r, backend)) {
        return;
    }
    r.server.echoes = true;
    if (fault != NULL) {
        rig_command(&r, fault);
    }
    rig_connect(&r);
    say_pattern(&r.client, 500);
    NET_RUN_UNTIL(&r.fixture, r.client.received_bytes == 500);
    check_pattern(&r.server, 500);
    check_pattern(&r.client, 500);
    dure_session_disconnect(r.client.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 1 && r.client.disconnected == 1);
    DURE_CHECK_ERR(r.server.cause, DURE_ERR_PEER_CLOSED);
    dure_fault_proxy_counters(r.proxy, &counters);
    DURE_CHECK_EQ(counters.accepted, 1);
    DURE_CHECK_EQ(counters.bytes[0], 500);
    DURE_CHECK_EQ(counters.bytes[1], 500);
    DURE_CHECK_EQ(counters.held_bytes, 0);
    DURE_CHECK_EQ(counters.resets, 0);
    rig_close(&r);
}

static void bytes_and_ends_pass(void)
{
    static const dure_backend_choice backends[] = {DURE_BACKEND_SIM, DURE_BACKEND_AUTO,
                                                   DURE_BACKEND_EPOLL};
    static const char *const faults[] = {NULL,      "delay 20",  "split 1",   "split 7",
                                         "merge 9", "slow 5000", "slow 70000"};
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        for (size_t j = 0; j < sizeof faults / sizeof faults[0]; j++) {
            pass(backends[i], faults[j]);
        }
    }
}

static void reset_at(dure_backend_choice backend)
{
    rig r;
    dure_fault_counters counters;
    if (!rig_open(&r, backend)) {
        return;
    }
    rig_command(&r, "reset-at 100 to-server");
    rig_connect(&r);
    say_pattern(&r.client, 99);
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 99);
    DURE_CHECK_EQ(r.server.disconnected, 0);
    say_pattern(&r.client, 300);
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 1 && r.client.disconnected == 1);
    DURE_CHECK(r.server.received_bytes <= 100);
    DURE_CHECK_ERR(r.server.cause, DURE_ERR_RESET);
    DURE_CHECK_ERR(r.client.cause, DURE_ERR_RESET);
    dure_fault_proxy_counters(r.proxy, &counters);
    DURE_CHECK_EQ(counters.resets, 1);
    DURE_CHECK_EQ(counters.bytes[0], 100);
    rig_close(&r);
}

static void a_connection_is_reset_at_a_byte(void)
{
    reset_at(DURE_BACKEND_SIM);
    reset_at(DURE_BACKEND_AUTO);
    reset_at(DURE_BACKEND_EPOLL);
}

static void refuse(dure_backend_choice backend)
{
    rig r;
    dure_fault_counters counters;
    if (!rig_open(&r, backend)) {
        return;
    }
    rig_connect(&r);
    rig_command(&r, "cut");
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 1 && r.client.disconnected == 1);
    DURE_REQUIRE_OK(dure_session_connect(r.client.session));
    NET_RUN_UNTIL(&r.fixture, r.client.disconnected + r.client.connect_failed == 2);
    DURE_CHECK_EQ(r.server.connected, 1);
    rig_command(&r, "heal");
    DURE_REQUIRE_OK(dure_session_connect(r.client.session));
    NET_RUN_UNTIL(&r.fixture, r.server.connected == 2);
    dure_fault_proxy_counters(r.proxy, &counters);
    DURE_CHECK_EQ(counters.refused, 1);
    DURE_CHECK_EQ(counters.connections, 1);
    rig_command(&r, "close");
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 2);
    rig_close(&r);
}

static void a_cut_ends_and_refuses_until_it_heals(void)
{
    refuse(DURE_BACKEND_SIM);
    refuse(DURE_BACKEND_AUTO);
    refuse(DURE_BACKEND_EPOLL);
}

/* ---- with the simulated clock ---- */

static void a_delay_is_that_of_the_clock_and_may_change(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_connect(&r);
    rig_command(&r, "delay 500 to-server");
    uint64_t start = now_ms(&r);
    say(&r.client, "late");
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 4);
    DURE_CHECK(now_ms(&r) - start >= 500 && now_ms(&r) - start <= 503);
    start = now_ms(&r);
    say(&r.server, "soon");
    NET_RUN_UNTIL(&r.fixture, r.client.received_bytes == 4);
    DURE_CHECK(now_ms(&r) - start <= 2);
    rig_command(&r, "delay 60000 to-server");
    start = now_ms(&r);
    say(&r.client, "!");
    net_fixture_run_for(&r.fixture, 100);
    DURE_CHECK_EQ(r.server.received_bytes, 4);
    rig_command(&r, "delay 0 to-server");
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 5);
    DURE_CHECK(now_ms(&r) - start <= 150);
    rig_close(&r);
}

static void split_pieces_arrive_one_by_one(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_command(&r, "split 3 to-server");
    rig_connect(&r);
    say_pattern(&r.client, 100);
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 100);
    DURE_CHECK_EQ(r.server.recv_calls, 34);
    check_pattern(&r.server, 100);
    rig_close(&r);
}

static void merged_pieces_arrive_as_one(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_command(&r, "merge 1000");
    rig_connect(&r);
    for (int i = 0; i < 5; i++) {
        say(&r.client, "piece");
        net_fixture_run_for(&r.fixture, 5);
    }
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 25);
    DURE_CHECK(r.server.recv_calls <= 2); /* the five may have met the end of a period */
    rig_close(&r);
}

static void a_slow_way_keeps_its_rate_and_holds_back(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_command(&r, "slow 1000 to-server");
    rig_connect(&r);
    uint64_t start = now_ms(&r);
    say_pattern(&r.client, 4000);
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 4000);
    uint64_t took = now_ms(&r) - start;
    DURE_CHECK(took >= 3800 && took <= 4200);
    check_pattern(&r.server, 4000);
    rig_close(&r);
}

static void silence_keeps_what_comes_and_heals(void)
{
    rig r;
    dure_fault_counters counters;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_connect(&r);
    rig_command(&r, "silent");
    say(&r.client, "there");
    say(&r.server, "back");
    net_fixture_run_for(&r.fixture, 60000);
    DURE_CHECK_EQ(r.server.received_bytes + r.client.received_bytes, 0);
    dure_fault_proxy_counters(r.proxy, &counters);
    DURE_CHECK_EQ(counters.held_bytes, 9);
    dure_session_disconnect(r.client.session, DURE_ERR_CLOSED);
    net_fixture_run_for(&r.fixture, 1000);
    DURE_CHECK_EQ(r.server.disconnected, 0);
    rig_command(&r, "heal");
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 1);
    DURE_CHECK_BYTES(r.server.received, r.server.received_bytes, "there", 5);
    rig_close(&r);
}

static void one_way_silence_leaves_the_other_way(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_connect(&r);
    rig_command(&r, "one-way to-server");
    say(&r.client, "there");
    say(&r.server, "back");
    NET_RUN_UNTIL(&r.fixture, r.client.received_bytes == 4);
    net_fixture_run_for(&r.fixture, 1000);
    DURE_CHECK_EQ(r.server.received_bytes, 0);
    rig_command(&r, "heal");
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 5);
    rig_close(&r);
}

static void silence_dials_nobody_on(void)
{
    rig r;
    dure_fault_counters counters;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_command(&r, "one-way to-client");
    rig_dial(&r);
    NET_RUN_UNTIL(&r.fixture, r.client.connected == 1); /* to the proxy's own port */
    say(&r.client, "hello");
    net_fixture_run_for(&r.fixture, 1000);
    DURE_CHECK_EQ(r.server.connected, 0);
    rig_command(&r, "heal");
    NET_RUN_UNTIL(&r.fixture, r.server.received_bytes == 5);
    rig_command(&r, "silent");
    dure_session_abort(r.client.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&r.fixture, r.client.disconnected == 1);
    DURE_REQUIRE_OK(dure_session_connect(r.client.session));
    NET_RUN_UNTIL(&r.fixture, r.client.connected == 2);
    dure_session_disconnect(r.client.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&r.fixture, r.client.disconnected == 2);
    rig_command(&r, "heal"); /* the first ends as it was ended; of the second nobody hears */
    NET_RUN_UNTIL(&r.fixture, r.server.disconnected == 1);
    DURE_CHECK_ERR(r.server.cause, DURE_ERR_RESET);
    net_fixture_run_for(&r.fixture, 1000);
    DURE_CHECK_EQ(r.server.connected, 1);
    dure_fault_proxy_counters(r.proxy, &counters);
    DURE_CHECK_EQ(counters.connections, 0);
    rig_close(&r);
}

static void a_server_that_is_not_there_resets_the_client(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    net_sides_end(&r.fixture, &r.server, NULL);
    rig_dial(&r);
    NET_RUN_UNTIL(&r.fixture, r.client.disconnected + r.client.connect_failed == 1);
    rig_close(&r);
}

static void its_own_end_ends_what_it_carries(void)
{
    rig r;
    if (!rig_open(&r, DURE_BACKEND_SIM)) {
        return;
    }
    rig_connect(&r);
    rig_command(&r, "silent");
    say(&r.client, "kept");
    net_fixture_run_for(&r.fixture, 10);
    dure_fault_proxy_close(r.proxy);
    NET_RUN_UNTIL(&r.fixture, r.client.disconnected == 1 && r.server.disconnected == 1);
    rig_close(&r);
}

DURE_SUITE(faults_proxy, DURE_TEST(bytes_and_ends_pass), DURE_TEST(a_connection_is_reset_at_a_byte),
           DURE_TEST(a_cut_ends_and_refuses_until_it_heals),
           DURE_TEST(a_delay_is_that_of_the_clock_and_may_change),
           DURE_TEST(split_pieces_arrive_one_by_one), DURE_TEST(merged_pieces_arrive_as_one),
           DURE_TEST(a_slow_way_keeps_its_rate_and_holds_back),
           DURE_TEST(silence_keeps_what_comes_and_heals),
           DURE_TEST(one_way_silence_leaves_the_other_way), DURE_TEST(silence_dials_nobody_on),
           DURE_TEST(a_server_that_is_not_there_resets_the_client),
           DURE_TEST(its_own_end_ends_what_it_carries));
