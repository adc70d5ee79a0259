/* SPDX-License-Identifier: MIT
 *
 * Every message of the nodes that ship: what a decoder takes is the same when it is sent on.
 */
#include "shipped_round_trips.h"
#include "support/check.h"
#include "support/round_trip.h"

SHIPPED_ROUND_TRIPS(ROUND_TRIP_FUNCTIONS)

static void what_was_decoded_can_be_sent_on(void)
{
    static const round_trip rows[] = {SHIPPED_ROUND_TRIPS(ROUND_TRIP_ROW)};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_CHECK(round_trip_row(&rows[i]) > 0);
    }
}

DURE_SUITE(schema_shipped_messages, DURE_TEST(what_was_decoded_can_be_sent_on));
