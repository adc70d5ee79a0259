/* SPDX-License-Identifier: MIT
 *
 * One session that says "Hello World!", prints what comes back and says it again a second later. A
 * server that is not there, or goes, is told and dialled again.
 */
#include <stdio.h>

#include "tools/dummy-client/client.h"
#include "wire/cursor.h"

#define PAUSE_MS 1000u

typedef struct talk {
    dure_iocp_object object;
    dure_iocp_event pause;
    const dummy_options *options;
    dure_program *program;
    dure_service *service;
    dummy_reader reader;
    uint32_t next_id;
    uint32_t answers;
    bool is_ending;
} talk;

static const char hello[] = "Hello World!";

static talk *talk_of(const dure_session *session)
{
    return dure_service_context(dure_session_service(session));
}

static void talk_say(talk *self)
{
    dure_session *session = dure_client_service_session(self->service, 0);
    dure_buf buf;
    dure_buf_init(&buf, DUMMY_MESSAGE_MAX);
    self->next_id++;
    dure_err err = dummy_write(&buf, self->options, self->next_id, dure_str_of(hello));
    if (err == DURE_OK) {
        err = dure_session_send(session, buf.data, buf.len);
    }
    if (err != DURE_OK) {
        fprintf(stderr, "dummy-client: %s\n", dure_err_text(err));
        dure_session_disconnect(session, err);
    }
    dure_buf_fini(&buf);
}

static void talk_end(talk *self)
{
    self->is_ending = true;
    dure_iocp_cancel(&self->pause);
    dure_service_close(self->service);
}

static void talk_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    talk *self = DURE_CONTAINER_OF(object, talk, object);
    if (event->status == DURE_OK && !self->is_ending &&
        dure_session_is_connected(dure_client_service_session(self->service, 0))) {
        talk_say(self);
    }
}

static void talk_keep(dure_iocp_object *object)
{
    (void)object; /* on the stack of dummy_talk */
}

static const dure_iocp_object_ops talk_ops = {talk_dispatch, talk_keep};

static void on_connected(dure_session *session)
{
    talk *self = talk_of(session);
    dummy_reader_init(&self->reader, self->options, sizeof hello - 1);
    talk_say(self);
}

static void on_connect_failed(dure_session *session, dure_err cause)
{
    if (!talk_of(session)->is_ending) {
        fprintf(stderr, "dummy-client: %s\n", dure_err_text(cause));
    }
}

/* [code, name, text], as docs/wire.md has it. */
static void talk_print_error(dure_slice bytes)
{
    dure_cursor cursor = dure_cursor_of(bytes.data, bytes.len);
    uint32_t count = 0;
    uint64_t code = 0;
    dure_str name = {NULL, 0};
    dure_str text = {NULL, 0};
    if (dure_cursor_array(&cursor, &count) != DURE_OK ||
        dure_cursor_u64(&cursor, &code) != DURE_OK || dure_cursor_str(&cursor, &name) != DURE_OK ||
        dure_cursor_str(&cursor, &text) != DURE_OK) {
        name = dure_str_of("an error of another form");
    }
    fprintf(stderr, "dummy-client: echo: %.*s %.*s\n", DURE_STR_ARG(name), DURE_STR_ARG(text));
}

static dure_err talk_hear(talk *self, const dummy_answer *answer)
{
    if (answer->is_error) {
        talk_print_error(answer->bytes);
        return DURE_ERR_PROTOCOL;
    }
    printf("%.*s\n", (int)answer->bytes.len, (const char *)answer->bytes.data);
    (void)fflush(stdout);
    self->answers++;
    if (self->answers == self->options->count) {
        talk_end(self);
        return DURE_OK;
    }
    if (dure_iocp_event_is_active(&self->pause)) {
        return DURE_OK;
    }
    return dure_iocp_timer(self->object.core, &self->pause, PAUSE_MS);
}

static dure_err on_recv(dure_session *session, const uint8_t *data, size_t len,
                        size_t *out_consumed)
{
    talk *self = talk_of(session);
    while (!self->is_ending) {
        dummy_answer answer;
        size_t used = 0;
        dure_err err =
            dummy_read(&self->reader, data + *out_consumed, len - *out_consumed, &answer, &used);
        *out_consumed += used;
        if (err == DURE_ERR_MORE) {
            return DURE_OK;
        }
        if (err == DURE_OK) {
            err = talk_hear(self, &answer);
        }
        if (err != DURE_OK) {
            return err;
        }
    }
    return DURE_OK;
}

static void on_disconnected(dure_session *session, dure_err cause)
{
    if (!talk_of(session)->is_ending) {
        fprintf(stderr, "dummy-client: disconnected: %s\n", dure_err_text(cause));
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
    talk_end(ctx);
}

static void on_closed(dure_service *service, void *context)
{
    talk *self = context;
    (void)service;
    dure_program_end(self->program);
}

int dummy_talk(const dummy_options *options)
{
    talk self = {.options = options};
    if (dure_program_create("dummy-client", on_stop, &self, &self.program) != DURE_OK) {
        return DURE_EXIT_FAILED;
    }
    dure_iocp_core *core = dure_program_core(self.program);
    dure_iocp_object_init(&self.object, core, &talk_ops);
    dure_iocp_event_init(&self.pause, &self.object, DURE_IOCP_TIMER);
    dure_err err = dummy_make_service(options, core, &handlers, &self, on_closed, &self.service);
    if (err == DURE_OK) {
        err = dure_service_start(self.service);
    }
    if (err == DURE_OK) {
        dure_program_run(self.program);
    } else {
        fprintf(stderr, "dummy-client: %s\n", dure_err_text(err));
    }
    dure_service_destroy(self.service);
    dure_program_destroy(self.program);
    return err == DURE_OK && self.answers > 0 ? DURE_EXIT_OK : DURE_EXIT_FAILED;
}
