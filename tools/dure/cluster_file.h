/* SPDX-License-Identifier: MIT
 *
 * What several subcommands do with a configuration: load it with its mistakes printed, read common
 * options, find a node's admin channel, talk over it.
 */
#ifndef DURE_TOOLS_DURE_CLUSTER_FILE_H
#define DURE_TOOLS_DURE_CLUSTER_FILE_H

#include "cluster/registry.h"
#include "cluster/registry_report.h"
#include "node/admin_client.h"

#define CLUSTER_SETS_MAX 256

/* The options of the subcommands that take a FILE. */
typedef struct cluster_options {
    const char *command; /* set before cluster_parse */
    const char *help;    /* set before cluster_parse */
    const char *allowed; /* letters of the options it takes: j: --json, l: --login, n: --node, r:
                          * --role, t: --timeout, w: --show, d: --dot, p: --ports */
    const char *file;
    const char *arguments[3]; /* those behind FILE */
    int argument_count;
    const char *sets[CLUSTER_SETS_MAX];
    size_t set_count;
    bool as_json;
    bool as_dot;
    bool as_ports;
    bool with_values;
    const char *login;
    const char *node_id;
    const char *role;
    uint32_t timeout_ms; /* set before cluster_parse where it is not CLUSTER_TIMEOUT_MS */
} cluster_options;

/*
 * Reads a command line with FILE and from argument_min to argument_max arguments behind it. True:
 * go on. False: *out_exit is the exit code; help or a message has been printed.
 */
bool cluster_parse(cluster_options *options, int argc, char **argv, int argument_min,
                   int argument_max, int *out_exit);

/* Loads FILE with --set and the environment; says what there is to say in the report, which the
 * caller ends. Returns an exit code. */
int cluster_read(const cluster_options *options, dure_registry **out_registry,
                 dure_registry_report *report);

/* Mistakes and warnings, on stderr. */
void cluster_print_report(const dure_registry_report *report);

/*
 * Loads FILE with --set and the environment; mistakes and warnings go to stderr. Returns an exit
 * code.
 */
int cluster_load(const cluster_options *options, dure_registry **out_registry);

/*
 * cluster_parse, then cluster_load of the FILE it names. True: *out_registry is the caller's to
 * destroy and *out_exit is DURE_EXIT_OK. False: *out_exit is the exit code; help or a message has
 * been printed.
 */
bool cluster_open(cluster_options *options, int argc, char **argv, int argument_min,
                  int argument_max, dure_registry **out_registry, int *out_exit);

/* The admin channel of a node of the configuration. Fails: as dure_admin_open. */
DURE_CHECKED dure_err cluster_open_admin(const dure_registry *registry, const char *node_id,
                                         dure_admin_place *out_place, dure_rpc_client **out_client);

/* How long the nodes' graceful stop may take by drain_clients_ms and drain_ms. */
uint32_t cluster_stop_ms(const dure_registry *registry);

#define CLUSTER_TIMEOUT_MS     5000u
#define CLUSTER_TIMEOUT_MAX_MS 86400000u /* a day */
#define CLUSTER_END_MS         20000u /* room for the end of a process behind its graceful stop */

#endif
