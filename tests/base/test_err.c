/* SPDX-License-Identifier: MIT
 *
 * The error list: each row has a name, a text and a class, and the numbers that travel stay.
 */
#include "base/err.h"

#include "support/check.h"

static void wire_numbers_are_those_of_the_page(void)
{
    DURE_CHECK_EQ(DURE_ERR_BAD_REQUEST, 1);
    DURE_CHECK_EQ(DURE_ERR_DUPLICATE_ID, 20);
    DURE_CHECK_EQ(DURE_ERR_OUTCOME_UNKNOWN, 18);
}

static void every_row_has_name_text_and_class(void)
{
#define ROW(name, number, class, text)                                                             \
    DURE_CHECK_STR(dure_err_name(DURE_ERR_##name), #name);                                         \
    DURE_CHECK(dure_err_text(DURE_ERR_##name)[0] != '\0');                                         \
    DURE_CHECK_EQ(dure_err_class_of(DURE_ERR_##name), DURE_ERR_CLASS_##class);
    DURE_ERR_LIST(ROW)
#undef ROW
}

static void an_unlisted_number_is_said_to_be_one(void)
{
    DURE_CHECK_STR(dure_err_name((dure_err)999), "UNLISTED");
    DURE_CHECK_EQ(dure_err_class_of((dure_err)999), DURE_ERR_CLASS_UNKNOWN);
}

DURE_SUITE(base_err, DURE_TEST(wire_numbers_are_those_of_the_page),
           DURE_TEST(every_row_has_name_text_and_class),
           DURE_TEST(an_unlisted_number_is_said_to_be_one));
