/* SPDX-License-Identifier: MIT
 *
 * A db node with a file, started again with other settings, in a simulated world: what the file
 * keeps of leases and of the keys of gifts from before; and another program at the same file.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "base/file.h"
#include "db.schema.h"
#include "iocp/core_sim.h"
#include "nodes/db/role.h"
#include "support/check.h"

#define LONG_LEASE  10000u
#define SHORT_LEASE 1000u
#define LOGIN_MS    20000u

/* A world with a db node, and a game node that is the test. */
typedef struct db_world {
    char folder[256];
    char path[300];
    dure_sim_world *world;
    dure_registry *registry;
    dure_iocp_core *cores[2]; /* db-1, game-1 */
    dure_node *node;
    dure_rpc *game;
    bool is_ended;
    bool is_closed;
} db_world;

typedef struct heard {
    int count;
    dure_err status;
    char text[160];
    uint64_t epoch;
} heard;

static void on_ended(dure_node *node, int exit_code, void *ctx)
{
    (void)node;
    DURE_CHECK_EQ(exit_code, 0);
    ((db_world *)ctx)->is_ended = true;
}

static void on_closed(dure_rpc *rpc, void *state)
{
    (void)rpc;
    ((db_world *)state)->is_closed = true;
}

static dure_iocp_core *core_in(db_world *w)
{
    dure_iocp_core_config config;
    dure_iocp_core *core = NULL;
    dure_iocp_core_config_init(&config);
    config.backend = DURE_BACKEND_SIM;
    config.sim = w->world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&config, &core));
    return core;
}

static void world_make_registry(db_world *w, uint32_t lease_ms, uint32_t keys_days)
{
    static const char *const dials_db[] = {"db", NULL};
    static const char *const nobody[] = {NULL};
    char value[16];
    dure_registry_builder *b = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", w->folder, &b));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "game", "g", dials_db));
    DURE_REQUIRE_OK(dure_registry_builder_role(b, "db", "g", nobody));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "game-1", "game", "127.0.0.1", 7811, 0));
    DURE_REQUIRE_OK(dure_registry_builder_node(b, "db-1", "db", "127.0.0.1", 7821, 0));
    (void)snprintf(value, sizeof value, "%u", (unsigned)lease_ms);
    DURE_REQUIRE_OK(dure_registry_builder_setting(b, "db", NULL, "lease_ms", value));
    (void)snprintf(value, sizeof value, "%u", (unsigned)keys_days);
    DURE_REQUIRE_OK(dure_registry_builder_setting(b, "db", NULL, "gift_keys_days", value));
    DURE_REQUIRE_OK(dure_registry_builder_finish(b, &w->registry));
}

static void world_start(db_world *w, uint32_t lease_ms, uint32_t keys_days)
{
    dure_sim_config world;
    dure_sim_config_init(&world);
    DURE_REQUIRE_OK(dure_sim_world_create(&world, &w->world));
    world_make_registry(w, lease_ms, keys_days);
    w->cores[0] = core_in(w);
    w->cores[1] = core_in(w);
    w->is_ended = false;
    w->is_closed = false;
    const dure_node_config config = {.registry = w->registry,
                                     .node_id = "db-1",
                                     .role = &dure_role_db,
                                     .core = w->cores[0],
                                     .on_ended = on_ended,
                                     .ctx = w};
    DURE_REQUIRE_OK(dure_node_create(&config, &w->node));
    DURE_REQUIRE_OK(dure_node_start(w->node));
    const dure_rpc_config game = {.core = w->cores[1],
                                  .registry = w->registry,
                                  .node_id = "game-1",
                                  .state = w,
                                  .on_closed = on_closed};
    DURE_REQUIRE_OK(dure_rpc_create(&game, &w->game));
    DURE_REQUIRE_OK(dure_rpc_start(w->game));
    dure_sim_run_for(w->world, 500);
}

static void world_stop(db_world *w)
{
    dure_rpc_close(w->game);
    dure_sim_run_for(w->world, 2000);
    DURE_REQUIRE(w->is_closed);
    dure_rpc_destroy(w->game);
    dure_node_stop(w->node);
    dure_sim_run_for(w->world, 20000);
    DURE_REQUIRE(w->is_ended);
    dure_node_destroy(w->node);
    dure_iocp_core_destroy(w->cores[1]);
    dure_iocp_core_destroy(w->cores[0]);
    dure_registry_destroy(w->registry);
    dure_sim_world_destroy(w->world);
}

static void world_open(db_world *w)
{
    memset(w, 0, sizeof *w);
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-keys-", w->folder, sizeof w->folder));
    (void)snprintf(w->path, sizeof w->path, "%s/db-1/dure.sqlite", w->folder);
}

static void run_sql(const db_world *w, const char *sql)
{
    sqlite3 *db = NULL;
    DURE_REQUIRE(sqlite3_open(w->path, &db) == SQLITE_OK);
    DURE_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    (void)sqlite3_close(db);
}

static int row_count(const db_world *w, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    DURE_REQUIRE(sqlite3_open(w->path, &db) == SQLITE_OK);
    DURE_REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    DURE_REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return count;
}

static void hear(heard *h, const dure_outcome *outcome)
{
    h->count++;
    h->status = outcome->status;
    (void)snprintf(h->text, sizeof h->text, "%.*s", DURE_STR_ARG(outcome->text));
}

static void on_login(void *ctx, const dure_outcome *outcome, const db_login_result *result)
{
    hear(ctx, outcome);
    ((heard *)ctx)->epoch = result != NULL ? result->epoch : 0;
}

static void on_enter(void *ctx, const dure_outcome *outcome, const db_enter_result *result)
{
    (void)result;
    hear(ctx, outcome);
}

static void on_give(void *ctx, const dure_outcome *outcome, const db_give_result *result)
{
    (void)result;
    hear(ctx, outcome);
}

static void login(db_world *w, const char *name, heard *h)
{
    const dure_target db = dure_to_node("db-1");
    const db_login_params in = {.player = dure_str_of(name), .gateway = dure_str_of("g")};
    const dure_call_options options = {.deadline_ms = LOGIN_MS};
    memset(h, 0, sizeof *h);
    DURE_REQUIRE_OK(db_call_login(w->game, &db, &in, &options, on_login, h, NULL));
    dure_sim_run_for(w->world, 100);
}

/* Owned by a process that will not be heard of again. */
static void enter_as_another_life(db_world *w, const char *name, uint64_t epoch)
{
    heard h = {0};
    const dure_target db = dure_to_node("db-1");
    const db_enter_params in = {
        .player = dure_str_of(name), .room = dure_str_of("lobby"), .epoch = epoch + 1, .life = 7};
    DURE_REQUIRE_OK(db_call_enter(w->game, &db, &in, NULL, on_enter, &h, NULL));
    dure_sim_run_for(w->world, 100);
    DURE_CHECK_EQ(h.count, 1);
    DURE_CHECK_OK(h.status);
}

static dure_err give(db_world *w, const char *key, heard *h)
{
    const dure_target db = dure_to_node("db-1");
    const db_give_params in = {.from = dure_str_of("ada"),
                               .to = dure_str_of("bob"),
                               .item = dure_str_of("gold"),
                               .count = 1,
                               .key = dure_str_of(key)};
    memset(h, 0, sizeof *h);
    DURE_REQUIRE_OK(db_call_give(w->game, &db, &in, NULL, on_give, h, NULL));
    dure_sim_run_for(w->world, 100);
    DURE_CHECK_EQ(h->count, 1);
    return h->status;
}

/* Who may still act by a longer lease of before is not replaced. */
static void a_shorter_lease_waits_for_the_longest_of_before(void)
{
    db_world w;
    heard h;
    world_open(&w);
    world_start(&w, LONG_LEASE, 0);
    login(&w, "ada", &h);
    enter_as_another_life(&w, "ada", h.epoch);
    world_stop(&w);

    world_start(&w, SHORT_LEASE, 0);
    login(&w, "ada", &h);
    dure_sim_run_for(w.world, LONG_LEASE - 1000);
    DURE_CHECK_EQ(h.count, 0);
    dure_sim_run_for(w.world, 3000);
    DURE_CHECK_EQ(h.count, 1);
    DURE_CHECK_OK(h.status);
    login(&w, "bob", &h);
    enter_as_another_life(&w, "bob", h.epoch);
    world_stop(&w);

    /* The long ones are over and forgotten. */
    world_start(&w, SHORT_LEASE, 0);
    login(&w, "bob", &h);
    dure_sim_run_for(w.world, 2 * SHORT_LEASE);
    DURE_CHECK_EQ(h.count, 1);
    DURE_CHECK_OK(h.status);
    world_stop(&w);
    DURE_CHECK_OK(dure_file_remove_folder(w.folder));
}

/* The simulated world begins on 2023-11-14. */
static void old_keys_are_deleted_in_the_background(void)
{
    db_world w;
    heard h;
    world_open(&w);
    world_start(&w, SHORT_LEASE, 0);
    login(&w, "ada", &h);
    login(&w, "bob", &h);
    DURE_CHECK_OK(give(&w, "without a day", &h));
    world_stop(&w);
    run_sql(&w,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            "INSERT INTO request_keys SELECT 'ada', 'old-' || i, 'bob', 'gold', 1, 1, i FROM n");

    world_start(&w, SHORT_LEASE, 7);
    dure_sim_run_for(w.world, 2000);
    DURE_CHECK_OK(give(&w, "without a day", &h)); /* known, and younger */
    DURE_CHECK_ERR(give(&w, "another without", &h), DURE_ERR_BAD_REQUEST);
    DURE_CHECK(strstr(h.text, "key: begins with its day") != NULL);
    DURE_CHECK_ERR(give(&w, "20231106-old", &h), DURE_ERR_TOO_OLD);
    DURE_CHECK_OK(give(&w, "20231114-new", &h));
    world_stop(&w);
    DURE_CHECK_EQ(row_count(&w, "SELECT count(*) FROM request_keys"), 2);

    /* For ever again: what may have been deleted is not new. */
    world_start(&w, SHORT_LEASE, 0);
    DURE_CHECK_ERR(give(&w, "old-1", &h), DURE_ERR_BAD_REQUEST);
    world_stop(&w);
    DURE_CHECK_OK(dure_file_remove_folder(w.folder));
}

static void keys_are_kept_for_ever_unless_it_is_said(void)
{
    db_world w;
    heard h;
    world_open(&w);
    world_start(&w, SHORT_LEASE, 0);
    login(&w, "ada", &h);
    login(&w, "bob", &h);
    DURE_CHECK_OK(give(&w, "any", &h));
    world_stop(&w);
    run_sql(&w, "UPDATE request_keys SET at_ms = 1");
    world_start(&w, SHORT_LEASE, 0);
    dure_sim_run_for(w.world, 1000000);
    DURE_CHECK_OK(give(&w, "any", &h));
    world_stop(&w);
    DURE_CHECK_EQ(row_count(&w, "SELECT count(*) FROM request_keys"), 1);
    DURE_CHECK_EQ(row_count(&w, "SELECT count FROM items WHERE player = 'ada'"), 99);
    DURE_CHECK_OK(dure_file_remove_folder(w.folder));
}

static void on_inventory(void *ctx, const dure_outcome *outcome, const db_inventory_result *result)
{
    (void)result;
    hear(ctx, outcome);
}

/* Somebody's shell holds the lock for writing: who only reads is served, also beside a gift. */
static void reading_goes_on_while_another_program_writes(void)
{
    db_world w;
    heard given = {0};
    heard seen = {0};
    sqlite3 *other = NULL;
    const dure_target db = dure_to_node("db-1");
    const db_inventory_params ask = {.player = dure_str_of("ada")};
    const db_give_params gift = {.from = dure_str_of("ada"),
                                 .to = dure_str_of("bob"),
                                 .item = dure_str_of("gold"),
                                 .count = 1};
    world_open(&w);
    world_start(&w, SHORT_LEASE, 0);
    login(&w, "ada", &seen);
    login(&w, "bob", &seen);
    DURE_REQUIRE(sqlite3_open(w.path, &other) == SQLITE_OK);
    DURE_REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    memset(&seen, 0, sizeof seen);
    DURE_REQUIRE_OK(db_call_inventory(w.game, &db, &ask, NULL, on_inventory, &seen, NULL));
    dure_sim_run_for(w.world, 100);
    DURE_CHECK_EQ(seen.count, 1);
    DURE_CHECK_OK(seen.status);
    memset(&seen, 0, sizeof seen);
    DURE_REQUIRE_OK(db_call_give(w.game, &db, &gift, NULL, on_give, &given, NULL));
    DURE_REQUIRE_OK(db_call_inventory(w.game, &db, &ask, NULL, on_inventory, &seen, NULL));
    dure_sim_run_for(w.world, 100);
    DURE_CHECK_EQ(given.count, 1);
    DURE_CHECK_ERR(given.status, DURE_ERR_STORAGE);
    DURE_CHECK_OK(seen.status);
    (void)sqlite3_close(other);
    DURE_CHECK_OK(give(&w, "", &given));
    world_stop(&w);
    DURE_CHECK_OK(dure_file_remove_folder(w.folder));
}

DURE_SUITE(nodes_keys, DURE_TEST(a_shorter_lease_waits_for_the_longest_of_before),
           DURE_TEST(old_keys_are_deleted_in_the_background),
           DURE_TEST(keys_are_kept_for_ever_unless_it_is_said),
           DURE_TEST(reading_goes_on_while_another_program_writes));
