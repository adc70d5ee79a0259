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
                            dure_str_of(key), 0, 0, 0}};
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
                               dure_str_of(""), 0, epoch + 1, 0}};
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
    run_sql(f.path,
            "DROP TABLE facts; DROP TABLE players; CREATE TABLE players (player TEXT PRIMARY KEY,"
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

/* What an earlier version or an operator put there. */
static void run_sql_on(store_fixture *f, const char *sql)
{
    db_store_close(f->store);
    f->store = NULL;
    run_sql(f->path, sql);
    fixture_reopen(f);
}

#define ODD "a\xe2\x80\x8d" /* holds U+200D */

static void a_new_name_is_plain_and_a_known_one_is_taken_as_it_is(void)
{
    store_fixture f;
    login_case odd = {.player = ODD, .client = 1};
    fixture_open(&f);
    DURE_CHECK_ERR(in_transaction(&f, do_login, &odd), DURE_ERR_BAD_REQUEST);
    login_case empty = {.player = "\xcc\x81", .client = 1};
    DURE_CHECK_ERR(in_transaction(&f, do_login, &empty), DURE_ERR_BAD_REQUEST);
    run_sql_on(&f, "INSERT INTO players (player, room, x, y, epoch, gateway, client) "
                   "VALUES ('" ODD "', 'lobby', 0, 0, 0, '', 0)");
    DURE_CHECK_OK(in_transaction(&f, do_login, &odd));
    DURE_CHECK(!odd.created);
    fixture_close(&f);
}

static void a_room_is_plain_or_the_one_that_the_player_was_in(void)
{
    store_fixture f;
    fixture_open(&f);
    uint64_t epoch = login(&f, "ada");
    enter_case c = {.room = ODD, .self = owner_of("game-1", 1, epoch + 1)};
    DURE_CHECK_ERR(in_transaction(&f, do_enter, &c), DURE_ERR_BAD_REQUEST);
    run_sql_on(&f, "UPDATE players SET room = '" ODD "'");
    DURE_CHECK_OK(in_transaction(&f, do_enter, &c));
    DURE_CHECK_STR(c.place.room, ODD);
    fixture_close(&f);
}

static void an_item_is_plain_or_one_that_the_giver_has(void)
{
    store_fixture f;
    uint64_t balance = 0;
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    DURE_CHECK_ERR(give(&f, "bob", ODD, 1, "", &balance), DURE_ERR_BAD_REQUEST);
    run_sql_on(&f, "INSERT INTO items VALUES ('ada', '" ODD "', 2)");
    DURE_CHECK_OK(give(&f, "bob", ODD, 1, "", &balance));
    DURE_CHECK_ERR(give(&f, "bob", ODD, 2, "", &balance), DURE_ERR_NOT_ENOUGH);
    fixture_close(&f);
}

/* SQLite makes a REAL of a sum past 2^63 - 1, which loses the small digits: money is made. */
static void nobody_has_more_than_a_number_holds(void)
{
    store_fixture f;
    uint64_t balance = 0;
    dure_buf items;
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    run_sql_on(&f, "UPDATE items SET count = 9223372036854775806 WHERE player = 'bob'");
    DURE_CHECK_OK(give(&f, "bob", "gold", 1, "", &balance));
    DURE_CHECK_ERR(give(&f, "bob", "gold", 1, "k", &balance), DURE_ERR_NO_ROOM);
    dure_buf_init(&items, 4096);
    DURE_CHECK_OK(db_store_inventory(f.store, dure_str_of("bob"), &items));
    DURE_CHECK_BYTES(items.data, items.len, "\x81\xa4gold\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
                     (size_t)15);
    dure_buf_fini(&items);
    fixture_close(&f);
}

static void a_count_that_is_no_whole_number_is_not_used(void)
{
    store_fixture f;
    uint64_t balance = 0;
    dure_buf items;
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    run_sql_on(&f, "UPDATE items SET count = 9.3e18 WHERE player = 'bob'");
    DURE_CHECK_ERR(give(&f, "bob", "gold", 1, "", &balance), DURE_ERR_STORAGE);
    DURE_CHECK(strstr(db_store_error(f.store), "dure db check") != NULL);
    dure_buf_init(&items, 4096);
    DURE_CHECK_ERR(db_store_inventory(f.store, dure_str_of("bob"), &items), DURE_ERR_STORAGE);
    dure_buf_fini(&items);
    run_sql_on(&f, "UPDATE items SET count = 9.3e18 WHERE player = 'ada';"
                   "UPDATE items SET count = 5 WHERE player = 'bob'");
    DURE_CHECK_ERR(give(&f, "bob", "gold", 1, "", &balance), DURE_ERR_STORAGE);
    fixture_close(&f);
}

static void an_inventory_that_does_not_fit_says_so(void)
{
    store_fixture f;
    dure_buf items;
    fixture_open(&f);
    login(&f, "ada");
    run_sql_on(&f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65536)"
                   "INSERT INTO items SELECT 'ada', 'item-' || i, 1 FROM n");
    dure_buf_init(&items, 512u * 1024u);
    DURE_CHECK_ERR(db_store_inventory(f.store, dure_str_of("ada"), &items), DURE_ERR_NO_ROOM);
    dure_buf_fini(&items);
    /* One more than 65,536 are not cut off in silence. */
    dure_buf_init(&items, 16u * 1024u * 1024u);
    DURE_CHECK_ERR(db_store_inventory(f.store, dure_str_of("ada"), &items), DURE_ERR_NO_ROOM);
    dure_buf_fini(&items);
    fixture_close(&f);
}

static void the_longest_lease_is_kept(void)
{
    store_fixture f;
    uint32_t longest = 0;
    fixture_open(&f);
    DURE_CHECK_OK(db_store_lease(f.store, 3000, &longest));
    DURE_CHECK_EQ(longest, 3000);
    DURE_CHECK_OK(db_store_lease(f.store, 10000, &longest));
    fixture_reopen(&f);
    DURE_CHECK_OK(db_store_lease(f.store, 3000, &longest));
    DURE_CHECK_EQ(longest, 10000);
    DURE_CHECK_OK(db_store_forget_lease(f.store, 3000));
    fixture_reopen(&f);
    DURE_CHECK_OK(db_store_lease(f.store, 2000, &longest));
    DURE_CHECK_EQ(longest, 3000);
    fixture_close(&f);
}

#define DAY UINT64_C(86400000)
/* Noon of 2026-11-28. */
#define NOON (UINT64_C(20785) * DAY + DAY / 2)

static dure_err give_under(store_fixture *f, dure_str key, uint64_t now_ms, uint32_t days)
{
    give_case c = {.gift = {.from = dure_str_of("ada"),
                            .to = dure_str_of("bob"),
                            .item = dure_str_of("gold"),
                            .count = 1,
                            .key = key,
                            .now_ms = now_ms,
                            .keys_days = days}};
    return in_transaction(f, do_give, &c);
}

static dure_err give_on(store_fixture *f, const char *key, uint64_t now_ms, uint32_t days)
{
    return give_under(f, dure_str_of(key), now_ms, days);
}

static void a_key_begins_with_its_day(void)
{
    static const struct {
        const char *key;
        uint64_t day; /* 0: none */
    } rows[] = {
        {"19700101", 0},         {"19700102-x", 1},         {"20261128-1", 20785},
        {"20000229", 11016},     {"20010229", UINT64_MAX},  {"20261301", UINT64_MAX},
        {"2026112", UINT64_MAX}, {"x20261128", UINT64_MAX}, {"20261100", UINT64_MAX},
        {"99991231", 2932896},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        uint64_t day = 77;
        bool has_day = db_key_day(dure_str_of(rows[i].key), &day);
        DURE_CHECK_EQ(has_day, rows[i].day != UINT64_MAX);
        DURE_CHECK_EQ(has_day ? day : UINT64_MAX, rows[i].day);
    }
}

static void a_key_of_a_day_that_may_be_gone_is_too_old(void)
{
    store_fixture f;
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    DURE_CHECK_OK(give_on(&f, "any key at all", NOON, 0));
    /* Keys of before the setting are known still; new ones have a day. */
    DURE_CHECK_OK(give_on(&f, "any key at all", NOON, 7));
    DURE_CHECK_ERR(give_on(&f, "another", NOON, 7), DURE_ERR_INVALID);
    DURE_CHECK_OK(give_on(&f, "20261128-a", NOON, 7));
    DURE_CHECK_OK(give_on(&f, "20261129-b", NOON, 7)); /* a clock that is ahead */
    DURE_CHECK_ERR(give_on(&f, "20261130-c", NOON, 7), DURE_ERR_INVALID);
    DURE_CHECK_OK(give_on(&f, "20261121-d", NOON, 7));
    DURE_CHECK_ERR(give_on(&f, "20261120-e", NOON, 7), DURE_ERR_TOO_OLD);
    DURE_CHECK_OK(give_on(&f, "20261121-d", NOON + 30 * DAY, 7)); /* its row is there */
    fixture_close(&f);
}

static void delete_pass(store_fixture *f, uint64_t before_ms, uint32_t expected)
{
    db_key_place place;
    uint32_t deleted = 0;
    uint32_t sum = 0;
    uint32_t bites = 0;
    memset(&place, 0, sizeof place);
    do {
        DURE_REQUIRE_OK(db_store_begin(f->store));
        DURE_CHECK_OK(db_store_delete_keys(f->store, before_ms, 3, &place, &deleted));
        DURE_REQUIRE_OK(db_store_commit(f->store));
        DURE_CHECK(deleted <= 3);
        sum += deleted;
    } while (place.player[0] != '\0' && ++bites < 100);
    DURE_CHECK_EQ(sum, expected);
    DURE_CHECK(bites < 100);
}

/* A gift is not made twice because its key was deleted, whatever the setting is later. */
static void a_deleted_key_is_never_new_again(void)
{
    store_fixture f;
    char key[32];
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof key, "20261128-%u", i);
        DURE_CHECK_OK(give_on(&f, key, NOON + (i % 2) * 10 * DAY, 20));
    }
    DURE_CHECK_OK(give_on(&f, "20261129-ahead", NOON, 20));
    delete_pass(&f, NOON, 0);
    DURE_CHECK_OK(give_on(&f, "no day", NOON, 0)); /* nothing is deleted yet */
    delete_pass(&f, NOON + DAY, 7);
    fixture_reopen(&f);
    static const uint32_t settings[] = {0, 1, 20, 36500};
    for (size_t i = 0; i < DURE_COUNT_OF(settings); i++) {
        uint32_t days = settings[i];
        DURE_CHECK_ERR(give_on(&f, "20261128-0", NOON + 2 * DAY, days), DURE_ERR_TOO_OLD);
        DURE_CHECK_ERR(give_on(&f, "20261129-ahead", NOON + 2 * DAY, days), DURE_ERR_TOO_OLD);
        DURE_CHECK_ERR(give_on(&f, "no day", NOON + 2 * DAY, days), DURE_ERR_INVALID);
        DURE_CHECK_OK(give_on(&f, "20261128-1", NOON + 2 * DAY, days)); /* its row was younger */
    }
    fixture_close(&f);
}

/* More keys than a bite begin alike until a zero byte, and deleting passes them. */
static void keys_with_zero_bytes_are_deleted_as_others(void)
{
    store_fixture f;
    char key[] = "20261128-\0?";
    fixture_open(&f);
    login(&f, "ada");
    login(&f, "bob");
    for (char last = 'a'; last <= 'h'; last++) {
        key[sizeof key - 2] = last;
        DURE_CHECK_OK(give_under(&f, (dure_str){key, sizeof key - 1}, NOON, 7));
    }
    DURE_CHECK_OK(give_on(&f, "20261128-z", NOON, 7));
    delete_pass(&f, NOON, 0); /* too young, and the pass gets to its end */
    delete_pass(&f, NOON + DAY, 9);
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
           DURE_TEST(a_new_name_is_plain_and_a_known_one_is_taken_as_it_is),
           DURE_TEST(a_room_is_plain_or_the_one_that_the_player_was_in),
           DURE_TEST(an_item_is_plain_or_one_that_the_giver_has),
           DURE_TEST(nobody_has_more_than_a_number_holds),
           DURE_TEST(a_count_that_is_no_whole_number_is_not_used),
           DURE_TEST(an_inventory_that_does_not_fit_says_so), DURE_TEST(the_longest_lease_is_kept),
           DURE_TEST(a_key_begins_with_its_day),
           DURE_TEST(a_key_of_a_day_that_may_be_gone_is_too_old),
           DURE_TEST(a_deleted_key_is_never_new_again),
           DURE_TEST(keys_with_zero_bytes_are_deleted_as_others),
           DURE_TEST(a_file_that_is_not_ours_is_left_as_it_was));
