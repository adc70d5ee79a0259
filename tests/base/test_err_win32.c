/* SPDX-License-Identifier: MIT
 *
 * What the system says is translated by the table, and nothing falls out of it.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>

#include <windows.h>

#include "base/err.h"

#include "support/check.h"

/* An overlapped operation ends with a code of the system where the same call would have ended with
 * one of Winsock: both have the same name here. */
static void network_errors_have_names_of_their_own(void)
{
    DURE_CHECK_ERR(dure_err_from_system(WSAECONNREFUSED), DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_ERR(dure_err_from_system(ERROR_CONNECTION_REFUSED), DURE_ERR_CONNECT_REFUSED);
    DURE_CHECK_ERR(dure_err_from_system(WSAECONNRESET), DURE_ERR_RESET);
    DURE_CHECK_ERR(dure_err_from_system(ERROR_NETNAME_DELETED), DURE_ERR_RESET);
    DURE_CHECK_ERR(dure_err_from_system(WSAETIMEDOUT), DURE_ERR_TIMED_OUT);
    DURE_CHECK_ERR(dure_err_from_system(ERROR_SEM_TIMEOUT), DURE_ERR_TIMED_OUT);
    DURE_CHECK_ERR(dure_err_from_system(WSAENETUNREACH), DURE_ERR_UNREACHABLE);
    DURE_CHECK_ERR(dure_err_from_system(WSAEADDRINUSE), DURE_ERR_ADDRESS_IN_USE);
    DURE_CHECK_ERR(dure_err_from_system(WSAEMFILE), DURE_ERR_TOO_MANY_FILES);
    DURE_CHECK_ERR(dure_err_from_system(ERROR_OPERATION_ABORTED), DURE_ERR_CANCELLED);
    DURE_CHECK_ERR(dure_err_from_system(ERROR_UNEXP_NET_ERR), DURE_ERR_RESET);
    DURE_CHECK_ERR(dure_err_from_system(676), DURE_ERR_CANCELLED); /* ERROR_HANDLES_CLOSED */
    DURE_CHECK_ERR(dure_err_from_system(ERROR_DISK_FULL), DURE_ERR_STORAGE);
}

static void no_error_is_ok_and_an_unknown_one_is_system(void)
{
    DURE_CHECK_OK(dure_err_from_system(0));
    DURE_CHECK_ERR(dure_err_from_system(ERROR_MR_MID_NOT_FOUND), DURE_ERR_SYSTEM);
    DURE_CHECK_ERR(dure_err_from_system(100000), DURE_ERR_SYSTEM);
}

static void only_zero_is_ok(void)
{
    for (int i = 1; i < 12000; i++) {
        DURE_CHECK(dure_err_from_system(i) != DURE_OK);
    }
}

DURE_SUITE(base_err_win32, DURE_TEST(network_errors_have_names_of_their_own),
           DURE_TEST(no_error_is_ok_and_an_unknown_one_is_system), DURE_TEST(only_zero_is_ok));
