/* SPDX-License-Identifier: MIT
 *
 * Who owns a player: what comes late, or from another life of a node, or is meant for an older
 * login, takes nothing from the present owner. Some nodes are the test here.
 */
#include "db.schema.h"
#include "game.schema.h"
#include "gateway.schema.h"
#include "nodes/game/game.h"
#include "nodes/gateway/gateway.h"
#include "role_cluster.h"

#define OWN_LIFE   7u
#define OTHER_LIFE 8u

/* ---- a node that the test plays ---- */

typedef struct player_node {
    role_cluster *cluster;
    dure_rpc *rpc;
    bool is_closed;
    uint64_t life; /* what it answers to revoke */
    int revoked;
} player_node;

static void serve_revoke(dure_request *request, dure_slice params, void *state)
{
    player_node *node = state;
    const game_revoke_result out = {.life = node->life};
    (void)params;
    node->revoked++;
    game_reply_revoke(request, &out);
}

static const dure_method played_methods[] = {
    {GAME_METHOD_REVOKE, 0, "revoke", serve_revoke},
    {0, 0, NULL, NULL},
};

static const dure_method *const played_tables[] = {played_methods};

static void played_on_closed(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((player_node *)state)->is_closed = true;
}

/* Takes the place of a node of the cluster, and of nobody else. */
static void play(player_node *node, role_cluster *cluster, const char *id)
{
    *node = (player_node){.cluster = cluster, .life = OWN_LIFE};
    role_node_stop(role_cluster_node(cluster, id));
    const dure_rpc_config config = {.core = cluster->clients,
                                    .registry = cluster->registry,
                                    .node_id = id,
                                    .method_tables = played_tables,
                                    .method_table_count = 1,
                                    .state = node,
                                    .on_closed = played_on_closed};
    DURE_REQUIRE_OK(dure_rpc_create(&config, &node->rpc));
    DURE_REQUIRE_OK(dure_rpc_start(node->rpc));
    role_cluster_run(cluster, ROLE_SETTLE_MS);
}

static void play_no_more(player_node *node)
{
    dure_rpc_close(node->rpc);
    role_cluster_run(node->cluster, ROLE_SETTLE_MS);
    DURE_REQUIRE(node->is_closed);
    dure_rpc_destroy(node->rpc);
}

static void open_small(role_cluster *cluster, void (*change)(dure_registry_builder *))
{
    role_cluster_config config;
    role_cluster_config_init(&config);
    config.games = 1;
    config.change = change;
    role_cluster_open(cluster, &config);
}

/* The last answer. */
typedef struct heard {
    int count;
    dure_err status;
    uint64_t epoch;
} heard;

static void on_heard(void *ctx, const dure_outcome *outcome)
{
    heard *h = ctx;
    h->count++;
    h->status = outcome->status;
}

/* ---- at db ---- */

static void on_db_login(void *ctx, const dure_outcome *outcome, const db_login_result *result)
{
    on_heard(ctx, outcome);
    ((heard *)ctx)->epoch = result != NULL ? result->epoch : 0;
}

static void on_db_enter(void *ctx, const dure_outcome *outcome, const db_enter_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static void on_db_lease(void *ctx, const dure_outcome *outcome, const db_lease_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static void ask_login(player_node *node, uint64_t client, heard *h)
{
    const dure_target db = dure_to_role("db");
    const db_login_params in = {
        .player = dure_str_of("ada"), .gateway = dure_str_of("gateway-1"), .client = client};
    *h = (heard){0};
    DURE_REQUIRE_OK(db_call_login(node->rpc, &db, &in, NULL, on_db_login, h, NULL));
}

/* The played node owns ada, under its own life. */
static void own_ada(player_node *node)
{
    const dure_target db = dure_to_role("db");
    const db_lease_params lease = {.life = OWN_LIFE};
    heard h = {0};
    DURE_REQUIRE_OK(db_call_lease(node->rpc, &db, &lease, NULL, on_db_lease, &h, NULL));
    role_cluster_run(node->cluster, 100);
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
    ask_login(node, 1, &h);
    role_cluster_run(node->cluster, 100);
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
    const db_enter_params enter = {.player = dure_str_of("ada"),
                                   .room = dure_str_of("lobby"),
                                   .epoch = h.epoch + 1,
                                   .life = OWN_LIFE};
    h = (heard){0};
    DURE_REQUIRE_OK(db_call_enter(node->rpc, &db, &enter, NULL, on_db_enter, &h, NULL));
    role_cluster_run(node->cluster, 100);
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
}

static void another_life_of_a_node_cannot_give_up_what_the_owner_has(void)
{
    role_cluster cluster;
    player_node owner;
    heard h;
    open_small(&cluster, NULL);
    play(&owner, &cluster, "game-1");
    own_ada(&owner);
    owner.life = OTHER_LIFE;
    ask_login(&owner, 2, &h);
    role_cluster_run(&cluster, 1500); /* half a lease */
    DURE_CHECK_EQ(h.count, 0);
    DURE_CHECK(owner.revoked > 1);
    owner.life = OWN_LIFE;
    role_cluster_run(&cluster, 200);
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
    play_no_more(&owner);
    role_cluster_close(&cluster);
}

static void the_lease_of_an_owner_that_is_silent_ends_the_waiting(void)
{
    role_cluster cluster;
    player_node owner;
    heard h;
    open_small(&cluster, NULL);
    play(&owner, &cluster, "game-1");
    own_ada(&owner);
    owner.life = OTHER_LIFE;
    ask_login(&owner, 2, &h);
    role_cluster_run(&cluster, 2800);
    DURE_CHECK_EQ(h.count, 0);
    role_cluster_run(&cluster, 700); /* 3 s and a tenth */
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
    play_no_more(&owner);
    role_cluster_close(&cluster);
}

/* ---- at a game node ---- */

static void on_game_login(void *ctx, const dure_outcome *outcome, const game_login_result *result)
{
    on_heard(ctx, outcome);
    ((heard *)ctx)->epoch = result != NULL ? result->epoch : 0;
}

static void on_game_enter(void *ctx, const dure_outcome *outcome, const game_enter_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static void on_game_leave(void *ctx, const dure_outcome *outcome, const game_leave_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static void on_game_whoami(void *ctx, const dure_outcome *outcome, const game_whoami_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static const dure_call_options of_client = {.subject = 1};

static void ask_enter(player_node *asker, uint64_t epoch, heard *h)
{
    const dure_target target = dure_to_node("game-1");
    const game_enter_params in = {
        .player = dure_str_of("ada"), .room = dure_str_of("lobby"), .epoch = epoch};
    *h = (heard){0};
    DURE_REQUIRE_OK(game_call_enter(asker->rpc, &target, &in, &of_client, on_game_enter, h, NULL));
}

static void a_leave_that_is_saved_late_does_not_take_out_who_came_in_since(void)
{
    role_cluster cluster;
    player_node asker;
    heard login = {0};
    heard enter;
    heard leave = {0};
    heard whoami = {0};
    const dure_target target = dure_to_node("game-1");
    const game_login_params name = {.name = dure_str_of("ada")};
    const game_whoami_params nothing = {0};
    open_small(&cluster, NULL);
    play(&asker, &cluster, "gateway-1");
    DURE_REQUIRE_OK(
        game_call_login(asker.rpc, &target, &name, &of_client, on_game_login, &login, NULL));
    role_cluster_run(&cluster, 100);
    ask_enter(&asker, login.epoch + 1, &enter);
    role_cluster_run(&cluster, 100);
    DURE_CHECK_OK(enter.status);
    /* db makes the newer epoch the owner, then hears the older one's last save. */
    ask_enter(&asker, login.epoch + 2, &enter);
    const game_leave_params older = {.player = dure_str_of("ada"), .epoch = login.epoch + 1};
    DURE_REQUIRE_OK(
        game_call_leave(asker.rpc, &target, &older, &of_client, on_game_leave, &leave, NULL));
    role_cluster_run(&cluster, 1000);
    DURE_CHECK(enter.count == 1 && enter.status == DURE_OK);
    DURE_CHECK_EQ(leave.count, 1);
    DURE_REQUIRE_OK(
        game_call_whoami(asker.rpc, &target, &nothing, &of_client, on_game_whoami, &whoami, NULL));
    role_cluster_run(&cluster, 100);
    DURE_CHECK(whoami.count == 1 && whoami.status == DURE_OK);
    play_no_more(&asker);
    role_cluster_close(&cluster);
}

static void hardly_a_tick(dure_registry_builder *builder)
{
    DURE_REQUIRE_OK(dure_registry_builder_setting(builder, "game", NULL, "tick_ms", "60000"));
}

/* As a process that was stopped: the first that it hears is the answer that grants more time. */
static void a_lease_that_was_over_is_lost_though_the_next_is_granted(void)
{
    role_cluster cluster;
    role_client ada;
    open_small(&cluster, hardly_a_tick);
    const role_node *node = role_cluster_node(&cluster, "game-1");
    role_cluster_cut(&cluster, "game-1", "db-1"); /* it asks for a lease when db is up again */
    role_cluster_run(&cluster, 600);
    role_client_open(&ada, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    role_cluster_run(&cluster, 4000);
    DURE_CHECK(!role_node_logged(node, "LEASE_LOST players=1"));
    role_cluster_cut(&cluster, "game-1", "db-1");
    role_cluster_run(&cluster, 600);
    DURE_CHECK(role_node_logged(node, "LEASE_LOST players=1"));
    const game *g = dure_node_state(node->node);
    DURE_CHECK(world_find(g->world, dure_str_of("ada")) != NULL); /* in again, though it is quiet */
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    role_client_close(&ada);
    role_cluster_close(&cluster);
}

/* ---- at a gateway ---- */

static void on_kicked(void *ctx, const dure_outcome *outcome, const gateway_kick_result *result)
{
    (void)result;
    on_heard(ctx, outcome);
}

static void kick(role_cluster *cluster, uint64_t client, const char *player, uint64_t epoch)
{
    heard h = {0};
    const dure_target target = dure_to_node("gateway-1");
    const gateway_kick_params in = {
        .client = client, .player = dure_str_of(player), .epoch = epoch};
    DURE_REQUIRE_OK(gateway_call_kick(role_cluster_rpc(cluster, "game-1"), &target, &in, NULL,
                                      on_kicked, &h, NULL));
    role_cluster_run(cluster, 100);
    DURE_CHECK(h.count == 1 && h.status == DURE_OK);
}

static void a_kick_ends_only_an_older_session_of_its_player(void)
{
    role_cluster cluster;
    role_client ada;
    open_small(&cluster, NULL);
    role_client_open(&ada, &cluster, "gateway-1");
    DURE_CHECK_OK(role_client_login(&ada, "ada"));
    const gateway *g = dure_node_state(role_cluster_node(&cluster, "gateway-1")->node);
    const uint64_t client = g->clients.by_id->id;
    const uint64_t epoch = g->clients.by_id->epoch;
    kick(&cluster, client, "ada", epoch);
    kick(&cluster, client, "ada", epoch - 1);
    kick(&cluster, client, "eve", epoch + 1);
    kick(&cluster, client + 1, "ada", epoch + 1);
    DURE_CHECK_OK(role_client_call(&ada, "whoami", ""));
    kick(&cluster, client, "ada", epoch + 1);
    DURE_CHECK_STR(ada.closing, "TAKEN_OVER");
    role_client_close(&ada);
    role_cluster_close(&cluster);
}

DURE_SUITE(nodes_owners, DURE_TEST(another_life_of_a_node_cannot_give_up_what_the_owner_has),
           DURE_TEST(the_lease_of_an_owner_that_is_silent_ends_the_waiting),
           DURE_TEST(a_leave_that_is_saved_late_does_not_take_out_who_came_in_since),
           DURE_TEST(a_lease_that_was_over_is_lost_though_the_next_is_granted),
           DURE_TEST(a_kick_ends_only_an_older_session_of_its_player));
