/* SPDX-License-Identifier: MIT
 *
 * The db node's file on a bad day: a full disk undoes and recovers, a broken one is told from it,
 * and a file that is damaged, locked or from elsewhere is refused as it was, to the byte.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "base/file.h"
#include "fault_vfs.h"
#include "nodes/db/store.h"
#include "support/check.h"

#define FILE_BYTES_MAX (4u << 20)

typedef struct faults {
    char folder[256];
    char path[300];
    char wal[310];
    db_store *store;
} faults;

static fault_disk *the_disk(void)
{
    static fault_disk disk;
    if (sqlite3_vfs_find("fault") == NULL) {
        fault_vfs_register(&disk);
    }
    return &disk;
}

static void disk_is(int write_result, int sync_result, int good_writes)
{
    fault_disk *disk = the_disk();
    atomic_store(&disk->good_writes, good_writes);
    atomic_store(&disk->sync_result, sync_result);
    atomic_store(&disk->write_result, write_result);
}

static void faults_reopen(faults *f)
{
    char why[512] = "";
    db_store_close(f->store);
    f->store = NULL;
    DURE_REQUIRE_OK(db_store_open(f->path, &f->store, why, sizeof why));
}

static void faults_open(faults *f)
{
    disk_is(SQLITE_OK, SQLITE_OK, 0);
    memset(f, 0, sizeof *f);
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-store-", f->folder, sizeof f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/dure.sqlite", f->folder);
    (void)snprintf(f->wal, sizeof f->wal, "%s-wal", f->path);
    faults_reopen(f);
}

static void faults_close(faults *f)
{
    disk_is(SQLITE_OK, SQLITE_OK, 0);
    db_store_close(f->store);
    DURE_CHECK_OK(dure_file_remove_folder(f->folder));
}

static dure_err log_in(db_store *store, const char *player, bool *out_created)
{
    db_place place;
    db_session session = {.gateway = "gateway-1", .client = 1};
    db_session old;
    db_owner owner;
    return db_store_login(store, dure_str_of(player), &session, &place, &old, &owner, out_created);
}

/* A login in a transaction of its own, as a batch does it. */
static dure_err committed_login(faults *f, const char *player, bool *out_created)
{
    dure_err err = db_store_begin(f->store);
    if (err == DURE_OK) {
        err = db_store_savepoint(f->store);
    }
    if (err == DURE_OK) {
        err = log_in(f->store, player, out_created);
    }
    if (err == DURE_OK) {
        err = db_store_end_savepoint(f->store, true);
    }
    if (err == DURE_OK) {
        return db_store_commit(f->store);
    }
    db_store_rollback(f->store);
    return err;
}

static void a_full_disk_is_named_and_recovers(void)
{
    faults f;
    bool created = false;
    faults_open(&f);
    DURE_CHECK_OK(committed_login(&f, "ada", &created));
    disk_is(SQLITE_FULL, SQLITE_OK, 0);
    DURE_CHECK_ERR(committed_login(&f, "bob", &created), DURE_ERR_STORAGE);
    DURE_CHECK_STR(db_store_error(f.store), "the disk is full");
    DURE_CHECK(!db_store_is_broken(f.store));
    DURE_CHECK(!db_store_is_in_transaction(f.store));
    disk_is(SQLITE_OK, SQLITE_OK, 0);
    DURE_CHECK_OK(committed_login(&f, "bob", &created));
    DURE_CHECK(created); /* nothing of the one that failed is there */
    faults_reopen(&f);
    DURE_CHECK_OK(committed_login(&f, "ada", &created));
    DURE_CHECK(!created);
    faults_close(&f);
}

static void what_fails_at_any_write_is_there_wholly_or_not_at_all(void)
{
    unsigned failures = 0;
    for (int good = 0; good < 12; good++) {
        faults f;
        bool created = false;
        faults_open(&f);
        disk_is(SQLITE_FULL, SQLITE_OK, good);
        dure_err err = committed_login(&f, "ada", &created);
        failures += err != DURE_OK ? 1 : 0;
        disk_is(SQLITE_OK, SQLITE_OK, 0);
        faults_reopen(&f);
        DURE_CHECK_OK(committed_login(&f, "ada", &created));
        DURE_CHECK_EQ(created, err != DURE_OK);
        faults_close(&f);
    }
    DURE_CHECK(failures > 2 && failures < 12);
}

static void a_broken_disk_is_not_taken_for_a_full_one(void)
{
    static const struct {
        int write_result;
        int sync_result;
    } rows[] = {{SQLITE_IOERR_WRITE, SQLITE_OK}, {SQLITE_OK, SQLITE_IOERR_FSYNC}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        faults f;
        bool created = false;
        faults_open(&f);
        disk_is(rows[i].write_result, rows[i].sync_result, 0);
        DURE_CHECK_ERR(committed_login(&f, "ada", &created), DURE_ERR_STORAGE);
        DURE_CHECK(db_store_is_broken(f.store));
        disk_is(SQLITE_OK, SQLITE_OK, 0);
        DURE_CHECK(db_store_is_broken(f.store)); /* for good: what is on disk is not known */
        faults_close(&f);
    }
}

/* ---- files that are refused ---- */

static void read_whole(const char *path, dure_buf *out)
{
    dure_buf_init(out, FILE_BYTES_MAX);
    if (dure_file_exists(path)) {
        DURE_REQUIRE_OK(dure_file_read(path, out));
    }
}

static void check_same(const char *path, bool was_there, const dure_buf *before)
{
    dure_buf now;
    read_whole(path, &now);
    DURE_CHECK_EQ(dure_file_exists(path), was_there);
    DURE_CHECK_BYTES(now.data, now.len, before->data, before->len);
    dure_buf_fini(&now);
}

/* The file and its -wal are as they were, and the reason names the file and `reason`. */
static void check_refused(faults *f, const char *reason)
{
    char why[512] = "";
    db_store *store = NULL;
    dure_buf file;
    dure_buf wal;
    bool has_wal = dure_file_exists(f->wal);
    read_whole(f->path, &file);
    read_whole(f->wal, &wal);
    DURE_CHECK_ERR(db_store_open(f->path, &store, why, sizeof why), DURE_ERR_STORAGE);
    DURE_CHECK(strstr(why, f->path) != NULL);
    DURE_CHECK(strstr(why, reason) != NULL);
    check_same(f->path, true, &file);
    check_same(f->wal, has_wal, &wal);
    dure_buf_fini(&file);
    dure_buf_fini(&wal);
}

static void write_whole(const char *path, const dure_buf *bytes)
{
    DURE_REQUIRE_OK(dure_file_write(path, bytes->data, bytes->len, DURE_FILE_OWNER_ONLY));
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    DURE_REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    DURE_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    (void)sqlite3_close(db);
}

/* As after a kill: the file without its last commits, and the -wal that has them. */
static void leave_as_after_a_kill(faults *f, const char *sql)
{
    sqlite3 *db = NULL;
    dure_buf file;
    dure_buf wal;
    db_store_close(f->store);
    f->store = NULL;
    DURE_REQUIRE(sqlite3_open(f->path, &db) == SQLITE_OK);
    DURE_CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    read_whole(f->path, &file);
    read_whole(f->wal, &wal);
    DURE_CHECK(wal.len > 0);
    (void)sqlite3_close(db);
    write_whole(f->path, &file);
    write_whole(f->wal, &wal);
    dure_buf_fini(&file);
    dure_buf_fini(&wal);
}

static void a_newer_schema_is_refused_also_in_the_wal(void)
{
    faults f;
    faults_open(&f);
    leave_as_after_a_kill(&f, "PRAGMA user_version = 99");
    check_refused(&f, "newer version");
    check_refused(&f, "schema 99"); /* and a second look finds the same */
    faults_close(&f);
}

static void what_a_kill_left_in_the_wal_is_found(void)
{
    faults f;
    bool created = false;
    faults_open(&f);
    DURE_CHECK_OK(committed_login(&f, "ada", &created));
    leave_as_after_a_kill(&f, "UPDATE players SET room = 'arena'");
    faults_reopen(&f);
    DURE_CHECK_OK(committed_login(&f, "ada", &created));
    DURE_CHECK(!created);
    faults_close(&f);
}

static void another_programs_file_is_refused(void)
{
    faults f;
    faults_open(&f);
    db_store_close(f.store);
    f.store = NULL;
    DURE_CHECK_OK(dure_file_remove(f.path));
    run_sql(f.path, "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')");
    check_refused(&f, "another program (application id 0)");
    run_sql(f.path, "PRAGMA application_id = 5");
    check_refused(&f, "another program (application id 5)");
    faults_close(&f);
}

static void a_damaged_file_is_refused(void)
{
    static const struct {
        size_t keep; /* bytes of the file, 0: all */
        size_t at;   /* where it is overwritten */
        const char *reason;
    } rows[] = {{50, 0, "not a database"},
                {5000, 0, "damaged"},
                {0, 4096, "damaged"},
                {0, 8192, "damaged"},
                {0, 100, "damaged"}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        faults f;
        bool created = false;
        dure_buf file;
        faults_open(&f);
        DURE_CHECK_OK(committed_login(&f, "ada", &created));
        db_store_close(f.store);
        f.store = NULL;
        read_whole(f.path, &file);
        DURE_REQUIRE(file.len >= 12288);
        if (rows[i].at > 0) {
            memset(file.data + rows[i].at, 0x5a, 64);
        }
        DURE_REQUIRE_OK(dure_file_write(
            f.path, file.data, rows[i].keep > 0 ? rows[i].keep : file.len, DURE_FILE_OWNER_ONLY));
        check_refused(&f, rows[i].reason);
        dure_buf_fini(&file);
        faults_close(&f);
    }
}

static void a_locked_file_is_refused(void)
{
    static const char *const locks[] = {"BEGIN IMMEDIATE",
                                        "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE"};
    for (size_t i = 0; i < DURE_COUNT_OF(locks); i++) {
        faults f;
        sqlite3 *other = NULL;
        faults_open(&f);
        db_store_close(f.store);
        f.store = NULL;
        DURE_REQUIRE(sqlite3_open(f.path, &other) == SQLITE_OK);
        DURE_REQUIRE(sqlite3_exec(other, locks[i], NULL, NULL, NULL) == SQLITE_OK);
        check_refused(&f, "another program has locked it");
        (void)sqlite3_close(other);
        faults_reopen(&f);
        faults_close(&f);
    }
}

DURE_SUITE(nodes_store_faults, DURE_TEST(a_full_disk_is_named_and_recovers),
           DURE_TEST(what_fails_at_any_write_is_there_wholly_or_not_at_all),
           DURE_TEST(a_broken_disk_is_not_taken_for_a_full_one),
           DURE_TEST(a_newer_schema_is_refused_also_in_the_wal),
           DURE_TEST(what_a_kill_left_in_the_wal_is_found),
           DURE_TEST(another_programs_file_is_refused), DURE_TEST(a_damaged_file_is_refused),
           DURE_TEST(a_locked_file_is_refused));
