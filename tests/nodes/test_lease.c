/* SPDX-License-Identifier: MIT
 *
 * Leases: what the db node takes for over was over at the game node before, whatever was stopped,
 * restarted or late.
 */
#include "nodes/db/lease.h"
#include "nodes/game/lease.h"
#include "support/check.h"

#define LEASE 1000u

static void a_lease_lasts_longer_for_who_grants_it(void)
{
    db_leases leases;
    game_lease held = {.life = 1, .lease_ms = LEASE};
    DURE_REQUIRE_OK(db_leases_init(&leases, 4, LEASE, LEASE, 0));
    DURE_CHECK(!game_lease_lasts(&held, 5000));
    /* asked at 5000, granted at 5300 */
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 1, 5300));
    game_lease_grant(&held, 5000, LEASE);
    DURE_CHECK(game_lease_lasts(&held, 5999));
    DURE_CHECK(!game_lease_lasts(&held, 6000));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 6399));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 6400));
    db_leases_fini(&leases);
}

static void an_answer_that_comes_after_a_pause_grants_nothing(void)
{
    game_lease held = {.life = 1, .lease_ms = LEASE};
    game_lease_grant(&held, 5000, LEASE);
    DURE_CHECK(!game_lease_lasts(&held, 9000));
    game_lease_grant(&held, 4000, LEASE); /* an older one takes nothing away either */
    DURE_CHECK(game_lease_lasts(&held, 5500));
}

static void a_lease_is_asked_for_four_times_while_it_lasts(void)
{
    game_lease held = {.life = 1, .lease_ms = LEASE, .asked_ms = 5000};
    DURE_CHECK(!game_lease_is_due(&held, 5249));
    DURE_CHECK(game_lease_is_due(&held, 5250));
    held.is_asking = true;
    DURE_CHECK(!game_lease_is_due(&held, 5250));
}

static void a_new_life_says_nothing_for_the_one_before(void)
{
    db_leases leases;
    DURE_REQUIRE_OK(db_leases_init(&leases, 4, LEASE, LEASE, 0));
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 1, 5000));
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 2, 5500));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 6099));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 6100));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 2, 6599));
    /* A life between that has let go does not shorten it. */
    db_lease_end(&leases, "game-1", 2);
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 3, 5600));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 6099));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 6100));
    db_leases_fini(&leases);
}

static void a_lease_that_was_given_back_is_over_at_once(void)
{
    db_leases leases;
    DURE_REQUIRE_OK(db_leases_init(&leases, 4, LEASE, LEASE, 0));
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 1, 5000));
    db_lease_end(&leases, "game-1", 7); /* of another life */
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 5001));
    db_lease_end(&leases, "game-1", 1);
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 5001));
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 2, 5002));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 5003));
    db_leases_fini(&leases);
}

static void a_db_node_that_was_started_again_waits_for_what_it_does_not_know(void)
{
    db_leases leases;
    DURE_REQUIRE_OK(db_leases_init(&leases, 1, LEASE, LEASE, 5000));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 6099));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, 6100));
    DURE_REQUIRE_OK(db_lease_grant(&leases, "game-1", 2, 5100)); /* not the life asked for */
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, 6099));
    DURE_CHECK_ERR(db_lease_grant(&leases, "game-2", 1, 5100), DURE_ERR_FULL);
    db_leases_fini(&leases);
}

/* db was restarted with a shorter lease: those of before may last longer than any of now. */
static void a_shorter_lease_waits_for_the_longer_ones_of_before(void)
{
    db_leases leases;
    DURE_REQUIRE_OK(db_leases_init(&leases, 4, LEASE, 4 * LEASE, 0));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, LEASE * 2));
    DURE_CHECK(!db_lease_is_over(&leases, "game-1", 1, db_lease_former_end(&leases) - 1));
    DURE_CHECK(db_lease_is_over(&leases, "game-1", 1, db_lease_former_end(&leases)));
    DURE_CHECK_EQ(db_lease_former_end(&leases), 4 * LEASE + 4 * LEASE / 10);
    /* One of now is one of now. */
    DURE_CHECK_OK(db_lease_grant(&leases, "game-2", 1, 0));
    DURE_CHECK(db_lease_is_over(&leases, "game-2", 1, LEASE + LEASE / 10));
    db_leases_fini(&leases);
}

DURE_SUITE(nodes_lease, DURE_TEST(a_lease_lasts_longer_for_who_grants_it),
           DURE_TEST(an_answer_that_comes_after_a_pause_grants_nothing),
           DURE_TEST(a_lease_is_asked_for_four_times_while_it_lasts),
           DURE_TEST(a_new_life_says_nothing_for_the_one_before),
           DURE_TEST(a_lease_that_was_given_back_is_over_at_once),
           DURE_TEST(a_shorter_lease_waits_for_the_longer_ones_of_before),
           DURE_TEST(a_db_node_that_was_started_again_waits_for_what_it_does_not_know));
