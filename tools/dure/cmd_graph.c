/* SPDX-License-Identifier: MIT
 *
 * dure graph: who dials whom, as text, for graphviz, or for programs.
 */
#include <stdio.h>
#include <string.h>

#include "tools/dure/cluster_file.h"
#include "tools/dure/commands.h"

static const char graph_help[] =
    "usage: dure graph FILE [--dot | --json | --ports] [--set PATH=VALUE]...\n"
    "\n"
    "Draws the cluster of FILE: its nodes by role, and who dials whom.\n"
    "\n"
    "  --dot    for graphviz: dure graph FILE --dot | dot -Tsvg > cluster.svg\n"
    "  --json   {\"nodes\":[...],\"links\":[{\"from\":...,\"to\":...}]}\n"
    "  --ports  the ports that the nodes listen on, one a line, those of clients first\n"
    "\n"
    "Exit codes: 0 good, 2 usage, 78 configuration.\n";

typedef void (*link_fn)(const dure_registry_node *from, const dure_registry_node *to, size_t index);

/* Calls fn for each pair of which the first dials the second. */
static void each_link(const dure_registry *registry, link_fn fn)
{
    size_t index = 0;
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const dure_registry_node *from = dure_registry_node_at(registry, i);
        for (size_t j = 0; j < dure_registry_node_count(registry); j++) {
            const dure_registry_node *to = dure_registry_node_at(registry, j);
            if (i != j && dure_registry_dials(registry, from->role, to->role)) {
                fn(from, to, index++);
            }
        }
    }
}

static void print_node(const dure_registry_node *node)
{
    (void)printf("  %-16s %s", node->id, node->bind);
    if (node->client_port != 0) {
        (void)printf("  clients :%u", node->client_port);
    }
    if (node->link_port != 0) {
        (void)printf("  links :%u", node->link_port);
    }
    (void)printf("\n");
}

static void print_text(const dure_registry *registry)
{
    (void)printf("cluster %s, data in %s\n", dure_registry_cluster(registry),
                 dure_registry_data(registry));
    for (size_t i = 0; i < dure_registry_role_count(registry); i++) {
        const dure_registry_role *role = dure_registry_role_at(registry, i);
        (void)printf("\n%s (%s)", role->name, role->program);
        for (size_t d = 0; d < role->dial_count; d++) {
            (void)printf("%s%s", d == 0 ? "  --dials--> " : ", ", role->dials[d]);
        }
        (void)printf("\n");
        for (size_t n = 0; n < dure_registry_node_count(registry); n++) {
            const dure_registry_node *node = dure_registry_node_at(registry, n);
            if (strcmp(node->role, role->name) == 0) {
                print_node(node);
            }
        }
    }
}

static void print_dot_link(const dure_registry_node *from, const dure_registry_node *to,
                           size_t index)
{
    (void)index;
    (void)printf("    \"%s\" -> \"%s\";\n", from->id, to->id);
}

static void print_dot(const dure_registry *registry)
{
    (void)printf("digraph \"%s\" {\n    rankdir=LR;\n    node [shape=box, fontname=\"sans\"];\n",
                 dure_registry_cluster(registry));
    for (size_t i = 0; i < dure_registry_role_count(registry); i++) {
        const char *role = dure_registry_role_at(registry, i)->name;
        (void)printf("    subgraph \"cluster_%s\" {\n        label=\"%s\";\n", role, role);
        for (size_t n = 0; n < dure_registry_node_count(registry); n++) {
            const dure_registry_node *node = dure_registry_node_at(registry, n);
            if (strcmp(node->role, role) == 0) {
                (void)printf("        \"%s\" [label=\"%s\\n%s:%u\"];\n", node->id, node->id,
                             node->host, node->link_port);
            }
        }
        (void)printf("    }\n");
    }
    each_link(registry, print_dot_link);
    (void)printf("}\n");
}

static void print_json_link(const dure_registry_node *from, const dure_registry_node *to,
                            size_t index)
{
    (void)printf("%s{\"from\":\"%s\",\"to\":\"%s\"}", index > 0 ? "," : "", from->id, to->id);
}

static void print_json(const dure_registry *registry)
{
    (void)printf("{\"cluster\":\"%s\",\"nodes\":[", dure_registry_cluster(registry));
    for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
        const dure_registry_node *node = dure_registry_node_at(registry, i);
        (void)printf("%s{\"id\":\"%s\",\"role\":\"%s\",\"host\":\"%s\",\"client_port\":%u,"
                     "\"link_port\":%u}",
                     i > 0 ? "," : "", node->id, node->role, node->host, node->client_port,
                     node->link_port);
    }
    (void)printf("],\"links\":[");
    each_link(registry, print_json_link);
    (void)printf("]}\n");
}

static void print_ports(const dure_registry *registry)
{
    for (int links = 0; links < 2; links++) {
        for (size_t i = 0; i < dure_registry_node_count(registry); i++) {
            const dure_registry_node *node = dure_registry_node_at(registry, i);
            uint16_t port = links ? node->link_port : node->client_port;
            if (port != 0) {
                (void)printf("%u\n", port);
            }
        }
    }
}

int dure_cmd_graph(int argc, char **argv)
{
    cluster_options options = {.command = "graph", .help = graph_help, .allowed = "jdp"};
    dure_registry *registry = NULL;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 0, 0, &registry, &code)) {
        return code;
    }
    if (options.as_dot) {
        print_dot(registry);
    } else if (options.as_json) {
        print_json(registry);
    } else if (options.as_ports) {
        print_ports(registry);
    } else {
        print_text(registry);
    }
    dure_registry_destroy(registry);
    return DURE_EXIT_OK;
}
