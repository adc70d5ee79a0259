/* SPDX-License-Identifier: MIT
 *
 * The tokenizer: where values stand, and which texts it refuses, with the place of the mistake.
 */
#include "cluster/json_position.h"

#include "support/check.h"

static void values_and_keys_know_their_places(void)
{
    const char *text = "{\n  \"\xC3\xA4\": [1, true],\n\t\"b\": null }";
    dure_json_positions positions;
    dure_json_mistake mistake;
    DURE_REQUIRE_OK(dure_json_positions_init(&positions, text, strlen(text), 32, &mistake));
    DURE_REQUIRE(positions.count == 5);
    DURE_CHECK_EQ(positions.entries[1].kind, DURE_JSON_ARRAY);
    DURE_CHECK_EQ(positions.entries[1].key_place.column, 3);
    DURE_CHECK_EQ(positions.entries[1].place.column, 8); /* one column a character */
    DURE_CHECK_EQ(positions.entries[3].place.column, 12);
    DURE_CHECK_EQ(positions.entries[4].place.line, 3);
    DURE_CHECK_EQ(positions.entries[4].key_place.column, 2);
    DURE_CHECK_EQ(positions.entries[4].parent, 0);
    DURE_CHECK_EQ(positions.entries[0].children, 2);
    dure_json_positions_fini(&positions);
}

static void what_is_no_json_is_refused_where_it_stands(void)
{
    static const struct {
        const char *text;
        dure_err err;
        uint32_t line;
        uint32_t column;
    } rows[] = {
        {"", DURE_ERR_SYNTAX, 1, 1},
        {"{", DURE_ERR_SYNTAX, 1, 2},
        {"[1,]", DURE_ERR_SYNTAX, 1, 4},
        {"{\"a\":1,}", DURE_ERR_SYNTAX, 1, 8},
        {"{\"a\" 1}", DURE_ERR_SYNTAX, 1, 6},
        {"{a:1}", DURE_ERR_SYNTAX, 1, 2},
        {"[1 2]", DURE_ERR_SYNTAX, 1, 4},
        {"[1}", DURE_ERR_SYNTAX, 1, 3},
        {"{}\n{}", DURE_ERR_SYNTAX, 2, 1},
        {"[01]", DURE_ERR_SYNTAX, 1, 2},
        {"[+1]", DURE_ERR_SYNTAX, 1, 2},
        {"[1.]", DURE_ERR_SYNTAX, 1, 2},
        {"[1e]", DURE_ERR_SYNTAX, 1, 2},
        {"[-]", DURE_ERR_SYNTAX, 1, 2},
        {"[True]", DURE_ERR_SYNTAX, 1, 2},
        {"[nul]", DURE_ERR_SYNTAX, 1, 2},
        {"['a']", DURE_ERR_SYNTAX, 1, 2},
        {"[\"a]", DURE_ERR_SYNTAX, 1, 2},
        {"[\"a\nb\"]", DURE_ERR_SYNTAX, 1, 2},
        {"[\"a\tb\"]", DURE_ERR_SYNTAX, 1, 4},
        {"[\"\\x\"]", DURE_ERR_SYNTAX, 1, 3},
        {"[\"\\u12\"]", DURE_ERR_SYNTAX, 1, 3},
        {"[\"\\u0000\"]", DURE_ERR_SYNTAX, 1, 3},
        {"[\"\\ud800\"]", DURE_ERR_SYNTAX, 1, 3},
        {"[\"\\udc00\"]", DURE_ERR_SYNTAX, 1, 3},
        {"[\"\xC0\x80\"]", DURE_ERR_SYNTAX, 1, 3},
        {"// no\n{}", DURE_ERR_SYNTAX, 1, 1},
        {"[[[[]]]]", DURE_ERR_TOO_DEEP, 1, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_json_positions positions;
        dure_json_mistake mistake = {{0, 0}, ""};
        DURE_CHECK_ERR(
            dure_json_positions_init(&positions, rows[i].text, strlen(rows[i].text), 3, &mistake),
            rows[i].err);
        DURE_CHECK_EQ(mistake.place.line, rows[i].line);
        DURE_CHECK_EQ(mistake.place.column, rows[i].column);
        DURE_CHECK(mistake.message[0] != '\0');
    }
}

static void what_is_json_is_taken(void)
{
    static const char *const rows[] = {
        "0", "-0.5e+10", " null ", "[]", "{}", "\"\\ud83d\\ude00\\n\"", "\xEF\xBB\xBF{\"a\":[{}]}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_json_positions positions;
        dure_json_mistake mistake;
        DURE_CHECK_OK(dure_json_positions_init(&positions, rows[i], strlen(rows[i]), 3, &mistake));
        dure_json_positions_fini(&positions);
    }
}

DURE_SUITE(cluster_json_position, DURE_TEST(values_and_keys_know_their_places),
           DURE_TEST(what_is_no_json_is_refused_where_it_stands), DURE_TEST(what_is_json_is_taken));
