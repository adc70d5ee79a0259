/* SPDX-License-Identifier: MIT
 *
 * The checks that tests are written with, over CUnit. They print both values, so that a failure
 * in a log can be understood without running the test again.
 */
#ifndef DURE_TESTS_SUPPORT_CHECK_H
#define DURE_TESTS_SUPPORT_CHECK_H

#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

typedef struct dure_test_case {
    const char *name;
    void (*run)(void);
} dure_test_case;

/* DURE_SUITE(net_session, DURE_TEST(a_fact), DURE_TEST(another)); last in its file. */
#define DURE_TEST(fn)                                                                              \
    {                                                                                              \
#fn, fn                                                                                    \
    }
#define DURE_SUITE(name, ...)                                                                      \
    extern const dure_test_case suite_##name[];                                                    \
    const dure_test_case suite_##name[] = {__VA_ARGS__, {NULL, NULL}}

#define DURE_CHECK(condition)                                                                      \
    do {                                                                                           \
        CU_assertImplementation((condition) ? CU_TRUE : CU_FALSE, __LINE__, #condition, __FILE__,  \
                                "", CU_FALSE);                                                     \
    } while (0)

/* As DURE_CHECK, and ends the test: for what the rest of the test cannot go on without. */
#define DURE_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        CU_assertImplementation((condition) ? CU_TRUE : CU_FALSE, __LINE__, #condition, __FILE__,  \
                                "", CU_TRUE);                                                      \
    } while (0)

#define DURE_CHECK_EQ(a, b)                                                                        \
    do {                                                                                           \
        long long check_a_ = (long long)(a);                                                       \
        long long check_b_ = (long long)(b);                                                       \
        char check_text_[640];                                                                     \
        (void)snprintf(check_text_, sizeof check_text_, "%.150s == %.150s (%lld, %lld)", #a, #b,   \
                       check_a_, check_b_);                                                        \
        CU_assertImplementation(check_a_ == check_b_ ? CU_TRUE : CU_FALSE, __LINE__, check_text_,  \
                                __FILE__, "", CU_FALSE);                                           \
    } while (0)

#define DURE_CHECK_ERR(a, b)                                                                       \
    do {                                                                                           \
        dure_err check_a_ = (a);                                                                   \
        dure_err check_b_ = (b);                                                                   \
        char check_text_[640];                                                                     \
        (void)snprintf(check_text_, sizeof check_text_, "%.150s == %.150s (%s, %s)", #a, #b,       \
                       dure_err_name(check_a_), dure_err_name(check_b_));                          \
        CU_assertImplementation(check_a_ == check_b_ ? CU_TRUE : CU_FALSE, __LINE__, check_text_,  \
                                __FILE__, "", CU_FALSE);                                           \
    } while (0)

#define DURE_CHECK_OK(a) DURE_CHECK_ERR(a, DURE_OK)

#define DURE_REQUIRE_OK(a)                                                                         \
    do {                                                                                           \
        dure_err check_a_ = (a);                                                                   \
        char check_text_[640];                                                                     \
        (void)snprintf(check_text_, sizeof check_text_, "%.150s is OK (%s)", #a,                   \
                       dure_err_name(check_a_));                                                   \
        CU_assertImplementation(check_a_ == DURE_OK ? CU_TRUE : CU_FALSE, __LINE__, check_text_,   \
                                __FILE__, "", CU_TRUE);                                            \
    } while (0)

#define DURE_CHECK_STR(a, b)                                                                       \
    do {                                                                                           \
        const char *check_a_ = (a);                                                                \
        const char *check_b_ = (b);                                                                \
        char check_text_[640];                                                                     \
        (void)snprintf(check_text_, sizeof check_text_,                                            \
                       "%.150s == %.150s (\"%.150s\", \"%.150s\")", #a, #b,                        \
                       check_a_ ? check_a_ : "NULL", check_b_ ? check_b_ : "NULL");                \
        CU_assertImplementation(                                                                   \
            (check_a_ && check_b_ && strcmp(check_a_, check_b_) == 0) ? CU_TRUE : CU_FALSE,        \
            __LINE__, check_text_, __FILE__, "", CU_FALSE);                                        \
    } while (0)

#define DURE_CHECK_BYTES(a, a_len, b, b_len)                                                       \
    DURE_CHECK((a_len) == (b_len) && ((b_len) == 0 || memcmp((a), (b), (b_len)) == 0))

#endif
