/* SPDX-License-Identifier: MIT
 *
 * The life of one node. It starts from the inside out (role, links, clients, admin) and stops from
 * the outside in: nobody new, then what is in flight, then ports and links, then the role's end.
 */
#include "node/node.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/address.h"
#include "node/data_folder.h"
#include "node/exit_codes.h"
#include "node/node_impl.h"
#include "node/process.h"

#define NODE_WATCH_MS        250u
#define NODE_STOP_WATCH_MS   10u
#define NODE_FAREWELL_GAP_MS 5u /* between two clients that are told to go */
#define NODE_MEMORY_MS       1000u
#define NODE_MEMORY_LIMIT_MS 10000u
#define NODE_PORT_WAIT_MS    1000u
#define NODE_PORT_PAUSE_MS   20u

static void node_set_state(dure_node *node, node_state state)
{
    static const char *const names[] = {
#define NODE_STATE_NAME(name) #name,
        NODE_STATE_LIST(NODE_STATE_NAME)
#undef NODE_STATE_NAME
    };
    DURE_ASSERT(state > node->state);
    dure_log_write(node->config.log, DURE_LOG_DEBUG, "node", "NODE_STATE", "from=%s to=%s",
                   names[node->state], names[state]);
    node->state = state;
}

static dure_iocp_core *node_core(const dure_node *node)
{
    return node->object.core;
}

static void node_start_timer(dure_node *node, dure_iocp_event *event, uint32_t ms)
{
    if (!dure_iocp_event_is_active(event)) {
        dure_err err = dure_iocp_timer(node_core(node), event, ms);
        DURE_ASSERT(err == DURE_OK); /* a timer's memory is the event's own */
    }
}

/* ---- the end ---- */

void node_check_ended(dure_node *node)
{
    if (node->state != NODE_CLOSING || !node->rpc_is_closed ||
        !node_port_is_closed(node->clients) || !node_port_is_closed(node->admin) ||
        dure_iocp_event_is_active(&node->watch) || dure_iocp_event_is_active(&node->tick) ||
        !node_work_is_idle(node) || !dure_list_is_empty(&node->delays)) {
        return;
    }
    DURE_ASSERT(node_port_count(node->clients) == 0);
    DURE_ASSERT(node_port_count(node->admin) == 0);
    node_set_state(node, NODE_ENDED);
    if (node->has_role_state && node->config.role->on_end != NULL) {
        node->has_role_state = false;
        node->config.role->on_end(node, node->role_state);
    }
    node_admin_forget(node);
    dure_folder_unlock(node->data_lock);
    node->data_lock = NULL;
    dure_log_write(node->config.log, DURE_LOG_INFO, "node", "NODE_ENDED", "exit_code=%d",
                   node->exit_code);
    if (node->config.on_ended != NULL) {
        node->config.on_ended(node, node->exit_code, node->config.ctx);
    }
}

void node_port_closed(node_port *port, void *ctx)
{
    (void)port;
    node_check_ended(ctx);
}

static void node_rpc_closed(dure_rpc *rpc, void *state)
{
    dure_node *node = state;
    (void)rpc;
    node->rpc_is_closed = true;
    node_check_ended(node);
}

static void node_close(dure_node *node)
{
    node_set_state(node, NODE_CLOSING);
    dure_iocp_cancel(&node->watch);
    dure_iocp_cancel(&node->tick);
    node_work_cancel_delays(node);
    node_port_close(node->clients, DURE_ERR_CLOSED, "the node is stopping");
    node_port_close(node->admin, DURE_ERR_CLOSED, "the node is stopping");
    dure_rpc_close(node->rpc);
    node_check_ended(node);
}

/* How long the clients are told one after the other. */
static uint64_t node_farewell_ms(const dure_node *node)
{
    uint64_t all_ms = (uint64_t)node->farewell_count * NODE_FAREWELL_GAP_MS;
    return all_ms < node->settings->drain_clients_ms ? all_ms : node->settings->drain_clients_ms;
}

/* Tells as many clients as are due by now to go; those who wait for an answer come last. */
static void node_say_farewells(dure_node *node)
{
    uint64_t passed_ms = dure_iocp_core_now_ms(node_core(node)) - node->stop_since_ms;
    uint64_t whole_ms = node_farewell_ms(node);
    uint64_t due =
        passed_ms >= whole_ms ? node->farewell_count : node->farewell_count * passed_ms / whole_ms;
    if (due > node->farewells_said) {
        node->farewells_said += node_port_say_farewell(
            node->clients, (uint32_t)(due - node->farewells_said), "the node is stopping");
    }
    DURE_ASSERT(node->farewells_said <= node->farewell_count);
}

static bool node_is_quiet(const dure_node *node)
{
    return node_port_staying(node->clients) == 0 && dure_rpc_serving(node->rpc) == 0 &&
           dure_rpc_outstanding(node->rpc) == 0 && node->stop_holds == 0 && node_work_is_idle(node);
}

static void node_stop_step(dure_node *node)
{
    bool is_due = dure_iocp_core_now_ms(node_core(node)) >= node->stop_due_ms;
    node_say_farewells(node);
    if (!node_is_quiet(node) && !is_due) {
        node_start_timer(node, &node->watch, NODE_STOP_WATCH_MS);
        return;
    }
    if (is_due && !node_is_quiet(node)) {
        dure_log_write(node->config.log, DURE_LOG_WARN, "node", "DRAIN_ENDED",
                       "clients=%u serving=%u outstanding=%u holds=%u",
                       node_port_staying(node->clients), dure_rpc_serving(node->rpc),
                       dure_rpc_outstanding(node->rpc), node->stop_holds);
    }
    node_close(node);
}

void node_begin_stop(dure_node *node)
{
    if (node->state != NODE_RUNNING) {
        return;
    }
    node_set_state(node, NODE_STOPPING);
    dure_service_manager_notify("STOPPING=1");
    dure_log_write(node->config.log, DURE_LOG_INFO, "node", "NODE_STOPPING", NULL);
    node->stop_since_ms = dure_iocp_core_now_ms(node_core(node));
    node->farewell_count = node_port_staying(node->clients);
    node->stop_due_ms = node->stop_since_ms + node_farewell_ms(node) + node->settings->drain_ms;
    node_port_stop_accepting(node->clients);
    dure_rpc_drain(node->rpc, node->settings->drain_ms);
    if (node->config.role->on_stop != NULL) {
        node->config.role->on_stop(node, node->role_state);
    }
    dure_iocp_cancel(&node->watch); /* its completion takes the first step */
}

/* ---- completions ---- */

static void node_set_pressure(dure_node *node, node_pressure pressure, uint64_t used)
{
    static const char *const names[] = {"NONE", "NO_LOGINS", "SHED"};
    if (pressure != node->pressure) {
        dure_log_write(node->config.log, DURE_LOG_WARN, "node", "MEMORY_PRESSURE",
                       "from=%s to=%s used_mib=%llu limit_mib=%llu", names[node->pressure],
                       names[pressure], (unsigned long long)(used >> 20),
                       (unsigned long long)(node->memory_limit.bytes >> 20));
        node->pressure = pressure;
    }
}

static void node_say_memory_limit(const dure_node *node)
{
    char source[1100];
    dure_log_write(node->config.log, DURE_LOG_INFO, "node", "MEMORY_LIMIT", "mib=%llu from=%s",
                   (unsigned long long)(node->memory_limit.bytes >> 20),
                   dure_log_quote(node->memory_limit.source, strlen(node->memory_limit.source),
                                  source, sizeof source));
}

static void node_read_memory_limit(dure_node *node)
{
    static const char setting[] = "memory_limit_mib";
    node_memory_limit *limit = &node->memory_limit;
    *limit = (node_memory_limit){0};
    if (node->settings->memory_limit_mib != 0) {
        limit->bytes = (uint64_t)node->settings->memory_limit_mib << 20;
        memcpy(limit->source, setting, sizeof setting);
    } else if (!node->config.no_admin) {
        node_resources_memory_limit("", limit); /* a simulated world knows nothing of ours */
    }
    if (limit->bytes == 0) {
        memcpy(limit->source, "none", sizeof "none");
    }
}

/* A control group may be given another limit while its processes run. */
static void node_look_at_limit(dure_node *node, uint64_t now_ms)
{
    uint64_t before = node->memory_limit.bytes;
    if (now_ms < node->next_limit_look_ms) {
        return;
    }
    node->next_limit_look_ms = now_ms + NODE_MEMORY_LIMIT_MS;
    node_read_memory_limit(node);
    if (node->memory_limit.bytes != before) {
        node_say_memory_limit(node);
    }
}

static void node_look_at_memory(dure_node *node)
{
    uint64_t now_ms = dure_iocp_core_now_ms(node_core(node));
    if (now_ms < node->next_memory_look_ms) {
        return;
    }
    node->next_memory_look_ms = now_ms + NODE_MEMORY_MS;
    node_look_at_limit(node, now_ms);
    if (node->memory_limit.bytes == 0 && node->pressure == NODE_PRESSURE_NONE) {
        return;
    }
    uint64_t used = node_resources_memory_used();
    node_set_pressure(node,
                      node_pressure_of(used, node->memory_limit.bytes,
                                       node->settings->login_memory_percent,
                                       node->settings->shed_memory_percent),
                      used);
    if (node->pressure == NODE_PRESSURE_SHED) {
        node_port_shed(node->clients);
        node_resources_trim();
    }
}

static void node_on_watch(dure_node *node)
{
    if (node->state == NODE_RUNNING) {
        node_look_at_memory(node);
        node_port_tick(node->clients);
        node_port_tick(node->admin);
        node_start_timer(node, &node->watch, NODE_WATCH_MS);
    } else if (node->state == NODE_STOPPING) {
        node_stop_step(node);
    }
}

/* Ticks keep their rhythm: a late one does not push the next ones back. */
static void node_plan_tick(dure_node *node)
{
    uint64_t now = dure_iocp_core_now_ns(node_core(node));
    uint64_t period = (uint64_t)node->tick_ms * 1000000u;
    DURE_ASSERT(period > 0);
    node->next_tick_ns += period;
    if (node->next_tick_ns <= now) {
        node->next_tick_ns = now + period;
    }
    uint64_t wait_ms = (node->next_tick_ns - now + 999999u) / 1000000u;
    node_start_timer(node, &node->tick, (uint32_t)wait_ms);
}

static void node_on_tick(dure_node *node)
{
    if (node->state == NODE_RUNNING || node->state == NODE_STOPPING) {
        node->config.role->on_tick(node, node->role_state);
    }
    if (node->state == NODE_RUNNING || node->state == NODE_STOPPING) {
        node_plan_tick(node);
    }
}

static void node_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_node *node = DURE_CONTAINER_OF(object, dure_node, object);
    if (event == &node->watch) {
        node_on_watch(node);
    } else if (event == &node->tick) {
        node_on_tick(node);
    } else if (event == &node->stop) {
        node_begin_stop(node);
    } else {
        (void)node_work_dispatch(node, event);
    }
    node_check_ended(node);
}

static void node_destroy_object(dure_iocp_object *object)
{
    dure_node *node = DURE_CONTAINER_OF(object, dure_node, object);
    dure_mem_free(node->data_dir);
    dure_mem_free(node->admin_path);
    dure_mem_free(node);
}

static const dure_iocp_object_ops node_ops = {node_dispatch, node_destroy_object};

/* ---- peers ---- */

static void node_on_peer_up(dure_rpc *rpc, const dure_registry_node *peer, void *state)
{
    dure_node *node = state;
    (void)rpc;
    if (node->config.role->on_peer_up != NULL && node->has_role_state) {
        node->config.role->on_peer_up(node, peer, node->role_state);
    }
}

static void node_on_peer_down(dure_rpc *rpc, const dure_registry_node *peer, dure_err cause,
                              void *state)
{
    dure_node *node = state;
    (void)rpc;
    if (node->config.role->on_peer_down != NULL && node->has_role_state) {
        node->config.role->on_peer_down(node, peer, cause, node->role_state);
    }
}

static void node_on_peer_draining(dure_rpc *rpc, const dure_registry_node *peer, void *state)
{
    dure_node *node = state;
    (void)rpc;
    if (node->config.role->on_peer_draining != NULL && node->has_role_state) {
        node->config.role->on_peer_draining(node, peer, node->role_state);
    }
}

static void node_on_duplicate(dure_rpc *rpc, void *state)
{
    dure_node *node = state;
    (void)rpc;
    dure_log_write(node->config.log, DURE_LOG_ERROR, "node", "DUPLICATE_ID", "id=%s",
                   node->self->id);
    node->exit_code = DURE_EXIT_CONFIG;
    node_begin_stop(node);
}

/* The built-in service works on the node, the role's on what its on_start gave. */
static void *node_method_state(void *state, const dure_method *method)
{
    dure_node *node = state;
    bool is_builtin = method->number / 256u == node_builtin_methods->number / 256u;
    return is_builtin ? (void *)node : node->role_state;
}

/* ---- making and starting ---- */

/* Of few descriptors strangers at the link port may take a part only. */
static uint32_t node_link_strangers_max(uint32_t descriptors)
{
    return descriptors / 8u > 8u ? descriptors / 8u : 8u;
}

static dure_err node_make_rpc(dure_node *node)
{
    const dure_method *tables[2] = {node_builtin_methods, node->config.role->methods};
    dure_rpc_config config = {
        .core = node->config.core,
        .registry = node->config.registry,
        .node_id = node->config.node_id,
        /* What all roles have in common: a hash of the role's own schema would differ on every
           link. */
        .schema_hash = node_builtin_schema_hash(),
        .method_tables = tables,
        .method_table_count = node->config.role->methods != NULL ? 2 : 1,
        .state = node,
        .method_state = node_method_state,
        .on_peer_up = node_on_peer_up,
        .on_peer_down = node_on_peer_down,
        .on_peer_draining = node_on_peer_draining,
        .on_duplicate = node_on_duplicate,
        .on_closed = node_rpc_closed,
        .listens_on_free_port = node->config.free_ports,
        .link_strangers_max = node_link_strangers_max(node_resources_descriptors_max()),
    };
    return dure_rpc_create(&config, &node->rpc);
}

dure_err dure_node_create(const dure_node_config *config, dure_node **out_node)
{
    DURE_ASSERT(config->registry != NULL);
    DURE_ASSERT(config->role != NULL);
    DURE_ASSERT(config->core != NULL);
    const dure_registry_node *self = dure_registry_find_node(config->registry, config->node_id);
    if (self == NULL) {
        return DURE_ERR_NOT_CONFIGURED;
    }
    if (strcmp(self->role, config->role->name) != 0) {
        return DURE_ERR_INVALID;
    }
    dure_node *node = dure_mem_alloc(sizeof *node);
    if (node == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_iocp_object_init(&node->object, config->core, &node_ops);
    dure_iocp_event_init(&node->watch, &node->object, DURE_IOCP_TIMER);
    dure_iocp_event_init(&node->tick, &node->object, DURE_IOCP_TIMER);
    dure_iocp_event_init(&node->stop, &node->object, DURE_IOCP_POST);
    node_work_init(node);
    atomic_init(&node->is_stop_posted, false);
    node->config = *config;
    node->self = self;
    node->settings = dure_registry_settings_of(config->registry);
    node->started_ms = dure_iocp_core_now_ms(config->core);
    node_read_memory_limit(node);
    dure_err err = node_make_rpc(node);
    if (err == DURE_OK) {
        err = node_client_port_create(node);
    }
    if (err == DURE_OK) {
        err = node_admin_create(node);
    }
    if (err != DURE_OK) {
        dure_node_destroy(node);
        return err;
    }
    *out_node = node;
    return DURE_OK;
}

static void node_say_refused(const dure_node *node, const char *path, dure_err err,
                             const char *text)
{
    char quoted_path[1100];
    char quoted_text[1300];
    dure_log_write(
        node->config.log, DURE_LOG_ERROR, "node", "DATA_REFUSED", "folder=%s cause=%s text=%s",
        dure_log_quote(path, strlen(path), quoted_path, sizeof quoted_path), dure_err_name(err),
        dure_log_quote(text, strlen(text), quoted_text, sizeof quoted_text));
}

static dure_err node_look_at_folder(const dure_node *node, const char *path)
{
    char text[DURE_DATA_FOLDER_TEXT_MAX];
    char quoted_path[1100];
    char quoted_text[1300];
    dure_data_folder_access access = DURE_DATA_FOLDER_OPEN;
    dure_err err = dure_data_folder_look(path, &access, text);
    if (err != DURE_OK) {
        node_say_refused(node, path, err, dure_err_text(err));
        return err;
    }
    if (access == DURE_DATA_FOLDER_OPEN) {
        node_say_refused(node, path, DURE_ERR_PERMISSION, text);
        return DURE_ERR_PERMISSION;
    }
    if (access == DURE_DATA_FOLDER_SHARED) {
        dure_log_write(node->config.log, DURE_LOG_WARN, "node", "DATA_SHARED", "folder=%s text=%s",
                       dure_log_quote(path, strlen(path), quoted_path, sizeof quoted_path),
                       dure_log_quote(text, strlen(text), quoted_text, sizeof quoted_text));
    }
    return DURE_OK;
}

/* Makes a folder that is not there, and looks at it before anything is put into it. */
static dure_err node_take_folder(const dure_node *node, const char *path)
{
    dure_err err = dure_file_make_folder(path, DURE_FILE_OWNER_ONLY);
    if (err != DURE_OK) {
        node_say_refused(node, path, err,
                         err == DURE_ERR_EXISTS ? "a file stands in the way" : dure_err_text(err));
        return err;
    }
    return node_look_at_folder(node, path);
}

/* The folder of all nodes and this one's own, and its lock. */
static dure_err node_take_data_dir(dure_node *node)
{
    dure_err err = node_take_folder(node, dure_registry_data(node->config.registry));
    err = err == DURE_OK ? node_take_folder(node, node->data_dir) : err;
    if (err != DURE_OK) {
        return err;
    }
    err = dure_folder_lock(node->data_dir, &node->data_lock);
    if (err != DURE_OK) {
        node_say_refused(node, node->data_dir, err,
                         err == DURE_ERR_EXISTS ? "another process uses this folder"
                                                : dure_err_text(err));
    }
    return err;
}

static dure_err node_make_data_dir(dure_node *node)
{
    char path[4096];
    if (node->config.no_admin) {
        node->data_dir = dure_mem_strdup("");
        return node->data_dir != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
    }
    int len = snprintf(path, sizeof path, "%s/%s", dure_registry_data(node->config.registry),
                       node->self->id);
    if (len < 0 || (size_t)len >= sizeof path) {
        return DURE_ERR_TOO_LARGE;
    }
    node->data_dir = dure_mem_strdup(path);
    return node->data_dir != NULL ? node_take_data_dir(node) : DURE_ERR_NO_MEMORY;
}

static void node_say_taken(const dure_node *node, const char *what, uint16_t port, dure_err err)
{
    dure_log_write(node->config.log, DURE_LOG_ERROR, "node", "LISTEN_FAILED",
                   "address=%s:%u what=%s cause=%s "
                   "text=\"cannot listen on %s:%u (%s of %s): %s\"",
                   node->self->bind, (unsigned)port, what, dure_err_name(err), node->self->bind,
                   (unsigned)port, what, node->self->id, dure_err_text(err));
}

/*
 * Waits at most a second for a port that is taken. A process that was killed with an io_uring gives
 * its sockets back a moment after it is gone (the ring is torn down by a kernel worker), and its
 * successor starts at once.
 */
static void node_wait_for_port(const dure_node *node, uint16_t port)
{
    dure_net_address address;
    if (node->config.no_admin || port == 0 ||
        dure_net_address_from_ip(node->self->bind, port, &address) != DURE_OK) {
        return;
    }
    for (uint32_t waited = 0; waited < NODE_PORT_WAIT_MS; waited += NODE_PORT_PAUSE_MS) {
        dure_iocp_socket *probe = NULL;
        if (dure_iocp_socket_open(node_core(node), address.family, &probe) != DURE_OK) {
            return;
        }
        dure_err err = dure_iocp_socket_bind(probe, &address);
        dure_iocp_socket_close(probe);
        if (err != DURE_ERR_ADDRESS_IN_USE) {
            return;
        }
        dure_process_pause_ms(NODE_PORT_PAUSE_MS);
    }
}

static dure_err node_open_clients(dure_node *node)
{
    if (!node->self->has_clients) {
        return DURE_OK;
    }
    dure_net_address address;
    node_wait_for_port(node, node->self->client_port);
    dure_err err = dure_net_address_from_ip(node->self->bind, node->self->client_port, &address);
    if (err == DURE_OK) {
        err = node_port_start(node->clients, &address);
    }
    if (err != DURE_OK) {
        node_say_taken(node, "clients", node->self->client_port, err);
    }
    return err;
}

static dure_err node_open_links(dure_node *node)
{
    node_wait_for_port(node, node->self->link_port);
    dure_err err = dure_rpc_start(node->rpc);
    if (err != DURE_OK) {
        node_say_taken(node, "links", node->self->link_port, err);
    }
    return err;
}

static dure_err node_open_admin(dure_node *node)
{
    return node->config.no_admin ? DURE_OK : node_admin_start(node);
}

static dure_err node_start_role(dure_node *node)
{
    const dure_role *role = node->config.role;
    dure_err err = role->on_start != NULL ? role->on_start(node, &node->role_state) : DURE_OK;
    node->has_role_state = err == DURE_OK;
    if (err != DURE_OK) {
        dure_log_write(node->config.log, DURE_LOG_ERROR, "node", "ROLE_REFUSED", "role=%s cause=%s",
                       role->name, dure_err_name(err));
    }
    return err;
}

static void node_begin_ticks(dure_node *node)
{
    int64_t tick_ms = dure_node_setting_int(node, "tick_ms", node->config.role->tick_ms);
    node_start_timer(node, &node->watch, NODE_WATCH_MS);
    if (node->config.role->on_tick != NULL && tick_ms > 0) {
        node->tick_ms = (uint32_t)tick_ms;
        node->next_tick_ns = dure_iocp_core_now_ns(node_core(node));
        node_plan_tick(node);
    }
}

/* What it may have, and which setting or limit of the system says so. */
static void node_say_limits(const dure_node *node)
{
    uint32_t descriptors = node_resources_descriptors_max();
    uint32_t clients_max = node_client_port_max(node->settings, descriptors);
    if (node->self->has_clients) {
        dure_log_write(node->config.log, DURE_LOG_INFO, "node", "CLIENTS_MAX",
                       "clients_max=%u because=%s descriptors=%u", clients_max,
                       clients_max == node->settings->clients_max ? "clients_max" : "descriptors",
                       descriptors);
    }
    node_say_memory_limit(node);
}

dure_err dure_node_start(dure_node *node)
{
    DURE_ASSERT(node->state == NODE_NEW);
    dure_err err = node_make_data_dir(node);
    err = err == DURE_OK ? node_start_role(node) : err;
    err = err == DURE_OK ? node_open_links(node) : err;
    err = err == DURE_OK ? node_open_clients(node) : err;
    err = err == DURE_OK ? node_open_admin(node) : err;
    node_set_state(node, NODE_RUNNING);
    if (err != DURE_OK) {
        /* What is open already ends as it would at a stop; on_ended tells. */
        node->exit_code = DURE_EXIT_FAILED;
        node_set_state(node, NODE_STOPPING);
        node_close(node);
        return err;
    }
    node_begin_ticks(node);
    node_say_limits(node);
    dure_log_write(node->config.log, DURE_LOG_INFO, "node", "NODE_READY", "role=%s backend=%s",
                   node->self->role, dure_iocp_core_backend_name(node_core(node)));
    dure_service_manager_notify("READY=1");
    if (node->config.on_ready != NULL) {
        node->config.on_ready(node, node->config.ctx);
    }
    return DURE_OK;
}

void dure_node_destroy(dure_node *node)
{
    if (node == NULL) {
        return;
    }
    DURE_ASSERT(node->state == NODE_NEW || node->state == NODE_ENDED);
    DURE_ASSERT(dure_list_is_empty(&node->delays));
    DURE_ASSERT(dure_list_is_empty(&node->jobs));
    node_port_destroy(node->clients);
    node_port_destroy(node->admin);
    dure_rpc_destroy(node->rpc);
    dure_folder_unlock(node->data_lock);
    dure_iocp_object_release(&node->object);
}

/* ---- from handlers ---- */

void dure_node_stop(dure_node *node)
{
    /* relaxed: the post itself orders what matters */
    if (!atomic_exchange_explicit(&node->is_stop_posted, true, memory_order_relaxed)) {
        dure_iocp_post(node_core(node), &node->stop);
    }
}

void dure_node_fail(dure_node *node, dure_err err, const char *why)
{
    char quoted[512];
    dure_log_write(node->config.log, DURE_LOG_ERROR, "node", "NODE_FAILED", "cause=%s why=%s",
                   dure_err_name(err), dure_log_quote(why, strlen(why), quoted, sizeof quoted));
    node->exit_code = DURE_EXIT_FAILED;
    dure_node_stop(node);
}

bool dure_node_is_stopping(const dure_node *node)
{
    return node->state >= NODE_STOPPING;
}

void dure_node_hold_stop(dure_node *node)
{
    node->stop_holds++;
}

void dure_node_release_stop(dure_node *node)
{
    DURE_ASSERT(node->stop_holds > 0);
    node->stop_holds--;
}

dure_rpc *dure_node_rpc(dure_node *node)
{
    return node->rpc;
}

dure_iocp_core *dure_node_core(dure_node *node)
{
    return node_core(node);
}

dure_log *dure_node_log(dure_node *node)
{
    return node->config.log;
}

const char *dure_node_id(const dure_node *node)
{
    return node->self->id;
}

const char *dure_node_data_dir(const dure_node *node)
{
    return node->data_dir;
}

void *dure_node_state(dure_node *node)
{
    return node->role_state;
}

int64_t dure_node_setting_int(const dure_node *node, const char *key, int64_t fallback)
{
    return dure_registry_setting_int(node->config.registry, node->self->id, key, fallback);
}

const char *dure_node_setting_str(const dure_node *node, const char *key, const char *fallback)
{
    return dure_registry_setting_str(node->config.registry, node->self->id, key, fallback);
}

dure_err dure_node_client_address(const dure_node *node, dure_net_address *out_address)
{
    return node->self->has_clients ? node_port_address(node->clients, out_address)
                                   : DURE_ERR_NOT_FOUND;
}

dure_err dure_node_link_address(const dure_node *node, dure_net_address *out_address)
{
    return dure_rpc_link_address(node->rpc, out_address);
}
