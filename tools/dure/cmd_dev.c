/* SPDX-License-Identifier: MIT
 *
 * dure dev: gateway, game and db in one process, on free ports, with no file at all. Each node has
 * a thread and a core of its own, as it would have a process. Nodes start from the one that nobody
 * waits for (db) outwards, because each must know where those are that it dials, and stop the other
 * way round.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/address.h"
#include "node/data_folder.h"
#include "node/node.h"
#include "node/process.h"
#include "node/resources.h"
#include "nodes/db/role.h"
#include "nodes/game/role.h"
#include "nodes/gateway/role.h"
#include "tools/dure/commands.h"

#define DEV_PATH_MAX 4096

/* In the order of starting. */
static const struct {
    const char *id;
    const dure_role *role;
} dev_nodes[] = {
    {"db-1", &dure_role_db},
    {"game-1", &dure_role_game},
    {"game-2", &dure_role_game},
    {"gateway-1", &dure_role_gateway},
};

#define DEV_NODES DURE_COUNT_OF(dev_nodes)

typedef struct dev_worker {
    struct dev *dev;
    dure_log *log;
    dure_iocp_core *core;
    dure_node *node;
    dure_thread *thread;
    bool is_ended; /* under dev->mutex */
} dev_worker;

typedef struct dev {
    dure_registry *registry;
    dev_worker workers[DEV_NODES];
    size_t started;
    dure_mutex *mutex;
    dure_cond *cond;
    bool is_stopping; /* under mutex */
    int exit_code;
    bool is_temporary;
    char data[DEV_PATH_MAX];
    uint16_t port;
    bool as_json;
    dure_log_level level;
} dev;

static const char dev_help[] =
    "usage: dure dev [--data DIR] [--port N] [--log-level LEVEL] [--json]\n"
    "\n"
    "Runs a gateway, two game nodes and a db node in this process until Ctrl-C.\n"
    "\n"
    "  --data DIR        keep the players' data there (default: a temporary folder,\n"
    "                    removed at the end)\n"
    "  --port N          the clients' port (default: a free one)\n"
    "  --log-level LEVEL debug, info, warn, error or off (default: warn)\n"
    "  --json            when ready, one line of JSON on stdout\n";

/* ---- the cluster ---- */

static dure_err dev_make_registry(dev *d)
{
    static const char *const gateway_dials[] = {"game", NULL};
    static const char *const game_dials[] = {"db", NULL};
    dure_registry_builder *b = NULL;
    dure_err err = dure_registry_builder_create("dev", d->data, &b);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_registry_builder_role(b, "gateway", "dure-gateway", gateway_dials);
    err = err != DURE_OK ? err : dure_registry_builder_role(b, "game", "dure-game", game_dials);
    err = err != DURE_OK ? err : dure_registry_builder_role(b, "db", "dure-db", NULL);
    for (size_t i = 0; i < DEV_NODES && err == DURE_OK; i++) {
        bool is_gateway = dev_nodes[i].role == &dure_role_gateway;
        err = dure_registry_builder_node(b, dev_nodes[i].id, dev_nodes[i].role->name, "127.0.0.1",
                                         0, is_gateway ? d->port : 0);
        if (err == DURE_OK && is_gateway) {
            err = dure_registry_builder_clients(b);
        }
    }
    if (err != DURE_OK) {
        dure_registry_builder_destroy(b);
        return err;
    }
    dure_registry_builder_settings(b)->drain_clients_ms = 0; /* nobody waits for a demo to end */
    return dure_registry_builder_finish(b, &d->registry);
}

/* ---- one node ---- */

static void dev_on_ended(dure_node *node, int exit_code, void *ctx)
{
    dev_worker *worker = ctx;
    dev *d = worker->dev;
    (void)node;
    dure_mutex_lock(d->mutex);
    worker->is_ended = true;
    if (exit_code != 0) {
        d->exit_code = exit_code;
    }
    d->is_stopping = true; /* one that ends by itself takes the others with it */
    dure_cond_broadcast(d->cond);
    dure_mutex_unlock(d->mutex);
    dure_iocp_core_stop(worker->core);
}

static void dev_worker_main(void *ctx)
{
    dev_worker *worker = ctx;
    dure_iocp_core_run(worker->core);
}

/* Tells a node where those are that it dials: they stand already. */
static dure_err dev_tell_peers(dev *d, size_t index)
{
    dure_rpc *rpc = dure_node_rpc(d->workers[index].node);
    for (size_t i = 0; i < index; i++) {
        dure_net_address address;
        if (!dure_registry_dials(d->registry, dev_nodes[index].role->name,
                                 dev_nodes[i].role->name)) {
            continue;
        }
        dure_err err = dure_node_link_address(d->workers[i].node, &address);
        if (err == DURE_OK) {
            err = dure_rpc_set_peer_address(rpc, dev_nodes[i].id, &address);
        }
        if (err != DURE_OK) {
            return err;
        }
    }
    return DURE_OK;
}

static dure_err dev_make_node(dev *d, size_t index)
{
    dev_worker *worker = &d->workers[index];
    dure_iocp_core_config core_config;
    dure_iocp_core_config_init(&core_config);
    dure_log_config log_config = {
        .level = d->level,
        .format = dure_process_has_terminal() ? DURE_LOG_LOGFMT : DURE_LOG_JSON,
        .node = dev_nodes[index].id,
        .clock = dure_process_wall_ms,
    };
    worker->dev = d;
    dure_err err = dure_log_create(&log_config, &worker->log);
    if (err != DURE_OK) {
        return err;
    }
    core_config.log = worker->log;
    const char *backend = getenv("DURE_BACKEND");
    if (backend != NULL && dure_backend_parse(backend, &core_config.backend) != DURE_OK) {
        (void)fprintf(stderr,
                      "dure dev: DURE_BACKEND: \"%s\" is none of auto, epoll, uring, win32\n",
                      backend);
        return DURE_ERR_CONFIG;
    }
    err = dure_iocp_core_create(&core_config, &worker->core);
    if (err != DURE_OK) {
        return err;
    }
    dure_node_config config = {
        .registry = d->registry,
        .node_id = dev_nodes[index].id,
        .role = dev_nodes[index].role,
        .core = worker->core,
        .log = worker->log,
        .free_ports = true,
        .on_ended = dev_on_ended,
        .ctx = worker,
    };
    return dure_node_create(&config, &worker->node);
}

/* Starts the node on this thread, while nobody runs its core yet, and then its thread. */
static dure_err dev_start_node(dev *d, size_t index)
{
    dev_worker *worker = &d->workers[index];
    dure_err err = dev_make_node(d, index);
    if (err == DURE_OK) {
        err = dev_tell_peers(d, index);
    }
    if (err == DURE_OK) {
        err = dure_node_start(worker->node);
        d->started = index + 1; /* a node that could not start ends by itself */
    }
    return err;
}

static dure_err dev_run_node(dev *d, size_t index)
{
    return dure_thread_create(dev_nodes[index].id, dev_worker_main, &d->workers[index],
                              &d->workers[index].thread);
}

/* ---- all of them ---- */

static void dev_print_ready(const dev *d)
{
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    dure_net_address address;
    const dure_node *gateway = d->workers[DEV_NODES - 1].node;
    if (dure_node_client_address(gateway, &address) != DURE_OK) {
        return;
    }
    (void)dure_net_address_print(&address, text);
    if (!d->as_json) {
        (void)printf(
            "A cluster of %zu nodes is up. Clients connect to %s and speak MessagePack-RPC.\n"
            "Try:  dummy-client --port %u\nData: %s%s\nCtrl-C ends it.\n",
            (size_t)DEV_NODES, text, (unsigned)address.port, d->data,
            d->is_temporary ? " (removed at the end)" : "");
        (void)fflush(stdout);
        return;
    }
    (void)printf("{\"client\":\"%s\",\"nodes\":[", text);
    for (size_t i = DEV_NODES; i > 0; i--) {
        const dure_node *node = d->workers[i - 1].node;
        (void)printf("%s{\"id\":\"%s\",\"role\":\"%s\"", i == DEV_NODES ? "" : ",",
                     dev_nodes[i - 1].id, dev_nodes[i - 1].role->name);
        if (dure_node_client_address(node, &address) == DURE_OK) {
            (void)printf(",\"client\":\"%s\"", dure_net_address_print(&address, text));
        }
        if (dure_node_link_address(node, &address) == DURE_OK) {
            (void)printf(",\"link\":\"%s\"", dure_net_address_print(&address, text));
        }
        (void)printf("}");
    }
    (void)printf("]}\n");
    (void)fflush(stdout);
}

static void dev_on_signal(void *ctx)
{
    dev *d = ctx;
    dure_mutex_lock(d->mutex);
    d->is_stopping = true;
    dure_cond_broadcast(d->cond);
    dure_mutex_unlock(d->mutex);
}

static void dev_wait_for_stop(dev *d)
{
    dure_mutex_lock(d->mutex);
    while (!d->is_stopping) {
        dure_cond_wait(d->cond, d->mutex);
    }
    dure_mutex_unlock(d->mutex);
}

static void dev_wait_for_end(dev *d, const dev_worker *worker)
{
    dure_mutex_lock(d->mutex);
    while (!worker->is_ended) {
        dure_cond_wait(d->cond, d->mutex);
    }
    dure_mutex_unlock(d->mutex);
}

/* Ends one node: one that has no thread yet is run here until it has ended. */
static void dev_stop_node(dev *d, dev_worker *worker)
{
    dure_node_stop(worker->node);
    if (worker->thread == NULL) {
        dure_iocp_core_run(worker->core);
        return;
    }
    dev_wait_for_end(d, worker);
    dure_thread_join(worker->thread);
}

static void dev_fini(dev *d)
{
    for (size_t i = DEV_NODES; i > 0; i--) {
        dev_worker *worker = &d->workers[i - 1];
        if (i <= d->started) {
            dev_stop_node(d, worker);
        }
        dure_node_destroy(worker->node);
        dure_iocp_core_destroy(worker->core);
        dure_log_destroy(worker->log);
    }
    dure_registry_destroy(d->registry);
    dure_cond_destroy(d->cond);
    dure_mutex_destroy(d->mutex);
    if (d->is_temporary) {
        dure_err ignored = dure_file_remove_folder(d->data);
        (void)ignored; /* the system clears its temporary folder in the end */
    }
}

static dure_err dev_start(dev *d)
{
    dure_err err = dev_make_registry(d);
    for (size_t i = 0; i < DEV_NODES && err == DURE_OK; i++) {
        err = dev_start_node(d, i);
    }
    if (err == DURE_OK) {
        dev_print_ready(d);
    }
    for (size_t i = 0; i < DEV_NODES && err == DURE_OK; i++) {
        err = dev_run_node(d, i);
    }
    return err;
}

static bool dev_options(dev *d, int argc, char **argv, int *out_exit)
{
    static const struct option options[] = {{"data", required_argument, NULL, 'd'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"log-level", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    *out_exit = DURE_EXIT_USAGE;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end = NULL;
        long port = 0;
        switch (option) {
        case 'd':
            (void)snprintf(d->data, sizeof d->data, "%s", optarg);
            break;
        case 'p':
            port = strtol(optarg, &end, 10);
            if (*end != '\0' || port < 0 || port > 65535) {
                (void)fprintf(stderr, "dure dev: --port: \"%s\" is not from 0 to 65535\n", optarg);
                return false;
            }
            d->port = (uint16_t)port;
            break;
        case 'l':
            if (dure_log_level_parse(optarg, &d->level) != DURE_OK) {
                (void)fprintf(stderr, "dure dev: --log-level: \"%s\" is no level\n", optarg);
                return false;
            }
            break;
        case 'j':
            d->as_json = true;
            break;
        case 'h':
            (void)fputs(dev_help, stdout);
            *out_exit = DURE_EXIT_OK;
            return false;
        default:
            (void)fputs(dev_help, stderr);
            return false;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "dure dev: \"%s\" is too much\n%s", argv[optind], dev_help);
        return false;
    }
    return true;
}

int dure_cmd_dev(int argc, char **argv)
{
    dev d = {.level = DURE_LOG_WARN};
    int exit_code = 0;
    if (!dev_options(&d, argc, argv, &exit_code)) {
        return exit_code;
    }
    dure_data_folder_make_private_files();
    (void)node_resources_raise_descriptors();
    d.mutex = dure_mutex_create();
    d.cond = dure_cond_create();
    dure_stop_signals *signals = NULL;
    dure_err err = d.mutex != NULL && d.cond != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
    if (err == DURE_OK) {
        err = dure_stop_signals_create(dev_on_signal, &d, &signals);
    }
    if (err == DURE_OK && d.data[0] == '\0') {
        err = dure_file_make_temp_folder("dure-dev", d.data, sizeof d.data);
        d.is_temporary = err == DURE_OK;
    }
    if (err == DURE_OK) {
        err = dev_start(&d);
    }
    if (err != DURE_OK) {
        (void)fprintf(stderr, "dure dev: could not start: %s\n", dure_err_text(err));
        d.exit_code = DURE_EXIT_FAILED;
    } else {
        dev_wait_for_stop(&d);
    }
    exit_code = d.exit_code;
    dev_fini(&d);
    dure_stop_signals_destroy(signals);
    return exit_code;
}
