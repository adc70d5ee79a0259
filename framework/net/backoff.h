/* SPDX-License-Identifier: MIT
 *
 * The pauses between dials: first_ms, times factor each time, each spread by +-jitter, never above
 * max_ms. Pure: the random number is given, so a test is a table.
 */
#ifndef DURE_NET_BACKOFF_H
#define DURE_NET_BACKOFF_H

#include <stdint.h>

typedef struct dure_backoff_config {
    uint32_t first_ms;
    uint32_t max_ms;
    uint32_t factor_percent; /* 160: times 1.6 */
    uint32_t jitter_percent; /* 20: from 0.8 to 1.2 */
} dure_backoff_config;

typedef struct dure_backoff {
    dure_backoff_config config;
    uint32_t next_ms;
} dure_backoff;

/* 250, 15,000, 160, 20. */
void dure_backoff_config_init(dure_backoff_config *config);

/* Begins with the first pause. */
void dure_backoff_init(dure_backoff *backoff, const dure_backoff_config *config);

/* The next pause in milliseconds, from 64 random bits. */
uint32_t dure_backoff_next(dure_backoff *backoff, uint64_t random);

/* Back to the first pause. */
void dure_backoff_reset(dure_backoff *backoff);

#endif
