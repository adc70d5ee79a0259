/* SPDX-License-Identifier: MIT
 *
 * Prefixes of addresses. An IPv4 address that IPv6 wrapped (::ffff:a.b.c.d) is taken out of its
 * wrapping first, everywhere, so no address has two answers.
 */
#include "net/network.h"

#include <string.h>

#include "base/assert.h"
#include "net/address.h"

#define MAPPED_BITS     96u
#define GROUP_IPV6_BITS 64u

typedef struct plain_ip {
    dure_family family;
    uint8_t ip[16];
} plain_ip;

static plain_ip plain_of(dure_family family, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    plain_ip plain = {family, {0}};
    if (family == DURE_FAMILY_IPV6 && memcmp(ip, mapped, sizeof mapped) == 0) {
        plain.family = DURE_FAMILY_IPV4;
        memcpy(plain.ip, ip + sizeof mapped, 4);
    } else {
        memcpy(plain.ip, ip, family == DURE_FAMILY_IPV4 ? 4 : 16);
    }
    return plain;
}

static unsigned family_bits(dure_family family)
{
    return family == DURE_FAMILY_IPV4 ? 32 : 128;
}

/* Whether the first bits of two addresses are the same. */
static bool prefix_is_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    const unsigned whole = bits / 8;
    const unsigned rest = bits % 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool is_zero_behind(const uint8_t ip[16], unsigned bits, unsigned all)
{
    for (unsigned bit = bits; bit < all; bit++) {
        if (((unsigned)ip[bit / 8] >> (7 - bit % 8) & 1u) != 0) {
            return false;
        }
    }
    return true;
}

/* Up to three digits and nothing else, no zero before others. */
static bool read_bits(const char *text, unsigned max, unsigned *out_bits)
{
    unsigned bits = 0;
    const size_t len = strlen(text);
    if (len == 0 || len > 3 || (text[0] == '0' && len > 1)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    *out_bits = bits;
    return bits <= max;
}

dure_err dure_net_network_parse(const char *text, dure_net_network *out_network)
{
    char ip[DURE_NET_ADDRESS_TEXT_MAX];
    dure_net_address address;
    const char *slash = strchr(text, '/');
    const size_t ip_len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (ip_len >= sizeof ip || memchr(text, '%', ip_len) != NULL) {
        return DURE_ERR_INVALID; /* a zone is this machine's business, a network everybody's */
    }
    memcpy(ip, text, ip_len);
    ip[ip_len] = '\0';
    if (dure_net_address_from_ip(ip, 0, &address) != DURE_OK) {
        return DURE_ERR_INVALID;
    }
    unsigned bits = family_bits(address.family);
    if (slash != NULL && !read_bits(slash + 1, bits, &bits)) {
        return DURE_ERR_INVALID;
    }
    plain_ip plain = plain_of(address.family, address.ip);
    if (plain.family != address.family) {
        if (bits < MAPPED_BITS) {
            return DURE_ERR_INVALID; /* all of IPv4 and much that is none */
        }
        bits -= MAPPED_BITS;
    }
    if (!is_zero_behind(plain.ip, bits, family_bits(plain.family))) {
        return DURE_ERR_INVALID;
    }
    out_network->family = plain.family;
    out_network->bits = (uint8_t)bits;
    memcpy(out_network->ip, plain.ip, sizeof out_network->ip);
    return DURE_OK;
}

bool dure_net_network_has(const dure_net_network *network, const dure_net_address *address)
{
    const plain_ip plain = plain_of(address->family, address->ip);
    DURE_ASSERT(network->bits <= family_bits(network->family));
    return address->family != DURE_FAMILY_NONE && plain.family == network->family &&
           prefix_is_equal(plain.ip, network->ip, network->bits);
}

bool dure_net_networks_have(const dure_net_networks *networks, const dure_net_address *address)
{
    DURE_ASSERT(networks->count <= DURE_NET_NETWORKS_MAX);
    for (uint32_t i = 0; i < networks->count; i++) {
        if (dure_net_network_has(&networks->rows[i], address)) {
            return true;
        }
    }
    return false;
}

void dure_net_networks_init_loopback(dure_net_networks *networks)
{
    networks->rows[0] = (dure_net_network){DURE_FAMILY_IPV4, 8, {127}};
    networks->rows[1] = (dure_net_network){DURE_FAMILY_IPV6, 128, {[15] = 1}};
    networks->count = 2;
}

dure_net_group dure_net_group_of(const dure_net_address *address)
{
    const plain_ip plain = plain_of(address->family, address->ip);
    dure_net_group group = {{(uint8_t)plain.family}};
    memcpy(group.key + 1, plain.ip, plain.family == DURE_FAMILY_IPV4 ? 4 : GROUP_IPV6_BITS / 8);
    return group;
}
