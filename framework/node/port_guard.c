/* SPDX-License-Identifier: MIT
 *
 * Who may stay at a port. Whoever has proved who it is gives way to nobody; of the strangers the
 * one that has been connected longest goes when the places are short, so that whoever wants to log
 * in finds one, however many hold theirs for nothing. Who is turned away is told, where that costs
 * no waiting: a bounded number of those who go may take the time to read it.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "net/address.h"
#include "node/port_impl.h"

#define GUARD_SAY_MS     10000u /* between two lines of the log about the same limit */
#define GUARD_PASSES_MAX 16     /* logins under way that are passed over when one has to go */

static const char *const limit_names[] = {
#define NODE_LIMIT_NAME(name, text) #name,
    NODE_LIMIT_LIST(NODE_LIMIT_NAME)
#undef NODE_LIMIT_NAME
};

static const char *const limit_texts[] = {
#define NODE_LIMIT_TEXT(name, text) text,
    NODE_LIMIT_LIST(NODE_LIMIT_TEXT)
#undef NODE_LIMIT_TEXT
};

static node_conn *conn_of(dure_stranger *stranger)
{
    return DURE_CONTAINER_OF(stranger, node_conn, stranger);
}

/* ---- make and end ---- */

dure_err node_guard_init(node_port *port)
{
    dure_strangers_config config = {
        .most_per_address = port->config.strangers_per_address,
        .exempt = port->config.exempt,
    };
    dure_list_init(&port->leaving);
    dure_err err = node_rate_table_create(&port->config.connects, &port->addresses);
    if (err == DURE_OK && port->config.has_strangers) {
        err = dure_iocp_core_entropy(node_port_core(port), &config.seed, sizeof config.seed);
    }
    if (err == DURE_OK && port->config.has_strangers) {
        err = dure_strangers_create(&config, &port->strangers);
    }
    return err;
}

void node_guard_fini(node_port *port)
{
    DURE_ASSERT(port->leaving_count == 0);
    dure_strangers_destroy(port->strangers);
    node_rate_table_destroy(port->addresses);
}

/* ---- turning away ---- */

static void port_say_refusals(node_port *port, node_limit limit, uint64_t now_ms)
{
    node_refusals *refusals = &port->refusals[limit];
    char text[DURE_NET_ADDRESS_TEXT_MAX] = "?";
    if (refusals->unsaid == 0 || now_ms < refusals->next_say_ms) {
        return;
    }
    if (refusals->address.family != DURE_FAMILY_NONE) {
        (void)dure_net_address_print(&refusals->address, text);
    }
    dure_log_write(port->config.log, DURE_LOG_WARN, "node", "CONNECTIONS_REFUSED",
                   "port=%s limit=%s address=%s count=%u", port->config.name, limit_names[limit],
                   text, refusals->unsaid);
    refusals->unsaid = 0;
    refusals->next_say_ms = now_ms + GUARD_SAY_MS;
}

static void port_count_refusal(node_port *port, node_limit limit, const dure_net_address *address)
{
    node_refusals *refusals = &port->refusals[limit];
    refusals->total++;
    refusals->unsaid++;
    refusals->address = *address;
    port_say_refusals(port, limit, dure_iocp_core_now_ms(node_port_core(port)));
}

static void conn_leave(node_conn *conn)
{
    DURE_ASSERT(!conn->is_leaving);
    conn->is_leaving = true;
    conn->port->leaving_count++;
    dure_list_push_back(&conn->port->leaving, &conn->in_leaving);
}

static void conn_leave_no_more(node_conn *conn)
{
    if (conn->is_leaving) {
        DURE_ASSERT(conn->port->leaving_count > 0);
        conn->is_leaving = false;
        conn->port->leaving_count--;
        dure_list_remove(&conn->in_leaving);
    }
}

/* Tells it and closes it. Of those who are told so, only a few at a time may take their time. */
static void conn_refuse(node_conn *conn, node_limit limit)
{
    node_port *port = conn->port;
    dure_strangers_remove(&conn->stranger);
    if (!dure_session_is_connected(conn->session)) {
        node_conn_cut(conn, DURE_ERR_OVERLOADED); /* it was told already, and its time is up */
        return;
    }
    port_count_refusal(port, limit, dure_session_peer(conn->session));
    node_conn_close(conn, DURE_ERR_OVERLOADED, limit_texts[limit]);
    conn_leave(conn);
    if (port->leaving_count > port->config.room / 2) {
        node_conn_cut(DURE_CONTAINER_OF(port->leaving.next, node_conn, in_leaving),
                      DURE_ERR_OVERLOADED);
    }
}

void node_conn_cut(node_conn *conn, dure_err cause)
{
    conn_leave_no_more(conn);
    if (!conn->is_cut) {
        conn->is_cut = true;
        conn->port->cut_count++;
    }
    dure_session_abort(conn->session, cause);
}

void node_guard_forget(node_conn *conn)
{
    dure_strangers_remove(&conn->stranger);
    conn_leave_no_more(conn);
    if (conn->is_cut) {
        DURE_ASSERT(conn->port->cut_count > 0);
        conn->port->cut_count--;
    }
}

void node_port_refusals(const node_port *port, uint64_t out_totals[NODE_LIMIT_COUNT],
                        uint64_t *out_accept_pauses)
{
    dure_service_counters counters = {0};
    if (port->is_started) {
        dure_service_counters_of(port->service, &counters);
    }
    for (size_t i = 0; i < NODE_LIMIT_COUNT; i++) {
        out_totals[i] = port->refusals[i].total;
    }
    *out_accept_pauses = counters.accept_pauses;
}

/* Those who found not even the room to be told. */
static void port_look_at_accept(node_port *port, uint64_t now_ms)
{
    dure_service_counters counters;
    node_refusals *full = &port->refusals[NODE_LIMIT_FULL];
    dure_service_counters_of(port->service, &counters);
    DURE_ASSERT(counters.refused_full >= port->refused_at_accept);
    full->total += counters.refused_full - port->refused_at_accept;
    full->unsaid += (uint32_t)(counters.refused_full - port->refused_at_accept);
    port->refused_at_accept = counters.refused_full;
    for (size_t i = 0; i < NODE_LIMIT_COUNT; i++) {
        port_say_refusals(port, (node_limit)i, now_ms);
    }
}

/* ---- coming ---- */

static bool port_is_flooded(node_port *port, const dure_net_address *peer)
{
    if (dure_net_networks_have(port->config.exempt, peer)) {
        return false;
    }
    return !node_rate_table_take(port->addresses, peer,
                                 dure_iocp_core_now_ms(node_port_core(port)));
}

static bool port_is_over(const node_port *port)
{
    DURE_ASSERT(port->count >= port->leaving_count + port->cut_count);
    return port->count - port->leaving_count - port->cut_count > port->config.connections_max;
}

/* Of two connections the one that was silent for longer. */
static node_conn *conn_more_silent(node_conn *a, node_conn *b)
{
    if (a == NULL) {
        return b;
    }
    return dure_session_last_recv_ms(b->session) < dure_session_last_recv_ms(a->session) ? b : a;
}

static node_conn *port_most_silent(const node_port *port)
{
    node_conn *most = NULL;
    for (dure_list *at = port->conns.next; at != &port->conns; at = at->next) {
        node_conn *conn = DURE_CONTAINER_OF(at, node_conn, in_port);
        if (dure_session_is_connected(conn->session)) {
            most = conn_more_silent(most, conn);
        }
    }
    return most;
}

/* Counts a stranger, and gives the one of its address that is one too many, or NULL. */
static dure_err conn_count(node_conn *conn, node_conn **out_surplus)
{
    dure_stranger *surplus = NULL;
    dure_err err = dure_strangers_add(conn->port->strangers, &conn->stranger,
                                      dure_session_peer(conn->session), &surplus);
    *out_surplus = surplus != NULL ? conn_of(surplus) : NULL;
    return err;
}

/* One whose turn it is to go while its login is under way goes to the end of the line instead: it
 * is about to be a stranger no more. */
static bool conn_is_passed_over(node_conn *conn, node_conn **out_surplus)
{
    return conn->barrier_count > 0 && dure_session_is_connected(conn->session) &&
           conn_count(conn, out_surplus) == DURE_OK;
}

/* Who has to go where there is one too many: the newcomer itself only where all others have proved
 * who they are, or are about to. */
static node_conn *port_surplus(const node_port *port, node_conn *newcomer)
{
    node_conn *oldest = NULL;
    node_conn *none = NULL;
    for (int i = 0; i < GUARD_PASSES_MAX && port->strangers != NULL; i++) {
        dure_stranger *stranger = dure_strangers_pop_oldest(port->strangers);
        oldest = stranger != NULL ? conn_of(stranger) : NULL;
        if (oldest == NULL || oldest == newcomer || !conn_is_passed_over(oldest, &none)) {
            break;
        }
        DURE_ASSERT(none == NULL); /* its address has as many as before */
    }
    if (oldest != NULL && oldest != newcomer) {
        return oldest;
    }
    /* One that stays after all is a stranger still, and the first to go for the next one. */
    return port->config.makes_room && (oldest == NULL || conn_count(newcomer, &none) == DURE_OK)
               ? port_most_silent(port)
               : newcomer;
}

/* False: it is closed. */
static bool conn_begin_stranger(node_conn *conn)
{
    node_conn *surplus = NULL;
    node_conn *next = NULL;
    conn->stranger_since_ms = dure_iocp_core_now_ms(node_port_core(conn->port));
    if (conn->port->strangers == NULL) {
        return true;
    }
    if (conn_count(conn, &surplus) != DURE_OK) {
        node_conn_close(conn, DURE_ERR_OVERLOADED, "out of memory");
        return false;
    }
    for (int i = 0; i < GUARD_PASSES_MAX && surplus != NULL && conn_is_passed_over(surplus, &next);
         i++) {
        surplus = next;
    }
    if (surplus != NULL) {
        conn_refuse(surplus, NODE_LIMIT_ADDRESS);
    }
    return dure_session_is_connected(conn->session);
}

bool node_guard_admit(node_conn *conn)
{
    node_port *port = conn->port;
    if (port_is_flooded(port, dure_session_peer(conn->session))) {
        conn_refuse(conn, NODE_LIMIT_RATE);
        return false;
    }
    if (!conn_begin_stranger(conn)) {
        return false;
    }
    if (port_is_over(port)) {
        conn_refuse(port_surplus(port, conn), NODE_LIMIT_FULL);
    }
    return dure_session_is_connected(conn->session);
}

void node_conn_set_trusted(node_conn *conn, bool is_trusted)
{
    bool was_trusted = conn->is_trusted;
    conn->is_trusted = is_trusted;
    dure_mprpc_reader_set_max(&conn->reader, is_trusted ? DURE_WIRE_CLIENT_MESSAGE_MAX
                                                        : DURE_WIRE_CLIENT_STRANGER_MAX);
    if (is_trusted) {
        dure_strangers_remove(&conn->stranger);
    } else if (was_trusted) {
        (void)conn_begin_stranger(conn); /* one that cannot be counted has been closed */
    }
}

/* ---- cutting the silent and the slow ---- */

static void port_cut_waiting(node_port *port, uint64_t now_ms)
{
    while (!dure_list_is_empty(&port->waiting)) {
        node_conn *conn = DURE_CONTAINER_OF(port->waiting.next, node_conn, in_waiting);
        if (now_ms - conn->opened_ms < port->config.settings->client_first_ms) {
            return; /* the list is in the order of opening */
        }
        dure_list_remove(&conn->in_waiting);
        node_conn_close(conn, DURE_ERR_IDLE, "no message came in time");
    }
}

static bool conn_is_slow(node_conn *conn, uint64_t now_ms)
{
    const dure_registry_settings *settings = conn->port->config.settings;
    if (dure_session_send_queue_bytes(conn->session) <= settings->client_queue_soft_bytes) {
        conn->over_since_ms = 0;
    } else if (conn->over_since_ms == 0) {
        conn->over_since_ms = now_ms;
    }
    return conn->over_since_ms != 0 && now_ms - conn->over_since_ms >= settings->client_slow_ms;
}

/* A login that is under way at the end of the time is waited for, as long as a call may take. */
static bool conn_is_late_to_log_in(const node_conn *conn, uint64_t now_ms)
{
    const node_port_config *config = &conn->port->config;
    if (config->login_ms == 0 || conn->is_trusted) {
        return false;
    }
    uint64_t passed_ms = now_ms - conn->stranger_since_ms;
    uint64_t most_ms = config->login_ms;
    most_ms += conn->barrier_count > 0 ? config->call_deadline_ms : 0;
    return passed_ms >= most_ms;
}

static void port_check_conn(dure_session *session, void *ctx)
{
    node_port *port = ctx;
    node_conn *conn = dure_session_context(session);
    uint64_t now_ms = dure_iocp_core_now_ms(node_port_core(port));
    if (conn == NULL) {
        return;
    }
    if (conn_is_slow(conn, now_ms)) {
        node_conn_cut(conn, DURE_ERR_SLOW);
        return;
    }
    if (conn->partial_since_ms != 0 &&
        now_ms - conn->partial_since_ms >= port->config.settings->client_message_ms) {
        node_conn_close(conn, DURE_ERR_SLOW, "the message took too long to arrive");
        return;
    }
    if (conn_is_late_to_log_in(conn, now_ms)) {
        node_conn_close(conn, DURE_ERR_NOT_LOGGED_IN, "nobody has logged in in time");
        return;
    }
    if (port->config.idle_ms > 0 &&
        now_ms - dure_session_last_recv_ms(session) >= port->config.idle_ms) {
        node_conn_close(conn, DURE_ERR_IDLE, "nothing came for too long");
    }
}

void node_port_tick(node_port *port)
{
    if (port->is_started && !port->is_closing) {
        uint64_t now_ms = dure_iocp_core_now_ms(node_port_core(port));
        port_cut_waiting(port, now_ms);
        dure_service_each(port->service, node_port_core(port), port_check_conn, port);
        port_look_at_accept(port, now_ms);
    }
}

static void port_shed_strangers(node_port *port)
{
    dure_list *next;
    for (dure_list *at = port->conns.next; at != &port->conns; at = next) {
        node_conn *conn = DURE_CONTAINER_OF(at, node_conn, in_port);
        next = at->next;
        if (!conn->is_trusted) {
            node_conn_cut(conn, DURE_ERR_OVERLOADED);
        }
    }
}

void node_port_shed(node_port *port)
{
    uint32_t left = port->count / 20u + 1u;
    port_shed_strangers(port);
    dure_list *former;
    for (dure_list *at = port->conns.prev; at != &port->conns && left > 0; at = former) {
        node_conn *conn = DURE_CONTAINER_OF(at, node_conn, in_port);
        former = at->prev;
        if (conn->is_trusted && dure_session_is_connected(conn->session)) {
            node_conn_close(conn, DURE_ERR_OVERLOADED, "the node is short of memory");
            left--;
        }
    }
}
