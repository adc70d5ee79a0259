/* SPDX-License-Identifier: MIT
 *
 * A node that sends large bodies (bulk-source) or takes them (bulk-sink); its file's name says
 * which.
 */
#include <string.h>

#include "base/mem.h"
#include "bulk.role.h"
#include "node/node.h"

#define PUSH_DEADLINE_MS 60000u
#define SMALL_ANSWER     42u

static void on_swallow(dure_request *request, const swallow_params *in, void *state)
{
    (void)state;
    bulk_reply_swallow(request, in->data.len);
}

static void on_small(dure_request *request, const small_params *in, void *state)
{
    (void)state;
    (void)in;
    bulk_reply_small(request, SMALL_ANSWER);
}

static void on_done(void *ctx, const dure_outcome *outcome, const uint64_t *result)
{
    if (result != NULL) {
        bulk_reply_push(ctx, *result);
    } else {
        dure_request_forward(ctx, outcome);
    }
}

static void on_push(dure_request *request, const push_params *in, void *state)
{
    dure_node *node = state;
    const dure_target sink = dure_to_role("sink");
    const dure_call_options options = {.deadline_ms = PUSH_DEADLINE_MS};
    uint8_t *bytes = dure_mem_alloc(in->bytes + 1);
    dure_err err = DURE_ERR_NO_MEMORY;
    if (bytes != NULL) {
        const swallow_params params = {.data = {bytes, in->bytes}};
        dure_request_hold(request);
        err = bulk_call_swallow(dure_node_rpc(node), &sink, &params, &options, on_done, request,
                                NULL);
    }
    dure_mem_free(bytes);
    if (err != DURE_OK) {
        dure_request_fail(request, err, "the body could not be sent");
    }
}

static void on_poke(dure_request *request, const poke_params *in, void *state)
{
    const dure_target sink = dure_to_role("sink");
    (void)in;
    dure_request_hold(request);
    dure_err err = bulk_call_small(dure_node_rpc(state), &sink, NULL, NULL, on_done, request, NULL);
    if (err != DURE_OK) {
        dure_request_fail(request, err, "the sink could not be asked");
    }
}

static dure_err start(dure_node *node, void **out_state)
{
    *out_state = node;
    return DURE_OK;
}

static const dure_role source = {.name = "source", .methods = bulk_methods, .on_start = start};
static const dure_role sink = {.name = "sink", .methods = bulk_methods, .on_start = start};

int main(int argc, char **argv)
{
    return dure_node_main(argc, argv, strstr(argv[0], "bulk-source") != NULL ? &source : &sink);
}
