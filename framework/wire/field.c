/* SPDX-License-Identifier: MIT
 *
 * One value at a time. The good way through each reader is the cursor's read and a comparison; all
 * that words a mistake stands apart, because it runs for wrong input only.
 */
#include "wire/field.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "wire/plain.h"

/* ---- mistakes ---- */

DURE_PRINTF(3, 4)
static dure_err mistake_say(dure_mistake *mistake, dure_err err, const char *format, ...)
{
    if (mistake != NULL) {
        mistake->_depth = 0;
        va_list args;
        va_start(args, format);
        (void)vsnprintf(mistake->_text, sizeof mistake->_text, format, args);
        va_end(args);
    }
    return err;
}

static dure_err mistake_push(dure_mistake *mistake, const char *field, uint32_t index, dure_err err)
{
    if (mistake != NULL && mistake->_depth < DURE_MISTAKE_DEPTH) {
        mistake->_path[mistake->_depth] = field;
        mistake->_index[mistake->_depth] = index;
        mistake->_depth++;
    }
    return err;
}

dure_err dure_mistake_in(dure_mistake *mistake, const char *field, dure_err err)
{
    return mistake_push(mistake, field, 0, err);
}

dure_err dure_mistake_at(dure_mistake *mistake, uint32_t index, dure_err err)
{
    return mistake_push(mistake, NULL, index, err);
}

/* Appends to text, which is size bytes and filled up to used; gives the new length, below size. */
DURE_PRINTF(4, 5)
static size_t text_add(char *text, size_t size, size_t used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int added = vsnprintf(text + used, size - used, format, args);
    va_end(args);
    if (added < 0) {
        return used;
    }
    return (size_t)added < size - used ? used + (size_t)added : size - 1;
}

const char *dure_mistake_print(const dure_mistake *mistake, char *text, size_t size)
{
    size_t used = 0;
    if (size == 0) {
        return text;
    }
    text[0] = '\0';
    for (uint32_t i = mistake->_depth; i > 0; i--) {
        if (mistake->_path[i - 1] == NULL) {
            used = text_add(text, size, used, "[%" PRIu32 "]", mistake->_index[i - 1]);
        } else {
            used = text_add(text, size, used, "%s%s", used > 0 ? "." : "", mistake->_path[i - 1]);
        }
    }
    (void)text_add(text, size, used, "%s%s", used > 0 ? ": " : "", mistake->_text);
    return text;
}

/* A read that failed for its type, or because there are no whole bytes. */
static dure_err mistake_type(dure_mistake *mistake, const dure_cursor *cursor, const char *expected,
                             dure_err err)
{
    if (err != DURE_ERR_BAD_REQUEST) {
        return mistake_say(mistake, err, "the bytes are not one whole MessagePack object");
    }
    dure_wire_type got = dure_cursor_peek(cursor);
    return mistake_say(mistake, err, "expected %s, got %s", expected, dure_wire_type_text(got));
}

/* A read of an integer that failed for its type, or one that is out of range. */
static dure_err mistake_integer(dure_mistake *mistake, dure_cursor *cursor, int64_t min,
                                uint64_t max, dure_err err)
{
    dure_cursor again = *cursor;
    int64_t low = 0;
    uint64_t high = 0;
    if (err == DURE_ERR_BAD_REQUEST && dure_cursor_i64(&again, &low) == DURE_OK && low < min) {
        return mistake_say(mistake, err, "at least %" PRId64 ", got %" PRId64, min, low);
    }
    again = *cursor;
    if (err == DURE_ERR_BAD_REQUEST && dure_cursor_u64(&again, &high) == DURE_OK && high > max) {
        return mistake_say(mistake, err, "at most %" PRIu64 ", got %" PRIu64, max, high);
    }
    return mistake_type(mistake, cursor, "an integer", err);
}

static dure_err mistake_size(dure_mistake *mistake, const char *thing, uint32_t min, uint32_t max,
                             size_t got)
{
    bool few = got < min;
    uint32_t limit = few ? min : max;
    return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "at %s %" PRIu32 " %s%s, got %zu",
                       few ? "least" : "most", limit, thing, limit == 1 ? "" : "s", got);
}

/* ---- reading ---- */

dure_err dure_field_bool(dure_cursor *cursor, bool *out_value, dure_mistake *mistake)
{
    dure_err err = dure_cursor_bool(cursor, out_value);
    return err == DURE_OK ? err : mistake_type(mistake, cursor, "a boolean", err);
}

dure_err dure_field_i64(dure_cursor *cursor, int64_t min, int64_t max, int64_t *out_value,
                        dure_mistake *mistake)
{
    dure_cursor start = *cursor;
    int64_t value = 0;
    dure_err err = dure_cursor_i64(cursor, &value);
    if (err == DURE_OK && value >= min && value <= max) {
        *out_value = value;
        return DURE_OK;
    }
    if (err == DURE_OK && max < 0 && value > max) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "at most %" PRId64 ", got %" PRId64, max,
                           value);
    }
    return mistake_integer(mistake, &start, min, max < 0 ? 0 : (uint64_t)max,
                           err == DURE_OK ? DURE_ERR_BAD_REQUEST : err);
}

dure_err dure_field_i32(dure_cursor *cursor, int32_t min, int32_t max, int32_t *out_value,
                        dure_mistake *mistake)
{
    int64_t wide = 0;
    dure_err err = dure_field_i64(cursor, min, max, &wide, mistake);
    if (err == DURE_OK) {
        *out_value = (int32_t)wide;
    }
    return err;
}

dure_err dure_field_u64(dure_cursor *cursor, uint64_t min, uint64_t max, uint64_t *out_value,
                        dure_mistake *mistake)
{
    dure_cursor start = *cursor;
    uint64_t value = 0;
    dure_err err = dure_cursor_u64(cursor, &value);
    if (err == DURE_OK && value >= min && value <= max) {
        *out_value = value;
        return DURE_OK;
    }
    if (err == DURE_OK && value < min) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "at least %" PRIu64 ", got %" PRIu64, min,
                           value);
    }
    return mistake_integer(mistake, &start, min <= INT64_MAX ? (int64_t)min : INT64_MAX, max,
                           err == DURE_OK ? DURE_ERR_BAD_REQUEST : err);
}

dure_err dure_field_u32(dure_cursor *cursor, uint32_t min, uint32_t max, uint32_t *out_value,
                        dure_mistake *mistake)
{
    uint64_t wide = 0;
    dure_err err = dure_field_u64(cursor, min, max, &wide, mistake);
    if (err == DURE_OK) {
        *out_value = (uint32_t)wide;
    }
    return err;
}

dure_err dure_field_f64(dure_cursor *cursor, double *out_value, dure_mistake *mistake)
{
    dure_err err = dure_cursor_f64(cursor, out_value);
    return err == DURE_OK ? err : mistake_type(mistake, cursor, "a float", err);
}

static dure_err mistake_num(dure_mistake *mistake, const dure_cursor *cursor, dure_err err)
{
    if (err == DURE_ERR_BAD_REQUEST && dure_cursor_peek(cursor) == DURE_WIRE_FLOAT) {
        return mistake_say(mistake, err, "expected a finite number");
    }
    return mistake_type(mistake, cursor, "a number", err);
}

dure_err dure_field_num(dure_cursor *cursor, double min, double max, double *out_value,
                        dure_mistake *mistake)
{
    double value = 0;
    dure_err err = dure_cursor_number(cursor, &value);
    if (err != DURE_OK) {
        return mistake_num(mistake, cursor, err);
    }
    if (value < min) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "at least %.15g, got %.15g", min, value);
    }
    if (value > max) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "at most %.15g, got %.15g", max, value);
    }
    *out_value = value;
    return DURE_OK;
}

static dure_err mistake_str(dure_mistake *mistake, const dure_cursor *cursor, dure_err err)
{
    if (err == DURE_ERR_BAD_REQUEST && dure_cursor_peek(cursor) == DURE_WIRE_STR) {
        return mistake_say(mistake, err, "not valid UTF-8");
    }
    return mistake_type(mistake, cursor, "a string", err);
}

dure_err dure_field_str(dure_cursor *cursor, uint32_t min, uint32_t max, bool plain,
                        dure_str *out_value, dure_mistake *mistake)
{
    dure_str value = {NULL, 0};
    dure_err err = dure_cursor_str(cursor, &value);
    if (err != DURE_OK) {
        return mistake_str(mistake, cursor, err);
    }
    if (min > 0 || max < UINT32_MAX) {
        size_t chars = dure_utf8_count(value.data, value.len);
        if (chars < min || chars > max) {
            return mistake_size(mistake, "character", min, max, chars);
        }
    }
    dure_plain_fault fault;
    if (plain && !dure_plain_check(value, &fault)) {
        char text[96];
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "%s",
                           dure_plain_print(&fault, text, sizeof text));
    }
    *out_value = value;
    return DURE_OK;
}

dure_err dure_field_bin(dure_cursor *cursor, uint32_t min, uint32_t max, dure_slice *out_value,
                        dure_mistake *mistake)
{
    dure_slice value = {NULL, 0};
    dure_err err = dure_cursor_bin(cursor, &value);
    if (err != DURE_OK) {
        return mistake_type(mistake, cursor, "bytes", err);
    }
    if (value.len < min || value.len > max) {
        return mistake_size(mistake, "byte", min, max, value.len);
    }
    *out_value = value;
    return DURE_OK;
}

dure_err dure_field_any(dure_cursor *cursor, dure_slice *out_value, dure_mistake *mistake)
{
    dure_err err = dure_cursor_any(cursor, out_value);
    return err == DURE_OK ? err : mistake_type(mistake, cursor, "any value", err);
}

/* ---- heads ---- */

dure_err dure_field_list(dure_cursor *cursor, uint32_t min, uint32_t max, uint32_t *out_count,
                         dure_mistake *mistake)
{
    uint32_t count = 0;
    dure_err err = dure_cursor_array(cursor, &count);
    if (err != DURE_OK) {
        return mistake_type(mistake, cursor, "an array", err);
    }
    if (count < min || count > max) {
        return mistake_size(mistake, "element", min, max, count);
    }
    *out_count = count;
    return DURE_OK;
}

dure_err dure_field_map(dure_cursor *cursor, uint32_t min, uint32_t max, uint32_t *out_count,
                        dure_mistake *mistake)
{
    uint32_t count = 0;
    dure_err err = dure_cursor_map(cursor, &count);
    if (err != DURE_OK) {
        return mistake_type(mistake, cursor, "a map", err);
    }
    if (count < min || count > max) {
        return mistake_size(mistake, "pair", min, max, count);
    }
    *out_count = count;
    return DURE_OK;
}

dure_err dure_field_record(dure_cursor *cursor, uint32_t *out_count, dure_mistake *mistake)
{
    bool is_map = dure_cursor_peek(cursor) == DURE_WIRE_MAP;
    dure_err err =
        is_map ? dure_cursor_map(cursor, out_count) : dure_cursor_array(cursor, out_count);
    return err == DURE_OK ? err : mistake_type(mistake, cursor, "a record", err);
}

static dure_err mistake_params(dure_mistake *mistake, uint32_t least, uint32_t most, uint32_t got)
{
    if (most == 0) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "expected no parameters, got %" PRIu32,
                           got);
    }
    if (least < most) {
        return mistake_say(mistake, DURE_ERR_BAD_REQUEST,
                           "expected %" PRIu32 " to %" PRIu32 " parameters, got %" PRIu32, least,
                           most, got);
    }
    return mistake_say(mistake, DURE_ERR_BAD_REQUEST,
                       "expected %" PRIu32 " parameter%s, got %" PRIu32, most, most == 1 ? "" : "s",
                       got);
}

dure_err dure_field_params(dure_cursor *cursor, uint32_t least, uint32_t most, uint32_t *out_count,
                           dure_mistake *mistake)
{
    uint32_t count = 0;
    dure_err err = dure_cursor_array(cursor, &count);
    if (err != DURE_OK) {
        return mistake_type(mistake, cursor, "an array of parameters", err);
    }
    if (count < least || count > most) {
        return mistake_params(mistake, least, most, count);
    }
    *out_count = count;
    return DURE_OK;
}

dure_err dure_field_rest(dure_cursor *cursor, uint32_t known, uint32_t count, dure_mistake *mistake)
{
    dure_err err = DURE_OK;
    for (uint32_t i = known; i < count && err == DURE_OK; i++) {
        err = dure_cursor_skip(cursor);
    }
    return err == DURE_OK ? err : mistake_type(mistake, cursor, "any value", err);
}

dure_err dure_field_missing(dure_mistake *mistake)
{
    return mistake_say(mistake, DURE_ERR_BAD_REQUEST, "is missing");
}

bool dure_field_absent(dure_cursor *cursor)
{
    return dure_cursor_peek(cursor) == DURE_WIRE_NIL && dure_cursor_nil(cursor) == DURE_OK;
}

/* ---- lists and maps ---- */

bool dure_field_next(dure_slice raw, size_t at, dure_cursor *out_cursor)
{
    uint32_t count = 0;
    *out_cursor = dure_cursor_of(raw.data, raw.len);
    if (at == 0) {
        return dure_field_record(out_cursor, &count, NULL) == DURE_OK && count > 0;
    }
    if (at >= raw.len) {
        return false;
    }
    out_cursor->at += at;
    return true;
}

uint32_t dure_field_count(dure_slice raw)
{
    dure_cursor cursor = dure_cursor_of(raw.data, raw.len);
    uint32_t count = 0;
    return dure_field_record(&cursor, &count, NULL) == DURE_OK ? count : 0;
}

/* ---- writing ---- */

void dure_field_put_any(dure_packer *packer, dure_slice object)
{
    if (object.len == 0) {
        dure_packer_nil(packer);
    } else {
        dure_packer_raw(packer, object);
    }
}

void dure_field_put_list(dure_packer *packer, dure_slice raw)
{
    if (raw.len == 0) {
        dure_packer_array(packer, 0);
    } else {
        dure_packer_raw(packer, raw);
    }
}

void dure_field_put_map(dure_packer *packer, dure_slice raw)
{
    if (raw.len == 0) {
        dure_packer_map(packer, 0);
    } else {
        dure_packer_raw(packer, raw);
    }
}
