/* SPDX-License-Identifier: MIT
 *
 * System sockets on Linux.
 */
#include "iocp/socket_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

/* Between probes after the first, and how many are lost before the connection is. */
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     3

static dure_err set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? DURE_OK
                                                                  : dure_err_from_system(errno);
}

dure_err dure_socket_fd_open(dure_family family, int *out_fd)
{
    int domain = family == DURE_FAMILY_IPV4 ? AF_INET : AF_INET6;
    int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return dure_err_from_system(errno);
    }
    dure_err err = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (err == DURE_OK && domain == AF_INET6) {
        err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (err != DURE_OK) {
        (void)close(fd);
        return err;
    }
    *out_fd = fd;
    return DURE_OK;
}

void dure_socket_fd_set_abort(int fd)
{
    DURE_ASSERT(fd >= 0);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

dure_err dure_socket_fd_bind(int fd, const dure_net_address *address)
{
    dure_sockaddr sockaddr;
    socklen_t len = dure_sockaddr_from(address, &sockaddr);
    /* A port with connections of a killed process in TIME_WAIT is free for its successor. */
    dure_err err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err != DURE_OK) {
        return err;
    }
    return bind(fd, &sockaddr.any, len) == 0 ? DURE_OK : dure_err_from_system(errno);
}

dure_err dure_socket_fd_listen(int fd, uint32_t backlog)
{
    int count = backlog > INT16_MAX ? INT16_MAX : (int)backlog;
    return listen(fd, count) == 0 ? DURE_OK : dure_err_from_system(errno);
}

/* getsockname or getpeername. */
typedef int (*name_fn)(int fd, struct sockaddr *sockaddr, socklen_t *len);

static dure_err address_by(name_fn name, int fd, dure_net_address *out_address)
{
    dure_sockaddr sockaddr;
    socklen_t len = sizeof sockaddr;
    if (name(fd, &sockaddr.any, &len) != 0) {
        return DURE_ERR_STATE;
    }
    return dure_sockaddr_to(&sockaddr, out_address);
}

dure_err dure_socket_fd_local(int fd, dure_net_address *out_address)
{
    dure_net_address address;
    dure_err err = address_by(getsockname, fd, &address);
    if (err == DURE_OK && address.port == 0) {
        err = DURE_ERR_STATE;
    }
    if (err == DURE_OK) {
        *out_address = address;
    }
    return err;
}

dure_err dure_socket_fd_peer(int fd, dure_net_address *out_address)
{
    dure_net_address address;
    dure_err err = address_by(getpeername, fd, &address);
    if (err == DURE_OK) {
        *out_address = address;
    }
    return err;
}

static dure_err set_keepalive(int fd, int seconds)
{
    dure_err err = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
    if (err == DURE_OK && seconds > 0) {
        err = set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    }
    if (err == DURE_OK && seconds > 0) {
        err = set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    }
    if (err == DURE_OK && seconds > 0) {
        err = set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    }
    return err;
}

dure_err dure_socket_fd_set(int fd, dure_iocp_option option, int value)
{
    if (value < 0) {
        return DURE_ERR_INVALID;
    }
    switch (option) {
    case DURE_IOCP_OPTION_NODELAY:
        return set_int(fd, IPPROTO_TCP, TCP_NODELAY, value);
    case DURE_IOCP_OPTION_KEEPALIVE_S:
        return set_keepalive(fd, value);
    case DURE_IOCP_OPTION_SEND_BUFFER:
        return set_int(fd, SOL_SOCKET, SO_SNDBUF, value);
    case DURE_IOCP_OPTION_RECV_BUFFER:
        return set_int(fd, SOL_SOCKET, SO_RCVBUF, value);
    case DURE_IOCP_OPTION_USER_TIMEOUT_MS:
        return set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value);
    case DURE_IOCP_OPTION_UNSENT_BYTES:
        return set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value);
    case DURE_IOCP_OPTION_V6ONLY:
        return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, value);
    }
    return DURE_ERR_INVALID;
}

bool dure_socket_fd_is_self_connected(int fd)
{
    dure_net_address local;
    dure_net_address peer;
    if (dure_socket_fd_local(fd, &local) != DURE_OK || dure_socket_fd_peer(fd, &peer) != DURE_OK) {
        return false;
    }
    return local.family == peer.family && local.port == peer.port &&
           memcmp(local.ip, peer.ip, sizeof local.ip) == 0;
}

int dure_spare_fd_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void dure_spare_fd_refuse(int *spare_fd, int listener_fd)
{
    if (*spare_fd >= 0) {
        (void)close(*spare_fd);
    }
    int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        dure_socket_fd_set_abort(fd);
        (void)close(fd);
    }
    *spare_fd = dure_spare_fd_open();
}

bool dure_accept_error_is_passing(int system_error)
{
    /* accept(2): errors of the new connection are passed on and are to be treated as "again". */
    static const int passing[] = {EINTR,       ECONNABORTED, EPROTO,       ENETDOWN,
                                  ENOPROTOOPT, EHOSTDOWN,    ENONET,       EOPNOTSUPP,
                                  ECONNRESET,  ETIMEDOUT,    EHOSTUNREACH, ENETUNREACH};
    for (size_t i = 0; i < DURE_COUNT_OF(passing); i++) {
        if (passing[i] == system_error) {
            return true;
        }
    }
    return false;
}

dure_err dure_connection_error(int system_error)
{
    /* A connection that was there and is not any more was lost to a reset that was told before. */
    return system_error == ENOTCONN ? DURE_ERR_RESET : dure_err_from_system(system_error);
}
