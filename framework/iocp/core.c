/* SPDX-License-Identifier: MIT
 *
 * IocpCore, the half that is the same on every platform: the ledger, the order of a round, timers,
 * posts, jobs, deferred functions, and what may be started in which state. backend.h tells where
 * the other half begins.
 */
#include <string.h>

#include "base/mem.h"
#include "iocp/backend.h"
#include "iocp/system.h"

/*
 * Passes of one round. Sends that leave at once and what their completions start are finished in
 * the round they were begun in; a core that feeds itself for ever still comes to wait and look.
 */
#define PASSES_MAX 4u

#define NS_PER_MS 1000000u

/* Sockets of the system that the cores of this process have open; relaxed, as it is only a count.
 */
static _Atomic uint32_t sockets_of_process;

/* ---- events ---- */

void dure_iocp_event_init(dure_iocp_event *event, dure_iocp_object *owner, dure_iocp_kind kind)
{
    memset(event, 0, sizeof *event);
    event->owner = owner;
    event->kind = kind;
    event->_heap_index = DURE_TIMER_NOWHERE;
    dure_list_init(&event->_node);
}

bool dure_iocp_event_advance(dure_iocp_event *event, size_t sent)
{
    dure_iocp_slice *slices = dure_iocp_event_slices(event);
    event->bytes += sent;
    while (event->_slice_at < event->_slice_count) {
        dure_iocp_slice *slice = &slices[event->_slice_at];
        if (sent < slice->len) {
            slice->data += sent;
            slice->len -= sent;
            return false;
        }
        sent -= slice->len;
        event->_slice_at++;
    }
    DURE_ASSERT(sent == 0);
    return true;
}

/* ---- the ledger ---- */

static void ledger_begin(dure_iocp_core *core, dure_iocp_event *event)
{
    DURE_ASSERT(!event->_active);
    DURE_ASSERT(event->owner->core == core);
    event->_active = true;
    event->status = DURE_OK;
    event->system_error = 0;
    dure_iocp_object_hold(event->owner);
    event->owner->pending++;
    core->pending++;
    core->counters.started++;
}

/* The hold stays, for the dispatch that follows. */
static void ledger_end(dure_iocp_core *core, dure_iocp_event *event)
{
    DURE_ASSERT(event->_active);
    DURE_ASSERT(event->owner->pending > 0);
    DURE_ASSERT(core->pending > 0);
    event->_active = false;
    event->owner->pending--;
    core->pending--;
    core->counters.completed++;
}

/* Whether the core's sockets are the system's, of which all cores of a process share a number. */
static bool has_system_sockets(const dure_iocp_core *core)
{
    return core->backend->sockets_limit == NULL;
}

static void count_opened(dure_iocp_core *core)
{
    core->counters.sockets_opened++;
    if (has_system_sockets(core)) {
        (void)atomic_fetch_add_explicit(&sockets_of_process, 1, memory_order_relaxed);
    }
}

static void count_closed(dure_iocp_core *core)
{
    core->counters.sockets_closed++;
    DURE_ASSERT(core->counters.sockets_closed <= core->counters.sockets_opened);
    if (has_system_sockets(core)) {
        (void)atomic_fetch_sub_explicit(&sockets_of_process, 1, memory_order_relaxed);
    }
}

/* The one place where a socket's state changes. */
static void socket_set_state(dure_iocp_socket *socket, dure_iocp_socket_state state)
{
    static const uint8_t next[] = {
        [DURE_IOCP_SOCKET_OPEN] = 1u << DURE_IOCP_SOCKET_LISTENING |
                                  1u << DURE_IOCP_SOCKET_CONNECTING | 1u << DURE_IOCP_SOCKET_CLOSED,
        [DURE_IOCP_SOCKET_LISTENING] = 1u << DURE_IOCP_SOCKET_CLOSED,
        [DURE_IOCP_SOCKET_CONNECTING] = 1u << DURE_IOCP_SOCKET_CONNECTED |
                                        1u << DURE_IOCP_SOCKET_FAILED |
                                        1u << DURE_IOCP_SOCKET_CLOSED,
        [DURE_IOCP_SOCKET_CONNECTED] = 1u << DURE_IOCP_SOCKET_CLOSED,
        [DURE_IOCP_SOCKET_FAILED] = 1u << DURE_IOCP_SOCKET_CLOSED,
        [DURE_IOCP_SOCKET_CLOSED] = 0,
    };
    DURE_ASSERT((next[socket->state] & 1u << state) != 0);
    socket->state = state;
}

static void socket_bury(dure_iocp_socket *socket)
{
    DURE_ASSERT(socket->state == DURE_IOCP_SOCKET_CLOSED);
    DURE_ASSERT(dure_list_is_empty(&socket->node));
    dure_iocp_core *core = socket->core;
    core->backend->bury(socket);
    count_closed(core);
    dure_list_push_back(&core->graveyard, &socket->node);
}

/* The event is no longer one of its socket's; a closed socket dies with its last event. */
static void socket_detach(dure_iocp_event *event)
{
    dure_iocp_socket *socket = event->_socket;
    if (socket == NULL) {
        return;
    }
    DURE_ASSERT(event->kind < DURE_IOCP_SOCKET_KINDS);
    DURE_ASSERT(socket->core == event->owner->core);
    DURE_ASSERT(socket->events[event->kind] == event);
    DURE_ASSERT(socket->pending > 0);
    socket->events[event->kind] = NULL;
    socket->pending--;
    event->_socket = NULL;
    event->_more_slices = NULL;
    if (event->kind == DURE_IOCP_CONNECT && socket->state == DURE_IOCP_SOCKET_CONNECTING) {
        socket_set_state(socket, event->status == DURE_OK ? DURE_IOCP_SOCKET_CONNECTED
                                                          : DURE_IOCP_SOCKET_FAILED);
    }
    if (socket->state == DURE_IOCP_SOCKET_CLOSED && socket->pending == 0) {
        socket_bury(socket);
    }
}

bool dure_iocp_is_ready(const dure_iocp_event *event)
{
    return !dure_list_is_empty(&event->_node);
}

void dure_iocp_ready(dure_iocp_event *event, dure_err status, int system_error)
{
    DURE_ASSERT(event->_active);
    DURE_ASSERT(!dure_iocp_is_ready(event));
    event->status = status;
    event->system_error = system_error;
    dure_list_push_back(&event->owner->core->ready, &event->_node);
}

void dure_iocp_deliver(dure_iocp_event *event, dure_err status, int system_error, bool more)
{
    dure_iocp_object *owner = event->owner;
    dure_iocp_core *core = owner->core;
    DURE_ASSERT(core->is_in_round);
    DURE_ASSERT(event->_active);
    DURE_ASSERT(!dure_iocp_is_ready(event));
    event->status = status;
    event->system_error = system_error;
    event->more = more;
    core->counters.delivered++;
    if (more) {
        /* The operation's own hold lasts: its end is another completion. */
        owner->ops->dispatch(owner, event);
        event->bytes = 0;
        event->data = NULL;
        event->accepted = NULL;
        return;
    }
    ledger_end(core, event);
    socket_detach(event);
    owner->ops->dispatch(owner, event);
    dure_iocp_object_release(owner);
}

/* ---- create and destroy ---- */

void dure_iocp_core_config_init(dure_iocp_core_config *config)
{
    memset(config, 0, sizeof *config);
    config->backend = DURE_BACKEND_AUTO;
    config->recv_buffer_bytes = 64u * 1024u;
    config->recv_buffer_count = 256;
    config->job_threads = 2;
    config->apart_threads = 16;
    config->accepts_max = 64;
}

/* The member of a configuration that is out of bounds; NULL when none is. */
static const char *config_fault(const dure_iocp_core_config *config)
{
    const struct {
        const char *name;
        uint32_t value;
        uint32_t max;
    } bounds[] = {
        {"recv_buffer_bytes", config->recv_buffer_bytes, INT32_MAX},
        {"recv_buffer_count", config->recv_buffer_count, DURE_IOCP_BUFFERS_MAX},
        {"job_threads", config->job_threads, DURE_IOCP_JOB_THREADS_MAX},
        {"apart_threads", config->apart_threads, DURE_IOCP_JOB_THREADS_MAX},
        {"accepts_max", config->accepts_max, DURE_IOCP_ACCEPTS_MAX},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(bounds); i++) {
        if (bounds[i].value < 1 || bounds[i].value > bounds[i].max) {
            return bounds[i].name;
        }
    }
    return NULL;
}

static const struct {
    const char *name;
    dure_backend_choice choice;
} backend_names[] = {
    {"auto", DURE_BACKEND_AUTO},   {"epoll", DURE_BACKEND_EPOLL}, {"uring", DURE_BACKEND_URING},
    {"win32", DURE_BACKEND_WIN32}, {"sim", DURE_BACKEND_SIM},
};

dure_err dure_backend_parse(const char *name, dure_backend_choice *out_choice)
{
    for (size_t i = 0; i < DURE_COUNT_OF(backend_names); i++) {
        if (strcmp(name, backend_names[i].name) == 0) {
            *out_choice = backend_names[i].choice;
            return DURE_OK;
        }
    }
    return DURE_ERR_INVALID;
}

static dure_err backend_create(dure_backend_choice choice, const dure_iocp_core_config *config,
                               const char **out_reason, dure_iocp_core **out_core)
{
    const dure_iocp_backend *backend = dure_iocp_backend_find(choice);
    if (backend == NULL) {
        *out_reason = "not_in_this_build";
        return DURE_ERR_UNSUPPORTED;
    }
    dure_err err = backend->create(config, out_reason, out_core);
    if (err == DURE_OK) {
        (*out_core)->backend = backend;
    }
    return err;
}

/* The first of a platform's order that can be had; what stands in the way is told in the log. */
static dure_err backend_create_first(const dure_iocp_core_config *config, const char **out_reason,
                                     dure_iocp_core **out_core)
{
    static const dure_backend_choice best[] = {DURE_BACKEND_WIN32, DURE_BACKEND_URING,
                                               DURE_BACKEND_EPOLL};
    static const dure_backend_choice light[] = {DURE_BACKEND_WIN32, DURE_BACKEND_EPOLL};
    const bool is_light = config->backend == DURE_BACKEND_LIGHT;
    const dure_backend_choice *order = is_light ? light : best;
    const size_t count = is_light ? DURE_COUNT_OF(light) : DURE_COUNT_OF(best);
    const char *reason = is_light ? "asked_for" : "best_of_platform";
    dure_err err = DURE_ERR_UNSUPPORTED;
    for (size_t i = 0; i < count && err == DURE_ERR_UNSUPPORTED; i++) {
        const char *obstacle = NULL;
        if (dure_iocp_backend_find(order[i]) == NULL) {
            continue;
        }
        err = backend_create(order[i], config, &obstacle, out_core);
        if (err == DURE_OK) {
            *out_reason = reason;
        } else if (obstacle != NULL) {
            reason = obstacle;
        }
    }
    return err;
}

static uint32_t sockets_limit(const dure_iocp_core *core)
{
    return core->backend->sockets_limit != NULL ? core->backend->sockets_limit(core)
                                                : dure_system_sockets_max();
}

static dure_err core_init(dure_iocp_core *core, const dure_iocp_core_config *config)
{
    core->config = *config;
    dure_list_init(&core->ready);
    dure_list_init(&core->deferred);
    dure_list_init(&core->graveyard);
    dure_timer_heap_init(&core->timers);
    core->sockets_of_process_max = sockets_limit(core);
    core->sockets_max =
        config->sockets_max != 0 ? config->sockets_max : core->sockets_of_process_max;
    uint64_t seed = 0;
    dure_err err = dure_iocp_core_entropy(core, &seed, sizeof seed);
    if (err != DURE_OK) {
        return err;
    }
    dure_rng_init(&core->rng, seed);
    return dure_mailbox_init(&core->mailbox);
}

dure_err dure_iocp_core_create(const dure_iocp_core_config *config, dure_iocp_core **out_core)
{
    dure_iocp_core *core = NULL;
    const char *reason = config_fault(config);
    dure_err err = DURE_ERR_INVALID;
    if (reason == NULL) {
        reason = "asked_for";
        err = config->backend == DURE_BACKEND_AUTO || config->backend == DURE_BACKEND_LIGHT
                  ? backend_create_first(config, &reason, &core)
                  : backend_create(config->backend, config, &reason, &core);
    }
    if (err != DURE_OK) {
        dure_log_write(config->log, DURE_LOG_ERROR, "iocp", "BACKEND_FAILED", "cause=%s reason=%s",
                       dure_err_name(err), reason);
        return err;
    }
    err = core_init(core, config);
    if (err != DURE_OK) {
        dure_mailbox_fini(&core->mailbox);
        core->backend->destroy(core);
        return err;
    }
    dure_log_write(config->log, DURE_LOG_INFO, "iocp", "BACKEND", "choice=%s reason=%s",
                   core->backend->name, reason);
    *out_core = core;
    return DURE_OK;
}

static void graveyard_clear(dure_iocp_core *core)
{
    dure_list *node = NULL;
    while ((node = dure_list_pop_front(&core->graveyard)) != NULL) {
        dure_iocp_socket *socket = DURE_CONTAINER_OF(node, dure_iocp_socket, node);
        dure_mem_free(socket->slices);
        core->backend->free(socket);
    }
}

/* Moves what other threads posted to the ready list. */
static void collect_mail(dure_iocp_core *core)
{
    if (!atomic_exchange_explicit(&core->is_mail_waiting, false, memory_order_acquire)) {
        return;
    }
    dure_list mail;
    dure_list_init(&mail);
    dure_mailbox_take_all(&core->mailbox, &mail);
    dure_list *node = NULL;
    while ((node = dure_list_pop_front(&mail)) != NULL) {
        dure_iocp_event *event = DURE_CONTAINER_OF(node, dure_iocp_event, _node);
        if (event->kind == DURE_IOCP_POST) {
            ledger_begin(core, event);
        }
        dure_iocp_ready(event, DURE_OK, 0);
    }
}

static bool core_is_quiet(const dure_iocp_core *core)
{
    return core->pending == 0 && dure_list_is_empty(&core->ready) &&
           dure_list_is_empty(&core->deferred) &&
           !atomic_load_explicit(&core->is_mail_waiting, memory_order_acquire);
}

void dure_iocp_core_destroy(dure_iocp_core *core)
{
    if (core == NULL) {
        return;
    }
    /* What was posted between the end of run and now still arrives. */
    while (core->pending == 0 && !core_is_quiet(core)) {
        (void)dure_iocp_core_round(core, 0);
    }
    DURE_ASSERT(core_is_quiet(core));
    DURE_ASSERT(core->counters.started == core->counters.completed);
    DURE_ASSERT(core->counters.sockets_opened == core->counters.sockets_closed);
    dure_iocp_jobs_destroy(core->jobs);
    dure_iocp_apart_destroy(core->apart);
    graveyard_clear(core);
    dure_timer_heap_fini(&core->timers);
    dure_mailbox_fini(&core->mailbox);
    core->backend->destroy(core);
}

/* ---- rounds ---- */

bool dure_iocp_core_is_due(const dure_iocp_core *core)
{
    return !dure_list_is_empty(&core->ready) || !dure_list_is_empty(&core->deferred) ||
           core->backend->is_busy(core) ||
           atomic_load_explicit(&core->is_mail_waiting, memory_order_acquire) ||
           dure_timer_heap_next_ns(&core->timers) <= dure_iocp_core_exact_ns(core);
}

static uint64_t wait_until_due(const dure_iocp_core *core, uint64_t wait_ns)
{
    if (wait_ns == 0 || dure_iocp_core_is_due(core)) {
        return 0;
    }
    uint64_t next_ns = dure_timer_heap_next_ns(&core->timers);
    uint64_t now_ns = dure_iocp_core_exact_ns(core);
    if (next_ns == UINT64_MAX) {
        return wait_ns;
    }
    uint64_t until_next_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    return until_next_ns < wait_ns ? until_next_ns : wait_ns;
}

static void collect_timers(dure_iocp_core *core)
{
    dure_iocp_event *event = NULL;
    while ((event = dure_timer_heap_pop_due(&core->timers, core->now_ns)) != NULL) {
        dure_iocp_ready(event, DURE_OK, 0);
    }
}

/* What becomes ready meanwhile belongs to the next pass. */
static void dispatch_ready(dure_iocp_core *core)
{
    dure_list batch;
    dure_list *node = NULL;
    dure_list_init(&batch);
    dure_list_move_all(&batch, &core->ready);
    while ((node = dure_list_pop_front(&batch)) != NULL) {
        dure_iocp_event *event = DURE_CONTAINER_OF(node, dure_iocp_event, _node);
        dure_iocp_deliver(event, event->status, event->system_error, false);
    }
}

static void run_deferred(dure_iocp_core *core)
{
    dure_list batch;
    dure_list *node = NULL;
    dure_list_init(&batch);
    dure_list_move_all(&batch, &core->deferred);
    while ((node = dure_list_pop_front(&batch)) != NULL) {
        dure_iocp_deferred *deferred = DURE_CONTAINER_OF(node, dure_iocp_deferred, _node);
        deferred->_is_queued = false;
        deferred->fn(deferred);
    }
}

size_t dure_iocp_core_round(dure_iocp_core *core, uint64_t wait_ns)
{
    DURE_ASSERT(!core->is_in_round);
    uint64_t delivered = core->counters.delivered;
    core->counters.rounds++;
    core->backend->poll(core, wait_until_due(core, wait_ns));
    core->is_in_round = true;
    core->now_ns = dure_iocp_core_exact_ns(core);
    collect_mail(core);
    collect_timers(core);
    for (uint32_t pass = 0; pass < PASSES_MAX; pass++) {
        core->backend->advance(core);
        dispatch_ready(core);
        run_deferred(core);
        if (dure_list_is_empty(&core->ready) && dure_list_is_empty(&core->deferred) &&
            !core->backend->is_busy_now(core)) {
            break;
        }
    }
    core->is_in_round = false;
    graveyard_clear(core);
    return (size_t)(core->counters.delivered - delivered);
}

static bool core_is_stopping(const dure_iocp_core *core)
{
    return atomic_load_explicit(&core->is_stopping, memory_order_acquire);
}

size_t dure_iocp_core_run_once(dure_iocp_core *core, uint32_t max_wait_ms)
{
    DURE_ASSERT_OWNER(core);
    if (core->backend->run_once != NULL) {
        return core->backend->run_once(core, max_wait_ms);
    }
    uint64_t begin_ns = dure_iocp_core_exact_ns(core);
    uint64_t limit_ns = max_wait_ms == UINT32_MAX ? UINT64_MAX : (uint64_t)max_wait_ms * NS_PER_MS;
    uint64_t wait_ns = limit_ns;
    for (;;) {
        size_t count = dure_iocp_core_round(core, wait_ns);
        if (count > 0 || wait_ns == 0 || core_is_stopping(core)) {
            return count;
        }
        if (limit_ns != UINT64_MAX) {
            uint64_t passed_ns = dure_iocp_core_exact_ns(core) - begin_ns;
            wait_ns = passed_ns < limit_ns ? limit_ns - passed_ns : 0;
        }
    }
}

void dure_iocp_core_run(dure_iocp_core *core)
{
    DURE_ASSERT(atomic_load_explicit(&core->owner, memory_order_relaxed) == 0);
    atomic_store_explicit(&core->owner, dure_thread_self(), memory_order_release);
    while (!core_is_stopping(core) || !core_is_quiet(core)) {
        (void)dure_iocp_core_run_once(core, UINT32_MAX);
    }
    atomic_store_explicit(&core->owner, 0, memory_order_release);
}

void dure_iocp_core_stop(dure_iocp_core *core)
{
    atomic_store_explicit(&core->is_stopping, true, memory_order_release);
    core->backend->wake(core);
}

/* ---- sockets ---- */

void dure_iocp_socket_init(dure_iocp_socket *socket, dure_iocp_core *core, dure_family family,
                           dure_iocp_socket_state state)
{
    DURE_ASSERT(state == DURE_IOCP_SOCKET_OPEN || state == DURE_IOCP_SOCKET_CONNECTED);
    DURE_ASSERT(socket->pending == 0);
    socket->core = core;
    socket->family = family;
    socket->state = state; /* its first */
    dure_list_init(&socket->node);
    count_opened(core);
}

bool dure_iocp_core_has_room(const dure_iocp_core *core)
{
    if (core->counters.sockets_opened - core->counters.sockets_closed >= core->sockets_max) {
        return false;
    }
    return !has_system_sockets(core) ||
           atomic_load_explicit(&sockets_of_process, memory_order_relaxed) <
               core->sockets_of_process_max;
}

dure_err dure_iocp_socket_open(dure_iocp_core *core, dure_family family,
                               dure_iocp_socket **out_socket)
{
    DURE_ASSERT_OWNER(core);
    if (family == DURE_FAMILY_NONE) {
        return DURE_ERR_UNSUPPORTED;
    }
    if (!dure_iocp_core_has_room(core)) {
        return DURE_ERR_TOO_MANY_FILES;
    }
    dure_iocp_socket *socket = NULL;
    dure_err err = core->backend->open(core, family, &socket);
    if (err != DURE_OK) {
        return err;
    }
    dure_iocp_socket_init(socket, core, family, DURE_IOCP_SOCKET_OPEN);
    *out_socket = socket;
    return DURE_OK;
}

static void socket_end(dure_iocp_socket *socket, bool reset)
{
    if (socket == NULL) {
        return;
    }
    DURE_ASSERT_OWNER(socket->core);
    socket_set_state(socket, DURE_IOCP_SOCKET_CLOSED);
    socket->core->backend->close(socket, reset);
    if (socket->pending == 0) {
        socket_bury(socket);
    }
}

void dure_iocp_socket_close(dure_iocp_socket *socket)
{
    socket_end(socket, false);
}

void dure_iocp_socket_abort(dure_iocp_socket *socket)
{
    socket_end(socket, true);
}

void dure_iocp_socket_release(dure_iocp_socket *socket)
{
    dure_iocp_core *core = socket->core;
    DURE_ASSERT_OWNER(core);
    DURE_ASSERT(socket->state == DURE_IOCP_SOCKET_CONNECTED);
    DURE_ASSERT(socket->pending == 0);
    DURE_ASSERT(!dure_iocp_socket_is_pinned(socket));
    if (core->backend->release != NULL) {
        core->backend->release(socket);
    }
    count_closed(core);
}

void dure_iocp_socket_adopt(dure_iocp_core *core, dure_iocp_socket *socket)
{
    DURE_ASSERT_OWNER(core);
    DURE_ASSERT(socket->core->backend == core->backend);
    if (core->backend->adopt != NULL) {
        core->backend->adopt(core, socket);
    }
    socket->core = core;
    count_opened(core);
}

bool dure_iocp_socket_is_pinned(const dure_iocp_socket *socket)
{
    DURE_ASSERT_OWNER(socket->core);
    return socket->core->backend->is_pinned != NULL && socket->core->backend->is_pinned(socket);
}

dure_err dure_iocp_socket_bind(dure_iocp_socket *socket, const dure_net_address *address)
{
    DURE_ASSERT_OWNER(socket->core);
    if (address->family != socket->family || socket->state != DURE_IOCP_SOCKET_OPEN) {
        return DURE_ERR_INVALID;
    }
    return socket->core->backend->bind(socket, address);
}

dure_err dure_iocp_socket_listen(dure_iocp_socket *socket, uint32_t backlog)
{
    DURE_ASSERT_OWNER(socket->core);
    if (socket->state != DURE_IOCP_SOCKET_OPEN) {
        return DURE_ERR_INVALID;
    }
    dure_err err = socket->core->backend->listen(socket, backlog);
    if (err == DURE_OK) {
        socket_set_state(socket, DURE_IOCP_SOCKET_LISTENING);
    }
    return err;
}

dure_err dure_iocp_socket_local(const dure_iocp_socket *socket, dure_net_address *out_address)
{
    DURE_ASSERT_OWNER(socket->core);
    return socket->core->backend->local(socket, out_address);
}

dure_err dure_iocp_socket_peer(const dure_iocp_socket *socket, dure_net_address *out_address)
{
    DURE_ASSERT_OWNER(socket->core);
    return socket->core->backend->peer(socket, out_address);
}

bool dure_iocp_core_passes_options_on(const dure_iocp_core *core)
{
    return core->backend->passes_options_on;
}

dure_err dure_iocp_socket_set(dure_iocp_socket *socket, dure_iocp_option option, int value)
{
    DURE_ASSERT_OWNER(socket->core);
    return socket->core->backend->set(socket, option, value);
}

/* ---- operations ---- */

static void socket_attach(dure_iocp_socket *socket, dure_iocp_event *event)
{
    DURE_ASSERT(event->kind < DURE_IOCP_SOCKET_KINDS);
    DURE_ASSERT(socket->events[event->kind] == NULL);
    DURE_ASSERT(event->_socket == NULL);
    ledger_begin(socket->core, event);
    socket->events[event->kind] = event;
    socket->pending++;
    event->_socket = socket;
    event->bytes = 0;
    event->data = NULL;
    event->accepted = NULL;
}

/* Nothing had started after all. */
static void socket_take_back(dure_iocp_socket *socket, dure_iocp_event *event)
{
    dure_iocp_core *core = socket->core;
    DURE_ASSERT(socket->events[event->kind] == event);
    DURE_ASSERT(!dure_iocp_is_ready(event));
    socket->events[event->kind] = NULL;
    socket->pending--;
    event->_socket = NULL;
    event->_more_slices = NULL;
    event->_active = false;
    event->owner->pending--;
    core->pending--;
    core->counters.started--;
    dure_iocp_object_release(event->owner);
}

static dure_err socket_start(dure_iocp_socket *socket, dure_iocp_event *event)
{
    socket_attach(socket, event);
    dure_err err = socket->core->backend->start(socket, event);
    if (err != DURE_OK) {
        socket_take_back(socket, event);
    }
    return err;
}

static void check_start(const dure_iocp_socket *socket, const dure_iocp_event *event,
                        dure_iocp_kind kind)
{
    DURE_ASSERT_OWNER(socket->core);
    DURE_ASSERT(event->kind == kind);
    DURE_ASSERT(event->owner != NULL);
    DURE_ASSERT(socket->state != DURE_IOCP_SOCKET_CLOSED);
}

dure_err dure_iocp_connect(dure_iocp_socket *socket, dure_iocp_event *event,
                           const dure_net_address *address)
{
    check_start(socket, event, DURE_IOCP_CONNECT);
    if (event->_active || socket->state != DURE_IOCP_SOCKET_OPEN) {
        return DURE_ERR_STATE;
    }
    if (address->family != socket->family || address->port == 0) {
        return DURE_ERR_INVALID;
    }
    event->_address = *address;
    dure_err err = socket_start(socket, event);
    if (err == DURE_OK) {
        socket_set_state(socket, DURE_IOCP_SOCKET_CONNECTING);
    }
    return err;
}

dure_err dure_iocp_accept(dure_iocp_socket *socket, dure_iocp_event *event)
{
    check_start(socket, event, DURE_IOCP_ACCEPT);
    if (event->_active || socket->events[DURE_IOCP_ACCEPT] != NULL ||
        socket->state != DURE_IOCP_SOCKET_LISTENING) {
        return DURE_ERR_STATE;
    }
    return socket_start(socket, event);
}

static dure_err start_receiving(dure_iocp_socket *socket, dure_iocp_event *event)
{
    if (event->_active || socket->events[DURE_IOCP_RECV] != NULL ||
        socket->events[DURE_IOCP_PRE_RECV] != NULL || socket->state != DURE_IOCP_SOCKET_CONNECTED) {
        return DURE_ERR_STATE;
    }
    return socket_start(socket, event);
}

dure_err dure_iocp_pre_recv(dure_iocp_socket *socket, dure_iocp_event *event)
{
    check_start(socket, event, DURE_IOCP_PRE_RECV);
    return start_receiving(socket, event);
}

dure_err dure_iocp_recv(dure_iocp_socket *socket, dure_iocp_event *event)
{
    check_start(socket, event, DURE_IOCP_RECV);
    return start_receiving(socket, event);
}

/* Copies the slices into the event, or into the socket's array where they do not fit. */
static dure_err copy_slices(dure_iocp_socket *socket, dure_iocp_event *event,
                            const dure_iocp_slice *slices, size_t count)
{
    dure_iocp_slice *to = event->_slices;
    event->_more_slices = NULL;
    if (count > DURE_COUNT_OF(event->_slices)) {
        if (socket->slices == NULL) {
            socket->slices = dure_mem_alloc_array(DURE_IOCP_SLICES_MAX, sizeof *slices);
        }
        if (socket->slices == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
        to = socket->slices;
        event->_more_slices = to;
    }
    memcpy(to, slices, count * sizeof *slices);
    event->_slice_count = (uint32_t)count;
    event->_slice_at = 0;
    return DURE_OK;
}

dure_err dure_iocp_send(dure_iocp_socket *socket, dure_iocp_event *event,
                        const dure_iocp_slice *slices, size_t count)
{
    check_start(socket, event, DURE_IOCP_SEND);
    if (count == 0 || count > DURE_IOCP_SLICES_MAX) {
        return DURE_ERR_INVALID;
    }
    if (event->_active || socket->events[DURE_IOCP_SEND] != NULL ||
        socket->state != DURE_IOCP_SOCKET_CONNECTED) {
        return DURE_ERR_STATE;
    }
    dure_err err = copy_slices(socket, event, slices, count);
    return err == DURE_OK ? socket_start(socket, event) : err;
}

uint64_t dure_iocp_socket_acknowledged(const dure_iocp_socket *socket)
{
    DURE_ASSERT_OWNER(socket->core);
    DURE_ASSERT(socket->state != DURE_IOCP_SOCKET_CLOSED);
    const dure_iocp_backend *backend = socket->core->backend;
    return backend->acknowledged != NULL ? backend->acknowledged(socket) : 0;
}

size_t dure_iocp_socket_taken(const dure_iocp_socket *socket)
{
    DURE_ASSERT_OWNER(socket->core);
    const dure_iocp_event *send = socket->events[DURE_IOCP_SEND];
    return send != NULL ? send->bytes : 0;
}

dure_err dure_iocp_disconnect(dure_iocp_socket *socket, dure_iocp_event *event)
{
    check_start(socket, event, DURE_IOCP_DISCONNECT);
    if (event->_active || socket->events[DURE_IOCP_DISCONNECT] != NULL ||
        socket->events[DURE_IOCP_SEND] != NULL) {
        return DURE_ERR_STATE;
    }
    if (socket->state != DURE_IOCP_SOCKET_CONNECTED) {
        socket_attach(socket, event);
        dure_iocp_ready(event, DURE_ERR_STATE, 0);
        return DURE_OK;
    }
    return socket_start(socket, event);
}

dure_err dure_iocp_timer(dure_iocp_core *core, dure_iocp_event *event, uint32_t delay_ms)
{
    DURE_ASSERT_OWNER(core);
    DURE_ASSERT(event->kind == DURE_IOCP_TIMER);
    DURE_ASSERT(!event->_active);
    /* Not the round's time: that lies in the past, and a timer is never early. */
    uint64_t due_ns = dure_iocp_core_exact_ns(core) + (uint64_t)delay_ms * NS_PER_MS;
    dure_err err = dure_timer_heap_add(&core->timers, event, due_ns);
    if (err == DURE_OK) {
        ledger_begin(core, event);
    }
    return err;
}

/* Puts an event in the mailbox and wakes the core once, unless this is its own thread. */
static void post_event(dure_iocp_core *core, dure_iocp_event *event)
{
    bool was_empty = dure_mailbox_push(&core->mailbox, &event->_node);
    atomic_store_explicit(&core->is_mail_waiting, true, memory_order_release);
    if (was_empty &&
        atomic_load_explicit(&core->owner, memory_order_relaxed) != dure_thread_self()) {
        core->backend->wake(core);
    }
}

void dure_iocp_post(dure_iocp_core *core, dure_iocp_event *event)
{
    DURE_ASSERT(event->kind == DURE_IOCP_POST);
    DURE_ASSERT(dure_list_is_empty(&event->_node));
    post_event(core, event);
}

static void job_done(void *ctx, dure_iocp_event *event)
{
    post_event(ctx, event);
}

static dure_err job_push(dure_iocp_core *core, dure_iocp_event *event)
{
    if (core->backend->job != NULL) {
        return core->backend->job(core, event);
    }
    if (core->jobs == NULL) {
        dure_err err = dure_iocp_jobs_create(core->config.job_threads, job_done, core, &core->jobs);
        if (err != DURE_OK) {
            return err;
        }
    }
    return dure_iocp_jobs_push(core->jobs, event);
}

/* Enters a job in the ledger. First of all, since a job may be done before its push returns. */
static void job_begin(dure_iocp_core *core, dure_iocp_event *event, dure_iocp_job_fn fn, void *ctx)
{
    event->_job_fn = fn;
    event->_job_ctx = ctx;
    ledger_begin(core, event);
}

/* Nothing had started after all. */
static void job_take_back(dure_iocp_core *core, dure_iocp_event *event)
{
    event->_active = false;
    event->owner->pending--;
    core->pending--;
    core->counters.started--;
    dure_iocp_object_release(event->owner);
}

dure_err dure_iocp_job(dure_iocp_core *core, dure_iocp_event *event, dure_iocp_job_fn fn,
                       void *job_ctx)
{
    DURE_ASSERT_OWNER(core);
    DURE_ASSERT(event->kind == DURE_IOCP_JOB);
    if (event->_active) {
        return DURE_ERR_STATE;
    }
    event->_is_apart = false;
    job_begin(core, event, fn, job_ctx);
    dure_err err = job_push(core, event);
    if (err != DURE_OK) {
        job_take_back(core, event);
    }
    return err;
}

static void run_task(void *ctx)
{
    dure_iocp_task_run(ctx);
}

static dure_err apart_push(dure_iocp_core *core, dure_iocp_event *event, dure_iocp_task *task)
{
    if (core->backend->job != NULL) {
        return core->backend->job(core, event); /* a world of its own has no threads */
    }
    if (core->apart == NULL) {
        dure_err err =
            dure_iocp_apart_create(core->config.apart_threads, job_done, core, &core->apart);
        if (err != DURE_OK) {
            return err;
        }
    }
    return dure_iocp_apart_push(core->apart, task, event);
}

dure_err dure_iocp_job_apart(dure_iocp_core *core, dure_iocp_event *event, dure_iocp_job_fn fn,
                             dure_iocp_job_fn release, void *job_ctx)
{
    DURE_ASSERT_OWNER(core);
    DURE_ASSERT(event->kind == DURE_IOCP_JOB);
    if (event->_active) {
        return DURE_ERR_STATE;
    }
    dure_iocp_task *task = NULL;
    dure_err err = dure_iocp_task_create(fn, release, job_ctx, &task);
    if (err != DURE_OK) {
        return err;
    }
    event->_is_apart = true;
    job_begin(core, event, run_task, task);
    err = apart_push(core, event, task);
    if (err != DURE_OK) {
        dure_iocp_task_forget(task);
        job_take_back(core, event);
    }
    return err;
}

static bool job_take(dure_iocp_core *core, dure_iocp_event *event)
{
    if (core->backend->job_cancel != NULL) {
        bool is_taken = core->backend->job_cancel(core, event);
        if (is_taken && event->_is_apart) {
            dure_iocp_task_drop(event->_job_ctx);
        }
        return is_taken;
    }
    return event->_is_apart ? dure_iocp_apart_leave(core->apart, event)
                            : dure_iocp_jobs_take_back(core->jobs, event);
}

static void job_cancel(dure_iocp_core *core, dure_iocp_event *event)
{
    if (job_take(core, event)) {
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
    }
}

void dure_iocp_cancel(dure_iocp_event *event)
{
    if (!event->_active) {
        return;
    }
    dure_iocp_core *core = event->owner->core;
    DURE_ASSERT_OWNER(core);
    if (event->kind == DURE_IOCP_JOB) {
        job_cancel(core, event); /* its list node may be another thread's at this moment */
    } else if (event->kind == DURE_IOCP_TIMER) {
        if (dure_timer_heap_remove(&core->timers, event)) {
            dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
        }
    } else if (event->kind != DURE_IOCP_POST && !dure_iocp_is_ready(event)) {
        core->backend->cancel(event->_socket, event);
    }
}

/* ---- rounds, clock, chance ---- */

void dure_iocp_core_defer(dure_iocp_core *core, dure_iocp_deferred *deferred)
{
    DURE_ASSERT_OWNER(core);
    if (!deferred->_is_queued) {
        deferred->_is_queued = true;
        dure_list_push_back(&core->deferred, &deferred->_node);
    }
}

void dure_iocp_core_undefer(dure_iocp_deferred *deferred)
{
    if (deferred->_is_queued) {
        deferred->_is_queued = false;
        dure_list_remove(&deferred->_node);
    }
}

uint64_t dure_iocp_core_now_ns(const dure_iocp_core *core)
{
    return core->is_in_round ? core->now_ns : dure_iocp_core_exact_ns(core);
}

uint64_t dure_iocp_core_now_ms(const dure_iocp_core *core)
{
    return dure_iocp_core_now_ns(core) / NS_PER_MS;
}

uint64_t dure_iocp_core_exact_ns(const dure_iocp_core *core)
{
    return core->backend->now_ns != NULL ? core->backend->now_ns(core) : dure_system_now_ns();
}

uint64_t dure_iocp_core_elapsed_ns(const dure_iocp_core *core)
{
    return core->backend->elapsed_ns != NULL ? core->backend->elapsed_ns(core)
                                             : dure_system_elapsed_ns();
}

uint64_t dure_iocp_core_wall_ms(const dure_iocp_core *core)
{
    return core->backend->wall_ms != NULL ? core->backend->wall_ms(core) : dure_system_wall_ms();
}

uint64_t dure_iocp_core_random(dure_iocp_core *core)
{
    DURE_ASSERT_OWNER(core);
    return dure_rng_next(&core->rng);
}

dure_err dure_iocp_core_entropy(dure_iocp_core *core, void *out, size_t len)
{
    return core->backend->entropy != NULL ? core->backend->entropy(core, out, len)
                                          : dure_system_entropy(out, len);
}

/* ---- questions ---- */

void dure_iocp_core_counters(const dure_iocp_core *core, dure_iocp_counters *out_counters)
{
    *out_counters = core->counters;
}

const char *dure_iocp_core_backend_name(const dure_iocp_core *core)
{
    return core->backend->name;
}

dure_log *dure_iocp_core_log(const dure_iocp_core *core)
{
    return core->config.log;
}

bool dure_iocp_core_is_owner(const dure_iocp_core *core)
{
    uint64_t owner = atomic_load_explicit(&core->owner, memory_order_acquire);
    return owner == 0 || owner == dure_thread_self();
}
