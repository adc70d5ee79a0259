/* SPDX-License-Identifier: MIT
 *
 * fault-proxy: one fault proxy as a program, told what to do by lines on its standard input and
 * answering each with a line of JSON. A thread reads the lines, since reading blocks, and hands
 * them one at a time to the core's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "fault_proxy.h"
#include "net/address.h"
#include "net/lookup.h"
#include "tools/program.h"

#define LINE_BYTES 256

typedef struct proxy_program {
    dure_iocp_object object;
    dure_iocp_event line_event;
    dure_program *program;
    dure_fault_proxy *proxy;
    dure_thread *reader;
    dure_mutex *mutex;
    dure_cond *cond;
    char line[LINE_BYTES]; /* under mutex */
    bool has_line;         /* under mutex: to be done */
    bool is_over;          /* under mutex: there is no core to post to */
    bool is_end_of_input;  /* under mutex */
} proxy_program;

static const char help[] =
    "usage: fault-proxy --to HOST:PORT [--listen [IP:]PORT]\n"
    "\n"
    "Passes connections to its port on to HOST:PORT, and does to them what lines on\n"
    "standard input say, at once. Each line is answered with a line of JSON. The\n"
    "first line of output says where it listens (default: 127.0.0.1, any free port).\n"
    "It ends with its input, or with Ctrl-C.\n"
    "\n"
    "[WAY] is to-server or to-client; both without it.\n"
    "  delay MS [WAY]     what comes is passed on so much later\n"
    "  split N [WAY]      at most N bytes at a time, 1 ms apart\n"
    "  merge MS [WAY]     what comes within MS leaves together\n"
    "  slow N [WAY]       at most N bytes a second\n"
    "  silent [WAY]       nothing is passed on; kept until heal\n"
    "  one-way WAY        the same as silent WAY\n"
    "  reset-at N [WAY]   reset once N bytes of a connection have gone that way\n"
    "  cut                connections end, new ones are reset, until heal\n"
    "  close              connections end; new ones are served\n"
    "  reset              connections are reset; new ones are served\n"
    "  heal               no fault any more\n"
    "  stats              counters\n";

/* ---- on the core's thread ---- */

static void print_stats(const dure_fault_proxy *proxy)
{
    dure_fault_counters counters;
    dure_fault_proxy_counters(proxy, &counters);
    (void)printf("{\"ok\":true,\"connections\":%" PRIu32 ",\"accepted\":%" PRIu64
                 ",\"refused\":%" PRIu64 ",\"resets\":%" PRIu64 ",\"to_server\":%" PRIu64
                 ",\"to_client\":%" PRIu64 ",\"held\":%" PRIu64 "}\n",
                 counters.connections, counters.accepted, counters.refused, counters.resets,
                 counters.bytes[0], counters.bytes[1], counters.held_bytes);
}

static void do_line(proxy_program *p)
{
    if (strncmp(p->line, "stats", 5) == 0 &&
        strspn(p->line + 5, " \t\r\n") == strlen(p->line + 5)) {
        print_stats(p->proxy);
    } else if (dure_fault_proxy_command(p->proxy, p->line) == DURE_OK) {
        (void)printf("{\"ok\":true}\n");
    } else {
        (void)printf("{\"ok\":false,\"error\":\"INVALID\",\"see\":\"fault-proxy --help\"}\n");
    }
    (void)fflush(stdout);
}

static void program_dispatch(dure_iocp_object *object, dure_iocp_event *event)
{
    proxy_program *p = DURE_CONTAINER_OF(object, proxy_program, object);
    (void)event;
    dure_mutex_lock(p->mutex);
    if (p->is_end_of_input) {
        dure_fault_proxy_close(p->proxy);
    } else if (p->has_line) {
        do_line(p);
    }
    p->has_line = false;
    dure_cond_broadcast(p->cond);
    dure_mutex_unlock(p->mutex);
}

static void program_free(dure_iocp_object *object)
{
    (void)object; /* lives until the process ends: the reader may be waiting for a line */
}

static const dure_iocp_object_ops program_ops = {program_dispatch, program_free};

static void on_stop(void *ctx)
{
    dure_fault_proxy_close(((proxy_program *)ctx)->proxy);
}

static void on_closed(void *ctx)
{
    proxy_program *p = ctx;
    dure_mutex_lock(p->mutex);
    p->is_over = true;
    dure_mutex_unlock(p->mutex);
    dure_program_end(p->program);
}

/* ---- on the reader's ---- */

static void hand_over(proxy_program *p, const char *line)
{
    dure_mutex_lock(p->mutex);
    p->is_end_of_input = line == NULL;
    (void)snprintf(p->line, sizeof p->line, "%s", line != NULL ? line : "");
    if (!p->is_over) {
        p->has_line = true;
        dure_iocp_post(dure_program_core(p->program), &p->line_event);
    }
    while (p->has_line && !p->is_over) {
        dure_cond_wait(p->cond, p->mutex);
    }
    dure_mutex_unlock(p->mutex);
}

static void reader_main(void *ctx)
{
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, stdin) != NULL) {
        hand_over(ctx, line);
    }
    hand_over(ctx, NULL);
}

/* ---- start-up ---- */

/* "port" or "ip:port". */
static dure_err parse_listen(const char *text, dure_net_address *out_address)
{
    uint64_t port = 0;
    if (dure_program_number(text, 0, UINT16_MAX, &port) == DURE_OK) {
        return dure_net_address_from_ip("127.0.0.1", (uint16_t)port, out_address);
    }
    return dure_net_address_parse(text, out_address);
}

/* "ip:port" or "name:port". */
static dure_err parse_to(const char *text, dure_net_address *out_address)
{
    char host[256];
    uint64_t port = 0;
    size_t found = 0;
    const char *colon = strrchr(text, ':');
    if (dure_net_address_parse(text, out_address) == DURE_OK) {
        return out_address->port != 0 ? DURE_OK : DURE_ERR_INVALID;
    }
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof host ||
        dure_program_number(colon + 1, 1, UINT16_MAX, &port) != DURE_OK) {
        return DURE_ERR_INVALID;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (strcmp(host, "localhost") == 0) {
        return dure_net_address_from_ip("127.0.0.1", (uint16_t)port, out_address); /* RFC 6761 */
    }
    return dure_net_lookup(host, (uint16_t)port, out_address, 1, &found);
}

static int usage(const char *what, const char *value)
{
    (void)fprintf(stderr, "fault-proxy: %s%s\n%s", what, value, help);
    return DURE_EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, dure_fault_proxy_config *config)
{
    dure_err err = parse_listen("0", &config->listen);
    for (int i = 1; i < argc && err == DURE_OK; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(help, stdout);
            return DURE_EXIT_OK;
        }
        bool is_listen = strcmp(argv[i], "--listen") == 0;
        if (!is_listen && strcmp(argv[i], "--to") != 0) {
            return usage("no such option: ", argv[i]);
        }
        if (i + 1 == argc) {
            return usage("a value is missing behind ", argv[i]);
        }
        i++;
        err = is_listen ? parse_listen(argv[i], &config->listen) : parse_to(argv[i], &config->to);
        if (err != DURE_OK) {
            return usage("no such address: ", argv[i]);
        }
    }
    return config->to.family == DURE_FAMILY_NONE ? usage("--to is needed", "") : -1;
}

static dure_err start(proxy_program *p, dure_fault_proxy_config *config)
{
    dure_net_address address;
    char text[DURE_NET_ADDRESS_TEXT_MAX];
    p->mutex = dure_mutex_create();
    p->cond = dure_cond_create();
    config->core = dure_program_core(p->program);
    config->name = "fault-proxy";
    config->on_closed = on_closed;
    config->ctx = p;
    dure_iocp_object_init(&p->object, config->core, &program_ops);
    dure_iocp_event_init(&p->line_event, &p->object, DURE_IOCP_POST);
    dure_err err = p->mutex != NULL && p->cond != NULL ? DURE_OK : DURE_ERR_NO_MEMORY;
    if (err == DURE_OK) {
        err = dure_fault_proxy_create(config, &p->proxy);
    }
    if (err == DURE_OK) {
        err = dure_fault_proxy_open(p->proxy);
    }
    if (err == DURE_OK) {
        err = dure_fault_proxy_address(p->proxy, &address);
    }
    if (err == DURE_OK) {
        (void)printf("{\"ok\":true,\"listening\":\"%s\"}\n",
                     dure_net_address_print(&address, text));
        (void)fflush(stdout);
        err = dure_thread_create("reader", reader_main, p, &p->reader);
    }
    return err;
}

/* Ended from outside, its reader waits for a line and holds the lock of stdin, which exit() wants
 * with some C libraries (glibc 2.41): then the process ends past it, and what the reader uses
 * stays. */
static void program_forget(proxy_program *p)
{
    dure_mutex_lock(p->mutex);
    bool is_reader_over = p->is_end_of_input;
    dure_mutex_unlock(p->mutex);
    if (!is_reader_over) {
        (void)fflush(stdout);
        _Exit(DURE_EXIT_OK);
    }
    dure_thread_join(p->reader);
    dure_cond_destroy(p->cond);
    dure_mutex_destroy(p->mutex);
    dure_mem_free(p);
}

int main(int argc, char **argv)
{
    dure_fault_proxy_config config = {0};
    int code = read_options(argc, argv, &config);
    if (code >= 0) {
        return code;
    }
    proxy_program *p = dure_mem_alloc(sizeof *p);
    if (p == NULL || dure_program_create("fault-proxy", on_stop, p, &p->program) != DURE_OK) {
        dure_mem_free(p);
        return DURE_EXIT_FAILED;
    }
    dure_err err = start(p, &config);
    if (err != DURE_OK) {
        (void)fprintf(stderr, "fault-proxy: %s\n", dure_err_text(err));
        return DURE_EXIT_FAILED; /* what is open ends with the process */
    }
    dure_program_run(p->program);
    (void)dure_iocp_core_run_once(dure_program_core(p->program),
                                  0); /* what was posted at the end */
    dure_fault_proxy_destroy(p->proxy);
    dure_program_destroy(p->program);
    program_forget(p);
    return DURE_EXIT_OK;
}
