/* SPDX-License-Identifier: MIT
 *
 * Looking at nodes until something is so: each wait is a question that is asked again every 10 ms,
 * and that says what it saw where the time is over.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "harness_impl.h"
#include "iocp/system.h"
#include "node/admin_client.h"
#include "node/process.h"

#define SEEN_MAX       512u
#define LOG_SHOWN_MAX  (64u * 1024u) /* of each node's log, its end */
#define LOG_LINE_BYTES 4096u

/* ---- status ---- */

dure_err harness_status(dure_harness *h, harness_node *node, node_status_result *out_status)
{
    dure_rpc_answer answer;
    dure_err err = DURE_OK;
    if (node->admin == NULL) {
        err = dure_admin_open(dure_registry_data(h->registry), node->entry->id, HARNESS_ADMIN_MS,
                              NULL, &node->admin);
    }
    if (err == DURE_OK) {
        err = dure_admin_call(node->admin, "status", HARNESS_ADMIN_MS, &answer);
    }
    if (err == DURE_OK && answer.is_error) {
        err = DURE_ERR_UNAVAILABLE;
    }
    if (err == DURE_OK) {
        dure_mistake mistake;
        dure_mistake_init(&mistake);
        dure_cursor cursor = dure_cursor_of(answer.value.data, answer.value.len);
        err = node_decode_status_result(&cursor, out_status, &mistake);
    }
    if (err != DURE_OK) {
        harness_node_forget_admin(node);
    }
    return err;
}

/* ---- one way to wait ---- */

/* One question. True: it is so. False: seen says how it is instead. */
typedef struct question {
    bool (*ask)(dure_harness *h, struct question *q);
    harness_node *node;
    const char *text;  /* a peer, a counter or a piece of a log */
    uint64_t at_least; /* of a counter or of lines */
    bool is_up;
    char seen[SEEN_MAX];
} question;

static bool wait_for(dure_harness *h, question *q, uint32_t ms, const char *what)
{
    uint64_t due_ns = dure_system_now_ns() + ms * UINT64_C(1000000);
    for (;;) {
        int code = 0;
        if (q->ask(h, q)) {
            return true;
        }
        if (q->node != NULL && q->node->process != NULL &&
            harness_process_wait(q->node->process, 0, &code)) {
            return dure_harness_fail(h, "%s: %s has ended with exit code %d", what,
                                     q->node->entry->id, code);
        }
        if (dure_system_now_ns() >= due_ns) {
            return dure_harness_fail(h, "%s: not within %u ms; seen: %s", what, (unsigned)ms,
                                     q->seen);
        }
        dure_process_pause_ms(HARNESS_LOOK_MS);
    }
}

/* Its status; false, and said in seen, where it gives none. */
static bool see_status(dure_harness *h, question *q, harness_node *node,
                       node_status_result *out_status)
{
    dure_err err = harness_status(h, node, out_status);
    if (err != DURE_OK) {
        (void)snprintf(q->seen, sizeof q->seen, "%s gives no status (%s)", node->entry->id,
                       dure_err_name(err));
    }
    return err == DURE_OK;
}

/* ---- ready ---- */

static bool ask_ready(dure_harness *h, question *q)
{
    node_status_result status;
    return see_status(h, q, q->node, &status);
}

bool dure_harness_wait_ready(dure_harness *h, const char *id, uint32_t ms)
{
    char what[128];
    question q = {.ask = ask_ready, .node = harness_find(h, id)};
    (void)snprintf(what, sizeof what, "%s is ready", id);
    return q.node != NULL && wait_for(h, &q, ms, what);
}

/* ---- links ---- */

/* Whether the node says that its link to peer is up. */
static bool see_link(dure_harness *h, question *q, harness_node *node, const char *peer,
                     bool *out_is_up)
{
    node_status_result status;
    node_peer_info info;
    size_t at = 0;
    if (!see_status(h, q, node, &status)) {
        return false;
    }
    while (node_peer_info_list_next(&status.peers, &at, &info)) {
        if (dure_str_equal(info.id, dure_str_of(peer))) {
            *out_is_up = dure_str_equal(info.state, dure_str_of("UP"));
            (void)snprintf(q->seen, sizeof q->seen, "%s says that %s is %.*s", node->entry->id,
                           peer, DURE_STR_ARG(info.state));
            return true;
        }
    }
    (void)snprintf(q->seen, sizeof q->seen, "%s knows no peer %s", node->entry->id, peer);
    return false;
}

static bool ask_link(dure_harness *h, question *q)
{
    bool is_up = false;
    return see_link(h, q, q->node, q->text, &is_up) && is_up == q->is_up;
}

bool dure_harness_wait_link(dure_harness *h, const char *id, const char *peer, bool is_up,
                            uint32_t ms)
{
    char what[256];
    question q = {.ask = ask_link, .node = harness_find(h, id), .text = peer, .is_up = is_up};
    (void)snprintf(what, sizeof what, "the link from %s to %s is %s", id, peer,
                   is_up ? "up" : "down");
    return q.node != NULL && wait_for(h, &q, ms, what);
}

bool dure_harness_is_linked(dure_harness *h, const char *id, const char *peer)
{
    question q = {.node = harness_find(h, id)};
    bool is_up = false;
    return q.node != NULL && see_link(h, &q, q.node, peer, &is_up) && is_up;
}

static bool ask_linked(dure_harness *h, question *q)
{
    for (size_t i = 0; i < h->node_count; i++) {
        node_status_result status;
        q->node = &h->nodes[i];
        if (!see_status(h, q, q->node, &status)) {
            return false;
        }
    }
    for (size_t i = 0; i < 2 * h->link_count; i++) {
        const harness_link *link = &h->links[i / 2];
        const harness_node *to = &h->nodes[i % 2 == 0 ? link->listener : link->dialer];
        bool is_up = false;
        q->node = &h->nodes[i % 2 == 0 ? link->dialer : link->listener];
        if (!see_link(h, q, q->node, to->entry->id, &is_up) || !is_up) {
            return false;
        }
    }
    return true;
}

bool dure_harness_wait_linked(dure_harness *h, uint32_t ms)
{
    question q = {.ask = ask_linked};
    return !h->has_failed && wait_for(h, &q, ms, "all nodes are up and linked");
}

/* ---- counters ---- */

#define LINK_COUNTERS(X)                                                                           \
    X(up)                                                                                          \
    X(refused)                                                                                     \
    X(replaced)                                                                                    \
    X(dials_failed)                                                                                \
    X(late_answers)                                                                                \
    X(dropped_answers)                                                                             \
    X(overloaded)                                                                                  \
    X(slow)                                                                                        \
    X(parts_sent)                                                                                  \
    X(parts_heard)                                                                                 \
    X(bodies_dropped)                                                                              \
    X(stale_answers)                                                                               \
    X(retries)                                                                                     \
    X(retries_refused)                                                                             \
    X(repeats)                                                                                     \
    X(not_begun)                                                                                   \
    X(queued_bytes)                                                                                \
    X(joining_bytes)

static const struct {
    const char *name;
    size_t offset;
} counters[] = {{"clients", offsetof(node_status_result, clients)},
                {"outstanding", offsetof(node_status_result, outstanding)},
                {"serving", offsetof(node_status_result, serving)},
#define LINK_COUNTER_ROW(member)                                                                   \
    {"links." #member, offsetof(node_status_result, links) + offsetof(node_link_counters, member)},
                LINK_COUNTERS(LINK_COUNTER_ROW)
#undef LINK_COUNTER_ROW
};

static bool see_counter(dure_harness *h, question *q, uint64_t *out_value)
{
    node_status_result status;
    if (!see_status(h, q, q->node, &status)) {
        return false;
    }
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        if (strcmp(counters[i].name, q->text) == 0) {
            memcpy(out_value, (const char *)&status + counters[i].offset, sizeof *out_value);
            (void)snprintf(q->seen, sizeof q->seen, "%" PRIu64, *out_value);
            return true;
        }
    }
    return dure_harness_fail(h, "no counter is called %s", q->text);
}

static bool ask_counter(dure_harness *h, question *q)
{
    uint64_t value = 0;
    return (see_counter(h, q, &value) && value >= q->at_least) || h->has_failed;
}

bool dure_harness_wait_counter(dure_harness *h, const char *id, const char *name, uint64_t at_least,
                               uint32_t ms)
{
    char what[256];
    question q = {
        .ask = ask_counter, .node = harness_find(h, id), .text = name, .at_least = at_least};
    (void)snprintf(what, sizeof what, "%s of %s is at least %" PRIu64, name, id, at_least);
    return q.node != NULL && wait_for(h, &q, ms, what) && !h->has_failed;
}

bool dure_harness_counter(dure_harness *h, const char *id, const char *name, uint64_t *out_value)
{
    question q = {.node = harness_find(h, id), .text = name};
    return q.node != NULL && (see_counter(h, &q, out_value) ||
                              dure_harness_fail(h, "%s of %s: %s", name, id, q.seen));
}

/* ---- logs ---- */

uint32_t dure_harness_log_lines(dure_harness *h, const char *id, const char *text)
{
    uint32_t lines = 0;
    const harness_node *node = harness_find(h, id);
    FILE *file = node != NULL ? fopen(node->log_path, "r") : NULL;
    char *line = file != NULL ? dure_mem_alloc(LOG_LINE_BYTES) : NULL;
    while (line != NULL && fgets(line, (int)LOG_LINE_BYTES, file) != NULL) {
        lines += strstr(line, text) != NULL ? 1 : 0;
    }
    dure_mem_free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return lines;
}

static bool ask_log(dure_harness *h, question *q)
{
    uint32_t lines = dure_harness_log_lines(h, q->node->entry->id, q->text);
    (void)snprintf(q->seen, sizeof q->seen, "%u lines", (unsigned)lines);
    return lines >= q->at_least;
}

bool dure_harness_wait_log(dure_harness *h, const char *id, const char *text, uint32_t lines,
                           uint32_t ms)
{
    char what[512];
    question q = {.ask = ask_log, .node = harness_find(h, id), .text = text, .at_least = lines};
    (void)snprintf(what, sizeof what, "the log of %s has %u lines with \"%s\"", id, (unsigned)lines,
                   text);
    return q.node != NULL && wait_for(h, &q, ms, what);
}

void harness_show_log(const harness_node *node)
{
    FILE *file = fopen(node->log_path, "r");
    char *line = file != NULL ? dure_mem_alloc(LOG_LINE_BYTES) : NULL;
    if (line == NULL) {
        (void)fprintf(stderr, "%-12s | -- no log\n", node->entry->id);
        return;
    }
    if (fseek(file, -(long)LOG_SHOWN_MAX, SEEK_END) == 0) {
        (void)fprintf(stderr, "%-12s | -- the end of its log\n", node->entry->id);
        (void)fgets(line, (int)LOG_LINE_BYTES, file); /* the rest of a line */
    } else {
        rewind(file);
    }
    while (fgets(line, (int)LOG_LINE_BYTES, file) != NULL) {
        (void)fprintf(stderr, "%-12s | %s%s", node->entry->id, line,
                      strchr(line, '\n') != NULL ? "" : "\n");
    }
    dure_mem_free(line);
    (void)fclose(file);
}
