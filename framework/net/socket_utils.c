/* SPDX-License-Identifier: MIT
 *
 * Options of sockets, by way of the core.
 */
#include "net/socket_utils.h"

#include <limits.h>

static dure_err utils_set(dure_iocp_socket *socket, dure_iocp_option option, uint32_t value)
{
    if (value == 0) {
        return DURE_OK; /* what a socket has when it is opened */
    }
    int number = value < (uint32_t)INT_MAX ? (int)value : INT_MAX;
    dure_err err = dure_iocp_socket_set(socket, option, number);
    return err == DURE_ERR_UNSUPPORTED ? DURE_OK : err;
}

dure_err dure_socket_utils_set_up(dure_iocp_socket *socket, uint32_t keepalive_s,
                                  uint32_t user_timeout_ms, uint32_t unsent_bytes)
{
    dure_err err = utils_set(socket, DURE_IOCP_OPTION_KEEPALIVE_S, keepalive_s);
    if (err == DURE_OK) {
        err = utils_set(socket, DURE_IOCP_OPTION_USER_TIMEOUT_MS, user_timeout_ms);
    }
    return err == DURE_OK ? utils_set(socket, DURE_IOCP_OPTION_UNSENT_BYTES, unsent_bytes) : err;
}
