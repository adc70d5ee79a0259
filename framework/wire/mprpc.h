/* SPDX-License-Identifier: MIT
 *
 * MessagePack-RPC as clients speak it (docs/wire.md, section 2): request [0, id, method, params],
 * response [1, id, error, result], notification [2, method, params], with nothing in between. The
 * walk of a stream is resumed where it stopped, so a sender of single bytes costs no more than one
 * of whole messages.
 */
#ifndef DURE_WIRE_MPRPC_H
#define DURE_WIRE_MPRPC_H

#include "wire/check.h"
#include "wire/packer.h"

typedef enum dure_mprpc_kind {
    DURE_MPRPC_REQUEST = 0,
    DURE_MPRPC_RESPONSE = 1,
    DURE_MPRPC_NOTIFICATION = 2
} dure_mprpc_kind;

typedef struct dure_mprpc_message {
    dure_mprpc_kind kind;
    uint32_t id;       /* request, response */
    dure_str method;   /* request, notification */
    dure_slice params; /* request, notification: one MessagePack array */
    dure_slice error;  /* response: one object, nil when it went well */
    dure_slice result; /* response: one object */
} dure_mprpc_message;

typedef struct dure_mprpc_reader {
    dure_check _check;
    size_t _walked;
    size_t _message_max;
} dure_mprpc_reader;

/* For messages of at most message_max bytes. Thread: owner of the reader, here and below. */
void dure_mprpc_reader_init(dure_mprpc_reader *reader, size_t message_max);

/* Another limit from the next message on (after login). */
void dure_mprpc_reader_set_max(dure_mprpc_reader *reader, size_t message_max);

/*
 * Looks for one message at the start of data, which begins with the same unconsumed bytes as at the
 * last call. On OK out_len bytes are to be consumed once out_message, which points into data, is
 * done with. Fails: MORE; TOO_LARGE, TOO_DEEP, TOO_MANY_ELEMENTS, MALFORMED (not MessagePack),
 * PROTOCOL (MessagePack, but no such message). After any but MORE the connection must end.
 */
DURE_CHECKED dure_err dure_mprpc_read(dure_mprpc_reader *reader, const uint8_t *data, size_t len,
                                      dure_mprpc_message *out_message, size_t *out_len);

/* Appends messages; params and result are MessagePack already (an empty result is nil). Fails:
 * FULL, NO_MEMORY. */
DURE_CHECKED dure_err dure_mprpc_write_request(dure_buf *buf, uint32_t id, dure_str method,
                                               dure_slice params);
DURE_CHECKED dure_err dure_mprpc_write_notification(dure_buf *buf, dure_str method,
                                                    dure_slice params);
DURE_CHECKED dure_err dure_mprpc_write_result(dure_buf *buf, uint32_t id, dure_slice result);
/*
 * The error is [code, name, text]; from 1000 on, and on an unlisted code, name must be given. A
 * code that stays inside a process is told as dure_err_code_on_wire has it, under that name.
 */
DURE_CHECKED dure_err dure_mprpc_write_error(dure_buf *buf, uint32_t id, uint32_t code,
                                             dure_str name, dure_str text);
/* The same of an error that came over a link: what it has beyond three elements stays here. */
DURE_CHECKED dure_err dure_mprpc_write_error_raw(dure_buf *buf, uint32_t id, dure_slice error);

#endif
