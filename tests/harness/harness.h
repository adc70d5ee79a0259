/* SPDX-License-Identifier: MIT
 *
 * The cluster harness: a whole cluster inside a test, on free ports and in a temporary folder,
 * whose nodes can be killed, stopped and started again and whose connections can be made bad. docs/
 * testing.md shows a test; this is the manual.
 *
 * A test is a story: a function that dure_harness_run calls when the cluster stands. Everything in
 * it is said in a line, since the first thing that goes wrong is remembered and what follows does
 * nothing: functions return false (or NULL) from then on, and the run ends as failed, with what was
 * seen instead and the logs of all nodes on stderr. Where all went well it says nothing.
 *
 * Nodes are processes (the programs that the configuration names) or threads of the test's own
 * process (where it gives their roles). Between each two nodes that are linked, and before each
 * client port, stands a fault proxy (harness/fault_proxy.h has its words).
 *
 * Whatever happens to the test, no process and no folder is left: nodes die with the test's process
 * and a watchdog removes the folder.
 *
 * Thread: one, for everything here: the one that called dure_harness_run. Times are bounds, in
 * milliseconds; nothing waits longer, and nothing waits where it is done.
 */
#ifndef DURE_TESTS_HARNESS_HARNESS_H
#define DURE_TESTS_HARNESS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "harness/fault_proxy.h"
#include "node/node.h"

typedef struct dure_harness dure_harness;
typedef struct dure_harness_client dure_harness_client;

/* What a cluster is made of. Borrowed for the run. */
typedef struct dure_harness_config {
    /*
     * The configuration, as a file of config/ has it (config/cluster.schema.json). Hosts become
     * 127.0.0.1, ports that are there become free ones, and the data folder a temporary one.
     */
    const char *json;
    /* The roles of nodes that are threads, NULL at the end; NULL: nodes are processes. */
    const dure_role *const *roles;
    /* Where the programs of roles lie. NULL: the environment's DURE_PROGRAMS, else PATH. A program
     * that is named with a '/' is taken as it is. */
    const char *programs;
    const char *log_level; /* NULL: info */
    uint32_t start_ms;     /* the bound for the cluster to stand; 0: 20,000 */
    bool starts_nothing;   /* the story starts the nodes itself */
    bool is_direct;        /* no proxies; the fault functions fail */
} dure_harness_config;

typedef void (*dure_harness_story)(dure_harness *h, void *ctx);

/*
 * Starts the cluster, waits until every node is up and linked, tells the story and ends everything.
 * Returns 0 when all went well, else 1: an exit code.
 */
int dure_harness_run(const dure_harness_config *config, dure_harness_story story, void *ctx);

/* ---- what goes wrong ---- */

/* The story has failed, for that reason; only the first one counts. Returns false. */
bool dure_harness_fail(dure_harness *h, const char *format, ...) DURE_PRINTF(2, 3);
/* Fails unless it holds; returns whether the story goes on. */
bool dure_harness_check(dure_harness *h, bool holds, const char *what);
/* What went wrong first; NULL: nothing yet. */
const char *dure_harness_failure(const dure_harness *h);
/* Takes that back: for stories that expected it. */
void dure_harness_forgive(dure_harness *h);

/* ---- nodes, each by its id ---- */

/* Starts a node that does not run and waits until it answers. */
bool dure_harness_start(dure_harness *h, const char *id);
/* Asks it to stop, and waits for its end with exit code 0, at most ms. */
bool dure_harness_stop(dure_harness *h, const char *id, uint32_t ms);
/* stop, where it runs, and start. */
bool dure_harness_restart(dure_harness *h, const char *id);
/* Ends it at once, as SIGKILL does, and waits until it is gone. Processes only. */
bool dure_harness_kill(dure_harness *h, const char *id);
/* Holds it where it is, as SIGSTOP does, and lets it go on (SIGCONT). Processes on POSIX only. */
bool dure_harness_suspend(dure_harness *h, const char *id);
bool dure_harness_continue(dure_harness *h, const char *id);
/* Waits for the end that it comes to by itself, at most ms. out_exit_code may be NULL; it is -1 for
 * one that a signal ended. */
bool dure_harness_wait_end(dure_harness *h, const char *id, uint32_t ms, int *out_exit_code);
/* Whether it was started and has not ended. */
bool dure_harness_is_running(dure_harness *h, const char *id);

/* ---- bad connections ---- */

/* Says a line of fault_proxy.h's words to the proxy between a node and one that it dials; it holds
 * when this returns. to-server is the way to the listener. */
bool dure_harness_link_fault(dure_harness *h, const char *dialer, const char *listener,
                             const char *line);
/* The same for the proxy before a node's client port. */
bool dure_harness_client_fault(dure_harness *h, const char *id, const char *line);
/* What that proxy has done. */
bool dure_harness_link_counters(dure_harness *h, const char *dialer, const char *listener,
                                dure_fault_counters *out_counters);
bool dure_harness_client_counters(dure_harness *h, const char *id,
                                  dure_fault_counters *out_counters);

/* ---- waiting for states ---- */

/* The node answers on its admin port. */
bool dure_harness_wait_ready(dure_harness *h, const char *id, uint32_t ms);
/* The node says that its link to peer is up, or that it is not. */
bool dure_harness_wait_link(dure_harness *h, const char *id, const char *peer, bool is_up,
                            uint32_t ms);
/* What the node says of that link at this moment; false where it does not answer. Never fails. */
bool dure_harness_is_linked(dure_harness *h, const char *id, const char *peer);
/* Every node answers, and every link of the configuration is up at both of its ends. */
bool dure_harness_wait_linked(dure_harness *h, uint32_t ms);
/*
 * A counter of the node's status: clients, outstanding, serving, or one of its links: links.up,
 * links.refused, links.late_answers, ... (docs/methods.md, LinkCounters).
 */
bool dure_harness_counter(dure_harness *h, const char *id, const char *name, uint64_t *out_value);
bool dure_harness_wait_counter(dure_harness *h, const char *id, const char *name, uint64_t at_least,
                               uint32_t ms);
/* The node's log holds that text in so many lines at least. Lines are logfmt, such as
 * event=LINK_DOWN peer=game-1; the log goes on over restarts. */
bool dure_harness_wait_log(dure_harness *h, const char *id, const char *text, uint32_t lines,
                           uint32_t ms);
/* In how many lines of its log that text stands by now. */
uint32_t dure_harness_log_lines(dure_harness *h, const char *id, const char *text);
/* Milliseconds of a clock that never goes back, for measuring what a story sees. */
uint64_t dure_harness_now_ms(void);
/* Where the cluster keeps its files, its logs (ID.log) among them; lives as long as h. */
const char *dure_harness_folder(const dure_harness *h);

/* ---- clients: parameters and results are JSON text ---- */

/* Where clients of the node connect: its proxy. For clients of one's own. */
bool dure_harness_client_address(dure_harness *h, const char *id, dure_net_address *out_address);
/* A connection to it; ends with dure_harness_close, else with the run. NULL is taken by all
 * functions below, which fail then. */
dure_harness_client *dure_harness_connect(dure_harness *h, const char *id);
/* connect, and login of that player, as call_until_ok within 10 s. */
dure_harness_client *dure_harness_login(dure_harness *h, const char *id, const char *player);
void dure_harness_close(dure_harness_client *client);

/* Calls and waits for the result, which is lent until the client's next call. Fails where there is
 * none within ms, or an error. */
const char *dure_harness_call(dure_harness_client *client, const char *method, const char *params,
                              uint32_t ms);
/* Fails unless the result is this, as JSON text without blanks: "\"pong\"", "{\"balance\":5}". */
bool dure_harness_expect(dure_harness_client *client, const char *method, const char *params,
                         const char *result);
/* Fails unless an error of this name is answered, such as NOT_LOGGED_IN. */
bool dure_harness_expect_error(dure_harness_client *client, const char *method, const char *params,
                               const char *name);
/*
 * Calls until that succeeds; what is answered with an error or ends with the connection is tried
 * again, on a new connection where need be (without a login). For what must work again by then.
 */
bool dure_harness_call_until_ok(dure_harness_client *client, const char *method, const char *params,
                                uint32_t ms);

/* Either outcome of a call; lent until the client's next call. */
typedef struct dure_harness_answer {
    bool is_error;
    const char *json;  /* the result, or the error [code,"NAME","text"] */
    const char *error; /* the error's name; "" where it is none */
    dure_err status;   /* OK, or why there is no answer: TIMED_OUT, or what ended the connection */
} dure_harness_answer;

/* A call in two halves, for what happens in between; one at a time of a client. finish fails for
 * nothing but a begin that failed: what came is in *out_answer. */
bool dure_harness_begin(dure_harness_client *client, const char *method, const char *params);
bool dure_harness_finish(dure_harness_client *client, uint32_t ms, dure_harness_answer *out_answer);

/* The text under a key of the last result, such as "resume" of login; NULL and a failure where
 * there is none. Lent until the client's next call. */
const char *dure_harness_text(dure_harness_client *client, const char *key);

/* The parameters of the oldest notification of that name which was not asked for yet; waits for it.
 * Lent until the next function of the client. */
const char *dure_harness_wait_notification(dure_harness_client *client, const char *name,
                                           uint32_t ms);
/* How many notifications have come to this client, `closing` left out. */
uint64_t dure_harness_received(const dure_harness_client *client);

#endif
