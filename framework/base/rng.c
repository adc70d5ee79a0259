/* SPDX-License-Identifier: MIT
 *
 * xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2018).
 */
#include "base/rng.h"

static uint64_t splitmix64(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void dure_rng_init(dure_rng *rng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        rng->_state[i] = splitmix64(&seed);
    }
}

uint64_t dure_rng_next(dure_rng *rng)
{
    uint64_t *s = rng->_state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t dure_rng_below(dure_rng *rng, uint64_t below)
{
    if (below == 0) {
        return 0;
    }
    /* Values under the remainder of 2^64 would make the first numbers likelier. */
    uint64_t threshold = (0 - below) % below;
    uint64_t value;
    do {
        value = dure_rng_next(rng);
    } while (value < threshold);
    return value % below;
}
