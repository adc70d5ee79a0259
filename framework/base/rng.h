/* SPDX-License-Identifier: MIT
 *
 * A seeded generator (xoshiro256**, Blackman and Vigna 2018) for jitter and choices. It draws no
 * entropy of its own and is no source of secrets: those come from dure_iocp_core_entropy.
 */
#ifndef DURE_BASE_RNG_H
#define DURE_BASE_RNG_H

#include <stdint.h>

typedef struct dure_rng {
    uint64_t _state[4];
} dure_rng;

/* The same seed gives the same numbers on every platform. */
void dure_rng_init(dure_rng *rng, uint64_t seed);

/* 64 bits. */
uint64_t dure_rng_next(dure_rng *rng);

/* A number from 0 to below - 1, every one as likely; 0 when below is 0. */
uint64_t dure_rng_below(dure_rng *rng, uint64_t below);

#endif
