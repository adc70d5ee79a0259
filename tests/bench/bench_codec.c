/* SPDX-License-Identifier: MIT
 *
 * What a message costs: [type, id, method, map of 6 fields] of about 63 bytes, written, walked and
 * read, and the same body in a link frame. One JSON line per result: nanoseconds per message, the
 * best of several rounds, as rounds are disturbed and never sped up.
 */
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "wire/check.h"
#include "wire/cursor.h"
#include "wire/frame.h"
#include "wire/limits.h"
#include "wire/mprpc.h"

#define ROUNDS       7
#define ROUND_PASSES 400000

typedef struct bench {
    dure_buf buf;   /* the message */
    dure_buf frame; /* a link frame around its params */
    dure_buf out;
    uint64_t sum; /* of what was read, so that no read is left out */
} bench;

typedef void (*bench_fn)(bench *state);

static const char *const keys[] = {"x", "y", "hp", "zone", "seq", "n"};

static void write_map(dure_packer *packer)
{
    dure_packer_map(packer, 6);
    for (unsigned i = 0; i < 2; i++) {
        dure_packer_str(packer, (dure_str){keys[i], 1});
        dure_packer_f64(packer, 1.5 + i);
    }
    dure_packer_str(packer, (dure_str){keys[2], 2});
    dure_packer_u64(packer, 100);
    dure_packer_str(packer, (dure_str){keys[3], 4});
    dure_packer_str(packer, (dure_str){"plaza-1", 7});
    dure_packer_str(packer, (dure_str){keys[4], 3});
    dure_packer_u64(packer, 70000);
    dure_packer_str(packer, (dure_str){keys[5], 1});
    dure_packer_bool(packer, true);
}

static void encode_message(bench *state)
{
    dure_buf_clear(&state->out);
    dure_packer packer = dure_packer_of(&state->out);
    dure_packer_array(&packer, 4);
    dure_packer_u64(&packer, 0);
    dure_packer_u64(&packer, 1234);
    dure_packer_str(&packer, (dure_str){"move", 4});
    dure_packer_array(&packer, 1);
    write_map(&packer);
    state->sum += state->out.len + (uint64_t)packer.status;
}

static void walk_message(bench *state)
{
    size_t len = 0;
    state->sum += (uint64_t)dure_check_object(state->buf.data, state->buf.len, &len) + len;
}

static void read_map(bench *state, dure_cursor *cursor)
{
    dure_str str = {NULL, 0};
    uint32_t pairs = 0;
    double real = 0;
    uint64_t number = 0;
    bool truth = false;
    dure_err err = dure_cursor_map(cursor, &pairs);
    for (unsigned i = 0; i < 2 && err == DURE_OK; i++) {
        err = dure_cursor_str(cursor, &str);
        err = err == DURE_OK ? dure_cursor_f64(cursor, &real) : err;
    }
    err = err == DURE_OK ? dure_cursor_str(cursor, &str) : err;
    err = err == DURE_OK ? dure_cursor_u64(cursor, &number) : err;
    err = err == DURE_OK ? dure_cursor_str(cursor, &str) : err;
    err = err == DURE_OK ? dure_cursor_str(cursor, &str) : err;
    err = err == DURE_OK ? dure_cursor_str(cursor, &str) : err;
    err = err == DURE_OK ? dure_cursor_u64(cursor, &number) : err;
    err = err == DURE_OK ? dure_cursor_str(cursor, &str) : err;
    err = err == DURE_OK ? dure_cursor_bool(cursor, &truth) : err;
    state->sum += (uint64_t)err + number + truth + (uint64_t)real + str.len;
}

static void read_message(bench *state)
{
    dure_mprpc_reader reader;
    dure_mprpc_message message;
    size_t len = 0;
    dure_mprpc_reader_init(&reader, DURE_WIRE_CLIENT_MESSAGE_MAX);
    if (dure_mprpc_read(&reader, state->buf.data, state->buf.len, &message, &len) == DURE_OK) {
        dure_cursor cursor = dure_cursor_of(message.params.data + 1, message.params.len - 1);
        read_map(state, &cursor);
    }
}

static void read_fields(bench *state)
{
    dure_cursor cursor = dure_cursor_of(state->buf.data + 11, state->buf.len - 11);
    read_map(state, &cursor);
}

static void encode_frame(bench *state)
{
    dure_buf_clear(&state->out);
    const dure_frame frame = {.kind = DURE_FRAME_REQUEST, .id = 9, .method = 7, .left_ms = 5000};
    size_t start = 0;
    if (dure_frame_begin(&state->out, &frame, &start) == DURE_OK) {
        dure_packer packer = dure_packer_of(&state->out);
        write_map(&packer);
        state->sum += (uint64_t)dure_frame_end(&state->out, start) + state->out.len;
    }
}

static void decode_frame(bench *state)
{
    dure_frame frame;
    size_t len = 0;
    if (dure_frame_decode(state->frame.data, state->frame.len, DURE_WIRE_LINK_FRAME_MAX, &frame,
                          &len) == DURE_OK) {
        state->sum += len + frame.id;
    }
}

static double now_ns(void)
{
    struct timespec now;
    return timespec_get(&now, TIME_UTC) == TIME_UTC ? (double)now.tv_sec * 1e9 + (double)now.tv_nsec
                                                    : 0;
}

static void measure(const char *name, size_t bytes, bench *state, bench_fn fn)
{
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = now_ns();
        for (int i = 0; i < ROUND_PASSES; i++) {
            fn(state);
        }
        const double each = (now_ns() - begin) / ROUND_PASSES;
        best = each < best ? each : best;
    }
    printf("{\"bench\": \"codec\", \"name\": \"%s\", \"bytes\": %zu, \"ns\": %.1f}\n", name, bytes,
           best);
}

int main(void)
{
    bench state = {.sum = 0};
    dure_buf_init(&state.buf, 4096);
    dure_buf_init(&state.frame, 4096);
    dure_buf_init(&state.out, 4096);
    encode_message(&state);
    int status = dure_buf_append(&state.buf, state.out.data, state.out.len) == DURE_OK ? 0 : 1;
    encode_frame(&state);
    status |= dure_buf_append(&state.frame, state.out.data, state.out.len) == DURE_OK ? 0 : 1;
    if (status == 0) {
        measure("message_encode", state.buf.len, &state, encode_message);
        measure("message_walk", state.buf.len, &state, walk_message);
        measure("message_fields", state.buf.len, &state, read_fields);
        measure("message_read", state.buf.len, &state, read_message);
        measure("frame_encode", state.frame.len, &state, encode_frame);
        measure("frame_decode", state.frame.len, &state, decode_frame);
        fprintf(stderr, "sum %llu\n", (unsigned long long)state.sum);
    }
    dure_buf_fini(&state.out);
    dure_buf_fini(&state.frame);
    dure_buf_fini(&state.buf);
    return status;
}
