/* SPDX-License-Identifier: MIT
 *
 * Growing pauses with jitter, in whole milliseconds.
 */
#include "net/backoff.h"

#include "base/assert.h"

void dure_backoff_config_init(dure_backoff_config *config)
{
    *config = (dure_backoff_config){
        .first_ms = 250, .max_ms = 15000, .factor_percent = 160, .jitter_percent = 20};
}

void dure_backoff_init(dure_backoff *backoff, const dure_backoff_config *config)
{
    DURE_ASSERT(config->jitter_percent <= 100);
    DURE_ASSERT(config->factor_percent >= 100);
    backoff->config = *config;
    dure_backoff_reset(backoff);
}

uint32_t dure_backoff_next(dure_backoff *backoff, uint64_t random)
{
    const dure_backoff_config *config = &backoff->config;
    uint64_t base = backoff->next_ms;
    uint64_t spread = base * config->jitter_percent / 100;
    uint64_t delay = base - spread + random % (2 * spread + 1);
    uint64_t next = base * config->factor_percent / 100;
    backoff->next_ms = next < config->max_ms ? (uint32_t)next : config->max_ms;
    return delay < config->max_ms ? (uint32_t)delay : config->max_ms;
}

void dure_backoff_reset(dure_backoff *backoff)
{
    const dure_backoff_config *config = &backoff->config;
    backoff->next_ms = config->first_ms < config->max_ms ? config->first_ms : config->max_ms;
}
