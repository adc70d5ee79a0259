/* SPDX-License-Identifier: MIT
 *
 * The golden frames of tests/golden/ as rows, for the suites that run decoders against them.
 */
#ifndef DURE_TESTS_WIRE_GOLDEN_H
#define DURE_TESTS_WIRE_GOLDEN_H

#include <cjson/cJSON.h>

#include "base/str.h"

#define GOLDEN_BYTES_MAX 4096

/* Called for each row with its bytes, which are heap memory of exactly that size, so that the
 * address sanitizer sees a read past them. */
typedef void (*golden_fn)(const cJSON *row, dure_slice bytes);

/* Runs fn on each row of a file of tests/golden/ and returns how many there were. */
size_t golden_each(const char *file, const char *list, golden_fn fn);

/* Whether one MessagePack object is what the golden notation says. */
bool golden_value_is(dure_slice object, const cJSON *value);

const char *golden_text(const cJSON *row, const char *key);
uint64_t golden_number(const cJSON *row, const char *key);
/* The number of the error a row names; 0 for a row that is good. */
int golden_error(const cJSON *row);

#endif
