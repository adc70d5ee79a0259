/* SPDX-License-Identifier: MIT
 *
 * What of addresses only the system knows: text forms (inet_pton, inet_ntop) and names
 * (getaddrinfo, RFC 3493).
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/address_impl.h"

bool net_ip_parse(const char *ip, dure_net_address *out_address)
{
    char bare[64];
    const char *percent = strchr(ip, '%');
    size_t len = percent != NULL ? (size_t)(percent - ip) : strlen(ip);
    if (len >= sizeof bare) {
        return false;
    }
    memcpy(bare, ip, len);
    bare[len] = '\0';
    dure_net_address address = {.family = DURE_FAMILY_NONE};
    if (percent == NULL && inet_pton(AF_INET, bare, address.ip) == 1) {
        address.family = DURE_FAMILY_IPV4;
    } else if (inet_pton(AF_INET6, bare, address.ip) == 1) {
        address.family = DURE_FAMILY_IPV6;
        address.scope_id = percent != NULL ? if_nametoindex(percent + 1) : 0;
        if (percent != NULL && address.scope_id == 0) {
            return false;
        }
    } else {
        return false;
    }
    *out_address = address;
    return true;
}

void net_ip_print(const dure_net_address *address, char *out, size_t out_size)
{
    int family = address->family == DURE_FAMILY_IPV6 ? AF_INET6 : AF_INET;
    if (inet_ntop(family, address->ip, out, (socklen_t)out_size) == NULL) {
        (void)snprintf(out, out_size, "?");
    }
}

static bool address_from_info(const struct addrinfo *info, uint16_t port,
                              dure_net_address *out_address)
{
    dure_net_address address = {.family = DURE_FAMILY_NONE, .port = port};
    if (info->ai_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, info->ai_addr, sizeof in);
        address.family = DURE_FAMILY_IPV4;
        memcpy(address.ip, &in.sin_addr, 4);
    } else if (info->ai_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, info->ai_addr, sizeof in6);
        address.family = DURE_FAMILY_IPV6;
        address.scope_id = in6.sin6_scope_id;
        memcpy(address.ip, &in6.sin6_addr, 16);
    } else {
        return false;
    }
    *out_address = address;
    return true;
}

dure_err net_name_lookup(const char *host, uint16_t port, dure_net_address *out_addresses,
                         size_t max, size_t *out_count)
{
    struct addrinfo hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    struct addrinfo *list = NULL;
    int code = getaddrinfo(host, NULL, &hints, &list);
    if (code != 0) {
        return code == EAI_MEMORY ? DURE_ERR_NO_MEMORY : DURE_ERR_NAME_NOT_FOUND;
    }
    size_t count = 0;
    for (const struct addrinfo *info = list; info != NULL && count < max; info = info->ai_next) {
        count += address_from_info(info, port, &out_addresses[count]) ? 1 : 0;
    }
    freeaddrinfo(list);
    *out_count = count;
    return count > 0 ? DURE_OK : DURE_ERR_NAME_NOT_FOUND;
}
