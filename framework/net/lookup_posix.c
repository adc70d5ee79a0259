/* SPDX-License-Identifier: MIT
 *
 * getaddrinfo, and its answers as our addresses.
 */
#include <netdb.h>
#include <string.h>

#include "iocp/socket_posix.h"
#include "net/lookup.h"

static dure_err address_of(const struct addrinfo *from, uint16_t port, dure_net_address *out)
{
    dure_sockaddr sockaddr;
    memset(&sockaddr, 0, sizeof sockaddr);
    size_t len = from->ai_addrlen;
    memcpy(&sockaddr, from->ai_addr, len < sizeof sockaddr ? len : sizeof sockaddr);
    dure_err err = dure_sockaddr_to(&sockaddr, out);
    out->port = port;
    return err;
}

static dure_err lookup_error(int code)
{
    switch (code) {
    case EAI_MEMORY:
        return DURE_ERR_NO_MEMORY;
    case EAI_SYSTEM:
    case EAI_FAIL:
        return DURE_ERR_SYSTEM;
    default:
        return DURE_ERR_NAME_NOT_FOUND;
    }
}

dure_err dure_net_lookup(const char *host, uint16_t port, dure_net_address *out, size_t max,
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
        if (address_of(at, port, &out[count]) == DURE_OK) {
            count++;
        }
    }
    freeaddrinfo(found);
    *out_count = count;
    return count > 0 ? DURE_OK : DURE_ERR_NAME_NOT_FOUND;
}
