/* SPDX-License-Identifier: MIT
 *
 * A node as a thread: a core, a log and a registry of its own, as its process would have. It starts
 * on the test's thread, while nobody runs its core yet, so that what goes wrong is known at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cluster/registry_json.h"
#include "harness_impl.h"
#include "iocp/system.h"
#include "node/process.h"

#define SETS_MAX  HARNESS_NODES_MAX
#define SET_BYTES 64u

struct harness_thread {
    FILE *file;
    dure_log *log;
    dure_registry *registry;
    dure_iocp_core *core;
    dure_node *node;
    dure_thread *thread;
    dure_mutex *mutex;
    dure_cond *cond;
    bool is_ended; /* under mutex */
    int exit_code; /* under mutex */
};

static void thread_sink(void *ctx, const char *line, size_t len)
{
    FILE *file = ctx;
    (void)fwrite(line, 1, len, file);
    (void)fflush(file);
}

static uint64_t thread_clock(void *ctx)
{
    (void)ctx;
    return dure_system_wall_ms();
}

static void thread_on_ended(dure_node *node, int exit_code, void *ctx)
{
    harness_thread *t = ctx;
    (void)node;
    dure_mutex_lock(t->mutex);
    t->is_ended = true;
    t->exit_code = exit_code;
    dure_cond_broadcast(t->cond);
    dure_mutex_unlock(t->mutex);
    dure_iocp_core_stop(t->core);
}

static void thread_main(void *ctx)
{
    dure_iocp_core_run(((harness_thread *)ctx)->core);
}

static dure_err thread_make_log(harness_thread *t, const dure_harness *h, const harness_node *node)
{
    const char *level = h->config->log_level != NULL ? h->config->log_level : "info";
    dure_log_config config = {.format = DURE_LOG_LOGFMT,
                              .node = node->entry->id,
                              .sink = thread_sink,
                              .clock = thread_clock};
    t->file = fopen(node->log_path, "a");
    config.ctx = t->file;
    dure_err err = t->file != NULL ? dure_log_level_parse(level, &config.level) : DURE_ERR_SYSTEM;
    return err == DURE_OK ? dure_log_create(&config, &t->log) : err;
}

/* As the node's own process would read it. */
static dure_err thread_load(harness_thread *t, const dure_harness *h, const harness_node *node)
{
    char texts[SETS_MAX][SET_BYTES];
    const char *sets[SETS_MAX];
    dure_registry_source source;
    dure_registry_report report;
    dure_registry_source_init(&source, h->config_path);
    dure_registry_source_from_environment(&source);
    source.env_set = NULL;
    source.sets = sets;
    while (source.set_count < SETS_MAX &&
           harness_config_set(h, (size_t)(node - h->nodes), source.set_count,
                              texts[source.set_count], SET_BYTES)) {
        sets[source.set_count] = texts[source.set_count];
        source.set_count++;
    }
    dure_registry_report_init(&report);
    dure_err err = dure_registry_load(&source, &t->registry, &report);
    dure_registry_report_fini(&report);
    return err;
}

static dure_err thread_make_core(harness_thread *t)
{
    dure_iocp_core_config config;
    dure_iocp_core_config_init(&config);
    config.log = t->log;
    dure_err err =
        dure_backend_parse(dure_registry_settings_of(t->registry)->backend, &config.backend);
    return err == DURE_OK ? dure_iocp_core_create(&config, &t->core) : err;
}

static const dure_role *find_role(const dure_harness *h, const char *name)
{
    for (const dure_role *const *role = h->config->roles; *role != NULL; role++) {
        if (strcmp((*role)->name, name) == 0) {
            return *role;
        }
    }
    return NULL;
}

static dure_err thread_make_node(harness_thread *t, const dure_harness *h, const harness_node *node)
{
    dure_node_config config = {
        .registry = t->registry,
        .node_id = node->entry->id,
        .role = find_role(h, node->entry->role),
        .core = t->core,
        .log = t->log,
        .on_ended = thread_on_ended,
        .ctx = t,
    };
    return config.role != NULL ? dure_node_create(&config, &t->node) : DURE_ERR_NOT_FOUND;
}

/* A node that could not start ends by itself, in rounds of its core. */
static dure_err thread_run(harness_thread *t)
{
    dure_err err = dure_node_start(t->node);
    if (err != DURE_OK) {
        dure_iocp_core_run(t->core);
        return err;
    }
    err = dure_thread_create("node", thread_main, t, &t->thread);
    if (err != DURE_OK) {
        dure_node_stop(t->node);
        dure_iocp_core_run(t->core);
    }
    return err;
}

dure_err harness_thread_start(dure_harness *h, harness_node *node, harness_thread **out_thread)
{
    harness_thread *t = dure_mem_alloc(sizeof *t);
    if (t == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    t->mutex = dure_mutex_create();
    t->cond = dure_cond_create();
    dure_err err = t->mutex != NULL && t->cond != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
    err = err == DURE_OK ? thread_make_log(t, h, node) : err;
    err = err == DURE_OK ? thread_load(t, h, node) : err;
    err = err == DURE_OK ? thread_make_core(t) : err;
    err = err == DURE_OK ? thread_make_node(t, h, node) : err;
    err = err == DURE_OK ? thread_run(t) : err;
    if (err != DURE_OK) {
        harness_thread_destroy(t);
        return err;
    }
    *out_thread = t;
    return DURE_OK;
}

void harness_thread_stop(harness_thread *thread)
{
    dure_mutex_lock(thread->mutex);
    bool is_ended = thread->is_ended;
    dure_mutex_unlock(thread->mutex);
    if (!is_ended) {
        dure_node_stop(thread->node);
    }
}

bool harness_thread_wait(harness_thread *thread, uint32_t ms, int *out_exit_code)
{
    uint64_t due_ns = dure_system_now_ns() + ms * UINT64_C(1000000);
    uint64_t now_ns;
    dure_mutex_lock(thread->mutex);
    while (!thread->is_ended && (now_ns = dure_system_now_ns()) < due_ns) {
        (void)dure_cond_wait_ms(thread->cond, thread->mutex,
                                (uint32_t)((due_ns - now_ns) / 1000000u) + 1);
    }
    bool is_ended = thread->is_ended;
    *out_exit_code = thread->exit_code;
    dure_mutex_unlock(thread->mutex);
    return is_ended;
}

void harness_thread_destroy(harness_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    dure_thread_join(thread->thread);
    if (thread->core != NULL) {
        (void)dure_iocp_core_run_once(thread->core, 0); /* a stop that was posted at the end */
    }
    dure_node_destroy(thread->node);
    dure_iocp_core_destroy(thread->core);
    dure_registry_destroy(thread->registry);
    dure_log_destroy(thread->log);
    if (thread->file != NULL) {
        (void)fclose(thread->file);
    }
    dure_cond_destroy(thread->cond);
    dure_mutex_destroy(thread->mutex);
    dure_mem_free(thread);
}
