/* SPDX-License-Identifier: MIT
 *
 * Links in a simulated cluster: the order of starts, redialling, secrets, refusals that both logs
 * show, two nodes that dial each other, and peers that send what they should not.
 */
#include "cluster/cluster_support.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

static void the_order_of_starts_does_not_matter(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 3000);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 3000);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_run(&cluster, 16000);
    DURE_CHECK_EQ(gateway->up, 1);
    DURE_CHECK_EQ(game->up, 2);
    DURE_CHECK_EQ(db->up, 1);
    DURE_CHECK(test_log_has(&cluster, "LINK_DIAL_FAILED peer=db-1 cause=CONNECT_REFUSED"));
    test_cluster_fini(&cluster);
}

static void a_node_that_comes_back_is_dialled_again(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    for (int life = 1; life <= 3; life++) {
        test_node *db = test_node_start(&cluster, "db-1", NULL);
        test_run(&cluster, 2000);
        DURE_CHECK_EQ(game->up, life);
        test_node_stop(db);
        test_run(&cluster, 500);
        DURE_CHECK_EQ(game->down, life);
    }
    test_cluster_fini(&cluster);
}

static void a_quiet_link_stays(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 120000);
    DURE_CHECK_EQ(game->up, 1);
    DURE_CHECK_EQ(game->down, 0);
    DURE_CHECK_EQ(db->down, 0);
    test_cluster_fini(&cluster);
}

static void the_same_secret_links(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, "sesame");
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 1000);
    DURE_CHECK_EQ(game->up, 1);
    DURE_CHECK_EQ(db->up, 1);
    test_cluster_fini(&cluster);
}

/* listener_line: how the log of the one that was dialled begins; so often it is dialled in 50 s. */
static void check_refusal(const char *cluster_name, const char *secret, const char *cause,
                          const char *listener_line, uint64_t least, uint64_t most)
{
    test_cluster cluster;
    char by_us[96];
    char by_peer[96];
    dure_registry *other = test_registry(cluster_name, secret);
    test_cluster_init(&cluster, "sesame");
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-1", other);
    test_run(&cluster, 50000);
    (void)snprintf(by_us, sizeof by_us, "by=us cause=%s", cause);
    (void)snprintf(by_peer, sizeof by_peer, "by=peer cause=%s", cause);
    DURE_CHECK_EQ(game->up, 0);
    DURE_CHECK_EQ(db->up, 0);
    DURE_CHECK(test_log_has(&cluster, listener_line));
    DURE_CHECK(test_log_has(&cluster, "LINK_REFUSED peer=db-1"));
    DURE_CHECK(test_log_has(&cluster, by_us));
    DURE_CHECK(test_log_has(&cluster, by_peer));
    dure_rpc_counters counters;
    dure_rpc_counters_of(game->rpc, &counters);
    DURE_CHECK(counters.links_refused >= least);
    DURE_CHECK(counters.links_refused <= most);
    test_cluster_fini(&cluster);
    dure_registry_destroy(other);
}

static void another_cluster_is_refused_and_both_logs_say_so(void)
{
    /* the next dial comes after 60 s */
    check_refusal("other", "sesame", "WRONG_CLUSTER",
                  "LINK_REFUSED peer=game-1 address=127.0.0.1:", 1, 1);
}

static void another_secret_is_refused_and_both_logs_say_so(void)
{
    /* game-1 says who it is to nobody who has not proved that he knows the secret; and since that
     * may be somebody else at the address, dials again as after any failure, 5 s apart soon */
    check_refusal("test", "barley", "WRONG_PROOF", "LINK_REFUSED peer=? address=127.0.0.1:", 8, 14);
}

static void two_that_dial_each_other_keep_one_link(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    test_node *first = test_node_start(&cluster, "peer-1", NULL);
    test_node *second = test_node_start(&cluster, "peer-2", NULL);
    test_run(&cluster, 30000);
    DURE_CHECK_EQ(dure_rpc_peer_state(first->rpc, "peer-2"), DURE_PEER_UP);
    DURE_CHECK_EQ(dure_rpc_peer_state(second->rpc, "peer-1"), DURE_PEER_UP);
    DURE_CHECK_EQ(first->up - first->down, 1);
    DURE_CHECK_EQ(second->up - second->down, 1);
    DURE_CHECK(first->up <= 2);
    test_call_node(first, "peer-2", METHOD_ECHO, 0, &call);
    test_run(&cluster, 100);
    DURE_CHECK_OK(call.status);
    DURE_CHECK_EQ(call.count, 1);
    test_cluster_fini(&cluster);
}

static void a_second_process_of_one_id_is_refused(void)
{
    test_cluster cluster;
    test_call call;
    dure_registry *other = NULL;
    dure_registry_builder *builder = NULL;
    static const char *const dials[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    test_cluster_init(&cluster, NULL);
    /* the same id, on another port */
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "db", "dure-db", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "game-1", "game", "127.0.0.1", 7819, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "db-1", "db", "127.0.0.1", 7821, 0));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &other));
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 1000);
    test_node *twin = test_node_start(&cluster, "game-1", other);
    test_run(&cluster, 1500);
    DURE_CHECK_EQ(twin->duplicates, 1);
    DURE_CHECK_EQ(twin->up, 0);
    DURE_CHECK_EQ(game->down, 0);
    DURE_CHECK_EQ(db->up, 1);
    test_call_node(game, "db-1", METHOD_ECHO, 0, &call);
    test_run(&cluster, 100);
    DURE_CHECK_OK(call.status);
    test_cluster_fini(&cluster);
    dure_registry_destroy(other);
}

/* ---- a peer that sends what it likes ---- */

/* Says the bytes to db-1 and waits for ms; the connection must be over by then. */
static void check_cut(const uint8_t *say, size_t len, uint32_t ms, const char *cause)
{
    test_cluster cluster;
    raw_peer raw = {.say = say, .say_len = len};
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_start(&raw, &cluster);
    test_run(&cluster, ms);
    DURE_CHECK(raw.is_connected);
    DURE_CHECK(raw.is_over);
    DURE_CHECK(test_log_has(&cluster, cause));
    DURE_CHECK_EQ(db->up, 0);
    raw_stop(&raw, &cluster);
    test_cluster_fini(&cluster);
}

static void a_silent_peer_is_given_up_within_ten_seconds(void)
{
    test_cluster cluster;
    raw_peer raw = {0};
    dure_buf hello;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &hello);
    raw.say = hello.data;
    raw.say_len = hello.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 5900);
    DURE_CHECK_EQ(db->up, 1);
    DURE_CHECK_EQ(db->down, 0);
    test_run(&cluster, 4100);
    DURE_CHECK_EQ(db->down, 1);
    DURE_CHECK_ERR(db->down_cause, DURE_ERR_HEARTBEAT_LOST);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&hello);
    test_cluster_fini(&cluster);
}

/* One of the same id stands already, and says this when it is asked whether it lives. */
static void check_newcomer_wins(dure_slice said)
{
    test_cluster cluster;
    raw_peer raw = {0};
    dure_buf hello;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &hello);
    raw.say = hello.data;
    raw.say_len = hello.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 100);
    DURE_CHECK_EQ(db->up, 1);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_run(&cluster, 1000);
    DURE_REQUIRE(raw.session != NULL);
    DURE_CHECK_OK(dure_session_send(raw.session, said.data, said.len));
    test_run(&cluster, 500);
    DURE_CHECK_EQ(game->up, 0); /* the old one has two seconds to answer */
    test_run(&cluster, 3000);
    DURE_CHECK_EQ(game->up, 1);
    DURE_CHECK_EQ(game->duplicates, 0);
    DURE_CHECK_EQ(db->up, 2);
    DURE_CHECK_EQ(db->down, 1);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&hello);
    test_cluster_fini(&cluster);
}

static void a_newcomer_takes_the_place_of_one_that_is_dead(void)
{
    check_newcomer_wins((dure_slice){NULL, 0});
}

/* A pong that was on its way before the question is not its answer. */
static void a_pong_to_another_ping_is_no_sign_of_life(void)
{
    const uint8_t value[] = {0x2a};
    const dure_frame pong = {.kind = DURE_FRAME_PONG, .body = {value, sizeof value}};
    dure_buf frame;
    dure_buf_init(&frame, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&frame, &pong));
    check_newcomer_wins((dure_slice){frame.data, frame.len});
    dure_buf_fini(&frame);
}

#define MANY        40
#define LARGE_BYTES 65000u

/* It reads nothing more: what fitted into the system may have run, what waited behind it did not.
 */
static void what_never_left_is_not_sent(void)
{
    static uint8_t large[LARGE_BYTES];
    static test_call calls[MANY];
    test_cluster cluster;
    raw_peer raw = {.is_deaf = true};
    dure_buf hello;
    int unknown = 0;
    int not_sent = 0;
    const dure_target target = dure_to_node("game-1");
    const dure_call_options options = {.deadline_ms = 60000};
    memset(calls, 0, sizeof calls);
    large[0] = 0xc5; /* bin 16 */
    large[1] = (uint8_t)((LARGE_BYTES - 3) >> 8);
    large[2] = (uint8_t)((LARGE_BYTES - 3) & 0xff);
    const dure_slice body = {large, sizeof large};
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &hello);
    raw.say = hello.data;
    raw.say_len = hello.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 100);
    DURE_CHECK_EQ(db->up, 1);
    for (int i = 0; i < MANY; i++) {
        DURE_CHECK_OK(dure_rpc_call(db->rpc, &target, METHOD_ECHO, &options, body, test_on_done,
                                    &calls[i], NULL));
    }
    test_run(&cluster, 12000);
    DURE_CHECK_EQ(db->down, 1);
    for (int i = 0; i < MANY; i++) {
        DURE_CHECK_EQ(calls[i].count, 1);
        unknown += calls[i].status == DURE_ERR_OUTCOME_UNKNOWN;
        not_sent += calls[i].status == DURE_ERR_NOT_SENT;
        /* in the order of the bytes */
        DURE_CHECK(i == 0 || calls[i - 1].status == calls[i].status ||
                   calls[i].status == DURE_ERR_NOT_SENT);
    }
    DURE_CHECK_EQ(unknown + not_sent, MANY);
    DURE_CHECK(unknown > 0);
    DURE_CHECK(not_sent > 0);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&hello);
    test_cluster_fini(&cluster);
}

static void who_says_nothing_is_cut_in_time(void)
{
    check_cut(NULL, 0, 2500, "cause=HANDSHAKE_TIMEOUT");
}

static void other_bytes_than_frames_are_cut_at_once(void)
{
    static const uint8_t http[] = "GET / HTTP/1.1\r\n\r\n";
    check_cut(http, sizeof http - 1, 200, "cause=NOT_CANONICAL");
}

static void a_large_frame_before_welcome_is_cut_at_its_length(void)
{
    static const uint8_t head[] = {0xce, 0x00, 0x00, 0x20, 0x00};
    check_cut(head, sizeof head, 200, "cause=TOO_LARGE");
}

static void a_request_before_welcome_is_cut(void)
{
    dure_buf buf;
    const dure_frame frame = {
        .kind = DURE_FRAME_REQUEST, .id = 1, .method = METHOD_ECHO, .left_ms = 100};
    dure_buf_init(&buf, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&buf, &frame));
    check_cut(buf.data, buf.len, 200, "cause=PROTOCOL");
    dure_buf_fini(&buf);
}

static void a_request_without_time_left_is_cut(void)
{
    dure_buf buf;
    const dure_frame frame = {.kind = DURE_FRAME_REQUEST, .id = 1, .method = METHOD_ECHO};
    dure_buf_init(&buf, 4096);
    DURE_REQUIRE_OK(dure_frame_encode(&buf, &frame));
    check_cut(buf.data, buf.len, 200, "cause=PROTOCOL");
    dure_buf_fini(&buf);
}

DURE_SUITE(cluster_link, DURE_TEST(the_order_of_starts_does_not_matter),
           DURE_TEST(a_node_that_comes_back_is_dialled_again), DURE_TEST(a_quiet_link_stays),
           DURE_TEST(the_same_secret_links),
           DURE_TEST(another_cluster_is_refused_and_both_logs_say_so),
           DURE_TEST(another_secret_is_refused_and_both_logs_say_so),
           DURE_TEST(two_that_dial_each_other_keep_one_link),
           DURE_TEST(a_second_process_of_one_id_is_refused),
           DURE_TEST(a_silent_peer_is_given_up_within_ten_seconds),
           DURE_TEST(a_newcomer_takes_the_place_of_one_that_is_dead),
           DURE_TEST(a_pong_to_another_ping_is_no_sign_of_life),
           DURE_TEST(what_never_left_is_not_sent), DURE_TEST(who_says_nothing_is_cut_in_time),
           DURE_TEST(other_bytes_than_frames_are_cut_at_once),
           DURE_TEST(a_large_frame_before_welcome_is_cut_at_its_length),
           DURE_TEST(a_request_before_welcome_is_cut),
           DURE_TEST(a_request_without_time_left_is_cut));
