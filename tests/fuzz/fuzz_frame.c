/* SPDX-License-Identifier: MIT
 *
 * Link frames: what is decoded lies in the bytes and is written back as it was.
 */
#include "base/assert.h"
#include "fuzz.h"
#include "wire/frame.h"
#include "wire/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dure_frame frame;
    dure_buf buf;
    size_t len = 0;
    const dure_err err = dure_frame_decode(data, size, DURE_WIRE_LINK_FRAME_MAX, &frame, &len);
    DURE_ASSERT(err != DURE_ERR_MORE || len > size);
    if (err != DURE_OK) {
        return 0;
    }
    DURE_ASSERT(len <= size);
    DURE_ASSERT(frame.body.data + frame.body.len == data + len);
    dure_buf_init(&buf, DURE_WIRE_LINK_FRAME_MAX);
    DURE_ASSERT(dure_frame_encode(&buf, &frame) == DURE_OK);
    DURE_ASSERT(buf.len == len);
    DURE_ASSERT(memcmp(buf.data, data, len) == 0);
    dure_buf_fini(&buf);
    return 0;
}
