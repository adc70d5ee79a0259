/* SPDX-License-Identifier: MIT
 *
 * The back ends of a Windows build.
 */
#include "iocp/backend.h"
#include "iocp/backends.h"

const dure_iocp_backend *dure_iocp_backend_find(dure_backend_choice choice)
{
    switch (choice) {
    case DURE_BACKEND_SIM:
        return &dure_iocp_backend_sim;
    case DURE_BACKEND_WIN32:
        return &dure_iocp_backend_win32;
    case DURE_BACKEND_AUTO:
    case DURE_BACKEND_LIGHT:
    case DURE_BACKEND_EPOLL:
    case DURE_BACKEND_URING:
        break;
    }
    return NULL;
}
