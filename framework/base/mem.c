/* SPDX-License-Identifier: MIT
 *
 * The heap, with the fault plan of tests. The plan counts per thread, so that a test disturbs
 * nobody else; it is the one mutable variable of the library that no object owns.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local size_t fail_in;

static int mem_is_to_fail(void)
{
    if (fail_in == 0) {
        return 0;
    }
    fail_in--;
    return fail_in == 0;
}

void *dure_mem_alloc(size_t size)
{
    return mem_is_to_fail() ? NULL : calloc(1, size > 0 ? size : 1);
}

void *dure_mem_alloc_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return dure_mem_alloc(count * size);
}

void *dure_mem_realloc(void *ptr, size_t size)
{
    return mem_is_to_fail() ? NULL : realloc(ptr, size > 0 ? size : 1);
}

char *dure_mem_strdup(const char *text)
{
    size_t len = strlen(text);
    char *copy = dure_mem_alloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len + 1);
    }
    return copy;
}

void dure_mem_free(void *ptr)
{
    free(ptr);
}

size_t dure_mem_fail_nth(size_t n)
{
    const size_t left = fail_in;
    fail_in = n;
    return left;
}
