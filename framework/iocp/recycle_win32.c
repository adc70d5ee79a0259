/* SPDX-License-Identifier: MIT
 *
 * Recycled sockets: the way into the pools and out of them. probe_win32.c finds out whether the
 * platform does its part.
 */
#include "iocp/recycle_win32.h"

#include <string.h>

#include "base/mem.h"
#include "iocp/probe_win32.h"

#define NS_PER_MS UINT64_C(1000000)

/* One DisconnectEx. */
typedef struct leaver {
    dure_op op;
    SOCKET handle; /* INVALID_SOCKET: given up */
    dure_socket_sort sort;
    dure_family family;
    uint64_t due_ns;
    dure_list node;
} leaver;

static dure_socket_pool *pool_of(dure_recycler *recycler, dure_socket_sort sort, dure_family family)
{
    return &recycler->pools[sort][family == DURE_FAMILY_IPV4 ? 0 : 1];
}

void dure_recycler_init(dure_recycler *recycler, dure_recycling choice, HANDLE port,
                        const dure_winsock *winsock, dure_iocp_counters *counters)
{
    memset(recycler, 0, sizeof *recycler);
    recycler->winsock = winsock;
    recycler->counters = counters;
    dure_list_init(&recycler->leaving);
    if (choice == DURE_RECYCLING_PROBE) {
        recycler->is_on[DURE_SOCKET_ACCEPTED] = dure_probe_accepted(port, winsock);
        recycler->is_on[DURE_SOCKET_CONNECTED] = dure_probe_connected(port, winsock);
    } else {
        recycler->is_on[DURE_SOCKET_ACCEPTED] = choice == DURE_RECYCLING_ON;
        recycler->is_on[DURE_SOCKET_CONNECTED] = choice == DURE_RECYCLING_ON;
    }
}

static void leaver_give_up(dure_recycler *recycler, leaver *self)
{
    if (self->handle != INVALID_SOCKET) {
        SOCKET handle = self->handle;
        self->handle = INVALID_SOCKET;
        recycler->counters->sockets_refused++;
        (void)recycler->winsock->cancel_io_ex((HANDLE)handle, &self->op.overlapped);
        (void)recycler->winsock->close_socket(handle);
    }
}

void dure_recycler_close(dure_recycler *recycler)
{
    for (size_t sort = 0; sort < DURE_SOCKET_SORTS; sort++) {
        for (size_t family = 0; family < DURE_SOCKET_FAMILIES; family++) {
            dure_socket_pool *pool = &recycler->pools[sort][family];
            while (pool->count > 0) {
                (void)recycler->winsock->close_socket(pool->handles[--pool->count]);
            }
        }
        recycler->is_on[sort] = false;
    }
    dure_recycler_expire(recycler, UINT64_MAX);
}

SOCKET dure_recycler_take(dure_recycler *recycler, dure_socket_sort sort, dure_family family)
{
    dure_socket_pool *pool = pool_of(recycler, sort, family);
    return pool->count > 0 ? pool->handles[--pool->count] : INVALID_SOCKET;
}

void dure_recycler_put_back(dure_recycler *recycler, dure_socket_sort sort, dure_family family,
                            SOCKET handle)
{
    dure_socket_pool *pool = pool_of(recycler, sort, family);
    if (pool->count < DURE_POOL_MAX && recycler->is_on[sort]) {
        pool->handles[pool->count++] = handle;
    } else {
        (void)recycler->winsock->close_socket(handle);
    }
}

bool dure_recycler_give(dure_recycler *recycler, dure_socket_sort sort, dure_family family,
                        SOCKET handle, uint64_t now_ns)
{
    if (!recycler->is_on[sort] ||
        pool_of(recycler, sort, family)->count + recycler->leaving_count >= DURE_POOL_MAX) {
        return false;
    }
    leaver *self = dure_mem_alloc(sizeof *self);
    if (self == NULL) {
        return false;
    }
    self->handle = handle;
    self->sort = sort;
    self->family = family;
    self->due_ns = now_ns + DURE_RECYCLE_DEADLINE_MS * NS_PER_MS;
    dure_op_begin(&self->op, DURE_OP_RECYCLE, self);
    if (!recycler->winsock->disconnect_ex(handle, &self->op.overlapped, TF_REUSE_SOCKET, 0) &&
        WSAGetLastError() != ERROR_IO_PENDING) {
        recycler->counters->sockets_refused++;
        dure_mem_free(self);
        return false;
    }
    dure_list_push_back(&recycler->leaving, &self->node);
    recycler->leaving_count++;
    return true;
}

void dure_recycler_completed(dure_recycler *recycler, dure_op *op)
{
    leaver *self = op->owner;
    DURE_ASSERT(op->kind == DURE_OP_RECYCLE);
    DURE_ASSERT(recycler->leaving_count > 0);
    dure_list_remove(&self->node);
    recycler->leaving_count--;
    if (self->handle != INVALID_SOCKET) {
        if (dure_winsock_result(recycler->winsock, self->handle, &op->overlapped) == 0) {
            dure_recycler_put_back(recycler, self->sort, self->family, self->handle);
        } else {
            leaver_give_up(recycler, self);
        }
    }
    dure_mem_free(self);
}

/* The oldest that was not given up yet. */
static leaver *first_due(const dure_recycler *recycler)
{
    for (dure_list *node = recycler->leaving.next; node != &recycler->leaving; node = node->next) {
        leaver *self = DURE_CONTAINER_OF(node, leaver, node);
        if (self->handle != INVALID_SOCKET) {
            return self;
        }
    }
    return NULL;
}

uint64_t dure_recycler_due_ns(const dure_recycler *recycler)
{
    const leaver *first = first_due(recycler);
    return first != NULL ? first->due_ns : UINT64_MAX;
}

void dure_recycler_expire(dure_recycler *recycler, uint64_t now_ns)
{
    leaver *first = NULL;
    while ((first = first_due(recycler)) != NULL && first->due_ns <= now_ns) {
        leaver_give_up(recycler, first);
    }
}
