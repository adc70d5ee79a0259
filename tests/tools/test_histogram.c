/* SPDX-License-Identifier: MIT
 *
 * The histogram of the load generator: what is read back is never below, and at most 1 % above.
 */
#include "tools/histogram.h"

#include "support/check.h"

static void nothing_recorded_reads_as_nothing(void)
{
    dure_histogram histogram = {0};
    DURE_CHECK_EQ(dure_histogram_at(&histogram, 50000), 0);
    DURE_CHECK_EQ(dure_histogram_at(&histogram, 100000), 0);
}

static void percentiles_of_a_known_run(void)
{
    dure_histogram histogram = {0};
    for (uint64_t value = 1; value <= 1000; value++) {
        dure_histogram_record(&histogram, value);
    }
    uint64_t p50 = dure_histogram_at(&histogram, 50000);
    uint64_t p99 = dure_histogram_at(&histogram, 99000);
    DURE_CHECK(p50 >= 500);
    DURE_CHECK(p50 <= 505);
    DURE_CHECK(p99 >= 990);
    DURE_CHECK(p99 <= 1000);
    DURE_CHECK_EQ(dure_histogram_at(&histogram, 100000), 1000);
    DURE_CHECK_EQ(dure_histogram_at(&histogram, 1), 1);
    DURE_CHECK_EQ(histogram.total, 1000);
}

static void every_size_keeps_its_precision(void)
{
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;
        for (uint64_t more = 0; more < 3; more++) {
            dure_histogram histogram = {0};
            uint64_t recorded = value + more * (value / 3);
            dure_histogram_record(&histogram, recorded);
            dure_histogram_record(&histogram, UINT64_MAX);
            uint64_t read = dure_histogram_at(&histogram, 50000);
            DURE_CHECK(read >= recorded);
            DURE_CHECK(read - recorded <= recorded / 100);
        }
    }
}

static void p999_of_few_is_the_largest(void)
{
    dure_histogram histogram = {0};
    for (uint64_t value = 1; value <= 10; value++) {
        dure_histogram_record(&histogram, value * 100);
    }
    DURE_CHECK_EQ(dure_histogram_at(&histogram, 99900), 1000);
    DURE_CHECK_EQ(histogram.max, 1000);
}

DURE_SUITE(tools_histogram, DURE_TEST(nothing_recorded_reads_as_nothing),
           DURE_TEST(percentiles_of_a_known_run), DURE_TEST(every_size_keeps_its_precision),
           DURE_TEST(p999_of_few_is_the_largest));
