/* SPDX-License-Identifier: MIT
 *
 * What is done to a node, whatever it is made of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness_impl.h"
#include "node/admin_client.h"

#define ARGS_MAX  (2u * HARNESS_NODES_MAX + 10u)
#define SET_BYTES 64u

/* ---- starting ---- */

static dure_err node_begin_process(dure_harness *h, harness_node *node)
{
    char program[HARNESS_PATH_MAX];
    char sets[HARNESS_NODES_MAX][SET_BYTES];
    char words[4][16] = {"--config", "--node", "--log-level", "--set"};
    char level[16];
    char id[DURE_NODE_ID_MAX + 1];
    char *args[ARGS_MAX];
    size_t count = 0;
    const char *folder =
        h->config->programs != NULL ? h->config->programs : getenv("DURE_PROGRAMS");
    dure_err err = harness_find_program(node->program, folder, program, sizeof program);
    if (err != DURE_OK) {
        (void)dure_harness_fail(h, "start %s: no program %s in %s, nor along PATH", node->entry->id,
                                node->program,
                                folder != NULL ? folder : "DURE_PROGRAMS (which is not set)");
        return err;
    }
    (void)snprintf(level, sizeof level, "%s",
                   h->config->log_level != NULL ? h->config->log_level : "info");
    (void)snprintf(id, sizeof id, "%s", node->entry->id);
    args[count++] = program;
    args[count++] = words[0];
    args[count++] = h->config_path;
    args[count++] = words[1];
    args[count++] = id;
    args[count++] = words[2];
    args[count++] = level;
    for (size_t i = 0; i < HARNESS_NODES_MAX &&
                       harness_config_set(h, (size_t)(node - h->nodes), i, sets[i], SET_BYTES);
         i++) {
        args[count++] = words[3];
        args[count++] = sets[i];
    }
    args[count] = NULL;
    int system_error = 0;
    err = harness_process_start(args, node->log_path, &system_error, &node->process);
    if (err != DURE_OK) {
        (void)dure_harness_fail(h, "start %s (%s): %s; error %d of the system", node->entry->id,
                                program, dure_err_text(err), system_error);
    }
    return err;
}

bool harness_node_begin(dure_harness *h, harness_node *node)
{
    if (node->process != NULL || node->thread != NULL) {
        return dure_harness_fail(h, "start %s: it runs", node->entry->id);
    }
    dure_err err = h->config->roles != NULL ? harness_thread_start(h, node, &node->thread)
                                            : node_begin_process(h, node);
    return err == DURE_OK ||
           dure_harness_fail(h, "start %s (%s): %s", node->entry->id,
                             h->config->roles != NULL ? node->entry->role : node->program,
                             dure_err_text(err));
}

bool dure_harness_start(dure_harness *h, const char *id)
{
    harness_node *node = harness_find(h, id);
    return node != NULL && harness_node_begin(h, node) &&
           dure_harness_wait_ready(h, id, HARNESS_START_MS);
}

/* ---- ending ---- */

void harness_node_forget_admin(harness_node *node)
{
    dure_rpc_client_destroy(node->admin);
    node->admin = NULL;
}

/* What is left of one that has ended. */
static void node_forget(harness_node *node)
{
    harness_process_destroy(node->process);
    harness_thread_destroy(node->thread);
    node->process = NULL;
    node->thread = NULL;
    harness_node_forget_admin(node);
}

static bool node_wait(harness_node *node, uint32_t ms, int *out_exit_code)
{
    return node->process != NULL ? harness_process_wait(node->process, ms, out_exit_code)
                                 : harness_thread_wait(node->thread, ms, out_exit_code);
}

/* One that runs; NULL, and a failure, where it does not. */
static harness_node *find_running(dure_harness *h, const char *id, const char *what)
{
    harness_node *node = harness_find(h, id);
    if (node != NULL && node->process == NULL && node->thread == NULL) {
        (void)dure_harness_fail(h, "%s %s: it does not run", what, id);
        return NULL;
    }
    return node;
}

/* The same, of processes. */
static harness_node *find_process(dure_harness *h, const char *id, const char *what)
{
    harness_node *node = find_running(h, id, what);
    if (node != NULL && node->process == NULL) {
        (void)dure_harness_fail(h, "%s %s: a thread of this process cannot be treated so: %s", what,
                                id, dure_err_name(DURE_ERR_UNSUPPORTED));
        return NULL;
    }
    return node;
}

/* With a signal, or over its admin port where there are none. */
static dure_err node_ask_process(dure_harness *h, harness_node *node, uint32_t ms)
{
    dure_rpc_answer answer;
    dure_err err = harness_process_ask(node->process);
    if (err != DURE_ERR_UNSUPPORTED) {
        return err;
    }
    err = dure_admin_open(dure_registry_data(h->registry), node->entry->id, ms, NULL, &node->admin);
    if (err == DURE_OK) {
        err = dure_admin_call(node->admin, "stop", ms, &answer);
    }
    harness_node_forget_admin(node);
    return err;
}

/* An admin connection that is open would be one more to drain. */
static dure_err node_ask(dure_harness *h, harness_node *node)
{
    harness_node_forget_admin(node);
    if (node->process != NULL) {
        return node_ask_process(h, node, HARNESS_STOP_MS);
    }
    harness_thread_stop(node->thread);
    return DURE_OK;
}

bool dure_harness_stop(dure_harness *h, const char *id, uint32_t ms)
{
    int code = 0;
    harness_node *node = find_running(h, id, "stop");
    if (node == NULL) {
        return false;
    }
    dure_err err = node_ask(h, node);
    if (err != DURE_OK) {
        return dure_harness_fail(h, "stop %s: %s", id, dure_err_text(err));
    }
    if (!node_wait(node, ms, &code)) {
        return dure_harness_fail(h, "stop %s: it still runs after %u ms", id, (unsigned)ms);
    }
    node_forget(node);
    return code == 0 || dure_harness_fail(h, "stop %s: it ended with exit code %d", id, code);
}

bool dure_harness_restart(dure_harness *h, const char *id)
{
    const harness_node *node = harness_find(h, id);
    if (node == NULL) {
        return false;
    }
    bool runs = node->process != NULL || node->thread != NULL;
    return (!runs || dure_harness_stop(h, id, HARNESS_STOP_MS)) && dure_harness_start(h, id);
}

bool dure_harness_kill(dure_harness *h, const char *id)
{
    harness_node *node = find_process(h, id, "kill");
    if (node == NULL) {
        return false;
    }
    node_forget(node);
    return true;
}

bool dure_harness_suspend(dure_harness *h, const char *id)
{
    harness_node *node = find_process(h, id, "suspend");
    if (node == NULL) {
        return false;
    }
    harness_node_forget_admin(node);
    dure_err err = harness_process_suspend(node->process);
    return err == DURE_OK || dure_harness_fail(h, "suspend %s: %s", id, dure_err_text(err));
}

bool dure_harness_continue(dure_harness *h, const char *id)
{
    harness_node *node = find_process(h, id, "continue");
    if (node == NULL) {
        return false;
    }
    dure_err err = harness_process_continue(node->process);
    return err == DURE_OK || dure_harness_fail(h, "continue %s: %s", id, dure_err_text(err));
}

bool dure_harness_wait_end(dure_harness *h, const char *id, uint32_t ms, int *out_exit_code)
{
    int code = 0;
    harness_node *node = find_running(h, id, "wait for the end of");
    if (node == NULL) {
        return false;
    }
    if (!node_wait(node, ms, &code)) {
        return dure_harness_fail(h, "%s still runs after %u ms", id, (unsigned)ms);
    }
    node_forget(node);
    if (out_exit_code != NULL) {
        *out_exit_code = code;
    }
    return true;
}

bool dure_harness_is_running(dure_harness *h, const char *id)
{
    int code;
    harness_node *node = harness_find(h, id);
    return node != NULL && (node->process != NULL || node->thread != NULL) &&
           !node_wait(node, 0, &code);
}

/* One that cannot end, because it is suspended or its peers are cut off, is killed by whoever
 * forgets it. Not at once: a server of Wine that has several programs die together dies with them.
 */
static void node_end_process(dure_harness *h, harness_node *node)
{
    int ignored = 0;
    if (!harness_process_wait(node->process, 0, &ignored) &&
        node_ask_process(h, node, HARNESS_END_MS) == DURE_OK) {
        (void)harness_process_wait(node->process, HARNESS_END_MS, &ignored);
    }
}

void harness_node_end(dure_harness *h, harness_node *node)
{
    int code = 0;
    harness_node_forget_admin(node);
    if (node->process != NULL) {
        node_end_process(h, node);
    }
    if (node->thread != NULL) {
        harness_thread_stop(node->thread);
        if (!harness_thread_wait(node->thread, HARNESS_STOP_MS, &code)) {
            /* A thread cannot be ended from outside; the process can, and the watchdog tidies up.
             */
            (void)fprintf(stderr, "harness: %s does not end; its log:\n", node->entry->id);
            harness_show_log(node);
            exit(EXIT_FAILURE);
        }
    }
    if (code != 0) {
        (void)dure_harness_fail(h, "%s ended with exit code %d", node->entry->id, code);
    }
    node_forget(node);
}
