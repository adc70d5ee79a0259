/* SPDX-License-Identifier: MIT
 *
 * dure restart: a rolling restart. One node after the other drains, ends and is started again by
 * its supervisor; the next one follows when it is back and linked as before. In the order of the
 * file, as dure down.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "iocp/system.h"
#include "node.schema.h"
#include "node/process.h"
#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"
#include "tools/dure/json_msgpack.h"
#include "tools/dure/this_host.h"
#include "wire/packer.h"

#define RESTART_LOOK_MS    50u
#define RESTART_BACK_MS    30000u /* beyond the drain, for the start and its links */
#define RESTART_TEXT       256u
#define RESTART_JSON_BYTES 4096u

static const char restart_help[] =
    "usage: dure restart FILE [--role ROLE] [--node ID] [--timeout MS] [--json]\n"
    "                    [--set PATH=VALUE]...\n"
    "\n"
    "Restarts the nodes of FILE that live on this machine and run under `dure up` or systemd, one\n"
    "after the other in the order of the file, so that gateways, which stand first by habit, come\n"
    "before what lies behind them, and db last: each drains, ends, is started again, and has its\n"
    "links back before the next one begins. Where one does not run, none is touched; at one that\n"
    "does not come back within MS beyond its drain (30000) it stops, and the others run as "
    "before.\n"
    "A second one at the same time is refused.\n"
    "Exit codes: 0 all are back, 1 one is not, 2 usage, 78 configuration.\n";

/* What a node says of itself. */
typedef struct node_look {
    uint64_t pid;
    uint64_t uptime_ms;
    uint32_t peers_up;
} node_look;

/* One node's turn. */
typedef struct restart_turn {
    const char *id;
    bool is_here;
    node_look before;
    const char *outcome; /* for programs */
    uint64_t passed_ms;
    char text[RESTART_TEXT]; /* for people */
} restart_turn;

static void read_status(const node_status_result *status, node_look *out_look)
{
    size_t at = 0;
    node_peer_info peer;
    *out_look = (node_look){.pid = status->pid, .uptime_ms = status->uptime_ms};
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

/* Whether another process of the node is up and has as many links as before. The same number may
 * have been given to it. */
static bool is_back(const dure_registry *registry, const restart_turn *turn, node_look *out_now)
{
    return look_at(registry, turn->id, out_now) == DURE_OK &&
           (out_now->pid != turn->before.pid || out_now->uptime_ms < turn->before.uptime_ms) &&
           out_now->peers_up >= turn->before.peers_up;
}

static void say_missing(restart_turn *turn, const node_look *now, uint64_t limit_ms)
{
    const uint64_t limit_s = limit_ms / 1000;
    if (now->pid == 0) {
        (void)snprintf(turn->text, RESTART_TEXT,
                       "does not answer after %" PRIu64 " s; its log says why", limit_s);
    } else if (now->pid == turn->before.pid) {
        (void)snprintf(turn->text, RESTART_TEXT, "has not ended after %" PRIu64 " s", limit_s);
    } else {
        (void)snprintf(turn->text, RESTART_TEXT,
                       "up after %" PRIu64 " s, but with %u links instead of %u", limit_s,
                       now->peers_up, turn->before.peers_up);
    }
}

static bool wait_until_back(const dure_registry *registry, restart_turn *turn, uint64_t limit_ms)
{
    const uint64_t since_ms = clock_ms();
    node_look now = {0};
    while (!is_back(registry, turn, &now)) {
        turn->passed_ms = clock_ms() - since_ms;
        if (turn->passed_ms > limit_ms) {
            say_missing(turn, &now, limit_ms);
            return false;
        }
        now = (node_look){0};
        dure_process_pause_ms(RESTART_LOOK_MS);
    }
    turn->passed_ms = clock_ms() - since_ms;
    (void)snprintf(turn->text, RESTART_TEXT, "back after %" PRIu64 ".%02u s, pid %" PRIu64,
                   turn->passed_ms / 1000, (unsigned)(turn->passed_ms % 1000 / 10), now.pid);
    return true;
}

static void print_json(const restart_turn *turn, bool is_first)
{
    dure_buf packed;
    dure_buf text;
    dure_buf_init(&packed, RESTART_JSON_BYTES);
    dure_buf_init(&text, RESTART_JSON_BYTES);
    dure_packer packer = dure_packer_of(&packed);
    dure_packer_map(&packer, 4);
    dure_packer_cstr(&packer, "id");
    dure_packer_cstr(&packer, turn->id);
    dure_packer_cstr(&packer, "outcome");
    dure_packer_cstr(&packer, turn->outcome);
    dure_packer_cstr(&packer, "ms");
    dure_packer_u64(&packer, turn->passed_ms);
    dure_packer_cstr(&packer, "text");
    dure_packer_cstr(&packer, turn->text);
    if (packer.status == DURE_OK &&
        json_from_msgpack((dure_slice){packed.data, packed.len}, &text) == DURE_OK) {
        (void)printf("%s%.*s", is_first ? "" : ",", (int)text.len, (const char *)text.data);
    }
    dure_buf_fini(&text);
    dure_buf_fini(&packed);
}

static void print_turn(const cluster_options *options, const restart_turn *turn, bool is_first)
{
    if (options->as_json) {
        print_json(turn, is_first);
    } else {
        (void)printf("%-16s %s\n", turn->id, turn->text);
    }
    (void)fflush(stdout);
}

static bool take_turn(const cluster_options *options, const dure_registry *registry,
                      restart_turn *turn)
{
    if (!turn->is_here) {
        turn->outcome = "elsewhere";
        (void)snprintf(turn->text, RESTART_TEXT, "lives on another machine: not touched");
        return true;
    }
    if (!options->as_json) {
        (void)printf("%-16s drains ...\n", turn->id);
        (void)fflush(stdout);
    }
    bool is_good = ask_to_restart(registry, turn->id, turn->text) &&
                   wait_until_back(registry, turn, cluster_stop_ms(registry) + options->timeout_ms);
    turn->outcome = is_good ? "restarted" : "failed";
    return is_good;
}

/* Says of each that is not up why, before one is touched. */
static bool all_are_up(const cluster_options *options, const dure_registry *registry,
                       restart_turn *turns, size_t count)
{
    bool is_good = true;
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        restart_turn *turn = &turns[i];
        dure_err err = turn->is_here ? look_at(registry, turn->id, &turn->before) : DURE_OK;
        if (err != DURE_OK) {
            turn->outcome = "failed";
            say_err(turn->text, err);
            print_turn(options, turn, is_first);
            is_good = false;
            is_first = false;
        }
    }
    return is_good;
}

static int restart_all(const cluster_options *options, const dure_registry *registry,
                       restart_turn *turns, size_t count)
{
    if (!all_are_up(options, registry, turns, count)) {
        (void)fprintf(stderr, "dure restart: not begun, because not all of them are up\n");
        return DURE_EXIT_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_good = take_turn(options, registry, &turns[i]);
        print_turn(options, &turns[i], i == 0);
        if (!is_good) {
            (void)fprintf(stderr, "dure restart: ended at %s; the others run as before\n",
                          turns[i].id);
            return DURE_EXIT_FAILED;
        }
    }
    return DURE_EXIT_OK;
}

static bool is_meant(const cluster_options *options, const dure_registry_node *node)
{
    return (options->role == NULL || strcmp(options->role, node->role) == 0) &&
           (options->node_id == NULL || strcmp(options->node_id, node->id) == 0);
}

/* turns and is_here: room for each node of the configuration. Returns how many are meant. */
static size_t plan(const cluster_options *options, const dure_registry *registry,
                   const bool *is_here, restart_turn *turns)
{
    size_t count = 0;
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        if (is_meant(options, node)) {
            turns[count++] = (restart_turn){.id = node->id, .is_here = is_here[i]};
        }
    }
    return count;
}

static bool any_is_here(const restart_turn *turns, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = any || turns[i].is_here;
    }
    return any;
}

/* Two at once would have two nodes away at once. */
static bool be_the_only_one(const dure_registry *registry, void **out_lock)
{
    const char *folder = dure_registry_data(registry);
    const dure_err err = dure_folder_lock(folder, out_lock);
    if (err == DURE_ERR_EXISTS) {
        (void)fprintf(stderr, "dure restart: another one is under way, it holds %s/lock\n", folder);
    } else if (err != DURE_OK && err != DURE_ERR_NOT_FOUND) { /* no folder: each says so itself */
        (void)fprintf(stderr, "dure restart: %s/lock: %s\n", folder, dure_err_text(err));
    }
    return err == DURE_OK || err == DURE_ERR_NOT_FOUND;
}

static int run(const cluster_options *options, const dure_registry *registry)
{
    size_t count = dure_registry_node_count(registry);
    bool *is_here = dure_mem_alloc_array(count, sizeof *is_here);
    restart_turn *turns = dure_mem_alloc_array(count, sizeof *turns);
    dure_err err =
        is_here == NULL || turns == NULL ? DURE_ERR_NO_MEMORY : this_host_find(registry, is_here);
    int code = DURE_EXIT_FAILED;
    void *lock = NULL;
    if (err != DURE_OK) {
        (void)fprintf(stderr, "dure restart: %s\n", dure_err_text(err));
        goto out;
    }
    count = plan(options, registry, is_here, turns);
    if (!any_is_here(turns, count)) {
        (void)fprintf(stderr, "dure restart: %s has no such node%s\n", options->file,
                      count == 0 ? "" : " on this machine");
        code = count == 0 ? DURE_EXIT_USAGE : DURE_EXIT_FAILED;
        goto out;
    }
    if (!be_the_only_one(registry, &lock)) {
        goto out;
    }
    (void)printf("%s", options->as_json ? "{\"nodes\":[" : "");
    code = restart_all(options, registry, turns, count);
    (void)printf("%s", options->as_json ? "]}\n" : "");
out:
    dure_folder_unlock(lock);
    dure_mem_free(turns);
    dure_mem_free(is_here);
    return code;
}

int dure_cmd_restart(int argc, char **argv)
{
    cluster_options options = {.command = "restart",
                               .help = restart_help,
                               .allowed = "jnrt",
                               .timeout_ms = RESTART_BACK_MS};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 0, 0, &registry, &code)) {
        return code;
    }
    code = run(&options, registry);
    dure_registry_destroy(registry);
    return code;
}
