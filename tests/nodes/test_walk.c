/* SPDX-License-Identifier: MIT
 *
 * A random walk over whole roles: five clients log in as three players, join rooms, talk, log out,
 * hang up, come back, while links are cut and game nodes are started again. Afterwards, when all
 * has been quiet for a while: whoever is logged in is answered, no player is at two clients, and a
 * chat reaches exactly the others in the room, so nobody is there who is not.
 *
 * A seed is the whole walk. DURE_WALK_FIRST is the first seed and DURE_WALK_COUNT how many are
 * walked: to repeat one that failed, DURE_WALK_FIRST=<seed> DURE_WALK_COUNT=1.
 */
#include <stdlib.h>

#include "base/rng.h"
#include "role_cluster.h"

#define WALK_CLIENTS  5
#define WALK_STEPS    40
#define WALK_COUNT    600
#define WALK_QUIET_MS 75000 /* longer than resume_ms, a lease, and all calls together */
#define WALK_TOLD     50    /* seeds a line, so that an abort is found as well */

typedef struct walk {
    uint64_t seed;
    dure_rng rng;
    role_cluster cluster;
    role_client clients[WALK_CLIENTS];
    const char *at[WALK_CLIENTS]; /* its gateway */
    char player[WALK_CLIENTS][32];
    char room[WALK_CLIENTS][32];
    bool is_in[WALK_CLIENTS];
} walk;

static const char *const gateways[] = {"gateway-1", "gateway-2"};
static const char *const games[] = {"game-1", "game-2"};

static uint32_t below(walk *w, uint32_t count)
{
    return (uint32_t)dure_rng_below(&w->rng, count);
}

static void walk_check(const walk *w, bool is_right, const char *what, int client)
{
    if (!is_right) {
        printf("\n    seed %" PRIu64 ": client %d: %s ", w->seed, client, what);
    }
    DURE_CHECK(is_right);
}

/* ---- the steps ---- */

static void connect(walk *w, int i)
{
    w->at[i] = gateways[below(w, 2)];
    role_client_open(&w->clients[i], &w->cluster, w->at[i]);
}

static void step_login(walk *w, role_client *client)
{
    static const char *const names[] = {"ada", "bob", "cyd"};
    (void)role_client_ask(client, "login", "s", names[below(w, 3)]);
}

static void step_join(walk *w, role_client *client)
{
    static const char *const rooms[] = {"lobby", "arena", "tower"};
    (void)role_client_ask(client, "join", "s", rooms[below(w, 3)]);
}

/* The next connection of the client; where it can, with the session of the one before. */
static void step_come_back(walk *w, int i)
{
    char token[64];
    const uint64_t received = w->clients[i].notified;
    const char *at = w->at[i];
    memcpy(token, w->clients[i].token, sizeof token);
    if (below(w, 2) == 0) {
        role_client_abort(&w->clients[i]);
    }
    role_client_close(&w->clients[i]);
    connect(w, i);
    if (token[0] != '\0' && at == w->at[i] && below(w, 2) == 0) {
        (void)role_client_ask(&w->clients[i], "resume", "su", token, received);
    }
}

static void step_cut(walk *w)
{
    if (below(w, 3) == 0) {
        role_cluster_cut(&w->cluster, games[below(w, 2)], "db-1");
    } else {
        role_cluster_cut(&w->cluster, gateways[below(w, 2)], games[below(w, 2)]);
    }
}

static void step_restart(walk *w)
{
    role_node *node = role_cluster_node(&w->cluster, games[below(w, 2)]);
    role_node_stop(node);
    if (below(w, 2) == 0) {
        role_cluster_run(&w->cluster, below(w, 6000));
    }
    role_node_start(node);
}

static void walk_step(walk *w)
{
    const int i = (int)below(w, WALK_CLIENTS);
    role_client *client = &w->clients[i];
    const uint32_t what = below(w, 100);
    if (client->session == NULL || what < 14) {
        step_come_back(w, i);
    } else if (what < 44) {
        step_login(w, client);
    } else if (what < 60) {
        step_join(w, client);
    } else if (what < 66) {
        (void)role_client_ask(client, "logout", "");
    } else if (what < 78) {
        (void)role_client_ask(client, "chat", "s", "hello");
    } else if (what < 84) {
        (void)role_client_ask(client, "inventory", "");
    } else if (what < 90) {
        role_client_abort(client);
    } else if (what < 98) {
        step_cut(w);
    } else {
        step_restart(w);
    }
}

static void walk_pause(walk *w)
{
    if (below(w, 8) == 0) {
        role_cluster_run(&w->cluster, below(w, 4000));
        return;
    }
    for (uint32_t left = below(w, 31); left > 0; left--) {
        (void)dure_sim_step(w->cluster.world);
    }
}

/* ---- the checks ---- */

static void check_whoami(walk *w, int i)
{
    role_client *client = &w->clients[i];
    const dure_err err =
        client->session != NULL ? role_client_call(client, "whoami", "") : DURE_ERR_NOT_LOGGED_IN;
    w->is_in[i] = err == DURE_OK;
    walk_check(w, err == DURE_OK || err == DURE_ERR_NOT_LOGGED_IN, dure_err_name(err), i);
    if (w->is_in[i]) {
        role_client_text(client, "player", w->player[i], sizeof w->player[i]);
        role_client_text(client, "room", w->room[i], sizeof w->room[i]);
    }
}

static void check_one_client_a_player(const walk *w, int i)
{
    for (int k = 0; k < i; k++) {
        walk_check(w, !w->is_in[i] || !w->is_in[k] || strcmp(w->player[i], w->player[k]) != 0,
                   "a player at two clients", i);
    }
}

static void check_chat(walk *w, int i)
{
    uint64_t before[WALK_CLIENTS];
    uint64_t others = 0;
    if (!w->is_in[i]) {
        return;
    }
    for (int k = 0; k < WALK_CLIENTS; k++) {
        before[k] = w->clients[k].notified;
        others += k != i && w->is_in[k] && strcmp(w->room[i], w->room[k]) == 0 ? 1 : 0;
    }
    const dure_err err = role_client_call(&w->clients[i], "chat", "s", "who is here?");
    walk_check(w, err == DURE_OK, dure_err_name(err), i);
    walk_check(w, role_client_number(&w->clients[i]) == others, "another number in the room", i);
    role_cluster_run(&w->cluster, 200);
    for (int k = 0; k < WALK_CLIENTS; k++) {
        const bool hears = k != i && w->is_in[k] && strcmp(w->room[i], w->room[k]) == 0;
        walk_check(w, w->clients[k].notified - before[k] == (hears ? 1u : 0u), "heard", k);
    }
}

static void walk_seed(walk *w, uint64_t seed)
{
    role_cluster_config config;
    memset(w, 0, sizeof *w);
    w->seed = seed;
    dure_rng_init(&w->rng, seed);
    role_cluster_config_init(&config);
    config.gateways = 2;
    config.seed = seed;
    config.latency_ns = 50000u << below(w, 9); /* 50 us to 12.8 ms */
    config.segment_bytes = below(w, 3) == 0 ? 17 : 0;
    role_cluster_open(&w->cluster, &config);
    for (int i = 0; i < WALK_CLIENTS; i++) {
        connect(w, i);
    }
    for (int i = 0; i < WALK_STEPS; i++) {
        walk_step(w);
        walk_pause(w);
    }
    role_cluster_run(&w->cluster, WALK_QUIET_MS);
    for (int i = 0; i < WALK_CLIENTS; i++) {
        check_whoami(w, i);
        check_one_client_a_player(w, i);
    }
    for (int i = 0; i < WALK_CLIENTS; i++) {
        check_chat(w, i);
    }
    for (int i = 0; i < WALK_CLIENTS; i++) {
        role_client_close(&w->clients[i]);
    }
    role_cluster_close(&w->cluster);
}

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : fallback;
}

static void nobody_is_lost_and_nobody_is_twice(void)
{
    static walk w; /* too large for a stack of Windows */
    const uint64_t first = number_from("DURE_WALK_FIRST", 1);
    const uint64_t count = number_from("DURE_WALK_COUNT", WALK_COUNT);
    for (uint64_t i = 0; i < count; i++) {
        if (i % WALK_TOLD == 0) {
            printf("\n    seeds from %" PRIu64, first + i);
            (void)fflush(stdout);
        }
        walk_seed(&w, first + i);
    }
}

DURE_SUITE(nodes_walk, DURE_TEST(nobody_is_lost_and_nobody_is_twice));
