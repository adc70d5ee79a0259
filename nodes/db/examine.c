/* SPDX-License-Identifier: MIT
 *
 * Two walks: through the players, and through what they have.
 */
#include "nodes/db/examine.h"

#include <stdio.h>

#include "nodes/db/store_impl.h"

typedef struct examination {
    db_store *store;
    db_finding_fn fn;
    void *ctx;
} examination;

static dure_str column_str(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return (dure_str){text != NULL ? text : "", (size_t)sqlite3_column_bytes(statement, column)};
}

static void look_at(const examination *e, db_finding_kind kind, dure_str player, dure_str text)
{
    db_finding finding = {.kind = kind, .player = player, .text = text};
    if (!dure_plain_check(text, &finding.fault)) {
        e->fn(e->ctx, &finding);
    }
}

static void look_at_player(const examination *e, sqlite3_stmt *row)
{
    const dure_str player = column_str(row, 0);
    look_at(e, DB_FOUND_PLAYER, player, player);
    look_at(e, DB_FOUND_ROOM, player, column_str(row, 1));
}

static void look_at_item(const examination *e, sqlite3_stmt *row)
{
    const dure_str player = column_str(row, 0);
    const dure_str item = column_str(row, 1);
    look_at(e, DB_FOUND_ITEM, player, item);
    if (sqlite3_column_type(row, 2) != SQLITE_INTEGER) {
        db_finding finding = {.kind = DB_FOUND_COUNT, .player = player, .text = item};
        e->fn(e->ctx, &finding);
    }
}

static dure_err walk(const examination *e, const char *sql,
                     void (*look)(const examination *e, sqlite3_stmt *row))
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(e->store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return store_failed(e->store);
    }
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        look(e, statement);
    }
    dure_err err = code == SQLITE_DONE ? DURE_OK : store_failed(e->store);
    (void)sqlite3_finalize(statement);
    return err;
}

dure_err db_examine(const char *path, db_finding_fn fn, void *ctx, char *why, size_t why_size)
{
    examination e = {.fn = fn, .ctx = ctx};
    dure_err err = store_open_for_reading(path, &e.store, why, why_size);
    if (err != DURE_OK) {
        return err;
    }
    err = walk(&e, "SELECT player, room FROM players ORDER BY player", look_at_player);
    if (err == DURE_OK) {
        err = walk(&e, "SELECT player, item, count FROM items ORDER BY player, item", look_at_item);
    }
    if (err != DURE_OK) {
        (void)snprintf(why, why_size, "%s: %s", path, db_store_error(e.store));
    }
    db_store_close(e.store);
    return err;
}
