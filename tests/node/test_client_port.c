/* SPDX-License-Identifier: MIT
 *
 * The port of the untrusted: every limit of docs/wire.md ends one connection and says why, a
 * stranger reaches nothing that wants a login, and a client that goes takes its requests along.
 */
#include "base/mem.h"
#include "sim_node.h"
#include "support/half_closer.h"

static void a_client_is_answered(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "hello", "mina", "mina"));
    DURE_CHECK_EQ(sim.role->opened, 1);
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 1);
    sim_client_close(&client);
    DURE_CHECK_EQ(sim.role->closed, 1);
    DURE_CHECK_ERR(sim.role->close_cause, DURE_ERR_PEER_CLOSED);
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 0);
    sim_node_close(&sim);
}

static void a_stranger_is_told_to_log_in(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "secret", NULL, "NOT_LOGGED_IN"));
    DURE_CHECK(!sim_client_saw(&client, "forty-two"));
    DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc0\xc3"));
    DURE_CHECK(sim_client_hears(&client, "secret", NULL, "forty-two"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void what_is_wrong_is_named(void)
{
    static const struct {
        const char *method;
        const char *text;
        const char *expected;
    } rows[] = {
        {"nothing", NULL, "UNKNOWN_METHOD"}, {"nothing", NULL, "nothing"},
        {"hello", NULL, "BAD_REQUEST"},      {"hello", "", "name"},
        {"hello", "two words", "name"},      {"hidden", NULL, "UNKNOWN_METHOD"},
        {"poke", NULL, "UNKNOWN_METHOD"},    {"status", NULL, "UNKNOWN_METHOD"},
        {"stop", NULL, "UNKNOWN_METHOD"},    {"describe", NULL, "UNKNOWN_METHOD"},
    };
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_CHECK(sim_client_hears(&client, rows[i].method, rows[i].text, rows[i].expected));
    }
    DURE_CHECK(sim_client_hears(&client, "hello", "still", "still"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* ---- limits ---- */

static void what_is_no_message_ends_the_connection(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *name;
    } rows[] = {
        {"\xc1", 1, "closing"},
        {"\x94\x00\x01\xa1x\x91\xc1", 7, "MALFORMED"},
        {"GET / HTTP/1.1\r\n\r\n", 18, "closing"},
        {"\x94\x05\x01\xa1x\x90", 6, "closing"}, /* another type number */
        {"\x93\x00\x01\xa1x", 5, "closing"},     /* a request of three */
        {"\x94\x00\x01\x05\x90", 5, "closing"},  /* the method is a number */
        {"\x94\x00\x01\xa1x\xc0", 6, "closing"}, /* params are no array */
        {"\x94\x00\xff\xa1x\x90", 6, "closing"}, /* a negative id */
        {"\x94\x01\x01\xc0\xc3", 5, "PROTOCOL"}, /* an answer to nothing */
        {"\xdd\xff\xff\xff\xff", 5, "closing"},  /* four thousand million elements */
        {"\x94\x00\x01\xa1x\x91\xc6\x7f\xff\xff\xff", 11, "TOO_LARGE"},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, NULL);
        sim_client_open(&client, &sim);
        sim_client_send(&client, rows[i].bytes, rows[i].len);
        sim_node_run(&sim, 20);
        DURE_CHECK(client.session == NULL);
        DURE_CHECK(sim_client_saw(&client, "closing"));
        DURE_CHECK(sim_client_saw(&client, rows[i].name));
        DURE_CHECK_EQ(sim.role->closed, 1);
        sim_client_close(&client);
        sim_node_close(&sim);
    }
}

static void nesting_has_a_limit(void)
{
    sim_node sim;
    sim_client client;
    char deep[64] = "\x94\x00\x01\xa1x";
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    memset(deep + 5, 0x91, 40);
    sim_client_send(&client, deep, 45);
    sim_node_run(&sim, 20);
    DURE_CHECK(client.session == NULL);
    DURE_CHECK(sim_client_saw(&client, "TOO_DEEP"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void a_stranger_may_send_less(void)
{
    static const struct {
        size_t len;
        bool is_known;
        bool is_fine;
    } rows[] = {
        {4000, false, true}, {5000, false, false}, {5000, true, true},
        {65000, true, true}, {66000, true, false},
    };
    char *text = dure_mem_alloc(66000);
    DURE_REQUIRE(text != NULL);
    memset(text, 'a', 66000);
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, NULL);
        sim_client_open(&client, &sim);
        if (rows[i].is_known) {
            DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc3"));
        }
        sim_client_forget(&client);
        sim_client_ask(&client, "measure", text, rows[i].len);
        sim_node_run(&sim, 50);
        DURE_CHECK_EQ(client.session != NULL, rows[i].is_fine);
        DURE_CHECK_EQ(sim_client_saw(&client, "TOO_LARGE"), !rows[i].is_fine);
        sim_client_close(&client);
        sim_node_close(&sim);
    }
    dure_mem_free(text);
}

static void single_bytes_make_a_message_too(void)
{
    static const char message[] = "\x94\x00\x07\xa5hello\x91\xa4mina";
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    for (size_t i = 0; i + 1 < sizeof message; i++) {
        sim_client_send(&client, message + i, 1);
        sim_node_run(&sim, 5);
    }
    DURE_CHECK(sim_client_saw(&client, "\x94\x01\x07\xc0\xa4mina"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void the_first_message_comes_within_two_seconds(void)
{
    sim_node sim;
    sim_client silent;
    sim_client slow;
    sim_client quiet;
    sim_node_open(&sim, NULL);
    sim_client_open(&silent, &sim);
    sim_client_open(&slow, &sim);
    sim_client_open(&quiet, &sim);
    DURE_CHECK(sim_client_hears(&quiet, "enter", NULL, "\xc3"));
    sim_client_send(&slow, "\x94", 1);
    sim_node_run(&sim, 1900);
    DURE_CHECK(silent.session != NULL);
    sim_node_run(&sim, 500);
    DURE_CHECK(silent.session == NULL);
    DURE_CHECK(sim_client_saw(&silent, "IDLE"));
    DURE_CHECK(slow.session == NULL);
    sim_node_run(&sim, 600000);
    DURE_CHECK(quiet.session != NULL); /* one that has logged in may be silent */
    sim_client_close(&silent);
    sim_client_close(&slow);
    sim_client_close(&quiet);
    sim_node_close(&sim);
}

static void idle_after_a_minute(dure_registry_settings *settings)
{
    settings->client_idle_ms = 60000;
}

static void the_idle_are_cut_where_it_is_set(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, idle_after_a_minute);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc3"));
    sim_node_run(&sim, 59000);
    DURE_CHECK(client.session != NULL);
    sim_node_run(&sim, 2000);
    DURE_CHECK(client.session == NULL);
    DURE_CHECK(sim_client_saw(&client, "IDLE"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* ---- requests ---- */

static void a_notification_is_served_and_not_answered(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_send(&client,
                    "\x93\x02\xa5"
                    "enter\x90",
                    9);
    sim_client_send(&client,
                    "\x93\x02\xa7"
                    "nothing\x90",
                    11);
    sim_node_run(&sim, 20);
    DURE_CHECK_EQ(client.received.len, 0);
    DURE_CHECK(sim_client_hears(&client, "secret", NULL, "forty-two"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static bool bytes_hold(const dure_buf *bytes, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= bytes->len; i++) {
        if (memcmp(bytes->data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static void who_breaks_off_takes_the_requests_along(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_ask(&client, "later", NULL, 0);
    sim_client_ask(&client, "later", NULL, 0);
    sim_node_run(&sim, 20);
    DURE_CHECK_EQ(sim.role->held_count, 2);
    DURE_CHECK_EQ(dure_rpc_serving(dure_node_rpc(sim.node)), 2);
    dure_session_abort(client.session, DURE_ERR_CLOSED);
    sim_node_run(&sim, 20);
    DURE_CHECK_EQ(sim.role->cancelled, 2);
    DURE_CHECK_EQ(dure_rpc_serving(dure_node_rpc(sim.node)), 0);
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* "hello" is answered at once, what is behind the barrier when it is let in, "later" when it is
 * released, or with its deadline; then the connection ends, and not before. */
static void who_ends_sending_gets_all_answers(void)
{
    static const char words[] = "\x94\x00\x01\xa5hello\x91\xa4mina"
                                "\x94\x00\x02\xa5"
                                "admit\x90"
                                "\x94\x00\x03\xa6secret\x90"
                                "\x94\x00\x04\xa5later\x90";
    for (int is_released = 0; is_released < 2; is_released++) {
        sim_node sim;
        half_closer client;
        dure_net_address address;
        sim_node_open(&sim, NULL);
        DURE_REQUIRE_OK(dure_node_client_address(sim.node, &address));
        half_closer_start(&client, sim.core, &address, words, sizeof words - 1);
        sim_node_run(&sim, 1000);
        DURE_CHECK(client.has_ended);
        DURE_CHECK_EQ(dure_node_client_count(sim.node), 1);
        DURE_REQUIRE(sim.role->admitting != NULL);
        greeter_admit(sim.role, true);
        sim_node_run(&sim, 1000);
        DURE_CHECK(bytes_hold(&client.received, "forty-two"));
        DURE_CHECK(!client.is_over);
        if (is_released) {
            greeter_release(sim.role);
            sim_node_run(&sim, 50);
        } else {
            sim_node_run(&sim, 6000);
            DURE_CHECK(bytes_hold(&client.received, "DEADLINE"));
        }
        DURE_CHECK(client.is_over);
        DURE_CHECK_ERR(client.status, DURE_ERR_PEER_CLOSED);
        DURE_CHECK(bytes_hold(&client.received, "mina"));
        DURE_CHECK(bytes_hold(&client.received, "\x94\x01\x04"));
        DURE_CHECK_EQ(sim.role->closed, 1);
        DURE_CHECK_ERR(sim.role->close_cause, DURE_ERR_PEER_CLOSED);
        half_closer_close(&client);
        sim_node_close(&sim);
        half_closer_fini(&client);
    }
}

static void one_client_cannot_ask_without_end(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    for (int i = 0; i < 1024; i++) {
        sim_client_ask(&client, "later", NULL, 0);
    }
    sim_node_run(&sim, 50);
    DURE_CHECK_EQ(sim.role->held_count, 1024);
    DURE_CHECK_EQ(client.received.len, 0);
    DURE_CHECK(sim_client_hears(&client, "later", NULL, "OVERLOADED"));
    DURE_CHECK_EQ(sim.role->held_count, 1024);
    DURE_CHECK(client.session != NULL);
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void a_request_without_an_answer_meets_its_deadline(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_ask(&client, "later", NULL, 0);
    sim_node_run(&sim, 60000);
    DURE_CHECK(sim_client_saw(&client, "DEADLINE"));
    DURE_CHECK_EQ(sim.role->cancelled, 1);
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* What stands behind a barrier in the same packet, and what of it is answered once the barrier has
 * let the client in, and once it has not. The large one has more bytes than a stranger may send. */
static void calls_behind_a_barrier_meet_what_it_leaves(void)
{
    enum { LARGE = 5000 };
    static const struct {
        const char *method;
        bool is_large;
        const char *known;
        const char *refused;
    } rows[] = {
        {"secret", false, "forty-two", "NOT_LOGGED_IN"},
        {"hello", false, "mina", "mina"},
        {"enter", false, "\x94\x01\x02\xc0\xc3", "\x94\x01\x02\xc0\xc3"},
        {"nothing", false, "UNKNOWN_METHOD", "UNKNOWN_METHOD"},
        {"measure", true, "\x94\x01\x02\xc0\xcd\x13\x88", "TOO_LARGE"},
    };
    char text[LARGE];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < 2 * DURE_COUNT_OF(rows); i++) {
        const char *method = rows[i / 2].method;
        bool is_known = i % 2 == 0;
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, NULL);
        sim_client_open(&client, &sim);
        sim_client_ask(&client, "admit", NULL, 0);
        if (rows[i / 2].is_large) {
            sim_client_ask(&client, method, text, sizeof text);
        } else {
            sim_client_ask(&client, method, strcmp(method, "hello") == 0 ? "mina" : NULL, 4);
        }
        sim_node_run(&sim, 100);
        DURE_CHECK_EQ(client.received.len, 0);
        DURE_REQUIRE(sim.role->admitting != NULL);
        greeter_admit(sim.role, is_known);
        sim_node_run(&sim, 100);
        DURE_CHECK(sim_client_saw(&client, is_known ? "\x94\x01\x01\xc0\xc3" : "REFUSED"));
        DURE_CHECK(sim_client_saw(&client, is_known ? rows[i / 2].known : rows[i / 2].refused));
        sim_client_close(&client);
        sim_node_close(&sim);
    }
}

/* Each barrier holds back the next one too, and one that meets its deadline lets go. */
static void barriers_are_met_one_after_the_other(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    for (int i = 0; i < 3; i++) {
        sim_client_ask(&client, "admit", NULL, 0);
        sim_client_ask(&client, "secret", NULL, 0);
    }
    sim_node_run(&sim, 100);
    DURE_REQUIRE(sim.role->admitting != NULL);
    DURE_CHECK_EQ(dure_rpc_serving(dure_node_rpc(sim.node)), 1);
    sim_node_run(&sim, 5000);
    DURE_CHECK(sim_client_saw(&client, "DEADLINE"));
    DURE_CHECK(sim_client_saw(&client, "NOT_LOGGED_IN"));
    DURE_CHECK(!sim_client_saw(&client, "forty-two"));
    DURE_CHECK_EQ(sim.role->cancelled, 1);
    DURE_REQUIRE(sim.role->admitting != NULL);
    greeter_admit(sim.role, true);
    sim_node_run(&sim, 100);
    DURE_CHECK(sim_client_saw(&client, "forty-two"));
    sim_client_forget(&client);
    DURE_REQUIRE(sim.role->admitting != NULL);
    greeter_admit(sim.role, false); /* one that is known stays it */
    sim_node_run(&sim, 100);
    DURE_CHECK(sim_client_saw(&client, "REFUSED"));
    DURE_CHECK(sim_client_saw(&client, "forty-two"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* A notification is never answered, so nothing that is sent says that it is over. */
static void a_barrier_without_an_answer_lets_go_too(void)
{
    static const char packet[] = "\x93\x02\xa5"
                                 "admit\x90\x94\x00\x07\xa6secret\x90";
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_send(&client, packet, sizeof packet - 1);
    sim_node_run(&sim, 100);
    DURE_CHECK_EQ(client.received.len, 0);
    DURE_REQUIRE(sim.role->admitting != NULL);
    greeter_admit(sim.role, true);
    sim_node_run(&sim, 100);
    DURE_CHECK(sim_client_saw(&client, "\x94\x01\x07\xc0\xa9"
                                       "forty-two"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void who_goes_behind_a_barrier_is_gone_when_it_is_met(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_ask(&client, "admit", NULL, 0);
    sim_client_ask(&client, "later", NULL, 0);
    sim_node_run(&sim, 20);
    sim_client_close(&client);
    sim_node_run(&sim, 6000); /* the deadline of admit */
    DURE_CHECK_EQ(sim.role->closed, 1);
    DURE_CHECK_EQ(sim.role->held_count, 0);
    DURE_CHECK_EQ(dure_rpc_serving(dure_node_rpc(sim.node)), 0);
    sim_node_close(&sim);
}

/* Reading pauses while much waits to go out, and goes on by itself with what had come already. */
static void many_requests_at_once_are_all_answered(void)
{
    enum { REQUESTS = 3000, ANSWER_BYTES = 25 };
    static const char request[] = "\x94\x00\x07\xa5hello\x91\xb4"
                                  "aaaaaaaaaaaaaaaaaaaa";
    sim_node sim;
    sim_client client;
    dure_buf requests;
    dure_buf_init(&requests, 256 * 1024);
    for (int i = 0; i < REQUESTS; i++) {
        DURE_CHECK_OK(dure_buf_append(&requests, request, sizeof request - 1));
    }
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    sim_client_send(&client, requests.data, requests.len);
    sim_node_run(&sim, 5000);
    DURE_CHECK(client.session != NULL);
    DURE_CHECK_EQ(client.received.len, REQUESTS * ANSWER_BYTES);
    sim_client_close(&client);
    sim_node_close(&sim);
    dure_buf_fini(&requests);
}

static void a_stale_client_is_an_error_and_no_more(void)
{
    sim_node sim;
    sim_node_open(&sim, NULL);
    DURE_CHECK_ERR(
        dure_node_client_notify(sim.node, 12345, dure_str_of("x"), (dure_slice){NULL, 0}),
        DURE_ERR_STALE);
    dure_node_client_close(sim.node, 12345, DURE_ERR_TAKEN_OVER, "elsewhere");
    dure_node_client_set_logged_in(sim.node, 12345, true);
    DURE_CHECK(!dure_node_client_is_logged_in(sim.node, 12345));
    sim_node_close(&sim);
}

DURE_SUITE(node_client_port, DURE_TEST(a_client_is_answered),
           DURE_TEST(a_stranger_is_told_to_log_in), DURE_TEST(what_is_wrong_is_named),
           DURE_TEST(what_is_no_message_ends_the_connection), DURE_TEST(nesting_has_a_limit),
           DURE_TEST(a_stranger_may_send_less), DURE_TEST(single_bytes_make_a_message_too),
           DURE_TEST(the_first_message_comes_within_two_seconds),
           DURE_TEST(the_idle_are_cut_where_it_is_set),
           DURE_TEST(a_notification_is_served_and_not_answered),
           DURE_TEST(who_breaks_off_takes_the_requests_along),
           DURE_TEST(who_ends_sending_gets_all_answers),
           DURE_TEST(one_client_cannot_ask_without_end),
           DURE_TEST(a_request_without_an_answer_meets_its_deadline),
           DURE_TEST(calls_behind_a_barrier_meet_what_it_leaves),
           DURE_TEST(barriers_are_met_one_after_the_other),
           DURE_TEST(a_barrier_without_an_answer_lets_go_too),
           DURE_TEST(who_goes_behind_a_barrier_is_gone_when_it_is_met),
           DURE_TEST(many_requests_at_once_are_all_answered),
           DURE_TEST(a_stale_client_is_an_error_and_no_more));
