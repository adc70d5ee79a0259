/* SPDX-License-Identifier: MIT
 *
 * The entry of a fuzz driver: libFuzzer calls it with bytes of its own, replay.c with those of a
 * kept corpus. A driver ends the process where a decoder breaks a promise.
 */
#ifndef DURE_TESTS_FUZZ_FUZZ_H
#define DURE_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always 0, as libFuzzer wants it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
