/* SPDX-License-Identifier: MIT
 *
 * The simulated world: the same seed gives the same run, several cores live in one, and its network
 * splits, delays and holds back as it was told to.
 */
#include "iocp/core_sim.h"

#include "support/check.h"

#define BALL_BYTES 1000
#define GOALS      50

/* Two cores; the players throw a ball, wait a random time, and note when it came. */
typedef struct player {
    dure_iocp_object object;
    dure_iocp_socket *socket;
    dure_iocp_event accept;
    dure_iocp_event connect;
    dure_iocp_event recv;
    dure_iocp_event send;
    dure_iocp_event timer;
    struct match *match;
    size_t received;
    uint32_t pieces;
    bool is_gone;
} player;

typedef struct match {
    dure_sim_world *world;
    dure_iocp_core *cores[2];
    player players[2];
    player listener;
    uint32_t goals;
    uint64_t trace; /* of all times, folded into one number */
    bool is_closing;
} match;

static uint8_t ball[BALL_BYTES];

static void player_throw(player *self)
{
    dure_iocp_slice slice = {ball, sizeof ball};
    DURE_CHECK_OK(dure_iocp_send(self->socket, &self->send, &slice, 1));
}

static void player_start(player *self, dure_iocp_socket *socket)
{
    self->socket = socket;
    DURE_CHECK_OK(dure_iocp_recv(socket, &self->recv));
}

static void player_caught(player *self, const dure_iocp_event *event)
{
    match *m = self->match;
    m->trace = m->trace * 1099511628211u + dure_sim_now_ns(m->world) + event->bytes;
    self->received += event->bytes;
    self->pieces++;
    if (self->received % BALL_BYTES == 0 && ++m->goals < GOALS) {
        uint32_t delay_ms = (uint32_t)(dure_iocp_core_random(self->object.core) % 10);
        DURE_CHECK_OK(dure_iocp_timer(self->object.core, &self->timer, delay_ms));
    }
}

static void player_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    player *self = DURE_CONTAINER_OF(object, player, object);
    if (self->match->is_closing) {
        return;
    }
    if (event->accepted != NULL) {
        player_start(&self->match->players[1], event->accepted);
    } else if (event == &self->connect) {
        player_start(self, self->socket);
        player_throw(self);
    } else if (event == &self->recv && event->more) {
        player_caught(self, event);
    } else if (event == &self->timer) {
        player_throw(self);
    }
}

static void player_destroyed(dure_iocp_object *object)
{
    DURE_CONTAINER_OF(object, player, object)->is_gone = true;
}

static const dure_iocp_object_ops player_ops = {player_dispatch, player_destroyed};

static void player_init(player *self, match *m, dure_iocp_core *core)
{
    memset(self, 0, sizeof *self);
    self->match = m;
    dure_iocp_object_init(&self->object, core, &player_ops);
    dure_iocp_event_init(&self->accept, &self->object, DURE_IOCP_ACCEPT);
    dure_iocp_event_init(&self->connect, &self->object, DURE_IOCP_CONNECT);
    dure_iocp_event_init(&self->recv, &self->object, DURE_IOCP_RECV);
    dure_iocp_event_init(&self->send, &self->object, DURE_IOCP_SEND);
    dure_iocp_event_init(&self->timer, &self->object, DURE_IOCP_TIMER);
}

static bool match_is_over(void *ctx)
{
    return ((match *)ctx)->goals == GOALS;
}

static void match_open(match *m, const dure_sim_config *config)
{
    dure_iocp_core_config core_config;
    dure_net_address at = {.family = DURE_FAMILY_IPV4, .ip = {10, 0, 0, 1}, .port = 7000};
    memset(m, 0, sizeof *m);
    DURE_REQUIRE_OK(dure_sim_world_create(config, &m->world));
    dure_iocp_core_config_init(&core_config);
    core_config.backend = DURE_BACKEND_SIM;
    core_config.sim = m->world;
    for (size_t i = 0; i < 2; i++) {
        DURE_REQUIRE_OK(dure_iocp_core_create(&core_config, &m->cores[i]));
        player_init(&m->players[i], m, m->cores[i]);
    }
    player_init(&m->listener, m, m->cores[1]);
    DURE_REQUIRE_OK(dure_iocp_socket_open(m->cores[1], at.family, &m->listener.socket));
    DURE_REQUIRE_OK(dure_iocp_socket_bind(m->listener.socket, &at));
    DURE_REQUIRE_OK(dure_iocp_socket_listen(m->listener.socket, 4));
    DURE_REQUIRE_OK(dure_iocp_accept(m->listener.socket, &m->listener.accept));
    DURE_REQUIRE_OK(dure_iocp_socket_open(m->cores[0], at.family, &m->players[0].socket));
    DURE_REQUIRE_OK(dure_iocp_connect(m->players[0].socket, &m->players[0].connect, &at));
}

static void match_close(match *m)
{
    m->is_closing = true;
    player *all[] = {&m->players[0], &m->players[1], &m->listener};
    for (size_t i = 0; i < 3; i++) {
        dure_iocp_socket_close(all[i]->socket);
        dure_iocp_cancel(&all[i]->timer);
        dure_iocp_object_release(&all[i]->object);
    }
    while (dure_sim_step(m->world)) {
    }
    for (size_t i = 0; i < 3; i++) {
        DURE_CHECK(all[i]->is_gone);
    }
    dure_iocp_core_destroy(m->cores[0]);
    dure_iocp_core_destroy(m->cores[1]);
    dure_sim_world_destroy(m->world);
}

static uint64_t match_trace(uint64_t seed, uint32_t segment_bytes)
{
    match m;
    dure_sim_config config;
    dure_sim_config_init(&config);
    config.seed = seed;
    config.segment_bytes = segment_bytes;
    match_open(&m, &config);
    DURE_CHECK(dure_sim_run_until(m.world, match_is_over, &m, 60000));
    uint64_t trace = m.trace;
    match_close(&m);
    return trace;
}

static void the_same_seed_gives_the_same_run(void)
{
    DURE_CHECK_EQ(match_trace(1, 0), match_trace(1, 0));
    DURE_CHECK_EQ(match_trace(99, 300), match_trace(99, 300));
    DURE_CHECK(match_trace(1, 0) != match_trace(2, 0));
}

static void segments_arrive_in_pieces(void)
{
    match m;
    dure_sim_config config;
    dure_sim_config_init(&config);
    config.segment_bytes = 300;
    match_open(&m, &config);
    DURE_CHECK(dure_sim_run_until(m.world, match_is_over, &m, 60000));
    DURE_CHECK_EQ(m.players[0].pieces + m.players[1].pieces, GOALS * 4);
    match_close(&m);
}

static void latency_is_as_configured(void)
{
    match m;
    dure_sim_config config;
    dure_sim_config_init(&config);
    config.latency_ns = 40000000;
    match_open(&m, &config);
    uint64_t begin_ns = dure_sim_now_ns(m.world);
    dure_sim_run_for(m.world, 119);
    DURE_CHECK_EQ(m.players[1].received, 0);
    dure_sim_run_for(m.world, 2);
    DURE_CHECK_EQ(m.players[1].received, BALL_BYTES); /* connect, its answer, the ball */
    DURE_CHECK_EQ(dure_sim_now_ns(m.world) - begin_ns, 121000000);
    match_close(&m);
}

static void a_peer_that_does_not_read_holds_the_sender_back(void)
{
    match m;
    dure_sim_config config;
    dure_sim_config_init(&config);
    config.send_window_bytes = 600;
    match_open(&m, &config);
    dure_sim_run_for(m.world, 1);
    DURE_CHECK(m.goals > 0); /* it goes on as the peer reads */
    dure_iocp_cancel(&m.players[1].recv);
    dure_sim_run_for(m.world, 200);
    uint32_t goals = m.goals;
    dure_sim_run_for(m.world, 1000);
    DURE_CHECK_EQ(m.goals, goals);
    DURE_CHECK(dure_iocp_event_is_active(&m.players[0].send));
    if (m.players[0].send.bytes > 0) {
        DURE_CHECK_EQ(m.players[0].send.bytes, 600);
    }
    DURE_CHECK_OK(dure_iocp_recv(m.players[1].socket, &m.players[1].recv));
    DURE_CHECK(dure_sim_run_until(m.world, match_is_over, &m, 60000));
    match_close(&m);
}

DURE_SUITE(iocp_sim, DURE_TEST(the_same_seed_gives_the_same_run),
           DURE_TEST(segments_arrive_in_pieces), DURE_TEST(latency_is_as_configured),
           DURE_TEST(a_peer_that_does_not_read_holds_the_sender_back));
