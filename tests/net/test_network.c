/* SPDX-License-Identifier: MIT
 *
 * Networks: what is one, which addresses they have, and who counts as one.
 */
#include "net/network.h"

#include <string.h>

#include "net/address.h"
#include "support/check.h"

static void a_network_is_an_address_and_the_length_of_its_prefix(void)
{
    static const struct {
        const char *text;
        int bits; /* -1: refused */
    } rows[] = {{"10.0.0.0/8", 8},
                {"10.1.2.3", 32},
                {"0.0.0.0/0", 0},
                {"10.1.2.3/32", 32},
                {"::/0", 0},
                {"fd00::/8", 8},
                {"2001:db8::1", 128},
                {"10.128.0.0/9", 9},
                {"::ffff:10.0.0.0/104", 8},
                {"::ffff:10.0.0.1", 32},
                {"10.0.0.1/8", -1},
                {"10.64.0.0/9", -1},
                {"10.0.0.0/33", -1},
                {"::/129", -1},
                {"10.0.0.0/", -1},
                {"10.0.0.0/08", -1},
                {"10.0.0.0/8x", -1},
                {"10.0.0.0/-1", -1},
                {"10.0.0.0/8/8", -1},
                {"", -1},
                {"/8", -1},
                {"10.0.0/8", -1},
                {"localhost", -1},
                {"fe80::%1/64", -1},
                {"fe80::1%1", -1},
                {"::ffff:0.0.0.0/95", -1},
                {"10.0.0.0/4294967304", -1}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        dure_net_network network;
        const dure_err err = dure_net_network_parse(rows[i].text, &network);
        if ((err == DURE_OK) != (rows[i].bits >= 0)) {
            printf("network: \"%s\"\n", rows[i].text);
        }
        DURE_CHECK_ERR(err, rows[i].bits < 0 ? DURE_ERR_INVALID : DURE_OK);
        if (err == DURE_OK) {
            DURE_CHECK_EQ(network.bits, rows[i].bits);
        }
    }
}

static void an_address_is_in_or_out_whichever_way_it_is_written(void)
{
    static const struct {
        const char *network;
        const char *ip;
        bool is_in;
    } rows[] = {{"10.0.0.0/8", "10.255.0.1", true},
                {"10.0.0.0/8", "11.0.0.0", false},
                {"10.0.0.0/8", "::ffff:10.0.0.1", true},
                {"10.0.0.0/8", "a00::", false},
                {"10.128.0.0/9", "10.128.0.0", true},
                {"10.128.0.0/9", "10.127.255.255", false},
                {"10.1.2.3", "10.1.2.3", true},
                {"10.1.2.3", "10.1.2.2", false},
                {"0.0.0.0/0", "203.0.113.9", true},
                {"0.0.0.0/0", "::1", false},
                {"::/0", "::1", true},
                {"::/0", "203.0.113.9", false},
                {"fd00::/8", "fdff::1", true},
                {"fd00::/8", "fc00::1", false},
                {"2001:db8::/33", "2001:db8:7fff::", true},
                {"2001:db8::/33", "2001:db8:8000::", false},
                {"::ffff:10.0.0.0/104", "10.9.9.9", true}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        dure_net_network network;
        dure_net_address address;
        DURE_REQUIRE_OK(dure_net_network_parse(rows[i].network, &network));
        DURE_REQUIRE_OK(dure_net_address_from_ip(rows[i].ip, 1, &address));
        if (dure_net_network_has(&network, &address) != rows[i].is_in) {
            printf("%s in %s\n", rows[i].ip, rows[i].network);
        }
        DURE_CHECK_EQ(dure_net_network_has(&network, &address), rows[i].is_in);
    }
}

static void a_list_has_what_one_of_its_networks_has(void)
{
    dure_net_networks networks;
    dure_net_address address;
    const dure_net_address none = {0};
    dure_net_networks_init_loopback(&networks);
    static const struct {
        const char *ip;
        bool is_in;
    } rows[] = {
        {"127.0.0.1", true}, {"127.255.255.255", true}, {"::ffff:127.0.0.1", true}, {"::1", true},
        {"::2", false},      {"128.0.0.1", false}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_REQUIRE_OK(dure_net_address_from_ip(rows[i].ip, 1, &address));
        DURE_CHECK_EQ(dure_net_networks_have(&networks, &address), rows[i].is_in);
    }
    DURE_CHECK(!dure_net_networks_have(&networks, &none));
    networks.count = 0;
    DURE_REQUIRE_OK(dure_net_address_from_ip("127.0.0.1", 1, &address));
    DURE_CHECK(!dure_net_networks_have(&networks, &address));
}

static bool is_one_group(const char *a, const char *b)
{
    dure_net_address first;
    dure_net_address second;
    DURE_REQUIRE_OK(dure_net_address_from_ip(a, 1, &first));
    DURE_REQUIRE_OK(dure_net_address_from_ip(b, 2, &second));
    const dure_net_group one = dure_net_group_of(&first);
    const dure_net_group other = dure_net_group_of(&second);
    return memcmp(&one, &other, sizeof one) == 0;
}

static void a_subnet_of_ipv6_counts_as_one_and_an_address_of_ipv4(void)
{
    DURE_CHECK(is_one_group("10.0.0.1", "10.0.0.1"));
    DURE_CHECK(is_one_group("10.0.0.1", "::ffff:10.0.0.1"));
    DURE_CHECK(!is_one_group("10.0.0.1", "10.0.0.2"));
    DURE_CHECK(is_one_group("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
    DURE_CHECK(!is_one_group("2001:db8::1", "2001:db8:0:1::1"));
    DURE_CHECK(!is_one_group("10.0.0.1", "a00:1::"));
}

DURE_SUITE(net_network, DURE_TEST(a_network_is_an_address_and_the_length_of_its_prefix),
           DURE_TEST(an_address_is_in_or_out_whichever_way_it_is_written),
           DURE_TEST(a_list_has_what_one_of_its_networks_has),
           DURE_TEST(a_subnet_of_ipv6_counts_as_one_and_an_address_of_ipv4));
