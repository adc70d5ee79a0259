/* SPDX-License-Identifier: MIT
 *
 * From the test's JSON to a cluster of this machine: the same text with loopback hosts, free ports
 * and a temporary data folder is written to a file, which nodes then read as ever. Where a link's
 * proxy is, only its dialer is told, with --set.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/registry_json.h"
#include "harness_impl.h"
#include "net/address.h"
#include "node/process.h"

/* Below the ports that systems give to dialled connections; tests that run at once begin at
 * different places. */
#define PORT_FIRST 10000u
#define PORT_COUNT 9900u
#define PORT_STEP  48u

static uint16_t next_free_port(uint32_t *at)
{
    for (uint32_t tries = 0; tries < PORT_COUNT; tries++) {
        uint16_t port = (uint16_t)(PORT_FIRST + *at % PORT_COUNT);
        (*at)++;
        if (harness_port_is_free(port)) {
            return port;
        }
    }
    return 0;
}

static void set_port(cJSON *node, const char *key, uint32_t *at)
{
    cJSON *port = cJSON_GetObjectItemCaseSensitive(node, key);
    if (cJSON_IsNumber(port)) {
        (void)cJSON_SetNumberHelper(port, next_free_port(at));
    }
}

/* Puts this machine into the text. False: memory. */
static bool localize(cJSON *json, const char *folder, uint32_t *at)
{
    char data[HARNESS_PATH_MAX + 8];
    (void)snprintf(data, sizeof data, "%s/data", folder);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "data");
    bool is_made = cJSON_AddStringToObject(json, "data", data) != NULL;
    cJSON *nodes = cJSON_GetObjectItemCaseSensitive(json, "nodes");
    cJSON *node = NULL;
    cJSON_ArrayForEach(node, nodes)
    {
        if (!cJSON_IsObject(node)) {
            continue; /* the registry tells what is wrong with it */
        }
        cJSON_DeleteItemFromObjectCaseSensitive(node, "host");
        cJSON_DeleteItemFromObjectCaseSensitive(node, "bind");
        is_made = is_made && cJSON_AddStringToObject(node, "host", "127.0.0.1") != NULL;
        set_port(node, "link_port", at);
        set_port(node, "client_port", at);
    }
    return is_made;
}

static void keep_line(void *ctx, const char *line)
{
    (void)dure_harness_fail(ctx, "the configuration: %s", line);
}

static void keep_mistakes(dure_harness *h, const dure_registry_report *report)
{
    for (size_t i = 0; i < report->diagnostic_count; i++) {
        if (report->diagnostics[i].severity == DURE_REGISTRY_MISTAKE) {
            char line[512];
            (void)dure_registry_diagnostic_print(&report->diagnostics[i], line, sizeof line);
            keep_line(h, line);
        }
    }
}

static bool load(dure_harness *h)
{
    dure_registry_source source;
    dure_registry_report report;
    dure_registry_source_init(&source, h->config_path);
    dure_registry_source_from_environment(&source);
    source.env_set = NULL;
    dure_registry_report_init(&report);
    dure_err err = dure_registry_load(&source, &h->registry, &report);
    if (err != DURE_OK) {
        keep_mistakes(h, &report);
        (void)dure_harness_fail(h, "the configuration cannot be used: %s", dure_err_text(err));
    }
    dure_registry_report_fini(&report);
    return err == DURE_OK;
}

static bool make_nodes(dure_harness *h)
{
    h->node_count = dure_registry_node_count(h->registry);
    if (h->node_count > HARNESS_NODES_MAX) {
        return dure_harness_fail(h, "more than %u nodes", HARNESS_NODES_MAX);
    }
    h->nodes = dure_mem_alloc_array(h->node_count, sizeof *h->nodes);
    if (h->nodes == NULL) {
        return dure_harness_fail(h, "no memory");
    }
    for (size_t i = 0; i < h->node_count; i++) {
        harness_node *node = &h->nodes[i];
        node->entry = dure_registry_node_at(h->registry, i);
        node->program = dure_registry_find_role(h->registry, node->entry->role)->program;
        node->client_proxy = SIZE_MAX;
        (void)snprintf(node->log_path, sizeof node->log_path, "%.4000s/%.64s.log", h->folder,
                       node->entry->id);
    }
    return true;
}

bool harness_config_make(dure_harness *h)
{
    cJSON *json = cJSON_Parse(h->config->json);
    if (json == NULL) {
        return dure_harness_fail(h, "the configuration is no JSON");
    }
    h->port_at = (uint32_t)(dure_process_id() * PORT_STEP % PORT_COUNT);
    char *text = localize(json, h->folder, &h->port_at) ? cJSON_Print(json) : NULL;
    (void)snprintf(h->config_path, sizeof h->config_path, "%.4000s/cluster.json", h->folder);
    dure_err err = text == NULL
                       ? DURE_ERR_NO_MEMORY
                       : dure_file_write(h->config_path, text, strlen(text), DURE_FILE_OWNER_ONLY);
    cJSON_free(text);
    cJSON_Delete(json);
    if (err != DURE_OK) {
        return dure_harness_fail(h, "%s: %s", h->config_path, dure_err_text(err));
    }
    return load(h) && make_nodes(h);
}

/* ---- links and proxies ---- */

static bool is_link(const dure_harness *h, size_t dialer, size_t listener)
{
    const dure_registry_node *a = h->nodes[dialer].entry;
    const dure_registry_node *b = h->nodes[listener].entry;
    return dialer != listener && b->link_port != 0 &&
           dure_registry_dials(h->registry, a->role, b->role);
}

static dure_err add_link(dure_harness *h, size_t dialer, size_t listener)
{
    harness_link *link = &h->links[h->link_count++];
    const dure_registry_node *entry = h->nodes[listener].entry;
    link->dialer = dialer;
    link->listener = listener;
    if (h->config->is_direct) {
        return DURE_OK;
    }
    link->port = next_free_port(&h->port_at);
    return harness_proxies_add(h->proxies, entry->id, link->port, entry->link_port, &link->proxy);
}

static dure_err add_client_proxy(dure_harness *h, harness_node *node)
{
    uint16_t port = node->entry->client_port;
    dure_err err = DURE_OK;
    if (port == 0) {
        return DURE_OK;
    }
    if (!h->config->is_direct) {
        port = next_free_port(&h->port_at);
        err = harness_proxies_add(h->proxies, node->entry->id, port, node->entry->client_port,
                                  &node->client_proxy);
    }
    return err == DURE_OK ? dure_net_address_from_ip("127.0.0.1", port, &node->client_address)
                          : err;
}

bool harness_config_connect(dure_harness *h)
{
    dure_err err = DURE_OK;
    h->links = dure_mem_alloc_array(h->node_count * h->node_count + 1, sizeof *h->links);
    if (h->links == NULL) {
        err = DURE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < h->node_count && err == DURE_OK; i++) {
        err = add_client_proxy(h, &h->nodes[i]);
        for (size_t j = 0; j < h->node_count && err == DURE_OK; j++) {
            err = is_link(h, i, j) ? add_link(h, i, j) : DURE_OK;
        }
    }
    return err == DURE_OK || dure_harness_fail(h, "a proxy: %s", dure_err_text(err));
}

bool harness_config_set(const dure_harness *h, size_t node, size_t n, char *out, size_t out_size)
{
    for (size_t i = 0; i < h->link_count; i++) {
        if (h->links[i].dialer == node && h->links[i].port != 0 && n-- == 0) {
            (void)snprintf(out, out_size, "nodes[%zu].link_port=%u", h->links[i].listener,
                           (unsigned)h->links[i].port);
            return true;
        }
    }
    return false;
}
