/* SPDX-License-Identifier: MIT
 *
 * The roles game and db in one simulated world, asked by a gateway that is the test: what an answer
 * of `enter` says is what db has; and what nobody waits for any more is not begun by db.
 */
#include <sqlite3.h>

#include "base/file.h"
#include "base/mem.h"
#include "db.schema.h"
#include "game.schema.h"
#include "iocp/core_sim.h"
#include "nodes/db/role.h"
#include "nodes/game/role.h"
#include "support/check.h"
#include "support/cut_link.h"

#define LOGINS_MAX      10
#define STEPS_MAX       40   /* more than an enter takes in a world that does nothing else */
#define ALLOCATIONS_MAX 120u /* more than the two nodes make for an enter */

typedef struct asker {
    dure_iocp_core *core;
    dure_rpc *rpc;
    bool is_closed;
} asker;

typedef struct sim_pair {
    dure_sim_world *world;
    dure_registry *registry;
    dure_iocp_core *cores[2];
    dure_node *nodes[2]; /* game-1, db-1 */
    int ended;
    asker gateway;
} sim_pair;

/* The last answer. */
typedef struct heard {
    int count;
    dure_err status;
    char room[32];
    uint64_t epoch;
    uint32_t names;
    uint32_t total;
} heard;

static void on_ended(dure_node *node, int exit_code, void *ctx)
{
    sim_pair *sim = ctx;
    (void)node;
    DURE_CHECK_EQ(exit_code, 0);
    sim->ended++;
}

static void asker_on_closed(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((asker *)state)->is_closed = true;
}

static dure_iocp_core *core_in(sim_pair *sim)
{
    dure_iocp_core_config config;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_SIM;
    config.sim = sim->world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&config, &core));
    return core;
}

static void make_registry(sim_pair *sim, const char *folder)
{
    static const char *const gateway_dials[] = {"game", NULL};
    static const char *const game_dials[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    dure_registry_builder *b = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", folder, &b));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "gateway", "g", gateway_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "game", "g", game_dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "db", "g", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "gateway-1", "gateway", "127.0.0.1", 7801, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "game-1", "game", "127.0.0.1", 7811, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "db-1", "db", "127.0.0.1", 7821, 0));
    DURE_REQUIRE_OK(dure_registry_builder_finish(b, &sim->registry));
}

static void start_node(sim_pair *sim, int at, const char *id, const dure_role *role,
                       bool has_folder)
{
    sim->cores[at] = core_in(sim);
    const dure_node_config config = {.registry = sim->registry,
                                     .node_id = id,
                                     .role = role,
                                     .core = sim->cores[at],
                                     .no_admin = !has_folder,
                                     .on_ended = on_ended,
                                     .ctx = sim};
    DURE_REQUIRE_OK(dure_node_create(&config, &sim->nodes[at]));
    DURE_REQUIRE_OK(dure_node_start(sim->nodes[at]));
}

/* folder: where db keeps its file; NULL: it has none. */
static void sim_open_in(sim_pair *sim, const char *folder)
{
    dure_sim_config world;
    memset(sim, 0, sizeof *sim);
    dure_sim_config_init(&world);
    DURE_REQUIRE_OK(dure_sim_world_create(&world, &sim->world));
    make_registry(sim, folder != NULL ? folder : "unused");
    start_node(sim, 1, "db-1", &dure_role_db, folder != NULL);
    start_node(sim, 0, "game-1", &dure_role_game, false);
    sim->gateway.core = core_in(sim);
    const dure_rpc_config config = {.core = sim->gateway.core,
                                    .registry = sim->registry,
                                    .node_id = "gateway-1",
                                    .state = &sim->gateway,
                                    .on_closed = asker_on_closed};
    DURE_REQUIRE_OK(dure_rpc_create(&config, &sim->gateway.rpc));
    DURE_REQUIRE_OK(dure_rpc_start(sim->gateway.rpc));
    dure_sim_run_for(sim->world, 3000);
}

static void sim_open(sim_pair *sim)
{
    sim_open_in(sim, NULL);
}

static void sim_close(sim_pair *sim)
{
    dure_rpc_close(sim->gateway.rpc);
    dure_sim_run_for(sim->world, 2000);
    DURE_REQUIRE(sim->gateway.is_closed);
    dure_rpc_destroy(sim->gateway.rpc);
    dure_iocp_core_destroy(sim->gateway.core);
    for (int i = 0; i < 2; i++) {
        dure_node_stop(sim->nodes[i]);
        dure_sim_run_for(sim->world, 20000);
        DURE_CHECK_EQ(sim->ended, i + 1);
        dure_node_destroy(sim->nodes[i]);
    }
    for (int i = 0; i < 2; i++) {
        dure_iocp_core_destroy(sim->cores[i]);
    }
    dure_registry_destroy(sim->registry);
    dure_sim_world_destroy(sim->world);
}

static void on_login(void *ctx, const dure_outcome *outcome, const game_login_result *result)
{
    heard *h = ctx;
    h->count++;
    h->status = outcome->status;
    if (result != NULL) {
        h->epoch = result->epoch;
        (void)snprintf(h->room, sizeof h->room, "%.*s", DURE_STR_ARG(result->room));
    }
}

static void on_enter(void *ctx, const dure_outcome *outcome, const game_enter_result *result)
{
    heard *h = ctx;
    h->count++;
    h->status = outcome->status;
    if (result != NULL) {
        h->names = result->players.count;
        h->total = result->total;
    }
}

/* Also when the nodes have yet to get over what failed before. */
static void login(sim_pair *sim, const char *name, heard *h)
{
    const dure_target target = dure_to_node("game-1");
    const game_login_params in = {.name = dure_str_of(name)};
    const dure_call_options options = {.subject = 1};
    for (int i = 0; i < LOGINS_MAX; i++) {
        memset(h, 0, sizeof *h);
        DURE_REQUIRE_OK(
            game_call_login(sim->gateway.rpc, &target, &in, &options, on_login, h, NULL));
        dure_sim_run_for(sim->world, 1000);
        if (h->status == DURE_OK && h->count == 1) {
            return;
        }
    }
    DURE_CHECK_OK(h->status);
}

static void enter_arena(sim_pair *sim, const char *name, heard *enter)
{
    heard h;
    const dure_target target = dure_to_node("game-1");
    memset(enter, 0, sizeof *enter);
    login(sim, name, &h);
    DURE_CHECK_STR(h.room, "lobby");
    const game_enter_params in = {
        .player = dure_str_of(name), .room = dure_str_of("arena"), .epoch = h.epoch + 1};
    const dure_call_options options = {.subject = 1};
    DURE_REQUIRE_OK(
        game_call_enter(sim->gateway.rpc, &target, &in, &options, on_enter, enter, NULL));
}

/* What it was told is what db has. True where it was an error. */
static bool check_entered(sim_pair *sim, const char *name, const heard *enter)
{
    heard h;
    DURE_CHECK_EQ(enter->count, 1);
    login(sim, name, &h);
    if (enter->status == DURE_OK) {
        DURE_CHECK_STR(h.room, "arena");
    } else if (dure_err_class_of(enter->status) == DURE_ERR_CLASS_TEMPORARY) {
        DURE_CHECK_STR(h.room, "lobby"); /* "it did not happen" */
    }
    return enter->status != DURE_OK;
}

/* Which allocation fails in the i-th try. */
typedef size_t (*nth_fn)(size_t i);

static size_t forwards(size_t i)
{
    return i + 1;
}

/* Other ones are the first to fail, in nodes that have not grown their tables and pools yet. */
static size_t backwards(size_t i)
{
    return ALLOCATIONS_MAX - i;
}

static void try_each_allocation(nth_fn nth)
{
    sim_pair sim;
    int failures = 0;
    sim_open(&sim);
    for (size_t i = 0; i < ALLOCATIONS_MAX; i++) {
        char name[24];
        heard enter;
        (void)snprintf(name, sizeof name, "player-%u", (unsigned)i);
        enter_arena(&sim, name, &enter);
        dure_mem_fail_nth(nth(i));
        dure_sim_run_for(sim.world, 6000);
        dure_mem_fail_nth(0);
        failures += check_entered(&sim, name, &enter) ? 1 : 0;
    }
    DURE_CHECK(failures > 0);
    sim_close(&sim);
}

static void an_enter_that_db_has_done_is_not_refused(void)
{
    try_each_allocation(forwards);
    try_each_allocation(backwards);
}

static void an_enter_whose_link_to_db_breaks_is_told_as_it_is(void)
{
    sim_pair sim;
    int failures = 0;
    sim_open(&sim);
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        char name[24];
        heard enter;
        (void)snprintf(name, sizeof name, "player-%d", steps);
        enter_arena(&sim, name, &enter);
        for (int i = 0; i < steps; i++) {
            (void)dure_sim_step(sim.world);
        }
        cut_link(dure_node_rpc(sim.nodes[0]), "db-1");
        dure_sim_run_for(sim.world, 6000);
        failures += check_entered(&sim, name, &enter) ? 1 : 0;
    }
    DURE_CHECK(failures > 0);
    sim_close(&sim);
}

/* One client of the asking gateway for each player. */
static void enter_as(sim_pair *sim, uint64_t client, uint32_t names_max, heard *enter)
{
    char name[24];
    heard h;
    const dure_target target = dure_to_node("game-1");
    memset(enter, 0, sizeof *enter);
    (void)snprintf(name, sizeof name, "player-%u", (unsigned)client);
    login(sim, name, &h);
    const game_enter_params in = {.player = dure_str_of(name),
                                  .room = dure_str_of("arena"),
                                  .epoch = h.epoch + 1,
                                  .names_max = names_max};
    const dure_call_options options = {.subject = client};
    DURE_REQUIRE_OK(
        game_call_enter(sim->gateway.rpc, &target, &in, &options, on_enter, enter, NULL));
    dure_sim_run_for(sim->world, 500);
    DURE_CHECK_OK(enter->status);
}

/* A login asks for no names, a join for a hundred; whoever asks for more does not get them. */
static void an_answer_has_as_many_names_as_were_asked_for(void)
{
    sim_pair sim;
    heard enter;
    sim_open(&sim);
    for (uint64_t client = 1; client <= 110; client++) {
        enter_as(&sim, client, 0, &enter);
        DURE_CHECK_EQ(enter.names, 0);
        DURE_CHECK_EQ(enter.total, client);
    }
    enter_as(&sim, 110, 3, &enter);
    DURE_CHECK_EQ(enter.names, 3);
    enter_as(&sim, 110, 1000000, &enter);
    DURE_CHECK_EQ(enter.names, 100);
    DURE_CHECK_EQ(enter.total, 110);
    sim_close(&sim);
}

static void on_move(void *ctx, const dure_outcome *outcome, const game_move_result *result)
{
    heard *h = ctx;
    (void)result;
    h->count++;
    h->status = outcome->status;
}

static void move_to(sim_pair *sim, uint64_t client, double x)
{
    heard h = {0};
    const dure_target target = dure_to_node("game-1");
    const game_move_params in = {.x = x};
    const dure_call_options options = {.subject = client};
    DURE_REQUIRE_OK(game_call_move(sim->gateway.rpc, &target, &in, &options, on_move, &h, NULL));
    dure_sim_run_for(sim->world, 60);
    DURE_CHECK_OK(h.status);
}

/* How many players stand at x, by the file. */
static int count_at(const char *folder, int x)
{
    char path[300];
    char sql[96];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof path, "%s/db-1/dure.sqlite", folder);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM players WHERE x = %d", x);
    DURE_REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    DURE_REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    DURE_REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const int count = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return count;
}

/* save_ms is 500. The first to move is not saved later because others go on moving. */
static void places_are_saved_soon_and_not_before(void)
{
    sim_pair sim;
    heard enter;
    char folder[256];
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-enter-", folder, sizeof folder));
    sim_open_in(&sim, folder);
    for (uint64_t client = 1; client <= 3; client++) {
        enter_as(&sim, client, 0, &enter);
    }
    for (uint64_t client = 1; client <= 3; client++) {
        move_to(&sim, client, 7);
    }
    DURE_CHECK_EQ(count_at(folder, 7), 0);
    move_to(&sim, 1, 8);
    dure_sim_run_for(sim.world, 700);
    DURE_CHECK_EQ(count_at(folder, 7), 2);
    DURE_CHECK_EQ(count_at(folder, 8), 1);
    /* Once more, after it was saved. */
    move_to(&sim, 1, 9);
    dure_sim_run_for(sim.world, 700);
    DURE_CHECK_EQ(count_at(folder, 9), 1);
    sim_close(&sim);
    DURE_CHECK_OK(dure_file_remove_folder(folder));
}

DURE_SUITE(nodes_enter, DURE_TEST(places_are_saved_soon_and_not_before),
           DURE_TEST(an_answer_has_as_many_names_as_were_asked_for),
           DURE_TEST(an_enter_that_db_has_done_is_not_refused),
           DURE_TEST(an_enter_whose_link_to_db_breaks_is_told_as_it_is));
