/* SPDX-License-Identifier: MIT
 *
 * A core, its log and the signals of a small program.
 */
#include "tools/program.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/process.h"

struct dure_program {
    dure_iocp_object object;
    dure_iocp_event stop_event;
    dure_log *log;
    dure_iocp_core *core;
    dure_stop_signals *signals;
    void (*on_stop)(void *ctx);
    void *ctx;
    atomic_bool is_asked; /* the stop event is on its way, or was */
};

static void program_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    dure_program *program = DURE_CONTAINER_OF(object, dure_program, object);
    (void)event;
    program->on_stop(program->ctx);
}

static void program_free(dure_iocp_object *object)
{
    (void)object; /* dure_program_destroy */
}

static const dure_iocp_object_ops program_ops = {program_dispatch, program_free};

/* On the thread of the signals. */
static void program_signal(void *ctx)
{
    dure_program *program = ctx;
    if (!atomic_exchange(&program->is_asked, true)) {
        dure_iocp_post(program->core, &program->stop_event);
    }
}

static dure_err program_make_core(dure_program *program, const char *name)
{
    dure_iocp_core_config config;
    dure_iocp_core_config_init(&config);
    config.log = program->log;
    const char *backend = getenv("DURE_BACKEND");
    if (backend != NULL && backend[0] != '\0') {
        dure_err err = dure_backend_parse(backend, &config.backend);
        if (err != DURE_OK || config.backend == DURE_BACKEND_SIM) {
            fprintf(stderr, "%s: DURE_BACKEND=%s: not one of auto, epoll, uring\n", name, backend);
            return DURE_ERR_INVALID;
        }
    }
    return dure_iocp_core_create(&config, &program->core);
}

static dure_err program_open(dure_program *program, const char *name)
{
    dure_log_config log = {.level = DURE_LOG_WARN, .node = name};
    dure_err err = dure_log_create(&log, &program->log);
    if (err == DURE_OK) {
        err = program_make_core(program, name);
    }
    if (err != DURE_OK) {
        return err;
    }
    dure_iocp_object_init(&program->object, program->core, &program_ops);
    dure_iocp_event_init(&program->stop_event, &program->object, DURE_IOCP_POST);
    return dure_stop_signals_create(program_signal, program, &program->signals);
}

dure_err dure_program_create(const char *name, void (*on_stop)(void *ctx), void *ctx,
                             dure_program **out_program)
{
    dure_program *program = dure_mem_alloc(sizeof *program);
    if (program == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    program->on_stop = on_stop;
    program->ctx = ctx;
    dure_err err = program_open(program, name);
    if (err != DURE_OK) {
        if (err != DURE_ERR_INVALID) { /* of that it was told in words of its own */
            fprintf(stderr, "%s: %s\n", name, dure_err_text(err));
        }
        dure_program_destroy(program);
        return err;
    }
    *out_program = program;
    return DURE_OK;
}

dure_iocp_core *dure_program_core(dure_program *program)
{
    return program->core;
}

void dure_program_run(dure_program *program)
{
    dure_iocp_core_run(program->core);
}

void dure_program_end(dure_program *program)
{
    dure_iocp_core_stop(program->core);
}

void dure_program_destroy(dure_program *program)
{
    if (program == NULL) {
        return;
    }
    if (program->signals != NULL) {
        dure_stop_signals_destroy(program->signals);
    }
    dure_iocp_core_destroy(program->core);
    dure_log_destroy(program->log);
    dure_mem_free(program);
}

dure_err dure_program_number(const char *text, uint64_t min, uint64_t max, uint64_t *out_number)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return DURE_ERR_INVALID;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < min || number > max) {
        return DURE_ERR_INVALID;
    }
    *out_number = number;
    return DURE_OK;
}
