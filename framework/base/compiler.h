/* SPDX-License-Identifier: MIT
 *
 * What a compiler can be told, by one name each; nothing where the compiler does not know it.
 */
#ifndef DURE_BASE_COMPILER_H
#define DURE_BASE_COMPILER_H

#include <stddef.h>

#if defined(__GNUC__) || defined(__clang__)
#define DURE_CHECKED  __attribute__((warn_unused_result))
#define DURE_NORETURN __attribute__((noreturn))
#define DURE_UNUSED   __attribute__((unused))
#else
#define DURE_CHECKED
#define DURE_NORETURN
#define DURE_UNUSED
#endif

/* C99's conversions; gcc for Windows takes "printf" to mean those of an older C library. */
#if defined(__clang__)
#define DURE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#elif defined(__GNUC__)
#define DURE_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#else
#define DURE_PRINTF(f, a)
#endif

/* The object of type `type` whose member `member` is *ptr. */
#define DURE_CONTAINER_OF(ptr, type, member)                                                       \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define DURE_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
