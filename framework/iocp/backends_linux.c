/* SPDX-License-Identifier: MIT
 *
 * The back ends of a Linux build.
 */
#include "iocp/backend.h"
#include "iocp/backends.h"

const dure_iocp_backend *dure_iocp_backend_find(dure_backend_choice choice)
{
    switch (choice) {
    case DURE_BACKEND_EPOLL:
        return &dure_iocp_backend_epoll;
    case DURE_BACKEND_SIM:
        return &dure_iocp_backend_sim;
    case DURE_BACKEND_URING:
        return &dure_iocp_backend_uring;
    case DURE_BACKEND_AUTO:
    case DURE_BACKEND_LIGHT:
    case DURE_BACKEND_WIN32:
        break;
    }
    return NULL;
}
