/* SPDX-License-Identifier: MIT
 *
 * System sockets on Windows.
 */
#include "iocp/socket_win32.h"

#include <mstcpip.h>
#include <string.h>

/* Between probes after the first; Windows gives up after ten of them. */
#define KEEPALIVE_INTERVAL_MS 3000u

/* Windows 10 on: an outgoing port is shared by connections to different peers. */
#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007
#endif
#ifndef TCP_MAXRT
#define TCP_MAXRT 5
#endif

static dure_err set_int(SOCKET handle, int level, int name, int value)
{
    if (setsockopt(handle, level, name, (const char *)&value, (int)sizeof value) == 0) {
        return DURE_OK;
    }
    int system_error = WSAGetLastError();
    return system_error == WSAENOPROTOOPT ? DURE_ERR_UNSUPPORTED
                                          : dure_err_from_system(system_error);
}

dure_err dure_socket_handle_open(dure_family family, SOCKET *out_handle)
{
    int domain = family == DURE_FAMILY_IPV4 ? AF_INET : AF_INET6;
    SOCKET handle = WSASocketW(domain, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                               WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (handle == INVALID_SOCKET) {
        int system_error = WSAGetLastError();
        /* Winsock says "no buffers" when a process has too many sockets. */
        return system_error == WSAENOBUFS ? DURE_ERR_TOO_MANY_FILES
                                          : dure_err_from_system(system_error);
    }
    u_long yes = 1;
    dure_err err = ioctlsocket(handle, (long)FIONBIO, &yes) == 0
                       ? DURE_OK
                       : dure_err_from_system(WSAGetLastError());
    if (err == DURE_OK) {
        err = set_int(handle, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (err == DURE_OK && domain == AF_INET6) {
        err = set_int(handle, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (err != DURE_OK) {
        (void)closesocket(handle);
        return err;
    }
    *out_handle = handle;
    return DURE_OK;
}

void dure_socket_handle_set_abort(SOCKET handle)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(handle, SOL_SOCKET, SO_LINGER, (const char *)&linger, (int)sizeof linger);
}

static dure_err handle_bind(SOCKET handle, const dure_net_address *address)
{
    dure_sockaddr sockaddr;
    int len = dure_sockaddr_from(address, &sockaddr);
    return bind(handle, &sockaddr.any, len) == 0 ? DURE_OK
                                                 : dure_err_from_system(WSAGetLastError());
}

dure_err dure_socket_handle_bind(SOCKET handle, const dure_net_address *address)
{
    dure_err err = set_int(handle, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    return err == DURE_OK ? handle_bind(handle, address) : err;
}

dure_err dure_socket_handle_bind_any(SOCKET handle, dure_family family)
{
    const dure_net_address any = {.family = family};
    /* An older system does not have it and runs out of ports sooner. */
    dure_err err = set_int(handle, SOL_SOCKET, SO_REUSE_UNICASTPORT, 1);
    (void)err;
    return handle_bind(handle, &any);
}

dure_err dure_socket_handle_listen(SOCKET handle, uint32_t backlog)
{
    int count = backlog > INT16_MAX ? INT16_MAX : (int)backlog;
    return listen(handle, count) == 0 ? DURE_OK : dure_err_from_system(WSAGetLastError());
}

/* getsockname or getpeername. */
typedef int(WSAAPI *name_fn)(SOCKET handle, struct sockaddr *sockaddr, int *len);

static dure_err address_by(name_fn name, SOCKET handle, dure_net_address *out_address)
{
    dure_sockaddr sockaddr;
    int len = (int)sizeof sockaddr;
    if (name(handle, &sockaddr.any, &len) != 0) {
        return DURE_ERR_STATE;
    }
    return dure_sockaddr_to(&sockaddr, out_address);
}

dure_err dure_socket_handle_local(SOCKET handle, dure_net_address *out_address)
{
    dure_net_address address;
    dure_err err = address_by(getsockname, handle, &address);
    if (err == DURE_OK && address.port == 0) {
        err = DURE_ERR_STATE;
    }
    if (err == DURE_OK) {
        *out_address = address;
    }
    return err;
}

dure_err dure_socket_handle_peer(SOCKET handle, dure_net_address *out_address)
{
    dure_net_address address;
    dure_err err = address_by(getpeername, handle, &address);
    if (err == DURE_OK) {
        *out_address = address;
    }
    return err;
}

static dure_err set_keepalive(SOCKET handle, int seconds)
{
    struct tcp_keepalive keepalive = {.onoff = seconds > 0,
                                      .keepalivetime = (u_long)seconds * 1000u,
                                      .keepaliveinterval = KEEPALIVE_INTERVAL_MS};
    DWORD bytes = 0;
    if (WSAIoctl(handle, SIO_KEEPALIVE_VALS, &keepalive, sizeof keepalive, NULL, 0, &bytes, NULL,
                 NULL) != 0) {
        return dure_err_from_system(WSAGetLastError());
    }
    return DURE_OK;
}

dure_err dure_socket_handle_set(SOCKET handle, dure_iocp_option option, int value)
{
    if (value < 0) {
        return DURE_ERR_INVALID;
    }
    switch (option) {
    case DURE_IOCP_OPTION_NODELAY:
        return set_int(handle, IPPROTO_TCP, TCP_NODELAY, value);
    case DURE_IOCP_OPTION_KEEPALIVE_S:
        return set_keepalive(handle, value);
    case DURE_IOCP_OPTION_SEND_BUFFER:
        return set_int(handle, SOL_SOCKET, SO_SNDBUF, value);
    case DURE_IOCP_OPTION_RECV_BUFFER:
        return set_int(handle, SOL_SOCKET, SO_RCVBUF, value);
    case DURE_IOCP_OPTION_USER_TIMEOUT_MS:
        /* In whole seconds here. */
        return set_int(handle, IPPROTO_TCP, TCP_MAXRT, value / 1000 + (value % 1000 != 0));
    case DURE_IOCP_OPTION_UNSENT_BYTES:
        return DURE_ERR_UNSUPPORTED;
    case DURE_IOCP_OPTION_V6ONLY:
        return set_int(handle, IPPROTO_IPV6, IPV6_V6ONLY, value);
    }
    return DURE_ERR_INVALID;
}

bool dure_socket_handle_is_self_connected(SOCKET handle)
{
    dure_net_address local;
    dure_net_address peer;
    if (dure_socket_handle_local(handle, &local) != DURE_OK ||
        dure_socket_handle_peer(handle, &peer) != DURE_OK) {
        return false;
    }
    return local.family == peer.family && local.port == peer.port &&
           memcmp(local.ip, peer.ip, sizeof local.ip) == 0;
}

bool dure_accept_error_is_passing(int system_error)
{
    /* What a connection that ended before it was accepted can read as; Wine says ENOTCONN. */
    static const int passing[] = {WSAECONNRESET, WSAECONNABORTED,      WSAENOTCONN,    WSAENETRESET,
                                  WSAETIMEDOUT,  WSAEHOSTUNREACH,      WSAENETUNREACH, WSAENETDOWN,
                                  WSAEDISCON,    ERROR_NETNAME_DELETED};
    for (size_t i = 0; i < DURE_COUNT_OF(passing); i++) {
        if (passing[i] == system_error) {
            return true;
        }
    }
    return false;
}

dure_err dure_connection_error(int system_error)
{
    /* A connection that was there and is not any more was lost to a reset that was told before;
     * after it Winsock also says "shut down". */
    return system_error == WSAENOTCONN || system_error == WSAESHUTDOWN
               ? DURE_ERR_RESET
               : dure_err_from_system(system_error);
}
