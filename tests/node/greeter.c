/* SPDX-License-Identifier: MIT
 *
 * A role that writes down what its node tells it.
 */
#include "greeter.h"

#include "base/assert.h"
#include "base/mem.h"
#include "greeter.role.h"

static void on_hello(dure_request *request, const hello_params *in, void *state)
{
    (void)state;
    greeter_reply_hello(request, in->name);
}

static void on_enter(dure_request *request, const enter_params *in, void *state)
{
    (void)in;
    dure_node_client_set_logged_in(((greeter *)state)->node, dure_request_subject(request), true);
    greeter_reply_enter(request, true);
}

static void on_secret(dure_request *request, const secret_params *in, void *state)
{
    (void)in;
    (void)state;
    greeter_reply_secret(request, dure_str_of("forty-two"));
}

static void later_cancelled(dure_request *request, void *ctx)
{
    greeter *self = ctx;
    self->cancelled++;
    self->held_count--;
    self->held = self->held == request ? NULL : self->held;
    dure_request_fail(request, DURE_ERR_CANCELLED, "nobody waits");
}

static void on_later(dure_request *request, const later_params *in, void *state)
{
    greeter *self = state;
    (void)in;
    dure_request_hold(request);
    dure_request_on_cancel(request, later_cancelled, self);
    self->held = request;
    self->held_count++;
}

void greeter_release(greeter *self)
{
    dure_request *request = self->held;
    self->held = NULL;
    self->held_count--;
    greeter_reply_later(request, true);
}

static void admit_cancelled(dure_request *request, void *ctx)
{
    greeter *self = ctx;
    self->cancelled++;
    self->admitting = NULL;
    dure_request_fail(request, DURE_ERR_CANCELLED, "nobody waits");
}

static void on_admit(dure_request *request, const admit_params *in, void *state)
{
    greeter *self = state;
    (void)in;
    dure_request_hold(request);
    dure_request_on_cancel(request, admit_cancelled, self);
    self->admitting = request;
}

void greeter_admit(greeter *self, bool is_known)
{
    dure_request *request = self->admitting;
    self->admitting = NULL;
    if (is_known) {
        dure_node_client_set_logged_in(self->node, dure_request_subject(request), true);
        greeter_reply_admit(request, true);
    } else {
        dure_request_fail(request, DURE_ERR_REFUSED, "not today");
    }
}

static void on_measure(dure_request *request, const measure_params *in, void *state)
{
    (void)state;
    greeter_reply_measure(request, in->text.len);
}

/* So many letters; the caller frees them. */
static dure_str greeter_text(const greeter *self)
{
    char *text = dure_mem_alloc(self->fill_bytes + 1);
    DURE_ASSERT(text != NULL);
    memset(text, 'x', self->fill_bytes);
    return (dure_str){text, self->fill_bytes};
}

static void on_fill(dure_request *request, const fill_params *in, void *state)
{
    dure_str text = greeter_text(state);
    (void)in;
    greeter_reply_fill(request, text);
    dure_mem_free((void *)(uintptr_t)text.data);
}

static void on_refill(dure_request *request, const refill_params *in, void *state)
{
    dure_str text = greeter_text(state);
    (void)in;
    greeter_reply_refill(request, text);
    dure_mem_free((void *)(uintptr_t)text.data);
}

/* An error as another node may have made it: nothing cuts its text on the way here. */
static void on_fault(dure_request *request, const fault_params *in, void *state)
{
    const greeter *self = state;
    dure_str text = greeter_text(self);
    dure_buf error;
    dure_buf_init(&error, self->fill_bytes + 64);
    dure_packer packer = dure_packer_of(&error);
    (void)in;
    dure_packer_array(&packer, 3);
    dure_packer_u64(&packer, 1234);
    dure_packer_cstr(&packer, "WEATHER");
    dure_packer_str(&packer, text);
    DURE_ASSERT(packer.status == DURE_OK);
    dure_outcome outcome = {.status = DURE_ERR_INTERNAL, .error = {error.data, error.len}};
    dure_request_forward(request, &outcome);
    dure_buf_fini(&error);
    dure_mem_free((void *)(uintptr_t)text.data);
}

static void on_hidden(dure_request *request, const hidden_params *in, void *state)
{
    (void)in;
    (void)state;
    greeter_reply_hidden(request, true);
}

static void on_poke(dure_request *request, const poke_params *in, void *state)
{
    greeter *self = state;
    (void)in;
    greeter_reply_poke(request, ++self->pokes);
}

static dure_err greeter_start(dure_node *node, void **out_state)
{
    greeter *self = dure_mem_alloc(sizeof *self);
    if (self == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    self->node = node;
    *out_state = self;
    return DURE_OK;
}

static void greeter_on_stop(dure_node *node, void *state)
{
    greeter *self = state;
    DURE_ASSERT(dure_node_is_stopping(node));
    self->stops++;
}

static void greeter_on_end(dure_node *node, void *state)
{
    greeter *self = state;
    (void)node;
    self->ends++;
}

static void greeter_on_tick(dure_node *node, void *state)
{
    greeter *self = state;
    (void)node;
    self->ticks++;
}

static void greeter_on_client_open(dure_node *node, uint64_t client, void *state)
{
    greeter *self = state;
    DURE_ASSERT(client != 0);
    DURE_ASSERT(!dure_node_client_is_logged_in(node, client));
    self->opened++;
    self->last_client = client;
}

static void greeter_on_client_close(dure_node *node, uint64_t client, dure_err cause, void *state)
{
    greeter *self = state;
    (void)node;
    (void)client;
    self->closed++;
    self->close_cause = cause;
}

const dure_role greeter_role = {
    .name = "greeter",
    .methods = greeter_methods,
    .tick_ms = 50,
    .on_start = greeter_start,
    .on_stop = greeter_on_stop,
    .on_end = greeter_on_end,
    .on_tick = greeter_on_tick,
    .on_client_open = greeter_on_client_open,
    .on_client_close = greeter_on_client_close,
};

static dure_err refuse_start(dure_node *node, void **out_state)
{
    (void)node;
    (void)out_state;
    return DURE_ERR_STORAGE;
}

const dure_role refusing_role = {
    .name = "greeter",
    .methods = greeter_methods,
    .on_start = refuse_start,
};
