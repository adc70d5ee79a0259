/* SPDX-License-Identifier: MIT
 *
 * How far a connection has got, as Linux counts it. A file of its own because <linux/tcp.h>, whose
 * tcp_info is the kernel's, and <netinet/tcp.h>, whose one ends before tcpi_bytes_acked, cannot be
 * included together.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "iocp/socket_posix.h"

uint64_t dure_socket_fd_acknowledged(int fd)
{
    struct tcp_info info;
    const size_t needed =
        offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    /* A kernel that is older than the field gives a shorter answer. */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || len < needed) {
        return 0;
    }
    return info.tcpi_bytes_acked;
}
