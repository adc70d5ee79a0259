/* SPDX-License-Identifier: MIT
 *
 * dure up: every node of a configuration that lives on this machine, as processes, until Ctrl-C.
 */
#include <stdio.h>

#include "base/mem.h"
#include "tools/dure/commands.h"
#include "tools/dure/supervisor.h"
#include "tools/dure/this_host.h"

static const char up_help[] =
    "usage: dure up FILE [--set PATH=VALUE]...\n"
    "\n"
    "Starts every node of FILE whose host is this machine, each as a process; their logs come out\n"
    "on stderr behind the node's id. One that crashes is started again. Ctrl-C stops all, in the\n"
    "order of the file; a second Ctrl-C at once. Exit codes: 0 good, 1 a node failed, 2 usage,\n"
    "78 configuration.\n";

static dure_err add_nodes(const dure_registry *registry, supervisor *s, size_t *out_count)
{
    size_t count = dure_registry_node_count(registry);
    bool *is_here = dure_mem_alloc_array(count, sizeof *is_here);
    dure_err err = is_here == NULL ? DURE_ERR_NO_MEMORY : this_host_find(registry, is_here);
    for (size_t i = 0; i < count && err == DURE_OK; i++) {
        if (is_here[i]) {
            err = supervisor_add(s, dure_registry_node_at(registry, i));
            (*out_count)++;
        }
    }
    dure_mem_free(is_here);
    return err;
}

int dure_cmd_up(int argc, char **argv)
{
    cluster_options options = {.command = "up", .help = up_help, .allowed = ""};
    dure_registry *registry = NULL;
    supervisor *s = NULL;
    size_t count = 0;
    int code = 0;
    if (!cluster_open(&options, argc, argv, 0, 0, &registry, &code)) {
        return code;
    }
    dure_err err = supervisor_create(&options, registry, &s);
    if (err == DURE_OK) {
        err = add_nodes(registry, s, &count);
    }
    if (err != DURE_OK || count == 0) {
        (void)fprintf(stderr, "dure up: %s\n",
                      err != DURE_OK ? dure_err_text(err) : "no node of the file is on this host");
        code = DURE_EXIT_FAILED;
    } else {
        code = supervisor_run(s);
    }
    supervisor_destroy(s);
    dure_registry_destroy(registry);
    return code;
}
