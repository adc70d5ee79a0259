/* SPDX-License-Identifier: MIT
 *
 * Bucket b of values below 256 is the value itself; above, the seven bits behind the leading one
 * choose among 128 of their power of two.
 */
#include "tools/histogram.h"

#define SUB_BITS  7u
#define SUB_COUNT (1u << SUB_BITS)

static uint32_t bucket_of(uint64_t value)
{
    uint32_t shift = 0;
    while ((value >> shift) >= 2u * SUB_COUNT) {
        shift++;
    }
    return shift * SUB_COUNT + (uint32_t)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_top(uint32_t bucket)
{
    if (bucket < 2u * SUB_COUNT) {
        return bucket;
    }
    uint32_t shift = bucket / SUB_COUNT - 1;
    uint64_t sub = bucket - shift * SUB_COUNT;
    return (sub << shift) + ((UINT64_C(1) << shift) - 1);
}

void dure_histogram_record(dure_histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

uint64_t dure_histogram_at(const dure_histogram *histogram, uint32_t of_100000)
{
    /* Rounded up: p99.9 of ten values is the largest. */
    uint64_t whole = histogram->total / 100000 * of_100000;
    uint64_t part = (histogram->total % 100000 * of_100000 + 99999) / 100000;
    uint64_t wanted = whole + part;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < DURE_HISTOGRAM_BUCKETS && wanted > 0; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted) {
            uint64_t top = bucket_top(i);
            return top < histogram->max ? top : histogram->max;
        }
    }
    return 0;
}
