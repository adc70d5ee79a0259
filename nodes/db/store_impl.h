/* SPDX-License-Identifier: MIT
 *
 * What the files of the store share: the connection, its statements, and the way to run one.
 */
#ifndef DURE_NODES_DB_STORE_IMPL_H
#define DURE_NODES_DB_STORE_IMPL_H

#include <sqlite3.h>

#include "nodes/db/store.h"

/* X(name, SQL) */
#define STORE_STATEMENT_LIST(X)                                                                    \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(BEGIN_READING, "BEGIN DEFERRED")                                                             \
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
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                              \
    X(KEY_BITE, "SELECT player, key FROM request_keys WHERE (player, key) > (?1, ?2) "             \
                "ORDER BY player, key LIMIT 1 OFFSET ?3")                                          \
    X(KEY_DROP, "DELETE FROM request_keys WHERE (player, key) > (?1, ?2) "                         \
                "AND (player, key) <= (?3, ?4) AND at_ms < ?5")                                    \
    X(KEY_DROP_REST, "DELETE FROM request_keys WHERE (player, key) > (?1, ?2) AND at_ms < ?5")     \
    X(FACT_FIND, "SELECT value FROM facts WHERE name = ?1")                                        \
    X(FACT_SET, "INSERT INTO facts (name, value) VALUES (?1, ?2) "                                 \
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value")

typedef enum store_statement {
#define STORE_STATEMENT_ROW(name, sql) STORE_##name,
    STORE_STATEMENT_LIST(STORE_STATEMENT_ROW)
#undef STORE_STATEMENT_ROW
        STORE_STATEMENT_COUNT
} store_statement;

struct db_store {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    uint64_t keys_deleted_ms; /* keys of gifts from before may be gone; 0: all are there */
    char error[400];
    bool is_broken;
};

/* Opens a file of ours for reading alone: nothing is made beside it, moved or changed. Statements
 * are not prepared. Fails: NO_MEMORY, STORAGE. */
DURE_CHECKED dure_err store_open_for_reading(const char *path, db_store **out_store, char *why,
                                             size_t why_size);

/* Says what SQLite said, and whether the truth on disk is unknown now; gives STORAGE. */
DURE_CHECKED dure_err store_failed(db_store *store);
/* Says a sentence of our own; gives STORAGE. */
DURE_PRINTF(2, 3)
DURE_CHECKED dure_err store_refuse(db_store *store, const char *format, ...);
DURE_CHECKED dure_err store_exec(db_store *store, const char *sql);

/* A prepared statement, ready to be bound. */
sqlite3_stmt *store_statement_of(db_store *store, store_statement which);
void bind_str(sqlite3_stmt *statement, int at, dure_str value);
void bind_u64(sqlite3_stmt *statement, int at, uint64_t value);
/* Steps a statement that gives no row. */
DURE_CHECKED dure_err store_run(db_store *store, sqlite3_stmt *statement);
/* Steps a statement that gives one row or none: NOT_FOUND. */
DURE_CHECKED dure_err store_row(db_store *store, sqlite3_stmt *statement);
void column_text(sqlite3_stmt *statement, int column, char *out, size_t out_size);

/* A number that the file keeps under a name; 0 where it has none. */
DURE_CHECKED dure_err store_fact(db_store *store, const char *name, uint64_t *out_value);
DURE_CHECKED dure_err store_set_fact(db_store *store, const char *name, uint64_t value);

#define STORE_FACT_LEASE        "longest_lease_ms"
#define STORE_FACT_KEYS_DELETED "keys_deleted_ms"

/*
 * What is known of the gift's key. OK: it was done before, *out_balance is its answer. NOT_FOUND:
 * it is new and may be used. Fails: MISMATCH, TOO_OLD, INVALID (no day where one is asked for),
 * STORAGE.
 */
DURE_CHECKED dure_err store_find_key(db_store *store, const db_gift *gift, uint64_t *out_balance);
DURE_CHECKED dure_err store_add_key(db_store *store, const db_gift *gift, uint64_t balance);

#endif
