/* SPDX-License-Identifier: MIT
 *
 * A player and its game node: what a client hears of its calls while the player is taken over, or
 * on its way to a node, and in which order and for how long calls wait.
 */
#include "db.schema.h"
#include "nodes/game/game.h"
#include "nodes/gateway/gateway.h"
#include "role_cluster.h"

#define STEPS_MAX 60 /* more than a takeover takes in a world that does nothing else */
#define FLOOD     12

static void open_pair(role_cluster *cluster, role_client *ada, role_client *bob,
                      void (*change)(dure_registry_builder *))
{
    role_cluster_config config;
    role_cluster_config_init(&config);
    config.gateways = 2;
    config.change = change;
    role_cluster_open(cluster, &config);
    role_client_open(ada, cluster, "gateway-1");
    role_client_open(bob, cluster, "gateway-2");
    DURE_CHECK_OK(role_client_login(ada, "ada"));
    DURE_CHECK_OK(role_client_login(bob, "bob"));
    DURE_CHECK_OK(role_client_call(ada, "join", "s", "arena"));
    DURE_CHECK_OK(role_client_call(bob, "join", "s", "arena"));
}

static void close_pair(role_cluster *cluster, role_client *ada, role_client *bob)
{
    role_client_close(ada);
    role_client_close(bob);
    role_cluster_close(cluster);
}

static role_node *node_of(role_client *client)
{
    char id[ROLE_NODE_ID_SIZE];
    DURE_CHECK_OK(role_client_call(client, "whoami", ""));
    role_client_text(client, "node", id, sizeof id);
    return role_cluster_node(client->cluster, id);
}

/* The node does not know the player any more, and nobody has been told. */
static void forget(const role_node *node, const char *player)
{
    const game *g = dure_node_state(node->node);
    world_player *forgotten = world_find(g->world, dure_str_of(player));
    DURE_REQUIRE(forgotten != NULL);
    world_leave(g->world, forgotten);
}

/* ---- takeover ---- */

static void step(role_cluster *cluster, int steps)
{
    for (int i = 0; i < steps; i++) {
        (void)dure_sim_step(cluster->world);
    }
}

static void check_end_of_call(const role_client *client, uint32_t id)
{
    const role_answer *answer = role_client_answer(client, id);
    if (answer != NULL && answer->code != DURE_OK && answer->code != DURE_ERR_OUTCOME_UNKNOWN) {
        DURE_CHECK_ERR(answer->code, DURE_ERR_TAKEN_OVER);
    }
}

/* Asks on and on while somebody logs in as the same player. */
static void flood_until_taken_over(role_client *ada, role_client *elsewhere, int steps)
{
    uint32_t asked[4 * FLOOD];
    int count = 0;
    step(ada->cluster, steps);
    DURE_CHECK(role_client_ask(elsewhere, "login", "s", "ada") != 0);
    for (int i = 0; i < FLOOD && ada->session != NULL; i++) {
        asked[count++] = role_client_ask(ada, "whoami", "");
        asked[count++] = role_client_ask(ada, "chat", "s", "still me");
        asked[count++] = role_client_ask(ada, "give", "ssu", "bob", "gold", (uint64_t)1);
        asked[count++] = role_client_ask(ada, "inventory", "");
        step(ada->cluster, 3);
    }
    role_cluster_run(ada->cluster, 7000);
    DURE_CHECK_STR(ada->closing, "TAKEN_OVER");
    for (int i = 0; i < count; i++) {
        check_end_of_call(ada, asked[i]);
    }
}

static void who_is_taken_over_hears_that_and_nothing_untrue(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client elsewhere;
    for (int steps = 0; steps < STEPS_MAX; steps += 2) {
        open_pair(&cluster, &ada, &bob, NULL);
        role_client_open(&elsewhere, &cluster, "gateway-2");
        flood_until_taken_over(&ada, &elsewhere, steps);
        DURE_CHECK_OK(role_client_call(&elsewhere, "whoami", ""));
        role_client_close(&elsewhere);
        close_pair(&cluster, &ada, &bob);
    }
}

/* What an older session asks last, and a login elsewhere so many steps later. */
static void take_over_while_it_asks(role_client *ada, role_client *elsewhere, const char *method,
                                    const char *param, int steps)
{
    const uint32_t id = role_client_ask(ada, method, "s", param);
    step(ada->cluster, steps);
    DURE_CHECK(role_client_ask(elsewhere, "login", "s", "ada") != 0);
    role_cluster_run(ada->cluster, 7000);
    DURE_CHECK(role_client_answer(ada, id) != NULL);
    check_end_of_call(ada, id);
}

static void a_join_that_is_under_way_is_answered_before_a_takeover(void)
{
    static const char *const rooms[] = {"cave", "hall", "roof", "yard", "pier"}; /* on both nodes */
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client elsewhere;
    for (size_t i = 0; i < STEPS_MAX * DURE_COUNT_OF(rooms); i++) {
        open_pair(&cluster, &ada, &bob, NULL);
        role_client_open(&elsewhere, &cluster, "gateway-2");
        take_over_while_it_asks(&ada, &elsewhere, "join", rooms[i % DURE_COUNT_OF(rooms)],
                                (int)(i / DURE_COUNT_OF(rooms)));
        role_client_close(&elsewhere);
        close_pair(&cluster, &ada, &bob);
    }
}

static void a_login_that_is_under_way_is_answered_before_a_takeover(void)
{
    role_cluster cluster;
    role_cluster_config config;
    role_client ada;
    role_client elsewhere;
    role_cluster_config_init(&config);
    config.gateways = 2;
    role_cluster_open(&cluster, &config);
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        role_client_open(&ada, &cluster, "gateway-1");
        role_client_open(&elsewhere, &cluster, "gateway-2");
        take_over_while_it_asks(&ada, &elsewhere, "login", "ada", steps);
        role_client_close(&elsewhere);
        role_client_close(&ada);
    }
    role_cluster_close(&cluster);
}

/* The session goes on, and what it had asked may have happened. */
static void a_join_that_is_under_way_is_answered_before_a_resume(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client again;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        open_pair(&cluster, &ada, &bob, NULL);
        role_client_open(&again, &cluster, "gateway-1");
        const uint32_t id = role_client_ask(&ada, "join", "s", "cave");
        step(&cluster, steps);
        DURE_CHECK_OK(role_client_call(&again, "resume", "su", ada.token, ada.notified));
        DURE_CHECK_STR(ada.closing, "TAKEN_OVER");
        const role_answer *answer = role_client_answer(&ada, id);
        DURE_CHECK(answer != NULL &&
                   (answer->code == DURE_OK || answer->code == DURE_ERR_OUTCOME_UNKNOWN));
        DURE_CHECK_OK(role_client_call(&again, "whoami", ""));
        role_client_close(&again);
        close_pair(&cluster, &ada, &bob);
    }
}

/* ---- a node that does not know the player ---- */

static void calls_that_met_no_player_are_made_again_in_their_order(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, NULL);
    forget(node_of(&ada), "ada");
    const uint64_t heard = bob.notified;
    uint32_t ids[6];
    for (int i = 0; i < 6; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        ids[i] = role_client_ask(&ada, "chat", "s", text);
        step(&cluster, 2); /* some are answered while others come */
    }
    role_cluster_run(&cluster, 1000);
    for (int i = 0; i < 6; i++) {
        const role_answer *answer = role_client_answer(&ada, ids[i]);
        DURE_CHECK(answer != NULL && answer->code == DURE_OK);
    }
    DURE_CHECK_EQ(bob.notified, heard + 6); /* each once */
    DURE_CHECK_STR(bob.said, "5");
    DURE_CHECK(bob.is_in_order);
    const gateway *g = dure_node_state(role_cluster_node(&cluster, "gateway-1")->node);
    DURE_CHECK_EQ(g->clients.unbound_count, 0); /* the tick has nobody to look after */
    close_pair(&cluster, &ada, &bob);
}

static void on_given_up(void *ctx, const dure_outcome *outcome, const db_save_result *result)
{
    (void)ctx;
    (void)result;
    DURE_CHECK_OK(outcome->status);
}

/* db takes the player from its node, which has not heard of it yet. */
static void give_up_at_db(role_cluster *cluster, const role_node *node, const char *player)
{
    const game *g = dure_node_state(node->node);
    const world_player *owned = world_find(g->world, dure_str_of(player));
    DURE_REQUIRE(owned != NULL);
    const dure_target db = dure_to_role("db");
    const db_save_params in = {.player = dure_str_of(player),
                               .room = dure_str_of(owned->room->name),
                               .epoch = owned->epoch,
                               .leaves = true};
    DURE_REQUIRE_OK(
        db_call_save(role_cluster_rpc(cluster, node->id), &db, &in, NULL, on_given_up, NULL, NULL));
    role_cluster_run(cluster, 100);
}

static void a_gift_of_who_is_fenced_is_given_when_the_player_is_in_again(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, NULL);
    give_up_at_db(&cluster, node_of(&ada), "ada");
    DURE_CHECK_OK(role_client_call(&ada, "give", "ssu", "bob", "gold", (uint64_t)1));
    DURE_CHECK_EQ(role_client_count(&ada, "balance"), 99);
    DURE_CHECK_OK(role_client_call(&bob, "inventory", ""));
    DURE_CHECK_EQ(role_client_count(&bob, "gold"), 101);
    close_pair(&cluster, &ada, &bob);
}

static void an_error_of_a_role_is_no_news_of_the_player(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, NULL);
    const gateway *g = dure_node_state(role_cluster_node(&cluster, "gateway-1")->node);
    role_node_stop(role_cluster_node(&cluster, "db-1"));
    DURE_CHECK_ERR(role_client_call(&ada, "inventory", ""), DURE_ERR_UNAVAILABLE);
    DURE_CHECK_EQ(g->clients.unbound_count, 0); /* the player is where it was */
    DURE_CHECK_OK(role_client_call(&ada, "chat", "s", "here"));
    DURE_CHECK_EQ(role_client_number(&ada), 1);
    close_pair(&cluster, &ada, &bob);
}

/* ---- a node that is away ---- */

static void calls_wait_so_long_for_a_node_that_drained(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, NULL);
    role_node *node = node_of(&ada);
    role_node_begin_stop(node);
    role_cluster_run(&cluster, 50);
    const uint64_t began_ns = dure_sim_now_ns(cluster.world);
    uint32_t first = role_client_ask(&ada, "whoami", "");
    role_cluster_run(&cluster, 3800);
    DURE_CHECK(role_client_answer(&ada, first) == NULL);
    DURE_CHECK_ERR(role_client_call(&ada, "whoami", ""), DURE_ERR_UNAVAILABLE);
    DURE_CHECK(role_client_answer(&ada, first) != NULL);
    const uint64_t took_ms = (dure_sim_now_ns(cluster.world) - began_ns) / 1000000u;
    DURE_CHECK(took_ms >= 3800 && took_ms <= 4200);
    DURE_CHECK_ERR(role_client_call(&ada, "whoami", ""), DURE_ERR_UNAVAILABLE);
    DURE_CHECK((dure_sim_now_ns(cluster.world) - began_ns) / 1000000u <= took_ms + 5);
    close_pair(&cluster, &ada, &bob);
}

static void deadline_of_a_second(dure_registry_builder *builder)
{
    dure_registry_builder_settings(builder)->call_deadline_ms = 1000;
}

/* Its node lost the player under way and db, without which nobody comes in, is away: whoever waits
 * for longer than its call has time is still told that nothing of it was begun. */
static void a_call_that_nobody_began_is_not_left_open(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, deadline_of_a_second);
    forget(node_of(&ada), "ada");
    role_node_stop(role_cluster_node(&cluster, "db-1"));
    const uint64_t began_ns = dure_sim_now_ns(cluster.world);
    DURE_CHECK_ERR(role_client_call(&ada, "inventory", ""), DURE_ERR_UNAVAILABLE);
    DURE_CHECK((dure_sim_now_ns(cluster.world) - began_ns) / 1000000u >= 600);
    close_pair(&cluster, &ada, &bob);
}

static void what_waited_past_its_deadline_is_not_begun(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob, deadline_of_a_second);
    role_node *node = node_of(&ada);
    role_node_stop(node);
    DURE_CHECK_ERR(role_client_call(&ada, "logout", ""), DURE_ERR_DEADLINE);
    role_node_start(node);
    role_cluster_run(&cluster, 5000);
    DURE_CHECK_OK(role_client_call(&ada, "whoami", "")); /* logged in as ever */
    close_pair(&cluster, &ada, &bob);
}

static void a_login_that_was_not_answered_is_not_waited_for(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client cyd;
    open_pair(&cluster, &ada, &bob, NULL);
    const gateway *g = dure_node_state(role_cluster_node(&cluster, "gateway-1")->node);
    role_client_open(&cyd, &cluster, "gateway-1");
    DURE_CHECK(role_client_ask(&cyd, "login", "s", "cyd") != 0);
    const gateway_client *client = NULL;
    while (client == NULL || client->state != GATEWAY_CLIENT_ENTERING) {
        DURE_REQUIRE(dure_sim_step(cluster.world));
        client = gateway_client_find(&g->clients, g->last_client);
    }
    role_client_abort(&cyd);
    role_cluster_run(&cluster, 500);
    DURE_CHECK(gateway_client_find(&g->clients, g->last_client) == NULL);
    role_client_close(&cyd);
    close_pair(&cluster, &ada, &bob);
}

/* ---- turns ---- */

static gateway_home *home_of(role_cluster *cluster, const char *gateway_id, const char *game_id)
{
    gateway *g = dure_node_state(role_cluster_node(cluster, gateway_id)->node);
    size_t at = 0;
    while (at + 1 < g->home_count && strcmp(g->homes[at].node->id, game_id) != 0) {
        at++;
    }
    return &g->homes[at];
}

static void a_node_that_answers_nobody_keeps_nobody_from_the_others(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    char room[16];
    open_pair(&cluster, &ada, &bob, NULL);
    const role_node *slow = node_of(&ada);
    for (int i = 0; node_of(&bob) == slow; i++) {
        (void)snprintf(room, sizeof room, "room-%d", i);
        DURE_CHECK_OK(role_client_call(&bob, "join", "s", room));
    }
    gateway_home *home = home_of(&cluster, "gateway-1", slow->id);
    DURE_REQUIRE(strcmp(home->node->id, slow->id) == 0);
    role_client cyd;
    role_client_open(&cyd, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&cyd, "cyd"));
    DURE_CHECK_OK(role_client_call(&cyd, "join", "s", room));
    home->entering += 1000; /* as if so many hung there */
    forget(slow, "ada");
    forget(node_of(&cyd), "cyd");
    const uint32_t waits = role_client_ask(&ada, "whoami", "");
    DURE_CHECK_OK(role_client_call(&cyd, "whoami", ""));
    DURE_CHECK(role_client_answer(&ada, waits) == NULL);
    home->entering -= 1000;
    role_cluster_run(&cluster, 300);
    DURE_CHECK(role_client_answer(&ada, waits) != NULL);
    role_client_close(&cyd);
    close_pair(&cluster, &ada, &bob);
}

/* ---- the steps ---- */

static void a_state_steps_only_as_it_is_drawn(void)
{
    static const char *const drawn[] = {
        "LOGGING_IN ENTERING", "LOGGING_IN UNBOUND", "ENTERING BOUND",   "ENTERING UNBOUND",
        "BINDING BOUND",       "BINDING AWAITING",   "BINDING UNBOUND",  "BOUND BINDING",
        "BOUND AWAITING",      "BOUND UNBOUND",      "AWAITING BINDING", "AWAITING UNBOUND",
        "UNBOUND BINDING",
    };
    size_t found = 0;
    for (int from = 0; from <= GATEWAY_CLIENT_ENDED; from++) {
        for (int to = 0; to < GATEWAY_CLIENT_ENDED; to++) {
            char line[64];
            bool is_drawn = false;
            (void)snprintf(line, sizeof line, "%s %s",
                           gateway_client_state_name((gateway_client_state)from),
                           gateway_client_state_name((gateway_client_state)to));
            for (size_t i = 0; i < sizeof drawn / sizeof drawn[0]; i++) {
                is_drawn = is_drawn || strcmp(drawn[i], line) == 0;
            }
            found += is_drawn ? 1 : 0;
            DURE_CHECK_EQ(gateway_client_step_is_allowed((gateway_client_state)from,
                                                         (gateway_client_state)to),
                          is_drawn);
        }
        DURE_CHECK_EQ(
            gateway_client_step_is_allowed((gateway_client_state)from, GATEWAY_CLIENT_ENDED),
            from != GATEWAY_CLIENT_ENDED);
    }
    DURE_CHECK_EQ(found, sizeof drawn / sizeof drawn[0]);
}

DURE_SUITE(nodes_binding, DURE_TEST(who_is_taken_over_hears_that_and_nothing_untrue),
           DURE_TEST(a_join_that_is_under_way_is_answered_before_a_takeover),
           DURE_TEST(a_login_that_is_under_way_is_answered_before_a_takeover),
           DURE_TEST(a_join_that_is_under_way_is_answered_before_a_resume),
           DURE_TEST(calls_that_met_no_player_are_made_again_in_their_order),
           DURE_TEST(a_gift_of_who_is_fenced_is_given_when_the_player_is_in_again),
           DURE_TEST(an_error_of_a_role_is_no_news_of_the_player),
           DURE_TEST(calls_wait_so_long_for_a_node_that_drained),
           DURE_TEST(a_call_that_nobody_began_is_not_left_open),
           DURE_TEST(what_waited_past_its_deadline_is_not_begun),
           DURE_TEST(a_login_that_was_not_answered_is_not_waited_for),
           DURE_TEST(a_node_that_answers_nobody_keeps_nobody_from_the_others),
           DURE_TEST(a_state_steps_only_as_it_is_drawn));
