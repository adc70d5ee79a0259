/* SPDX-License-Identifier: MIT
 *
 * The memory of request keys: its bounds, and what is said of a key that it has forgotten.
 */
#include "base/mem.h"
#include "cluster/request_keys.h"
#include "support/check.h"

static const uint8_t bytes[] = "the body of some request, or an answer";

typedef struct fixture {
    dure_key_table *table;
    dure_key_entry *entry;
    bool is_new;
} fixture;

static void fixture_init(fixture *f, uint32_t per_peer, uint32_t max_bytes)
{
    const dure_key_limits limits = {.keep_ms = 1000, .per_peer = per_peer, .bytes = max_bytes};
    memset(f, 0, sizeof *f);
    DURE_REQUIRE_OK(dure_key_table_create(2, &limits, &f->table));
}

static dure_err begin(fixture *f, uint32_t peer, uint64_t number)
{
    const dure_request_key key = {.origin = 7, .number = number, .callee = 1};
    const dure_key_payload payload = {.method = 3, .subject = 4, .body = {bytes, 8}};
    return dure_key_table_begin(f->table, peer, 7, &key, &payload, &f->entry, &f->is_new);
}

static void run(fixture *f, uint32_t peer, uint64_t number, uint64_t now_ms)
{
    DURE_REQUIRE_OK(begin(f, peer, number));
    DURE_CHECK(f->is_new);
    dure_key_table_answer(f->table, f->entry, (dure_slice){bytes, sizeof bytes}, false, now_ms);
}

static void the_payload_is_method_subject_and_body(void)
{
    fixture f;
    const dure_request_key key = {.origin = 7, .number = 1, .callee = 1};
    const dure_key_payload same = {.method = 3, .subject = 4, .body = {bytes, 8}};
    const dure_key_payload others[] = {{.method = 4, .subject = 4, .body = {bytes, 8}},
                                       {.method = 3, .subject = 5, .body = {bytes, 8}},
                                       {.method = 3, .subject = 4, .body = {bytes, 9}},
                                       {.method = 3, .subject = 4, .body = {bytes + 1, 8}}};
    fixture_init(&f, 10, 100000);
    run(&f, 0, 1, 0);
    DURE_CHECK_OK(dure_key_table_begin(f.table, 0, 7, &key, &same, &f.entry, &f.is_new));
    DURE_CHECK(!f.is_new && f.entry->answer_len == sizeof bytes);
    for (size_t i = 0; i < DURE_COUNT_OF(others); i++) {
        DURE_CHECK_ERR(dure_key_table_begin(f.table, 0, 7, &key, &others[i], &f.entry, &f.is_new),
                       DURE_ERR_MISMATCH);
    }
    DURE_CHECK_OK(begin(&f, 1, 1)); /* another peer's key */
    DURE_CHECK(f.is_new);
    dure_key_table_destroy(f.table);
}

static void the_oldest_of_a_peer_goes_first(void)
{
    fixture f;
    fixture_init(&f, 100, 1000000);
    run(&f, 1, 5, 0);
    for (uint64_t number = 1; number <= 150; number++) {
        run(&f, 0, number, number);
    }
    DURE_CHECK_EQ(dure_key_table_count(f.table, 0), 100);
    DURE_CHECK_EQ(dure_key_table_count(f.table, 1), 1);
    DURE_CHECK_ERR(begin(&f, 0, 50), DURE_ERR_TOO_OLD);
    DURE_CHECK_OK(begin(&f, 0, 51));
    DURE_CHECK(!f.is_new);
    DURE_CHECK_OK(begin(&f, 1, 5));
    DURE_CHECK(!f.is_new);
    dure_key_table_destroy(f.table);
}

static void memory_is_bounded_over_all_peers(void)
{
    fixture f;
    fixture_init(&f, 100000, 65536);
    for (uint64_t number = 1; number <= 5000; number++) {
        run(&f, number % 2 == 0, number, number);
        DURE_CHECK(dure_key_table_bytes(f.table) <= 65536);
    }
    DURE_CHECK(dure_key_table_count(f.table, 0) > 50);
    DURE_CHECK_ERR(begin(&f, 1, 2), DURE_ERR_TOO_OLD);
    dure_key_table_destroy(f.table);
}

static void those_under_way_are_never_forgotten(void)
{
    fixture f;
    fixture_init(&f, 3, 1000000);
    DURE_CHECK_OK(begin(&f, 0, 1));
    DURE_CHECK_OK(begin(&f, 0, 2));
    DURE_CHECK_OK(begin(&f, 0, 3));
    DURE_CHECK_ERR(begin(&f, 0, 4), DURE_ERR_OVERLOADED);
    dure_key_table_answer(f.table, f.entry, (dure_slice){bytes, 1}, false, 0);
    DURE_CHECK_OK(begin(&f, 0, 4));
    DURE_CHECK_ERR(begin(&f, 0, 3), DURE_ERR_TOO_OLD);
    DURE_CHECK_OK(begin(&f, 0, 2)); /* older than one that was forgotten, but there */
    DURE_CHECK(!f.is_new);
    dure_key_table_destroy(f.table);
}

static void time_forgets(void)
{
    fixture f;
    fixture_init(&f, 10, 1000000);
    DURE_CHECK_EQ(dure_key_table_expire(f.table, 5), 0);
    run(&f, 0, 1, 100);
    run(&f, 0, 2, 600);
    DURE_CHECK_EQ(dure_key_table_expire(f.table, 1099), 1);
    DURE_CHECK_EQ(dure_key_table_expire(f.table, 1100), 500);
    DURE_CHECK_ERR(begin(&f, 0, 1), DURE_ERR_TOO_OLD);
    DURE_CHECK_EQ(dure_key_table_expire(f.table, 9000), 0);
    DURE_CHECK_EQ(dure_key_table_count(f.table, 0), 0);
    DURE_CHECK_EQ(dure_key_table_bytes(f.table), 0);
    dure_key_table_destroy(f.table);
}

static void a_key_of_another_process_is_known_or_too_old(void)
{
    fixture f;
    const dure_key_payload payload = {.method = 3, .subject = 4, .body = {bytes, 8}};
    const dure_request_key old = {.origin = 7, .number = 1, .callee = 1};
    const dure_request_key unknown = {.origin = 7, .number = 2, .callee = 1};
    fixture_init(&f, 10, 1000000);
    run(&f, 0, 1, 0);
    DURE_CHECK_OK(dure_key_table_begin(f.table, 0, 8, &old, &payload, &f.entry, &f.is_new));
    DURE_CHECK(!f.is_new);
    DURE_CHECK_ERR(dure_key_table_begin(f.table, 0, 8, &unknown, &payload, &f.entry, &f.is_new),
                   DURE_ERR_TOO_OLD);
    dure_key_table_destroy(f.table);
}

static void what_did_not_happen_is_new_again(void)
{
    fixture f;
    fixture_init(&f, 10, 1000000);
    DURE_CHECK_OK(begin(&f, 0, 1));
    dure_key_table_forget(f.table, f.entry, false);
    DURE_CHECK_OK(begin(&f, 0, 1));
    DURE_CHECK(f.is_new);
    dure_key_table_forget(f.table, f.entry, true);
    DURE_CHECK_ERR(begin(&f, 0, 1), DURE_ERR_TOO_OLD);
    dure_key_table_destroy(f.table);
}

static void without_memory_a_key_does_not_run_twice(void)
{
    fixture f;
    fixture_init(&f, 10, 1000000);
    DURE_CHECK_OK(begin(&f, 0, 1));
    dure_mem_fail_nth(1);
    dure_key_table_answer(f.table, f.entry, (dure_slice){bytes, 8}, false, 0);
    dure_mem_fail_nth(0);
    DURE_CHECK_ERR(begin(&f, 0, 1), DURE_ERR_TOO_OLD);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(begin(&f, 0, 2), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK_OK(begin(&f, 0, 2));
    DURE_CHECK(f.is_new);
    dure_key_table_destroy(f.table);
}

/* Another process of the peer counts its keys from 1 again. */
static void a_new_process_of_a_peer_begins_anew(void)
{
    fixture f;
    const dure_request_key key = {.origin = 8, .number = 1, .callee = 1};
    const dure_key_payload payload = {.method = 3, .subject = 4, .body = {bytes, 8}};
    fixture_init(&f, 1, 100000);
    run(&f, 0, 50, 0);
    run(&f, 0, 51, 0);
    DURE_CHECK_ERR(begin(&f, 0, 50), DURE_ERR_TOO_OLD); /* forgotten for the sake of the other */
    DURE_CHECK_OK(dure_key_table_begin(f.table, 0, 8, &key, &payload, &f.entry, &f.is_new));
    DURE_CHECK(f.is_new);
    dure_key_table_destroy(f.table);
}

DURE_SUITE(cluster_request_keys, DURE_TEST(a_new_process_of_a_peer_begins_anew),
           DURE_TEST(the_payload_is_method_subject_and_body),
           DURE_TEST(the_oldest_of_a_peer_goes_first), DURE_TEST(memory_is_bounded_over_all_peers),
           DURE_TEST(those_under_way_are_never_forgotten), DURE_TEST(time_forgets),
           DURE_TEST(a_key_of_another_process_is_known_or_too_old),
           DURE_TEST(what_did_not_happen_is_new_again),
           DURE_TEST(without_memory_a_key_does_not_run_twice));
