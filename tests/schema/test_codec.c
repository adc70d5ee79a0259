/* SPDX-License-Identifier: MIT
 *
 * What the generator makes, at work: messages go there and back, old and new peers understand each
 * other, a wrong parameter is named, and an answer that cannot be read ends the call as INTERNAL.
 * The functions of cluster/rpc.h that generated code uses are a recording double here.
 */
#include "sample.role.h"

#include <stdarg.h>

#include "sample_round_trips.h"
#include "support/check.h"
#include "support/round_trip.h"

/* ---- the double ---- */

struct dure_request {
    uint64_t room[64];
    dure_buf answer;
    dure_packer packer;
    char failed[DURE_MISTAKE_TEXT_BYTES];
    dure_err err;
};

struct dure_rpc {
    dure_buf body;
    dure_packer packer;
    uint32_t method;
    dure_call_fn on_done;
    dure_typed_fn typed_fn;
    void *ctx;
};

void *dure_request_room(dure_request *request, size_t size)
{
    memset(request->room, 0, sizeof request->room);
    return size <= sizeof request->room ? request->room : NULL;
}

void dure_request_fail(dure_request *request, dure_err err, const char *text, ...)
{
    va_list args;
    va_start(args, text);
    request->err = err;
    (void)vsnprintf(request->failed, sizeof request->failed, text, args);
    va_end(args);
}

dure_packer *dure_request_reply_begin(dure_request *request)
{
    dure_buf_clear(&request->answer);
    request->packer = dure_packer_of(&request->answer);
    return &request->packer;
}

void dure_request_reply_end(dure_request *request)
{
    request->err = request->packer.status;
}

dure_packer *dure_rpc_call_begin(dure_rpc *rpc)
{
    dure_buf_clear(&rpc->body);
    rpc->packer = dure_packer_of(&rpc->body);
    return &rpc->packer;
}

dure_err dure_rpc_call_send(dure_rpc *rpc, const dure_target *target, uint32_t method,
                            const dure_call_options *options, dure_call_fn on_done,
                            dure_typed_fn typed_fn, void *ctx, dure_call_id *out_call)
{
    (void)target;
    (void)options;
    rpc->method = method;
    rpc->on_done = on_done;
    rpc->typed_fn = typed_fn;
    rpc->ctx = ctx;
    *out_call = 1;
    return rpc->packer.status;
}

dure_err dure_rpc_notify_send(dure_rpc *rpc, const dure_target *target, uint32_t method,
                              uint64_t subject)
{
    (void)target;
    (void)subject;
    rpc->method = method;
    return rpc->packer.status;
}

dure_typed_fn dure_outcome_typed(const dure_outcome *outcome)
{
    return outcome->_typed_fn;
}

/* ---- handlers ---- */

static void on_greet(dure_request *request, const greet_params *in, void *state)
{
    (void)state;
    greet_result out = {.text = in->name};
    sample_reply_greet(request, &out);
}

static void on_give(dure_request *request, const give_params *in, void *state)
{
    *(bool *)state = in->has_key;
    give_result out = {.room = in->to, .x = (double)in->count, .level = 1};
    sample_reply_give(request, &out);
}

static void on_count(dure_request *request, const count_params *in, void *state)
{
    (void)in;
    (void)state;
    sample_reply_count(request, 42);
}

static void on_tell(dure_request *request, const tell_params *in, void *state)
{
    (void)in;
    (void)state;
    sample_reply_tell(request);
}

static void on_range(dure_request *request, const range_params *in, void *state)
{
    (void)in;
    (void)state;
    sample_reply_range(request);
}

static void on_push(dure_request *request, const push_params *in, void *state)
{
    (void)request;
    (void)in;
    (void)state;
}

static void on_need(dure_request *request, const need_params *in, void *state)
{
    (void)request;
    (void)in;
    (void)state;
}

static void on_must(dure_request *request, const must_params *in, void *state)
{
    (void)request;
    (void)in;
    (void)state;
}

/* ---- helpers ---- */

typedef struct fixture {
    dure_request request;
    dure_buf buf;
    dure_packer packer;
    bool state;
} fixture;

static void fixture_begin(fixture *f)
{
    *f = (fixture){0};
    dure_buf_init(&f->request.answer, 65536);
    dure_buf_init(&f->buf, 65536);
    f->packer = dure_packer_of(&f->buf);
}

static void fixture_end(fixture *f)
{
    dure_buf_fini(&f->request.answer);
    dure_buf_fini(&f->buf);
}

static dure_cursor fixture_cursor(const fixture *f)
{
    return dure_cursor_of(f->buf.data, f->buf.len);
}

/* Serves what was packed and empties the packer for the next one. */
static const char *ask(fixture *f, uint32_t number)
{
    const dure_method *method = sample_methods;
    while (method->serve != NULL && method->number != number) {
        method++;
    }
    DURE_REQUIRE(method->serve != NULL);
    f->request.failed[0] = '\0';
    f->request.err = DURE_OK;
    method->serve(&f->request, (dure_slice){f->buf.data, f->buf.len}, &f->state);
    dure_buf_clear(&f->buf);
    return f->request.failed;
}

static const char *ask_name(fixture *f, const char *name)
{
    dure_packer_array(&f->packer, 1);
    dure_packer_cstr(&f->packer, name);
    return ask(f, SAMPLE_METHOD_GREET);
}

static const char *ask_range(fixture *f, int64_t low, double x, uint32_t names)
{
    dure_packer_array(&f->packer, 3);
    dure_packer_i64(&f->packer, low);
    dure_packer_f64(&f->packer, x);
    dure_packer_array(&f->packer, names);
    for (uint32_t i = 0; i < names; i++) {
        dure_packer_cstr(&f->packer, "a");
    }
    return ask(f, SAMPLE_METHOD_RANGE);
}

/* ---- what a client reads ---- */

static void a_wrong_parameter_is_named(void)
{
    fixture f;
    fixture_begin(&f);
    DURE_CHECK_STR(ask_name(&f, "ann"), "");
    DURE_CHECK_STR(ask_name(&f, "abcdefghijklmnopqrstuvwxyzabcde"),
                   "name: at most 24 characters, got 31");
    DURE_CHECK_EQ(f.request.err, DURE_ERR_BAD_REQUEST);
    DURE_CHECK_STR(ask_name(&f, ""), "name: at least 1 character, got 0");
    DURE_CHECK_STR(ask_name(&f, "a b"), "name: U+0020 is white space");
    DURE_CHECK_STR(ask_name(&f, "a\xe3\x80\x80"
                                "b"),
                   "name: U+3000 is white space");
    DURE_CHECK_STR(ask_name(&f, "a\xff"), "name: not valid UTF-8");
    dure_packer_array(&f.packer, 1);
    dure_packer_u64(&f.packer, 3);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GREET), "name: expected a string, got an integer");
    fixture_end(&f);
}

static void length_is_counted_in_characters(void)
{
    fixture f;
    fixture_begin(&f);
    /* 24 times U+B450, 72 bytes. */
    char name[73] = {0};
    for (size_t i = 0; i < 24; i++) {
        memcpy(name + 3 * i, "\xeb\x91\x90", 3);
    }
    DURE_CHECK_STR(ask_name(&f, name), "");
    fixture_end(&f);
}

static void the_number_of_parameters_is_told(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_array(&f.packer, 0);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GREET), "expected 1 parameter, got 0");
    dure_packer_array(&f.packer, 1);
    dure_packer_nil(&f.packer);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_COUNT), "expected no parameters, got 1");
    dure_packer_array(&f.packer, 1);
    dure_packer_nil(&f.packer);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "expected 2 to 3 parameters, got 1");
    fixture_end(&f);
}

static void numbers_keep_their_limits(void)
{
    fixture f;
    fixture_begin(&f);
    DURE_CHECK_STR(ask_range(&f, -3, 1.5, 2), "");
    DURE_CHECK_STR(ask_range(&f, -4, 1, 0), "low: at least -3, got -4");
    DURE_CHECK_STR(ask_range(&f, 4, 1, 0), "low: at most 3, got 4");
    DURE_CHECK_STR(ask_range(&f, INT64_MAX, 1, 0), "low: at most 3, got 9223372036854775807");
    DURE_CHECK_STR(ask_range(&f, 0, 2.5, 0), "x: at most 1.5, got 2.5");
    DURE_CHECK_STR(ask_range(&f, 0, 1, 3), "names: at most 2 elements, got 3");
    fixture_end(&f);
}

static void an_optional_parameter_may_be_missing_or_nil(void)
{
    fixture f;
    fixture_begin(&f);
    give_params in = {.to = dure_str_of("bo"), .count = 2};
    sample_encode_give_params(&f.packer, &in);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "");
    DURE_CHECK(!f.state);
    dure_packer_array(&f.packer, 2);
    dure_packer_cstr(&f.packer, "bo");
    dure_packer_u64(&f.packer, 2);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "");
    DURE_CHECK(!f.state);
    in.has_key = true;
    in.key = dure_str_of("k1");
    sample_encode_give_params(&f.packer, &in);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "");
    DURE_CHECK(f.state);
    in.count = 0;
    sample_encode_give_params(&f.packer, &in);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "count: at least 1, got 0");
    fixture_end(&f);
}

static void a_client_gets_records_as_maps(void)
{
    fixture f;
    fixture_begin(&f);
    (void)ask_name(&f, "ann");
    DURE_CHECK_BYTES(f.request.answer.data, f.request.answer.len,
                     "\x81\xa4text\xa3"
                     "ann",
                     (size_t)10);
    moved_event event = {.who = dure_str_of("a"), .place = {.room = dure_str_of("r"), .x = 3}};
    sample_encode_moved_event(&f.packer, &event);
    DURE_CHECK_BYTES(f.buf.data, f.buf.len,
                     "\x92\xa1"
                     "a\x83\xa4room\xa1r\xa1x\x03\xa5level\x00",
                     (size_t)21);
    fixture_end(&f);
}

/* ---- what nodes read ---- */

static void a_message_goes_there_and_back(void)
{
    fixture f;
    fixture_begin(&f);
    const inner inners[] = {{.id = 1, .tag = dure_str_of("x")}, {.id = 2, .tag = dure_str_of("y")}};
    const sample_u64_map_entry bag[] = {{dure_str_of("gold"), 100}};
    tell_params in = {.inner = {.id = 9, .tag = dure_str_of("z")},
                      .inners = {.items = inners, .count = 2},
                      .bag = {.items = bag, .count = 1}};
    sample_encode_tell_params(&f.packer, &in);
    dure_cursor cursor = fixture_cursor(&f);
    tell_params out;
    DURE_REQUIRE_OK(sample_decode_tell_params(&cursor, &out, NULL));
    DURE_CHECK_EQ(dure_cursor_left(&cursor), 0);
    DURE_CHECK_EQ(out.inner.id, 9);
    DURE_CHECK_EQ(out.inners.count, 2);
    DURE_CHECK_BYTES(out.raw.data, out.raw.len, "\xc0", (size_t)1);
    inner item;
    size_t at = 0;
    for (uint64_t id = 1; sample_inner_list_next(&out.inners, &at, &item); id++) {
        DURE_CHECK_EQ(item.id, id);
    }
    sample_u64_map_entry entry;
    at = 0;
    DURE_CHECK(sample_u64_map_next(&out.bag, &at, &entry));
    DURE_CHECK(dure_str_equal(entry.key, dure_str_of("gold")) && entry.value == 100);
    DURE_CHECK(!sample_u64_map_next(&out.bag, &at, &entry));
    /* What was decoded may be sent on. */
    dure_buf again;
    dure_buf_init(&again, 65536);
    dure_packer packer = dure_packer_of(&again);
    sample_encode_tell_params(&packer, &out);
    DURE_CHECK_BYTES(again.data, again.len, f.buf.data, f.buf.len);
    dure_buf_fini(&again);
    fixture_end(&f);
}

static void an_older_peer_leaves_fields_out(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_array(&f.packer, 1);
    dure_packer_array(&f.packer, 1);
    dure_packer_u64(&f.packer, 5);
    dure_cursor cursor = fixture_cursor(&f);
    tell_params out;
    DURE_REQUIRE_OK(sample_decode_tell_params(&cursor, &out, NULL));
    DURE_CHECK_EQ(out.inner.id, 5);
    DURE_CHECK(dure_str_equal(out.inner.tag, dure_str_of("none")));
    DURE_CHECK_EQ(out.inners.count, 0);
    fixture_end(&f);
}

/* The first `count` parameters of need; what is wrong with them. */
static const char *need_of(fixture *f, uint32_t count)
{
    dure_packer_array(&f->packer, count);
    if (count > 0) {
        dure_packer_array(&f->packer, 1);
        dure_packer_array(&f->packer, 1);
        dure_packer_u64(&f->packer, 1);
    }
    if (count > 1) {
        dure_packer_i64(&f->packer, 2);
    }
    if (count > 2) {
        dure_packer_array(&f->packer, 1);
        dure_packer_u64(&f->packer, 1);
    }
    if (count > 3) {
        dure_packer_bin(&f->packer, (dure_slice){(const uint8_t *)"b", 1});
    }
    if (count > 4) {
        dure_packer_f64(&f->packer, -2);
    }
    return ask(f, SAMPLE_METHOD_NEED);
}

static void what_is_missing_is_held_to_its_limits(void)
{
    fixture f;
    fixture_begin(&f);
    DURE_CHECK_STR(need_of(&f, 0), "deep: is missing");
    DURE_CHECK_EQ(f.request.err, DURE_ERR_BAD_REQUEST);
    DURE_CHECK_STR(need_of(&f, 1), "low: is missing");
    DURE_CHECK_STR(need_of(&f, 2), "ids: is missing");
    DURE_CHECK_STR(need_of(&f, 3), "data: is missing");
    DURE_CHECK_STR(need_of(&f, 4), "x: is missing");
    DURE_CHECK_STR(need_of(&f, 5), "");
    dure_packer_array(&f.packer, 1);
    dure_packer_array(&f.packer, 1);
    dure_packer_array(&f.packer, 0);
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_NEED), "deep.must.id: is missing");
    fixture_end(&f);
}

static void what_is_missing_in_a_map_is_held_to_its_limits(void)
{
    fixture f;
    dure_mistake mistake;
    char text[DURE_MISTAKE_TEXT_BYTES];
    must out;
    fixture_begin(&f);
    dure_packer_map(&f.packer, 1);
    dure_packer_cstr(&f.packer, "tag");
    dure_packer_cstr(&f.packer, "t");
    dure_cursor cursor = fixture_cursor(&f);
    DURE_CHECK_ERR(sample_decode_must(&cursor, &out, &mistake), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_STR(dure_mistake_print(&mistake, text, sizeof text), "id: is missing");
    dure_buf_clear(&f.buf);
    dure_packer_map(&f.packer, 1);
    dure_packer_cstr(&f.packer, "id");
    dure_packer_u64(&f.packer, 1);
    cursor = fixture_cursor(&f);
    DURE_CHECK_OK(sample_decode_must(&cursor, &out, &mistake));
    DURE_CHECK(dure_str_equal(out.tag, dure_str_of("none")));
    fixture_end(&f);
}

/* What points nowhere is undefined behaviour in the first memcpy. */
static void missing_text_and_bytes_point_somewhere(void)
{
    static const uint8_t nothing[] = {0x90};
    dure_cursor cursor = dure_cursor_of(nothing, sizeof nothing);
    need_result out;
    memset(&out, 0, sizeof out);
    DURE_CHECK_OK(sample_decode_need_result(&cursor, &out, NULL));
    DURE_CHECK(out.text.data != NULL && out.text.len == 0);
    DURE_CHECK(out.data.data != NULL && out.data.len == 0);
    DURE_CHECK(out.raw.data != NULL && out.raw.len == 0);
    DURE_CHECK(out.inner.tag.data != NULL);
    DURE_CHECK(dure_str_equal(out.inner.tag, dure_str_of("none")));
    static const uint8_t two[] = {0x92, 0xa1, 'b', 0x01};
    cursor = dure_cursor_of(two, sizeof two);
    give_params give;
    DURE_CHECK_OK(sample_decode_give_params(&cursor, &give, NULL));
    DURE_CHECK(!give.has_key && give.key.data != NULL);
}

/* ---- every decoder ---- */

SAMPLE_ROUND_TRIPS(ROUND_TRIP_FUNCTIONS)

static void what_was_decoded_can_be_sent_on(void)
{
    static const round_trip rows[] = {SAMPLE_ROUND_TRIPS(ROUND_TRIP_ROW)};
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        DURE_CHECK(round_trip_row(&rows[i]) > 0);
    }
}

static void a_newer_peer_sends_fields_that_are_skipped(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_array(&f.packer, 4);
    dure_packer_u64(&f.packer, 5);
    dure_packer_cstr(&f.packer, "t");
    dure_packer_array(&f.packer, 1);
    dure_packer_nil(&f.packer);
    dure_packer_u64(&f.packer, 6);
    dure_cursor cursor = fixture_cursor(&f);
    inner out;
    DURE_CHECK_OK(sample_decode_inner(&cursor, &out, NULL));
    DURE_CHECK_EQ(out.id, 5);
    DURE_CHECK_EQ(dure_cursor_left(&cursor), 0);
    fixture_end(&f);
}

static void a_record_of_nodes_is_no_map(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_map(&f.packer, 1);
    dure_packer_u64(&f.packer, 5);
    dure_packer_cstr(&f.packer, "t");
    dure_cursor cursor = fixture_cursor(&f);
    inner out;
    dure_mistake mistake;
    char text[DURE_MISTAKE_TEXT_BYTES];
    DURE_CHECK_ERR(sample_decode_inner(&cursor, &out, &mistake), DURE_ERR_BAD_REQUEST);
    DURE_CHECK_STR(dure_mistake_print(&mistake, text, sizeof text), "expected an array, got a map");
    fixture_end(&f);
}

static void a_record_of_clients_is_read_in_both_forms(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_map(&f.packer, 2);
    dure_packer_cstr(&f.packer, "later");
    dure_packer_array(&f.packer, 0);
    dure_packer_cstr(&f.packer, "x");
    dure_packer_u64(&f.packer, 3);
    dure_cursor cursor = fixture_cursor(&f);
    place out;
    DURE_CHECK_OK(sample_decode_place(&cursor, &out, NULL));
    DURE_CHECK(out.x == 3 && out.level == 7);
    dure_buf_clear(&f.buf);
    dure_packer_array(&f.packer, 2);
    dure_packer_cstr(&f.packer, "r");
    dure_packer_f64(&f.packer, 0.5);
    cursor = fixture_cursor(&f);
    DURE_CHECK_OK(sample_decode_place(&cursor, &out, NULL));
    DURE_CHECK(out.x == 0.5 && out.level == 7);
    fixture_end(&f);
}

static void a_mistake_inside_tells_its_path(void)
{
    fixture f;
    fixture_begin(&f);
    dure_packer_array(&f.packer, 2);
    dure_packer_array(&f.packer, 0);
    dure_packer_array(&f.packer, 2);
    dure_packer_array(&f.packer, 0);
    dure_packer_array(&f.packer, 1);
    dure_packer_cstr(&f.packer, "x");
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_TELL), "inners[1].id: expected an integer, got a string");
    fixture_end(&f);
}

static void bytes_that_end_early_are_an_error_at_any_length(void)
{
    fixture f;
    fixture_begin(&f);
    const inner inners[] = {{.id = 70000, .tag = dure_str_of("x")}};
    tell_params in = {.inners = {.items = inners, .count = 1}};
    sample_encode_tell_params(&f.packer, &in);
    for (size_t len = 0; len < f.buf.len; len++) {
        dure_cursor cursor = dure_cursor_of(f.buf.data, len);
        tell_params out;
        DURE_CHECK(sample_decode_tell_params(&cursor, &out, NULL) != DURE_OK);
    }
    fixture_end(&f);
}

/* ---- calls ---- */

typedef struct ended {
    unsigned count;
    dure_err status;
    bool has_result;
    double x;
} ended;

static void on_given(void *ctx, const dure_outcome *outcome, const give_result *result)
{
    ended *end = ctx;
    end->count++;
    end->status = outcome->status;
    end->has_result = result != NULL;
    end->x = result != NULL ? result->x : 0;
}

static void answer(dure_rpc *rpc, dure_err status, dure_slice body)
{
    dure_outcome outcome = {.status = status, .body = body, ._typed_fn = rpc->typed_fn};
    rpc->on_done(rpc->ctx, &outcome);
}

static void a_call_ends_with_its_result_or_an_error(void)
{
    fixture f;
    fixture_begin(&f);
    dure_rpc rpc = {0};
    dure_buf_init(&rpc.body, 65536);
    give_params in = {.to = dure_str_of("bo"), .count = 8};
    dure_target target = dure_to_role("sample");
    ended end = {0};
    dure_call_id call = 0;
    DURE_REQUIRE_OK(sample_call_give(&rpc, &target, &in, NULL, on_given, &end, &call));
    DURE_CHECK_EQ(rpc.method, 900 * 256 + 2);
    dure_packer_raw(&f.packer, (dure_slice){rpc.body.data, rpc.body.len});
    DURE_CHECK_STR(ask(&f, SAMPLE_METHOD_GIVE), "");
    answer(&rpc, DURE_OK, (dure_slice){f.request.answer.data, f.request.answer.len});
    DURE_CHECK(end.count == 1 && end.has_result && end.x == 8);
    answer(&rpc, DURE_ERR_DEADLINE, (dure_slice){NULL, 0});
    DURE_CHECK(end.count == 2 && !end.has_result);
    DURE_CHECK_ERR(end.status, DURE_ERR_DEADLINE);
    const uint8_t wrong[] = {0x05};
    answer(&rpc, DURE_OK, (dure_slice){wrong, sizeof wrong});
    DURE_CHECK(end.count == 3 && !end.has_result);
    DURE_CHECK_ERR(end.status, DURE_ERR_INTERNAL);
    dure_buf_fini(&rpc.body);
    fixture_end(&f);
}

static void a_notify_is_packed_in_place(void)
{
    dure_rpc rpc = {0};
    dure_buf_init(&rpc.body, 65536);
    const uint64_t ids[] = {1, 2};
    push_params in = {.ids = {.items = ids, .count = 2}};
    dure_target target = dure_to_all("sample");
    DURE_CHECK_OK(sample_notify_push(&rpc, &target, 0, &in));
    DURE_CHECK_EQ(rpc.method, SAMPLE_METHOD_PUSH);
    DURE_CHECK_BYTES(rpc.body.data, rpc.body.len, "\x91\x92\x01\x02", (size_t)4);
    dure_buf_fini(&rpc.body);
}

static void the_table_says_what_the_schema_says(void)
{
    DURE_CHECK_EQ(sample_methods[0].flags, DURE_METHOD_CLIENT);
    DURE_CHECK_STR(sample_methods[0].name, "greet");
    DURE_CHECK_EQ(sample_methods[3].flags, 0);
    DURE_CHECK_EQ(sample_methods[5].flags, DURE_METHOD_NOTIFY);
    DURE_CHECK(sample_methods[8].serve == NULL);
    DURE_CHECK_STR(SAMPLE_EVENT_MOVED, "moved");
    DURE_CHECK(sample_schema_hash != 0);
}

DURE_SUITE(
    schema_codec, DURE_TEST(a_wrong_parameter_is_named), DURE_TEST(length_is_counted_in_characters),
    DURE_TEST(the_number_of_parameters_is_told), DURE_TEST(numbers_keep_their_limits),
    DURE_TEST(an_optional_parameter_may_be_missing_or_nil),
    DURE_TEST(a_client_gets_records_as_maps), DURE_TEST(a_message_goes_there_and_back),
    DURE_TEST(an_older_peer_leaves_fields_out), DURE_TEST(what_is_missing_is_held_to_its_limits),
    DURE_TEST(what_is_missing_in_a_map_is_held_to_its_limits),
    DURE_TEST(missing_text_and_bytes_point_somewhere), DURE_TEST(what_was_decoded_can_be_sent_on),
    DURE_TEST(a_newer_peer_sends_fields_that_are_skipped), DURE_TEST(a_record_of_nodes_is_no_map),
    DURE_TEST(a_record_of_clients_is_read_in_both_forms),
    DURE_TEST(a_mistake_inside_tells_its_path),
    DURE_TEST(bytes_that_end_early_are_an_error_at_any_length),
    DURE_TEST(a_call_ends_with_its_result_or_an_error), DURE_TEST(a_notify_is_packed_in_place),
    DURE_TEST(the_table_says_what_the_schema_says));
