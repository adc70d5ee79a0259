/* SPDX-License-Identifier: MIT
 *
 * Lines that are bad but carry everything: pieces of one byte, so that every boundary within a
 * handshake and a call is met, and a tenth of a second each way.
 */
#include "clusters.h"
#include "harness/harness.h"
#include "support/check.h"

static void make_all_bad(dure_harness *h, const char *fault)
{
    dure_harness_link_fault(h, "gateway-1", "game-1", fault);
    dure_harness_link_fault(h, "game-1", "db-1", fault);
    dure_harness_client_fault(h, "gateway-1", fault);
}

/* Handshakes, a login and calls, each over three bad lines. */
static void play(dure_harness *h, uint64_t least_ms)
{
    dure_harness_start(h, "db-1");
    dure_harness_start(h, "game-1");
    dure_harness_start(h, "gateway-1");
    dure_harness_wait_linked(h, 15000);
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_client *bob = dure_harness_login(h, "gateway-1", "bob");
    uint64_t start_ms = dure_harness_now_ms();
    dure_harness_expect(ada, "give", "[\"bob\",\"gold\",30,\"gift-1\"]", "{\"balance\":70}");
    DURE_CHECK(dure_harness_now_ms() - start_ms >= least_ms);
    dure_harness_expect(ada, "chat", "[\"hello\"]", "1");
    DURE_CHECK_STR(dure_harness_wait_notification(bob, "chat", 10000), "[\"ada\",\"hello\"]");
    dure_harness_expect(bob, "inventory", "[]", "{\"gold\":130}");
    DURE_CHECK_EQ(dure_harness_log_lines(h, "gateway-1", "event=LINK_DOWN"), 0);
    DURE_CHECK_EQ(dure_harness_log_lines(h, "game-1", "event=LINK_DOWN"), 0);
}

static void in_single_bytes(dure_harness *h, void *ctx)
{
    (void)ctx;
    make_all_bad(h, "split 1");
    play(h, 0);
}

static void a_cluster_works_in_pieces_of_one_byte(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .starts_nothing = true};
    DURE_CHECK_EQ(dure_harness_run(&config, in_single_bytes, NULL), 0);
}

static void in_merged_pieces(dure_harness *h, void *ctx)
{
    (void)ctx;
    make_all_bad(h, "merge 30");
    play(h, 0);
}

static void a_cluster_works_in_merged_pieces(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .starts_nothing = true};
    DURE_CHECK_EQ(dure_harness_run(&config, in_merged_pieces, NULL), 0);
}

static void with_a_delay(dure_harness *h, void *ctx)
{
    (void)ctx;
    make_all_bad(h, "delay 100");
    play(h, 600); /* there and back over three lines */
}

static void a_cluster_works_with_a_tenth_of_a_second_each_way(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE(""), .starts_nothing = true};
    DURE_CHECK_EQ(dure_harness_run(&config, with_a_delay, NULL), 0);
}

DURE_SUITE(faults_lines, DURE_TEST(a_cluster_works_in_pieces_of_one_byte),
           DURE_TEST(a_cluster_works_in_merged_pieces),
           DURE_TEST(a_cluster_works_with_a_tenth_of_a_second_each_way));
