/* SPDX-License-Identifier: MIT
 *
 * The pauses between dials, as a table: the random numbers are given.
 */
#include "net/backoff.h"
#include "support/check.h"

static void pauses_grow_to_the_most_and_start_again(void)
{
    dure_backoff_config config;
    dure_backoff backoff;
    dure_backoff_config_init(&config);
    config.jitter_percent = 0;
    dure_backoff_init(&backoff, &config);
    static const uint32_t expected[] = {250,  400,  640,   1024,  1638, 2620,
                                        4192, 6707, 10731, 15000, 15000};
    for (size_t i = 0; i < DURE_COUNT_OF(expected); i++) {
        DURE_CHECK_EQ(dure_backoff_next(&backoff, i), expected[i]);
    }
    dure_backoff_reset(&backoff);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 7), 250);
}

static void jitter_spreads_to_both_sides(void)
{
    dure_backoff_config config;
    dure_backoff backoff;
    dure_backoff_config_init(&config);
    dure_backoff_init(&backoff, &config);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 0), 200); /* 250 less 20 % */
    dure_backoff_reset(&backoff);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 50), 250);
    dure_backoff_reset(&backoff);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 100), 300);
    dure_backoff_reset(&backoff);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 101), 200);
}

static void jitter_never_passes_the_most(void)
{
    dure_backoff_config config = {
        .first_ms = 1000, .max_ms = 1000, .factor_percent = 200, .jitter_percent = 50};
    dure_backoff backoff;
    dure_backoff_init(&backoff, &config);
    for (uint64_t random = 0; random < 1001; random++) {
        uint32_t pause = dure_backoff_next(&backoff, random);
        DURE_CHECK(pause >= 500);
        DURE_CHECK(pause <= 1000);
    }
}

static void a_first_pause_above_the_most_is_the_most(void)
{
    dure_backoff_config config = {.first_ms = 90, .max_ms = 30, .factor_percent = 100};
    dure_backoff backoff;
    dure_backoff_init(&backoff, &config);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 3), 30);
    DURE_CHECK_EQ(dure_backoff_next(&backoff, 4), 30);
}

DURE_SUITE(net_backoff, DURE_TEST(pauses_grow_to_the_most_and_start_again),
           DURE_TEST(jitter_spreads_to_both_sides), DURE_TEST(jitter_never_passes_the_most),
           DURE_TEST(a_first_pause_above_the_most_is_the_most));
