/* SPDX-License-Identifier: MIT
 *
 * What a client may take of a node: the cost of an attack falls on the connection it comes over,
 * and a client that behaves keeps its answers meanwhile.
 */
#include "base/mem.h"
#include "sim_node.h"

#define CLIENTS 12u

static void few_calls(dure_registry_settings *settings)
{
    settings->client_calls_per_s = 10;
    settings->client_calls_burst = 20;
}

static void calls_beyond_the_rate_are_overloaded(void)
{
    sim_node sim;
    sim_client flooder;
    sim_client other;
    sim_node_open(&sim, few_calls);
    sim_client_open(&flooder, &sim);
    sim_client_open(&other, &sim);
    for (int i = 0; i < 20; i++) {
        sim_client_ask(&flooder, "hello", "mina", 4);
    }
    sim_node_run(&sim, 20);
    DURE_CHECK(!sim_client_saw(&flooder, "OVERLOADED"));
    DURE_CHECK(sim_client_hears(&flooder, "hello", "mina", "OVERLOADED"));
    DURE_CHECK(sim_client_hears(&other, "hello", "mina", "mina"));
    sim_node_run(&sim, 1000);
    DURE_CHECK(sim_client_hears(&flooder, "hello", "mina", "mina")); /* and it lives on */
    sim_client_close(&flooder);
    sim_client_close(&other);
    sim_node_close(&sim);
}

static void few_connects(dure_registry_settings *settings)
{
    settings->connects_per_s = 1;
    settings->connects_burst = 4;
    settings->address_exempt.count = 0;
}

static void few_connects_elsewhere(dure_registry_settings *settings)
{
    few_connects(settings);
    dure_net_networks_init_loopback(&settings->address_exempt);
}

static unsigned open_clients(sim_node *sim, sim_client clients[CLIENTS])
{
    unsigned alive = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_client_dial(&clients[i], sim);
    }
    sim_node_run(sim, 50);
    for (size_t i = 0; i < CLIENTS; i++) {
        alive += clients[i].session != NULL ? 1 : 0;
    }
    return alive;
}

static void close_clients(sim_client clients[CLIENTS])
{
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_client_close(&clients[i]);
    }
}

static void an_address_that_connects_too_often_is_turned_away(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_client late;
    sim_node_open(&sim, few_connects);
    unsigned alive = open_clients(&sim, clients);
    DURE_CHECK(alive >= 4 && alive < CLIENTS);
    DURE_CHECK_EQ(dure_node_client_count(sim.node), alive);
    sim_node_run(&sim, 1500);
    sim_client_open(&late, &sim);
    DURE_CHECK(sim_client_hears(&late, "hello", "mina", "mina"));
    sim_client_close(&late);
    close_clients(clients);
    sim_node_close(&sim);
}

static void the_loopback_is_exempt_unless_it_is_said(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_node_open(&sim, few_connects_elsewhere);
    DURE_CHECK_EQ(open_clients(&sim, clients), CLIENTS);
    close_clients(clients);
    sim_node_close(&sim);
}

static unsigned count_lines(const sim_node *sim, const char *text)
{
    unsigned count = 0;
    for (size_t i = 0; i + strlen(text) <= sim->log_text.len; i++) {
        count += memcmp(sim->log_text.data + i, text, strlen(text)) == 0 ? 1 : 0;
    }
    return count;
}

static void who_is_turned_away_is_told_and_counted(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_node_open(&sim, few_connects);
    unsigned alive = open_clients(&sim, clients);
    for (size_t i = 0; i < CLIENTS; i++) {
        DURE_CHECK_EQ(sim_client_saw(&clients[i], "closing\x92\xaaOVERLOADED"),
                      clients[i].session == NULL);
    }
    DURE_CHECK_EQ(sim.role->opened, alive); /* the role never hears of the others */
    DURE_CHECK_EQ(sim.role->closed, 0);
    DURE_CHECK_EQ(count_lines(&sim, "CONNECTIONS_REFUSED"), 1);
    DURE_CHECK(sim_node_logged(&sim, "limit=RATE address=127.0.0.1:"));
    sim_node_run(&sim, 11000);
    char rest[32];
    (void)snprintf(rest, sizeof rest, "count=%u\n", CLIENTS - alive - 1);
    DURE_CHECK_EQ(count_lines(&sim, "CONNECTIONS_REFUSED"), 2);
    DURE_CHECK(sim_node_logged(&sim, rest));
    sim_node_run(&sim, 60000);
    DURE_CHECK_EQ(count_lines(&sim, "CONNECTIONS_REFUSED"), 2);
    close_clients(clients);
    sim_node_close(&sim);
}

/* ---- strangers ---- */

static void short_login(dure_registry_settings *settings)
{
    settings->client_login_ms = 10000;
    settings->call_deadline_ms = 3000;
}

static void who_does_not_log_in_in_time_is_closed(void)
{
    sim_node sim;
    sim_client stranger;
    sim_client player;
    sim_client former;
    sim_node_open(&sim, short_login);
    sim_client_open(&former, &sim);
    uint64_t id = sim.role->last_client;
    DURE_CHECK(sim_client_hears(&former, "enter", NULL, "\xc3"));
    sim_client_open(&stranger, &sim);
    sim_client_open(&player, &sim);
    DURE_CHECK(sim_client_hears(&player, "enter", NULL, "\xc3"));
    for (int second = 0; second < 9; second++) {
        DURE_CHECK(sim_client_hears(&stranger, "hello", "mina", "mina")); /* talk buys no time */
        sim_node_run(&sim, 1000);
    }
    DURE_CHECK(stranger.session != NULL);
    dure_node_client_set_logged_in(sim.node, id, false);
    sim_node_run(&sim, 1000);
    DURE_CHECK(stranger.session == NULL);
    DURE_CHECK(sim_client_saw(&stranger, "closing\x92\xadNOT_LOGGED_IN"));
    sim_node_run(&sim, 8500);
    DURE_CHECK(former.session != NULL); /* its time began with the logout */
    sim_node_run(&sim, 1000);
    DURE_CHECK(former.session == NULL);
    sim_node_run(&sim, 600000);
    DURE_CHECK(player.session != NULL);
    sim_client_close(&stranger);
    sim_client_close(&player);
    sim_client_close(&former);
    sim_node_close(&sim);
}

static void a_login_under_way_at_the_end_of_the_time_is_waited_for(void)
{
    for (int succeeds = 0; succeeds < 2; succeeds++) {
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, short_login);
        sim_client_open(&client, &sim);
        DURE_CHECK(sim_client_hears(&client, "hello", "mina", "mina"));
        sim_node_run(&sim, 9000);
        sim_client_ask(&client, "admit", NULL, 0);
        sim_node_run(&sim, 2000);
        DURE_CHECK(client.session != NULL);
        if (succeeds == 1) {
            DURE_REQUIRE(sim.role->admitting != NULL);
            greeter_admit(sim.role, true);
        }
        sim_node_run(&sim, 3000); /* past the deadline of the login */
        DURE_CHECK_EQ(client.session != NULL, succeeds == 1);
        sim_client_close(&client);
        sim_node_close(&sim);
    }
}

static void no_time_to_log_in(dure_registry_settings *settings)
{
    settings->client_login_ms = 0;
}

static void strangers_may_stay_where_that_is_wanted(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, no_time_to_log_in);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "hello", "mina", "mina"));
    sim_node_run(&sim, 600000);
    DURE_CHECK(client.session != NULL);
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void six_clients(dure_registry_settings *settings)
{
    settings->clients_max = 6;
}

/* The first two log in, so the third is the stranger that came first. */
static void a_full_port_closes_the_stranger_that_came_first(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_node_open(&sim, six_clients);
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_client_open(&clients[i], &sim); /* each gets in */
        if (i < 2) {
            DURE_CHECK(sim_client_hears(&clients[i], "enter", NULL, "\xc3"));
        } else {
            DURE_CHECK(sim_client_hears(&clients[i], "hello", "mina", "mina"));
        }
        size_t gone = i < 6 ? 0 : i - 5;
        for (size_t j = 0; j <= i; j++) {
            bool is_gone = j >= 2 && j < 2 + gone;
            DURE_CHECK_EQ(clients[j].session == NULL, is_gone);
            DURE_CHECK_EQ(sim_client_saw(&clients[j], "closing\x92\xaaOVERLOADED"), is_gone);
        }
    }
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 6);
    DURE_CHECK(sim_node_logged(&sim, "limit=FULL"));
    close_clients(clients);
    sim_node_close(&sim);
}

static void few_strangers(dure_registry_settings *settings)
{
    settings->strangers_per_address = 3;
    settings->address_exempt.count = 0;
}

static void few_strangers_elsewhere(dure_registry_settings *settings)
{
    settings->strangers_per_address = 3; /* and the loopback is exempt */
}

/* The first has its login under way and is passed over, whether the port is full or the address has
 * too many. */
static void a_login_under_way_is_not_cut_for_a_newcomer(void)
{
    static const sim_settings_fn settings[] = {six_clients, few_strangers};
    for (size_t i = 0; i < DURE_COUNT_OF(settings); i++) {
        sim_node sim;
        sim_client clients[CLIENTS];
        sim_node_open(&sim, settings[i]);
        sim_client_open(&clients[0], &sim);
        sim_client_ask(&clients[0], "admit", NULL, 0);
        for (size_t j = 1; j < CLIENTS; j++) {
            sim_client_open(&clients[j], &sim);
        }
        DURE_CHECK(clients[0].session != NULL);
        DURE_CHECK(clients[1].session == NULL);
        DURE_REQUIRE(sim.role->admitting != NULL);
        greeter_admit(sim.role, true);
        DURE_CHECK(sim_client_hears(&clients[0], "secret", NULL, "forty-two"));
        close_clients(clients);
        sim_node_close(&sim);
    }
}

static void where_all_have_logged_in_the_newcomer_is_told(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_node_open(&sim, six_clients);
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_client_dial(&clients[i], &sim);
        if (i < 6) {
            DURE_CHECK(sim_client_hears(&clients[i], "enter", NULL, "\xc3"));
        } else {
            sim_node_run(&sim, 50);
            DURE_CHECK(clients[i].session == NULL);
            DURE_CHECK(sim_client_saw(&clients[i], "closing\x92\xaaOVERLOADED"));
        }
    }
    DURE_CHECK_EQ(sim.role->opened, 6);
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 6);
    close_clients(clients);
    sim_node_close(&sim);
}

static void an_address_has_only_so_many_strangers(void)
{
    for (int is_exempt = 0; is_exempt < 2; is_exempt++) {
        sim_node sim;
        sim_client clients[CLIENTS];
        sim_node_open(&sim, is_exempt == 1 ? few_strangers_elsewhere : few_strangers);
        for (size_t i = 0; i < CLIENTS; i++) {
            sim_client_open(&clients[i], &sim);
            if (i < 5) {
                DURE_CHECK(
                    sim_client_hears(&clients[i], "enter", NULL, "\xc3")); /* count no more */
            }
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            bool stays = is_exempt == 1 || i < 5 || i >= CLIENTS - 3;
            DURE_CHECK_EQ(clients[i].session != NULL, stays);
            DURE_CHECK_EQ(sim_client_saw(&clients[i], "closing\x92\xaaOVERLOADED"), !stays);
        }
        DURE_CHECK_EQ(sim_node_logged(&sim, "limit=ADDRESS"), is_exempt == 0);
        /* One that logs out counts again, and the oldest of four strangers makes room for it. */
        if (is_exempt == 0) {
            dure_node_client_set_logged_in(sim.node, sim.role->last_client, true);
            dure_node_client_set_logged_in(sim.node, sim.role->last_client, false);
            sim_node_run(&sim, 50);
            DURE_CHECK_EQ(dure_node_client_count(sim.node), 8);
        }
        close_clients(clients);
        sim_node_close(&sim);
    }
}

/* Silent ones, each renewed as soon as it is cut: whoever wants to log in still does. */
static void those_who_hold_places_keep_nobody_out(void)
{
    enum { PLACES = 6, ROUNDS = 100 };
    sim_node sim;
    sim_client hogs[CLIENTS];
    sim_node_open(&sim, six_clients);
    for (size_t i = 0; i < CLIENTS; i++) {
        sim_client_dial(&hogs[i], &sim);
    }
    for (int round = 0; round < ROUNDS; round++) {
        sim_client honest;
        for (size_t i = 0; i < CLIENTS; i++) {
            if (hogs[i].session == NULL) {
                sim_client_close(&hogs[i]);
                sim_client_dial(&hogs[i], &sim);
            }
        }
        sim_client_open(&honest, &sim);
        DURE_CHECK(sim_client_hears(&honest, "enter", NULL, "\xc3"));
        DURE_CHECK(sim_client_hears(&honest, "secret", NULL, "forty-two"));
        sim_client_close(&honest);
        DURE_CHECK(dure_node_client_count(sim.node) <= PLACES + 2);
    }
    close_clients(hogs);
    sim_node_close(&sim);
}

static void a_message_must_end_within_its_time(void)
{
    static const char begun[] = "\x94\x00\x07\xa5hello\x91\xd9\xc8";
    sim_node sim;
    sim_client slow;
    sim_client other;
    sim_node_open(&sim, NULL);
    sim_client_open(&slow, &sim);
    sim_client_open(&other, &sim);
    DURE_CHECK(sim_client_hears(&slow, "hello", "mina", "mina"));
    DURE_CHECK(sim_client_hears(&other, "hello", "mina", "mina"));
    sim_client_send(&slow, begun, sizeof begun - 1);
    for (int second = 0; second < 9; second++) {
        sim_client_send(&slow, "a", 1); /* a byte a second does not buy time */
        sim_node_run(&sim, 1000);
        DURE_CHECK(slow.session != NULL);
    }
    sim_node_run(&sim, 1500);
    DURE_CHECK(slow.session == NULL);
    DURE_CHECK(sim_client_saw(&slow, "SLOW"));
    DURE_CHECK(sim_client_hears(&other, "hello", "mina", "mina"));
    sim_client_close(&slow);
    sim_client_close(&other);
    sim_node_close(&sim);
}

/* Whoever always has a message under way is not slow, as long as each of them ends in time. */
static void each_message_has_a_time_of_its_own(void)
{
    static const char rest[] =
        "\x00\x07\xa5hello\x91\xa4mina\x94"; /* and the next one's first byte */
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, NULL);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc3"));
    sim_client_send(&client, "\x94", 1);
    for (int i = 0; i < 6; i++) {
        sim_node_run(&sim, 4000);
        DURE_REQUIRE(client.session != NULL);
        sim_client_forget(&client);
        sim_client_send(&client, rest, sizeof rest - 1);
        sim_node_run(&sim, 20);
        DURE_CHECK(sim_client_saw(&client, "mina"));
    }
    sim_node_run(&sim, 10500);
    DURE_CHECK(client.session == NULL);
    DURE_CHECK(sim_client_saw(&client, "SLOW"));
    sim_client_close(&client);
    sim_node_close(&sim);
}

/* Notifications of 64 KiB for the one client of the node, which does not read. */
static void push_to_the_only_client(sim_node *sim, unsigned count)
{
    uint64_t id = sim->role->last_client;
    uint8_t *bytes = dure_mem_alloc(65536);
    DURE_REQUIRE(bytes != NULL);
    memset(bytes, 0xc0, 65536);
    bytes[0] = 0xdd; /* an array of nils */
    bytes[1] = 0;
    bytes[2] = 0;
    bytes[3] = 0xff;
    bytes[4] = 65536 - 5 - 0xff00;
    for (unsigned i = 0; i < count; i++) {
        dure_err err =
            dure_node_client_notify(sim->node, id, dure_str_of("push"), (dure_slice){bytes, 65536});
        (void)err; /* one that is cut meanwhile is what the test waits for */
        sim_node_run(sim, 5);
    }
    dure_mem_free(bytes);
}

static void a_slow_reader_is_cut(void)
{
    static const struct {
        unsigned pushes; /* of 64 KiB */
        uint32_t stays_ms;
        uint32_t gone_ms;
    } rows[] = {{12, 3000, 6000}, {64, 0, 50}};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, NULL);
        sim_client_open(&client, &sim);
        DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc3"));
        dure_session_pause_recv(client.session);
        push_to_the_only_client(&sim, rows[i].pushes);
        sim_node_run(&sim, rows[i].stays_ms);
        DURE_CHECK_EQ(dure_node_client_count(sim.node), rows[i].stays_ms > 0 ? 1 : 0);
        sim_node_run(&sim, rows[i].gone_ms);
        DURE_CHECK_EQ(dure_node_client_count(sim.node), 0);
        DURE_CHECK_ERR(sim.role->close_cause, DURE_ERR_SLOW);
        sim_client_close(&client);
        sim_node_close(&sim);
    }
}

static void small_queue(dure_registry_settings *settings)
{
    settings->client_queue_bytes = 65536;
    settings->client_queue_soft_bytes = 65536;
}

/* The largest answer that a queue can hold comes whole; of a larger one the caller is told, and the
 * connection lives. */
static void an_answer_that_no_queue_holds_is_an_error(void)
{
    static const struct {
        const char *method;
        size_t bytes;
        const char *seen;
        size_t least;
    } rows[] = {
        {"fill", 65529, "xxxx", 65536}, /* with four bytes of the message and three of the str */
        {"fill", 65530, "INTERNAL", 32},    {"fill", 3000000, "INTERNAL", 32},
        {"fault", 65517, "WEATHER", 65536}, /* and [code, name] */
        {"fault", 65518, "WEATHER", 32},    {"fault", 3000000, "\xcd\x04\xd2\xa7WEATHER", 32},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        sim_node sim;
        sim_client client;
        sim_node_open(&sim, small_queue);
        sim_client_open(&client, &sim);
        sim.role->fill_bytes = rows[i].bytes;
        DURE_CHECK(sim_client_hears(&client, rows[i].method, NULL, rows[i].seen));
        DURE_CHECK_EQ(client.received.len >= rows[i].least, true);
        DURE_CHECK_EQ(client.received.len == 65536, rows[i].least == 65536);
        DURE_CHECK_EQ(sim_node_logged(&sim, "ANSWER_TOO_LARGE"), rows[i].least != 65536);
        DURE_CHECK_EQ(sim_node_logged(&sim, rows[i].method), rows[i].least != 65536);
        DURE_CHECK(sim_client_hears(&client, "hello", "mina", "mina"));
        sim_client_close(&client);
        sim_node_close(&sim);
    }
}

static void a_notification_that_no_queue_holds_is_not_sent(void)
{
    sim_node sim;
    sim_client client;
    uint8_t *bytes = dure_mem_alloc(65530);
    DURE_REQUIRE(bytes != NULL);
    memset(bytes, 0xc0, 65530);
    memcpy(bytes, "\x92\xc0\xc5\xff\xf4", 5); /* [nil, a bin of 65,524] */
    sim_node_open(&sim, small_queue);
    sim_client_open(&client, &sim);
    dure_str method = dure_str_of("push");
    uint64_t id = sim.role->last_client;
    DURE_CHECK_ERR(dure_node_client_notify(sim.node, id, method, (dure_slice){bytes, 65530}),
                   DURE_ERR_TOO_LARGE);
    sim_node_run(&sim, 50);
    DURE_CHECK_EQ(client.received.len, 0);
    DURE_CHECK(sim_node_logged(&sim, "method=push"));
    DURE_CHECK_OK(dure_node_client_notify(sim.node, id, method, (dure_slice){bytes, 65529}));
    sim_node_run(&sim, 50);
    DURE_CHECK_EQ(client.received.len, 65536);
    DURE_CHECK(sim_client_hears(&client, "hello", "mina", "mina"));
    sim_client_close(&client);
    sim_node_close(&sim);
    dure_mem_free(bytes);
}

static void no_memory(dure_registry_settings *settings)
{
    settings->memory_limit_mib = 1; /* less than this program has */
}

static void no_logins(dure_registry_settings *settings)
{
    settings->memory_limit_mib = 16777216;
    settings->login_memory_percent = 0; /* reached by whatever there is */
}

static void short_of_memory_nobody_new_is_served(void)
{
    sim_node sim;
    sim_client client;
    sim_node_open(&sim, no_logins);
    sim_client_open(&client, &sim);
    DURE_CHECK(sim_client_hears(&client, "enter", NULL, "\xc3"));
    sim_node_run(&sim, 1500); /* now the node has looked */
    sim_client stranger;
    sim_client_open(&stranger, &sim);
    DURE_CHECK(sim_client_hears(&stranger, "enter", NULL, "OVERLOADED"));
    DURE_CHECK(sim_client_hears(&client, "secret", NULL, "forty-two"));
    sim_client_close(&stranger);
    sim_client_close(&client);
    sim_node_close(&sim);
}

static void at_the_limit_of_memory_connections_go(void)
{
    sim_node sim;
    sim_client clients[CLIENTS];
    sim_node_open(&sim, no_memory);
    (void)open_clients(&sim, clients);
    sim_node_run(&sim, 1500);
    DURE_CHECK_EQ(sim.role->opened, CLIENTS);
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 0); /* strangers all */
    DURE_CHECK_ERR(sim.role->close_cause, DURE_ERR_OVERLOADED);
    close_clients(clients);
    sim_node_close(&sim);
}

/* Of eight players one goes at each look, the newest, and is told; strangers go at the first. */
static void at_the_limit_of_memory_few_players_go_at_a_time(void)
{
    enum { PLAYERS = 8 };
    sim_node sim;
    sim_client clients[PLAYERS];
    sim_node_open(&sim, no_memory);
    for (size_t i = 0; i < PLAYERS; i++) {
        sim_client_open(&clients[i], &sim);
        dure_node_client_set_logged_in(sim.node, sim.role->last_client, true);
    }
    for (uint32_t look = 1; look <= 2; look++) {
        sim_node_run(&sim, look == 1 ? 500 : 1000);
        for (size_t i = 0; i < PLAYERS; i++) {
            DURE_CHECK_EQ(clients[i].session == NULL, i >= PLAYERS - look);
            DURE_CHECK_EQ(sim_client_saw(&clients[i], "closing\x92\xaaOVERLOADED"),
                          i >= PLAYERS - look);
        }
    }
    for (size_t i = 0; i < PLAYERS; i++) {
        sim_client_close(&clients[i]);
    }
    sim_node_close(&sim);
}

/* Garbage, half messages and lengths that nobody sends; the other one's calls keep their answers.
 */
static void attackers_pay_themselves(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } attacks[] = {
        {"\xc1\xc1\xc1\xc1", 4},
        {"\x94\x00", 2},
        {"\xdd\xff\xff\xff\xff", 5},
        {"\x94\x00\x01\xa1x\x91\xc6\x7f\xff\xff\xff", 11},
        {"\x94\x00\x01\xdb\xff\xff\xff\xff", 8},
        {"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", 17},
    };
    sim_node sim;
    sim_client good;
    sim_node_open(&sim, NULL);
    sim_client_open(&good, &sim);
    DURE_CHECK(sim_client_hears(&good, "enter", NULL, "\xc3"));
    for (int round = 0; round < 60; round++) {
        sim_client attackers[DURE_COUNT_OF(attacks)];
        for (size_t i = 0; i < DURE_COUNT_OF(attacks); i++) {
            sim_client_open(&attackers[i], &sim);
            sim_client_send(&attackers[i], attacks[i].bytes, attacks[i].len);
        }
        DURE_CHECK(sim_client_hears(&good, "secret", NULL, "forty-two"));
        for (size_t i = 0; i < DURE_COUNT_OF(attacks); i++) {
            sim_client_close(&attackers[i]);
        }
    }
    DURE_CHECK(sim_client_hears(&good, "secret", NULL, "forty-two"));
    DURE_CHECK_EQ(dure_node_client_count(sim.node), 1);
    sim_client_close(&good);
    sim_node_close(&sim);
}

DURE_SUITE(node_limits, DURE_TEST(calls_beyond_the_rate_are_overloaded),
           DURE_TEST(an_address_that_connects_too_often_is_turned_away),
           DURE_TEST(the_loopback_is_exempt_unless_it_is_said),
           DURE_TEST(who_is_turned_away_is_told_and_counted),
           DURE_TEST(who_does_not_log_in_in_time_is_closed),
           DURE_TEST(a_login_under_way_at_the_end_of_the_time_is_waited_for),
           DURE_TEST(strangers_may_stay_where_that_is_wanted),
           DURE_TEST(a_full_port_closes_the_stranger_that_came_first),
           DURE_TEST(a_login_under_way_is_not_cut_for_a_newcomer),
           DURE_TEST(where_all_have_logged_in_the_newcomer_is_told),
           DURE_TEST(an_address_has_only_so_many_strangers),
           DURE_TEST(those_who_hold_places_keep_nobody_out),
           DURE_TEST(a_message_must_end_within_its_time),
           DURE_TEST(each_message_has_a_time_of_its_own), DURE_TEST(a_slow_reader_is_cut),
           DURE_TEST(an_answer_that_no_queue_holds_is_an_error),
           DURE_TEST(a_notification_that_no_queue_holds_is_not_sent),
           DURE_TEST(short_of_memory_nobody_new_is_served),
           DURE_TEST(at_the_limit_of_memory_connections_go),
           DURE_TEST(at_the_limit_of_memory_few_players_go_at_a_time),
           DURE_TEST(attackers_pay_themselves));
