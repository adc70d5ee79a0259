/* SPDX-License-Identifier: MIT
 *
 * Faults as values, and the words they are said in (fault_proxy.h is their manual). Pure: a line
 * and what held before give what holds now.
 */
#ifndef DURE_TESTS_HARNESS_FAULT_WORDS_H
#define DURE_TESTS_HARNESS_FAULT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { FAULT_TO_SERVER, FAULT_TO_CLIENT, FAULT_WAYS };

/* Of one way; zero is no fault. */
typedef struct fault_way {
    bool is_silent;
    uint32_t delay_ms;
    uint32_t merge_ms;
    uint32_t split_bytes;
    uint64_t bytes_per_s;
    uint64_t reset_at;
} fault_way;

typedef struct fault_set {
    bool is_cut;
    fault_way ways[FAULT_WAYS];
} fault_set;

/* What a line asks for beyond the faults that hold from now on. */
typedef enum fault_action { FAULT_NONE, FAULT_CLOSE, FAULT_RESET } fault_action;

#define FAULT_MS_MAX     600000u
#define FAULT_NUMBER_MAX (UINT64_C(1) << 40)

/* Fails: INVALID; faults and *out_action are as they were. */
DURE_CHECKED dure_err fault_parse(const char *line, fault_set *faults, fault_action *out_action);

#endif
