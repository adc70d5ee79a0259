/* SPDX-License-Identifier: MIT
 *
 * Text forms of addresses. Reading is strict (no octal, no short forms of IPv4); printing follows
 * RFC 5952.
 */
#include "net/address.h"

#include <stdio.h>
#include <string.h>

#define IP_TEXT_MAX 48

/* ---- reading ---- */

/* A decimal number up to max at *at; at least one digit, no leading zero but "0" itself. */
static bool read_decimal(const char **at, const char *end, uint32_t max, uint32_t *out_value)
{
    const char *begin = *at;
    uint64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - begin < 10) {
        value = value * 10 + (uint64_t)(**at - '0');
        (*at)++;
    }
    if (*at == begin || value > max || (*begin == '0' && *at - begin > 1)) {
        return false;
    }
    *out_value = (uint32_t)value;
    return true;
}

static bool read_ipv4(const char *at, const char *end, uint8_t out_ip[4])
{
    for (int i = 0; i < 4; i++) {
        uint32_t value = 0;
        if (!read_decimal(&at, end, 255, &value)) {
            return false;
        }
        out_ip[i] = (uint8_t)value;
        if (i < 3 && (at == end || *at++ != '.')) {
            return false;
        }
    }
    return at == end;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One to four hex digits. */
static bool read_group(const char **at, const char *end, uint32_t *out_value)
{
    uint32_t value = 0;
    int digits = 0;
    for (; *at < end && digits < 4 && hex_digit(**at) >= 0; digits++, (*at)++) {
        value = value << 4 | (uint32_t)hex_digit(**at);
    }
    *out_value = value;
    return digits > 0 && (*at == end || **at == ':');
}

typedef struct ipv6_reading {
    uint8_t ip[16];
    size_t len;      /* bytes of ip that were written */
    size_t zeros_at; /* where "::" stands; SIZE_MAX: nowhere */
} ipv6_reading;

/* What follows the address's beginning or a colon: a group, or IPv4 in the last four bytes. */
static bool read_ipv6_part(ipv6_reading *reading, const char **at, const char *end)
{
    const char *dot = memchr(*at, '.', (size_t)(end - *at));
    const char *colon = memchr(*at, ':', (size_t)(end - *at));
    if (dot != NULL && colon == NULL) {
        if (reading->len > 12 || !read_ipv4(*at, end, reading->ip + reading->len)) {
            return false;
        }
        reading->len += 4;
        *at = end;
        return true;
    }
    uint32_t group = 0;
    if (reading->len > 14 || !read_group(at, end, &group)) {
        return false;
    }
    reading->ip[reading->len] = (uint8_t)(group >> 8);
    reading->ip[reading->len + 1] = (uint8_t)group;
    reading->len += 2;
    return true;
}

/* The colons between two parts. */
static bool read_ipv6_colons(ipv6_reading *reading, const char **at, const char *end)
{
    (*at)++;
    if (*at == end) {
        return false;
    }
    if (**at == ':') {
        if (reading->zeros_at != SIZE_MAX) {
            return false;
        }
        reading->zeros_at = reading->len;
        (*at)++;
    }
    return true;
}

static bool ipv6_spread(const ipv6_reading *reading, uint8_t out_ip[16])
{
    if (reading->zeros_at == SIZE_MAX) {
        memcpy(out_ip, reading->ip, 16);
        return reading->len == 16;
    }
    if (reading->len > 14) {
        return false;
    }
    size_t tail = reading->len - reading->zeros_at;
    memset(out_ip, 0, 16);
    memcpy(out_ip, reading->ip, reading->zeros_at);
    memcpy(out_ip + 16 - tail, reading->ip + reading->zeros_at, tail);
    return true;
}

static bool read_ipv6(const char *at, const char *end, uint8_t out_ip[16])
{
    ipv6_reading reading = {.zeros_at = SIZE_MAX};
    if (end - at < 2) {
        return false;
    }
    if (at[0] == ':') {
        if (at[1] != ':') {
            return false;
        }
        reading.zeros_at = 0;
        at += 2;
    }
    while (at < end) {
        if (!read_ipv6_part(&reading, &at, end)) {
            return false;
        }
        if (at < end && !read_ipv6_colons(&reading, &at, end)) {
            return false;
        }
    }
    return ipv6_spread(&reading, out_ip);
}

static dure_err address_from_text(const char *at, const char *end, uint16_t port,
                                  dure_net_address *out_address)
{
    dure_net_address address = {.port = port};
    if (at == end) {
        return DURE_ERR_INVALID;
    }
    const char *percent = memchr(at, '%', (size_t)(end - at));
    if (memchr(at, ':', (size_t)(end - at)) == NULL) {
        address.family = DURE_FAMILY_IPV4;
        if (!read_ipv4(at, end, address.ip)) {
            return DURE_ERR_INVALID;
        }
    } else {
        address.family = DURE_FAMILY_IPV6;
        if (percent != NULL) {
            const char *zone = percent + 1;
            if (!read_decimal(&zone, end, UINT32_MAX, &address.scope_id) || zone != end) {
                return DURE_ERR_INVALID;
            }
            end = percent;
        }
        if (!read_ipv6(at, end, address.ip)) {
            return DURE_ERR_INVALID;
        }
    }
    *out_address = address;
    return DURE_OK;
}

dure_err dure_net_address_from_ip(const char *ip, uint16_t port, dure_net_address *out_address)
{
    return address_from_text(ip, ip + strlen(ip), port, out_address);
}

dure_err dure_net_address_parse(const char *text, dure_net_address *out_address)
{
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return DURE_ERR_INVALID;
    }
    const char *ip = text;
    const char *ip_end = colon;
    if (*text == '[') {
        if (colon[-1] != ']') {
            return DURE_ERR_INVALID;
        }
        ip++;
        ip_end--;
    } else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return DURE_ERR_INVALID; /* IPv6 without brackets: the port could not be told */
    }
    const char *digits = colon + 1;
    uint32_t port = 0;
    if (!read_decimal(&digits, end, 65535, &port) || digits != end) {
        return DURE_ERR_INVALID;
    }
    if (*text == '[' && memchr(ip, ':', (size_t)(ip_end - ip)) == NULL) {
        return DURE_ERR_INVALID;
    }
    return address_from_text(ip, ip_end, (uint16_t)port, out_address);
}

/* ---- printing ---- */

static unsigned ipv6_group(const uint8_t ip[16], size_t index)
{
    return (unsigned)ip[index * 2] << 8 | ip[index * 2 + 1];
}

/* The longest run of zero groups, the first of equals, and only from two on (RFC 5952, 4.2). */
static void ipv6_longest_zeros(const uint8_t ip[16], size_t *out_at, size_t *out_count)
{
    *out_at = 8;
    *out_count = 1;
    for (size_t i = 0; i < 8; i++) {
        size_t count = 0;
        while (i + count < 8 && ipv6_group(ip, i + count) == 0) {
            count++;
        }
        if (count > *out_count) {
            *out_at = i;
            *out_count = count;
        }
    }
}

static bool ipv6_is_mapped_ipv4(const uint8_t ip[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(ip, prefix, sizeof prefix) == 0;
}

static void print_ipv6(const dure_net_address *address, char out[IP_TEXT_MAX])
{
    const uint8_t *ip = address->ip;
    if (ipv6_is_mapped_ipv4(ip)) {
        (void)snprintf(out, IP_TEXT_MAX, "::ffff:%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
        return;
    }
    size_t zeros_at = 0;
    size_t zeros = 0;
    size_t len = 0;
    ipv6_longest_zeros(ip, &zeros_at, &zeros);
    for (size_t i = 0; i < 8;) {
        if (i == zeros_at) {
            len += (size_t)snprintf(out + len, IP_TEXT_MAX - len, "::");
            i += zeros;
            continue;
        }
        bool needs_colon = i > 0 && i != zeros_at + zeros;
        len += (size_t)snprintf(out + len, IP_TEXT_MAX - len, "%s%x", needs_colon ? ":" : "",
                                ipv6_group(ip, i));
        i++;
    }
}

const char *dure_net_address_print(const dure_net_address *address,
                                   char out[DURE_NET_ADDRESS_TEXT_MAX])
{
    const uint8_t *ip = address->ip;
    if (address->family == DURE_FAMILY_IPV4) {
        (void)snprintf(out, DURE_NET_ADDRESS_TEXT_MAX, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3],
                       address->port);
    } else if (address->family == DURE_FAMILY_IPV6) {
        char text[IP_TEXT_MAX];
        print_ipv6(address, text);
        if (address->scope_id != 0) {
            (void)snprintf(out, DURE_NET_ADDRESS_TEXT_MAX, "[%.40s%%%u]:%u", text,
                           (unsigned)address->scope_id, address->port);
        } else {
            (void)snprintf(out, DURE_NET_ADDRESS_TEXT_MAX, "[%.47s]:%u", text, address->port);
        }
    } else {
        (void)snprintf(out, DURE_NET_ADDRESS_TEXT_MAX, "none");
    }
    return out;
}

/* ---- comparing ---- */

bool dure_net_address_equal(const dure_net_address *a, const dure_net_address *b)
{
    size_t len = a->family == DURE_FAMILY_IPV4 ? 4 : 16;
    return a->family == b->family && a->port == b->port && a->scope_id == b->scope_id &&
           memcmp(a->ip, b->ip, len) == 0;
}

bool dure_net_address_is_loopback(const dure_net_address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    if (address->family == DURE_FAMILY_IPV4) {
        return address->ip[0] == 127;
    }
    if (address->family != DURE_FAMILY_IPV6) {
        return false;
    }
    return memcmp(address->ip, one, sizeof one) == 0 ||
           (ipv6_is_mapped_ipv4(address->ip) && address->ip[12] == 127);
}
