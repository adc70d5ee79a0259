/* SPDX-License-Identifier: MIT
 *
 * Buckets: the burst at once, then so many a second, and one address does not use up another's.
 */
#include "node/rate.h"

#include "net/address.h"
#include "node/resources.h"
#include "support/check.h"

static unsigned take_all(node_rate *rate, const node_rate_limit *limit, uint64_t now_ms)
{
    unsigned taken = 0;
    while (taken < 100000 && node_rate_take(rate, limit, now_ms)) {
        taken++;
    }
    return taken;
}

static void the_burst_first_then_so_many_a_second(void)
{
    static const node_rate_limit limit = {200, 1000};
    node_rate rate = {0, 0};
    DURE_CHECK_EQ(take_all(&rate, &limit, 5000), 1000);
    DURE_CHECK_EQ(take_all(&rate, &limit, 5000), 0);
    DURE_CHECK_EQ(take_all(&rate, &limit, 5004), 0);
    DURE_CHECK_EQ(take_all(&rate, &limit, 5005), 1);
    DURE_CHECK_EQ(take_all(&rate, &limit, 6005), 200);
    DURE_CHECK_EQ(take_all(&rate, &limit, 4000), 0); /* time ran back */
    DURE_CHECK_EQ(take_all(&rate, &limit, 1000000), 1000);
}

static void zero_is_no_limit(void)
{
    static const node_rate_limit limit = {0, 1};
    node_rate rate = {0, 0};
    DURE_CHECK_EQ(take_all(&rate, &limit, 0), 100000);
}

static dure_net_address address_of(const char *ip)
{
    dure_net_address address;
    DURE_REQUIRE_OK(dure_net_address_from_ip(ip, 1, &address));
    return address;
}

static void addresses_do_not_share_a_bucket(void)
{
    static const node_rate_limit limit = {1, 1};
    static const struct {
        const char *ip;
        bool is_new;
    } rows[] = {
        {"10.0.0.1", true},         {"10.0.0.1", false},        {"10.0.0.2", true},
        {"::ffff:10.0.0.1", false}, {"2001:db8::1", true},      {"2001:db8::2", false},
        {"2001:db8:0:1::1", true},  {"2001:db8:0:1::9", false},
    };
    node_rate_table *table = NULL;
    DURE_REQUIRE_OK(node_rate_table_create(&limit, &table));
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        dure_net_address address = address_of(rows[i].ip);
        DURE_CHECK_EQ(node_rate_table_take(table, &address, 1000), rows[i].is_new);
    }
    node_rate_table_destroy(table);
}

static void one_who_floods_keeps_the_place_among_many(void)
{
    static const node_rate_limit limit = {1, 100};
    node_rate_table *table = NULL;
    dure_net_address flooder = address_of("10.9.9.9");
    dure_net_address other = address_of("10.0.0.0");
    DURE_REQUIRE_OK(node_rate_table_create(&limit, &table));
    for (int i = 0; i < 100; i++) {
        DURE_CHECK(node_rate_table_take(table, &flooder, 1000));
    }
    for (uint32_t i = 0; i < 100000; i++) {
        other.ip[1] = (uint8_t)(i >> 16);
        other.ip[2] = (uint8_t)(i >> 8);
        other.ip[3] = (uint8_t)i;
        DURE_CHECK(node_rate_table_take(table, &other, 1000));
    }
    DURE_CHECK(!node_rate_table_take(table, &flooder, 1000));
    node_rate_table_destroy(table);
}

static void pressure_begins_at_its_percent(void)
{
    static const struct {
        uint64_t used;
        uint64_t limit;
        node_pressure pressure;
    } rows[] = {
        {1u << 30, 0, NODE_PRESSURE_NONE},      {9199, 10000, NODE_PRESSURE_NONE},
        {9200, 10000, NODE_PRESSURE_NO_LOGINS}, {9499, 10000, NODE_PRESSURE_NO_LOGINS},
        {9500, 10000, NODE_PRESSURE_SHED},      {20000, 10000, NODE_PRESSURE_SHED},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_CHECK_EQ(node_pressure_of(rows[i].used, rows[i].limit, 92, 95), rows[i].pressure);
    }
    DURE_CHECK(node_resources_memory_used() > 100000);
    DURE_CHECK(node_resources_descriptors_max() > 0);
}

DURE_SUITE(node_rate, DURE_TEST(the_burst_first_then_so_many_a_second), DURE_TEST(zero_is_no_limit),
           DURE_TEST(addresses_do_not_share_a_bucket),
           DURE_TEST(one_who_floods_keeps_the_place_among_many),
           DURE_TEST(pressure_begins_at_its_percent));
