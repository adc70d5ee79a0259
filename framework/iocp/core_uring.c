/* SPDX-License-Identifier: MIT
 *
 * io_uring: operations are entries of a submission queue that goes to the kernel once a round, with
 * the call that waits; so all that a round started costs one system call. Received bytes stand in
 * buffers of a ring that all sockets share, and go back when dispatch returns.
 *
 * What must survive a change:
 * - user_data is a slot's index with its generation, never a pointer.
 * - Every operation is one-shot and is armed again behind those of the other sockets. A multishot
 *   receive drains a loud socket before it looks at the next one, and what it has taken from the
 *   system can no longer be held back by a pause.
 * - A slot that the kernel has is freed by its completion and by nothing else; a descriptor is
 *   closed after the last slot of its socket (close alone cancels nothing).
 * - Only the thread that enabled the ring enters it (SINGLE_ISSUER, DEFER_TASKRUN). That is done
 *   by poll, because a core is made on one thread and run on another. What is started before is
 *   noted in its slot, in any number, and goes to the kernel then.
 * - Sockets are blocking ones: for a non-blocking one the kernel answers EAGAIN instead of waiting.
 *   A listener is none: it is only polled, and accept4 must not wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "iocp/backends.h"
#include "iocp/socket_posix.h"

#define SQ_ENTRIES       1024u
#define CQ_ENTRIES       4096u
#define CQES_PER_ADVANCE 512u
#define RING_RETRY_MS    100 /* between two tries to get a ring where there was no descriptor */
#define BUFFER_GROUP     0
#define SLOTS_FIRST      64u
#define SLOT_NONE        UINT32_MAX
#define SEND_MOST        ((size_t)1 << 30)

/* user_data of what belongs to no operation; a slot's generation is never 0 */
#define DATA_IGNORED 0u
#define DATA_WAKE    1u

typedef enum uring_slot_state {
    SLOT_FREE,
    SLOT_NOTED,  /* to be armed by the thread that polls */
    SLOT_ARMED,  /* the kernel has it, or gets it with the next submission */
    SLOT_HANDLED /* its completion is being dispatched: it is armed again, or freed */
} uring_slot_state;

typedef struct uring_slot {
    dure_iocp_event *event; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
    uring_slot_state state;
    bool is_ending; /* cancelled: is not to be armed again */
} uring_slot;

typedef struct uring_core {
    dure_iocp_core base;
    struct io_uring ring;
    bool has_ring;
    uint64_t thread; /* that enabled the ring; 0: not yet */
    bool has_failed; /* to get a ring for its thread; told in the log once */
    int wake_fd;
    int spare_fd;

    struct io_uring_buf_ring *buffer_ring;
    size_t buffer_ring_bytes;
    uint8_t *buffers;
    uint32_t buffer_bytes;
    uint32_t buffer_count; /* a power of two */

    uring_slot *slots;
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t first_free;
    uint32_t noted_count;
    uint32_t armed_count;
} uring_core;

typedef struct uring_socket {
    dure_iocp_socket base;
    int fd;
    dure_sockaddr address; /* of a connect, until it is submitted */
    struct msghdr message; /* of a send, until it is submitted */
    struct iovec parts[4];
    struct iovec *more_parts; /* for a long send, made by the first one */
} uring_socket;

static uring_core *core_of(dure_iocp_core *core)
{
    return DURE_CONTAINER_OF(core, uring_core, base);
}

/* As core_of, for looking only; base is the first member. */
static const uring_core *core_view(const dure_iocp_core *core)
{
    return (const void *)core;
}

static uring_socket *socket_of(dure_iocp_socket *socket)
{
    return DURE_CONTAINER_OF(socket, uring_socket, base);
}

static const uring_socket *socket_view(const dure_iocp_socket *socket)
{
    return (const void *)socket;
}

/* ---- the ring ---- */

/* DEFER_TASKRUN came with Linux 6.1, after rings of buffers (5.19): who has it has all we use. */
static int ring_init(struct io_uring *ring, uint32_t entries, uint32_t more_flags)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | more_flags,
        .cq_entries = entries == SQ_ENTRIES ? CQ_ENTRIES : 2 * entries,
    };
    return io_uring_queue_init_params(entries, ring, &params);
}

static const char *setup_reason(int error)
{
    switch (error) {
    case EPERM:
    case EACCES:
        return "io_uring_forbidden";
    case ENOSYS:
        return "io_uring_missing";
    case EINVAL:
        return "kernel_too_old";
    case ENOMEM:
        return "io_uring_no_memory";
    default:
        return "io_uring_failed";
    }
}

static dure_err setup_error(int error)
{
    return error == EMFILE || error == ENFILE ? DURE_ERR_TOO_MANY_FILES : DURE_ERR_UNSUPPORTED;
}

static bool probe_opcodes(struct io_uring *ring)
{
    static const int needed[] = {IORING_OP_ACCEPT, IORING_OP_CONNECT,     IORING_OP_RECV,
                                 IORING_OP_SEND,   IORING_OP_SENDMSG,     IORING_OP_POLL_ADD,
                                 IORING_OP_NOP,    IORING_OP_ASYNC_CANCEL};
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool has_all = probe != NULL;
    for (size_t i = 0; has_all && i < DURE_COUNT_OF(needed); i++) {
        has_all = io_uring_opcode_supported(probe, needed[i]) != 0;
    }
    io_uring_free_probe(probe);
    return has_all;
}

static bool probe_no_op(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct io_uring_cqe *cqe = NULL;
    if (sqe == NULL) {
        return false;
    }
    io_uring_prep_nop(sqe);
    sqe->user_data = DATA_WAKE;
    if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_peek_cqe(ring, &cqe) != 0) {
        return false;
    }
    bool is_fine = cqe->res == 0 && cqe->user_data == DATA_WAKE;
    io_uring_cqe_seen(ring, cqe);
    return is_fine;
}

/* On a small ring of its own, as the real one must not be entered by this thread yet. */
static dure_err probe(const char **out_reason)
{
    struct io_uring ring;
    int result = ring_init(&ring, 4, 0);
    if (result < 0) {
        *out_reason = setup_reason(-result);
        return setup_error(-result);
    }
    const char *obstacle = NULL;
    if (!probe_opcodes(&ring)) {
        obstacle = "opcode_missing";
    } else if (!probe_no_op(&ring)) {
        obstacle = "no_op_failed";
    }
    io_uring_queue_exit(&ring);
    if (obstacle != NULL) {
        *out_reason = obstacle;
        return DURE_ERR_UNSUPPORTED;
    }
    return DURE_OK;
}

static void buffer_give(uring_core *core, uint32_t id)
{
    DURE_ASSERT(id < core->buffer_count);
    io_uring_buf_ring_add(core->buffer_ring, core->buffers + (size_t)id * core->buffer_bytes,
                          core->buffer_bytes, (unsigned short)id,
                          io_uring_buf_ring_mask(core->buffer_count), 0);
    io_uring_buf_ring_advance(core->buffer_ring, 1);
}

static int buffers_register(uring_core *core)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)core->buffer_ring,
        .ring_entries = core->buffer_count,
        .bgid = BUFFER_GROUP,
    };
    io_uring_buf_ring_init(core->buffer_ring);
    int result = io_uring_register_buf_ring(&core->ring, &registration, 0);
    for (uint32_t i = 0; result == 0 && i < core->buffer_count; i++) {
        buffer_give(core, i);
    }
    return result;
}

/* The ring, not yet enabled, with its buffers. */
static dure_err ring_open(uring_core *core, const char **out_reason)
{
    int result = ring_init(&core->ring, SQ_ENTRIES, IORING_SETUP_R_DISABLED);
    if (result < 0) {
        *out_reason = setup_reason(-result);
        return setup_error(-result);
    }
    core->has_ring = true;
    result = buffers_register(core);
    if (result < 0) {
        *out_reason = "buffer_ring_missing";
        return DURE_ERR_UNSUPPORTED;
    }
    return DURE_OK;
}

static void ring_close(uring_core *core)
{
    if (core->has_ring) {
        io_uring_queue_exit(&core->ring);
        core->has_ring = false;
        core->thread = 0;
    }
}

/* Enables the ring for the calling thread. */
static void ring_enable(uring_core *core)
{
    /* liburing 2.3 declares io_uring_enable_rings and does not export it. */
    long result =
        syscall(__NR_io_uring_register, core->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    DURE_ASSERT(result == 0);
    core->thread = dure_thread_self();
}

/* Another ring, for another thread. The spare descriptor is for this, too. */
static dure_err ring_open_again(uring_core *core, const char **out_reason)
{
    ring_close(core);
    dure_err err = ring_open(core, out_reason);
    if (err == DURE_ERR_TOO_MANY_FILES && core->spare_fd >= 0) {
        (void)close(core->spare_fd);
        err = ring_open(core, out_reason);
        core->spare_fd = dure_spare_fd_open();
    }
    if (err != DURE_OK) {
        ring_close(core); /* one without buffers */
    }
    return err;
}

static bool ring_is_mine(const uring_core *core)
{
    return core->has_ring && core->thread == dure_thread_self();
}

/* An entry of the submission queue; a full one goes to the kernel first. */
static struct io_uring_sqe *get_sqe(uring_core *core)
{
    DURE_ASSERT(ring_is_mine(core));
    struct io_uring_sqe *sqe = io_uring_get_sqe(&core->ring);
    while (sqe == NULL) {
        core->base.counters.system_calls++;
        int result = io_uring_submit(&core->ring);
        DURE_ASSERT(result >= 0 || result == -EINTR || result == -EBUSY || result == -EAGAIN);
        if (result == -EBUSY) {
            (void)io_uring_get_events(&core->ring); /* flushes what did not fit into the queue */
        }
        sqe = io_uring_get_sqe(&core->ring);
    }
    return sqe;
}

/* While the core waits, a post is a readable descriptor. */
static void arm_wake(uring_core *core)
{
    struct io_uring_sqe *sqe = get_sqe(core);
    io_uring_prep_poll_add(sqe, core->wake_fd, POLLIN);
    sqe->user_data = DATA_WAKE;
}

/* ---- slots ---- */

static uint64_t slot_data(const uring_core *core, uint32_t index)
{
    return (uint64_t)core->slots[index].generation << 32 | index;
}

static dure_err slots_grow(uring_core *core)
{
    uint32_t capacity = core->slot_capacity == 0 ? SLOTS_FIRST : 2 * core->slot_capacity;
    uring_slot *slots = dure_mem_realloc(core->slots, capacity * sizeof *slots);
    if (slots == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    core->slots = slots;
    core->slot_capacity = capacity;
    return DURE_OK;
}

static dure_err slot_take(uring_core *core, dure_iocp_event *event)
{
    uint32_t index = core->first_free;
    if (index != SLOT_NONE) {
        core->first_free = core->slots[index].next_free;
    } else {
        dure_err err = core->slot_count == core->slot_capacity ? slots_grow(core) : DURE_OK;
        if (err != DURE_OK) {
            return err;
        }
        index = core->slot_count++;
        core->slots[index] = (uring_slot){.generation = 1};
    }
    DURE_ASSERT(core->slots[index].state == SLOT_FREE);
    core->slots[index].event = event;
    core->slots[index].is_ending = false;
    event->_backend_index = index;
    return DURE_OK;
}

/* The counter that slots of a state are counted by; NULL for those that nobody counts. */
static uint32_t *slot_counter(uring_core *core, uring_slot_state state)
{
    return state == SLOT_NOTED   ? &core->noted_count
           : state == SLOT_ARMED ? &core->armed_count
                                 : NULL;
}

/* The one place where a slot's state changes; counts what is noted and what the kernel has. */
static void slot_set_state(uring_core *core, uint32_t index, uring_slot_state state)
{
    static const uint8_t next[] = {
        [SLOT_FREE] = 1u << SLOT_NOTED | 1u << SLOT_ARMED,
        [SLOT_NOTED] = 1u << SLOT_ARMED | 1u << SLOT_FREE,
        [SLOT_ARMED] = 1u << SLOT_HANDLED,
        [SLOT_HANDLED] = 1u << SLOT_ARMED | 1u << SLOT_FREE,
    };
    uring_slot *slot = &core->slots[index];
    uint32_t *left = slot_counter(core, slot->state);
    uint32_t *entered = slot_counter(core, state);
    DURE_ASSERT((next[slot->state] & 1u << state) != 0);
    if (left != NULL) {
        DURE_ASSERT(*left > 0);
        (*left)--;
    }
    if (entered != NULL) {
        (*entered)++;
    }
    slot->state = state;
}

static void slot_free(uring_core *core, uint32_t index)
{
    uring_slot *slot = &core->slots[index];
    DURE_ASSERT(slot->event != NULL);
    slot_set_state(core, index, SLOT_FREE);
    slot->event->_backend_index = SLOT_NONE;
    slot->event = NULL;
    slot->generation++;
    if (slot->generation == 0) {
        slot->generation = 1;
    }
    slot->next_free = core->first_free;
    core->first_free = index;
}

/* ---- core ---- */

static void uring_destroy(dure_iocp_core *base)
{
    uring_core *core = core_of(base);
    DURE_ASSERT(core->noted_count == 0);
    DURE_ASSERT(core->armed_count == 0);
    ring_close(core);
    if (core->buffer_ring != NULL) {
        (void)munmap(core->buffer_ring, core->buffer_ring_bytes);
    }
    if (core->wake_fd >= 0) {
        (void)close(core->wake_fd);
    }
    if (core->spare_fd >= 0) {
        (void)close(core->spare_fd);
    }
    dure_mem_free(core->buffers);
    dure_mem_free(core->slots);
    dure_mem_free(core);
}

static dure_err buffers_allocate(uring_core *core, const dure_iocp_core_config *config)
{
    uint32_t count = 1;
    while (count < config->recv_buffer_count) {
        count *= 2;
    }
    core->buffer_count = count;
    core->buffer_bytes = config->recv_buffer_bytes;
    /* The memory of a page is taken when the kernel first writes there. */
    core->buffers = dure_mem_alloc_array(count, config->recv_buffer_bytes);
    if (core->buffers == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    core->buffer_ring_bytes = count * sizeof(struct io_uring_buf);
    void *pages = mmap(NULL, core->buffer_ring_bytes, PROT_READ | PROT_WRITE,
                       MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (pages == MAP_FAILED) {
        return DURE_ERR_NO_MEMORY;
    }
    core->buffer_ring = pages; /* page-aligned, as the kernel wants it */
    return DURE_OK;
}

static dure_err uring_init(uring_core *core, const dure_iocp_core_config *config,
                           const char **out_reason)
{
    core->first_free = SLOT_NONE;
    core->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    core->spare_fd = dure_spare_fd_open();
    if (core->wake_fd < 0) {
        return dure_err_from_system(errno);
    }
    dure_err err = buffers_allocate(core, config);
    if (err == DURE_OK) {
        err = slots_grow(core);
    }
    if (err == DURE_OK) {
        err = ring_open(core, out_reason);
    }
    return err;
}

static dure_err uring_create(const dure_iocp_core_config *config, const char **out_reason,
                             dure_iocp_core **out_core)
{
    dure_err err = probe(out_reason);
    if (err != DURE_OK) {
        return err;
    }
    uring_core *core = dure_mem_alloc(sizeof *core);
    if (core == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    err = uring_init(core, config, out_reason);
    if (err != DURE_OK) {
        uring_destroy(&core->base);
        return err;
    }
    *out_core = &core->base;
    return DURE_OK;
}

static bool uring_is_busy(const dure_iocp_core *base)
{
    const uring_core *core = core_view(base);
    return core->has_ring && io_uring_cq_ready(&core->ring) > 0;
}

static void uring_wake(dure_iocp_core *base)
{
    const uint64_t one = 1;
    ssize_t put = write(core_of(base)->wake_fd, &one, sizeof one);
    (void)put; /* EAGAIN: the counter is full, so the core is awake */
}

/* ---- sockets ---- */

static void set_blocking(int fd, bool is_blocking)
{
    int flags = fcntl(fd, F_GETFL);
    DURE_ASSERT(flags >= 0);
    flags = is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    (void)fcntl(fd, F_SETFL, flags);
}

static dure_err uring_open(dure_iocp_core *core, dure_family family, dure_iocp_socket **out_socket)
{
    int fd = -1;
    (void)core;
    dure_err err = dure_socket_fd_open(family, &fd);
    if (err != DURE_OK) {
        return err;
    }
    uring_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket == NULL) {
        (void)close(fd);
        return DURE_ERR_NO_MEMORY;
    }
    set_blocking(fd, true);
    socket->fd = fd;
    *out_socket = &socket->base;
    return DURE_OK;
}

/*
 * Asks an operation to end. True: the kernel has it and must be told so. One that it has not got
 * yet is over; one that is being dispatched ends behind its handler.
 */
static bool slot_end(uring_core *core, uint32_t index)
{
    uring_slot *slot = &core->slots[index];
    if (slot->state == SLOT_NOTED) {
        dure_iocp_event *event = slot->event;
        slot_free(core, index);
        dure_iocp_ready(event, DURE_ERR_CANCELLED, 0);
        return false;
    }
    DURE_ASSERT(slot->state != SLOT_FREE);
    slot->is_ending = true;
    return slot->state == SLOT_ARMED;
}

static void uring_close(dure_iocp_socket *base, bool reset)
{
    uring_core *core = core_of(base->core);
    uring_socket *socket = socket_of(base);
    bool is_armed = false;
    for (size_t kind = 0; kind < DURE_IOCP_SOCKET_KINDS; kind++) {
        dure_iocp_event *event = dure_iocp_socket_waiting(base, (dure_iocp_kind)kind);
        if (event != NULL && slot_end(core, event->_backend_index)) {
            is_armed = true;
        }
    }
    if (reset) {
        dure_socket_fd_set_abort(socket->fd);
    }
    if (is_armed) {
        struct io_uring_sqe *sqe = get_sqe(core);
        io_uring_prep_cancel_fd(sqe, socket->fd, IORING_ASYNC_CANCEL_ALL);
        sqe->user_data = DATA_IGNORED;
    }
}

static void uring_bury(dure_iocp_socket *base)
{
    uring_socket *socket = socket_of(base);
    DURE_ASSERT(base->pending == 0);
    DURE_ASSERT(socket->fd >= 0);
    (void)close(socket->fd);
    socket->fd = -1;
}

static void uring_free(dure_iocp_socket *base)
{
    uring_socket *socket = socket_of(base);
    dure_mem_free(socket->more_parts);
    dure_mem_free(socket);
}

static dure_err uring_bind(dure_iocp_socket *base, const dure_net_address *address)
{
    return dure_socket_fd_bind(socket_of(base)->fd, address);
}

static dure_err uring_listen(dure_iocp_socket *base, uint32_t backlog)
{
    set_blocking(socket_of(base)->fd, false);
    return dure_socket_fd_listen(socket_of(base)->fd, backlog);
}

static dure_err uring_local(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_fd_local(socket_view(base)->fd, out_address);
}

static dure_err uring_peer(const dure_iocp_socket *base, dure_net_address *out_address)
{
    return dure_socket_fd_peer(socket_view(base)->fd, out_address);
}

static dure_err uring_set(dure_iocp_socket *base, dure_iocp_option option, int value)
{
    return dure_socket_fd_set(socket_of(base)->fd, option, value);
}

static uint64_t uring_acknowledged(const dure_iocp_socket *base)
{
    return dure_socket_fd_acknowledged(((const uring_socket *)(const void *)base)->fd);
}

/* ---- what goes into the queue ---- */

static void prepare_send(uring_socket *socket, dure_iocp_event *event, struct io_uring_sqe *sqe)
{
    const dure_iocp_slice *slices = dure_iocp_event_slices(event);
    struct iovec *parts = event->_more_slices != NULL ? socket->more_parts : socket->parts;
    uint32_t count = event->_slice_count - event->_slice_at;
    const int flags = MSG_NOSIGNAL | MSG_WAITALL;
    if (count == 1) {
        const dure_iocp_slice *slice = &slices[event->_slice_at];
        size_t len = slice->len < SEND_MOST ? slice->len : SEND_MOST;
        io_uring_prep_send(sqe, socket->fd, slice->data, len, flags);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const dure_iocp_slice *slice = &slices[event->_slice_at + i];
        /* iovec is for reading too, hence its pointer is not const. */
        memcpy(&parts[i].iov_base, &slice->data, sizeof parts[i].iov_base);
        parts[i].iov_len = slice->len;
    }
    memset(&socket->message, 0, sizeof socket->message);
    socket->message.msg_iov = parts;
    socket->message.msg_iovlen = count;
    io_uring_prep_sendmsg(sqe, socket->fd, &socket->message, (unsigned)flags);
}

/* Queues the operation of a slot, for the first time or once more. */
static void arm(uring_core *core, uring_socket *socket, dure_iocp_event *event)
{
    struct io_uring_sqe *sqe = get_sqe(core);
    slot_set_state(core, event->_backend_index, SLOT_ARMED);
    switch (event->kind) {
    case DURE_IOCP_CONNECT: {
        socklen_t len = dure_sockaddr_from(&event->_address, &socket->address);
        io_uring_prep_connect(sqe, socket->fd, &socket->address.any, len);
        break;
    }
    case DURE_IOCP_ACCEPT:
        io_uring_prep_poll_add(sqe, socket->fd, POLLIN);
        break;
    case DURE_IOCP_PRE_RECV:
        io_uring_prep_poll_add(sqe, socket->fd, POLLIN | POLLRDHUP);
        break;
    case DURE_IOCP_RECV:
        io_uring_prep_recv(sqe, socket->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
        break;
    case DURE_IOCP_SEND:
        prepare_send(socket, event, sqe);
        break;
    case DURE_IOCP_DISCONNECT:
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        DURE_UNREACHABLE();
    }
    sqe->user_data = slot_data(core, event->_backend_index);
}

static dure_err uring_start(dure_iocp_socket *base, dure_iocp_event *event)
{
    uring_core *core = core_of(base->core);
    uring_socket *socket = socket_of(base);
    if (event->kind == DURE_IOCP_DISCONNECT) {
        base->core->counters.system_calls++;
        int system_error = shutdown(socket->fd, SHUT_WR) == 0 ? 0 : errno;
        dure_iocp_ready(event, dure_connection_error(system_error), system_error);
        return DURE_OK;
    }
    if (event->_more_slices != NULL && event->kind == DURE_IOCP_SEND &&
        socket->more_parts == NULL) {
        socket->more_parts = dure_mem_alloc_array(DURE_IOCP_SLICES_MAX, sizeof(struct iovec));
        if (socket->more_parts == NULL) {
            return DURE_ERR_NO_MEMORY;
        }
    }
    dure_err err = slot_take(core, event);
    if (err == DURE_OK && ring_is_mine(core)) {
        arm(core, socket, event);
    } else if (err == DURE_OK) {
        slot_set_state(core, event->_backend_index, SLOT_NOTED);
    }
    return err;
}

static void uring_cancel(dure_iocp_socket *socket, dure_iocp_event *event)
{
    uring_core *core = core_of(socket->core);
    const uint32_t index = event->_backend_index;
    if (!core->slots[index].is_ending && slot_end(core, index)) {
        struct io_uring_sqe *sqe = get_sqe(core);
        io_uring_prep_cancel64(sqe, slot_data(core, index), 0);
        sqe->user_data = DATA_IGNORED;
    }
}

/* ---- waiting ---- */

/* Hands the kernel what was started before a thread had the ring. */
static void arm_noted(uring_core *core)
{
    for (uint32_t i = 0; core->noted_count > 0; i++) {
        DURE_ASSERT(i < core->slot_count);
        if (core->slots[i].state == SLOT_NOTED) {
            dure_iocp_event *event = core->slots[i].event;
            arm(core, socket_of(event->_socket), event);
        }
    }
}

/*
 * Makes the calling thread the one that enters the ring. A core may pass from one thread to the
 * next while the kernel has nothing of it (made and tried by one, run by another, ended by the
 * first): the ring cannot, so the next thread gets one of its own. False: the system gives none at
 * this moment.
 */
static bool ring_claim(uring_core *core)
{
    const char *reason = NULL;
    if (ring_is_mine(core)) {
        return true;
    }
    DURE_ASSERT(core->armed_count == 0);
    dure_err err = core->has_ring && core->thread == 0 ? DURE_OK : ring_open_again(core, &reason);
    if (err != DURE_OK) {
        if (!core->has_failed) {
            dure_log_write(core->base.config.log, DURE_LOG_ERROR, "iocp", "RING_FAILED",
                           "cause=%s reason=%s", dure_err_name(err), reason);
        }
        core->has_failed = true;
        return false;
    }
    core->has_failed = false;
    ring_enable(core);
    arm_wake(core);
    arm_noted(core);
    return true;
}

/* Without a ring: timers and posts go on, and what is noted waits until there is one. */
static void wait_without_ring(uring_core *core, uint64_t wait_ns)
{
    uint64_t count = 0;
    struct pollfd wake = {.fd = core->wake_fd, .events = POLLIN};
    uint64_t wait_ms = wait_ns / 1000000u + (wait_ns % 1000000u != 0);
    (void)poll(&wake, 1, wait_ms < RING_RETRY_MS ? (int)wait_ms : RING_RETRY_MS);
    ssize_t got = read(core->wake_fd, &count, sizeof count);
    (void)got; /* EAGAIN: nobody woke it */
}

static int submit_and_wait(uring_core *core, uint64_t wait_ns)
{
    struct io_uring_cqe *cqe = NULL;
    if (wait_ns == 0) {
        return io_uring_submit_and_get_events(&core->ring);
    }
    if (wait_ns == UINT64_MAX) {
        return io_uring_submit_and_wait(&core->ring, 1);
    }
    struct __kernel_timespec limit = {.tv_sec = (long long)(wait_ns / 1000000000u),
                                      .tv_nsec = (long long)(wait_ns % 1000000000u)};
    return io_uring_submit_and_wait_timeout(&core->ring, &cqe, 1, &limit, NULL);
}

static void uring_poll(dure_iocp_core *base, uint64_t wait_ns)
{
    uring_core *core = core_of(base);
    base->counters.system_calls++;
    if (!ring_claim(core)) {
        wait_without_ring(core, wait_ns);
        return;
    }
    int result = submit_and_wait(core, wait_ns);
    DURE_ASSERT(result >= 0 || result == -EINTR || result == -ETIME || result == -EBUSY ||
                result == -EAGAIN);
}

/* ---- what comes out of it ---- */

/* The last completion of a slot's event. */
static void finish(uring_core *core, dure_iocp_event *event, dure_err status, int system_error)
{
    slot_free(core, event->_backend_index);
    dure_iocp_deliver(event, status, system_error, false);
}

/* As finish, for an operation that was asked to end. */
static void finish_ending(uring_core *core, dure_iocp_event *event)
{
    finish(core, event, DURE_ERR_CANCELLED, 0);
}

static bool is_ending(const uring_core *core, const dure_iocp_event *event)
{
    return core->slots[event->_backend_index].is_ending;
}

static void on_connect(uring_core *core, uring_socket *socket, dure_iocp_event *event, int result)
{
    int system_error = -result;
    dure_err status = dure_err_from_system(system_error);
    if (result == -ECANCELED || result == -EINTR) {
        status = DURE_ERR_CANCELLED;
    } else if (result == 0 && dure_socket_fd_is_self_connected(socket->fd)) {
        status = DURE_ERR_SELF_CONNECT;
    }
    finish(core, event, status, system_error);
}

/* One accepted connection. Not OK: accepting ends with that. */
static dure_err accept_fd(uring_core *core, const uring_socket *listener, dure_iocp_event *event,
                          int fd)
{
    if (!dure_iocp_core_has_room(&core->base)) {
        dure_socket_fd_set_abort(fd);
        (void)close(fd);
        return DURE_ERR_TOO_MANY_FILES;
    }
    uring_socket *socket = dure_mem_alloc(sizeof *socket);
    if (socket == NULL) {
        (void)close(fd);
        return DURE_ERR_NO_MEMORY;
    }
    socket->fd = fd;
    dure_iocp_socket_init(&socket->base, &core->base, listener->base.family,
                          DURE_IOCP_SOCKET_CONNECTED);
    event->accepted = &socket->base;
    dure_iocp_deliver(event, DURE_OK, 0, true);
    return DURE_OK;
}

/* What a failed accept means for the listener. Not OK: accepting ends with that. */
static dure_err accept_failure(uring_core *core, const uring_socket *listener, int system_error)
{
    if (system_error == EMFILE || system_error == ENFILE) {
        dure_spare_fd_refuse(&core->spare_fd, listener->fd);
        return DURE_ERR_TOO_MANY_FILES;
    }
    return dure_accept_error_is_passing(system_error) ? DURE_OK
                                                      : dure_err_from_system(system_error);
}

/* Somebody is at the door: takes a share of those who are, and looks again in the next round. */
static void on_accept(uring_core *core, const uring_socket *listener, dure_iocp_event *event,
                      int result)
{
    int system_error = result < 0 ? -result : 0;
    dure_err status = dure_err_from_system(system_error);
    for (uint32_t i = 0; i < DURE_IOCP_ACCEPTS_PER_ROUND; i++) {
        if (status != DURE_OK || is_ending(core, event)) {
            break;
        }
        core->base.counters.system_calls++;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        system_error = fd < 0 ? errno : 0;
        if (system_error == EAGAIN) {
            break;
        }
        status = fd >= 0 ? accept_fd(core, listener, event, fd)
                         : accept_failure(core, listener, system_error);
    }
    if (is_ending(core, event)) {
        finish_ending(core, event);
    } else if (status != DURE_OK) {
        finish(core, event, status, system_error);
    } else {
        arm(core, socket_of(event->_socket), event);
    }
}

static void on_pre_recv(uring_core *core, uring_socket *socket, dure_iocp_event *event, int result)
{
    uint8_t byte = 0;
    if (is_ending(core, event) || result < 0) {
        finish_ending(core, event);
        return;
    }
    core->base.counters.system_calls++;
    ssize_t got = recv(socket->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got >= 0) {
        finish(core, event, DURE_OK, 0);
    } else if (errno == EAGAIN || errno == EINTR) {
        arm(core, socket, event);
    } else {
        int system_error = errno;
        finish(core, event, dure_connection_error(system_error), system_error);
    }
}

/* Lends the buffer of a receive, if there still is somebody to lend it to, and takes it back. */
static void recv_lend(uring_core *core, const uring_socket *socket, dure_iocp_event *event,
                      int result, uint32_t flags)
{
    if ((flags & IORING_CQE_F_BUFFER) == 0) {
        return;
    }
    uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
    DURE_ASSERT(id < core->buffer_count);
    DURE_ASSERT(result <= (int)core->buffer_bytes);
    if (result > 0 && socket->base.state != DURE_IOCP_SOCKET_CLOSED) {
        event->data = core->buffers + (size_t)id * core->buffer_bytes;
        event->bytes = (size_t)result;
        dure_iocp_deliver(event, DURE_OK, 0, true);
    }
    buffer_give(core, id);
}

static void on_recv(uring_core *core, uring_socket *socket, dure_iocp_event *event, int result,
                    uint32_t flags)
{
    recv_lend(core, socket, event, result, flags);
    if (socket->base.state == DURE_IOCP_SOCKET_CLOSED || result == -ECANCELED) {
        finish_ending(core, event);
    } else if (result == 0) {
        finish(core, event, DURE_ERR_PEER_CLOSED, 0);
    } else if (result < 0 && result != -ENOBUFS && result != -EINTR && result != -EAGAIN) {
        finish(core, event, dure_connection_error(-result), -result);
    } else if (is_ending(core, event)) {
        finish_ending(core, event);
    } else {
        /* Behind the others. Without a buffer: those of earlier completions are back by now. */
        arm(core, socket, event);
    }
}

static void on_send(uring_core *core, uring_socket *socket, dure_iocp_event *event, int result)
{
    bool is_done = result >= 0 && dure_iocp_event_advance(event, (size_t)result);
    if (is_done) {
        finish(core, event, DURE_OK, 0);
    } else if (is_ending(core, event)) {
        finish_ending(core, event);
    } else if (result >= 0 || result == -EINTR || result == -EAGAIN) {
        arm(core, socket, event);
    } else {
        finish(core, event, dure_connection_error(-result), -result);
    }
}

static void on_wake(uring_core *core)
{
    uint64_t count = 0;
    ssize_t got = read(core->wake_fd, &count, sizeof count);
    (void)got;
    arm_wake(core);
}

static void on_cqe(uring_core *core, uint64_t data, int result, uint32_t flags)
{
    if (data == DATA_IGNORED) {
        return;
    }
    if (data == DATA_WAKE) {
        on_wake(core);
        return;
    }
    uint32_t index = (uint32_t)data;
    DURE_ASSERT(index < core->slot_count);
    DURE_ASSERT(core->slots[index].generation == (uint32_t)(data >> 32));
    DURE_ASSERT((flags & IORING_CQE_F_MORE) == 0);
    slot_set_state(core, index, SLOT_HANDLED);
    dure_iocp_event *event = core->slots[index].event;
    DURE_ASSERT(event->_active);
    DURE_ASSERT(event->_backend_index == index);
    uring_socket *socket = socket_of(event->_socket);
    switch (event->kind) {
    case DURE_IOCP_CONNECT:
        on_connect(core, socket, event, result);
        break;
    case DURE_IOCP_ACCEPT:
        on_accept(core, socket, event, result);
        break;
    case DURE_IOCP_PRE_RECV:
        on_pre_recv(core, socket, event, result);
        break;
    case DURE_IOCP_RECV:
        on_recv(core, socket, event, result, flags);
        break;
    case DURE_IOCP_SEND:
        on_send(core, socket, event, result);
        break;
    case DURE_IOCP_DISCONNECT:
    case DURE_IOCP_TIMER:
    case DURE_IOCP_POST:
    case DURE_IOCP_JOB:
        DURE_UNREACHABLE();
    }
}

static void uring_advance(dure_iocp_core *base)
{
    uring_core *core = core_of(base);
    struct io_uring_cqe *cqe = NULL;
    if (!ring_is_mine(core)) {
        return;
    }
    for (uint32_t i = 0; i < CQES_PER_ADVANCE; i++) {
        if (io_uring_cq_ready(&core->ring) == 0 || io_uring_peek_cqe(&core->ring, &cqe) != 0) {
            break;
        }
        /* Given back first: a handler may need room in the queue. */
        uint64_t data = cqe->user_data;
        int result = cqe->res;
        uint32_t flags = cqe->flags;
        io_uring_cqe_seen(&core->ring, cqe);
        on_cqe(core, data, result, flags);
    }
}

const dure_iocp_backend dure_iocp_backend_uring = {
    .name = "uring",
    .passes_options_on = true,
    .create = uring_create,
    .destroy = uring_destroy,
    .poll = uring_poll,
    .advance = uring_advance,
    .is_busy = uring_is_busy,
    .is_busy_now = uring_is_busy,
    .wake = uring_wake,
    .open = uring_open,
    .close = uring_close,
    .bury = uring_bury,
    .free = uring_free,
    .bind = uring_bind,
    .listen = uring_listen,
    .local = uring_local,
    .peer = uring_peer,
    .set = uring_set,
    .acknowledged = uring_acknowledged,
    .start = uring_start,
    .cancel = uring_cancel,
};
