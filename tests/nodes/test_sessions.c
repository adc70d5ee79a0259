/* SPDX-License-Identifier: MIT
 *
 * What one login leaves to the next of the same connection (nothing), and which token goes on with
 * which session.
 */
#include "role_cluster.h"

#define OWN_METHOD_SUBJECT (100u * 256u + 1u)
#define STEPS_MAX          40 /* more than the pushes of a chat are on their way */

/* ---- a role that tells whom it is asked for ---- */

static void serve_subject(dure_request *request, dure_slice params, void *state)
{
    (void)params;
    (void)state;
    dure_packer_u64(dure_request_reply_begin(request), dure_request_subject(request));
    dure_request_reply_end(request);
}

static const dure_method own_methods[] = {
    {OWN_METHOD_SUBJECT, DURE_METHOD_CLIENT | DURE_METHOD_NO_LOGIN, "subject", serve_subject},
    {0, 0, NULL, NULL},
};

static const dure_role own_role = {.name = "own", .methods = own_methods};

static uint64_t subject_of(role_client *client)
{
    DURE_CHECK_OK(role_client_call(client, "subject", ""));
    return role_client_number(client);
}

static void each_login_has_a_number_of_its_own(void)
{
    role_cluster cluster;
    role_cluster_config config;
    role_client ada;
    role_client again;
    role_cluster_config_init(&config);
    config.own = &own_role;
    role_cluster_open(&cluster, &config);
    role_client_open(&ada, &cluster, "gateway-1");
    DURE_CHECK_EQ(subject_of(&ada), 0); /* a stranger's */
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    const uint64_t first = subject_of(&ada);
    DURE_CHECK(first != 0);
    DURE_CHECK_OK(role_client_call(&ada, "join", "s", "arena"));
    DURE_CHECK_EQ(subject_of(&ada), first);
    role_client_abort(&ada);
    role_client_open(&again, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_resume(&again, ada.token, 0));
    DURE_CHECK_EQ(subject_of(&again), first);
    DURE_CHECK_OK(role_client_call(&again, "logout", ""));
    DURE_CHECK_EQ(subject_of(&again), 0);
    DURE_CHECK_OK(role_client_login(&again, "eve"));
    const uint64_t second = subject_of(&again);
    DURE_CHECK(second != 0 && second != first);
    DURE_CHECK_OK(role_client_call(&again, "logout", ""));
    DURE_CHECK_OK(role_client_login(&again, "ada"));
    const uint64_t third = subject_of(&again);
    DURE_CHECK(third != 0 && third != first && third != second);
    role_client_close(&ada);
    role_client_close(&again);
    role_cluster_close(&cluster);
}

/* ---- who hears what ---- */

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

static void chat_often(role_client *client, int times)
{
    for (int i = 0; i < times; i++) {
        DURE_CHECK(role_client_ask(client, "chat", "s", "flood") != 0);
    }
}

/* eve takes ada's place on the connection while ada's room is loud. */
static void change_players(role_client *client, role_client *loud, int steps)
{
    chat_often(loud, 20);
    for (int i = 0; i < steps; i++) {
        (void)dure_sim_step(client->cluster->world);
    }
    DURE_CHECK_OK(role_client_call(client, "logout", ""));
    const uint64_t heard = client->notified;
    DURE_CHECK_OK(role_client_login(client, "eve"));
    role_cluster_run(client->cluster, 500);
    DURE_CHECK_EQ(client->notified, heard); /* eve is in the lobby */
}

static void what_was_meant_for_a_player_never_reaches_the_next(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client again;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        open_pair(&cluster, &ada, &bob);
        change_players(&ada, &bob, steps);
        const uint64_t before = ada.notified;
        DURE_CHECK_OK(role_client_call(&ada, "join", "s", "arena"));
        chat_often(&bob, 3);
        role_cluster_run(&cluster, 100);
        DURE_CHECK_EQ(ada.notified, before + 3);
        role_client_abort(&ada);
        role_cluster_run(&cluster, 100);
        chat_often(&bob, 2);
        role_cluster_run(&cluster, 100);
        role_client_open(&again, &cluster, "gateway-1");
        DURE_CHECK_OK(role_client_resume(&again, ada.token, 3));
        DURE_CHECK_EQ(role_client_count(&again, "missed"), 2);
        DURE_CHECK_OK(role_client_call(&again, "ping", ""));
        DURE_CHECK_EQ(again.notified, 2);
        role_client_close(&again);
        close_pair(&cluster, &ada, &bob);
    }
}

/* ---- tokens ---- */

static void a_lost_answer_to_resume_does_not_lose_the_session(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client lost;
    role_client again;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        open_pair(&cluster, &ada, &bob);
        role_client_abort(&ada);
        role_client_open(&lost, &cluster, "gateway-1");
        DURE_CHECK(role_client_ask(&lost, "resume", "su", ada.token, (uint64_t)0) != 0);
        for (int i = 0; i < steps; i++) {
            (void)dure_sim_step(cluster.world);
        }
        role_client_abort(&lost);
        role_cluster_run(&cluster, 100);
        chat_often(&bob, 2);
        role_cluster_run(&cluster, 100);
        role_client_open(&again, &cluster, "gateway-1");
        DURE_CHECK_OK(role_client_resume(&again, ada.token, 0));
        DURE_CHECK_EQ(role_client_count(&again, "missed"), 2);
        DURE_CHECK_OK(role_client_call(&again, "whoami", ""));
        role_client_close(&lost);
        role_client_close(&again);
        close_pair(&cluster, &ada, &bob);
    }
}

static void check_refused(role_cluster *cluster, const char *token)
{
    role_client thief;
    role_client_open(&thief, cluster, "gateway-1");
    DURE_CHECK_ERR(role_client_resume(&thief, token, 0), DURE_ERR_REFUSED);
    role_client_close(&thief);
}

static void a_token_is_used_up_when_its_client_is_heard(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client again;
    static const char *const calls[] = {"ping", "time", "whoami", "logout"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        open_pair(&cluster, &ada, &bob);
        role_client_open(&again, &cluster, "gateway-1");
        DURE_CHECK_OK(role_client_resume(&again, ada.token, 0));
        DURE_CHECK_OK(role_client_call(&again, calls[i], ""));
        check_refused(&cluster, ada.token);
        DURE_CHECK_OK(role_client_call(&again, "ping", "")); /* and the thief ended nothing */
        DURE_CHECK_STR(ada.closing, "TAKEN_OVER");
        role_client_close(&again);
        close_pair(&cluster, &ada, &bob);
    }
}

static void the_newer_token_serves_and_ends_the_older(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client second;
    role_client third;
    open_pair(&cluster, &ada, &bob);
    role_client_open(&second, &cluster, "gateway-1");
    role_client_open(&third, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_resume(&second, ada.token, 0));
    role_client_abort(&second); /* it has heard the answer, and called nothing */
    DURE_CHECK_OK(role_client_resume(&third, second.token, 0));
    check_refused(&cluster, ada.token);
    check_refused(&cluster, "0000000000000000000000000000000000000000000000000000000000000000");
    role_client_close(&second);
    role_client_close(&third);
    close_pair(&cluster, &ada, &bob);
}

static void a_token_ends_with_its_login(void)
{
    role_cluster cluster;
    role_client ada;
    role_client bob;
    role_client elsewhere;
    open_pair(&cluster, &ada, &bob);
    DURE_CHECK_OK(role_client_call(&ada, "logout", ""));
    check_refused(&cluster, ada.token);
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    role_client_open(&elsewhere, &cluster, "gateway-2");
    DURE_CHECK_OK(role_client_login(&elsewhere, "ada"));
    check_refused(&cluster, ada.token);
    role_client_close(&elsewhere);
    close_pair(&cluster, &ada, &bob);
}

DURE_SUITE(nodes_sessions, DURE_TEST(each_login_has_a_number_of_its_own),
           DURE_TEST(what_was_meant_for_a_player_never_reaches_the_next),
           DURE_TEST(a_lost_answer_to_resume_does_not_lose_the_session),
           DURE_TEST(a_token_is_used_up_when_its_client_is_heard),
           DURE_TEST(the_newer_token_serves_and_ends_the_older),
           DURE_TEST(a_token_ends_with_its_login));
