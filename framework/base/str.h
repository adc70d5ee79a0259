/* SPDX-License-Identifier: MIT
 *
 * Views of bytes and of text that somebody else owns. A dure_str need not end with a zero.
 */
#ifndef DURE_BASE_STR_H
#define DURE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct dure_slice {
    const uint8_t *data;
    size_t len;
} dure_slice;

typedef struct dure_str {
    const char *data;
    size_t len;
} dure_str;

/* A view of a zero-terminated string; NULL is the empty one. */
static inline dure_str dure_str_of(const char *text)
{
    dure_str str = {text, text != NULL ? strlen(text) : 0};
    return str;
}

/* Whether both hold the same bytes. */
static inline bool dure_str_equal(dure_str a, dure_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* For printf("%.*s", DURE_STR_ARG(str)). */
#define DURE_STR_ARG(str) (int)(str).len, ((str).data != NULL ? (str).data : "")

#endif
