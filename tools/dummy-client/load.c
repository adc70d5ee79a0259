/* SPDX-License-Identifier: MIT
 *
 * The load generator. Requests are due at fixed times, whatever the server does; how long an answer
 * took is measured from the time its request was due, so a server that stalls cannot hide the
 * requests that had to wait for it (coordinated omission). Timers count in milliseconds, so a
 * request is meant to leave at the end of the tick in which it is due.
 */
#include <stdio.h>

#include "base/mem.h"
#include "tools/dummy-client/client.h"
#include "tools/histogram.h"

#define TICK_MS        1u
#define TICK_NS        UINT64_C(2000000) /* a tick, and what a system adds to it */
#define DRAIN_MS       2000u             /* for the last answers, after the last request */
#define OUTSTANDING    1024u             /* requests of one session without an answer */
#define CONNECT_MS_MAX 10000u
#define NS_PER_S       UINT64_C(1000000000)

typedef enum load_state { LOAD_CONNECTING, LOAD_SENDING, LOAD_DRAINING, LOAD_ENDING } load_state;

/* What a session has under way; its context. */
typedef struct load_session {
    dummy_reader reader;
    uint32_t next_id;             /* of the next request, from 1 */
    uint32_t oldest_id;           /* raw: whose answer comes next */
    uint32_t count;               /* without an answer */
    uint64_t due_ns[OUTSTANDING]; /* by id modulo OUTSTANDING; 0: answered */
} load_session;

typedef struct load {
    dure_iocp_object object;
    dure_iocp_event tick;
    const dummy_options *options;
    dure_program *program;
    dure_service *service;
    load_session **sessions; /* by index; made when first connected */
    dure_buf message;
    char *payload;
    load_state state;
    uint64_t begin_ns;
    uint64_t end_ns;   /* of what the state waits for */
    uint64_t last_ns;  /* the last answer */
    uint64_t next;     /* request to be due next, from 0 */
    uint32_t up;       /* sessions connected */
    uint64_t connects; /* connections made */
    uint64_t connect_failed;
    uint64_t disconnected; /* while it was not our doing */
    uint64_t sent;
    uint64_t not_sent; /* due, but the session was down or full */
    uint64_t answered;
    uint64_t errors; /* answers that were errors or did not fit */
    uint64_t lost;   /* the connection ended before the answer */
    dure_histogram latency_ns;
} load;

static load *load_of(const dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

/* ---- sending ---- */

static dure_err load_send(load *self, dure_session *session, uint64_t due_ns)
{
    load_session *state = dure_session_context(session);
    if (state == NULL || state->count == OUTSTANDING) {
        return DURE_ERR_OVERLOADED;
    }
    dure_str payload = {self->payload, self->options->size};
    dure_buf_clear(&self->message);
    dure_err err = dummy_write(&self->message, self->options, state->next_id, payload);
    if (err == DURE_OK) {
        err = dure_session_send(session, self->message.data, self->message.len);
    }
    if (err == DURE_OK) {
        state->due_ns[state->next_id % OUTSTANDING] = due_ns;
        state->next_id++;
        state->count++;
    }
    return err;
}

static uint64_t load_due_ns(const load *self, uint64_t request)
{
    uint64_t rate = self->options->rate;
    return self->begin_ns + request / rate * NS_PER_S + request % rate * NS_PER_S / rate;
}

static void load_send_due(load *self, uint64_t now_ns)
{
    for (;;) {
        uint64_t due_ns = load_due_ns(self, self->next);
        if (due_ns > now_ns || due_ns >= self->end_ns) {
            return;
        }
        uint32_t index = (uint32_t)(self->next % self->options->sessions);
        dure_session *session = dure_client_service_session(self->service, index);
        uint64_t meant_ns = due_ns + TICK_NS < now_ns ? due_ns + TICK_NS : now_ns;
        self->next++;
        if (load_send(self, session, meant_ns) == DURE_OK) {
            self->sent++;
        } else {
            self->not_sent++;
        }
    }
}

/* ---- the course of a run ---- */

static void load_end(load *self)
{
    self->state = LOAD_ENDING;
    dure_iocp_cancel(&self->tick);
    dure_service_close(self->service);
}

static uint64_t load_outstanding(const load *self)
{
    return self->sent - self->answered - self->errors - self->lost;
}

static void load_step(load *self)
{
    uint64_t now_ns = dure_iocp_core_exact_ns(self->object.core);
    if (self->state == LOAD_CONNECTING &&
        (self->up == self->options->sessions || now_ns >= self->end_ns)) {
        self->state = LOAD_SENDING;
        self->begin_ns = now_ns;
        self->end_ns = now_ns + self->options->seconds * NS_PER_S;
    }
    if (self->state == LOAD_SENDING) {
        load_send_due(self, now_ns);
        if (now_ns >= self->end_ns) {
            self->state = LOAD_DRAINING;
            self->end_ns = now_ns + DRAIN_MS * UINT64_C(1000000);
        }
    }
    if (self->state == LOAD_DRAINING && (load_outstanding(self) == 0 || now_ns >= self->end_ns)) {
        load_end(self);
    }
}

static void load_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    load *self = DURE_CONTAINER_OF(object, load, object);
    if (event->status != DURE_OK || self->state == LOAD_ENDING) {
        return;
    }
    load_step(self);
    if (self->state != LOAD_ENDING &&
        dure_iocp_timer(self->object.core, &self->tick, TICK_MS) != DURE_OK) {
        load_end(self);
    }
}

static void load_keep(dure_iocp_object *object)
{
    (void)object; /* dummy_load frees it */
}

static const dure_iocp_object_ops load_ops = {load_dispatch, load_keep};

/* ---- sessions ---- */

static load_session *load_session_for(load *self, const dure_session *session)
{
    for (uint32_t i = 0; i < self->options->sessions; i++) {
        if (dure_client_service_session(self->service, i) != session) {
            continue;
        }
        if (self->sessions[i] == NULL) {
            self->sessions[i] = dure_mem_alloc(sizeof *self->sessions[i]);
        }
        return self->sessions[i];
    }
    DURE_UNREACHABLE();
}

static void on_connected(dure_session *session)
{
    load *self = load_of(session);
    load_session *state = load_session_for(self, session);
    if (state == NULL) {
        dure_session_disconnect(session, DURE_ERR_NO_MEMORY);
        return;
    }
    *state = (load_session){.next_id = 1, .oldest_id = 1};
    dummy_reader_init(&state->reader, self->options, self->options->size);
    dure_session_set_context(session, state);
    self->up++;
    self->connects++;
}

static void on_connect_failed(dure_session *session, dure_err cause)
{
    (void)cause;
    load_of(session)->connect_failed++;
}

/* When the request of this answer was due; 0 where there was none. */
static uint64_t load_settle(load_session *state, const dummy_reader *reader, uint32_t id)
{
    if (reader->is_raw) {
        id = state->oldest_id++;
    }
    uint64_t *due_ns = &state->due_ns[id % OUTSTANDING];
    uint64_t result = *due_ns;
    *due_ns = 0;
    if (result != 0) {
        state->count--;
    }
    return result;
}

static dure_err load_hear(load *self, load_session *state, const dummy_answer *answer)
{
    uint64_t due_ns = load_settle(state, &state->reader, answer->id);
    if (due_ns == 0) {
        return DURE_ERR_PROTOCOL; /* an answer that nobody asked for */
    }
    if (answer->is_error || answer->bytes.len != self->options->size) {
        self->errors++;
        return DURE_OK;
    }
    uint64_t now_ns = dure_iocp_core_exact_ns(self->object.core);
    self->answered++;
    self->last_ns = now_ns;
    dure_histogram_record(&self->latency_ns, now_ns > due_ns ? now_ns - due_ns : 0);
    return DURE_OK;
}

static dure_err on_recv(dure_session *session, const uint8_t *data, size_t len,
                        size_t *out_consumed)
{
    load *self = load_of(session);
    load_session *state = dure_session_context(session);
    for (;;) {
        dummy_answer answer;
        size_t used = 0;
        dure_err err =
            dummy_read(&state->reader, data + *out_consumed, len - *out_consumed, &answer, &used);
        *out_consumed += used;
        if (err == DURE_ERR_MORE) {
            return DURE_OK;
        }
        if (err == DURE_OK) {
            err = load_hear(self, state, &answer);
        }
        if (err != DURE_OK) {
            return err;
        }
    }
}

static void on_disconnected(dure_session *session, dure_err cause)
{
    load *self = load_of(session);
    load_session *state = dure_session_context(session);
    (void)cause;
    if (state == NULL) {
        return;
    }
    self->up--;
    if (self->state != LOAD_ENDING) {
        self->disconnected++;
        self->lost += state->count;
    }
}

static const dure_session_handlers handlers = {
    .on_connected = on_connected,
    .on_connect_failed = on_connect_failed,
    .on_recv = on_recv,
    .on_sent = dure_session_ignore_sent,
    .on_disconnected = on_disconnected,
};

static void on_stop(void *ctx)
{
    load_end(ctx);
}

static void on_closed(dure_service *service, void *context)
{
    load *self = context;
    (void)service;
    dure_program_end(self->program);
}

/* ---- the result ---- */

static double as_us(uint64_t ns)
{
    return (double)ns / 1000.0;
}

typedef struct load_row {
    const char *key; /* in JSON */
    const char *text;
    double value;
} load_row;

static void load_print(const load *self, uint64_t unanswered)
{
    const dure_histogram *latency = &self->latency_ns;
    uint64_t took_ns = self->last_ns > self->begin_ns ? self->last_ns - self->begin_ns : 0;
    const load_row rows[] = {
        {"connections", "connections made", (double)self->connects},
        {"connect_failed", "connects failed", (double)self->connect_failed},
        {"disconnected", "disconnected", (double)self->disconnected},
        {"sent", "requests sent", (double)self->sent},
        {"not_sent", "requests due but not sent", (double)self->not_sent},
        {"answered", "answers", (double)self->answered},
        {"errors", "errors", (double)self->errors},
        {"lost", "lost with their connection", (double)self->lost},
        {"unanswered", "not answered at the end", (double)unanswered},
        {"rate", "answers a second",
         took_ns > 0 ? (double)self->answered * 1e9 / (double)took_ns : 0.0},
        {"p50_us", "p50, microseconds", as_us(dure_histogram_at(latency, 50000))},
        {"p99_us", "p99, microseconds", as_us(dure_histogram_at(latency, 99000))},
        {"p999_us", "p99.9, microseconds", as_us(dure_histogram_at(latency, 99900))},
        {"max_us", "longest, microseconds", as_us(latency->max)},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        int digits = rows[i].value == (double)(uint64_t)rows[i].value ? 0 : 1;
        if (self->options->as_json) {
            printf("%s\"%s\":%.*f", i == 0 ? "{" : ",", rows[i].key, digits, rows[i].value);
        } else {
            printf("%-28s %.*f\n", rows[i].text, digits, rows[i].value);
        }
    }
    if (self->options->as_json) {
        printf("}\n");
    }
}

static dure_err load_run(load *self)
{
    dure_iocp_core *core = dure_program_core(self->program);
    dure_iocp_object_init(&self->object, core, &load_ops);
    dure_iocp_event_init(&self->tick, &self->object, DURE_IOCP_TIMER);
    dure_buf_init(&self->message, 2 * (size_t)DUMMY_MESSAGE_MAX);
    self->payload = dure_mem_alloc((size_t)self->options->size + 1);
    self->sessions = dure_mem_alloc_array(self->options->sessions, sizeof(load_session *));
    if (self->payload == NULL || self->sessions == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->options->size; i++) {
        self->payload[i] = (char)('a' + i % 26);
    }
    dure_err err =
        dummy_make_service(self->options, core, &handlers, self, on_closed, &self->service);
    if (err != DURE_OK) {
        return err;
    }
    self->end_ns = dure_iocp_core_exact_ns(core) + CONNECT_MS_MAX * UINT64_C(1000000);
    err = dure_iocp_timer(core, &self->tick, TICK_MS);
    if (err == DURE_OK) {
        err = dure_service_start(self->service);
    }
    if (err == DURE_OK) {
        dure_program_run(self->program);
    }
    return err;
}

static void load_free(load *self)
{
    for (uint32_t i = 0; self->sessions != NULL && i < self->options->sessions; i++) {
        dure_mem_free(self->sessions[i]);
    }
    dure_mem_free(self->sessions);
    dure_mem_free(self->payload);
    dure_buf_fini(&self->message);
    dure_mem_free(self);
}

int dummy_load(const dummy_options *options)
{
    load *self = dure_mem_alloc(sizeof *self);
    if (self == NULL) {
        return DURE_EXIT_FAILED;
    }
    self->options = options;
    if (dure_program_create("dummy-client", on_stop, self, &self->program) != DURE_OK) {
        dure_mem_free(self);
        return DURE_EXIT_FAILED;
    }
    int code = DURE_EXIT_FAILED;
    dure_err err = load_run(self);
    if (err != DURE_OK) {
        fprintf(stderr, "dummy-client: %s\n", dure_err_text(err));
    } else {
        uint64_t unanswered = load_outstanding(self);
        load_print(self, unanswered);
        bool is_good = self->answered > 0 && self->errors + self->lost + unanswered == 0 &&
                       self->not_sent == 0;
        code = is_good ? DURE_EXIT_OK : DURE_EXIT_FAILED;
    }
    dure_service_destroy(self->service);
    dure_program_destroy(self->program);
    load_free(self);
    return code;
}
