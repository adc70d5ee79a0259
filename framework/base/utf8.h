/* SPDX-License-Identifier: MIT
 *
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef DURE_BASE_UTF8_H
#define DURE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length of the sequence at the front of len bytes, 1 to 4; 0 when it is not one or not
 * complete, or when len is 0.
 * Thread: any.
 */
size_t dure_utf8_sequence(const uint8_t *data, size_t len);

/*
 * Whether the bytes are UTF-8 from end to end. No bytes are.
 * Thread: any.
 */
bool dure_utf8_is_valid(const void *data, size_t len);

/*
 * The number of code points of bytes that are valid.
 * Thread: any.
 */
size_t dure_utf8_count(const void *data, size_t len);

#endif
