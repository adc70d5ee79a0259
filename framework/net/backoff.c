/* SPDX-License-Identifier: MIT
 *
 * The pauses between dials.
 */
#include "net/backoff.h"

void dure_backoff_config_init(dure_backoff_config *config)
{
    *config = (dure_backoff_config){250, 15000, 160, 20};
}

void dure_backoff_init(dure_backoff *backoff, const dure_backoff_config *config)
{
    backoff->config = *config;
    backoff->next_ms = config->first_ms;
}

uint32_t dure_backoff_next(dure_backoff *backoff, uint64_t random)
{
    const dure_backoff_config *config = &backoff->config;
    uint64_t base = backoff->next_ms;
    uint64_t grown = base * config->factor_percent / 100;
    backoff->next_ms = grown < config->max_ms ? (uint32_t)grown : config->max_ms;
    uint64_t spread = base * config->jitter_percent / 100;
    uint64_t pause = base - spread + random % (2 * spread + 1);
    return pause < config->max_ms ? (uint32_t)pause : config->max_ms;
}

void dure_backoff_reset(dure_backoff *backoff)
{
    backoff->next_ms = backoff->config.first_ms;
}
