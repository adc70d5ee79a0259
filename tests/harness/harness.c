/* SPDX-License-Identifier: MIT
 *
 * A run from its folder to its end. Ends run in the reverse order of beginnings and accept what was
 * never begun, so that every failure has one way out.
 */
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "harness_impl.h"
#include "iocp/system.h"

/* ---- what goes wrong ---- */

bool dure_harness_fail(dure_harness *h, const char *format, ...)
{
    va_list args;
    if (h->has_failed) {
        return false;
    }
    h->has_failed = true;
    va_start(args, format);
    (void)vsnprintf(h->failure, sizeof h->failure, format, args);
    va_end(args);
    return false;
}

bool dure_harness_check(dure_harness *h, bool holds, const char *what)
{
    if (!holds) {
        (void)dure_harness_fail(h, "not so: %s", what);
    }
    return !h->has_failed;
}

const char *dure_harness_failure(const dure_harness *h)
{
    return h->has_failed ? h->failure : NULL;
}

void dure_harness_forgive(dure_harness *h)
{
    h->has_failed = false;
}

/* ---- small questions ---- */

harness_node *harness_find(dure_harness *h, const char *id)
{
    for (size_t i = 0; i < h->node_count && !h->has_failed; i++) {
        if (strcmp(h->nodes[i].entry->id, id) == 0) {
            return &h->nodes[i];
        }
    }
    (void)dure_harness_fail(h, "no node is called %s", id);
    return NULL;
}

uint64_t dure_harness_now_ms(void)
{
    return dure_system_now_ns() / 1000000u;
}

const char *dure_harness_folder(const dure_harness *h)
{
    return h->folder;
}

/* ---- faults ---- */

/* The index of its proxy; SIZE_MAX, and a failure, where there is none. */
static size_t link_proxy(dure_harness *h, const char *dialer, const char *listener)
{
    const harness_node *from = harness_find(h, dialer);
    const harness_node *to = harness_find(h, listener);
    for (size_t i = 0; i < h->link_count && from != NULL && to != NULL; i++) {
        const harness_link *link = &h->links[i];
        if (&h->nodes[link->dialer] == from && &h->nodes[link->listener] == to && link->port != 0) {
            return link->proxy;
        }
    }
    (void)dure_harness_fail(h, "%s dials %s through no proxy", dialer, listener);
    return SIZE_MAX;
}

static size_t client_proxy(dure_harness *h, const char *id)
{
    const harness_node *node = harness_find(h, id);
    if (node != NULL && node->client_proxy == SIZE_MAX) {
        (void)dure_harness_fail(h, "there is no proxy before a client port of %s", id);
    }
    return node != NULL ? node->client_proxy : SIZE_MAX;
}

static bool say(dure_harness *h, size_t proxy, const char *line)
{
    if (proxy == SIZE_MAX) {
        return false;
    }
    dure_err err = harness_proxies_say(h->proxies, proxy, line);
    return err == DURE_OK || dure_harness_fail(h, "\"%s\" is no fault", line);
}

bool dure_harness_link_fault(dure_harness *h, const char *dialer, const char *listener,
                             const char *line)
{
    return say(h, link_proxy(h, dialer, listener), line);
}

bool dure_harness_client_fault(dure_harness *h, const char *id, const char *line)
{
    return say(h, client_proxy(h, id), line);
}

static bool count(dure_harness *h, size_t proxy, dure_fault_counters *out_counters)
{
    *out_counters = (dure_fault_counters){0};
    if (proxy != SIZE_MAX) {
        harness_proxies_count(h->proxies, proxy, out_counters);
    }
    return proxy != SIZE_MAX;
}

bool dure_harness_link_counters(dure_harness *h, const char *dialer, const char *listener,
                                dure_fault_counters *out_counters)
{
    return count(h, link_proxy(h, dialer, listener), out_counters);
}

bool dure_harness_client_counters(dure_harness *h, const char *id,
                                  dure_fault_counters *out_counters)
{
    return count(h, client_proxy(h, id), out_counters);
}

/* ---- the run ---- */

static bool make_folder(dure_harness *h)
{
    dure_err err = dure_file_make_temp_folder("dure-harness-", h->folder, sizeof h->folder);
    if (err == DURE_OK) {
        err = harness_watchdog_start(h->folder, &h->watchdog);
    }
    return err == DURE_OK || dure_harness_fail(h, "a temporary folder: %s", dure_err_text(err));
}

static bool make_proxies(dure_harness *h)
{
    dure_err err = harness_proxies_create(&h->proxies);
    return err == DURE_OK || dure_harness_fail(h, "the proxies: %s", dure_err_text(err));
}

/* The last of the file first: those that are dialled mostly stand behind those that dial them. */
static void start_nodes(dure_harness *h)
{
    uint32_t start_ms = h->config->start_ms != 0 ? h->config->start_ms : HARNESS_START_MS;
    if (h->config->starts_nothing) {
        return;
    }
    for (size_t i = h->node_count; i > 0 && !h->has_failed; i--) {
        (void)harness_node_begin(h, &h->nodes[i - 1]);
    }
    (void)dure_harness_wait_linked(h, start_ms);
}

static void show_failure(const dure_harness *h)
{
    (void)fprintf(stderr, "---- the logs of the nodes ----\n");
    for (size_t i = 0; i < h->node_count; i++) {
        harness_show_log(&h->nodes[i]);
    }
    (void)fprintf(stderr, "harness: failed: %s\n", h->failure);
}

/* In the order of the file: who dials before who is dialled, so that threads drain quickly. */
static void end_nodes(dure_harness *h)
{
    harness_clients_end(h);
    for (size_t i = 0; i < h->node_count; i++) {
        harness_node_end(h, &h->nodes[i]);
    }
}

static void end(dure_harness *h)
{
    harness_proxies_destroy(h->proxies);
    dure_registry_destroy(h->registry);
    dure_mem_free(h->links);
    dure_mem_free(h->nodes);
    if (h->folder[0] != '\0') {
        dure_err ignored = dure_file_remove_folder(h->folder); /* the watchdog tries again */
        (void)ignored;
    }
    harness_watchdog_stop(h->watchdog);
}

int dure_harness_run(const dure_harness_config *config, dure_harness_story story, void *ctx)
{
    dure_harness *h = dure_mem_alloc(sizeof *h);
    if (h == NULL) {
        return 1;
    }
    h->config = config;
    if (make_folder(h) && make_proxies(h) && harness_config_make(h) && harness_config_connect(h)) {
        start_nodes(h);
        if (!h->has_failed) {
            story(h, ctx);
        }
    }
    end_nodes(h);
    if (h->has_failed) {
        show_failure(h);
    }
    int code = h->has_failed ? 1 : 0;
    end(h);
    dure_mem_free(h);
    return code;
}
