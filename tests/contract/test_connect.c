/* SPDX-License-Identifier: MIT
 *
 * Connecting and accepting: every attempt ends once, and what failed never reads as connected.
 */
#include "contract/rig.h"

static void check_connects(const dure_net_address *at)
{
    rig r;
    actor listener;
    actor client;
    actor server;
    dure_net_address from;
    dure_net_address seen;
    rig_open(&r, NULL);
    actor_init(&listener, &r);
    actor_init(&client, &r);
    actor_init(&server, &r);
    dure_net_address address = actor_listen(&listener, at, 16);
    listener.accept_into = &server;
    actor_accept(&listener);
    actor_connect(&client, &address);
    RIG_UNTIL(&r, server.socket != NULL && client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_OK(client.status[DURE_IOCP_CONNECT]);
    DURE_CHECK_OK(dure_iocp_socket_local(client.socket, &from));
    DURE_CHECK_OK(dure_iocp_socket_peer(server.socket, &seen));
    DURE_CHECK(memcmp(&from, &seen, sizeof from) == 0);
    DURE_CHECK_OK(dure_iocp_socket_peer(client.socket, &seen));
    DURE_CHECK_EQ(seen.port, address.port);
    DURE_CHECK_OK(dure_iocp_socket_set(client.socket, DURE_IOCP_OPTION_NODELAY, 1));
    DURE_CHECK_OK(dure_iocp_socket_set(client.socket, DURE_IOCP_OPTION_KEEPALIVE_S, 30));
    dure_err err = dure_iocp_socket_set(client.socket, DURE_IOCP_OPTION_USER_TIMEOUT_MS, 10000);
    DURE_CHECK(err == DURE_OK || err == DURE_ERR_UNSUPPORTED); /* Wine does not have it */
    err = dure_iocp_socket_set(client.socket, DURE_IOCP_OPTION_UNSENT_BYTES, 131072);
    DURE_CHECK(err == DURE_OK || err == DURE_ERR_UNSUPPORTED);
    DURE_CHECK_ERR(dure_iocp_socket_set(client.socket, DURE_IOCP_OPTION_SEND_BUFFER, -1),
                   DURE_ERR_INVALID);
    actor_fini(&server);
    actor_fini(&client);
    actor_fini(&listener);
    DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_CANCELLED);
    rig_close(&r);
}

static void both_ends_know_both_addresses(void)
{
    dure_net_address at = rig_loopback();
    check_connects(&at);
}

static void ipv6_works_the_same(void)
{
    dure_net_address at = {.family = DURE_FAMILY_IPV6};
    at.ip[15] = 1;
    check_connects(&at);
}

static void nobody_there_is_refused(void)
{
    rig r;
    actor client;
    actor listener;
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&client, &r);
    actor_init(&listener, &r);
    dure_net_address address = actor_listen(&listener, &at, 1);
    actor_fini(&listener);
    actor_connect(&client, &address);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_ERR(client.status[DURE_IOCP_CONNECT], DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_ERR(dure_iocp_recv(client.socket, actor_event(&client, DURE_IOCP_RECV)),
                   DURE_ERR_STATE);
    actor_fini(&client);
    rig_close(&r);
}

/* What a machine answers for 2001:db8::1 depends on its routes; it is never a connection. */
static void an_address_without_a_route_never_connects(void)
{
    rig r;
    actor client;
    dure_net_address address = {.family = DURE_FAMILY_IPV6, .port = 9};
    const uint8_t ip[] = {0x20, 0x01, 0x0d, 0xb8};
    rig_open(&r, NULL);
    actor_init(&client, &r);
    memcpy(address.ip, ip, sizeof ip);
    if (rig_is_sim()) {
        dure_net_address no_route = {
            .family = DURE_FAMILY_IPV4, .port = 9, .ip = {198, 51, 100, 1}};
        address = no_route;
    }
    actor_connect(&client, &address);
    rig_run_for(&r, 50);
    dure_iocp_cancel(actor_event(&client, DURE_IOCP_CONNECT));
    RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK(client.status[DURE_IOCP_CONNECT] != DURE_OK);
    if (rig_is_sim()) {
        DURE_CHECK_ERR(client.status[DURE_IOCP_CONNECT], DURE_ERR_UNREACHABLE);
    }
    actor_fini(&client);
    rig_close(&r);
}

static void an_address_that_swallows_times_out(void)
{
    rig r;
    actor client;
    dure_net_address address = {.family = DURE_FAMILY_IPV4, .port = 9, .ip = {192, 0, 2, 1}};
    if (!rig_is_sim()) {
        return; /* it would take the system two minutes */
    }
    rig_open(&r, NULL);
    actor_init(&client, &r);
    actor_connect(&client, &address);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_ERR(client.status[DURE_IOCP_CONNECT], DURE_ERR_TIMED_OUT);
    actor_fini(&client);
    rig_close(&r);
}

#define CROWD 12

/* A listener whose backlog is full does not answer: a black hole on the loopback. */
typedef struct crowd {
    rig rig;
    actor listener;
    actor clients[CROWD];
} crowd;

static void crowd_connect(crowd *c, void (*on_event)(actor *self, dure_iocp_event *event))
{
    dure_net_address at = rig_loopback();
    rig_open(&c->rig, NULL);
    actor_init(&c->listener, &c->rig);
    dure_net_address address = actor_listen(&c->listener, &at, 1);
    for (size_t i = 0; i < CROWD; i++) {
        actor_init(&c->clients[i], &c->rig);
        c->clients[i].on_event = on_event;
        actor_connect(&c->clients[i], &address);
    }
}

/* Each connect completes once, and those without an answer were cancelled. */
static void crowd_end(crowd *c)
{
    uint32_t cancelled = 0;
    for (size_t i = 0; i < CROWD; i++) {
        actor *client = &c->clients[i];
        RIG_UNTIL(&c->rig, client->completed[DURE_IOCP_CONNECT] == 1);
        cancelled += client->status[DURE_IOCP_CONNECT] == DURE_ERR_CANCELLED;
        actor_fini(client);
        DURE_CHECK_EQ(client->completed[DURE_IOCP_CONNECT], 1);
    }
    DURE_CHECK(cancelled > 0);
    actor_fini(&c->listener);
    rig_close(&c->rig);
}

static void a_connect_without_answer_can_be_cancelled(void)
{
    crowd c;
    crowd_connect(&c, NULL);
    rig_run_for(&c.rig, 100);
    for (size_t i = 0; i < CROWD; i++) {
        dure_iocp_cancel(actor_event(&c.clients[i], DURE_IOCP_CONNECT));
    }
    crowd_end(&c);
}

static void cancel_the_connect(actor *self, dure_iocp_event *event)
{
    if (event->kind == DURE_IOCP_TIMER) {
        dure_iocp_cancel(actor_event(self, DURE_IOCP_CONNECT));
    }
}

/* As a session does it: the timer and the connect are operations of one owner. */
static void a_connect_without_answer_is_ended_by_its_timer(void)
{
    crowd c;
    crowd_connect(&c, cancel_the_connect);
    for (size_t i = 0; i < CROWD; i++) {
        dure_iocp_event *timer = actor_event(&c.clients[i], DURE_IOCP_TIMER);
        DURE_REQUIRE_OK(dure_iocp_timer(c.rig.core, timer, 100));
    }
    for (size_t i = 0; i < CROWD; i++) {
        RIG_UNTIL(&c.rig, c.clients[i].completed[DURE_IOCP_TIMER] == 1);
    }
    crowd_end(&c);
}

static void a_cancel_that_races_the_connect_completes_once(void)
{
    rig r;
    actor listener;
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&listener, &r);
    dure_net_address address = actor_listen(&listener, &at, 64);
    actor_accept(&listener);
    for (uint32_t round = 0; round < 20; round++) {
        actor client;
        actor_init(&client, &r);
        actor_connect(&client, &address);
        for (uint32_t i = 0; i < round % 4; i++) {
            (void)dure_iocp_core_run_once(r.core, 0);
        }
        dure_iocp_cancel(actor_event(&client, DURE_IOCP_CONNECT));
        if (round % 2 == 0) {
            actor_close(&client);
        }
        RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
        DURE_CHECK(client.status[DURE_IOCP_CONNECT] == DURE_OK ||
                   client.status[DURE_IOCP_CONNECT] == DURE_ERR_CANCELLED);
        actor_fini(&client);
        DURE_CHECK_EQ(client.delivered[DURE_IOCP_CONNECT], 1);
    }
    actor_fini(&listener);
    rig_close(&r);
}

static void a_socket_that_meets_itself_is_no_connection(void)
{
    rig r;
    actor client;
    dure_net_address at = rig_loopback();
    dure_net_address own;
    rig_open(&r, NULL);
    actor_init(&client, &r);
    actor_open(&client, at.family);
    DURE_REQUIRE_OK(dure_iocp_socket_bind(client.socket, &at));
    DURE_REQUIRE_OK(dure_iocp_socket_local(client.socket, &own));
    actor_connect(&client, &own);
    RIG_UNTIL(&r, client.completed[DURE_IOCP_CONNECT] == 1);
    DURE_CHECK_ERR(client.status[DURE_IOCP_CONNECT], DURE_ERR_SELF_CONNECT);
    actor_fini(&client);
    rig_close(&r);
}

static void a_wrong_start_starts_nothing(void)
{
    rig r;
    actor a;
    actor b;
    dure_net_address v6 = {.family = DURE_FAMILY_IPV6, .port = 1};
    dure_net_address v4 = rig_loopback();
    dure_iocp_slice slice = {(const uint8_t *)"x", 1};
    rig_open(&r, NULL);
    actor_init(&a, &r);
    actor_open(&a, DURE_FAMILY_IPV4);
    DURE_CHECK_ERR(dure_iocp_connect(a.socket, actor_event(&a, DURE_IOCP_CONNECT), &v6),
                   DURE_ERR_INVALID);
    DURE_CHECK_ERR(dure_iocp_connect(a.socket, actor_event(&a, DURE_IOCP_CONNECT), &v4),
                   DURE_ERR_INVALID);
    DURE_CHECK_ERR(dure_iocp_accept(a.socket, actor_event(&a, DURE_IOCP_ACCEPT)), DURE_ERR_STATE);
    DURE_CHECK_ERR(dure_iocp_recv(a.socket, actor_event(&a, DURE_IOCP_RECV)), DURE_ERR_STATE);
    DURE_CHECK_ERR(dure_iocp_send(a.socket, actor_event(&a, DURE_IOCP_SEND), &slice, 1),
                   DURE_ERR_STATE);
    actor_disconnect(&a);
    RIG_UNTIL(&r, a.completed[DURE_IOCP_DISCONNECT] == 1);
    DURE_CHECK_ERR(a.status[DURE_IOCP_DISCONNECT], DURE_ERR_STATE);
    actor_fini(&a);
    rig_pair(&r, &a, &b);
    v4.port = 1;
    DURE_CHECK_ERR(dure_iocp_connect(a.socket, actor_event(&a, DURE_IOCP_CONNECT), &v4),
                   DURE_ERR_STATE);
    actor_fini(&a);
    actor_fini(&b);
    rig_close(&r);
}

static void an_address_in_use_is_told(void)
{
    rig r;
    actor first;
    actor second;
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&first, &r);
    actor_init(&second, &r);
    dure_net_address address = actor_listen(&first, &at, 4);
    actor_open(&second, address.family);
    dure_err err = dure_iocp_socket_bind(second.socket, &address);
    if (err == DURE_OK) {
        err = dure_iocp_socket_listen(second.socket, 4);
    }
    DURE_CHECK_ERR(err, DURE_ERR_ADDRESS_IN_USE);
    actor_fini(&second);
    actor_fini(&first);
    rig_close(&r);
}

static void accepting_ends_once_and_starts_again(void)
{
    rig r;
    actor listener;
    actor clients[6];
    dure_net_address at = rig_loopback();
    rig_open(&r, NULL);
    actor_init(&listener, &r);
    dure_net_address address = actor_listen(&listener, &at, 16);
    actor_accept(&listener);
    for (size_t i = 0; i < 6; i++) {
        actor_init(&clients[i], &r);
        actor_connect(&clients[i], &address);
        if (i == 2) {
            RIG_UNTIL(&r, listener.delivered[DURE_IOCP_ACCEPT] == 3);
            dure_iocp_cancel(actor_event(&listener, DURE_IOCP_ACCEPT));
            dure_iocp_cancel(actor_event(&listener, DURE_IOCP_ACCEPT));
            RIG_UNTIL(&r, listener.completed[DURE_IOCP_ACCEPT] == 1);
            DURE_CHECK_ERR(listener.status[DURE_IOCP_ACCEPT], DURE_ERR_CANCELLED);
        }
    }
    actor_accept(&listener);
    RIG_UNTIL(&r, listener.delivered[DURE_IOCP_ACCEPT] == 7);
    DURE_CHECK_EQ(listener.completed[DURE_IOCP_ACCEPT], 1);
    actor_fini(&listener);
    DURE_CHECK_EQ(listener.completed[DURE_IOCP_ACCEPT], 2);
    for (size_t i = 0; i < 6; i++) {
        actor_fini(&clients[i]);
    }
    rig_close(&r);
}

DURE_SUITE(contract_connect, DURE_TEST(both_ends_know_both_addresses),
           DURE_TEST(ipv6_works_the_same), DURE_TEST(nobody_there_is_refused),
           DURE_TEST(an_address_without_a_route_never_connects),
           DURE_TEST(an_address_that_swallows_times_out),
           DURE_TEST(a_connect_without_answer_can_be_cancelled),
           DURE_TEST(a_connect_without_answer_is_ended_by_its_timer),
           DURE_TEST(a_cancel_that_races_the_connect_completes_once),
           DURE_TEST(a_socket_that_meets_itself_is_no_connection),
           DURE_TEST(a_wrong_start_starts_nothing), DURE_TEST(an_address_in_use_is_told),
           DURE_TEST(accepting_ends_once_and_starts_again));
