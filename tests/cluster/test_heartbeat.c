/* SPDX-License-Identifier: MIT
 *
 * The judge of silence, by table: when it asks, when it gives up, and that it does not blame the
 * peer for our own sleep.
 */
#include "cluster/heartbeat.h"

#include "support/check.h"

static void silence_is_asked_about_and_then_the_end(void)
{
    dure_heartbeat heartbeat;
    uint32_t next_ms = 0;
    dure_heartbeat_init(&heartbeat, 2000, 8000, 1000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 3000, 1000, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(next_ms, 2000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 3500, 1000, &next_ms), DURE_HEARTBEAT_WAIT);
    DURE_CHECK_EQ(next_ms, 1500);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 5000, 1000, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 7000, 1000, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(next_ms, 2000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 9000, 1000, &next_ms), DURE_HEARTBEAT_LOST);
}

static void any_byte_is_life(void)
{
    dure_heartbeat heartbeat;
    uint32_t next_ms = 0;
    dure_heartbeat_init(&heartbeat, 2000, 8000, 1000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 3000, 2500, &next_ms), DURE_HEARTBEAT_WAIT);
    DURE_CHECK_EQ(next_ms, 1500);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 4500, 4400, &next_ms), DURE_HEARTBEAT_WAIT);
    DURE_CHECK_EQ(next_ms, 1900);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 6400, 4400, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 8400, 6500, &next_ms), DURE_HEARTBEAT_WAIT);
    DURE_CHECK_EQ(next_ms, 100);
}

static void the_last_check_is_not_later_than_the_timeout(void)
{
    dure_heartbeat heartbeat;
    uint32_t next_ms = 0;
    dure_heartbeat_init(&heartbeat, 3000, 7000, 0);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 3000, 0, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 6000, 0, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(next_ms, 1000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 7000, 0, &next_ms), DURE_HEARTBEAT_LOST);
}

static void our_own_sleep_is_no_silence_of_the_peer(void)
{
    dure_heartbeat heartbeat;
    uint32_t next_ms = 0;
    dure_heartbeat_init(&heartbeat, 2000, 8000, 0);
    /* the check for 2,000 comes after a minute: the peer is asked once more */
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 60000, 0, &next_ms), DURE_HEARTBEAT_PING);
    DURE_CHECK_EQ(next_ms, 2000);
    DURE_CHECK_EQ(dure_heartbeat_check(&heartbeat, 62000, 0, &next_ms), DURE_HEARTBEAT_LOST);
}

DURE_SUITE(cluster_heartbeat, DURE_TEST(silence_is_asked_about_and_then_the_end),
           DURE_TEST(any_byte_is_life), DURE_TEST(the_last_check_is_not_later_than_the_timeout),
           DURE_TEST(our_own_sleep_is_no_silence_of_the_peer));
