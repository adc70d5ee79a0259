/* SPDX-License-Identifier: MIT
 *
 * The sim back end. What is on its way through the network is an item in the world's heap, ordered
 * by time and then by number. An item that arrives changes a socket and makes it hot; its core
 * delivers from there in its next round, as a real back end would. Jobs stand in a line of their
 * own: they all take the same time, and one that a real core would run must not fail for memory.
 *
 * What must survive a change: nothing here may depend on addresses in memory, on hash order or on
 * the system, or the same seed stops giving the same run. Items name sockets by generation-checked
 * id, so that a socket may go while something for it is on its way. Ends (FIN, reset) need no
 * memory at the moment they are sent: each socket brings an item along for them.
 */
#include "iocp/core_sim.h"

#include <string.h>

#include "base/idtable.h"
#include "base/mem.h"
#include "iocp/backends.h"

#define NS_PER_MS          1000000u
#define LATENCY_NS         50000u
#define WINDOW_BYTES       (256u * 1024u)
#define CONNECT_TIMEOUT_NS (127ull * 1000u * NS_PER_MS) /* Linux: six retries of the SYN */
#define CONNECT_RETRY_NS   (1000ull * NS_PER_MS)
#define JOB_NS             20000u
#define SOCKETS_MAX        (1u << 20)
#define CORES_MAX          1024u
#define EPHEMERAL_FIRST    32768u
#define EPHEMERAL_COUNT    28232u
#define ITEMS_PER_SOCKET   4u /* room in the heap that ends and answers can count on */

typedef enum sim_item_kind {
    SIM_CONNECT,        /* to an address; becomes one of the next two */
    SIM_CONNECTED,      /* to the dialler: from is the other end */
    SIM_CONNECT_FAILED, /* to the dialler */
    SIM_DATA,
    SIM_WINDOW, /* the reader has read: bytes of the window are free again */
    SIM_FIN,
    SIM_RESET
} sim_item_kind;

typedef struct sim_item {
    uint64_t due_ns;
    uint64_t number;
    sim_item_kind kind;
    uint64_t from;
    uint64_t to;
    uint64_t begun_ns; /* SIM_CONNECT: when it was first tried */
    dure_err status;
    dure_list node; /* in an inbox */
    size_t at;      /* SIM_DATA: read so far */
    size_t bytes;
    uint8_t data[];
} sim_item;

typedef struct sim_core {
    dure_iocp_core base;
    dure_sim_world *world;
    dure_list hot;
    dure_list deferred;
    uint8_t *buffer;
    uint64_t suspended_ns; /* what its elapsed clock has beside the world's */
    void *job_thread;      /* what the first job takes, as a thread on a real core does */
    dure_rng entropy;      /* the world's seed decides what nobody can guess */
} sim_core;

typedef struct sim_socket {
    dure_iocp_socket base;
    dure_sim_world *world;
    uint64_t id;
    uint64_t peer_id; /* 0: none */
    dure_net_address local;
    dure_net_address peer;
    bool is_bound;
    bool has_fin; /* the peer's end lies behind the inbox */
    bool has_reset;
    bool has_sent_fin;
    uint32_t backlog_max;
    uint32_t backlog_count;
    dure_list backlog; /* listener: connections not yet accepted, by backlog_node */
    dure_list backlog_node;
    dure_list inbox;     /* SIM_DATA items */
    size_t in_flight;    /* sent and not yet read by the peer */
    size_t read_untold;  /* read, and the peer does not know yet */
    sim_item *end_item;  /* for FIN */
    sim_item *spare_end; /* for a reset */
    uint32_t share;
    uint64_t round;
    dure_list node; /* in hot or deferred */
} sim_socket;

struct dure_sim_world {
    dure_sim_config config;
    uint64_t now_ns;
    uint64_t next_number;
    dure_rng rng;
    sim_core *cores[CORES_MAX];
    uint32_t core_count;
    uint32_t next_core; /* whose turn it is */
    dure_idtable sockets;
    uint32_t socket_count;
    uint32_t next_port;
    dure_list jobs; /* events by their _node; _due_ns and _sequence as those of an item */
    sim_item **items;
    size_t item_count;
    size_t item_capacity;
};

static sim_core *core_of(dure_iocp_core *core)
{
    return DURE_CONTAINER_OF(core, sim_core, base);
}

/* As core_of, for looking only; base is the first member. */
static const sim_core *core_view(const dure_iocp_core *core)
{
    return (const void *)core;
}

static sim_socket *socket_of(dure_iocp_socket *socket)
{
    return DURE_CONTAINER_OF(socket, sim_socket, base);
}

static const sim_socket *socket_view(const dure_iocp_socket *socket)
{
    return (const void *)socket;
}

static void make_hot(sim_socket *socket)
{
    if (dure_list_is_empty(&socket->node)) {
        dure_list_push_back(&core_of(socket->base.core)->hot, &socket->node);
    }
}

/* ---- the heap of items ---- */

static bool item_is_before(const sim_item *a, const sim_item *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

/* Room for one more item beside what the open sockets may need at any moment. */
static dure_err items_reserve(dure_sim_world *world)
{
    size_t needed = world->item_count + 1 + (size_t)ITEMS_PER_SOCKET * (world->socket_count + 1);
    if (needed <= world->item_capacity) {
        return DURE_OK;
    }
    size_t capacity = needed * 2;
    sim_item **items = dure_mem_realloc(world->items, capacity * sizeof(*items));
    if (items == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    world->items = items;
    world->item_capacity = capacity;
    return DURE_OK;
}

static void item_push(dure_sim_world *world, sim_item *item, uint64_t delay_ns)
{
    DURE_ASSERT(world->item_count < world->item_capacity);
    item->due_ns = world->now_ns + delay_ns;
    item->number = world->next_number++;
    size_t index = world->item_count++;
    while (index > 0 && item_is_before(item, world->items[(index - 1) / 2])) {
        world->items[index] = world->items[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    world->items[index] = item;
}

static sim_item *item_pop(dure_sim_world *world)
{
    DURE_ASSERT(world->item_count > 0);
    sim_item *first = world->items[0];
    sim_item *last = world->items[--world->item_count];
    size_t index = 0;
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= world->item_count) {
            break;
        }
        if (child + 1 < world->item_count &&
            item_is_before(world->items[child + 1], world->items[child])) {
            child++;
        }
        if (!item_is_before(world->items[child], last)) {
            break;
        }
        world->items[index] = world->items[child];
        index = child;
    }
    world->items[index] = last;
    return first;
}

/* A new item with room for it in the heap; NULL when there is no memory. */
static sim_item *item_new(dure_sim_world *world, sim_item_kind kind, size_t bytes)
{
    if (items_reserve(world) != DURE_OK) {
        return NULL;
    }
    sim_item *item = dure_mem_alloc(sizeof *item + bytes);
    if (item != NULL) {
        item->kind = kind;
        item->bytes = bytes;
        dure_list_init(&item->node);
    }
    return item;
}

/* ---- the world ---- */

void dure_sim_config_init(dure_sim_config *config)
{
    memset(config, 0, sizeof *config);
    config->seed = 1;
    config->latency_ns = LATENCY_NS;
    config->start_wall_ms = 1700000000000u;
    config->send_window_bytes = WINDOW_BYTES;
}

dure_err dure_sim_world_create(const dure_sim_config *config, dure_sim_world **out_world)
{
    dure_sim_world *world = dure_mem_alloc(sizeof *world);
    if (world == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    world->config = *config;
    if (world->config.send_window_bytes == 0) {
        world->config.send_window_bytes = WINDOW_BYTES;
    }
    world->now_ns = 1000u * (uint64_t)NS_PER_MS; /* as on a machine that has been up for a while */
    dure_rng_init(&world->rng, config->seed);
    dure_idtable_init(&world->sockets, SOCKETS_MAX);
    dure_list_init(&world->jobs);
    *out_world = world;
    return DURE_OK;
}

void dure_sim_world_destroy(dure_sim_world *world)
{
    if (world == NULL) {
        return;
    }
    DURE_ASSERT(world->core_count == 0);
    DURE_ASSERT(dure_list_is_empty(&world->jobs));
    for (size_t i = 0; i < world->item_count; i++) {
        dure_mem_free(world->items[i]);
    }
    dure_mem_free(world->items);
    dure_idtable_fini(&world->sockets);
    dure_mem_free(world);
}

uint64_t dure_sim_now_ns(const dure_sim_world *world)
{
    return world->now_ns;
}

void dure_sim_suspend(dure_iocp_core *core, uint32_t ms)
{
    core_of(core)->suspended_ns += (uint64_t)ms * NS_PER_MS;
}

static sim_socket *world_find(const dure_sim_world *world, uint64_t id)
{
    return id != 0 ? dure_idtable_find(&world->sockets, id) : NULL;
}

static bool address_is_any(const dure_net_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->ip, zeros, sizeof zeros) == 0;
}

static bool addresses_equal(const dure_net_address *a, const dure_net_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool addresses_meet(const dure_net_address *a, const dure_net_address *b)
{
    return a->family == b->family && a->port == b->port &&
           (address_is_any(a) || address_is_any(b) || memcmp(a->ip, b->ip, sizeof a->ip) == 0);
}

/* The listener that an address leads to. */
static sim_socket *world_find_listener(const dure_sim_world *world, const dure_net_address *address)
{
    uint32_t cursor = 0;
    sim_socket *socket = NULL;
    while ((socket = dure_idtable_next(&world->sockets, &cursor)) != NULL) {
        if (socket->base.state == DURE_IOCP_SOCKET_LISTENING &&
            addresses_meet(&socket->local, address)) {
            return socket;
        }
    }
    return NULL;
}

/* Whether somebody bound this address (connections of a listener do not count). */
static bool world_is_taken(const dure_sim_world *world, const dure_net_address *address)
{
    uint32_t cursor = 0;
    sim_socket *socket = NULL;
    while ((socket = dure_idtable_next(&world->sockets, &cursor)) != NULL) {
        if (socket->is_bound && addresses_meet(&socket->local, address)) {
            return true;
        }
    }
    return false;
}

static uint16_t world_next_port(dure_sim_world *world)
{
    world->next_port = (world->next_port + 1) % EPHEMERAL_COUNT;
    return (uint16_t)(EPHEMERAL_FIRST + world->next_port);
}

/* 192.0.2.0/24 and 198.51.100.0/24, see the header. */
static bool address_is_in(const dure_net_address *address, uint8_t a, uint8_t b, uint8_t c)
{
    return address->family == DURE_FAMILY_IPV4 && address->ip[0] == a && address->ip[1] == b &&
           address->ip[2] == c;
}

/* ---- core ---- */

static dure_err sim_create(const dure_iocp_core_config *config, const char **out_reason,
                           dure_iocp_core **out_core)
{
    dure_sim_world *world = config->sim;
    *out_reason = "sim_world";
    if (world == NULL) {
        return DURE_ERR_INVALID;
    }
    if (world->core_count == CORES_MAX) {
        return DURE_ERR_FULL;
    }
    sim_core *core = dure_mem_alloc(sizeof *core);
    uint8_t *buffer = dure_mem_alloc(config->recv_buffer_bytes);
    if (core == NULL || buffer == NULL) {
        dure_mem_free(core);
        dure_mem_free(buffer);
        return DURE_ERR_NO_MEMORY;
    }
    core->world = world;
    core->buffer = buffer;
    dure_list_init(&core->hot);
    dure_list_init(&core->deferred);
    dure_rng_init(&core->entropy, dure_rng_next(&world->rng));
    world->cores[world->core_count++] = core;
    *out_core = &core->base;
    return DURE_OK;
}

static void sim_destroy(dure_iocp_core *base)
{
    sim_core *core = core_of(base);
    DURE_ASSERT(dure_list_is_empty(&core->hot));
    DURE_ASSERT(dure_list_is_empty(&core->deferred));
    dure_sim_world *world = core->world;
    uint32_t index = 0;
    while (world->cores[index] != core) {
        index++;
        DURE_ASSERT(index < world->core_count);
    }
    world->core_count--;
    for (; index < world->core_count; index++) {
        world->cores[index] = world->cores[index + 1];
    }
    dure_mem_free(core->buffer);
    dure_mem_free(core->job_thread);
    dure_mem_free(core);
}

static void sim_poll(dure_iocp_core *base, uint64_t wait_ns)
{
    sim_core *core = core_of(base);
    (void)wait_ns; /* the world moves the clock, between rounds */
    dure_list_move_all(&core->hot, &core->deferred);
}

static bool sim_is_busy(const dure_iocp_core *base)
{
    const sim_core *core = core_view(base);
    return !dure_list_is_empty(&core->hot) || !dure_list_is_empty(&core->deferred);
}

static bool sim_is_busy_now(const dure_iocp_core *base)
{
    return !dure_list_is_empty(&core_view(base)->hot);
}

static void sim_wake(dure_iocp_core *base)
{
    (void)base; /* the world looks at every mailbox before it moves the clock */
}

static uint64_t sim_now_ns(const dure_iocp_core *base)
{
    return core_view(base)->world->now_ns;
}

static uint64_t sim_elapsed_ns(const dure_iocp_core *base)
{
    return core_view(base)->world->now_ns + core_view(base)->suspended_ns;
}

static uint64_t sim_wall_ms(const dure_iocp_core *base)
{
    const dure_sim_world *world = core_view(base)->world;
    return world->config.start_wall_ms + world->now_ns / NS_PER_MS;
}

static dure_err sim_entropy(dure_iocp_core *base, void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        uint64_t bits = dure_rng_next(&core_of(base)->entropy);
        size_t count = len < sizeof bits ? len : sizeof bits;
        for (size_t i = 0; i < count; i++) {
            at[i] = (uint8_t)(bits >> (8 * i)); /* the same on every platform */
        }
        at += count;
        len -= count;
    }
    return DURE_OK;
}

static uint32_t sim_sockets_limit(const dure_iocp_core *base)
{
    (void)base;
    return SOCKETS_MAX / 2;
}

/* ---- sockets ---- */

static void socket_delete(sim_socket *socket)
{
    if (socket != NULL) {
        dure_mem_free(socket->end_item);
        dure_mem_free(socket->spare_end);
        dure_mem_free(socket);
    }
}

static dure_err socket_new(sim_core *core, dure_family family, sim_socket **out_socket)
{
    dure_sim_world *world = core->world;
    sim_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_err err = DURE_ERR_NO_MEMORY;
    socket->end_item = item_new(world, SIM_FIN, 0);
    socket->spare_end = item_new(world, SIM_RESET, 0);
    if (socket->end_item != NULL && socket->spare_end != NULL) {
        err = dure_idtable_add(&world->sockets, socket, &socket->id);
    }
    if (err != DURE_OK) {
        socket_delete(socket);
        return err;
    }
    world->socket_count++;
    socket->world = world;
    socket->base.core = &core->base;
    socket->base.family = family;
    dure_list_init(&socket->backlog);
    dure_list_init(&socket->backlog_node);
    dure_list_init(&socket->inbox);
    dure_list_init(&socket->node);
    *out_socket = socket;
    return DURE_OK;
}

static dure_err sim_open(dure_iocp_core *base, dure_family family, dure_iocp_socket **out_socket)
{
    sim_socket *socket = NULL;
    dure_err err = socket_new(core_of(base), family, &socket);
    if (err == DURE_OK) {
        *out_socket = &socket->base;
    }
    return err;
}

static void inbox_clear(sim_socket *socket)
{
    dure_list *node = NULL;
    while ((node = dure_list_pop_front(&socket->inbox)) != NULL) {
        dure_mem_free(DURE_CONTAINER_OF(node, sim_item, node));
    }
}

/* Sends an end with an item that the socket brought along; only the first of its sort counts. */
static void send_end(sim_socket *socket, sim_item **item, sim_item_kind kind)
{
    if (*item == NULL || socket->peer_id == 0) {
        return;
    }
    (*item)->kind = kind;
    (*item)->from = socket->id;
    (*item)->to = socket->peer_id;
    item_push(socket->world, *item, socket->world->config.latency_ns);
    *item = NULL;
}

/* Takes the socket out of the network; its id is stale from now on. */
static void socket_leave(sim_socket *socket, bool reset)
{
    /* Bytes that nobody will read make the end a reset, as in TCP. */
    if (socket->has_reset) {
        socket->peer_id = 0;
    } else if (reset || !dure_list_is_empty(&socket->inbox)) {
        send_end(socket, &socket->spare_end, SIM_RESET);
    } else if (!socket->has_sent_fin) {
        send_end(socket, &socket->end_item, SIM_FIN);
    }
    inbox_clear(socket);
    dure_list_remove(&socket->node);
    (void)dure_idtable_remove(&socket->world->sockets, socket->id);
    socket->world->socket_count--;
}

/* Connections that were never accepted. */
static void backlog_refuse_first(sim_socket *listener)
{
    dure_list *node = dure_list_pop_front(&listener->backlog);
    DURE_ASSERT(node != NULL);
    sim_socket *socket = DURE_CONTAINER_OF(node, sim_socket, backlog_node);
    listener->backlog_count--;
    socket_leave(socket, true);
    socket_delete(socket);
}

static void sim_close(dure_iocp_socket *base, bool reset)
{
    sim_socket *socket = socket_of(base);
    for (size_t kind = 0; kind < DURE_IOCP_SOCKET_KINDS; kind++) {
        dure_iocp_event *event = dure_iocp_socket_waiting(base, (dure_iocp_kind)kind);
        if (event != NULL) {
            dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
        }
    }
    while (!dure_list_is_empty(&socket->backlog)) {
        backlog_refuse_first(socket);
    }
    socket_leave(socket, reset);
}

/* Until then what arrives makes it hot on its old core, which finds no operation. */
static void sim_adopt(dure_iocp_core *core, dure_iocp_socket *base)
{
    sim_socket *socket = socket_of(base);
    dure_list_remove(&socket->node);
    socket->round = 0;
    dure_list_push_back(&core_of(core)->hot, &socket->node);
}

static void sim_bury(dure_iocp_socket *base)
{
    (void)base;
}

static void sim_free(dure_iocp_socket *base)
{
    socket_delete(socket_of(base));
}

static dure_err sim_bind(dure_iocp_socket *base, const dure_net_address *address)
{
    sim_socket *socket = socket_of(base);
    dure_net_address local = *address;
    if (socket->is_bound) {
        return DURE_ERR_INVALID;
    }
    if (local.port != 0 && world_is_taken(socket->world, &local)) {
        return DURE_ERR_ADDRESS_IN_USE;
    }
    for (uint32_t tries = 0; address->port == 0 && tries < EPHEMERAL_COUNT; tries++) {
        local.port = world_next_port(socket->world);
        if (!world_is_taken(socket->world, &local)) {
            break;
        }
    }
    socket->local = local;
    socket->is_bound = true;
    return DURE_OK;
}

static dure_err sim_listen(dure_iocp_socket *base, uint32_t backlog)
{
    sim_socket *socket = socket_of(base);
    if (!socket->is_bound) {
        return DURE_ERR_INVALID;
    }
    socket->backlog_max = backlog == 0 ? 1 : backlog;
    return DURE_OK;
}

static dure_err sim_local(const dure_iocp_socket *base, dure_net_address *out_address)
{
    const sim_socket *socket = socket_view(base);
    if (socket->local.port == 0) {
        return DURE_ERR_STATE;
    }
    *out_address = socket->local;
    return DURE_OK;
}

static dure_err sim_peer(const dure_iocp_socket *base, dure_net_address *out_address)
{
    const sim_socket *socket = socket_view(base);
    if (base->state != DURE_IOCP_SOCKET_CONNECTED || socket->has_reset) {
        return DURE_ERR_STATE;
    }
    *out_address = socket->peer;
    return DURE_OK;
}

static dure_err sim_set(dure_iocp_socket *base, dure_iocp_option option, int value)
{
    (void)base;
    (void)option; /* nothing is slow, lossy or silent here that an option could change */
    return value < 0 ? DURE_ERR_INVALID : DURE_OK;
}

/* ---- connect ---- */

static dure_err start_connect(sim_socket *socket, dure_iocp_event *event)
{
    dure_sim_world *world = socket->world;
    sim_item *item = item_new(world, SIM_CONNECT, 0);
    if (item == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    if (!socket->is_bound) {
        socket->local.family = event->_address.family;
        socket->local.port = world_next_port(world);
    }
    if (address_is_any(&socket->local)) {
        /* From the loopback to the loopback, else from a host of its own. */
        memcpy(socket->local.ip, event->_address.ip, sizeof socket->local.ip);
    }
    socket->peer = event->_address;
    item->from = socket->id;
    item->to = socket->id;
    item->begun_ns = world->now_ns;
    item_push(world, item, world->config.latency_ns);
    return DURE_OK;
}

/* The connect arrives where it was sent: answers with the same item. */
static void answer_connect(dure_sim_world *world, sim_item *item, sim_item_kind kind,
                           dure_err status, uint64_t delay_ns)
{
    item->kind = kind;
    item->status = status;
    item_push(world, item, delay_ns);
}

/* The listener's end of a new connection, waiting in the backlog. */
static dure_err backlog_add(sim_socket *listener, const sim_socket *dialler, uint64_t *out_id)
{
    sim_socket *socket = NULL;
    dure_err err = socket_new(core_of(listener->base.core), listener->base.family, &socket);
    if (err != DURE_OK) {
        return err;
    }
    socket->base.state = DURE_IOCP_SOCKET_CONNECTED;
    socket->local = dialler->peer;
    socket->peer = dialler->local;
    socket->peer_id = dialler->id;
    dure_list_push_back(&listener->backlog, &socket->backlog_node);
    listener->backlog_count++;
    make_hot(listener);
    *out_id = socket->id;
    return DURE_OK;
}

static void arrive_connect(dure_sim_world *world, sim_item *item)
{
    const sim_socket *dialler = world_find(world, item->from);
    if (dialler == NULL) {
        dure_mem_free(item);
        return;
    }
    const uint64_t latency_ns = world->config.latency_ns;
    const dure_net_address *target = &dialler->peer;
    sim_socket *listener = world_find_listener(world, target);
    const uint64_t waited_ns = world->now_ns - item->begun_ns;
    if (address_is_in(target, 198, 51, 100)) {
        answer_connect(world, item, SIM_CONNECT_FAILED, DURE_ERR_UNREACHABLE, latency_ns);
    } else if (address_is_in(target, 192, 0, 2) || waited_ns >= CONNECT_TIMEOUT_NS) {
        uint64_t left_ns = waited_ns < CONNECT_TIMEOUT_NS ? CONNECT_TIMEOUT_NS - waited_ns : 0;
        answer_connect(world, item, SIM_CONNECT_FAILED, DURE_ERR_TIMED_OUT, left_ns);
    } else if (addresses_equal(target, &dialler->local)) {
        answer_connect(world, item, SIM_CONNECT_FAILED, DURE_ERR_SELF_CONNECT, latency_ns);
    } else if (listener == NULL) {
        answer_connect(world, item, SIM_CONNECT_FAILED, DURE_ERR_CONNECT_REFUSED, latency_ns);
    } else if (listener->backlog_count >= listener->backlog_max ||
               backlog_add(listener, dialler, &item->from) != DURE_OK) {
        item_push(world, item, CONNECT_RETRY_NS);
    } else {
        answer_connect(world, item, SIM_CONNECTED, DURE_OK, latency_ns);
    }
}

/* Tells the sender that there is nobody (any more), with the item that arrived. */
static void answer_reset(dure_sim_world *world, sim_item *item)
{
    uint64_t from = item->from;
    item->from = item->to;
    item->to = from;
    item->kind = SIM_RESET;
    item_push(world, item, world->config.latency_ns);
}

static void arrive_connect_result(dure_sim_world *world, sim_item *item, sim_socket *socket)
{
    dure_iocp_event *event =
        socket != NULL ? dure_iocp_socket_waiting(&socket->base, DURE_IOCP_CONNECT) : NULL;
    if (event == NULL) {
        if (item->kind == SIM_CONNECTED) {
            answer_reset(world, item); /* cancelled or closed meanwhile */
        } else {
            dure_mem_free(item);
        }
        return;
    }
    if (item->kind == SIM_CONNECTED) {
        socket->peer_id = item->from;
    }
    dure_iocp_ready(event, item->status, 0);
    dure_mem_free(item);
}

/* ---- accept ---- */

/* Whether the socket may do one more thing in this round; if not, it is put off to the next. */
static bool take_share(sim_core *core, sim_socket *socket, uint32_t share_max)
{
    if (socket->round != core->base.counters.rounds) {
        socket->round = core->base.counters.rounds;
        socket->share = 0;
    }
    DURE_ASSERT(socket->share <= share_max);
    if (socket->share == share_max) {
        dure_list_remove(&socket->node);
        dure_list_push_back(&core->deferred, &socket->node);
        return false;
    }
    socket->share++;
    return true;
}

static void try_accept(sim_core *core, sim_socket *listener)
{
    dure_iocp_event *event = NULL;
    while (!dure_list_is_empty(&listener->backlog) &&
           (event = dure_iocp_socket_waiting(&listener->base, DURE_IOCP_ACCEPT)) != NULL) {
        if (!take_share(core, listener, DURE_IOCP_ACCEPTS_PER_ROUND)) {
            return;
        }
        if (!dure_iocp_core_has_room(&core->base)) {
            backlog_refuse_first(listener);
            dure_iocp_ready(event, DURE_ERR_TOO_MANY_FILES, 0);
            return;
        }
        dure_list *node = dure_list_pop_front(&listener->backlog);
        DURE_ASSERT(node != NULL);
        sim_socket *socket = DURE_CONTAINER_OF(node, sim_socket, backlog_node);
        listener->backlog_count--;
        dure_iocp_socket_init(&socket->base, &core->base, listener->base.family,
                              DURE_IOCP_SOCKET_CONNECTED);
        event->accepted = &socket->base;
        dure_iocp_deliver(event, DURE_OK, 0, true);
    }
}

/* ---- receive ---- */

/* Opens the peer's window again, in steps of a quarter: then the peer can never stay stuck. */
static void tell_read(sim_socket *socket, size_t bytes)
{
    dure_sim_world *world = socket->world;
    socket->read_untold += bytes;
    if (socket->read_untold < world->config.send_window_bytes / 4) {
        return;
    }
    sim_item *item = item_new(world, SIM_WINDOW, 0);
    if (item == NULL) {
        return; /* told with the next bytes */
    }
    item->from = socket->id;
    item->to = socket->peer_id;
    item->at = socket->read_untold;
    socket->read_untold = 0;
    item_push(world, item, world->config.latency_ns);
}

/* Lends the next bytes of the inbox. */
static void recv_deliver(sim_core *core, sim_socket *socket, dure_iocp_event *event)
{
    sim_item *item = DURE_CONTAINER_OF(socket->inbox.next, sim_item, node);
    size_t left = item->bytes - item->at;
    size_t most = core->base.config.recv_buffer_bytes;
    size_t count = left < most ? left : most;
    DURE_ASSERT(count > 0);
    memcpy(core->buffer, item->data + item->at, count);
    item->at += count;
    if (item->at == item->bytes) {
        dure_list_remove(&item->node);
        dure_mem_free(item);
    }
    tell_read(socket, count);
    event->data = core->buffer;
    event->bytes = count;
    dure_iocp_deliver(event, DURE_OK, 0, true);
}

static void try_recv(sim_core *core, sim_socket *socket)
{
    dure_iocp_event *event = NULL;
    while ((event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_RECV)) != NULL) {
        if (dure_list_is_empty(&socket->inbox)) {
            if (socket->has_reset) {
                dure_iocp_ready(event, DURE_ERR_RESET, 0);
            } else if (socket->has_fin) {
                dure_iocp_ready(event, DURE_ERR_PEER_CLOSED, 0);
            }
            return;
        }
        if (!take_share(core, socket, DURE_IOCP_RECVS_PER_ROUND)) {
            return;
        }
        recv_deliver(core, socket, event);
    }
}

static void try_pre_recv(sim_socket *socket)
{
    dure_iocp_event *event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_PRE_RECV);
    if (event == NULL) {
        return;
    }
    if (!dure_list_is_empty(&socket->inbox) || socket->has_fin) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else if (socket->has_reset) {
        dure_iocp_ready(event, DURE_ERR_RESET, 0);
    }
}

/* ---- send ---- */

/* Puts up to len bytes of the slice at hand on their way, in one piece; 0 when it cannot now. */
static size_t send_piece(sim_socket *socket, const dure_iocp_slice *slice)
{
    dure_sim_world *world = socket->world;
    size_t window = world->config.send_window_bytes;
    size_t room = socket->in_flight < window ? window - socket->in_flight : 0;
    size_t count = slice->len < room ? slice->len : room;
    if (world->config.segment_bytes != 0 && count > world->config.segment_bytes) {
        count = world->config.segment_bytes;
    }
    sim_item *item = count > 0 ? item_new(world, SIM_DATA, count) : NULL;
    if (item == NULL) {
        return 0;
    }
    DURE_ASSERT(count <= slice->len);
    memcpy(item->data, slice->data, count);
    item->from = socket->id;
    item->to = socket->peer_id;
    socket->in_flight += count;
    item_push(world, item, world->config.latency_ns);
    return count;
}

static bool window_is_full(const sim_socket *socket)
{
    return socket->in_flight >= socket->world->config.send_window_bytes;
}

static void try_send(sim_socket *socket)
{
    dure_iocp_event *event = dure_iocp_socket_waiting(&socket->base, DURE_IOCP_SEND);
    if (event == NULL) {
        return;
    }
    if (socket->has_reset || socket->has_sent_fin) {
        dure_iocp_ready(event, DURE_ERR_RESET, 0);
        return;
    }
    bool is_done = dure_iocp_event_advance(event, 0);
    while (!is_done) {
        size_t count = send_piece(socket, &dure_iocp_event_slices(event)[event->_slice_at]);
        if (count == 0) {
            break;
        }
        is_done = dure_iocp_event_advance(event, count);
    }
    if (is_done) {
        dure_iocp_ready(event, DURE_OK, 0);
    } else if (!window_is_full(socket)) {
        dure_iocp_ready(event, DURE_ERR_NO_MEMORY, 0);
    }
}

static void start_disconnect(sim_socket *socket, dure_iocp_event *event)
{
    if (socket->has_reset) {
        dure_iocp_ready(event, DURE_ERR_RESET, 0);
        return;
    }
    if (!socket->has_sent_fin) {
        send_end(socket, &socket->end_item, SIM_FIN);
        socket->has_sent_fin = true;
    }
    dure_iocp_ready(event, DURE_OK, 0);
}

/* ---- operations ---- */

static dure_err sim_start(dure_iocp_socket *base, dure_iocp_event *event)
{
    sim_socket *socket = socket_of(base);
    switch (event->kind) {
    case DURE_IOCP_CONNECT:
        return start_connect(socket, event);
    case DURE_IOCP_SEND:
        try_send(socket);
        return DURE_OK;
    case DURE_IOCP_DISCONNECT:
        start_disconnect(socket, event);
        return DURE_OK;
    case DURE_IOCP_ACCEPT:
    case DURE_IOCP_PRE_RECV:
    case DURE_IOCP_RECV:
        make_hot(socket);
        return DURE_OK;
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        break;
    }
    DURE_UNREACHABLE();
}

static void sim_cancel(dure_iocp_socket *base, dure_iocp_event *event)
{
    (void)base;
    dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
}

static void sim_advance(dure_iocp_core *base)
{
    sim_core *core = core_of(base);
    dure_list batch;
    dure_list *node = NULL;
    dure_list_init(&batch);
    dure_list_move_all(&batch, &core->hot);
    while ((node = dure_list_pop_front(&batch)) != NULL) {
        sim_socket *socket = DURE_CONTAINER_OF(node, sim_socket, node);
        try_send(socket);
        try_pre_recv(socket);
        try_accept(core, socket);
        try_recv(core, socket);
    }
}

/* ---- jobs ---- */

static dure_err sim_job(dure_iocp_core *base, dure_iocp_event *event)
{
    sim_core *core = core_of(base);
    dure_sim_world *world = core->world;
    if (core->job_thread == NULL) {
        core->job_thread = dure_mem_alloc(1);
    }
    if (core->job_thread == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    event->_due_ns = world->now_ns + JOB_NS;
    event->_sequence = world->next_number++;
    dure_list_push_back(&world->jobs, &event->_node);
    return DURE_OK;
}

/* A job that is done is not one of the world's any more, but ready. */
static bool sim_job_cancel(dure_iocp_core *base, dure_iocp_event *event)
{
    const dure_sim_world *world = core_of(base)->world;
    for (const dure_list *at = world->jobs.next; at != &world->jobs; at = at->next) {
        if (at == &event->_node) {
            dure_list_remove(&event->_node);
            return true;
        }
    }
    return false;
}

static dure_iocp_event *first_job(const dure_sim_world *world)
{
    return dure_list_is_empty(&world->jobs)
               ? NULL
               : DURE_CONTAINER_OF(world->jobs.next, dure_iocp_event, _node);
}

static void arrive_job(dure_iocp_event *event)
{
    DURE_ASSERT(event->_active);
    dure_list_remove(&event->_node);
    event->_job_fn(event->_job_ctx);
    dure_iocp_ready(event, DURE_OK, 0);
}

/* ---- what arrives ---- */

static void arrive_data(dure_sim_world *world, sim_item *item, sim_socket *socket)
{
    DURE_ASSERT(item->bytes > 0);
    DURE_ASSERT(item->at == 0);
    if (socket == NULL || socket->has_reset) {
        answer_reset(world, item);
        return;
    }
    dure_list_push_back(&socket->inbox, &item->node);
    make_hot(socket);
}

static void arrive_at_socket(dure_sim_world *world, sim_item *item)
{
    sim_socket *socket = world_find(world, item->to);
    if (item->kind == SIM_DATA) {
        arrive_data(world, item, socket);
        return;
    }
    if (item->kind == SIM_CONNECTED || item->kind == SIM_CONNECT_FAILED) {
        arrive_connect_result(world, item, socket);
        return;
    }
    if (socket != NULL) {
        if (item->kind == SIM_WINDOW) {
            socket->in_flight -= item->at < socket->in_flight ? item->at : socket->in_flight;
        } else if (item->kind == SIM_FIN) {
            socket->has_fin = true;
        } else {
            socket->has_reset = true;
        }
        make_hot(socket);
    }
    dure_mem_free(item);
}

/* When the next item or job arrives; UINT64_MAX when none is on its way. */
static uint64_t next_arrival_ns(const dure_sim_world *world)
{
    const dure_iocp_event *job = first_job(world);
    uint64_t item_ns = world->item_count > 0 ? world->items[0]->due_ns : UINT64_MAX;
    return job != NULL && job->_due_ns < item_ns ? job->_due_ns : item_ns;
}

static bool job_is_before(const dure_iocp_event *job, const sim_item *item)
{
    return job->_due_ns != item->due_ns ? job->_due_ns < item->due_ns
                                        : job->_sequence < item->number;
}

static void arrive_first(dure_sim_world *world)
{
    dure_iocp_event *job = first_job(world);
    if (job != NULL && (world->item_count == 0 || job_is_before(job, world->items[0]))) {
        arrive_job(job);
        return;
    }
    sim_item *item = item_pop(world);
    if (item->kind == SIM_CONNECT) {
        arrive_connect(world, item);
    } else {
        arrive_at_socket(world, item);
    }
}

/* ---- steps ---- */

/* A round of the next core, in turn, that has something to do at this instant. */
static bool step_core(dure_sim_world *world)
{
    for (uint32_t i = 0; i < world->core_count; i++) {
        uint32_t index = (world->next_core + i) % world->core_count;
        sim_core *core = world->cores[index];
        if (dure_iocp_core_is_due(&core->base)) {
            world->next_core = (index + 1) % world->core_count;
            (void)dure_iocp_core_round(&core->base, 0);
            return true;
        }
    }
    return false;
}

/* When the next thing happens; UINT64_MAX when nothing does. */
static uint64_t world_next_ns(const dure_sim_world *world)
{
    uint64_t next_ns = next_arrival_ns(world);
    for (uint32_t i = 0; i < world->core_count; i++) {
        uint64_t timer_ns = dure_timer_heap_next_ns(&world->cores[i]->base.timers);
        next_ns = timer_ns < next_ns ? timer_ns : next_ns;
    }
    return next_ns;
}

/* A step that does not move the clock past limit_ns; false when there is none. */
static bool step_until(dure_sim_world *world, uint64_t limit_ns)
{
    if (next_arrival_ns(world) <= world->now_ns) {
        arrive_first(world);
        return true;
    }
    if (step_core(world)) {
        return true;
    }
    uint64_t next_ns = world_next_ns(world);
    if (next_ns == UINT64_MAX || next_ns > limit_ns) {
        return false;
    }
    DURE_ASSERT(next_ns >= world->now_ns);
    world->now_ns = next_ns;
    return true;
}

bool dure_sim_step(dure_sim_world *world)
{
    return step_until(world, UINT64_MAX);
}

bool dure_sim_run_until(dure_sim_world *world, bool (*is_done)(void *ctx), void *ctx,
                        uint32_t limit_ms)
{
    uint64_t limit_ns = world->now_ns + (uint64_t)limit_ms * NS_PER_MS;
    while (!is_done(ctx)) {
        if (!step_until(world, limit_ns)) {
            return false;
        }
    }
    return true;
}

void dure_sim_run_for(dure_sim_world *world, uint32_t ms)
{
    uint64_t limit_ns = world->now_ns + (uint64_t)ms * NS_PER_MS;
    while (step_until(world, limit_ns)) {
    }
    world->now_ns = limit_ns;
}

static size_t sim_run_once(dure_iocp_core *base, uint32_t max_wait_ms)
{
    dure_sim_world *world = core_of(base)->world;
    uint64_t limit_ns =
        max_wait_ms == UINT32_MAX ? UINT64_MAX : world->now_ns + (uint64_t)max_wait_ms * NS_PER_MS;
    uint64_t delivered = base->counters.delivered;
    while (base->counters.delivered == delivered) {
        if (step_until(world, limit_ns)) {
            continue;
        }
        /* Nobody is left who could ever wake a core that still waits for something. */
        DURE_ASSERT(limit_ns != UINT64_MAX || base->pending == 0);
        world->now_ns = limit_ns != UINT64_MAX ? limit_ns : world->now_ns;
        break;
    }
    return (size_t)(base->counters.delivered - delivered);
}

const dure_iocp_backend dure_iocp_backend_sim = {
    .name = "sim",
    .passes_options_on = true,
    .create = sim_create,
    .destroy = sim_destroy,
    .poll = sim_poll,
    .advance = sim_advance,
    .is_busy = sim_is_busy,
    .is_busy_now = sim_is_busy_now,
    .wake = sim_wake,
    .now_ns = sim_now_ns,
    .elapsed_ns = sim_elapsed_ns,
    .wall_ms = sim_wall_ms,
    .entropy = sim_entropy,
    .sockets_limit = sim_sockets_limit,
    .open = sim_open,
    .close = sim_close,
    .adopt = sim_adopt,
    .bury = sim_bury,
    .free = sim_free,
    .bind = sim_bind,
    .listen = sim_listen,
    .local = sim_local,
    .peer = sim_peer,
    .set = sim_set,
    .start = sim_start,
    .cancel = sim_cancel,
    .job = sim_job,
    .job_cancel = sim_job_cancel,
    .run_once = sim_run_once,
};
