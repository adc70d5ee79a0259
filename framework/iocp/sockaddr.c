/* SPDX-License-Identifier: MIT
 *
 * Addresses in the system's form and back. Windows took these structures from BSD with their names,
 * so only the header that declares them is a system's own: the build names it.
 */
#include DURE_SOCKET_HEADER

#include <string.h>

socklen_t dure_sockaddr_from(const dure_net_address *address, dure_sockaddr *out_sockaddr)
{
    memset(out_sockaddr, 0, sizeof *out_sockaddr);
    if (address->family == DURE_FAMILY_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&in.sin_addr, address->ip, 4);
        memcpy(out_sockaddr, &in, sizeof in);
        return (socklen_t)sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(address->port),
                               .sin6_scope_id = address->scope_id};
    memcpy(&in6.sin6_addr, address->ip, 16);
    memcpy(out_sockaddr, &in6, sizeof in6);
    return (socklen_t)sizeof in6;
}

dure_err dure_sockaddr_to(const dure_sockaddr *sockaddr, dure_net_address *out_address)
{
    memset(out_address, 0, sizeof *out_address);
    if (sockaddr->any.sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sockaddr, sizeof in);
        out_address->family = DURE_FAMILY_IPV4;
        out_address->port = ntohs(in.sin_port);
        memcpy(out_address->ip, &in.sin_addr, 4);
        return DURE_OK;
    }
    if (sockaddr->any.sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sockaddr, sizeof in6);
        out_address->family = DURE_FAMILY_IPV6;
        out_address->port = ntohs(in6.sin6_port);
        out_address->scope_id = in6.sin6_scope_id;
        memcpy(out_address->ip, &in6.sin6_addr, 16);
        return DURE_OK;
    }
    return DURE_ERR_UNSUPPORTED;
}
