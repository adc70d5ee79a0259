/* SPDX-License-Identifier: MIT
 *
 * Links to all peers: the listener, dialling and redialling, and which of two connections stays.
 * Redialling is ours and not the ClientService's, because a link that the peer dialled makes our
 * own dial needless for as long as it stands.
 */
#include "cluster/link.h"

#include <stdio.h>

#include "base/mem.h"
#include "cluster/link_impl.h"

#define TOPIC "cluster"

#define OUT_MAX 16384u

/* Connections that are there beside strangers and links: each peer's, its successors, and those
 * that have been cut and are on their way out, some rounds of accepts. */
#define ROOM_PER_PEER 4u
#define ROOM          256u

static void redial_due(dure_deadline *deadline);

static dure_log *log_of(const dure_links *links)
{
    return dure_iocp_core_log(links->core);
}

/* ---- make and end ---- */

static void link_init(dure_links *links, uint32_t index)
{
    dure_link *link = &links->links[index];
    dure_backoff_config backoff;
    link->links = links;
    link->node = dure_registry_node_at(links->registry, index);
    link->index = index;
    dure_deadline_init(&link->redial, redial_due);
    dure_backoff_config_init(&backoff);
    backoff.first_ms = links->settings->redial_first_ms;
    backoff.max_ms = links->settings->redial_max_ms;
    dure_backoff_init(&link->backoff, &backoff);
}

static dure_err self_init(dure_links *links, const dure_links_config *config)
{
    dure_hello_self *self = &links->self;
    self->registry = config->registry;
    self->node = config->self;
    self->schema_hash = config->schema_hash;
    self->protocol_min = DURE_PROTOCOL_MIN;
    self->protocol_max = DURE_PROTOCOL_MAX;
    self->secret_count = dure_registry_secrets(config->registry, self->secrets);
    dure_err err = DURE_OK;
    while (err == DURE_OK && self->incarnation == 0) {
        err = dure_iocp_core_entropy(config->core, &self->incarnation, sizeof self->incarnation);
    }
    return err;
}

/*
 * Half of the places are for those who have said nothing yet, half for those whose hello came, so
 * that an honest peer, whose hello comes with its connection, has to outlast only those who do as
 * much as it does. Of each half, half may be of one address, unless that is exempt.
 */
static dure_err strangers_init(dure_links *links, const dure_links_config *config)
{
    const dure_registry_settings *settings = links->settings;
    const bool is_less =
        config->strangers_max != 0 && config->strangers_max < settings->link_strangers_max;
    links->strangers_max = is_less ? config->strangers_max : settings->link_strangers_max;
    DURE_ASSERT(links->strangers_max >= 8);
    dure_strangers_config strangers = {.most = links->strangers_max / 2,
                                       .most_per_address = links->strangers_max / 4,
                                       .exempt = &settings->address_exempt};
    dure_err err = dure_iocp_core_entropy(links->core, &strangers.seed, sizeof strangers.seed);
    if (err == DURE_OK) {
        err = dure_strangers_create(&strangers, &links->silent);
    }
    if (err == DURE_OK) {
        err = dure_strangers_create(&strangers, &links->spoken);
    }
    return err;
}

static void strangers_fini(dure_strangers *strangers)
{
    DURE_ASSERT(strangers == NULL || dure_strangers_count(strangers) == 0);
    dure_strangers_destroy(strangers);
}

dure_err dure_links_create(const dure_links_config *config, dure_links **out_links)
{
    dure_links *links = dure_mem_alloc(sizeof *links);
    if (links == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    links->core = config->core;
    links->registry = config->registry;
    links->settings = dure_registry_settings_of(config->registry);
    links->deadlines = config->deadlines;
    links->handlers = config->handlers;
    links->ctx = config->ctx;
    links->listens_on_free_port = config->listens_on_free_port;
    dure_list_init(&links->conns);
    dure_buf_init(&links->out, OUT_MAX);
    links->link_count = (uint32_t)dure_registry_node_count(config->registry);
    links->links = dure_mem_alloc_array(links->link_count + 1u, sizeof *links->links);
    dure_err err = links->links == NULL ? DURE_ERR_NO_MEMORY : self_init(links, config);
    if (err == DURE_OK) {
        err = strangers_init(links, config);
    }
    if (err != DURE_OK) {
        dure_links_destroy(links);
        return err;
    }
    for (uint32_t i = 0; i < links->link_count; i++) {
        link_init(links, i);
    }
    *out_links = links;
    return DURE_OK;
}

void dure_links_destroy(dure_links *links)
{
    if (links == NULL) {
        return;
    }
    DURE_ASSERT(links->conns.next == NULL || dure_list_is_empty(&links->conns));
    for (uint32_t i = 0; links->links != NULL && i < links->link_count; i++) {
        dure_service_destroy(links->links[i].service);
    }
    dure_service_destroy(links->server);
    strangers_fini(links->silent);
    strangers_fini(links->spoken);
    dure_buf_fini(&links->out);
    dure_mem_free(links->links);
    dure_mem_free(links);
}

void dure_links_set_address(dure_links *links, uint32_t node, const dure_net_address *address)
{
    DURE_ASSERT(node < links->link_count);
    links->links[node].address = *address;
}

/* ---- start ---- */

static void service_closed(dure_links *links)
{
    DURE_ASSERT(links->open_services > 0);
    links->open_services--;
    if (links->open_services == 0 && links->is_closing) {
        links->handlers->on_closed(links->ctx);
    }
}

static void server_on_closed(dure_service *service, void *context)
{
    (void)service;
    service_closed(context);
}

static void client_on_closed(dure_service *service, void *context)
{
    const dure_link *link = context;
    (void)service;
    service_closed(link->links);
}

static void fill_service_config(dure_links *links, dure_service_config *config)
{
    dure_service_config_init(config);
    config->cores = &links->core;
    config->core_count = 1;
    config->sessions_max = links->link_count * ROOM_PER_PEER + links->strangers_max + ROOM;
    config->send_queue_max = links->settings->link_queue_max_bytes + DURE_LINK_CONTROL_BYTES;
    config->recv_rest_max = DURE_WIRE_LINK_FRAME_MAX;
    config->close_ms = DURE_LINK_CLOSE_MS;
    config->write_stall_ms = links->settings->write_stall_ms;
    config->user_timeout_ms = links->settings->user_timeout_ms;
    config->unsent_bytes_max = DURE_LINK_UNSENT_BYTES;
    config->accept_pause_first_ms = links->settings->accept_pause_first_ms;
    config->accept_pause_max_ms = links->settings->accept_pause_max_ms;
}

/* Nobody dials a node whose role is in no list; it listens all the same where it has a port. */
static bool links_must_listen(const dure_links *links)
{
    const dure_registry_node *self = links->self.node;
    if (self->link_port != 0 || links->listens_on_free_port) {
        return true;
    }
    for (size_t i = 0; i < dure_registry_role_count(links->registry); i++) {
        const char *from = dure_registry_role_at(links->registry, i)->name;
        if (dure_registry_dials(links->registry, from, self->role)) {
            return true;
        }
    }
    return false;
}

static dure_err bind_address(const dure_links *links, dure_net_address *out_address)
{
    const dure_registry_node *self = links->self.node;
    const char *text = self->bind != NULL ? self->bind : self->host;
    if (text == NULL || strcmp(text, "localhost") == 0) {
        text = "127.0.0.1";
    }
    return dure_net_address_from_ip(text, self->link_port, out_address);
}

static dure_err start_server(dure_links *links)
{
    dure_service_config config;
    dure_net_address address;
    dure_err err = bind_address(links, &address);
    if (err == DURE_OK) {
        fill_service_config(links, &config);
        config.name = "links";
        config.handlers = &dure_link_accepted_handlers;
        config.context = links;
        config.on_closed = server_on_closed;
        err = dure_server_service_create(&config, &address, &links->server);
    }
    if (err == DURE_OK) {
        links->open_services++;
        err = dure_service_start(links->server);
    }
    if (err != DURE_OK) {
        const dure_registry_node *self = links->self.node;
        dure_log_write(log_of(links), DURE_LOG_ERROR, TOPIC, "LINK_LISTEN_FAILED",
                       "host=%s port=%u cause=%s", self->bind != NULL ? self->bind : self->host,
                       self->link_port, dure_err_name(err));
    }
    return err;
}

/* The host of an address as text, without port and brackets. */
static const char *print_host(const dure_net_address *address, char out[DURE_NET_ADDRESS_TEXT_MAX])
{
    (void)dure_net_address_print(address, out);
    char *colon = strrchr(out, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    if (out[0] == '[') {
        out[strlen(out) - 1] = '\0';
        return out + 1;
    }
    return out;
}

static dure_err create_dialler(dure_link *link)
{
    dure_links *links = link->links;
    char host[DURE_NET_ADDRESS_TEXT_MAX];
    dure_service_config config;
    dure_client_service_config client;
    dure_client_service_config_init(&client);
    client.host = link->node->host;
    client.port = link->node->link_port;
    if (link->address.family != DURE_FAMILY_NONE) {
        client.host = print_host(&link->address, host);
        client.port = link->address.port;
    }
    if (client.port == 0) {
        dure_log_write(log_of(links), DURE_LOG_WARN, TOPIC, "LINK_NO_PORT", "peer=%s",
                       link->node->id);
        return DURE_OK;
    }
    client.session_count = 1;
    client.connect_at_start = false;
    client.redial = false;
    fill_service_config(links, &config);
    config.name = link->node->id;
    config.handlers = &dure_link_dialled_handlers;
    config.context = link;
    config.on_closed = client_on_closed;
    dure_err err = dure_client_service_create(&config, &client, &link->service);
    if (err == DURE_OK) {
        links->open_services++;
        err = dure_service_start(link->service);
    }
    return err;
}

static dure_err start_diallers(dure_links *links)
{
    for (uint32_t i = 0; i < links->link_count; i++) {
        dure_link *link = &links->links[i];
        if (link->node == links->self.node ||
            !dure_registry_dials(links->registry, links->self.node->role, link->node->role)) {
            continue;
        }
        dure_err err = create_dialler(link);
        if (err == DURE_OK && link->service != NULL) {
            err = dure_deadline_set(links->deadlines, &link->redial, 0);
        }
        if (err != DURE_OK) {
            return err;
        }
    }
    return DURE_OK;
}

dure_err dure_links_start(dure_links *links)
{
    DURE_ASSERT(!links->is_started);
    links->is_started = true;
    const dure_err err = links_must_listen(links) ? start_server(links) : DURE_OK;
    return err != DURE_OK ? err : start_diallers(links);
}

static void link_close(dure_link *link)
{
    dure_deadline_clear(link->links->deadlines, &link->redial);
    if (link->service != NULL) {
        dure_service_close(link->service);
    }
}

void dure_links_drain(dure_links *links, uint32_t drain_ms)
{
    if (links->drain_ms != 0 || links->is_closing) {
        return;
    }
    links->drain_ms = drain_ms > 0 ? drain_ms : 1; /* 0 would say that this is the end */
    for (dure_list *node = links->conns.next; node != &links->conns;) {
        dure_link_conn *conn = DURE_CONTAINER_OF(node, dure_link_conn, node);
        node = node->next;
        if (conn->state == DURE_LINK_CONN_UP) {
            dure_link_conn_say_draining(conn);
        }
    }
}

void dure_links_close(dure_links *links, bool is_finished)
{
    DURE_ASSERT(!links->is_closing);
    links->is_closing = true;
    for (dure_list *node = links->conns.next; node != &links->conns;) {
        dure_link_conn *conn = DURE_CONTAINER_OF(node, dure_link_conn, node);
        node = node->next; /* connections leave the list later, with their sessions */
        if (is_finished && conn->state == DURE_LINK_CONN_UP) {
            dure_link_conn_end_finished(conn);
        } else {
            dure_link_conn_end(conn, DURE_ERR_CLOSED, "the node is stopping", false);
        }
    }
    /* Held open until all are told, so that on_closed comes once. */
    links->open_services++;
    for (uint32_t i = 0; i < links->link_count; i++) {
        link_close(&links->links[i]);
    }
    if (links->server != NULL) {
        dure_service_close(links->server);
    }
    service_closed(links);
}

dure_err dure_links_address(const dure_links *links, dure_net_address *out_address)
{
    if (links->server == NULL) {
        return DURE_ERR_STATE;
    }
    return dure_server_service_address(links->server, out_address);
}

/* ---- questions ---- */

dure_link *dure_links_at(const dure_links *links, uint32_t node)
{
    DURE_ASSERT(node < links->link_count);
    dure_link *link = &links->links[node];
    return link->node == links->self.node ? NULL : link;
}

dure_link *dure_links_find(const dure_links *links, const dure_registry_node *node)
{
    for (uint32_t i = 0; i < links->link_count; i++) {
        if (links->links[i].node == node) {
            return &links->links[i];
        }
    }
    return NULL;
}

bool dure_link_is_up(const dure_link *link)
{
    return link->conn != NULL;
}

bool dure_link_is_draining(const dure_link *link)
{
    return link->conn != NULL && link->is_peer_draining;
}

bool dure_link_was_up(const dure_link *link)
{
    return link->was_up;
}

const dure_registry_node *dure_link_node(const dure_link *link)
{
    return link->node;
}

uint32_t dure_link_index(const dure_link *link)
{
    return link->index;
}

uint64_t dure_links_incarnation(const dure_links *links)
{
    return links->self.incarnation;
}

uint64_t dure_link_incarnation(const dure_link *link)
{
    return link->incarnation;
}

void dure_links_counters_of(const dure_links *links, dure_links_counters *out_counters)
{
    *out_counters = links->counters;
    out_counters->joining_bytes = links->joining_bytes;
    for (uint32_t i = 0; i < links->link_count; i++) {
        const dure_link_conn *conn = links->links[i].conn;
        if (conn != NULL) {
            dure_link_conn_count(conn, out_counters);
            out_counters->queued_bytes += dure_link_lanes_queued(&conn->lanes);
        }
    }
}

bool dure_links_may_log(dure_links *links)
{
    const uint64_t second = dure_iocp_core_now_ms(links->core) / 1000;
    if (second != links->log_second) {
        links->log_second = second;
        links->log_count = 0;
    }
    links->log_count++;
    return links->log_count <= DURE_LINK_LOG_PER_SECOND;
}

/* ---- sending ---- */

/* A cancel whose request has not left needs none to leave either. */
static bool is_taken_back(dure_link_conn *conn, dure_slice frame)
{
    dure_frame split;
    return dure_frame_split(frame, &split) == DURE_OK && split.kind == DURE_FRAME_CANCEL &&
           dure_link_lanes_cancel(&conn->lanes, split.id);
}

/* Small work is held to what waits in its own way: a large body before it is none of it. */
static dure_err check_new_work(const dure_link_conn *conn, size_t more)
{
    dure_links *links = conn->links;
    const bool is_small = more <= DURE_LANES_PART_BYTES;
    const size_t queued = is_small ? dure_link_lanes_small_queued(&conn->lanes)
                                   : dure_link_lanes_queued(&conn->lanes);
    if (queued > links->settings->link_queue_high_bytes ||
        queued + more > links->settings->link_queue_max_bytes) {
        links->counters.overloaded++;
        return DURE_ERR_OVERLOADED;
    }
    return DURE_OK;
}

/* Answers that wait on all links beyond the ends of their queues. */
static uint64_t bytes_beyond(const dure_links *links)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < links->link_count; i++) {
        const dure_link_conn *conn = links->links[i].conn;
        const size_t queued = conn != NULL ? dure_link_lanes_queued(&conn->lanes) : 0;
        bytes += queued > links->settings->link_queue_max_bytes
                     ? queued - links->settings->link_queue_max_bytes
                     : 0;
    }
    return bytes;
}

uint64_t dure_links_beyond_max(const dure_links *links)
{
    return (uint64_t)links->settings->body_max_bytes * DURE_LINK_BEYOND_BODIES;
}

/* What was begun has to be answered: a crowd that is answered at once shares more than a queue. */
static dure_err check_answer(const dure_link_conn *conn, size_t more)
{
    dure_links *links = conn->links;
    const size_t queued = dure_link_lanes_queued(&conn->lanes);
    if (queued + more <= links->settings->link_queue_max_bytes ||
        bytes_beyond(links) + more <= dure_links_beyond_max(links)) {
        return DURE_OK;
    }
    links->counters.no_room++;
    return DURE_ERR_OVERLOADED;
}

static dure_err check_queue(const dure_link_conn *conn, size_t more, dure_link_load load)
{
    switch (load) {
    case DURE_LINK_NEW_WORK:
        return check_new_work(conn, more);
    case DURE_LINK_ANSWER:
        return check_answer(conn, more);
    case DURE_LINK_VERDICT:
        break; /* short, and at most one for each request that the peer may have outstanding */
    }
    return DURE_OK;
}

dure_err dure_link_send(dure_link *link, dure_slice frame, dure_link_load load, uint64_t *out_end)
{
    dure_link_conn *conn = link->conn;
    if (conn == NULL || conn->cut_cause != DURE_OK) {
        return DURE_ERR_STATE;
    }
    if (is_taken_back(conn, frame)) {
        return DURE_OK;
    }
    const uint64_t now_ms = dure_iocp_core_now_ms(link->links->core);
    dure_err err = check_queue(conn, frame.len, load);
    if (err != DURE_OK) {
        return err;
    }
    err = dure_link_lanes_add(&conn->lanes, frame, now_ms, out_end);
    if (err != DURE_OK) {
        if (load != DURE_LINK_NEW_WORK) {
            dure_link_give_up(link, err);
            return DURE_ERR_STATE;
        }
        return err;
    }
    err = dure_link_lanes_pump(&conn->lanes, now_ms, false);
    if (err != DURE_OK) {
        dure_link_conn_cut_later(conn, err); /* the frame waits; the end tells what became of it */
    }
    return DURE_OK;
}

/* Whether at most a part (1: all, 2: half) of what ends the beginning of new things waits. */
static bool is_within(const dure_link_conn *conn, uint32_t part)
{
    const dure_registry_settings *settings = conn->links->settings;
    return dure_link_lanes_small_queued(&conn->lanes) <= settings->link_queue_high_bytes / part &&
           dure_link_lanes_queued(&conn->lanes) <= settings->link_queue_max_bytes / part;
}

bool dure_link_has_room(dure_link *link)
{
    dure_link_conn *conn = link->conn;
    if (conn == NULL) {
        return true;
    }
    conn->is_out_of_room = conn->is_out_of_room || !is_within(conn, 1);
    return !conn->is_out_of_room;
}

void dure_link_look_for_room(dure_link_conn *conn)
{
    DURE_ASSERT(conn->state == DURE_LINK_CONN_UP);
    if (conn->is_out_of_room && is_within(conn, 2)) {
        conn->is_out_of_room = false;
        conn->links->handlers->on_room(conn->links->ctx, conn->link);
    }
}

void dure_link_drop_answer(dure_link *link, uint32_t id)
{
    if (link->conn != NULL) {
        dure_link_lanes_drop_answer(&link->conn->lanes, id);
    }
}

void dure_link_give_up(dure_link *link, dure_err cause)
{
    if (link->conn != NULL) {
        dure_link_conn_cut_later(link->conn, cause);
    }
}

bool dure_link_may_have_left(const dure_link *link, uint64_t end)
{
    DURE_ASSERT(link->ended != NULL);
    return !link->has_answered_all &&
           dure_link_lanes_has_left(&link->ended->lanes, end, link->handed_bytes);
}

/* ---- which connection stays ---- */

static const char *dialler_of(const dure_link *link, const dure_link_conn *conn)
{
    return conn->is_dialled ? link->links->self.node->id : link->node->id;
}

/* Whether a newer connection between the same two incarnations takes the old one's place. */
static bool newer_stays(const dure_link *link, const dure_link_conn *old,
                        const dure_link_conn *newer)
{
    return old->is_dialled == newer->is_dialled ||
           strcmp(dialler_of(link, newer), dialler_of(link, old)) < 0;
}

void dure_link_offer(dure_link *link, dure_link_conn *conn)
{
    dure_link_conn *old = link->conn;
    if (link->links->is_closing) {
        dure_link_conn_end(conn, DURE_ERR_CLOSED, "the node is stopping", false);
    } else if (old == NULL) {
        dure_link_conn_admit(conn);
    } else if (old->incarnation != conn->incarnation) {
        dure_link_conn_probe(old, conn);
    } else if (newer_stays(link, old, conn)) {
        dure_link_conn_end(old, DURE_ERR_REPLACED, "another connection of this link is newer",
                           false);
        dure_link_offer(link, conn); /* what the old one's end let in comes first */
    } else {
        dure_link_conn_end(conn, DURE_ERR_REPLACED, "the link stands already", false);
    }
}

void dure_link_set_up(dure_link *link, dure_link_conn *conn)
{
    dure_links *links = link->links;
    DURE_ASSERT(link->conn == NULL);
    link->conn = conn;
    link->was_up = true;
    link->is_peer_draining = false;
    link->has_answered_all = false;
    link->incarnation = conn->incarnation;
    links->counters.up++;
    dure_deadline_clear(links->deadlines, &link->redial);
    dure_backoff_reset(&link->backoff);
    link->last_dial_cause = DURE_OK;
    dure_log_write(log_of(links), DURE_LOG_INFO, TOPIC, "LINK_UP", "peer=%s dialled_by=%s",
                   link->node->id, conn->is_dialled ? "us" : "peer");
    links->handlers->on_up(links->ctx, link);
    if (links->drain_ms != 0 && link->conn == conn) {
        dure_link_conn_say_draining(conn);
    }
}

static void dial_later(dure_link *link, dure_err cause);

void dure_link_set_down(dure_link *link, dure_link_conn *conn, dure_err cause)
{
    dure_links *links = link->links;
    DURE_ASSERT(link->conn == conn);
    link->conn = NULL;
    link->ended = conn;
    link->handed_bytes =
        conn->is_flushed ? conn->lanes.session_bytes : dure_session_handed_bytes(conn->session);
    dure_link_conn_count(conn, &links->counters);
    links->counters.down++;
    links->counters.slow += cause == DURE_ERR_SLOW;
    dure_log_write(log_of(links), DURE_LOG_INFO, TOPIC, "LINK_DOWN", "peer=%s cause=%s",
                   link->node->id, dure_err_name(cause));
    dial_later(link, cause);
    links->handlers->on_down(links->ctx, link, cause);
    link->ended = NULL;
}

/* ---- dialling ---- */

static bool is_identity_refused(dure_err cause)
{
    return cause == DURE_ERR_WRONG_CLUSTER || cause == DURE_ERR_WRONG_VERSION ||
           cause == DURE_ERR_WRONG_NODE || cause == DURE_ERR_WRONG_PROOF ||
           cause == DURE_ERR_DUPLICATE_ID;
}

static void dial_later(dure_link *link, dure_err cause)
{
    dure_links *links = link->links;
    if (link->service == NULL || link->is_dial_busy || link->conn != NULL || links->is_closing ||
        dure_deadline_is_set(&link->redial)) {
        return;
    }
    uint32_t delay_ms = dure_backoff_next(&link->backoff, dure_iocp_core_random(links->core));
    if (is_identity_refused(cause) && delay_ms < DURE_LINK_IDENTITY_MS) {
        delay_ms = DURE_LINK_IDENTITY_MS;
    }
    const dure_err err = dure_deadline_set(links->deadlines, &link->redial, delay_ms);
    if (err != DURE_OK) {
        dure_log_write(log_of(links), DURE_LOG_ERROR, TOPIC, "LINK_REDIAL_FAILED",
                       "peer=%s cause=%s", link->node->id, dure_err_name(err));
    }
}

/* One line when it begins or changes; that it goes on shows in the counter. */
static void log_dial_failed(dure_link *link, dure_err cause)
{
    link->links->counters.dial_failed++;
    if (link->last_dial_cause == cause) {
        return;
    }
    link->last_dial_cause = cause;
    dure_log_write(log_of(link->links), DURE_LOG_INFO, TOPIC, "LINK_DIAL_FAILED",
                   "peer=%s cause=%s", link->node->id, dure_err_name(cause));
}

static void redial_due(dure_deadline *deadline)
{
    dure_link *link = DURE_CONTAINER_OF(deadline, dure_link, redial);
    if (link->conn != NULL || link->is_dial_busy || link->links->is_closing) {
        return;
    }
    const dure_err err = dure_session_connect(dure_client_service_session(link->service, 0));
    if (err != DURE_OK) {
        log_dial_failed(link, err);
        dial_later(link, err);
        return;
    }
    link->is_dial_busy = true;
}

void dure_link_dial_ended(dure_link *link, dure_err cause, bool was_connected)
{
    link->is_dial_busy = false;
    if (!was_connected && !link->links->is_closing) {
        log_dial_failed(link, cause);
    }
    dial_later(link, cause);
}
