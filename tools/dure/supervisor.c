/* SPDX-License-Identifier: MIT
 *
 * One loop over all children: what they wrote goes to stderr by lines, one that crashed starts
 * again later each time, and the end goes node by node. Nothing in the loop waits for whoever reads
 * stderr, or for one child: the lines go by way of a log writer, and each child is read a share.
 */
#include "tools/dure/supervisor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log_writer.h"
#include "base/mem.h"
#include "iocp/system.h"
#include "node/exit_codes.h"

#define CHILDREN_MAX      4096u
#define LINE_BYTES_MAX    8192u
#define READ_SHARE        65536u /* of one child, before the others and the signals are looked at */
#define READ_LAST         1048576u /* of one that has ended; a process that it left may write on */
#define RING_BYTES        1048576u /* of lines that nobody has read; later ones are dropped */
#define LOOP_MS           100u
#define RESTART_FIRST_MS  250u
#define RESTART_MAX_MS    15000u
#define RESTART_STEADY_MS 10000u /* one that ran so long starts afresh */
#define STOP_ASK_MS       1000u /* over the admin port; meanwhile what nodes write waits with them */
#define STOP_ASK_AGAIN_MS 500u  /* the port may not be open yet */
#define STARTED_MS        3000u /* one that ran so long had started */

/* A node that is to be up. */
typedef struct keeper {
    const char *id;
    child_command command;
    child *process; /* NULL: not running */
    uint64_t started_ms;
    uint64_t restart_at_ms; /* 0: no restart is due */
    uint32_t pause_ms;
    bool has_given_up;
    bool has_started; /* it ran for a while once: what ends it later is a crash, no failed start */
    size_t line_len;
    char line[LINE_BYTES_MAX];
} keeper;

struct supervisor {
    const cluster_options *options;
    const dure_registry *registry;
    child_group *group;
    dure_log_writer *out; /* to stderr */
    keeper **keepers;
    size_t count;
    size_t stopping_at;     /* the keeper that is being stopped */
    uint64_t stop_since_ms; /* 0: it was not asked yet */
    uint64_t ask_at_ms;     /* 0: it has heard */
    int exit_code;
};

static uint64_t clock_ms(void)
{
    return dure_system_now_ns() / 1000000u;
}

static void command_init(child_command *command, const cluster_options *options,
                         const dure_registry *registry, const dure_registry_node *node)
{
    size_t at = 0;
    child_find_program(dure_registry_find_role(registry, node->role)->program, command->program);
    command->args[at++] = ""; /* the program */
    command->args[at++] = "--config";
    command->args[at++] = options->file;
    command->args[at++] = "--node";
    command->args[at++] = node->id;
    for (size_t i = 0; i < options->set_count && at + 3 < CHILD_ARGS_MAX; i++) {
        command->args[at++] = "--set";
        command->args[at++] = options->sets[i];
    }
    command->args[at] = NULL;
}

/* Asks a node over its admin port, where processes cannot be asked. False: it has not heard. */
static bool ask_by_admin(const dure_registry *registry, const char *id, uint64_t pid)
{
    dure_admin_place place;
    dure_rpc_client *client = NULL;
    dure_rpc_answer answer;
    dure_err err = dure_admin_open(dure_registry_data(registry), id, STOP_ASK_MS, &place, &client);
    if (err != DURE_OK) {
        return false;
    }
    /* Another process of the same id may have left the file. */
    err = place.pid == pid ? dure_admin_call(client, "stop", STOP_ASK_MS, &answer)
                           : DURE_ERR_NOT_FOUND;
    dure_rpc_client_destroy(client);
    return err == DURE_OK;
}

static bool ask_to_stop(const dure_registry *registry, const char *id, child *process)
{
    dure_err err = child_ask_to_stop(process);
    return err == DURE_ERR_UNSUPPORTED ? ask_by_admin(registry, id, child_id(process))
                                       : err == DURE_OK;
}

/* ---- one in the foreground ---- */

/* Passes on what asks us to stop; a second time it is at once. */
static int run_until_end(const dure_registry *registry, const char *id, child_group *group,
                         child *process)
{
    child_end end;
    uint64_t ask_at_ms = 0;
    bool has_heard = false;
    while (!child_has_ended(process, &end)) {
        child_group_wait(group, LOOP_MS);
        uint32_t stops = child_group_stops(group);
        if (stops > 1) {
            child_kill(process);
        } else if (stops == 1 && !has_heard && clock_ms() >= ask_at_ms) {
            has_heard = ask_to_stop(registry, id, process);
            ask_at_ms = clock_ms() + STOP_ASK_AGAIN_MS;
        }
    }
    return end.is_exit && end.number <= 255 ? (int)end.number : DURE_EXIT_FAILED;
}

int supervisor_become(const cluster_options *options, const dure_registry *registry,
                      const dure_registry_node *node)
{
    child_command command;
    child_group *group = NULL;
    child *process = NULL;
    int code = DURE_EXIT_FAILED;
    command_init(&command, options, registry, node);
    if (child_become(&command) != DURE_ERR_UNSUPPORTED) {
        return DURE_EXIT_FAILED;
    }
    dure_err err = child_group_create(&group);
    if (err == DURE_OK) {
        err = child_start(group, &command, false, &process);
    }
    if (err == DURE_OK) {
        code = run_until_end(registry, node->id, group, process);
    } else {
        (void)fprintf(stderr, "dure: cannot run %s: %s\n", command.program, dure_err_text(err));
    }
    child_destroy(process);
    child_group_destroy(group);
    return code;
}

/* ---- what we write ---- */

/* A line of a node's, behind its id. */
static void say(supervisor *s, const char *id, const char *format, ...) DURE_PRINTF(3, 4);

static void say(supervisor *s, const char *id, const char *format, ...)
{
    char line[LINE_BYTES_MAX + 512];
    va_list args;
    int len = snprintf(line, sizeof line, "%-12s | ", id);
    if (len < 0 || (size_t)len >= sizeof line - 1) {
        return; /* no id is that long */
    }
    va_start(args, format);
    (void)vsnprintf(line + len, sizeof line - 1 - (size_t)len, format, args);
    va_end(args);
    size_t end = strlen(line);
    line[end] = '\n';
    (void)dure_log_writer_put(s->out, line, end + 1); /* lost ones are told of */
}

/* On the writer's thread. */
static size_t tell_dropped(void *ctx, uint64_t lines, char *out, size_t out_size)
{
    (void)ctx;
    (void)snprintf(out, out_size, "%-12s | -- LOG_DROPPED lines=%" PRIu64 "\n", "dure", lines);
    return strlen(out);
}

/* ---- what a node writes ---- */

static void keeper_flush_line(supervisor *s, keeper *k)
{
    size_t len = k->line_len;
    if (len > 0 && k->line[len - 1] == '\r') {
        len--;
    }
    if (len > 0) {
        say(s, k->id, "%.*s", (int)len, k->line);
    }
    k->line_len = 0;
}

static void keeper_read(supervisor *s, keeper *k, size_t most)
{
    char bytes[4096];
    size_t got;
    for (size_t all = 0; k->process != NULL && all < most; all += got) {
        got = child_read(k->process, bytes, sizeof bytes);
        if (got == 0) {
            return;
        }
        for (size_t i = 0; i < got; i++) {
            if (bytes[i] == '\n' || k->line_len == sizeof k->line) {
                keeper_flush_line(s, k);
            }
            if (bytes[i] != '\n') {
                k->line[k->line_len++] = bytes[i];
            }
        }
    }
}

static void keeper_say_end(supervisor *s, const keeper *k, const child_end *end)
{
    say(s, k->id, "-- %s %s %lu", end->is_exit ? "ended with" : "was ended by", end->word,
        (unsigned long)end->number);
}

/* ---- starting, and starting again ---- */

static void keeper_start(supervisor *s, keeper *k)
{
    k->restart_at_ms = 0;
    dure_err err = child_start(s->group, &k->command, true, &k->process);
    if (err != DURE_OK) {
        say(s, k->id, "-- cannot run %s: %s", k->command.program, dure_err_text(err));
        k->restart_at_ms = clock_ms() + RESTART_MAX_MS;
        return;
    }
    k->started_ms = clock_ms();
}

/* A first start that fails would fail again: its port or its folder is another's. */
static bool is_final(const keeper *k, const child_end *end)
{
    return end->is_exit &&
           ((end->number == DURE_EXIT_FAILED && !k->has_started) || end->number == DURE_EXIT_OK ||
            end->number == DURE_EXIT_USAGE || end->number == DURE_EXIT_CONFIG);
}

static void keeper_plan_restart(supervisor *s, keeper *k, uint64_t now)
{
    if (k->pause_ms == 0 || now - k->started_ms >= RESTART_STEADY_MS) {
        k->pause_ms = RESTART_FIRST_MS;
    }
    k->restart_at_ms = now + k->pause_ms;
    say(s, k->id, "-- will be started again in milliseconds: %lu", (unsigned long)k->pause_ms);
    k->pause_ms = k->pause_ms * 2 < RESTART_MAX_MS ? k->pause_ms * 2 : RESTART_MAX_MS;
}

static void keeper_ended(supervisor *s, keeper *k, const child_end *end)
{
    uint64_t now = clock_ms();
    bool was_asked = end->is_exit && end->number == DURE_EXIT_RESTART;
    bool is_good = was_asked || (end->is_exit && end->number == DURE_EXIT_OK);
    keeper_read(s, k, READ_LAST);
    keeper_flush_line(s, k);
    keeper_say_end(s, k, end);
    child_destroy(k->process);
    k->process = NULL;
    if (child_group_stops(s->group) > 0) {
        s->exit_code = is_good ? s->exit_code : DURE_EXIT_FAILED;
        return;
    }
    k->has_started = k->has_started || now - k->started_ms >= STARTED_MS;
    if (was_asked) { /* no crash, and whoever could be asked had started */
        k->has_started = true;
        k->pause_ms = 0;
        k->restart_at_ms = now;
        say(s, k->id, "-- starts again, as it was asked to");
        return;
    }
    if (is_final(k, end)) {
        k->has_given_up = true;
        s->exit_code = is_good ? s->exit_code : DURE_EXIT_FAILED;
        return;
    }
    keeper_plan_restart(s, k, now);
}

static void hear_all(supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        child_end end;
        keeper *k = s->keepers[i];
        keeper_read(s, k, READ_SHARE);
        if (k->process != NULL && child_has_ended(k->process, &end)) {
            keeper_ended(s, k, &end);
        }
    }
}

static void start_due(supervisor *s)
{
    uint64_t now = clock_ms();
    for (size_t i = 0; i < s->count; i++) {
        keeper *k = s->keepers[i];
        if (k->process == NULL && k->restart_at_ms != 0 && now >= k->restart_at_ms) {
            keeper_start(s, k);
        }
    }
}

static bool all_gave_up(const supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->keepers[i]->has_given_up) {
            return false;
        }
    }
    return true;
}

/* ---- stopping ---- */

static void stop_one(supervisor *s, const keeper *k)
{
    uint64_t now = clock_ms();
    if (s->stop_since_ms == 0) {
        s->stop_since_ms = now;
        s->ask_at_ms = now;
    }
    if (s->ask_at_ms != 0 && now >= s->ask_at_ms) {
        bool has_heard = ask_to_stop(s->registry, k->id, k->process);
        s->ask_at_ms = has_heard ? 0 : clock_ms() + STOP_ASK_AGAIN_MS;
    }
    if (child_group_stops(s->group) > 1 ||
        now - s->stop_since_ms > cluster_stop_ms(s->registry) + CLUSTER_END_MS) {
        child_kill(k->process);
        s->exit_code = DURE_EXIT_FAILED;
    }
}

/* One after the other, so that players leave before the nodes that save them end. True when all
 * have ended. */
static bool stop_step(supervisor *s)
{
    while (s->stopping_at < s->count) {
        const keeper *k = s->keepers[s->stopping_at];
        if (k->process != NULL) {
            stop_one(s, k);
            return false;
        }
        s->stopping_at++;
        s->stop_since_ms = 0;
    }
    return true;
}

/* False when it is over. */
static bool step(supervisor *s)
{
    if (child_group_stops(s->group) > 0) {
        return !stop_step(s);
    }
    if (all_gave_up(s)) {
        return false;
    }
    start_due(s);
    return true;
}

int supervisor_run(supervisor *s)
{
    for (size_t i = s->count; i > 0; i--) {
        keeper_start(s, s->keepers[i - 1]); /* any order would do; this one dials less in vain */
    }
    do {
        child_group_wait(s->group, LOOP_MS);
        hear_all(s);
    } while (step(s));
    return s->exit_code;
}

/* ---- life ---- */

dure_err supervisor_create(const cluster_options *options, const dure_registry *registry,
                           supervisor **out_supervisor)
{
    supervisor *s = dure_mem_alloc(sizeof *s);
    if (s == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    s->options = options;
    s->registry = registry;
    s->keepers = dure_mem_alloc_array(CHILDREN_MAX, sizeof *s->keepers);
    const dure_log_writer_config out = {.ring_bytes = RING_BYTES, .tell = tell_dropped};
    dure_err err = s->keepers == NULL ? DURE_ERR_NO_MEMORY : child_group_create(&s->group);
    if (err == DURE_OK) {
        err = dure_log_writer_create(&out, &s->out); /* a thread: behind the group */
    }
    if (err != DURE_OK) {
        supervisor_destroy(s);
        return err;
    }
    *out_supervisor = s;
    return DURE_OK;
}

dure_err supervisor_add(supervisor *s, const dure_registry_node *node)
{
    if (s->count == CHILDREN_MAX) {
        return DURE_ERR_FULL;
    }
    keeper *k = dure_mem_alloc(sizeof *k);
    if (k == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    k->id = node->id;
    command_init(&k->command, s->options, s->registry, node);
    s->keepers[s->count++] = k;
    return DURE_OK;
}

void supervisor_destroy(supervisor *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        child_destroy(s->keepers[i]->process);
        dure_mem_free(s->keepers[i]);
    }
    dure_log_writer_destroy(s->out);
    child_group_destroy(s->group);
    dure_mem_free(s->keepers);
    dure_mem_free(s);
}
