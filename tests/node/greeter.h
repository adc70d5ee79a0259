/* SPDX-License-Identifier: MIT
 *
 * The role that the suites of node/ run.
 */
#ifndef DURE_TESTS_NODE_GREETER_H
#define DURE_TESTS_NODE_GREETER_H

#include "node/node.h"

/* What the role was told; one per node, given by greeter_start as the role's state. */
typedef struct greeter {
    dure_node *node;
    dure_request *held; /* the last `later` that is unanswered */
    unsigned held_count;
    dure_request *admitting; /* the last `admit` that is unanswered */
    unsigned cancelled;
    unsigned opened;
    uint64_t last_client; /* the last that opened */
    unsigned closed;
    dure_err close_cause; /* the last one */
    unsigned ticks;
    unsigned stops;
    unsigned ends;
    unsigned pokes;
    size_t fill_bytes; /* of the text that fill and fault answer */
    unsigned delays;
    unsigned delays_cancelled;
    dure_err delay_refused; /* what a delay that was begun by a cancelled one was answered */
    unsigned jobs_worked;
    unsigned jobs_done;
} greeter;

/* Its on_start makes a greeter, which outlives on_end so that a test may look; dure_mem_free it. */
extern const dure_role greeter_role;
/* One that does not start: STORAGE. */
extern const dure_role refusing_role;

/* Answers the held request. */
void greeter_release(greeter *self);
/* Answers the held `admit`: the client is known, or refused. */
void greeter_admit(greeter *self, bool is_known);

#endif
