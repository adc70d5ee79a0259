/* SPDX-License-Identifier: MIT
 *
 * The client protocol: a stream of messages read at once and byte by byte gives the same ones.
 */
#include "base/assert.h"
#include "fuzz.h"
#include "wire/mprpc.h"

#define MESSAGE_MAX 4096

/* All messages of the bytes, of which `step` more are there each time; how the stream ended. */
static dure_err read_stream(const uint8_t *data, size_t size, size_t step, size_t *out_count)
{
    dure_mprpc_reader reader;
    dure_mprpc_reader_init(&reader, MESSAGE_MAX);
    size_t at = 0;
    size_t there = 0;
    *out_count = 0;
    for (;;) {
        dure_mprpc_message message;
        size_t len = 0;
        const dure_err err = dure_mprpc_read(&reader, data + at, there - at, &message, &len);
        if (err == DURE_OK) {
            DURE_ASSERT(len <= there - at);
            DURE_ASSERT(len <= MESSAGE_MAX);
            at += len;
            *out_count += 1;
        } else if (err != DURE_ERR_MORE || there == size) {
            return err;
        } else {
            there = size - there < step ? size : there + step;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at_once = 0;
    size_t in_pieces = 0;
    const dure_err err = read_stream(data, size, size + 1, &at_once);
    DURE_ASSERT(read_stream(data, size, 1, &in_pieces) == err);
    DURE_ASSERT(at_once == in_pieces);
    return 0;
}
