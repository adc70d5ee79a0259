/* SPDX-License-Identifier: MIT
 *
 * What the files of dummy-client share: its options, and how a request and its answer look on the
 * wire, raw or as MessagePack-RPC.
 */
#ifndef DURE_TOOLS_DUMMY_CLIENT_CLIENT_H
#define DURE_TOOLS_DUMMY_CLIENT_CLIENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/client_service.h"
#include "tools/program.h"
#include "wire/mprpc.h"

#define DUMMY_SIZE_MAX    60000u /* bytes of a payload; a message is at most 64 KiB */
#define DUMMY_MESSAGE_MAX 65536u

typedef struct dummy_options {
    const char *host;
    uint16_t port;
    bool is_raw;
    bool is_load; /* one of the load generator's options was given */
    bool as_json;
    uint32_t sessions;
    uint32_t rate; /* requests a second, all sessions together */
    uint32_t size; /* bytes of a payload */
    uint32_t seconds;
    uint32_t count; /* answers after which the talk ends; 0: never */
} dummy_options;

/* One session's reading of answers. */
typedef struct dummy_reader {
    dure_mprpc_reader mprpc;
    bool is_raw;
    size_t size; /* raw: bytes of an answer */
} dummy_reader;

typedef struct dummy_answer {
    uint32_t id; /* 0 when raw: answers come in order */
    bool is_error;
    dure_slice bytes; /* raw bytes, or the str that came back, or the error as MessagePack */
} dummy_answer;

/* Appends one request with this payload. Fails: as dure_mprpc_write_request. */
DURE_CHECKED dure_err dummy_write(dure_buf *buf, const dummy_options *options, uint32_t id,
                                  dure_str payload);

void dummy_reader_init(dummy_reader *reader, const dummy_options *options, size_t size);

/*
 * The next answer at the start of data; out_len bytes belong to it. A notification is passed over:
 * out_len then covers it too. Fails: MORE, PROTOCOL, or what the stream is.
 */
DURE_CHECKED dure_err dummy_read(dummy_reader *reader, const uint8_t *data, size_t len,
                                 dummy_answer *out_answer, size_t *out_len);

/* The service that both kinds of run use. Fails: as dure_client_service_create. */
DURE_CHECKED dure_err dummy_make_service(const dummy_options *options, dure_iocp_core *core,
                                         const dure_session_handlers *handlers, void *context,
                                         void (*on_closed)(dure_service *service, void *context),
                                         dure_service **out_service);

/* The two kinds of run; they return the exit code. */
int dummy_talk(const dummy_options *options);
int dummy_load(const dummy_options *options);

#endif
