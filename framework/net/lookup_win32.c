/* SPDX-License-Identifier: MIT
 *
 * getaddrinfo of Winsock, and its answers as our addresses.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <string.h>

#include "net/lookup.h"

static int address_of(const struct sockaddr *from, uint16_t port, dure_net_address *out)
{
    *out = (dure_net_address){.port = port};
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        out->family = DURE_FAMILY_IPV4;
        memcpy(out->ip, &in.sin_addr, 4);
        return 1;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        out->family = DURE_FAMILY_IPV6;
        out->scope_id = in6.sin6_scope_id;
        memcpy(out->ip, &in6.sin6_addr, 16);
        return 1;
    }
    return 0;
}

static dure_err lookup_error(int code)
{
    switch (code) {
    case WSA_NOT_ENOUGH_MEMORY:
        return DURE_ERR_NO_MEMORY;
    case WSANO_RECOVERY:
    case WSANOTINITIALISED:
        return DURE_ERR_SYSTEM;
    default:
        return DURE_ERR_NAME_NOT_FOUND;
    }
}

static dure_err look_up(const char *host, uint16_t port, dure_net_address *out, size_t max,
                        size_t *out_count)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code != 0) {
        return lookup_error(code);
    }
    size_t count = 0;
    for (const struct addrinfo *at = found; at != NULL && count < max; at = at->ai_next) {
        if (address_of(at->ai_addr, port, &out[count])) {
            count++;
        }
    }
    freeaddrinfo(found);
    *out_count = count;
    return count > 0 ? DURE_OK : DURE_ERR_NAME_NOT_FOUND;
}

dure_err dure_net_lookup(const char *host, uint16_t port, dure_net_address *out, size_t max,
                         size_t *out_count)
{
    WSADATA data;
    /* Winsock counts its users; a job thread may ask when no core has begun. */
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) {
        return DURE_ERR_SYSTEM;
    }
    dure_err err = look_up(host, port, out, max, out_count);
    (void)WSACleanup();
    return err;
}
