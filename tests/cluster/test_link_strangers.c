/* SPDX-License-Identifier: MIT
 *
 * Strangers at a link port: how many there may be, who gives way when one more comes, and that
 * peers whose handshake is over never do.
 */
#include "cluster/cluster_support.h"
#include "cluster/raw_peer.h"
#include "support/check.h"

#define SECRET "sesame, sesame, sesame"
#define PLACES                                                                                     \
    8u /* four for who is silent, four for who said hello; of one address two and two              \
        */
#define MANY 12

typedef struct crowd {
    test_cluster cluster;
    dure_registry *registry;
    test_node *db;
    dure_buf hello;
    raw_peer raws[MANY];
    size_t count;
} crowd;

static void few_places(dure_registry_settings *settings)
{
    settings->link_strangers_max = PLACES;
    settings->handshake_ms = 60000; /* time alone ends nobody here */
}

static void few_places_and_nobody_exempt(dure_registry_settings *settings)
{
    few_places(settings);
    settings->address_exempt.count = 0;
}

static void crowd_init(crowd *c, const char *secret, void (*tune)(dure_registry_settings *settings))
{
    memset(c, 0, sizeof *c);
    test_cluster_init(&c->cluster, secret);
    c->registry = test_registry_tuned("test", secret, tune);
    c->db = test_node_start(&c->cluster, "db-1", c->registry);
    raw_write_hello(&c->cluster, &c->hello);
}

static void crowd_fini(crowd *c)
{
    for (size_t i = 0; i < c->count; i++) {
        raw_stop(&c->raws[i], &c->cluster);
    }
    dure_buf_fini(&c->hello);
    test_cluster_fini(&c->cluster);
    dure_registry_destroy(c->registry);
}

/* So many more, one after the other. */
static void come(crowd *c, size_t count, bool says_hello)
{
    for (size_t i = 0; i < count; i++) {
        raw_peer *raw = &c->raws[c->count++];
        raw->say = says_hello ? c->hello.data : NULL;
        raw->say_len = says_hello ? c->hello.len : 0;
        raw_start(raw, &c->cluster);
        test_run(&c->cluster, 20);
        DURE_CHECK(raw->is_connected);
    }
}

/* From the first on so many are gone, and the others of this range are not. */
static void check_gone(const crowd *c, size_t from, size_t to, size_t gone)
{
    for (size_t i = from; i < to; i++) {
        DURE_CHECK_EQ(c->raws[i].is_over, i < from + gone);
    }
}

static void a_full_port_closes_who_has_been_connected_longest(void)
{
    crowd c;
    crowd_init(&c, NULL, few_places);
    come(&c, 4, false);
    check_gone(&c, 0, 4, 0);
    come(&c, 1, false);
    check_gone(&c, 0, 5, 1);
    come(&c, 5, false);
    check_gone(&c, 0, 10, 6);
    DURE_CHECK_EQ(test_counters_of(c.db).links_shed, 6);
    DURE_CHECK(test_log_has(&c.cluster, "by=us cause=OVERLOADED"));
    /* and an honest one comes in past them */
    test_node *game = test_node_start(&c.cluster, "game-1", NULL);
    test_run(&c.cluster, 20);
    DURE_CHECK_EQ(game->up, 1);
    DURE_CHECK_EQ(test_counters_of(c.db).links_shed, 7);
    crowd_fini(&c);
}

/* It holds no place of theirs, neither of the silent nor of those who said hello. */
static void check_linked_stays(const char *secret)
{
    crowd c;
    crowd_init(&c, secret, few_places);
    test_node *game = test_node_start(&c.cluster, "game-1", NULL);
    test_run(&c.cluster, 20);
    DURE_CHECK_EQ(game->up, 1);
    come(&c, 4, false);
    check_gone(&c, 0, 4, 0);
    come(&c, 2, false);
    check_gone(&c, 0, 6, 2);
    if (secret != NULL) {
        come(&c, 4, true);
        check_gone(&c, 6, 10, 0);
        come(&c, 1, true);
        check_gone(&c, 6, 11, 1);
    }
    DURE_CHECK_EQ(game->down, 0);
    DURE_CHECK_EQ(c.db->down, 0);
    crowd_fini(&c);
}

static void who_is_linked_gives_way_to_nobody(void)
{
    check_linked_stays(NULL);
    check_linked_stays(SECRET);
}

static void who_said_hello_gives_way_only_to_who_did_too(void)
{
    crowd c;
    crowd_init(&c, SECRET, few_places);
    come(&c, 3, true);
    come(&c, 5, false);
    check_gone(&c, 0, 3, 0);
    check_gone(&c, 3, 8, 1);
    come(&c, 2, true);
    check_gone(&c, 0, 3, 1);
    DURE_CHECK(!c.raws[9].is_over);
    crowd_fini(&c);
}

static void an_address_that_is_not_exempt_has_half_of_the_places(void)
{
    crowd c;
    crowd_init(&c, SECRET, few_places_and_nobody_exempt);
    come(&c, 2, false);
    check_gone(&c, 0, 2, 0);
    come(&c, 1, false);
    check_gone(&c, 0, 3, 1);
    come(&c, 3, true);
    check_gone(&c, 3, 6, 1);
    crowd_fini(&c);
}

/* The places are free again when their holders have gone by themselves. */
static void who_goes_gives_its_place_back(void)
{
    crowd c;
    crowd_init(&c, NULL, few_places);
    come(&c, 4, false);
    for (size_t i = 0; i < 4; i++) {
        dure_session_abort(c.raws[i].session, DURE_ERR_CLOSED);
    }
    test_run(&c.cluster, 20);
    come(&c, 4, false);
    check_gone(&c, 4, 8, 0);
    DURE_CHECK_EQ(test_counters_of(c.db).links_shed, 0);
    crowd_fini(&c);
}

/* One that was refused and does not go has its place for as long as its end takes. */
static void who_was_refused_holds_a_place_until_it_is_gone(void)
{
    static const uint8_t garbage[] = "GET / HTTP/1.1\r\n\r\n";
    crowd c;
    crowd_init(&c, NULL, few_places);
    for (size_t i = 0; i < 4; i++) {
        raw_peer *raw = &c.raws[c.count++];
        raw->say = garbage;
        raw->say_len = sizeof garbage - 1;
        raw->is_deaf = true; /* it does not hear that this is the end */
        raw_start(raw, &c.cluster);
        test_run(&c.cluster, 20);
        DURE_CHECK(raw->heard > 0);
    }
    DURE_CHECK_EQ(test_counters_of(c.db).links_refused, 4);
    DURE_CHECK_EQ(test_counters_of(c.db).links_shed, 0);
    come(&c, 3, false);
    DURE_CHECK_EQ(test_counters_of(c.db).links_shed, 3);
    DURE_CHECK_EQ(test_counters_of(c.db).links_refused, 4); /* each is one refusal and no more */
    crowd_fini(&c);
}

DURE_SUITE(cluster_link_strangers, DURE_TEST(a_full_port_closes_who_has_been_connected_longest),
           DURE_TEST(who_is_linked_gives_way_to_nobody),
           DURE_TEST(who_said_hello_gives_way_only_to_who_did_too),
           DURE_TEST(an_address_that_is_not_exempt_has_half_of_the_places),
           DURE_TEST(who_goes_gives_its_place_back),
           DURE_TEST(who_was_refused_holds_a_place_until_it_is_gone));
