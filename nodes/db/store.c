/* SPDX-License-Identifier: MIT
 *
 * The SQL of the db node. Statements are prepared once; each operation binds, steps and resets.
 */
#include "nodes/db/store.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/packer.h"

#define STORE_APPLICATION_ID 0x64757265 /* "dure" */
#define STORE_VERSION        2
#define STORE_ITEMS_MAX      65536u

/* X(name, SQL) */
#define STORE_STATEMENT_LIST(X)                                                                    \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(SAVEPOINT, "SAVEPOINT op")                                                                   \
    X(RELEASE, "RELEASE op")                                                                       \
    X(UNDO, "ROLLBACK TO op")                                                                      \
    X(PLAYER_FIND, "SELECT room, x, y, epoch, gateway, client, node, life, owner_epoch "           \
                   "FROM players WHERE player = ?1")                                               \
    X(PLAYER_ADD, "INSERT INTO players (player, room, x, y, epoch, gateway, client) "              \
                  "VALUES (?1, ?2, 0, 0, 0, '', 0)")                                               \
    X(PLAYER_LOGIN, "UPDATE players SET epoch = ((epoch >> 32) + 1) << 32, gateway = ?2, "         \
                    "client = ?3 WHERE player = ?1")                                               \
    X(PLAYER_EPOCH, "UPDATE players SET epoch = ?2 WHERE player = ?1")                             \
    X(PLAYER_FREE, "UPDATE players SET node = '', life = 0, owner_epoch = 0 WHERE player = ?1")    \
    X(PLAYER_OWN, "UPDATE players SET room = ?2, node = ?3, life = ?4, owner_epoch = ?5 "          \
                  "WHERE player = ?1")                                                             \
    X(PLAYER_SAVE, "UPDATE players SET room = ?2, x = ?3, y = ?4 "                                 \
                   "WHERE player = ?1 AND owner_epoch = ?5")                                       \
    X(ITEM_COUNT, "SELECT count FROM items WHERE player = ?1 AND item = ?2")                       \
    X(ITEM_ADD, "INSERT INTO items (player, item, count) VALUES (?1, ?2, ?3) "                     \
                "ON CONFLICT (player, item) DO UPDATE SET count = count + excluded.count")         \
    X(ITEM_TAKE, "UPDATE items SET count = count - ?3 WHERE player = ?1 AND item = ?2")            \
    X(ITEM_DROP, "DELETE FROM items WHERE player = ?1 AND item = ?2 AND count = 0")                \
    X(ITEM_LIST, "SELECT item, count FROM items WHERE player = ?1 ORDER BY item")                  \
    X(KEY_FIND, "SELECT receiver, item, count, balance FROM request_keys "                         \
                "WHERE player = ?1 AND key = ?2")                                                  \
    X(KEY_ADD, "INSERT INTO request_keys (player, key, receiver, item, count, balance, at_ms) "    \
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")

typedef enum store_statement {
#define STORE_STATEMENT_ROW(name, sql) STORE_##name,
    STORE_STATEMENT_LIST(STORE_STATEMENT_ROW)
#undef STORE_STATEMENT_ROW
        STORE_STATEMENT_COUNT
} store_statement;

static const char *const statement_sql[STORE_STATEMENT_COUNT] = {
#define STORE_STATEMENT_SQL(name, sql) sql,
    STORE_STATEMENT_LIST(STORE_STATEMENT_SQL)
#undef STORE_STATEMENT_SQL
};

static const char schema_sql[] =
    "BEGIN;"
    "CREATE TABLE players (player TEXT PRIMARY KEY, room TEXT NOT NULL, x REAL NOT NULL,"
    " y REAL NOT NULL, epoch INTEGER NOT NULL, gateway TEXT NOT NULL, client INTEGER NOT NULL,"
    " node TEXT NOT NULL DEFAULT '', life INTEGER NOT NULL DEFAULT 0,"
    " owner_epoch INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE items (player TEXT NOT NULL REFERENCES players, item TEXT NOT NULL,"
    " count INTEGER NOT NULL CHECK (count >= 0), PRIMARY KEY (player, item)) WITHOUT ROWID;"
    "CREATE TABLE request_keys (player TEXT NOT NULL, key TEXT NOT NULL, receiver TEXT NOT NULL,"
    " item TEXT NOT NULL, count INTEGER NOT NULL, balance INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, PRIMARY KEY (player, key)) WITHOUT ROWID;"
    "PRAGMA application_id = 1685418597;"
    "PRAGMA user_version = 2;"
    "COMMIT;";

/* From version 1, which knew no owners. */
static const char owners_sql[] =
    "BEGIN;"
    "ALTER TABLE players ADD COLUMN node TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE players ADD COLUMN life INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE players ADD COLUMN owner_epoch INTEGER NOT NULL DEFAULT 0;"
    "PRAGMA user_version = 2;"
    "COMMIT;";

struct db_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    char error[400];
    bool is_broken;
};

static dure_err store_failed(db_store *store)
{
    int primary = sqlite3_extended_errcode(store->db) & 0xff;
    if (primary == SQLITE_FULL) {
        (void)snprintf(store->error, sizeof store->error, "the disk is full");
    } else {
        (void)snprintf(store->error, sizeof store->error, "%s", sqlite3_errmsg(store->db));
    }
    if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
        store->is_broken = true;
    }
    return DURE_ERR_STORAGE;
}

static sqlite3_stmt *store_statement_of(db_store *store, store_statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    (void)sqlite3_reset(statement); /* repeats the former step's error, which was handled then */
    return statement;
}

static void bind_str(sqlite3_stmt *statement, int at, dure_str value)
{
    /* An empty view may have no pointer, which SQLite would store as NULL. */
    (void)sqlite3_bind_text(statement, at, value.data != NULL ? value.data : "", (int)value.len,
                            SQLITE_STATIC);
}

static void bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    (void)sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

/* Steps a statement that gives no row. */
static dure_err store_run(db_store *store, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    dure_err err = code == SQLITE_DONE ? DURE_OK : store_failed(store);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return err;
}

/* Steps a statement that gives one row or none. */
static dure_err store_row(db_store *store, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return DURE_OK;
    }
    dure_err err = code == SQLITE_DONE ? DURE_ERR_NOT_FOUND : store_failed(store);
    (void)sqlite3_reset(statement);
    return err;
}

static void column_text(sqlite3_stmt *statement, int column, char *out, size_t out_size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    (void)snprintf(out, out_size, "%s", text != NULL ? (const char *)text : "");
}

/* ---- opening ---- */

static dure_err store_pragma_int(db_store *store, const char *sql, int *out_value)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return store_failed(store);
    }
    int code = sqlite3_step(statement);
    dure_err err = code == SQLITE_ROW ? DURE_OK : store_failed(store);
    if (err == DURE_OK) {
        *out_value = sqlite3_column_int(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return err;
}

static dure_err store_exec(db_store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DURE_OK
                                                                       : store_failed(store);
}

DURE_PRINTF(2, 3)
static dure_err store_refuse(db_store *store, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(store->error, sizeof store->error, format, arguments);
    va_end(arguments);
    return DURE_ERR_STORAGE;
}

/* What SQLite said while the file was looked at, and what to do about it. */
static dure_err store_refuse_as_told(db_store *store)
{
    char told[200];
    int primary = sqlite3_extended_errcode(store->db) & 0xff;
    (void)snprintf(told, sizeof told, "%s", sqlite3_errmsg(store->db));
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
        return store_refuse(store, "it is damaged (%s): restore a copy, or move it away", told);
    }
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
        return store_refuse(store, "another program has locked it (%s): end that program", told);
    }
    return store_failed(store);
}

static dure_err store_check_identity(db_store *store, uint32_t application, uint32_t version)
{
    if (application != STORE_APPLICATION_ID) {
        return store_refuse(store,
                            "it is a database of another program (application id %u): move it "
                            "away, or choose another data folder",
                            (unsigned)application);
    }
    if (version > STORE_VERSION) {
        return store_refuse(store,
                            "it was written by a newer version of dure (schema %u, this one knows "
                            "%u): run that version",
                            (unsigned)version, (unsigned)STORE_VERSION);
    }
    return DURE_OK;
}

static uint32_t header_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/*
 * Looks at the first bytes of the file without SQLite, which would make its -wal and -shm beside
 * it (https://www.sqlite.org/fileformat2.html#the_database_header).
 */
static dure_err store_check_header(db_store *store, const char *path)
{
    unsigned char header[100];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return DURE_OK; /* it is to be made, or SQLite says why not */
    }
    size_t len = fread(header, 1, sizeof header, file);
    (void)fclose(file);
    if (len == 0) {
        return DURE_OK;
    }
    if (len < sizeof header || memcmp(header, "SQLite format 3", 16) != 0) {
        return store_refuse(store, "it is not a database: move it away");
    }
    uint32_t application = header_u32(header + 68);
    /* 0 while the tables stand in the -wal only, or where another program gave none. */
    return application != 0 ? store_check_identity(store, application, header_u32(header + 60))
                            : DURE_OK;
}

static dure_err store_quick_check(db_store *store)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        (void)sqlite3_finalize(statement);
        return store_refuse_as_told(store);
    }
    char found[200];
    column_text(statement, 0, found, sizeof found);
    (void)sqlite3_finalize(statement);
    return strcmp(found, "ok") == 0
               ? DURE_OK
               : store_refuse(store, "it is damaged (%s): restore a copy, or move it away", found);
}

/* Takes the write lock and gives it back; nothing is written. */
static dure_err store_check_lock(db_store *store)
{
    if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return store_refuse_as_told(store);
    }
    return store_exec(store, "ROLLBACK");
}

/* Reads only, so that a file that is refused stays as it was. */
static dure_err store_look(db_store *store, int *out_version, int *out_tables)
{
    int application = 0;
    if (store_pragma_int(store, "PRAGMA user_version", out_version) != DURE_OK ||
        store_pragma_int(store, "PRAGMA application_id", &application) != DURE_OK ||
        store_pragma_int(store, "SELECT count(*) FROM sqlite_master", out_tables) != DURE_OK) {
        return store_refuse_as_told(store);
    }
    dure_err err = DURE_OK;
    if (*out_tables > 0) {
        err = store_check_identity(store, (uint32_t)application, (uint32_t)*out_version);
    }
    if (err == DURE_OK) {
        err = store_check_lock(store);
    }
    return err == DURE_OK && *out_tables > 0 ? store_quick_check(store) : err;
}

static dure_err store_migrate(db_store *store)
{
    int version = 0;
    int tables = 0;
    dure_err err = store_look(store, &version, &tables);
    if (err != DURE_OK) {
        return err;
    }
    /* From here on the file is ours. */
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    err = store_exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                            "PRAGMA foreign_keys = ON;");
    if (err == DURE_OK && tables == 0) {
        err = store_exec(store, schema_sql);
    } else if (err == DURE_OK && version < 2) {
        err = store_exec(store, owners_sql);
    }
    return err;
}

/* What a crash left behind beside the file is not to be moved into one that is refused. */
static void store_keep_wal(db_store *store, const char *path)
{
    char wal[4200];
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    if (dure_file_exists(wal)) {
        (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
}

static dure_err store_prepare(db_store *store)
{
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK) {
            return store_failed(store);
        }
    }
    return DURE_OK;
}

dure_err db_store_open(const char *path, db_store **out_store, char *why, size_t why_size)
{
    db_store *store = dure_mem_alloc(sizeof *store);
    if (store == NULL) {
        (void)snprintf(why, why_size, "%s: out of memory", path);
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = store_check_header(store, path);
    if (err != DURE_OK) {
        goto out;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
        err = store_failed(store);
        goto out;
    }
    store_keep_wal(store, path);
    (void)sqlite3_busy_timeout(store->db, 1000);
    err = store_migrate(store);
    if (err == DURE_OK) {
        err = store_prepare(store);
    }
out:
    if (err != DURE_OK) {
        (void)snprintf(why, why_size, "%s: %s", path, store->error);
        db_store_close(store);
        return err;
    }
    *out_store = store;
    return DURE_OK;
}

void db_store_close(db_store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(store->statements[i]);
    }
    (void)sqlite3_close(store->db);
    dure_mem_free(store);
}

const char *db_store_error(const db_store *store)
{
    return store->error;
}

bool db_store_is_broken(const db_store *store)
{
    return store->is_broken;
}

/* ---- transactions ---- */

static dure_err store_simple(db_store *store, store_statement which)
{
    return store_run(store, store_statement_of(store, which));
}

dure_err db_store_begin(db_store *store)
{
    return store_simple(store, STORE_BEGIN);
}

void db_store_rollback(db_store *store)
{
    if (!db_store_is_in_transaction(store)) {
        return;
    }
    char kept[sizeof store->error];
    memcpy(kept, store->error, sizeof kept); /* the reason, not what the rollback says */
    if (store_simple(store, STORE_ROLLBACK) != DURE_OK) {
        store->is_broken = true;
    }
    memcpy(store->error, kept, sizeof kept);
}

dure_err db_store_commit(db_store *store)
{
    dure_err err = store_simple(store, STORE_COMMIT);
    if (err != DURE_OK) {
        db_store_rollback(store);
    }
    return err;
}

dure_err db_store_savepoint(db_store *store)
{
    return store_simple(store, STORE_SAVEPOINT);
}

dure_err db_store_end_savepoint(db_store *store, bool keep)
{
    dure_err err = keep ? DURE_OK : store_simple(store, STORE_UNDO);
    return err == DURE_OK ? store_simple(store, STORE_RELEASE) : err;
}

bool db_store_is_in_transaction(const db_store *store)
{
    return sqlite3_get_autocommit(store->db) == 0;
}

/* ---- players ---- */

static dure_err store_find_player(db_store *store, dure_str player, db_place *out_place,
                                  db_session *out_session, db_owner *out_owner)
{
    sqlite3_stmt *find = store_statement_of(store, STORE_PLAYER_FIND);
    bind_str(find, 1, player);
    dure_err err = store_row(store, find);
    if (err != DURE_OK) {
        return err;
    }
    if (out_place != NULL) {
        column_text(find, 0, out_place->room, sizeof out_place->room);
        out_place->x = sqlite3_column_double(find, 1);
        out_place->y = sqlite3_column_double(find, 2);
        out_place->epoch = (uint64_t)sqlite3_column_int64(find, 3);
    }
    if (out_session != NULL) {
        column_text(find, 4, out_session->gateway, sizeof out_session->gateway);
        out_session->client = (uint64_t)sqlite3_column_int64(find, 5);
    }
    if (out_owner != NULL) {
        column_text(find, 6, out_owner->node, sizeof out_owner->node);
        out_owner->life = (uint64_t)sqlite3_column_int64(find, 7);
        out_owner->epoch = (uint64_t)sqlite3_column_int64(find, 8);
    }
    (void)sqlite3_reset(find);
    return DURE_OK;
}

static dure_err store_add_items(db_store *store, dure_str player, dure_str item, uint64_t count)
{
    sqlite3_stmt *add = store_statement_of(store, STORE_ITEM_ADD);
    bind_str(add, 1, player);
    bind_str(add, 2, item);
    bind_u64(add, 3, count);
    return store_run(store, add);
}

static dure_err store_add_player(db_store *store, dure_str player)
{
    sqlite3_stmt *add = store_statement_of(store, STORE_PLAYER_ADD);
    bind_str(add, 1, player);
    bind_str(add, 2, dure_str_of(DB_FIRST_ROOM));
    dure_err err = store_run(store, add);
    return err == DURE_OK ? store_add_items(store, player, dure_str_of("gold"), DB_NEW_PLAYER_GOLD)
                          : err;
}

static bool is_same_owner(const db_owner *a, const db_owner *b)
{
    return a->life == b->life && strcmp(a->node, b->node) == 0;
}

/* Whether the row is free: of nobody, or of one that has let go of just this. */
static bool is_free(const db_owner *owner, const db_owner *released)
{
    return owner->node[0] == '\0' ||
           (released != NULL && is_same_owner(owner, released) && owner->epoch == released->epoch);
}

static dure_err store_free_player(db_store *store, dure_str player)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_FREE);
    bind_str(update, 1, player);
    return store_run(store, update);
}

dure_err db_store_login(db_store *store, dure_str player, const db_session *session,
                        db_place *out_place, db_session *out_old, db_owner *out_owner,
                        bool *out_created)
{
    *out_created = false;
    memset(out_owner, 0, sizeof *out_owner);
    dure_err err = store_find_player(store, player, NULL, out_old, out_owner);
    if (err == DURE_ERR_NOT_FOUND) {
        memset(out_old, 0, sizeof *out_old);
        *out_created = true;
        err = store_add_player(store, player);
    }
    if (err != DURE_OK) {
        return err;
    }
    sqlite3_stmt *login = store_statement_of(store, STORE_PLAYER_LOGIN);
    bind_str(login, 1, player);
    bind_str(login, 2, dure_str_of(session->gateway));
    bind_u64(login, 3, session->client);
    err = store_run(store, login);
    return err == DURE_OK ? store_find_player(store, player, out_place, NULL, NULL) : err;
}

dure_err db_store_login_again(db_store *store, dure_str player, uint64_t epoch,
                              const db_owner *released, db_place *out_place, db_owner *out_owner)
{
    dure_err err = store_find_player(store, player, out_place, NULL, out_owner);
    if (err != DURE_OK) {
        return err;
    }
    if (db_epoch_session(out_place->epoch) != db_epoch_session(epoch)) {
        return DURE_ERR_TAKEN_OVER;
    }
    if (!is_free(out_owner, released)) {
        return DURE_OK;
    }
    out_owner->node[0] = '\0';
    return store_free_player(store, player);
}

static dure_err store_set_epoch(db_store *store, dure_str player, uint64_t epoch)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_EPOCH);
    bind_str(update, 1, player);
    bind_u64(update, 2, epoch);
    return store_run(store, update);
}

static dure_err store_own_player(db_store *store, dure_str player, dure_str room,
                                 const db_owner *owner)
{
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_OWN);
    bind_str(update, 1, player);
    bind_str(update, 2, room);
    bind_str(update, 3, dure_str_of(owner->node));
    bind_u64(update, 4, owner->life);
    bind_u64(update, 5, owner->epoch);
    return store_run(store, update);
}

dure_err db_store_enter(db_store *store, dure_str player, dure_str room, const db_owner *owner,
                        const db_owner *released, db_place *out_place, db_owner *out_owner)
{
    dure_err err = store_find_player(store, player, out_place, NULL, out_owner);
    if (err != DURE_OK) {
        return err;
    }
    if (db_epoch_session(out_place->epoch) != db_epoch_session(owner->epoch)) {
        return DURE_ERR_TAKEN_OVER;
    }
    if (owner->epoch < out_place->epoch) {
        return DURE_ERR_FENCED;
    }
    err = store_set_epoch(store, player, owner->epoch);
    if (err != DURE_OK || !(is_free(out_owner, released) || is_same_owner(out_owner, owner))) {
        return err;
    }
    out_owner->node[0] = '\0';
    err = store_own_player(store, player, room, owner);
    return err == DURE_OK ? store_find_player(store, player, out_place, NULL, NULL) : err;
}

/* OK where `epoch` owns the player. */
static dure_err store_check_owner(db_store *store, dure_str player, uint64_t epoch)
{
    db_owner owner;
    dure_err err = store_find_player(store, player, NULL, NULL, &owner);
    return err == DURE_OK && owner.epoch != epoch ? DURE_ERR_FENCED : err;
}

dure_err db_store_save(db_store *store, dure_str player, const db_position *position,
                       uint64_t epoch, bool leaves)
{
    if (epoch == 0) {
        return DURE_ERR_FENCED; /* what nobody owns has this epoch too */
    }
    sqlite3_stmt *update = store_statement_of(store, STORE_PLAYER_SAVE);
    bind_str(update, 1, player);
    bind_str(update, 2, position->room);
    (void)sqlite3_bind_double(update, 3, position->x);
    (void)sqlite3_bind_double(update, 4, position->y);
    bind_u64(update, 5, epoch);
    dure_err err = store_run(store, update);
    if (err == DURE_OK && sqlite3_changes(store->db) == 0) {
        return store_check_owner(store, player, epoch);
    }
    return err == DURE_OK && leaves ? store_free_player(store, player) : err;
}

/* ---- items ---- */

static dure_err store_item_count(db_store *store, dure_str player, dure_str item,
                                 uint64_t *out_count)
{
    sqlite3_stmt *count = store_statement_of(store, STORE_ITEM_COUNT);
    bind_str(count, 1, player);
    bind_str(count, 2, item);
    dure_err err = store_row(store, count);
    *out_count = 0;
    if (err == DURE_OK) {
        *out_count = (uint64_t)sqlite3_column_int64(count, 0);
        (void)sqlite3_reset(count);
    }
    return err == DURE_ERR_NOT_FOUND ? DURE_OK : err;
}

static bool column_is(sqlite3_stmt *statement, int column, dure_str value)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    dure_str stored = {(const char *)text, (size_t)sqlite3_column_bytes(statement, column)};
    return dure_str_equal(stored, value);
}

/* OK: it was done before, out_balance is its answer. NOT_FOUND: it is new. */
static dure_err store_find_key(db_store *store, const db_gift *gift, uint64_t *out_balance)
{
    if (gift->key.len == 0) {
        return DURE_ERR_NOT_FOUND;
    }
    sqlite3_stmt *find = store_statement_of(store, STORE_KEY_FIND);
    bind_str(find, 1, gift->from);
    bind_str(find, 2, gift->key);
    dure_err err = store_row(store, find);
    if (err != DURE_OK) {
        return err;
    }
    bool is_same = column_is(find, 0, gift->to) && column_is(find, 1, gift->item) &&
                   (uint64_t)sqlite3_column_int64(find, 2) == gift->count;
    *out_balance = (uint64_t)sqlite3_column_int64(find, 3);
    (void)sqlite3_reset(find);
    return is_same ? DURE_OK : DURE_ERR_MISMATCH;
}

static dure_err store_add_key(db_store *store, const db_gift *gift, uint64_t balance)
{
    if (gift->key.len == 0) {
        return DURE_OK;
    }
    sqlite3_stmt *add = store_statement_of(store, STORE_KEY_ADD);
    bind_str(add, 1, gift->from);
    bind_str(add, 2, gift->key);
    bind_str(add, 3, gift->to);
    bind_str(add, 4, gift->item);
    bind_u64(add, 5, gift->count);
    bind_u64(add, 6, balance);
    bind_u64(add, 7, gift->now_ms);
    return store_run(store, add);
}

static dure_err store_take_items(db_store *store, const db_gift *gift)
{
    sqlite3_stmt *take = store_statement_of(store, STORE_ITEM_TAKE);
    bind_str(take, 1, gift->from);
    bind_str(take, 2, gift->item);
    bind_u64(take, 3, gift->count);
    dure_err err = store_run(store, take);
    if (err != DURE_OK) {
        return err;
    }
    sqlite3_stmt *drop = store_statement_of(store, STORE_ITEM_DROP);
    bind_str(drop, 1, gift->from);
    bind_str(drop, 2, gift->item);
    return store_run(store, drop);
}

dure_err db_store_give(db_store *store, const db_gift *gift, uint64_t *out_balance)
{
    dure_err err = store_find_key(store, gift, out_balance);
    if (err != DURE_ERR_NOT_FOUND) {
        return err;
    }
    err = gift->epoch != 0 ? store_check_owner(store, gift->from, gift->epoch)
                           : store_find_player(store, gift->from, NULL, NULL, NULL);
    if (err == DURE_OK) {
        err = store_find_player(store, gift->to, NULL, NULL, NULL);
    }
    uint64_t has = 0;
    if (err == DURE_OK) {
        err = store_item_count(store, gift->from, gift->item, &has);
    }
    if (err != DURE_OK) {
        return err;
    }
    if (has < gift->count) {
        return DURE_ERR_NOT_ENOUGH;
    }
    err = store_take_items(store, gift);
    if (err == DURE_OK) {
        err = store_add_items(store, gift->to, gift->item, gift->count);
    }
    if (err == DURE_OK) {
        err = store_add_key(store, gift, has - gift->count);
    }
    if (err == DURE_OK) {
        *out_balance = has - gift->count;
    }
    return err;
}

static dure_err store_pack_items(db_store *store, sqlite3_stmt *list, dure_buf *out,
                                 uint32_t *out_count)
{
    dure_packer packer = dure_packer_of(out);
    uint32_t count = 0;
    int code;
    while ((code = sqlite3_step(list)) == SQLITE_ROW && count < STORE_ITEMS_MAX) {
        dure_str item = {(const char *)sqlite3_column_text(list, 0),
                         (size_t)sqlite3_column_bytes(list, 0)};
        dure_packer_str(&packer, item);
        dure_packer_u64(&packer, (uint64_t)sqlite3_column_int64(list, 1));
        count++;
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        return store_failed(store);
    }
    *out_count = count;
    return packer.status;
}

dure_err db_store_inventory(db_store *store, dure_str player, dure_buf *out)
{
    dure_err err = store_find_player(store, player, NULL, NULL, NULL);
    if (err != DURE_OK) {
        return err;
    }
    dure_buf pairs;
    dure_buf_init(&pairs, dure_buf_cap(out));
    sqlite3_stmt *list = store_statement_of(store, STORE_ITEM_LIST);
    bind_str(list, 1, player);
    uint32_t count = 0;
    err = store_pack_items(store, list, &pairs, &count);
    (void)sqlite3_reset(list);
    if (err == DURE_OK) {
        dure_packer packer = dure_packer_of(out);
        dure_packer_map(&packer, count);
        dure_packer_raw(&packer, (dure_slice){pairs.data, pairs.len});
        err = packer.status;
    }
    dure_buf_fini(&pairs);
    return err;
}
