/* SPDX-License-Identifier: MIT
 *
 * Assertions are for our own mistakes; errors are for the world's. DURE_ASSERT stays on in release
 * builds: a node that stops is replaced, a node that lies is not.
 */
#ifndef DURE_BASE_ASSERT_H
#define DURE_BASE_ASSERT_H

#include "base/compiler.h"

#define DURE_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : dure_assert_failed(#condition, __FILE__, __LINE__))

/* Programs outside this tree may leave DURE_DEBUG undefined. */
#if defined(DURE_DEBUG) && DURE_DEBUG
#define DURE_DEBUG_ASSERT(condition) DURE_ASSERT(condition)
#else
#define DURE_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

#define DURE_UNREACHABLE() dure_assert_failed("this cannot be reached", __FILE__, __LINE__)

/*
 * Lets the logs write what they hold, prints the condition and its place on stderr, and aborts;
 * within two seconds (DURE_LOG_WRITER_LAST_WORDS_MS, twice) where nobody reads stderr.
 * Thread: any.
 */
DURE_NORETURN void dure_assert_failed(const char *condition, const char *file, int line);

#endif
