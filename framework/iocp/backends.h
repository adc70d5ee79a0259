/* SPDX-License-Identifier: MIT
 *
 * The back ends by name; which of them a build has is told by backends_<platform>.c.
 */
#ifndef DURE_IOCP_BACKENDS_H
#define DURE_IOCP_BACKENDS_H

#include "iocp/backend.h"

extern const dure_iocp_backend dure_iocp_backend_epoll;
extern const dure_iocp_backend dure_iocp_backend_uring;
extern const dure_iocp_backend dure_iocp_backend_win32;
extern const dure_iocp_backend dure_iocp_backend_sim;

#endif
