/* SPDX-License-Identifier: MIT
 *
 * The db node's file: what is given is moved once and never made, what is committed is found again,
 * and a file that is not ours is left as it was.
 */
#include "nodes/db/store.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/file.h"
#include "support/check.h"

typedef struct store_fixture {
    char folder[256];
    char path[300];
    db_store *store;
} store_fixture;

static void fixture_reopen(store_fixture *f)
{
    char why[512] = "";
    db_store_close(f->store);
    f->store = NULL;
    DURE_REQUIRE_OK(db_store_open(f->path, &f->store, why, sizeof why));
}

static void fixture_open(store_fixture *f)
{
    memset(f, 0, sizeof *f);
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-store-", f->folder, sizeof f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/dure.sqlite", f->folder);
    fixture_reopen(f);
}

static void fixture_close(store_fixture *f)
{
    db_store_close(f->store);
    DURE_CHECK_OK(dure_file_remove_folder(f->folder));
}

/* One operation in a transaction of its own. */
static dure_err in_transaction(store_fixture *f, dure_err (*fn)(store_fixture *f, void *ctx),
                               void *ctx)
{
    DURE_REQUIRE_OK(db_store_begin(f->store));
    DURE_REQUIRE_OK(db_store_savepoint(f->store));
    dure_err err = fn(f, ctx);
    DURE_REQUIRE_OK(db_store_end_savepoint(f->store, err == DURE_OK));
    DURE_REQUIRE_OK(db_store_commit(f->store));
    return err;
}

typedef struct login_case {
    const char *player;
    uint64_t client;
    db_place place;
    db_session old;
    db_owner owner;
    bool created;
} login_case;

static dure_err do_login(store_fixture *f, void *ctx)
{
    login_case *c = ctx;
    db_session session = {.client = c->client};
    (void)snprintf(session.gateway, sizeof session.gateway, "gateway-1");
    return db_store_login(f->store, dure_str_of(c->player), &session, &c->place, &c->old, &c->owner,
                          &c->created);
}

/* The epoch of the new session. */
static uint64_t login(store_fixture *f, const char *player)
{
    login_case c = {.player = player, .client = 1};
    DURE_REQUIRE_OK(in_transaction(f, do_login, &c));
    return c.place.epoch;
}

static db_owner owner_of(const char *node, uint64_t life, uint64_t epoch)
{
    db_owner owner = {.life = life, .epoch = epoch};
    (void)snprintf(owner.node, sizeof owner.node, "%s", node);
    return owner;
}

typedef struct enter_case {
    const char *room;
    db_owner self;
    db_owner released;
    db_place place;
    db_owner owner;
} enter_case;

static dure_err do_enter(store_fixture *f, void *ctx)
{
    enter_case *c = ctx;
    return db_store_enter(f->store, dure_str_of("ada"), dure_str_of(c->room), &c->self,
                          &c->released, &c->place, &c->owner);
}

/* Enters as a node under an epoch. */
static dure_err enter(store_fixture *f, const char *node, uint64_t epoch, db_owner *out_owner)
{
    enter_case c = {.room = "arena", .self = owner_of(node, 1, epoch), .released = *out_owner};
    dure_err err = in_transaction(f, do_enter, &c);
    *out_owner = c.owner;
    return err;
}

typedef struct save_case {
    double x;
    uint64_t epoch;
    bool leaves;
} save_case;

static dure_err do_save(store_fixture *f, void *ctx)
{
    const save_case *c = ctx;
    db_position position = {dure_str_of("arena"), c->x, 0};
    return db_store_save(f->store, dure_str_of("ada"), &position, c->epoch, c->leaves);
}

static dure_err save(store_fixture *f, double x, uint64_t epoch, bool leaves)
{
    save_case c = {x, epoch, leaves};
    return in_transaction(f, do_save, &c);
}

typedef struct give_case {
    db_gift gift;
    uint64_t balance;
} give_case;

static dure_err do_give(store_fixture *f, void *ctx)
{
    give_case *c = ctx;
    return db_store_give(f->store, &c->gift, &c->balance);
}

static dure_err give(store_fixture *f, const char *to, const char *item, uint64_t count,
                     const char *key, uint64_t *out_balance)
{
    give_case c = {.gift = {dure_str_of("ada"), dure_str_of(to), dure_str_of(item), count,
                            dure_str_of(key), 0, 0}};
    dure_err err = in_transaction(f, do_give, &c);
    *out_balance = c.balance;
    return err;
}

static void a_new_player_has_gold_and_stands_in_the_lobby(void)
{
    store_fixture f;
    fixture_open(&f);
    login_case first = {.player = "ada", .client = 7};
    login_case second = {.player = "ada", .client = 8};
    DURE_CHECK_OK(in_transaction(&f, do_login, &first));
    DURE_CHECK(first.created);
    DURE_CHECK_STR(first.place.room, "lobby");
    DURE_CHECK_OK(in_transaction(&f, do_login, &second));
    DURE_CHECK(!second.created);
    DURE_CHECK_EQ(second.old.client, 7);
    DURE_CHECK_STR(second.old.gateway, "gateway-1");
    DURE_CHECK_EQ(db_epoch_session(second.place.epoch), db_epoch_session(first.place.epoch) + 1);
    dure_buf items;
    dure_buf_init(&items, 4096);
    DURE_CHECK_OK(db_store_inventory(f.store, dure_str_of("ada"), &items));
    static const uint8_t gold_100[] = {0x81, 0xa4, 'g', 'o', 'l', 'd', 100};
    DURE_CHECK_BYTES(items.data, items.len, gold_100, sizeof gold_100);
    dure_buf_fini(&items);
    fixture_close(&f);
}

static void a_gift_moves_items_and_a_repeat_applies_once(void)
{
    store_fixture f;
    uint64_t balance = 0;
    fixture_open(&f);
    login(&f, "ada");
    DURE_CHECK_ERR(give(&f, "bob", "gold", 1, "", &balance), DURE_ERR_NOT_FOUND);
    login(&f, "bob");
    DURE_CHECK_OK(give(&f, "bob", "gold", 30, "k", &balance));
    DURE_CHECK_EQ(balance, 70);
    fixture_reopen(&f);
    DURE_CHECK_OK(give(&f, "bob", "gold", 30, "k", &balance));
    DURE_CHECK_EQ(balance, 70);
    DURE_CHECK_ERR(give(&f, "bob", "gold", 31, "k", &balance), DURE_ERR_MISMATCH);
    DURE_CHECK_ERR(give(&f, "bob", "gold", 71, "", &balance), DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_ERR(give(&f, "bob", "sword", 1, "", &balance), DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_ERR(give(&f, "bob", "gold", UINT64_MAX, "", &balance), DURE_ERR_NOT_ENOUGH);
    DURE_CHECK_OK(give(&f, "bob", "gold", 70, "", &balance));
    DURE_CHECK_EQ(balance, 0);
    fixture_close(&f);
}

static void a_failed_neighbour_undoes_only_itself(void)
{
    store_fixture f;
    db_place place;
    db_owner owner = {.node = ""};
    db_position arena = {dure_str_of("arena"), 1, 2};
    db_position cellar = {dure_str_of("cellar"), 3, 4};
    fixture_open(&f);
    uint64_t epoch = login(&f, "ada") + 1;
    DURE_REQUIRE_OK(enter(&f, "game-1", epoch, &owner));
    DURE_REQUIRE_OK(db_store_begin(f.store));
    DURE_REQUIRE_OK(db_store_savepoint(f.store));
    DURE_CHECK_OK(db_store_save(f.store, dure_str_of("ada"), &arena, epoch, false));
    DURE_REQUIRE_OK(db_store_end_savepoint(f.store, true));
    DURE_REQUIRE_OK(db_store_savepoint(f.store));
    DURE_CHECK_OK(db_store_save(f.store, dure_str_of("ada"), &cellar, epoch, false));
    DURE_REQUIRE_OK(db_store_end_savepoint(f.store, false));
    DURE_REQUIRE_OK(db_store_commit(f.store));
    fixture_reopen(&f);
    DURE_REQUIRE_OK(db_store_begin(f.store));
    db_owner self = owner_of("game-1", 1, epoch);
    DURE_CHECK_OK(db_store_enter(f.store, dure_str_of("ada"), dure_str_of("arena"), &self, NULL,
                                 &place, &owner));
    DURE_CHECK_EQ(place.x, 1);
    db_store_rollback(f.store);
    DURE_CHECK(!db_store_is_in_transaction(f.store));
    DURE_CHECK_ERR(db_store_save(f.store, dure_str_of("nobody"), &arena, epoch, false),
                   DURE_ERR_NOT_FOUND);
    fixture_close(&f);
}

static void only_the_owner_of_this_epoch_writes(void)
{
    store_fixture f;
    db_owner owner = {.node = ""};
    uint64_t balance = 0;
    fixture_open(&f);
    login(&f, "bob");
    uint64_t epoch = login(&f, "ada");
    DURE_CHECK_ERR(save(&f, 1, epoch, false), DURE_ERR_FENCED); /* nobody has entered */
    DURE_CHECK_ERR(save(&f, 1, 0, false), DURE_ERR_FENCED);
    DURE_CHECK_OK(enter(&f, "game-1", epoch + 1, &owner));
    DURE_CHECK_STR(owner.node, "");
    DURE_CHECK_OK(save(&f, 1, epoch + 1, false));
    DURE_CHECK_OK(enter(&f, "game-1", epoch + 2, &owner)); /* the same process takes a later one */
    DURE_CHECK_STR(owner.node, "");
    DURE_CHECK_ERR(save(&f, 2, epoch + 1, false), DURE_ERR_FENCED);
    give_case gift = {.gift = {dure_str_of("ada"), dure_str_of("bob"), dure_str_of("gold"), 1,
                               dure_str_of(""), 0, epoch + 1}};
    DURE_CHECK_ERR(in_transaction(&f, do_give, &gift), DURE_ERR_FENCED);
    gift.gift.epoch = epoch + 2;
    DURE_CHECK_OK(in_transaction(&f, do_give, &gift));
    DURE_CHECK_OK(save(&f, 3, epoch + 2, true));
    DURE_CHECK_ERR(save(&f, 4, epoch + 2, false), DURE_ERR_FENCED); /* it has let go */
    gift.gift.epoch = 0;
    DURE_CHECK_OK(give(&f, "bob", "gold", 1, "", &balance));
    fixture_close(&f);
}

static void an_owner_is_replaced_only_when_it_has_let_go(void)
{
    store_fixture f;
    db_owner owner = {.node = ""};
    fixture_open(&f);
    uint64_t epoch = login(&f, "ada");
    DURE_CHECK_OK(enter(&f, "game-1", epoch + 1, &owner));
    DURE_CHECK_OK(enter(&f, "game-2", epoch + 2, &owner));
    DURE_CHECK_STR(owner.node, "game-1"); /* it owns it still, and may save */
    DURE_CHECK_EQ(owner.epoch, epoch + 1);
    DURE_CHECK_OK(save(&f, 5, epoch + 1, false));
    DURE_CHECK_ERR(save(&f, 6, epoch + 2, false), DURE_ERR_FENCED);
    owner.epoch = epoch; /* it let go of that, and has entered again since */
    DURE_CHECK_OK(enter(&f, "game-2", epoch + 2, &owner));
    DURE_CHECK_STR(owner.node, "game-1");
    DURE_CHECK_EQ(owner.epoch, epoch + 1);
    DURE_CHECK_OK(enter(&f, "game-2", epoch + 2, &owner)); /* owner: who was released */
    DURE_CHECK_STR(owner.node, "");
    DURE_CHECK_ERR(save(&f, 7, epoch + 1, false), DURE_ERR_FENCED);
    DURE_CHECK_OK(save(&f, 8, epoch + 2, false));
    DURE_CHECK_ERR(enter(&f, "game-1", epoch + 1, &owner), DURE_ERR_FENCED); /* it came too late */
    fixture_close(&f);
}

static void a_login_ends_the_session_before(void)
{
    store_fixture f;
    db_owner owner = {.node = ""};
    fixture_open(&f);
    uint64_t epoch = login(&f, "ada");
    DURE_CHECK_OK(enter(&f, "game-1", epoch + 1, &owner));
    login_case second = {.player = "ada", .client = 2};
    DURE_CHECK_OK(in_transaction(&f, do_login, &second));
    DURE_CHECK_STR(second.owner.node, "game-1");
    DURE_CHECK_OK(save(&f, 5, epoch + 1, false)); /* until it has let go */
    DURE_CHECK_ERR(enter(&f, "game-1", epoch + 2, &owner), DURE_ERR_TAKEN_OVER);
    login_case third = {.player = "ada", .client = 3};
    DURE_CHECK_OK(in_transaction(&f, do_login, &third));
    db_place place;
    DURE_REQUIRE_OK(db_store_begin(f.store));
    DURE_CHECK_ERR(db_store_login_again(f.store, dure_str_of("ada"), second.place.epoch,
                                        &second.owner, &place, &owner),
                   DURE_ERR_TAKEN_OVER);
    DURE_CHECK_OK(db_store_login_again(f.store, dure_str_of("ada"), third.place.epoch, &third.owner,
                                       &place, &owner));
    DURE_REQUIRE_OK(db_store_commit(f.store));
    DURE_CHECK_STR(owner.node, "");
    DURE_CHECK_EQ(place.x, 5);
    DURE_CHECK_ERR(save(&f, 6, epoch + 1, false), DURE_ERR_FENCED);
    fixture_close(&f);
}

/* Opening is refused with a reason, and not a byte has changed. */
static void check_refused(store_fixture *f, const char *reason)
{
    char why[512] = "";
    db_store *store = NULL;
    dure_buf before;
    dure_buf after;
    dure_buf_init(&before, 1u << 20);
    dure_buf_init(&after, 1u << 20);
    DURE_REQUIRE_OK(dure_file_read(f->path, &before));
    DURE_CHECK_ERR(db_store_open(f->path, &store, why, sizeof why), DURE_ERR_STORAGE);
    DURE_CHECK(strstr(why, reason) != NULL);
    DURE_REQUIRE_OK(dure_file_read(f->path, &after));
    DURE_CHECK_BYTES(after.data, after.len, before.data, before.len);
    dure_buf_fini(&before);
    dure_buf_fini(&after);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    DURE_REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    DURE_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    (void)sqlite3_close(db);
}

static void a_file_of_version_1_learns_of_owners(void)
{
    store_fixture f;
    db_owner owner = {.node = ""};
    fixture_open(&f);
    db_store_close(f.store);
    f.store = NULL;
    run_sql(f.path, "DROP TABLE players; CREATE TABLE players (player TEXT PRIMARY KEY,"
                    " room TEXT NOT NULL, x REAL NOT NULL, y REAL NOT NULL,"
                    " epoch INTEGER NOT NULL, gateway TEXT NOT NULL, client INTEGER NOT NULL)"
                    " WITHOUT ROWID; INSERT INTO players VALUES ('ada', 'arena', 1, 2, 7, 'g', 3);"
                    "PRAGMA user_version = 1;");
    fixture_reopen(&f);
    login_case c = {.player = "ada", .client = 1};
    DURE_CHECK_OK(in_transaction(&f, do_login, &c));
    DURE_CHECK_STR(c.place.room, "arena");
    DURE_CHECK(c.place.epoch > 7);
    DURE_CHECK_OK(enter(&f, "game-1", c.place.epoch + 1, &owner));
    fixture_close(&f);
}

static void a_file_that_is_not_ours_is_left_as_it_was(void)
{
    store_fixture f;
    fixture_open(&f);
    db_store_close(f.store);
    f.store = NULL;
    run_sql(f.path, "PRAGMA user_version = 99");
    check_refused(&f, "newer version");
    run_sql(f.path, "PRAGMA user_version = 1; PRAGMA application_id = 5");
    check_refused(&f, "another program");
    static const char garbage[] = "this is no database, but it is somebody's text all the same";
    DURE_REQUIRE_OK(dure_file_write(f.path, garbage, sizeof garbage, DURE_FILE_OWNER_ONLY));
    check_refused(&f, "not a database");
    fixture_close(&f);
}

DURE_SUITE(nodes_store, DURE_TEST(a_new_player_has_gold_and_stands_in_the_lobby),
           DURE_TEST(a_gift_moves_items_and_a_repeat_applies_once),
           DURE_TEST(a_failed_neighbour_undoes_only_itself),
           DURE_TEST(only_the_owner_of_this_epoch_writes),
           DURE_TEST(an_owner_is_replaced_only_when_it_has_let_go),
           DURE_TEST(a_login_ends_the_session_before),
           DURE_TEST(a_file_of_version_1_learns_of_owners),
           DURE_TEST(a_file_that_is_not_ours_is_left_as_it_was));
