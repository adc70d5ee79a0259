/* SPDX-License-Identifier: MIT
 *
 * A link that carries so little that a large body takes longer than a peer may be silent: it stays
 * up, small calls go past the body, and the body arrives whole.
 */
#include "harness/harness.h"
#include "support/check.h"

#define BODY_BYTES     16777000u
#define PEER_SILENT_MS 3000u
#define SMALL_MS       700u /* on average: 100; 1,080 behind the 4 MiB that the system likes to keep */

/* Heartbeats and silence twice as quick as the defaults, so that this takes seconds. */
static const char cluster[] =
    "{\"cluster\": \"bulk\", \"heartbeat_ms\": 1000, \"peer_timeout_ms\": 3000,"
    " \"call_deadline_ms\": 60000,"
    " \"roles\": {\"source\": {\"program\": \"bulk-source\", \"dials\": [\"sink\"]},"
    "             \"sink\": {\"program\": \"bulk-sink\"}},"
    " \"nodes\": [{\"id\": \"source-1\", \"role\": \"source\", \"client_port\": 1},"
    "             {\"id\": \"sink-1\", \"role\": \"sink\", \"link_port\": 2}]}";

static void crawl(dure_harness *h, void *ctx)
{
    char params[32];
    char wanted[32];
    uint64_t longest_ms = 0;
    uint64_t calls = 0;
    dure_harness_answer answer;
    dure_fault_counters counters;
    (void)ctx;
    (void)snprintf(params, sizeof params, "[%u]", BODY_BYTES);
    (void)snprintf(wanted, sizeof wanted, "%u", BODY_BYTES);
    dure_harness_client *sender = dure_harness_connect(h, "source-1");
    dure_harness_client *asker = dure_harness_connect(h, "source-1");
    dure_harness_expect(asker, "poke", "[]", "42");
    dure_harness_link_fault(h, "source-1", "sink-1", "slow 4000000 to-server");
    uint64_t start_ms = dure_harness_now_ms();
    dure_harness_begin(sender, "push", params);
    do {
        uint64_t asked_ms = dure_harness_now_ms();
        dure_harness_expect(asker, "poke", "[]", "42");
        uint64_t took_ms = dure_harness_now_ms() - asked_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        calls++;
        dure_harness_link_counters(h, "source-1", "sink-1", &counters);
    } while (dure_harness_failure(h) == NULL && counters.bytes[0] < BODY_BYTES);
    dure_harness_finish(sender, 30000, &answer);
    uint64_t took_ms = dure_harness_now_ms() - start_ms;
    DURE_CHECK_STR(answer.json, wanted);
    printf("(%u ms for the body, %u small calls of up to %u ms) ", (unsigned)took_ms,
           (unsigned)calls, (unsigned)longest_ms);
    DURE_CHECK(took_ms > PEER_SILENT_MS); /* else nothing was shown */
    /* The longest may be one for which a busy machine had no time. */
    DURE_CHECK(took_ms <= calls * SMALL_MS);
    DURE_CHECK_EQ(dure_harness_log_lines(h, "source-1", "event=LINK_DOWN"), 0);
    DURE_CHECK_EQ(dure_harness_log_lines(h, "sink-1", "event=LINK_DOWN"), 0);
}

static void a_large_body_crawls_and_the_link_lives(void)
{
    const dure_harness_config config = {.json = cluster};
    DURE_CHECK_EQ(dure_harness_run(&config, crawl, NULL), 0);
}

DURE_SUITE(faults_slow, DURE_TEST(a_large_body_crawls_and_the_link_lives));
