/* SPDX-License-Identifier: MIT
 *
 * A session's promises on the virtual clock: every end is told once, with the first cause; nothing
 * that was queued before a graceful end is lost; nothing of one life reaches the next.
 */
#include "base/mem.h"
#include "net/service_impl.h"
#include "net_fixture.h"
#include "support/half_closer.h"

typedef struct net_scene {
    net_fixture fixture;
    net_side server;
    net_side client;
} net_scene;

/* A client and a server, connected on the virtual clock. */
static void scene_open(net_scene *scene, const dure_service_config *server,
                       const dure_service_config *client)
{
    DURE_REQUIRE(scene->fixture.core != NULL);
    dure_net_address address = net_side_serve(&scene->fixture, &scene->server, server);
    net_side_dial(&scene->fixture, &scene->client, client, &address, 1);
    DURE_CHECK_EQ(scene->client.connected, 0);
    NET_RUN_UNTIL(&scene->fixture, scene->client.connected == 1 && scene->server.connected == 1);
}

static void scene_init(net_scene *scene)
{
    memset(scene, 0, sizeof *scene);
    DURE_REQUIRE(net_fixture_open(&scene->fixture, DURE_BACKEND_SIM));
}

static void scene_close(net_scene *scene)
{
    net_sides_end(&scene->fixture, &scene->server, &scene->client);
    net_fixture_close(&scene->fixture);
}

static void bytes_go_there_and_back(void)
{
    net_scene scene;
    scene_init(&scene);
    scene.server.echoes = true;
    scene_open(&scene, NULL, NULL);
    DURE_CHECK_OK(dure_session_send(scene.client.session, "Hello", 5));
    DURE_CHECK_OK(dure_session_send(scene.client.session, " World!", 7));
    DURE_CHECK_EQ(dure_session_send_queue_bytes(scene.client.session), 12);
    NET_RUN_UNTIL(&scene.fixture, scene.client.received_bytes == 12);
    DURE_CHECK_BYTES(scene.client.received, scene.client.received_bytes, "Hello World!", 12);
    DURE_CHECK_EQ(scene.client.sent_bytes, 12);
    DURE_CHECK_EQ(scene.client.sent_calls, 1); /* one round, one send */
    DURE_CHECK_EQ(dure_session_send_queue_bytes(scene.client.session), 0);
    const dure_net_address *client_end = dure_session_local(scene.client.session);
    DURE_CHECK(dure_net_address_equal(client_end, dure_session_peer(scene.server.session)));
    scene_close(&scene);
}

static void room_is_encoded_into_without_a_copy(void)
{
    net_scene scene;
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    uint8_t *room = NULL;
    DURE_CHECK_OK(dure_session_reserve(scene.client.session, 100, &room));
    memcpy(room, "abc", 3);
    dure_session_commit(scene.client.session, 3);
    DURE_CHECK_OK(dure_session_reserve(scene.client.session, 100, &room));
    dure_session_commit(scene.client.session, 0);
    DURE_CHECK_EQ(dure_session_send_queue_bytes(scene.client.session), 3);
    NET_RUN_UNTIL(&scene.fixture, scene.server.received_bytes == 3);
    scene_close(&scene);
}

static void disconnect_twice_reports_one_cause(void)
{
    net_scene scene;
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    dure_session *session = scene.client.session;
    dure_session_disconnect(session, DURE_ERR_IDLE);
    dure_session_disconnect(session, DURE_ERR_GOAWAY);
    dure_session_abort(session, DURE_ERR_SLOW);
    DURE_CHECK_EQ(scene.client.disconnected, 0); /* never inside the call */
    DURE_CHECK_ERR(dure_session_send(session, "x", 1), DURE_ERR_STATE);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1 && scene.server.disconnected == 1);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_IDLE);
    dure_session_disconnect(session, DURE_ERR_GOAWAY);
    net_fixture_run_for(&scene.fixture, 1000);
    DURE_CHECK_EQ(scene.client.disconnected, 1);
    DURE_CHECK_EQ(scene.server.disconnected, 1);
    scene_close(&scene);
}

static void a_graceful_end_brings_all_that_was_queued(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[700000];
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.client, &config);
    scene_open(&scene, NULL, &config);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    dure_session_disconnect(scene.client.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1 && scene.server.disconnected == 1);
    DURE_CHECK_EQ(scene.server.received_bytes, sizeof data);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_PEER_CLOSED);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_CLOSED);
    scene_close(&scene);
}

static void an_abort_drops_the_queue_and_resets(void)
{
    net_scene scene;
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    DURE_CHECK_OK(dure_session_send(scene.client.session, "lost", 4));
    dure_session_abort(scene.client.session, DURE_ERR_PROTOCOL);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1 && scene.server.disconnected == 1);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_PROTOCOL);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_RESET);
    DURE_CHECK_EQ(scene.server.received_bytes, 0);
    scene_close(&scene);
}

/* The server neither reads nor ends: the client's end must not wait for it for ever. */
static void a_peer_that_does_not_end_is_cut_after_close_ms(void)
{
    net_scene scene;
    dure_service_config config;
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.client, &config);
    config.close_ms = 300;
    scene_open(&scene, NULL, &config);
    dure_session_pause_recv(scene.server.session);
    net_fixture_run_for(&scene.fixture, 10);
    uint64_t begin_ms = dure_iocp_core_now_ms(scene.fixture.core);
    dure_session_disconnect(scene.client.session, DURE_ERR_IDLE);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1);
    uint64_t took_ms = dure_iocp_core_now_ms(scene.fixture.core) - begin_ms;
    DURE_CHECK(took_ms >= 300);
    DURE_CHECK(took_ms < 400);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_IDLE);
    scene_close(&scene);
}

static void a_full_queue_is_overloaded_and_a_peer_that_does_not_read_is_slow(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[400000];
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.client, &config);
    config.send_queue_max = sizeof data;
    config.write_stall_ms = 2000;
    scene_open(&scene, NULL, &config);
    dure_session_pause_recv(scene.server.session);
    net_fixture_run_for(&scene.fixture, 10);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    DURE_CHECK_ERR(dure_session_send(scene.client.session, data, 1), DURE_ERR_OVERLOADED);
    uint8_t *room = NULL;
    DURE_CHECK_ERR(dure_session_reserve(scene.client.session, 1, &room), DURE_ERR_OVERLOADED);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_SLOW);
    scene_close(&scene);
}

/* The server reads what a window of 16 KiB lets through, then nothing for ms. */
static void scene_read_a_little(net_scene *scene, uint32_t ms)
{
    size_t before = scene->server.received_bytes;
    dure_session_resume_recv(scene->server.session);
    NET_RUN_UNTIL(&scene->fixture, scene->server.received_bytes > before);
    dure_session_pause_recv(scene->server.session);
    net_fixture_run_for(&scene->fixture, ms);
}

/*
 * About 53 KiB a second: one send of 256 KiB takes three times as long as a stall may, and bytes
 * leave all the time. Then the reader stops, and only now it is slow.
 */
static void a_slow_but_steady_reader_is_not_cut(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[900000];
    memset(&scene, 0, sizeof scene);
    DURE_REQUIRE(net_fixture_open_windowed(&scene.fixture, 16384));
    net_side_config(&scene.fixture, &scene.client, &config);
    config.write_stall_ms = 2000;
    scene_open(&scene, NULL, &config);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    for (int i = 0; i < 40; i++) {
        scene_read_a_little(&scene, 300);
    }
    DURE_CHECK(scene.server.received_bytes >= (size_t)40 * 16384);
    DURE_CHECK(scene.server.received_bytes < sizeof data);
    scene_read_a_little(&scene, 1900); /* one long pause, but no stall */
    scene_read_a_little(&scene, 1900);
    DURE_CHECK_EQ(scene.client.disconnected, 0);
    uint64_t begin_ms = dure_iocp_core_now_ms(scene.fixture.core) - 1900;
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1);
    uint64_t took_ms = dure_iocp_core_now_ms(scene.fixture.core) - begin_ms;
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_SLOW);
    DURE_CHECK(took_ms >= 2000);
    DURE_CHECK(took_ms <= 2250);
    scene_close(&scene);
}

static void a_reader_that_has_read_all_is_not_cut(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[300000];
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.client, &config);
    config.write_stall_ms = 1000;
    scene_open(&scene, NULL, &config);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    NET_RUN_UNTIL(&scene.fixture, scene.server.received_bytes == sizeof data);
    net_fixture_run_for(&scene.fixture, 5000);
    DURE_CHECK_EQ(scene.client.disconnected, 0);
    scene_close(&scene);
}

/* A long queue leaves in sends of 256 KiB, so that its owner hears of it on the way. */
static void a_long_queue_is_told_of_in_parts(void)
{
    net_scene scene;
    static uint8_t data[1000000];
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    NET_RUN_UNTIL(&scene.fixture, scene.client.sent_bytes == sizeof data);
    DURE_CHECK_EQ(scene.client.sent_calls, 4);
    scene_close(&scene);
}

static void unconsumed_bytes_come_again_and_past_the_limit_it_ends(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[2000];
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.server, &config);
    config.recv_rest_max = 1500;
    scene.server.consumes_nothing = true;
    scene_open(&scene, &config, NULL);
    memset(data, 'a', sizeof data);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, 1000));
    NET_RUN_UNTIL(&scene.fixture, scene.server.recv_calls == 1);
    scene.server.consumes_nothing = false;
    DURE_CHECK_OK(dure_session_send(scene.client.session, "b", 1));
    NET_RUN_UNTIL(&scene.fixture, scene.server.recv_calls == 2);
    DURE_CHECK_EQ(scene.server.received_bytes, 1001);
    DURE_CHECK_EQ(scene.server.received[0], 'a');
    DURE_CHECK_EQ(scene.server.received[1000], 'b');
    scene.server.consumes_nothing = true;
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, 1501));
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_TOO_LARGE);
    scene_close(&scene);
}

static void what_on_recv_returns_is_the_cause(void)
{
    net_scene scene;
    scene_init(&scene);
    scene.server.answer = DURE_ERR_MALFORMED;
    scene_open(&scene, NULL, NULL);
    DURE_CHECK_OK(dure_session_send(scene.client.session, "?", 1));
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1 && scene.client.disconnected == 1);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_MALFORMED);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_PEER_CLOSED);
    scene_close(&scene);
}

static void a_paused_reader_gets_nothing_until_it_resumes(void)
{
    net_scene scene;
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    dure_session_pause_recv(scene.server.session);
    DURE_CHECK_OK(dure_session_send(scene.client.session, "later", 5));
    net_fixture_run_for(&scene.fixture, 500);
    DURE_CHECK_EQ(scene.server.received_bytes, 0);
    dure_session_resume_recv(scene.server.session);
    dure_session_pause_recv(scene.server.session);
    dure_session_resume_recv(scene.server.session);
    NET_RUN_UNTIL(&scene.fixture, scene.server.received_bytes == 5);
    dure_session_pause_recv(scene.server.session);
    net_fixture_run_for(&scene.fixture, 10);
    dure_session_disconnect(scene.server.session, DURE_ERR_CLOSED); /* ends all the same */
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1 && scene.client.disconnected == 1);
    scene_close(&scene);
}

static void the_peers_end_lets_the_queue_leave_first(void)
{
    net_scene scene;
    static uint8_t data[300000];
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    DURE_CHECK_OK(dure_session_send(scene.server.session, data, sizeof data));
    dure_session_disconnect(scene.client.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1 && scene.client.disconnected == 1);
    DURE_CHECK_EQ(scene.server.sent_bytes, sizeof data);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_PEER_CLOSED);
    DURE_CHECK_EQ(scene.client.received_bytes, 0); /* it had ended: nobody heard it */
    scene_close(&scene);
}

/* A server whose user wants to hear of its peers' ends, and one who says "words" and ends. */
static void scene_half_close(net_scene *scene, half_closer *peer)
{
    dure_service_config config;
    net_side_config(&scene->fixture, &scene->server, &config);
    config.on_peer_ended = net_side_on_peer_ended;
    dure_net_address address = net_side_serve(&scene->fixture, &scene->server, &config);
    half_closer_start(peer, scene->fixture.core, &address, "words", 5);
}

static void scene_half_closed(net_scene *scene, half_closer *peer)
{
    half_closer_close(peer);
    net_sides_end(&scene->fixture, &scene->server, NULL);
    half_closer_fini(peer);
    net_fixture_close(&scene->fixture);
}

static void behind_the_peers_end_it_is_still_answered(void)
{
    net_scene scene;
    half_closer peer;
    scene_init(&scene);
    scene_half_close(&scene, &peer);
    NET_RUN_UNTIL(&scene.fixture, scene.server.peer_ends == 1);
    DURE_CHECK_EQ(scene.server.received_bytes, 5);
    net_fixture_run_for(&scene.fixture, 60000);
    DURE_CHECK_EQ(scene.server.disconnected, 0);
    DURE_CHECK_OK(dure_session_send(scene.server.session, "answer", 6));
    net_fixture_run_for(&scene.fixture, 10);
    dure_session_pause_recv(scene.server.session); /* nothing is read any more in any case */
    dure_session_resume_recv(scene.server.session);
    DURE_CHECK_OK(dure_session_send(scene.server.session, "s", 1));
    dure_session_disconnect(scene.server.session, DURE_ERR_PEER_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, peer.is_over && scene.server.disconnected == 1);
    DURE_CHECK_ERR(peer.status, DURE_ERR_PEER_CLOSED);
    DURE_CHECK_BYTES(peer.received.data, peer.received.len, "answers", 7);
    DURE_CHECK_EQ(scene.server.peer_ends, 1);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_PEER_CLOSED);
    scene_half_closed(&scene, &peer);
}

/* A peer that breaks off afterwards shows when something is written. */
static void a_reset_behind_the_peers_end_ends_it(void)
{
    net_scene scene;
    half_closer peer;
    scene_init(&scene);
    scene_half_close(&scene, &peer);
    NET_RUN_UNTIL(&scene.fixture, scene.server.peer_ends == 1);
    half_closer_reset(&peer);
    net_fixture_run_for(&scene.fixture, 10);
    DURE_CHECK_OK(dure_session_send(scene.server.session, "answer", 6));
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_RESET);
    scene_half_closed(&scene, &peer);
}

/* Its bytes and its end wait in the socket; they are told in their order when reading goes on. */
static void a_paused_sessions_peer_ends_when_it_is_read(void)
{
    net_scene scene;
    half_closer peer;
    scene_init(&scene);
    scene.server.pauses_at_once = true;
    scene_half_close(&scene, &peer);
    NET_RUN_UNTIL(&scene.fixture, peer.has_ended);
    net_fixture_run_for(&scene.fixture, 1000);
    DURE_CHECK_EQ(scene.server.received_bytes, 0);
    DURE_CHECK_EQ(scene.server.peer_ends, 0);
    dure_session_resume_recv(scene.server.session);
    NET_RUN_UNTIL(&scene.fixture, scene.server.peer_ends == 1);
    DURE_CHECK_EQ(scene.server.received_bytes, 5);
    dure_session_disconnect(scene.server.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, peer.is_over);
    scene_half_closed(&scene, &peer);
}

/* The same without a user who wants to hear of it: the end is an end, behind the bytes. */
static void a_paused_session_ends_behind_its_bytes(void)
{
    net_scene scene;
    half_closer peer;
    scene_init(&scene);
    scene.server.pauses_at_once = true;
    dure_net_address address = net_side_serve(&scene.fixture, &scene.server, NULL);
    half_closer_start(&peer, scene.fixture.core, &address, "words", 5);
    NET_RUN_UNTIL(&scene.fixture, peer.has_ended);
    net_fixture_run_for(&scene.fixture, 1000);
    DURE_CHECK_EQ(scene.server.disconnected, 0);
    dure_session_resume_recv(scene.server.session);
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1);
    DURE_CHECK_EQ(scene.server.received_bytes, 5);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_PEER_CLOSED);
    scene_half_closed(&scene, &peer);
}

static void a_recycled_session_carries_nothing_of_its_former_life(void)
{
    net_scene scene;
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    dure_session *session = scene.client.session;
    uint64_t first_id = dure_session_id(session);
    uint64_t first_server_id = scene.server.id;
    DURE_CHECK(dure_service_find(scene.client.service, scene.fixture.core, first_id) == session);
    DURE_CHECK_ERR(dure_session_connect(session), DURE_ERR_STATE);
    DURE_CHECK_ERR(dure_session_connect(scene.server.session), DURE_ERR_STATE);
    DURE_CHECK_OK(dure_session_send(session, "for the old peer", 16));
    dure_session_abort(session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, scene.client.disconnected == 1 && scene.server.disconnected == 1);
    DURE_CHECK(dure_session_context(session) == NULL);
    DURE_CHECK_EQ(dure_session_state_of(session), DURE_SESSION_IDLE);
    DURE_CHECK(dure_service_find(scene.client.service, scene.fixture.core, first_id) == NULL);
    DURE_CHECK_OK(dure_session_connect(session)); /* on_connected checks that it is clean */
    NET_RUN_UNTIL(&scene.fixture, scene.client.connected == 2 && scene.server.connected == 2);
    net_fixture_run_for(&scene.fixture, 100);
    DURE_CHECK_EQ(scene.server.received_bytes, 0);
    DURE_CHECK(scene.client.id != first_id);
    DURE_CHECK(scene.server.id != first_server_id);
    DURE_CHECK(dure_service_find(scene.server.service, scene.fixture.core, first_server_id) ==
               NULL);
    scene_close(&scene);
}

/* How a life may end, on the client's side and, as that is recycled too, on the server's. */
typedef enum life_end { LIFE_PAUSED, LIFE_HALF_READ, LIFE_MID_SEND, LIFE_PEER_ENDED } life_end;

static void scene_end_life(net_scene *scene, life_end how)
{
    static uint8_t data[800000];
    net_side *sides[] = {&scene->client, &scene->server};
    for (size_t i = 0; i < 2; i++) {
        if (how == LIFE_PAUSED) {
            dure_session_pause_recv(sides[i]->session);
        }
        sides[i]->consumes_nothing = how == LIFE_HALF_READ;
        size_t len = how == LIFE_MID_SEND ? sizeof data : 100;
        DURE_CHECK_OK(dure_session_send(sides[i]->session, data, len));
    }
    net_fixture_run_for(&scene->fixture, how == LIFE_MID_SEND ? 0 : 10);
    if (how == LIFE_PEER_ENDED) {
        dure_session_disconnect(scene->server.session, DURE_ERR_CLOSED);
    } else {
        dure_session_abort(scene->client.session, DURE_ERR_CLOSED);
    }
    NET_RUN_UNTIL(&scene->fixture, scene->client.disconnected == 1);
    if (how == LIFE_PAUSED) {
        dure_session_abort(scene->server.session, DURE_ERR_CLOSED);
    }
    NET_RUN_UNTIL(&scene->fixture, scene->server.disconnected == 1);
    for (size_t i = 0; i < 2; i++) {
        sides[i]->consumes_nothing = false;
        sides[i]->received_bytes = 0;
        sides[i]->sent_bytes = 0;
    }
}

/* Whatever the former life was doing when it ended, the next one reads and counts from nothing. */
static void a_recycled_session_reads_and_counts_anew(void)
{
    for (int how = LIFE_PAUSED; how <= LIFE_PEER_ENDED; how++) {
        net_scene scene;
        scene_init(&scene);
        scene_open(&scene, NULL, NULL);
        dure_session *recycled = scene.server.session;
        scene_end_life(&scene, (life_end)how);
        DURE_CHECK_OK(dure_session_connect(scene.client.session));
        NET_RUN_UNTIL(&scene.fixture, scene.client.connected == 2 && scene.server.connected == 2);
        DURE_CHECK(scene.server.session == recycled);
        net_side *sides[] = {&scene.client, &scene.server};
        for (size_t i = 0; i < 2; i++) {
            DURE_CHECK_EQ(dure_session_handed_bytes(sides[i]->session), 0);
            DURE_CHECK_OK(dure_session_send(sides[i]->session, "anew", 4));
        }
        net_fixture_run_for(&scene.fixture, 10);
        for (size_t i = 0; i < 2; i++) {
            DURE_CHECK_BYTES(sides[i]->received, sides[i]->received_bytes, "anew", 4);
            DURE_CHECK_EQ(dure_session_handed_bytes(sides[i]->session), 4);
            DURE_CHECK_EQ(sides[i]->sent_bytes, 4);
        }
        scene_close(&scene);
    }
}

/* What a paused session has not read is read for nobody, so that its peer sees an end. */
static void a_paused_session_ends_without_a_reset(void)
{
    net_scene scene;
    static uint8_t data[200000];
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    dure_session_pause_recv(scene.server.session);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    net_fixture_run_for(&scene.fixture, 10);
    uint64_t begin_ms = dure_iocp_core_now_ms(scene.fixture.core);
    dure_session_disconnect(scene.server.session, DURE_ERR_CLOSED);
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1 && scene.client.disconnected == 1);
    DURE_CHECK_ERR(scene.client.cause, DURE_ERR_PEER_CLOSED);
    DURE_CHECK(dure_iocp_core_now_ms(scene.fixture.core) - begin_ms < 100);
    scene_close(&scene);
}

/* A reader may leave as much as the service says, to the byte. */
static void the_rest_may_be_as_long_as_the_limit(void)
{
    static uint8_t data[1501];
    for (size_t len = sizeof data - 1; len <= sizeof data; len++) {
        net_scene scene;
        dure_service_config config;
        scene_init(&scene);
        net_side_config(&scene.fixture, &scene.server, &config);
        config.recv_rest_max = sizeof data - 1;
        scene.server.consumes_nothing = true;
        scene_open(&scene, &config, NULL);
        DURE_CHECK_OK(dure_session_send(scene.client.session, data, len - 1));
        net_fixture_run_for(&scene.fixture, 10);
        DURE_CHECK_EQ(scene.server.disconnected, 0);
        DURE_CHECK_OK(dure_session_send(scene.client.session, data, 1));
        net_fixture_run_for(&scene.fixture, 10);
        DURE_CHECK_EQ(scene.server.disconnected, len == sizeof data);
        scene_close(&scene);
    }
}

/* What the sessions of a shard leave behind is bounded by memory, not by what was in it. */
static void only_small_buffers_are_kept_for_others(void)
{
    net_scene scene;
    dure_service_config config;
    static uint8_t data[900000];
    scene_init(&scene);
    net_side_config(&scene.fixture, &scene.server, &config);
    config.recv_rest_max = sizeof data;
    scene.server.consumes_nothing = true;
    scene_open(&scene, &config, NULL);
    for (unsigned life = 1; life <= 8; life++) {
        NET_RUN_UNTIL(&scene.fixture,
                      scene.server.connected == life && scene.client.connected == life);
        unsigned calls = scene.server.recv_calls;
        DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
        DURE_CHECK_OK(dure_session_send(scene.server.session, data, sizeof data));
        NET_RUN_UNTIL(&scene.fixture, scene.server.recv_calls > calls);
        net_fixture_run_for(&scene.fixture, 100);
        if (life % 2 == 0) { /* the buffer is empty when it goes, and as large as before */
            scene.server.consumes_nothing = false;
            scene.server.received_bytes = 0;
            DURE_CHECK_OK(dure_session_send(scene.client.session, "x", 1));
            NET_RUN_UNTIL(&scene.fixture, scene.server.received_bytes == sizeof data + 1);
            scene.server.consumes_nothing = true;
        }
        scene.client.connects_again = life < 8;
        dure_session_abort(scene.client.session, DURE_ERR_CLOSED);
        NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == life);
    }
    net_side *sides[] = {&scene.client, &scene.server};
    for (size_t i = 0; i < 2; i++) {
        const dure_service_shard *shard = &sides[i]->service->shards[0];
        for (uint32_t at = 0; at < shard->buf_count; at++) {
            DURE_CHECK(dure_buf_capacity(&shard->bufs[at]) <= DURE_SHARD_BUF_KEEP_MAX);
        }
    }
    DURE_CHECK_OK(dure_session_connect(scene.client.session));
    scene.server.consumes_nothing = false;
    NET_RUN_UNTIL(&scene.fixture, scene.client.connected == 9 && scene.server.connected == 9);
    DURE_CHECK_OK(dure_session_send(scene.client.session, "small", 5));
    net_fixture_run_for(&scene.fixture, 10);
    DURE_CHECK(scene.client.service->shards[0].buf_count > 0); /* and small ones are */
    scene_close(&scene);
}

static void a_session_may_connect_again_from_its_own_end(void)
{
    net_scene scene;
    scene_init(&scene);
    scene.client.connects_again = true;
    scene_open(&scene, NULL, NULL);
    for (unsigned life = 2; life < 6; life++) {
        dure_session_disconnect(scene.client.session, DURE_ERR_CLOSED);
        NET_RUN_UNTIL(&scene.fixture, scene.client.connected == life);
    }
    DURE_CHECK_EQ(scene.client.disconnected, 4);
    scene_close(&scene);
}

static void disconnecting_in_on_connected_still_sends_the_greeting(void)
{
    net_scene scene;
    scene_init(&scene);
    scene.server.greeting = "bye";
    scene.server.disconnects_at_once = DURE_ERR_REFUSED;
    scene_open(&scene, NULL, NULL);
    NET_RUN_UNTIL(&scene.fixture, scene.server.disconnected == 1 && scene.client.disconnected == 1);
    DURE_CHECK_BYTES(scene.client.received, scene.client.received_bytes, "bye", 3);
    DURE_CHECK_ERR(scene.server.cause, DURE_ERR_REFUSED);
    scene_close(&scene);
}

static void closing_the_service_with_operations_pending_ends_everything(void)
{
    net_scene scene;
    static uint8_t data[500000];
    scene_init(&scene);
    scene_open(&scene, NULL, NULL);
    dure_session_pause_recv(scene.server.session);
    DURE_CHECK_OK(dure_session_send(scene.client.session, data, sizeof data));
    net_fixture_run_for(&scene.fixture, 5);
    scene_close(&scene);
    DURE_CHECK_EQ(scene.client.disconnected, 1);
    DURE_CHECK_EQ(scene.server.disconnected, 1);
}

static void one_life(size_t failing)
{
    net_scene scene;
    scene_init(&scene);
    scene.server.echoes = true;
    dure_net_address address = net_side_serve(&scene.fixture, &scene.server, NULL);
    net_side_dial(&scene.fixture, &scene.client, NULL, &address, 1);
    dure_mem_fail_nth(failing);
    for (int i = 0; i < 40 && scene.client.disconnected + scene.client.connect_failed == 0; i++) {
        net_fixture_run_for(&scene.fixture, 1);
        if (dure_session_is_connected(dure_client_service_session(scene.client.service, 0)) &&
            scene.client.received_bytes < 3) {
            dure_err err = dure_session_send(scene.client.session, "abc", 3);
            DURE_CHECK(err == DURE_OK || err == DURE_ERR_NO_MEMORY);
        }
    }
    dure_mem_fail_nth(0);
    scene_close(&scene);
}

/* Memory that fails ends one session at most; the services end as always. */
static void any_allocation_may_fail(void)
{
    for (size_t n = 1; n < 40; n++) {
        one_life(n);
    }
}

DURE_SUITE(net_session, DURE_TEST(bytes_go_there_and_back),
           DURE_TEST(room_is_encoded_into_without_a_copy),
           DURE_TEST(disconnect_twice_reports_one_cause),
           DURE_TEST(a_graceful_end_brings_all_that_was_queued),
           DURE_TEST(an_abort_drops_the_queue_and_resets),
           DURE_TEST(a_peer_that_does_not_end_is_cut_after_close_ms),
           DURE_TEST(a_full_queue_is_overloaded_and_a_peer_that_does_not_read_is_slow),
           DURE_TEST(a_slow_but_steady_reader_is_not_cut),
           DURE_TEST(a_reader_that_has_read_all_is_not_cut),
           DURE_TEST(a_long_queue_is_told_of_in_parts),
           DURE_TEST(unconsumed_bytes_come_again_and_past_the_limit_it_ends),
           DURE_TEST(what_on_recv_returns_is_the_cause),
           DURE_TEST(a_paused_reader_gets_nothing_until_it_resumes),
           DURE_TEST(the_peers_end_lets_the_queue_leave_first),
           DURE_TEST(behind_the_peers_end_it_is_still_answered),
           DURE_TEST(a_reset_behind_the_peers_end_ends_it),
           DURE_TEST(a_paused_sessions_peer_ends_when_it_is_read),
           DURE_TEST(a_paused_session_ends_behind_its_bytes),
           DURE_TEST(a_recycled_session_carries_nothing_of_its_former_life),
           DURE_TEST(a_recycled_session_reads_and_counts_anew),
           DURE_TEST(a_paused_session_ends_without_a_reset),
           DURE_TEST(the_rest_may_be_as_long_as_the_limit),
           DURE_TEST(only_small_buffers_are_kept_for_others),
           DURE_TEST(a_session_may_connect_again_from_its_own_end),
           DURE_TEST(disconnecting_in_on_connected_still_sends_the_greeting),
           DURE_TEST(closing_the_service_with_operations_pending_ends_everything),
           DURE_TEST(any_allocation_may_fail));
