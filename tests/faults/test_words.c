/* SPDX-License-Identifier: MIT
 *
 * The words of a fault proxy: what each means, that faults add up until heal, and what is refused.
 */
#include "harness/fault_words.h"
#include "support/check.h"

static void each_word_sets_what_it_says(void)
{
    fault_set faults = {0};
    fault_action action = FAULT_RESET;
    DURE_CHECK_OK(fault_parse("delay 50", &faults, &action));
    DURE_CHECK_EQ(action, FAULT_NONE);
    DURE_CHECK_OK(fault_parse("  split 3 to-server\r\n", &faults, &action));
    DURE_CHECK_OK(fault_parse("merge\t7 to-client", &faults, &action));
    DURE_CHECK_OK(fault_parse("slow 1000 to-client", &faults, &action));
    DURE_CHECK_OK(fault_parse("reset-at 4096 to-server", &faults, &action));
    DURE_CHECK_OK(fault_parse("one-way to-client", &faults, &action));
    const fault_way *there = &faults.ways[FAULT_TO_SERVER];
    const fault_way *back = &faults.ways[FAULT_TO_CLIENT];
    DURE_CHECK_EQ(there->delay_ms, 50);
    DURE_CHECK_EQ(back->delay_ms, 50);
    DURE_CHECK_EQ(there->split_bytes, 3);
    DURE_CHECK_EQ(back->split_bytes, 0);
    DURE_CHECK_EQ(back->merge_ms, 7);
    DURE_CHECK_EQ(back->bytes_per_s, 1000);
    DURE_CHECK_EQ(there->reset_at, 4096);
    DURE_CHECK(!there->is_silent);
    DURE_CHECK(back->is_silent);
    DURE_CHECK_OK(fault_parse("silent", &faults, &action));
    DURE_CHECK(there->is_silent);
}

static void what_ends_connections_is_an_action(void)
{
    fault_set faults = {0};
    fault_action action = FAULT_NONE;
    DURE_CHECK_OK(fault_parse("close", &faults, &action));
    DURE_CHECK_EQ(action, FAULT_CLOSE);
    DURE_CHECK(!faults.is_cut);
    DURE_CHECK_OK(fault_parse("reset", &faults, &action));
    DURE_CHECK_EQ(action, FAULT_RESET);
    DURE_CHECK_OK(fault_parse("cut", &faults, &action));
    DURE_CHECK_EQ(action, FAULT_CLOSE);
    DURE_CHECK(faults.is_cut);
}

static void heal_takes_all_of_them_back(void)
{
    fault_set faults = {0};
    fault_action action = FAULT_NONE;
    const fault_set none = {0};
    DURE_CHECK_OK(fault_parse("cut", &faults, &action));
    DURE_CHECK_OK(fault_parse("silent", &faults, &action));
    DURE_CHECK_OK(fault_parse("delay 1 to-server", &faults, &action));
    DURE_CHECK_OK(fault_parse("heal", &faults, &action));
    DURE_CHECK_EQ(action, FAULT_NONE);
    DURE_CHECK_EQ(faults.is_cut, none.is_cut);
    for (unsigned i = 0; i < FAULT_WAYS; i++) {
        DURE_CHECK(!faults.ways[i].is_silent);
        DURE_CHECK_EQ(faults.ways[i].delay_ms, 0);
    }
}

static void what_is_no_command_changes_nothing(void)
{
    static const char *const lines[] = {
        "",
        " ",
        "delay",
        "delay x",
        "delay -1",
        "delay 5ms",
        "delay 600001",
        "delay 5 there",
        "delay 5 to-server x",
        "cut now",
        "cut to-server",
        "one-way",
        "one-way 5",
        "split 4294967296",
        "slow 99999999999999999999",
        "Delay 5",
        "heal all",
        "stats",
        "silent to-server to-client",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        fault_set faults = {.is_cut = true};
        fault_action action = FAULT_RESET;
        DURE_CHECK_ERR(fault_parse(lines[i], &faults, &action), DURE_ERR_INVALID);
        DURE_CHECK(faults.is_cut);
        DURE_CHECK_EQ(action, FAULT_RESET);
        DURE_CHECK_EQ(faults.ways[FAULT_TO_SERVER].delay_ms, 0);
    }
}

DURE_SUITE(faults_words, DURE_TEST(each_word_sets_what_it_says),
           DURE_TEST(what_ends_connections_is_an_action), DURE_TEST(heal_takes_all_of_them_back),
           DURE_TEST(what_is_no_command_changes_nothing));
