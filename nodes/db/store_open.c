/* SPDX-License-Identifier: MIT
 *
 * Opening the file: looked at before anything is written, refused with a sentence, or brought to
 * the present schema.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "nodes/db/store_impl.h"

#define STORE_APPLICATION_ID 0x64757265 /* "dure" */
#define STORE_VERSION        3

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
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1685418597;"
    "PRAGMA user_version = 3;"
    "COMMIT;";

/* From version 1, which knew no owners. */
static const char owners_sql[] =
    "BEGIN;"
    "ALTER TABLE players ADD COLUMN node TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE players ADD COLUMN life INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE players ADD COLUMN owner_epoch INTEGER NOT NULL DEFAULT 0;"
    "PRAGMA user_version = 2;"
    "COMMIT;";

/* From version 2, which knew nothing of itself. */
static const char facts_sql[] =
    "BEGIN;"
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 3;"
    "COMMIT;";

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
        return store_exec(store, schema_sql);
    }
    if (err == DURE_OK && version < 2) {
        err = store_exec(store, owners_sql);
    }
    if (err == DURE_OK && version < 3) {
        err = store_exec(store, facts_sql);
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

static void make_private(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[4200];
        if (snprintf(name, sizeof name, "%s%s", path, ends[i]) < (int)sizeof name) {
            dure_file_make_private(name);
        }
    }
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
    make_private(path); /* 0.1 left it to be read by all */
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
    if (err == DURE_OK) {
        err = store_fact(store, STORE_FACT_KEYS_DELETED, &store->keys_deleted_ms);
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

/* path as a URI that says that nobody writes (https://www.sqlite.org/uri.html). False: too long. */
static bool put_immutable_uri(const char *path, char *out, size_t out_size)
{
    static const char digits[] = "0123456789abcdef";
    static const char query[] = "?immutable=1";
    const bool has_drive = path[0] != '\0' && path[1] == ':';
    size_t used = (size_t)snprintf(out, out_size, has_drive ? "file:///" : "file:");
    for (const char *at = path; *at != '\0'; at++) {
        if (used + 4 + sizeof query > out_size) {
            return false;
        }
        const unsigned char c = (unsigned char)(*at == '\\' && has_drive ? '/' : *at);
        if (c == '%' || c == '?' || c == '#') {
            out[used++] = '%';
            out[used++] = digits[c >> 4];
            out[used++] = digits[c & 15];
        } else {
            out[used++] = (char)c;
        }
    }
    memcpy(out + used, query, sizeof query);
    return true;
}

dure_err store_open_for_reading(const char *path, db_store **out_store, char *why, size_t why_size)
{
    char name[8192];
    char wal[4200];
    db_store *store = dure_mem_alloc(sizeof *store);
    if (store == NULL) {
        (void)snprintf(why, why_size, "%s: out of memory", path);
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = store_check_header(store, path);
    if (err == DURE_OK) {
        (void)snprintf(wal, sizeof wal, "%s-wal", path);
        /* What a crash left is read too; without it SQLite would make a -wal and a -shm. */
        if (dure_file_exists(wal) || !put_immutable_uri(path, name, sizeof name)) {
            (void)snprintf(name, sizeof name, "%s", path);
        }
        const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
        err = sqlite3_open_v2(name, &store->db, flags, NULL) == SQLITE_OK ? DURE_OK
                                                                          : store_failed(store);
    }
    int application = 0;
    int version = 0;
    if (err == DURE_OK &&
        (store_pragma_int(store, "PRAGMA user_version", &version) != DURE_OK ||
         store_pragma_int(store, "PRAGMA application_id", &application) != DURE_OK)) {
        err = store_refuse_as_told(store);
    }
    if (err == DURE_OK) {
        err = store_check_identity(store, (uint32_t)application, (uint32_t)version);
    }
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
