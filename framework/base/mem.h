/* SPDX-License-Identifier: MIT
 *
 * The only door to the heap, so that a test can let the n-th allocation fail. A dure_mem is set up
 * once per process or test; NULL stands for plain malloc without a fault plan, which is what
 * programs use.
 */
#ifndef DURE_BASE_MEM_H
#define DURE_BASE_MEM_H

#include <stddef.h>

#include "base/compiler.h"

/*
 * size bytes, zeroed; NULL when there are none.
 * Owned by the caller; ends with dure_mem_free.
 * Thread: any.
 */
void *dure_mem_alloc(size_t size);

/*
 * count * size bytes, zeroed; NULL when there are none or the product overflows.
 * Thread: any.
 */
void *dure_mem_alloc_array(size_t count, size_t size);

/*
 * Grows or shrinks; new bytes are not zeroed; NULL when there are none, and then ptr is untouched.
 * Thread: any.
 */
void *dure_mem_realloc(void *ptr, size_t size);

/*
 * A copy of a string; NULL when there is no memory.
 * Thread: any.
 */
char *dure_mem_strdup(const char *text);

/*
 * Frees what the functions above gave; NULL is fine.
 * Thread: any.
 */
void dure_mem_free(void *ptr);

/*
 * Lets the n-th allocation of this thread from now fail, once (1 is the next; 0 none). For tests.
 * Gives what was left of the n before: 0 where that one has failed, or there was none.
 * Thread: any; it counts for the calling thread only.
 */
size_t dure_mem_fail_nth(size_t n);

#endif
