/* SPDX-License-Identifier: MIT
 *
 * Strangers: who has to go when one more comes, in all and of one address, and that those who have
 * proved themselves or are gone count no more.
 */
#include "net/strangers.h"

#include "base/mem.h"
#include "net/address.h"
#include "support/check.h"

#define MANY 300u

static const dure_net_networks nobody;

static dure_strangers *strangers_of(uint32_t most, uint32_t most_per_address,
                                    const dure_net_networks *exempt)
{
    dure_strangers *strangers = NULL;
    const dure_strangers_config config = {most, most_per_address, exempt, 7};
    DURE_REQUIRE_OK(dure_strangers_create(&config, &strangers));
    return strangers;
}

static dure_net_address ip(const char *text)
{
    dure_net_address address;
    DURE_REQUIRE_OK(dure_net_address_from_ip(text, 1, &address));
    return address;
}

/* The one who has to go for it. */
static dure_stranger *add(dure_strangers *strangers, dure_stranger *stranger, const char *from)
{
    dure_stranger *surplus = NULL;
    const dure_net_address address = ip(from);
    DURE_REQUIRE_OK(dure_strangers_add(strangers, stranger, &address, &surplus));
    DURE_CHECK(dure_stranger_is_counted(stranger));
    DURE_CHECK(surplus == NULL || !dure_stranger_is_counted(surplus));
    return surplus;
}

static void one_too_many_ends_the_one_that_came_first(void)
{
    dure_strangers *strangers = strangers_of(3, 0, &nobody);
    static dure_stranger of[6];
    DURE_CHECK(add(strangers, &of[0], "10.0.0.1") == NULL);
    DURE_CHECK(add(strangers, &of[1], "10.0.0.2") == NULL);
    DURE_CHECK(add(strangers, &of[2], "10.0.0.1") == NULL);
    DURE_CHECK(add(strangers, &of[3], "10.0.0.3") == &of[0]);
    DURE_CHECK(add(strangers, &of[4], "10.0.0.1") == &of[1]);
    DURE_CHECK_EQ(dure_strangers_count(strangers), 3);
    dure_strangers_remove(&of[2]); /* it has proved itself, so nobody need go */
    DURE_CHECK(add(strangers, &of[5], "10.0.0.1") == NULL);
    DURE_CHECK(!dure_stranger_is_counted(&of[2]));
    dure_strangers_remove(&of[2]); /* twice is once */
    DURE_CHECK_EQ(dure_strangers_count(strangers), 3);
    dure_strangers_destroy(strangers);
    DURE_CHECK(!dure_stranger_is_counted(&of[5]));
}

static void an_address_pays_for_its_own_before_others_do(void)
{
    dure_strangers *strangers = strangers_of(8, 2, &nobody);
    static dure_stranger honest;
    static dure_stranger loud[8];
    const dure_net_address from = ip("2001:db8::7");
    DURE_CHECK(add(strangers, &honest, "10.0.0.1") == NULL);
    DURE_CHECK(add(strangers, &loud[0], "2001:db8::1") == NULL);
    DURE_CHECK(add(strangers, &loud[1], "2001:db8::2") == NULL);
    for (size_t i = 2; i < DURE_COUNT_OF(loud); i++) {
        DURE_CHECK(add(strangers, &loud[i], "2001:db8::3") == &loud[i - 2]);
        DURE_CHECK_EQ(dure_strangers_count_of(strangers, &from), 2);
    }
    DURE_CHECK(dure_stranger_is_counted(&honest));
    DURE_CHECK_EQ(dure_strangers_count(strangers), 3);
    dure_strangers_remove(&loud[7]);
    dure_strangers_remove(&loud[6]);
    DURE_CHECK_EQ(dure_strangers_count_of(strangers, &from), 0);
    dure_strangers_destroy(strangers);
}

static void an_exempt_network_is_held_to_the_whole_only(void)
{
    dure_net_networks exempt;
    dure_net_networks_init_loopback(&exempt);
    dure_strangers *strangers = strangers_of(4, 1, &exempt);
    static dure_stranger of[6];
    for (size_t i = 0; i < 4; i++) {
        DURE_CHECK(add(strangers, &of[i], "127.0.0.1") == NULL);
    }
    DURE_CHECK(add(strangers, &of[4], "127.0.0.2") == &of[0]);
    DURE_CHECK(add(strangers, &of[5], "127.0.0.2") == &of[1]);
    dure_strangers_destroy(strangers);
}

static void the_oldest_can_be_asked_for(void)
{
    dure_strangers *strangers = strangers_of(0, 0, &nobody);
    static dure_stranger of[3];
    DURE_CHECK(dure_strangers_pop_oldest(strangers) == NULL);
    for (size_t i = 0; i < 3; i++) {
        DURE_CHECK(add(strangers, &of[i], "10.0.0.1") == NULL);
    }
    dure_strangers_remove(&of[0]);
    DURE_CHECK(dure_strangers_pop_oldest(strangers) == &of[1]);
    DURE_CHECK(dure_strangers_pop_oldest(strangers) == &of[2]);
    DURE_CHECK(dure_strangers_pop_oldest(strangers) == NULL);
    DURE_CHECK_EQ(dure_strangers_count(strangers), 0);
    dure_strangers_destroy(strangers);
}

/* More addresses than there are places in the table: each keeps its own account. */
static void many_addresses_keep_their_own_accounts(void)
{
    static dure_stranger of[MANY * 40u];
    dure_strangers *strangers = strangers_of(0, 1, &nobody);
    for (uint32_t i = 0; i < DURE_COUNT_OF(of); i++) {
        dure_stranger *surplus = NULL;
        const dure_net_address address = {
            .family = DURE_FAMILY_IPV4,
            .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        DURE_REQUIRE_OK(dure_strangers_add(strangers, &of[i], &address, &surplus));
        DURE_CHECK(surplus == NULL);
        DURE_CHECK_EQ(dure_strangers_count_of(strangers, &address), 1);
    }
    DURE_CHECK_EQ(dure_strangers_count(strangers), DURE_COUNT_OF(of));
    dure_strangers_destroy(strangers);
}

static void without_memory_nothing_has_changed(void)
{
    dure_strangers *strangers = NULL;
    const dure_strangers_config config = {4, 1, &nobody, 7};
    static dure_stranger stranger;
    dure_stranger *surplus = NULL;
    const dure_net_address address = ip("10.0.0.1");
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_strangers_create(&config, &strangers), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_REQUIRE_OK(dure_strangers_create(&config, &strangers));
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_strangers_add(strangers, &stranger, &address, &surplus),
                   DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    DURE_CHECK(!dure_stranger_is_counted(&stranger));
    DURE_CHECK_EQ(dure_strangers_count(strangers), 0);
    dure_strangers_remove(&stranger);
    dure_strangers_destroy(strangers);
}

DURE_SUITE(net_strangers, DURE_TEST(one_too_many_ends_the_one_that_came_first),
           DURE_TEST(an_address_pays_for_its_own_before_others_do),
           DURE_TEST(an_exempt_network_is_held_to_the_whole_only),
           DURE_TEST(the_oldest_can_be_asked_for),
           DURE_TEST(many_addresses_keep_their_own_accounts),
           DURE_TEST(without_memory_nothing_has_changed));
