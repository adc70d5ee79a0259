/* SPDX-License-Identifier: MIT
 *
 * The generator gives its published numbers, and every choice its share.
 */
#include "base/rng.h"

#include "support/check.h"

static void seed_zero_gives_the_published_numbers(void)
{
    /* xoshiro256** seeded by splitmix64 from 0, as in the reference code and in Rust's rand. */
    static const uint64_t published[] = {UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a),
                                         UINT64_C(0x1a5f849d4933e6e0),
                                         UINT64_C(0x6aa594f1262d2d2c)};
    dure_rng rng;
    dure_rng_init(&rng, 0);
    for (size_t i = 0; i < DURE_COUNT_OF(published); i++) {
        DURE_CHECK(dure_rng_next(&rng) == published[i]);
    }
}

static void below_is_below_and_even(void)
{
    dure_rng rng;
    unsigned seen[7] = {0};
    dure_rng_init(&rng, 3);
    DURE_CHECK_EQ(dure_rng_below(&rng, 0), 0);
    DURE_CHECK_EQ(dure_rng_below(&rng, 1), 0);
    for (int i = 0; i < 70000; i++) {
        uint64_t value = dure_rng_below(&rng, 7);
        DURE_REQUIRE(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++) {
        DURE_CHECK(seen[i] > 9500 && seen[i] < 10500);
    }
}

static void other_seeds_give_other_numbers(void)
{
    dure_rng a, b;
    dure_rng_init(&a, 1);
    dure_rng_init(&b, 2);
    DURE_CHECK(dure_rng_next(&a) != dure_rng_next(&b));
}

DURE_SUITE(base_rng, DURE_TEST(seed_zero_gives_the_published_numbers),
           DURE_TEST(below_is_below_and_even), DURE_TEST(other_seeds_give_other_numbers));
