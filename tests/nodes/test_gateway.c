/* SPDX-License-Identifier: MIT
 *
 * The gateway among whole roles, as clients see it: who is where, who hears what, and what becomes
 * of a player whose client logs out, drops, comes back or logs in elsewhere.
 */
#include "role_cluster.h"

#define STEPS_MAX 60 /* more than a login takes in a world that does nothing else */

static void open_pair(role_cluster *cluster, role_client *ada, role_client *bob)
{
    role_cluster_config config;
    role_cluster_config_init(&config);
    config.gateways = 2;
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

static void check_players(role_client *client, const char *room, const char *names)
{
    char players[128];
    DURE_CHECK_OK(role_client_call(client, "join", "s", room));
    role_client_players(client, players, sizeof players);
    DURE_CHECK_STR(players, names);
}

static void check_balance(role_client *client, uint64_t gold)
{
    DURE_CHECK_OK(role_client_call(client, "inventory", ""));
    DURE_CHECK_EQ(role_client_count(client, "gold"), gold);
}

static void two_players_meet_talk_and_give(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    char room[32];
    open_pair(&cluster, &ada, &bob);
    DURE_CHECK_STR(ada.player, "ada");
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    role_client_text(&ada, "room", room, sizeof room);
    DURE_CHECK_STR(room, "arena");
    check_players(&bob, "arena", "ada bob");
    DURE_CHECK_OK(role_client_call(&ada, "chat", "s", "hello"));
    DURE_CHECK_EQ(role_client_number(&ada), 1);
    role_cluster_run(&cluster, 100);
    DURE_CHECK_STR(bob.said, "hello");
    DURE_CHECK_EQ(bob.notified, 1);
    DURE_CHECK_EQ(ada.notified, 0);
    DURE_CHECK_OK(role_client_call(&ada, "give", "ssu", "bob", "gold", (uint64_t)40));
    DURE_CHECK_EQ(role_client_count(&ada, "balance"), 60);
    check_balance(&bob, 140);
    close_pair(&cluster, &ada, &bob);
}

static void who_has_logged_out_is_in_no_room(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob);
    DURE_CHECK_OK(role_client_call(&ada, "logout", ""));
    DURE_CHECK_ERR(role_client_call(&ada, "whoami", ""), DURE_ERR_NOT_LOGGED_IN);
    DURE_CHECK_ERR(role_client_call(&ada, "logout", ""), DURE_ERR_NOT_LOGGED_IN);
    check_players(&bob, "arena", "bob");
    DURE_CHECK_ERR(role_client_call(&bob, "login", "s", "eve"), DURE_ERR_ALREADY_LOGGED_IN);
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    check_players(&bob, "arena", "ada bob"); /* where it was */
    close_pair(&cluster, &ada, &bob);
}

static void a_lost_connection_is_gone_on_with(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client again;
    open_pair(&cluster, &ada, &bob);
    role_client_abort(&ada);
    role_cluster_run(&cluster, 100);
    for (int i = 0; i < 3; i++) {
        DURE_CHECK_OK(role_client_call(&bob, "chat", "s", "missed"));
        DURE_CHECK_EQ(role_client_number(&bob), 1);
    }
    role_client_open(&again, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_resume(&again, ada.token, 0));
    DURE_CHECK_EQ(role_client_count(&again, "missed"), 3);
    DURE_CHECK_STR(again.player, "ada");
    DURE_CHECK_OK(role_client_call(&again, "ping", ""));
    DURE_CHECK_EQ(again.notified, 3);
    check_players(&again, "arena", "ada bob");
    role_client_close(&again);
    close_pair(&cluster, &ada, &bob);
}

static void one_who_does_not_come_back_goes(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    open_pair(&cluster, &ada, &bob);
    role_client_abort(&ada);
    role_cluster_run(&cluster, 29000);
    check_players(&bob, "arena", "ada bob");
    role_cluster_run(&cluster, 2000); /* resume_ms is 30 s */
    check_players(&bob, "arena", "bob");
    close_pair(&cluster, &ada, &bob);
}

static void the_later_login_is_the_player(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client elsewhere;
    open_pair(&cluster, &ada, &bob);
    role_client_open(&elsewhere, &cluster, "gateway-2");
    DURE_CHECK_OK(role_client_login(&elsewhere, "ada"));
    role_cluster_run(&cluster, 100);
    DURE_CHECK_STR(ada.closing, "TAKEN_OVER");
    DURE_CHECK(ada.session == NULL);
    check_players(&elsewhere, "arena", "ada bob");
    role_client_close(&elsewhere);
    close_pair(&cluster, &ada, &bob);
}

/* It would be cut there, and be the name of somebody else. */
static void a_name_ends_at_no_zero_byte(void)
{
    static const char *const names[] = {"ada\0x", "ada\0\0", "\0adax"};
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client other;
    open_pair(&cluster, &ada, &bob);
    role_client_open(&other, &cluster, "gateway-2");
    for (size_t i = 0; i < DURE_COUNT_OF(names); i++) {
        const dure_str name = {names[i], 5};
        DURE_CHECK_ERR(role_client_call(&other, "login", "t", name), DURE_ERR_BAD_REQUEST);
        DURE_CHECK_ERR(role_client_call(&other, "whoami", ""), DURE_ERR_NOT_LOGGED_IN);
    }
    DURE_CHECK_OK(role_client_call(&ada, "whoami", "")); /* nobody has taken over */
    role_client_close(&other);
    close_pair(&cluster, &ada, &bob);
}

static void a_client_that_goes_while_it_comes_in_leaves_no_ghost(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client ghost;
    open_pair(&cluster, &ada, &bob);
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        role_client_open(&ghost, &cluster, "gateway-1");
        DURE_CHECK(role_client_ask(&ghost, "login", "s", "cyd") != 0);
        for (int i = 0; i < steps; i++) {
            (void)dure_sim_step(cluster.world);
        }
        role_client_abort(&ghost);
        role_client_close(&ghost);
        role_cluster_run(&cluster, 31000); /* had it come in all the way, it would be waited for */
        check_players(&bob, "lobby", "bob");
    }
    close_pair(&cluster, &ada, &bob);
}

static void a_game_node_that_comes_back_has_its_players_again(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    char node[ROLE_NODE_ID_SIZE];
    open_pair(&cluster, &ada, &bob);
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    role_client_text(&ada, "node", node, sizeof node);
    role_node_stop(role_cluster_node(&cluster, node));
    DURE_CHECK_ERR(role_client_call(&ada, "whoami", ""), DURE_ERR_UNAVAILABLE);
    role_node_start(role_cluster_node(&cluster, node));
    role_cluster_run(&cluster, 5000);
    check_players(&bob, "arena", "ada bob");
    DURE_CHECK_OK(role_client_call(&ada, "chat", "s", "back"));
    DURE_CHECK_EQ(role_client_number(&ada), 1);
    close_pair(&cluster, &ada, &bob);
}

DURE_SUITE(nodes_gateway, DURE_TEST(two_players_meet_talk_and_give),
           DURE_TEST(who_has_logged_out_is_in_no_room),
           DURE_TEST(a_lost_connection_is_gone_on_with), DURE_TEST(one_who_does_not_come_back_goes),
           DURE_TEST(the_later_login_is_the_player), DURE_TEST(a_name_ends_at_no_zero_byte),
           DURE_TEST(a_client_that_goes_while_it_comes_in_leaves_no_ghost),
           DURE_TEST(a_game_node_that_comes_back_has_its_players_again));
