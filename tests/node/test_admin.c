/* SPDX-License-Identifier: MIT
 *
 * The admin port, with the real system below: only who can read the node's admin.json gets in, and
 * two processes do not share a data folder.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "greeter.h"
#include "net/address.h"
#include "node/rpc_client.h"
#include "support/access.h"
#include "support/check.h"
#include "wire/packer.h"

#define ANSWER_MS 10000u

typedef struct real_node {
    char folder[512];
    char admin_path[600];
    dure_registry *registry;
    dure_iocp_core *core;
    dure_node *node;
    dure_thread *thread;
    int exit_code;
} real_node;

static void real_on_ended(dure_node *node, int exit_code, void *ctx)
{
    real_node *real = ctx;
    (void)node;
    real->exit_code = exit_code;
    dure_iocp_core_stop(real->core);
}

static void real_run(void *ctx)
{
    real_node *real = ctx;
    dure_iocp_core_run(real->core);
}

static void real_make(real_node *real, const char *folder)
{
    dure_registry_builder *builder = NULL;
    dure_iocp_core_config core;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", folder, &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "greeter", "dure-greeter", NULL));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "greeter-1", "greeter", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &real->registry));
    dure_iocp_core_config_init(&core);
    DURE_REQUIRE_OK(dure_iocp_core_create(&core, &real->core));
    dure_node_config config = {
        .registry = real->registry,
        .node_id = "greeter-1",
        .role = &greeter_role,
        .core = real->core,
        .on_ended = real_on_ended,
        .ctx = real,
    };
    DURE_REQUIRE_OK(dure_node_create(&config, &real->node));
    real->exit_code = -1;
}

static void real_open(real_node *real)
{
    *real = (real_node){0};
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", real->folder, sizeof real->folder));
    (void)snprintf(real->admin_path, sizeof real->admin_path, "%s/greeter-1/admin.json",
                   real->folder);
    real_make(real, real->folder);
    DURE_REQUIRE_OK(dure_node_start(real->node));
    DURE_REQUIRE_OK(dure_thread_create("node", real_run, real, &real->thread));
}

static void real_free(real_node *real)
{
    greeter *role = dure_node_state(real->node);
    dure_node_destroy(real->node);
    dure_mem_free(role);
    dure_iocp_core_destroy(real->core);
    dure_registry_destroy(real->registry);
}

static void real_close(real_node *real)
{
    dure_node_stop(real->node);
    dure_thread_join(real->thread);
    DURE_CHECK_EQ(real->exit_code, 0);
    DURE_CHECK(!dure_file_exists(real->admin_path)); /* nobody is sent to a port that is gone */
    real_free(real);
    DURE_CHECK_OK(dure_file_remove_folder(real->folder));
}

/* The port, from admin.json; and the token, 64 digits and a NUL. */
static uint16_t read_admin_file(const real_node *real, char token[65])
{
    dure_buf text;
    unsigned port = 0;
    unsigned long long pid = 0;
    dure_buf_init(&text, 4096);
    DURE_REQUIRE_OK(dure_file_read(real->admin_path, &text));
    DURE_REQUIRE_OK(dure_buf_append(&text, "", 1));
    int found =
        sscanf((const char *)text.data, "{\"port\":%5u,\"token\":\"%64[0-9a-f]\",\"pid\":%20llu}",
               &port, token, &pid);
    DURE_CHECK_EQ(found, 3);
    DURE_CHECK_EQ(strlen(token), 64);
    dure_buf_fini(&text);
    return (uint16_t)port;
}

static dure_rpc_client *dial(const real_node *real, char token[65])
{
    dure_net_address address;
    dure_rpc_client *client = NULL;
    DURE_REQUIRE_OK(dure_net_address_from_ip("127.0.0.1", read_admin_file(real, token), &address));
    DURE_REQUIRE_OK(dure_rpc_client_create(&address, ANSWER_MS, &client));
    return client;
}

/* Calls with one str, or with nothing where text is NULL. */
static dure_err ask(dure_rpc_client *client, const char *method, const char *text,
                    dure_rpc_answer *out_answer)
{
    dure_buf params;
    dure_buf_init(&params, 4096);
    dure_packer packer = dure_packer_of(&params);
    dure_packer_array(&packer, text != NULL ? 1 : 0);
    if (text != NULL) {
        dure_packer_cstr(&packer, text);
    }
    dure_err err = dure_rpc_client_call(
        client, dure_str_of(method), (dure_slice){params.data, params.len}, ANSWER_MS, out_answer);
    dure_buf_fini(&params);
    return err;
}

static bool answer_holds(const dure_rpc_answer *answer, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= answer->value.len; i++) {
        if (memcmp(answer->value.data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

/* One that may ask. */
static dure_rpc_client *dial_with_token(const real_node *real)
{
    char token[65];
    dure_rpc_answer answer;
    dure_rpc_client *client = dial(real, token);
    DURE_REQUIRE_OK(ask(client, "auth", token, &answer));
    DURE_CHECK(!answer.is_error && answer_holds(&answer, "\xc3"));
    return client;
}

static void only_the_owner_may_read_the_token(void)
{
    real_node real;
    char folder[600];
    char token[65];
    real_open(&real);
    DURE_CHECK(access_is_owners_alone(real.admin_path));
    (void)snprintf(folder, sizeof folder, "%s/greeter-1", real.folder);
    DURE_CHECK(access_is_owners_alone(folder));
    DURE_CHECK(read_admin_file(&real, token) > 0);
    real_close(&real);
}

static void who_has_the_token_may_ask(void)
{
    static const struct {
        const char *method;
        const char *text;
        bool is_error;
        const char *expected;
    } rows[] = {
        {"status", NULL, false, "greeter-1"},        {"poke", NULL, false, "\x01"},
        {"hello", "mina", true, "UNKNOWN_METHOD"}, /* a client's */
        {"describe", NULL, true, "UNKNOWN_METHOD"},  {"log_level", "loud", true, "level"},
        {"log_level", "debug", true, "UNAVAILABLE"}, /* this one has no log */
    };
    real_node real;
    dure_rpc_answer answer;
    real_open(&real);
    dure_rpc_client *client = dial_with_token(&real);
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_REQUIRE_OK(ask(client, rows[i].method, rows[i].text, &answer));
        DURE_CHECK_EQ(answer.is_error, rows[i].is_error);
        DURE_CHECK(answer_holds(&answer, rows[i].expected));
    }
    dure_rpc_client_destroy(client);
    real_close(&real);
}

static void who_has_not_is_refused_and_cut(void)
{
    static const struct {
        const char *method;
        const char *text;
    } rows[] = {{"auth", "0123"}, {"auth", NULL}, {"status", NULL}, {"stop", NULL}};
    real_node real;
    char token[65];
    real_open(&real);
    for (size_t i = 0; i <= DURE_COUNT_OF(rows); i++) {
        dure_rpc_answer answer;
        dure_rpc_client *client = dial(&real, token);
        token[63] = token[63] == '0' ? '1' : '0'; /* only the last one is wrong */
        const char *method = i < DURE_COUNT_OF(rows) ? rows[i].method : "auth";
        DURE_REQUIRE_OK(
            ask(client, method, i < DURE_COUNT_OF(rows) ? rows[i].text : token, &answer));
        DURE_CHECK(answer.is_error);
        DURE_CHECK(answer_holds(&answer, "REFUSED"));
        DURE_CHECK(dure_rpc_client_wait(client, ANSWER_MS) != DURE_OK); /* and it is cut */
        dure_rpc_client_destroy(client);
    }
    real_close(&real);
}

/* Longer or shorter by a character, though the rest of it is right. */
static void a_token_has_its_length(void)
{
    for (int longer = 0; longer < 2; longer++) {
        real_node real;
        char token[65];
        char wrong[66];
        dure_rpc_answer answer;
        real_open(&real);
        dure_rpc_client *client = dial(&real, token);
        (void)snprintf(wrong, sizeof wrong, "%.*s%s", longer == 1 ? 64 : 63, token,
                       longer == 1 ? "0" : "");
        DURE_REQUIRE_OK(ask(client, "auth", wrong, &answer));
        DURE_CHECK(answer.is_error);
        DURE_CHECK(answer_holds(&answer, "REFUSED"));
        DURE_CHECK(dure_rpc_client_wait(client, ANSWER_MS) != DURE_OK); /* and it is cut */
        dure_rpc_client_destroy(client);
        real_close(&real);
    }
}

static void stop_ends_the_node(void)
{
    real_node real;
    dure_rpc_answer answer;
    real_open(&real);
    dure_rpc_client *client = dial_with_token(&real);
    DURE_REQUIRE_OK(ask(client, "stop", NULL, &answer));
    DURE_CHECK(!answer.is_error);
    DURE_CHECK(dure_rpc_client_wait(client, ANSWER_MS) != DURE_OK);
    dure_rpc_client_destroy(client);
    real_close(&real);
}

static void an_admin_answer_that_no_queue_holds_is_an_error(void)
{
    real_node real;
    dure_rpc_answer answer;
    real_open(&real);
    ((greeter *)dure_node_state(real.node))->fill_bytes = 2000000; /* client_queue_bytes: 1 MiB */
    dure_rpc_client *client = dial_with_token(&real);
    DURE_REQUIRE_OK(ask(client, "refill", NULL, &answer));
    DURE_CHECK(answer.is_error);
    DURE_CHECK(answer_holds(&answer, "too large"));
    DURE_REQUIRE_OK(ask(client, "status", NULL, &answer));
    DURE_CHECK(answer_holds(&answer, "greeter-1"));
    dure_rpc_client_destroy(client);
    real_close(&real);
}

/* More than admin_connections_max, which say nothing; who has the token gets in all the same. */
static void silent_connections_do_not_hide_the_node(void)
{
    enum { HOGS = 70 };
    real_node real;
    char token[65];
    dure_rpc_client *hogs[HOGS];
    dure_rpc_answer answer;
    real_open(&real);
    dure_rpc_client *first = dial_with_token(&real);
    for (size_t i = 0; i < HOGS; i++) {
        hogs[i] = dial(&real, token);
    }
    dure_rpc_client *client = dial_with_token(&real);
    DURE_REQUIRE_OK(ask(client, "status", NULL, &answer));
    DURE_CHECK(answer_holds(&answer, "greeter-1"));
    DURE_CHECK(dure_rpc_client_wait(hogs[0], ANSWER_MS) != DURE_OK); /* the oldest went */
    DURE_REQUIRE_OK(ask(first, "status", NULL, &answer)); /* not one that has the token */
    DURE_CHECK(answer_holds(&answer, "greeter-1"));
    dure_rpc_client_destroy(first);
    for (size_t i = 0; i < HOGS; i++) {
        dure_rpc_client_destroy(hogs[i]);
    }
    dure_rpc_client_destroy(client);
    real_close(&real);
}

/* Where all have the token the one goes that was silent for longest. One of them, not one for each
 * that comes: who has come in without it goes before all others. */
static void strangers_push_out_one_of_those_who_have_the_token(void)
{
    enum { ADMINS = 64, STRANGERS = 5 }; /* admin_connections_max */
    real_node real;
    char token[65];
    dure_rpc_client *admins[ADMINS];
    dure_rpc_client *strangers[STRANGERS];
    dure_rpc_answer answer;
    unsigned left = 0;
    real_open(&real);
    for (size_t i = 0; i < ADMINS; i++) {
        admins[i] = dial_with_token(&real);
    }
    for (size_t i = 0; i < STRANGERS; i++) {
        strangers[i] = dial(&real, token);
    }
    DURE_CHECK(dure_rpc_client_wait(strangers[STRANGERS - 2], ANSWER_MS) != DURE_OK);
    for (size_t i = 0; i < ADMINS; i++) {
        left += ask(admins[i], "status", NULL, &answer) == DURE_OK ? 1 : 0;
    }
    DURE_CHECK_EQ(left, ADMINS - 1);
    for (size_t i = 0; i < ADMINS; i++) {
        dure_rpc_client_destroy(admins[i]);
    }
    for (size_t i = 0; i < STRANGERS; i++) {
        dure_rpc_client_destroy(strangers[i]);
    }
    real_close(&real);
}

static void a_folder_in_use_is_refused(void)
{
    real_node real;
    real_node second = {0};
    char token[65];
    real_open(&real);
    real_make(&second, real.folder);
    DURE_CHECK_ERR(dure_node_start(second.node), DURE_ERR_EXISTS);
    while (second.exit_code < 0) {
        (void)dure_iocp_core_run_once(second.core, 100);
    }
    DURE_CHECK_EQ(second.exit_code, 1);
    real_free(&second);
    DURE_CHECK(read_admin_file(&real, token) > 0); /* the first one's file is untouched */
    real_close(&real);
}

DURE_SUITE(node_admin, DURE_TEST(only_the_owner_may_read_the_token),
           DURE_TEST(who_has_the_token_may_ask), DURE_TEST(who_has_not_is_refused_and_cut),
           DURE_TEST(a_token_has_its_length), DURE_TEST(stop_ends_the_node),
           DURE_TEST(an_admin_answer_that_no_queue_holds_is_an_error),
           DURE_TEST(silent_connections_do_not_hide_the_node),
           DURE_TEST(strangers_push_out_one_of_those_who_have_the_token),
           DURE_TEST(a_folder_in_use_is_refused));
