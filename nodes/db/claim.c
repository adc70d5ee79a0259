/* SPDX-License-Identifier: MIT
 *
 * The owner is asked again and again, because a call may be lost with its link; its lease ends the
 * waiting in any case.
 */
#include "nodes/db/claim.h"

#include "base/mem.h"
#include "game.schema.h"

#define CLAIM_RETRY_MS  50u
#define CLAIM_REVOKE_MS 500u

typedef struct claim {
    dure_node *node;
    db_batch *batch;
    const db_leases *leases;
    db_op *op;
    dure_str player;
    db_owner owner;
} claim;

static uint64_t claim_now_ms(const claim *c)
{
    return dure_iocp_core_elapsed_ns(dure_node_core(c->node)) / 1000000u;
}

static void claim_end(claim *c)
{
    if (dure_request_is_cancelled(c->op->request)) {
        dure_request_fail(c->op->request, DURE_ERR_CANCELLED, "nobody waits for it any more");
        dure_mem_free(c->op);
    } else {
        db_batch_push(c->batch, c->op);
    }
    dure_mem_free(c);
}

static void claim_fail(claim *c, dure_err err)
{
    if (err == DURE_ERR_NO_MEMORY) {
        dure_request_fail(c->op->request, DURE_ERR_OVERLOADED, "out of memory");
    } else if (err == DURE_ERR_CANCELLED || err == DURE_ERR_STATE) {
        dure_request_fail(c->op->request, DURE_ERR_UNAVAILABLE, "the db node is stopping");
    } else {
        dure_request_fail(c->op->request, DURE_ERR_UNAVAILABLE, "%s", dure_err_text(err));
    }
    dure_mem_free(c->op);
    dure_mem_free(c);
}

static void claim_step(claim *c);

static void claim_again(dure_node *node, void *ctx, dure_err status)
{
    (void)node;
    if (status == DURE_OK) {
        claim_step(ctx);
    } else {
        claim_fail(ctx, status);
    }
}

static void on_revoked(void *ctx, const dure_outcome *outcome, const game_revoke_result *result)
{
    claim *c = ctx;
    (void)outcome;
    /* Another life of the node can say nothing for the one that owns. */
    if (result != NULL && result->life == c->owner.life) {
        claim_end(c);
        return;
    }
    dure_err err = dure_node_after(c->node, CLAIM_RETRY_MS, claim_again, c);
    if (err != DURE_OK) {
        claim_fail(c, err);
    }
}

static dure_err claim_ask(claim *c)
{
    game_revoke_params in = {.player = c->player, .epoch = c->owner.epoch};
    dure_target target = dure_to_node(c->owner.node);
    dure_call_options options = {.deadline_ms = CLAIM_REVOKE_MS};
    dure_call_id call;
    return game_call_revoke(dure_node_rpc(c->node), &target, &in, &options, on_revoked, c, &call);
}

static void claim_step(claim *c)
{
    if (dure_request_is_cancelled(c->op->request) ||
        db_lease_is_over(c->leases, c->owner.node, c->owner.life, claim_now_ms(c))) {
        claim_end(c);
        return;
    }
    dure_err err = claim_ask(c);
    if (err != DURE_OK) {
        claim_fail(c, err);
    }
}

void db_claim(dure_node *node, db_batch *batch, const db_leases *leases, db_op *op, dure_str player,
              const db_owner *owner)
{
    claim *c = dure_mem_alloc(sizeof *c);
    if (c == NULL) {
        dure_request_fail(op->request, DURE_ERR_OVERLOADED, "out of memory");
        dure_mem_free(op);
        return;
    }
    *c = (claim){.node = node,
                 .batch = batch,
                 .leases = leases,
                 .op = op,
                 .player = player,
                 .owner = *owner};
    claim_step(c);
}
