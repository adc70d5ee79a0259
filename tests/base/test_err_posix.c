/* SPDX-License-Identifier: MIT
 *
 * What the system says is translated by the table, and nothing falls out of it.
 */
#include <errno.h>

#include "base/err.h"

#include "support/check.h"

static void network_errors_have_names_of_their_own(void)
{
    DURE_CHECK_ERR(dure_err_from_system(ECONNREFUSED), DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_ERR(dure_err_from_system(ECONNRESET), DURE_ERR_RESET);
    DURE_CHECK_ERR(dure_err_from_system(EPIPE), DURE_ERR_RESET);
    DURE_CHECK_ERR(dure_err_from_system(ETIMEDOUT), DURE_ERR_TIMED_OUT);
    DURE_CHECK_ERR(dure_err_from_system(ENETUNREACH), DURE_ERR_UNREACHABLE);
    DURE_CHECK_ERR(dure_err_from_system(EADDRINUSE), DURE_ERR_ADDRESS_IN_USE);
    DURE_CHECK_ERR(dure_err_from_system(EMFILE), DURE_ERR_TOO_MANY_FILES);
    DURE_CHECK_ERR(dure_err_from_system(ECANCELED), DURE_ERR_CANCELLED);
}

static void no_error_is_ok_and_an_unknown_one_is_system(void)
{
    DURE_CHECK_OK(dure_err_from_system(0));
    DURE_CHECK_ERR(dure_err_from_system(ENOTTY), DURE_ERR_SYSTEM);
    DURE_CHECK_ERR(dure_err_from_system(100000), DURE_ERR_SYSTEM);
}

static void only_zero_is_ok(void)
{
    for (int i = 1; i < 200; i++) {
        DURE_CHECK(dure_err_from_system(i) != DURE_OK);
    }
}

DURE_SUITE(base_err_posix, DURE_TEST(network_errors_have_names_of_their_own),
           DURE_TEST(no_error_is_ok_and_an_unknown_one_is_system), DURE_TEST(only_zero_is_ok));
