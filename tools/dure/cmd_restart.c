/* SPDX-License-Identifier: MIT
 *
 * dure restart: a rolling restart. One node after the other drains, ends and is started again by
 * its supervisor; the next one follows when it is back and linked as before. In the order of the
 * file, as dure down.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "iocp/system.h"
#include "node.schema.h"
#include "node/process.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"

#define RESTART_LOOK_MS 50u
#define RESTART_BACK_MS 30000u /* beyond the drain, for the start and its links */
#define RESTART_TEXT    256u

static const char restart_help[] =
    "usage: dure restart FILE [--role ROLE] [--node ID] [--json] [--set PATH=VALUE]...\n"
    "\n"
    "Restarts the nodes of FILE that run on this machine under `dure up` or systemd, one after "
    "the\n"
    "other in the order of the file: each drains, ends, is started again, and has its links back\n"
    "before the next one begins. Stops at the first node that does not come back. Exit codes: 0 "
    "all\n"
    "are back, 1 one is not, 2 usage, 78 configuration.\n";

/* What a node says of itself. */
typedef struct node_look {
    uint64_t pid;
    uint32_t peers_up;
} node_look;

static void read_status(const node_status_result *status, node_look *out_look)
{
    size_t at = 0;
    node_peer_info peer;
    *out_look = (node_look){.pid = status->pid};
    while (node_peer_info_list_next(&status->peers, &at, &peer)) {
        out_look->peers_up += dure_str_equal(peer.state, dure_str_of("UP"));
    }
}

/* Fails: as dure_admin_open, PROTOCOL. */
static dure_err look_at(const dure_registry *registry, const char *id, node_look *out_look)
{
    dure_rpc_client *client = NULL;
    dure_rpc_answer answer;
    dure_err err = cluster_open_admin(registry, id, NULL, &client);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_admin_call(client, "status", CLUSTER_TIMEOUT_MS, &answer);
    if (err == DURE_OK) {
        node_status_result status;
        dure_mistake mistake;
        dure_mistake_init(&mistake);
        dure_cursor cursor = dure_cursor_of(answer.value.data, answer.value.len);
        if (answer.is_error || node_decode_status_result(&cursor, &status, &mistake) != DURE_OK) {
            err = DURE_ERR_PROTOCOL;
        } else {
            read_status(&status, out_look);
        }
    }
    dure_rpc_client_destroy(client);
    return err;
}

static void say_err(char *text, dure_err err)
{
    (void)snprintf(text, RESTART_TEXT, "%s",
                   err == DURE_ERR_NOT_FOUND ? "it does not run" : dure_err_text(err));
}

/* The sentence of a [code, name, text]. */
static void say_error(char *text, dure_slice error)
{
    uint32_t count = 0;
    uint32_t code = 0;
    dure_str name = {NULL, 0};
    dure_str said = dure_str_of("it refused");
    dure_cursor cursor = dure_cursor_of(error.data, error.len);
    if (dure_cursor_array(&cursor, &count) != DURE_OK || count != 3 ||
        dure_cursor_u32(&cursor, &code) != DURE_OK || dure_cursor_str(&cursor, &name) != DURE_OK ||
        dure_cursor_str(&cursor, &said) != DURE_OK) {
        said = dure_str_of("it refused");
    }
    (void)snprintf(text, RESTART_TEXT, "%.*s", DURE_STR_ARG(said));
}

/* False: why not stands in text. */
static bool ask_to_restart(const dure_registry *registry, const char *id, char *text)
{
    dure_rpc_client *client = NULL;
    dure_rpc_answer answer = {0};
    dure_err err = cluster_open_admin(registry, id, NULL, &client);
    if (err == DURE_OK) {
        err = dure_admin_call(client, "restart", CLUSTER_TIMEOUT_MS, &answer);
    }
    if (err != DURE_OK) {
        say_err(text, err);
    } else if (answer.is_error) {
        say_error(text, answer.value);
    }
    dure_rpc_client_destroy(client);
    return err == DURE_OK && !answer.is_error;
}

static uint64_t clock_ms(void)
{
    return dure_system_now_ns() / 1000000u;
}

/* Whether another process of the node is up and has as many links as before. */
static bool is_back(const dure_registry *registry, const char *id, const node_look *before,
                    node_look *out_now)
{
    return look_at(registry, id, out_now) == DURE_OK && out_now->pid != before->pid &&
           out_now->peers_up >= before->peers_up;
}

/* What became of it stands in text. */
static bool restart_node(const dure_registry *registry, const char *id, char *text)
{
    const dure_registry_settings *settings = dure_registry_settings_of(registry);
    const uint64_t limit_ms =
        (uint64_t)settings->drain_ms + settings->drain_clients_ms + RESTART_BACK_MS;
    node_look before;
    node_look now = {0};
    dure_err err = look_at(registry, id, &before);
    if (err != DURE_OK) {
        say_err(text, err);
        return false;
    }
    const uint64_t since_ms = clock_ms();
    if (!ask_to_restart(registry, id, text)) {
        return false;
    }
    while (!is_back(registry, id, &before, &now)) {
        if (clock_ms() - since_ms > limit_ms) {
            (void)snprintf(text, RESTART_TEXT,
                           "not back as it was after %" PRIu64 " s (%u links up, %u before)",
                           limit_ms / 1000, now.peers_up, before.peers_up);
            return false;
        }
        dure_process_pause_ms(RESTART_LOOK_MS);
    }
    const uint64_t passed_ms = clock_ms() - since_ms;
    (void)snprintf(text, RESTART_TEXT, "back after %" PRIu64 ".%02u s, pid %" PRIu64,
                   passed_ms / 1000, (unsigned)(passed_ms % 1000 / 10), now.pid);
    return true;
}

static bool is_meant(const cluster_options *options, const dure_registry_node *node)
{
    return (options->role == NULL || strcmp(options->role, node->role) == 0) &&
           (options->node_id == NULL || strcmp(options->node_id, node->id) == 0);
}

static bool show_one(const cluster_options *options, const dure_registry *registry, const char *id,
                     bool is_first)
{
    char text[RESTART_TEXT] = "";
    if (!options->as_json) {
        (void)printf("%-16s drains ...\n", id);
        (void)fflush(stdout);
    }
    bool is_good = restart_node(registry, id, text);
    if (options->as_json) {
        (void)printf("%s{\"id\":\"%s\",\"back\":%s,\"text\":\"%s\"}", is_first ? "" : ",", id,
                     is_good ? "true" : "false", text);
    } else {
        (void)printf("%-16s %s\n", id, text);
    }
    (void)fflush(stdout);
    return is_good;
}

static int restart_all(const cluster_options *options, const dure_registry *registry)
{
    bool is_good = true;
    size_t count = 0;
    (void)printf("%s", options->as_json ? "{\"nodes\":[" : "");
    for (size_t i = 0; i < dure_registry_node_count(registry) && is_good; i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (is_meant(options, node)) {
            is_good = show_one(options, registry, node->id, count++ == 0);
        }
    }
    (void)printf("%s", options->as_json ? "]}\n" : "");
    if (count == 0) {
        (void)fprintf(stderr, "dure restart: %s has no such node\n", options->file);
        return DURE_EXIT_USAGE;
    }
    if (!is_good) {
        (void)fprintf(stderr, "dure restart: stopped there; the nodes behind it run as before\n");
    }
    return is_good ? DURE_EXIT_OK : DURE_EXIT_FAILED;
}

int dure_cmd_restart(int argc, char **argv)
{
    cluster_options options = {.command = "restart", .help = restart_help, .allowed = "jnr"};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_parse(&options, argc, argv, 0, 0, &code)) {
        return code;
    }
    code = cluster_load(&options, &registry);
    if (code == DURE_EXIT_OK) {
        code = restart_all(&options, registry);
    }
    dure_registry_destroy(registry);
    return code;
}
