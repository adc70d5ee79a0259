/* SPDX-License-Identifier: MIT
 *
 * The golden frames, read with cJSON.
 */
#include "golden.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "support/check.h"
#include "wire/cursor.h"

const char *golden_text(const cJSON *row, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

uint64_t golden_number(const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsString(item) ? strtoull(item->valuestring, NULL, 10)
                                : (uint64_t)cJSON_GetNumberValue(item);
}

int golden_error(const cJSON *row)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {
#define ERROR_ROW(name, number, class, text) {#name, number},
        DURE_ERR_LIST(ERROR_ROW)
#undef ERROR_ROW
    };
    const char *name = golden_text(row, "error");
    if (name == NULL) {
        return DURE_OK;
    }
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(errors[i].name, name) == 0) {
            return errors[i].number;
        }
    }
    return -1;
}

static uint8_t hex_digit(char c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* The bytes of a text in hex, for dure_mem_free. */
static uint8_t *bytes_of_hex(const char *hex, size_t *out_len)
{
    *out_len = strlen(hex) / 2;
    uint8_t *bytes = dure_mem_alloc(*out_len > 0 ? *out_len : 1);
    DURE_REQUIRE(bytes != NULL);
    for (size_t i = 0; i < *out_len; i++) {
        bytes[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    }
    return bytes;
}

size_t golden_each(const char *file, const char *list, golden_fn fn)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", DURE_GOLDEN_FOLDER, file);
    dure_buf text;
    dure_buf_init(&text, 1048576);
    DURE_REQUIRE_OK(dure_file_read(path, &text));
    cJSON *page = cJSON_ParseWithLength((const char *)text.data, text.len);
    DURE_REQUIRE(page != NULL);
    size_t count = 0;
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(page, list))
    {
        size_t len = 0;
        uint8_t *bytes = bytes_of_hex(golden_text(row, "hex"), &len);
        fn(row, (dure_slice){bytes, len});
        dure_mem_free(bytes);
        count++;
    }
    cJSON_Delete(page);
    dure_buf_fini(&text);
    return count;
}

static bool value_at(dure_cursor *cursor, const cJSON *value);

static bool bytes_are_hex(dure_slice bytes, const char *hex)
{
    size_t len = 0;
    uint8_t *expected = bytes_of_hex(hex, &len);
    const bool is_equal = bytes.len == len && (len == 0 || memcmp(bytes.data, expected, len) == 0);
    dure_mem_free(expected);
    return is_equal;
}

static bool map_at(dure_cursor *cursor, const cJSON *pairs)
{
    uint32_t count = 0;
    if (dure_cursor_map(cursor, &count) != DURE_OK || (int)count != cJSON_GetArraySize(pairs)) {
        return false;
    }
    const cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, pairs)
    {
        if (!value_at(cursor, cJSON_GetArrayItem(pair, 0)) ||
            !value_at(cursor, cJSON_GetArrayItem(pair, 1))) {
            return false;
        }
    }
    return true;
}

static bool special_at(dure_cursor *cursor, const cJSON *value)
{
    const char *hex = golden_text(value, "bin");
    const char *decimal = golden_text(value, "int");
    if (hex != NULL) {
        dure_slice bytes = {NULL, 0};
        return dure_cursor_bin(cursor, &bytes) == DURE_OK && bytes_are_hex(bytes, hex);
    }
    if (decimal != NULL && decimal[0] == '-') {
        int64_t number = 0;
        return dure_cursor_i64(cursor, &number) == DURE_OK && number == strtoll(decimal, NULL, 10);
    }
    if (decimal != NULL) {
        uint64_t number = 0;
        return dure_cursor_u64(cursor, &number) == DURE_OK && number == strtoull(decimal, NULL, 10);
    }
    return map_at(cursor, cJSON_GetObjectItemCaseSensitive(value, "map"));
}

static bool array_at(dure_cursor *cursor, const cJSON *items)
{
    uint32_t count = 0;
    if (dure_cursor_array(cursor, &count) != DURE_OK || (int)count != cJSON_GetArraySize(items)) {
        return false;
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items)
    {
        if (!value_at(cursor, item)) {
            return false;
        }
    }
    return true;
}

static bool value_at(dure_cursor *cursor, const cJSON *value)
{
    dure_str str = {NULL, 0};
    double number = 0;
    bool truth = false;
    if (cJSON_IsNull(value)) {
        return dure_cursor_nil(cursor) == DURE_OK;
    }
    if (cJSON_IsBool(value)) {
        return dure_cursor_bool(cursor, &truth) == DURE_OK && truth == (bool)cJSON_IsTrue(value);
    }
    if (cJSON_IsString(value)) {
        return dure_cursor_str(cursor, &str) == DURE_OK &&
               dure_str_equal(str, dure_str_of(value->valuestring));
    }
    if (cJSON_IsNumber(value)) {
        return dure_cursor_number(cursor, &number) == DURE_OK && !(number < value->valuedouble) &&
               !(number > value->valuedouble);
    }
    return cJSON_IsArray(value) ? array_at(cursor, value) : special_at(cursor, value);
}

bool golden_value_is(dure_slice object, const cJSON *value)
{
    dure_cursor cursor = dure_cursor_of(object.data, object.len);
    return value_at(&cursor, value) && dure_cursor_left(&cursor) == 0;
}
