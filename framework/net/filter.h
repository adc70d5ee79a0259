/* SPDX-License-Identifier: MIT
 *
 * Bytes in, bytes out, between a session's socket and its reader: the place of TLS and WebSocket.
 * The identity filter is a NULL `dure_filter_factory`, and costs nothing.
 *
 * What it cannot do: it is not asked when a session ends, so it says no goodbye (a close_notify, a
 * close frame); what it has queued while the session was connecting (an alert) is dropped where
 * that fails; and it gets no time of its own (pings).
 */
#ifndef DURE_NET_FILTER_H
#define DURE_NET_FILTER_H

#include "base/buf.h"

typedef struct dure_filter dure_filter;

struct dure_filter {
    /*
     * From the socket: appends what the reader shall see to out_plain and what must be answered at
     * once (a handshake, say) to out_wire. Not OK ends the session with that cause.
     */
    dure_err (*on_wire)(dure_filter *filter, const uint8_t *data, size_t len, dure_buf *out_plain,
                        dure_buf *out_wire);
    /* From the sender: appends what goes to the socket. */
    dure_err (*on_plain)(dure_filter *filter, const uint8_t *data, size_t len, dure_buf *out_wire);
    /* The connection stands; may greet. The session counts as connected once is_ready. */
    dure_err (*on_open)(dure_filter *filter, dure_buf *out_wire);
    int (*is_ready)(const dure_filter *filter);
    void (*destroy)(dure_filter *filter);
};

typedef struct dure_filter_factory {
    dure_err (*create)(void *ctx, int is_server, dure_filter **out_filter);
    void *ctx;
} dure_filter_factory;

#endif
