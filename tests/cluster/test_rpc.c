/* SPDX-License-Identifier: MIT
 *
 * Calls in a simulated cluster: every outcome, each once; cancellation; deadlines from hop to hop;
 * notifies; and calls of a node to itself.
 */
#include "base/mem.h"
#include "cluster/cluster_support.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

static void a_call_is_answered_with_what_was_sent(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    DURE_CHECK_EQ(p.game->up, 1);
    DURE_CHECK_EQ(p.db->up, 1);
    test_call_node(p.game, "db-1", METHOD_ECHO, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_OK);
    DURE_CHECK_EQ(call.body_len, 4);
    DURE_CHECK_STR(call.from->id, "db-1");
    /* and the other way, over the same link */
    test_call_node(p.db, "game-1", METHOD_ECHO, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_OK);
    DURE_CHECK_EQ(dure_rpc_outstanding(p.game->rpc), 0);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 0);
    test_cluster_fini(&p.cluster);
}

static void errors_come_as_they_were_given(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_FAIL, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_STR(call.text, "only 3 left");
    test_call_node(p.game, "db-1", METHOD_CUSTOM, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_INTERNAL);
    DURE_CHECK_EQ(call.code, 1234);
    test_call_node(p.game, "db-1", 9999, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_UNKNOWN_METHOD);
    test_call_node(p.game, "db-1", METHOD_ADMIN, 0, &call);
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_UNKNOWN_METHOD);
    test_cluster_fini(&p.cluster);
}

static void what_stays_inside_a_process_is_told_by_a_code_of_the_wire(void)
{
    static const struct {
        dure_err inside;
        dure_err told;
    } rows[] = {
        {DURE_ERR_FULL, DURE_ERR_OVERLOADED},      {DURE_ERR_NO_MEMORY, DURE_ERR_OVERLOADED},
        {DURE_ERR_DOWN, DURE_ERR_UNAVAILABLE},     {DURE_ERR_NOT_UP, DURE_ERR_UNAVAILABLE},
        {DURE_ERR_INVALID, DURE_ERR_INTERNAL},     {DURE_ERR_PROTOCOL, DURE_ERR_INTERNAL},
        {DURE_ERR_NOT_ENOUGH, DURE_ERR_NOT_ENOUGH}};
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        p.db->fail_with = rows[i].inside;
        p.db->fails = 1;
        test_call_node(p.game, "db-1", METHOD_TALLY, 0, &call);
        test_check_ends(&p.cluster, &call, 100, rows[i].told);
        DURE_CHECK_EQ(call.code, rows[i].told);
        DURE_CHECK_STR(call.text, "so far");
    }
    test_cluster_fini(&p.cluster);
}

/* Closed by one of two calls of a node to itself: the other one is not begun, as its maker is told.
 */
static void nothing_is_begun_after_a_close_from_a_handler(void)
{
    test_cluster cluster;
    test_call first;
    test_call second;
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_call_node(game, "game-1", METHOD_CLOSE, 0, &first);
    test_call_node(game, "game-1", METHOD_TALLY, 0, &second);
    test_run(&cluster, 100);
    test_check_ended(&first, DURE_ERR_OUTCOME_UNKNOWN);
    test_check_ended(&second, DURE_ERR_NOT_SENT);
    DURE_CHECK_EQ(game->runs, 0);
    test_cluster_fini(&cluster);
}

static void who_is_not_there_is_told_in_three_ways(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    test_node *game = test_node_start(&cluster, "game-1", NULL);
    test_call_node(game, "db-9", METHOD_ECHO, 0, &call);
    test_check_ends(&cluster, &call, 1, DURE_ERR_NOT_CONFIGURED);
    test_call_node(game, "db-1", METHOD_ECHO, 0, &call);
    test_check_ends(&cluster, &call, 1, DURE_ERR_NOT_UP);
    DURE_CHECK_EQ(dure_rpc_peer_state(game->rpc, "db-1"), DURE_PEER_NOT_UP);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_run(&cluster, 5000);
    DURE_CHECK_EQ(dure_rpc_peer_state(game->rpc, "db-1"), DURE_PEER_UP);
    test_node_stop(db);
    test_run(&cluster, 100);
    DURE_CHECK_EQ(dure_rpc_peer_state(game->rpc, "db-1"), DURE_PEER_DOWN);
    DURE_CHECK_EQ(game->down, 1);
    DURE_CHECK_ERR(game->down_cause, DURE_ERR_GOAWAY);
    test_call_node(game, "db-1", METHOD_ECHO, 0, &call);
    test_check_ends(&cluster, &call, 1, DURE_ERR_DOWN);
    test_cluster_fini(&cluster);
}

static void a_deadline_ends_a_call_and_its_request(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_HOLD, 300, &call);
    test_run(&p.cluster, 290);
    DURE_CHECK_EQ(call.count, 0);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 1);
    test_check_ends(&p.cluster, &call, 50, DURE_ERR_DEADLINE);
    DURE_CHECK_EQ(p.db->cancels, 1);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 0);
    test_cluster_fini(&p.cluster);
}

static void a_cancelled_call_is_told_to_the_callee(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    const dure_call_id id = test_call_node(p.game, "db-1", METHOD_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    dure_rpc_cancel(p.game->rpc, id);
    DURE_CHECK_EQ(call.count, 0);
    dure_rpc_cancel(p.game->rpc, id); /* stale: nothing */
    test_check_ends(&p.cluster, &call, 10, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(p.db->cancels, 1);
    test_cluster_fini(&p.cluster);
}

static void a_late_answer_is_dropped_and_counted(void)
{
    test_pair p;
    test_call call;
    dure_rpc_counters counters;
    test_pair_init(&p, NULL);
    const dure_call_id id = test_call_node(p.game, "db-1", METHOD_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    DURE_REQUIRE(p.db->held != NULL);
    dure_request_reply(p.db->held, (dure_slice){NULL, 0}); /* on its way as the call is given up */
    dure_rpc_cancel(p.game->rpc, id);
    test_check_ends(&p.cluster, &call, 10, DURE_ERR_CANCELLED);
    dure_rpc_counters_of(p.game->rpc, &counters);
    DURE_CHECK_EQ(counters.late_answers, 1);
    test_cluster_fini(&p.cluster);
}

static void an_answer_of_another_peer_ends_no_call(void)
{
    const uint8_t nil[] = {0xc0};
    test_cluster cluster;
    test_call call;
    raw_peer raw = {.say = NULL};
    dure_buf say;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_node *game = test_node_start(&cluster, "game-2", NULL);
    test_run(&cluster, 1000);
    const dure_call_id id = test_call_node(db, "game-2", METHOD_HOLD, 0, &call);
    const dure_frame answer = {
        .kind = DURE_FRAME_RESPONSE, .id = (uint32_t)id, .body = {nil, sizeof nil}};
    raw_write_hello(&cluster, &say); /* of game-1 */
    DURE_REQUIRE_OK(dure_frame_encode(&say, &answer));
    raw.say = say.data;
    raw.say_len = say.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 1000);
    DURE_CHECK_EQ(db->up, 2);
    DURE_CHECK_EQ(call.count, 0);
    DURE_CHECK_EQ(test_counters_of(db).late_answers, 1);
    DURE_REQUIRE(game->held != NULL);
    dure_request_fail(game->held, DURE_ERR_NOT_ENOUGH, "only 3 left");
    test_check_ends(&cluster, &call, 100, DURE_ERR_NOT_ENOUGH);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&say);
    test_cluster_fini(&cluster);
}

/* Of a peer that does not keep to its own limit. */
static void requests_of_one_peer_are_limited(void)
{
    enum { REQUESTS_MAX = 65536, CHUNK = 1024 };
    const uint8_t nil[] = {0xc0};
    test_cluster cluster;
    raw_peer raw = {.say = NULL};
    dure_buf say;
    dure_buf frames;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    raw_write_hello(&cluster, &say);
    raw.say = say.data;
    raw.say_len = say.len;
    raw_start(&raw, &cluster);
    test_run(&cluster, 1000);
    DURE_REQUIRE(raw.session != NULL);
    const size_t heard = raw.heard;
    dure_buf_init(&frames, 1u << 20);
    for (uint32_t id = 1; id <= REQUESTS_MAX + CHUNK; id++) {
        const dure_frame request = {.kind = DURE_FRAME_REQUEST,
                                    .id = id,
                                    .method = METHOD_HOLD,
                                    .left_ms = 60000,
                                    .body = {nil, sizeof nil}};
        DURE_REQUIRE_OK(dure_frame_encode(&frames, &request));
        if (id % CHUNK == 0) {
            DURE_REQUIRE(raw.session != NULL);
            DURE_REQUIRE_OK(dure_session_send(raw.session, frames.data, frames.len));
            dure_buf_clear(&frames);
            test_run(&cluster, 5);
            DURE_CHECK(id == REQUESTS_MAX + CHUNK || raw.heard == heard);
        }
    }
    DURE_CHECK_EQ(dure_rpc_serving(db->rpc), REQUESTS_MAX);
    DURE_CHECK(raw.heard >= heard + CHUNK * DURE_FRAME_HEADER_BYTES); /* each was declined */
    dure_buf_fini(&frames);
    raw_stop(&raw, &cluster);
    dure_buf_fini(&say);
    test_cluster_fini(&cluster);
}

static void a_call_that_left_is_unknown_when_the_link_breaks(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    test_node_stop(p.db);
    test_check_ends(&p.cluster, &call, 100, DURE_ERR_OUTCOME_UNKNOWN);
    test_cluster_fini(&p.cluster);
}

static void a_caller_that_goes_cancels_its_requests(void)
{
    test_pair p;
    test_call call;
    test_pair_init(&p, NULL);
    test_call_node(p.game, "db-1", METHOD_HOLD, 0, &call);
    test_run(&p.cluster, 10);
    test_node_stop(p.game);
    DURE_CHECK_EQ(call.count, 1);
    test_run(&p.cluster, 100);
    DURE_CHECK_EQ(p.db->cancels, 1);
    DURE_CHECK_EQ(dure_rpc_serving(p.db->rpc), 0);
    test_cluster_fini(&p.cluster);
}

static void the_deadline_is_counted_down_from_hop_to_hop(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    (void)test_node_start(&cluster, "db-1", NULL);
    (void)test_node_start(&cluster, "game-1", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 2000);
    test_call_node(gateway, "game-1", METHOD_HOP, 700, &call);
    test_check_ends(&cluster, &call, 100, DURE_OK);
    DURE_CHECK(test_number_of(&call) <= 700);
    DURE_CHECK(test_number_of(&call) > 600);
    test_cluster_fini(&cluster);
}

static void what_is_about_our_peers_is_forwarded_as_unavailable(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    (void)test_node_start(&cluster, "game-1", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    test_run(&cluster, 1000);
    test_call_node(gateway, "game-1", METHOD_HOP, 0, &call);
    test_check_ends(&cluster, &call, 100, DURE_ERR_UNAVAILABLE);
    test_cluster_fini(&cluster);
}

static void a_node_calls_itself_without_a_socket(void)
{
    test_cluster cluster;
    test_call call;
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    test_call_node(db, "db-1", METHOD_ECHO, 0, &call);
    test_check_ends(&cluster, &call, 1, DURE_OK);
    DURE_CHECK_EQ(call.body_len, 4);
    test_call_node(db, "db-1", METHOD_FAIL, 0, &call);
    test_check_ends(&cluster, &call, 1, DURE_ERR_NOT_ENOUGH);
    const dure_call_id id = test_call_node(db, "db-1", METHOD_HOLD, 0, &call);
    test_run(&cluster, 1);
    dure_rpc_cancel(db->rpc, id);
    test_check_ends(&cluster, &call, 1, DURE_ERR_CANCELLED);
    DURE_CHECK_EQ(db->cancels, 1);
    test_call_node(db, "db-1", METHOD_HOLD, 0, &call);
    test_cluster_fini(&cluster);
    test_check_ended(&call, DURE_ERR_NOT_SENT);
}

static void a_notify_reaches_all_of_a_role(void)
{
    test_cluster cluster;
    test_cluster_init(&cluster, NULL);
    test_node *first = test_node_start(&cluster, "game-1", NULL);
    test_node *second = test_node_start(&cluster, "game-2", NULL);
    test_node *gateway = test_node_start(&cluster, "gateway-1", NULL);
    const dure_target all = dure_to_all("game");
    const dure_slice nil = {NULL, 0};
    DURE_CHECK_ERR(dure_rpc_notify(gateway->rpc, &all, METHOD_NOTE, 0, nil), DURE_ERR_NOT_UP);
    test_run(&cluster, 1000);
    DURE_CHECK_OK(dure_rpc_notify(gateway->rpc, &all, METHOD_NOTE, 0, nil));
    test_run(&cluster, 100);
    DURE_CHECK_EQ(first->notes, 1);
    DURE_CHECK_EQ(second->notes, 1);
    const dure_target nobody = dure_to_all("smith");
    DURE_CHECK_ERR(dure_rpc_notify(gateway->rpc, &nobody, METHOD_NOTE, 0, nil),
                   DURE_ERR_NOT_CONFIGURED);
    test_cluster_fini(&cluster);
}

static void wrong_arguments_start_nothing(void)
{
    test_cluster cluster;
    test_call call = {0};
    test_cluster_init(&cluster, NULL);
    test_node *db = test_node_start(&cluster, "db-1", NULL);
    const dure_target all = dure_to_all("game");
    const dure_target self = dure_to_node("db-1");
    const uint8_t two[] = {0x01, 0x02};
    const dure_slice nil = {NULL, 0};
    const dure_slice no_object = {two, sizeof two};
    DURE_CHECK_ERR(dure_rpc_call(db->rpc, &all, 1, NULL, nil, test_on_done, &call, NULL),
                   DURE_ERR_INVALID);
    DURE_CHECK_ERR(dure_rpc_call(db->rpc, &self, 1, NULL, nil, NULL, &call, NULL),
                   DURE_ERR_INVALID);
    DURE_CHECK_ERR(dure_rpc_call(db->rpc, &self, 1, NULL, no_object, test_on_done, &call, NULL),
                   DURE_ERR_INVALID);
    test_run(&cluster, 100);
    DURE_CHECK_EQ(call.count, 0);
    test_cluster_fini(&cluster);
}

/* Every allocation of a call and of its serving fails once: the call ends once all the same, or was
 * never started. */
static void without_memory_a_call_still_ends_once(void)
{
    for (size_t n = 1; n < 30; n++) {
        test_cluster cluster;
        test_call call = {0};
        const dure_target target = dure_to_node("db-1");
        const dure_slice nil = {NULL, 0};
        const dure_call_options options = {.deadline_ms = 500};
        test_cluster_init(&cluster, NULL);
        (void)test_node_start(&cluster, "db-1", NULL);
        test_node *game = test_node_start(&cluster, "game-1", NULL);
        test_run(&cluster, 1000);
        dure_mem_fail_nth(n);
        const dure_err err = dure_rpc_call(game->rpc, &target, METHOD_ECHO, &options, nil,
                                           test_on_done, &call, NULL);
        test_run(&cluster, 1000);
        dure_mem_fail_nth(0);
        DURE_CHECK_EQ(call.count, err == DURE_OK ? 1 : 0);
        test_cluster_fini(&cluster);
    }
}

DURE_SUITE(cluster_rpc, DURE_TEST(a_call_is_answered_with_what_was_sent),
           DURE_TEST(errors_come_as_they_were_given),
           DURE_TEST(what_stays_inside_a_process_is_told_by_a_code_of_the_wire),
           DURE_TEST(nothing_is_begun_after_a_close_from_a_handler),
           DURE_TEST(who_is_not_there_is_told_in_three_ways),
           DURE_TEST(a_deadline_ends_a_call_and_its_request),
           DURE_TEST(a_cancelled_call_is_told_to_the_callee),
           DURE_TEST(a_late_answer_is_dropped_and_counted),
           DURE_TEST(an_answer_of_another_peer_ends_no_call),
           DURE_TEST(requests_of_one_peer_are_limited),
           DURE_TEST(a_call_that_left_is_unknown_when_the_link_breaks),
           DURE_TEST(a_caller_that_goes_cancels_its_requests),
           DURE_TEST(the_deadline_is_counted_down_from_hop_to_hop),
           DURE_TEST(what_is_about_our_peers_is_forwarded_as_unavailable),
           DURE_TEST(a_node_calls_itself_without_a_socket),
           DURE_TEST(a_notify_reaches_all_of_a_role), DURE_TEST(wrong_arguments_start_nothing),
           DURE_TEST(without_memory_a_call_still_ends_once));
