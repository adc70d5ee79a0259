/* SPDX-License-Identifier: MIT
 *
 * How soon it is known that a peer is gone: one that was killed at once, one that is stopped, or
 * whose link is silent both ways or either way, after 6 to 10 s; and that all of it heals.
 */
#include "base/compiler.h"
#include "clusters.h"
#include "harness/harness.h"
#include "node/process.h"
#include "support/check.h"

#define KILLED_MS       1000u
#define SILENT_FROM_MS  5500u  /* 6 s, less what is said in the last interval before the fault */
#define SILENT_UNTIL_MS 10500u /* 10 s, and what a busy machine adds */
#define LOOK_MS         25u

static void kill_game(dure_harness *h, void *ctx)
{
    (void)ctx;
    uint64_t start_ms = dure_harness_now_ms();
    dure_harness_kill(h, "game-1");
    dure_harness_wait_link(h, "gateway-1", "game-1", false, KILLED_MS);
    dure_harness_wait_link(h, "db-1", "game-1", false, KILLED_MS);
    uint64_t took_ms = dure_harness_now_ms() - start_ms;
    printf("(after %u ms) ", (unsigned)took_ms);
    DURE_CHECK(took_ms <= KILLED_MS);
    dure_harness_start(h, "game-1");
    dure_harness_wait_linked(h, 10000);
}

static void a_killed_peer_is_known_to_be_down_within_a_second(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_THREE("")};
    DURE_CHECK_EQ(dure_harness_run(&config, kill_game, NULL), 0);
}

/* Who ought to see whom go, and why; all of it happens at once. */
typedef struct watch {
    const char *node;
    const char *peer;
    const char *fault;
    uint64_t after_ms; /* 0: not yet */
} watch;

static bool look(dure_harness *h, watch *watches, size_t count, uint64_t start_ms)
{
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        watch *w = &watches[i];
        if (w->after_ms == 0 && !dure_harness_is_linked(h, w->node, w->peer)) {
            w->after_ms = dure_harness_now_ms() - start_ms;
        }
        seen += w->after_ms != 0 ? 1 : 0;
    }
    return seen == count;
}

static void silence_all(dure_harness *h, void *ctx)
{
    watch watches[] = {
        {"gateway-1", "game-1", "stopped", 0},
        {"db-1", "game-1", "stopped", 0},
        {"gateway-1", "game-2", "silent, at the dialer", 0},
        {"game-2", "gateway-1", "silent, at the listener", 0},
        {"gateway-1", "game-3", "one-way to-server, at the dialer", 0},
        {"game-3", "gateway-1", "one-way to-server, at the listener", 0},
        {"game-4", "db-1", "one-way to-client, at the dialer", 0},
        {"db-1", "game-4", "one-way to-client, at the listener", 0},
    };
    uint64_t start_ms = dure_harness_now_ms();
    bool all = false;
    (void)ctx;
    dure_harness_suspend(h, "game-1");
    dure_harness_link_fault(h, "gateway-1", "game-2", "silent");
    dure_harness_link_fault(h, "gateway-1", "game-3", "one-way to-server");
    dure_harness_link_fault(h, "game-4", "db-1", "one-way to-client");
    while (!all && dure_harness_failure(h) == NULL &&
           dure_harness_now_ms() - start_ms < 2u * SILENT_UNTIL_MS) {
        dure_process_pause_ms(LOOK_MS);
        all = look(h, watches, DURE_COUNT_OF(watches), start_ms);
    }
    for (size_t i = 0; i < DURE_COUNT_OF(watches); i++) {
        const watch *w = &watches[i];
        printf("\n    %s of %s: %s: %u ms ", w->node, w->peer, w->fault, (unsigned)w->after_ms);
        if (w->after_ms < SILENT_FROM_MS || w->after_ms > SILENT_UNTIL_MS) {
            (void)dure_harness_fail(h, "%s says that %s (%s) is down after %u ms", w->node, w->peer,
                                    w->fault, (unsigned)w->after_ms);
        }
    }
    /* Links that nothing was done to have stood all the time. */
    dure_harness_check(h, dure_harness_is_linked(h, "gateway-1", "game-5"), "game-5 is linked");
    DURE_CHECK_EQ(dure_harness_log_lines(h, "game-5", "event=LINK_DOWN"), 0);
    dure_harness_continue(h, "game-1");
    dure_harness_link_fault(h, "gateway-1", "game-2", "heal");
    dure_harness_link_fault(h, "gateway-1", "game-3", "heal");
    dure_harness_link_fault(h, "game-4", "db-1", "heal");
    dure_harness_wait_linked(h, 15000);
    dure_harness_client *ada = dure_harness_login(h, "gateway-1", "ada");
    dure_harness_call_until_ok(ada, "inventory", "[]", 5000);
}

static void silence_of_every_kind_is_known_within_ten_seconds(void)
{
    const dure_harness_config config = {.json = CLUSTER_OF_FIVE_GAMES};
    DURE_CHECK_EQ(dure_harness_run(&config, silence_all, NULL), 0);
}

DURE_SUITE(faults_death, DURE_TEST(a_killed_peer_is_known_to_be_down_within_a_second),
           DURE_TEST(silence_of_every_kind_is_known_within_ten_seconds));
