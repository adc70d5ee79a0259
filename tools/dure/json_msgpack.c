/* SPDX-License-Identifier: MIT
 *
 * JSON is read by cJSON; it is written here, because integers of 64 bits do not survive a double.
 */
#include "tools/dure/json_msgpack.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wire/cursor.h"
#include "wire/limits.h"
#include "wire/packer.h"

static dure_err pack_json(dure_packer *packer, const cJSON *item, unsigned depth);

/* cJSON's texts are C strings: one with U+0000 in it would be passed on as another, shorter one. */
static bool has_zero_escape(const char *json)
{
    for (; *json != '\0'; json++) {
        if (*json == '\\' && strncmp(json + 1, "u0000", 5) == 0) {
            return true;
        }
        if (*json == '\\' && json[1] != '\0') {
            json++;
        }
    }
    return false;
}

static dure_err pack_children(dure_packer *packer, const cJSON *item, unsigned depth)
{
    const cJSON *child;
    if (depth == 0) {
        return DURE_ERR_TOO_DEEP;
    }
    cJSON_ArrayForEach(child, item)
    {
        if (cJSON_IsObject(item)) {
            dure_packer_cstr(packer, child->string);
        }
        dure_err err = pack_json(packer, child, depth - 1);
        if (err != DURE_OK) {
            return err;
        }
    }
    return DURE_OK;
}

static dure_err pack_json(dure_packer *packer, const cJSON *item, unsigned depth)
{
    if (cJSON_IsArray(item)) {
        dure_packer_array(packer, (uint32_t)cJSON_GetArraySize(item));
        return pack_children(packer, item, depth);
    }
    if (cJSON_IsObject(item)) {
        dure_packer_map(packer, (uint32_t)cJSON_GetArraySize(item));
        return pack_children(packer, item, depth);
    }
    if (cJSON_IsString(item)) {
        dure_packer_cstr(packer, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        if (!isfinite(item->valuedouble)) {
            return DURE_ERR_INVALID;
        }
        dure_packer_number(packer, item->valuedouble);
    } else if (cJSON_IsBool(item)) {
        dure_packer_bool(packer, cJSON_IsTrue(item) != 0);
    } else {
        dure_packer_nil(packer);
    }
    return packer->status;
}

dure_err json_to_msgpack(const char *json, dure_buf *out)
{
    cJSON *item = cJSON_ParseWithOpts(json, NULL, 1);
    if (item == NULL) {
        return DURE_ERR_SYNTAX;
    }
    if (has_zero_escape(json)) {
        cJSON_Delete(item);
        return DURE_ERR_INVALID;
    }
    dure_packer packer = dure_packer_of(out);
    dure_err err = pack_json(&packer, item, DURE_WIRE_DEPTH_MAX);
    cJSON_Delete(item);
    return err != DURE_OK ? err : packer.status;
}

/* ---- writing JSON ---- */

static dure_err put(dure_buf *out, const char *text)
{
    return dure_buf_append(out, text, strlen(text));
}

static dure_err put_string(dure_buf *out, dure_str str)
{
    dure_err err = put(out, "\"");
    for (size_t i = 0; i < str.len && err == DURE_OK; i++) {
        unsigned char c = (unsigned char)str.data[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            (void)snprintf(escaped, sizeof escaped, "\\%c", c);
        } else if (c < 0x20) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
        } else {
            (void)snprintf(escaped, sizeof escaped, "%c", c);
        }
        err = put(out, escaped);
    }
    return err == DURE_OK ? put(out, "\"") : err;
}

static dure_err put_bytes(dure_buf *out, dure_slice bytes)
{
    dure_err err = put(out, "\"");
    for (size_t i = 0; i < bytes.len && err == DURE_OK; i++) {
        char hex[4];
        (void)snprintf(hex, sizeof hex, "%02x", (unsigned)bytes.data[i]);
        err = put(out, hex);
    }
    return err == DURE_OK ? put(out, "\"") : err;
}

static dure_err put_object(dure_cursor *cursor, dure_buf *out, unsigned depth);

static dure_err put_int(dure_cursor *cursor, dure_buf *out)
{
    char text[32];
    uint64_t u;
    int64_t i = 0;
    if (dure_cursor_u64(cursor, &u) == DURE_OK) {
        (void)snprintf(text, sizeof text, "%" PRIu64, u);
        return put(out, text);
    }
    dure_err err = dure_cursor_i64(cursor, &i);
    (void)snprintf(text, sizeof text, "%" PRId64, i);
    return err == DURE_OK ? put(out, text) : err;
}

static dure_err put_float(dure_cursor *cursor, dure_buf *out)
{
    char text[40];
    double value = 0;
    dure_err err = dure_cursor_f64(cursor, &value);
    if (err == DURE_OK && !isfinite(value)) {
        return put(out, "null");
    }
    (void)snprintf(text, sizeof text, "%.17g", value);
    return err == DURE_OK ? put(out, text) : err;
}

static dure_err put_key(dure_cursor *cursor, dure_buf *out, unsigned depth)
{
    if (dure_cursor_peek(cursor) == DURE_WIRE_STR) {
        return put_object(cursor, out, depth);
    }
    dure_buf text;
    dure_buf_init(&text, dure_buf_cap(out));
    dure_err err = put_object(cursor, &text, depth);
    if (err == DURE_OK) {
        err = put_string(out, (dure_str){(const char *)text.data, text.len});
    }
    dure_buf_fini(&text);
    return err;
}

static dure_err put_container(dure_cursor *cursor, dure_buf *out, unsigned depth, bool is_map)
{
    uint32_t count = 0;
    dure_err err = is_map ? dure_cursor_map(cursor, &count) : dure_cursor_array(cursor, &count);
    if (err != DURE_OK) {
        return err;
    }
    err = depth == 0 ? DURE_ERR_TOO_DEEP : put(out, is_map ? "{" : "[");
    for (uint32_t i = 0; i < count && err == DURE_OK; i++) {
        err = i > 0 ? put(out, ",") : DURE_OK;
        if (err == DURE_OK && is_map) {
            err = put_key(cursor, out, depth - 1);
            err = err == DURE_OK ? put(out, ":") : err;
        }
        err = err == DURE_OK ? put_object(cursor, out, depth - 1) : err;
    }
    return err == DURE_OK ? put(out, is_map ? "}" : "]") : err;
}

static dure_err put_object(dure_cursor *cursor, dure_buf *out, unsigned depth)
{
    bool flag = false;
    dure_str str;
    dure_slice bytes;
    dure_err err;
    switch (dure_cursor_peek(cursor)) {
    case DURE_WIRE_NIL:
        err = dure_cursor_nil(cursor);
        return err == DURE_OK ? put(out, "null") : err;
    case DURE_WIRE_BOOL:
        err = dure_cursor_bool(cursor, &flag);
        return err == DURE_OK ? put(out, flag ? "true" : "false") : err;
    case DURE_WIRE_INT:
        return put_int(cursor, out);
    case DURE_WIRE_FLOAT:
        return put_float(cursor, out);
    case DURE_WIRE_STR:
        err = dure_cursor_str(cursor, &str);
        return err == DURE_OK ? put_string(out, str) : err;
    case DURE_WIRE_BIN:
        err = dure_cursor_bin(cursor, &bytes);
        return err == DURE_OK ? put_bytes(out, bytes) : err;
    case DURE_WIRE_ARRAY:
        return put_container(cursor, out, depth, false);
    case DURE_WIRE_MAP:
        return put_container(cursor, out, depth, true);
    case DURE_WIRE_EXT:
        err = dure_cursor_any(cursor, &bytes);
        return err == DURE_OK ? put_bytes(out, bytes) : err;
    case DURE_WIRE_NONE:
        break;
    }
    return DURE_ERR_MALFORMED;
}

dure_err json_from_msgpack(dure_slice object, dure_buf *out)
{
    dure_cursor cursor = dure_cursor_of(object.data, object.len);
    return put_object(&cursor, out, DURE_WIRE_DEPTH_MAX);
}
