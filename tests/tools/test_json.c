/* SPDX-License-Identifier: MIT
 *
 * Between JSON and MessagePack nothing becomes something else: what cannot be said is refused, and
 * what is written is JSON.
 */
#include <math.h>

#include "support/check.h"
#include "tools/dure/json_msgpack.h"
#include "wire/packer.h"

#define TEXT_BYTES_MAX ((size_t)4096)

static dure_err read_json(const char *json, dure_buf *out)
{
    dure_buf_init(out, TEXT_BYTES_MAX);
    return json_to_msgpack(json, out);
}

static void what_cannot_be_passed_on_is_refused(void)
{
    static const char *const texts[] = {
        "[\"a\\u0000b\"]", "[\"\\u0000\"]", "[{\"\\u0000\":1}]",
        "[1e999]",         "[-1e999]",      "[\"\\\\\\u0000\"]",
    };
    for (size_t i = 0; i < DURE_COUNT_OF(texts); i++) {
        dure_buf bytes;
        DURE_CHECK_ERR(read_json(texts[i], &bytes), DURE_ERR_INVALID);
        dure_buf_fini(&bytes);
    }
}

static void what_only_looks_like_it_is_passed_on(void)
{
    static const char *const texts[] = {"[\"\\\\u0000\"]", "[\"u0000\"]", "[\"\\\\\\\\u0000\"]",
                                        "[1e+308]"};
    for (size_t i = 0; i < DURE_COUNT_OF(texts); i++) {
        dure_buf bytes;
        dure_buf json;
        DURE_CHECK_OK(read_json(texts[i], &bytes));
        dure_buf_init(&json, TEXT_BYTES_MAX);
        DURE_CHECK_OK(json_from_msgpack((dure_slice){bytes.data, bytes.len}, &json));
        DURE_CHECK_OK(dure_buf_append(&json, "", 1));
        DURE_CHECK_STR((const char *)json.data, texts[i]);
        dure_buf_fini(&json);
        dure_buf_fini(&bytes);
    }
}

static void a_number_that_json_has_not_is_null(void)
{
    const double values[] = {(double)INFINITY, -(double)INFINITY, (double)NAN};
    for (size_t i = 0; i < DURE_COUNT_OF(values); i++) {
        dure_buf bytes;
        dure_buf json;
        dure_buf_init(&bytes, TEXT_BYTES_MAX);
        dure_buf_init(&json, TEXT_BYTES_MAX);
        dure_packer packer = dure_packer_of(&bytes);
        dure_packer_f64(&packer, values[i]);
        DURE_CHECK_OK(packer.status);
        DURE_CHECK_OK(json_from_msgpack((dure_slice){bytes.data, bytes.len}, &json));
        DURE_CHECK_OK(dure_buf_append(&json, "", 1));
        DURE_CHECK_STR((const char *)json.data, "null");
        dure_buf_fini(&json);
        dure_buf_fini(&bytes);
    }
}

DURE_SUITE(tools_json, DURE_TEST(what_cannot_be_passed_on_is_refused),
           DURE_TEST(what_only_looks_like_it_is_passed_on),
           DURE_TEST(a_number_that_json_has_not_is_null));
