/* SPDX-License-Identifier: MIT
 *
 * Text that people tell apart by looking at it, such as names: the `plain` of a schema. Text is
 * refused, never changed, so that what was taken is what everybody sees. The properties are those
 * of the Unicode version of libutf8proc; a character that this one does not know is refused,
 * because its normal form is not known either. Look-alikes of different scripts are not looked for.
 */
#ifndef DURE_WIRE_PLAIN_H
#define DURE_WIRE_PLAIN_H

#include "base/str.h"

/* X(name, what is said of the character) */
#define DURE_PLAIN_RULE_LIST(X)                                                                    \
    X(NONE, "is all right")                                                                        \
    X(BROKEN, "is not valid UTF-8")                                                                \
    X(SPACE, "is white space")                                                                     \
    X(CONTROL, "is a control character")                                                           \
    X(IGNORABLE, "is invisible (default-ignorable)")                                               \
    X(FORMAT, "is a format character")                                                             \
    X(NONCHARACTER, "is a noncharacter")                                                           \
    X(PRIVATE, "is for private use")                                                               \
    X(UNASSIGNED, "is not assigned")                                                               \
    X(NOT_NFC, "is not in normal form C (NFC)")                                                    \
    X(MARKS, "has too many marks")                                                                 \
    X(UNSEEN, "is no visible character, and there is no other one")

typedef enum dure_plain_rule {
#define DURE_PLAIN_RULE_ROW(name, text) DURE_PLAIN_##name,
    DURE_PLAIN_RULE_LIST(DURE_PLAIN_RULE_ROW)
#undef DURE_PLAIN_RULE_ROW
} dure_plain_rule;

#define DURE_PLAIN_MARKS_MAX 30 /* behind one character (Stream-Safe Text Format, UAX #15) */

/* What a text was refused for. */
typedef struct dure_plain_fault {
    dure_plain_rule rule;
    uint32_t code_point; /* of the character; a byte where it is no UTF-8 */
} dure_plain_fault;

/*
 * Whether text, of any length, is plain; empty text is. Not: white space and blanks, control and
 * format characters, default-ignorable ones, noncharacters, private use, unassigned ones, what is
 * not in normal form C, more than 30 marks on one character, and text of which nothing is visible.
 * *out_fault (NULL: not wanted) is the first fault, or NONE.
 * Thread: any.
 */
bool dure_plain_check(dure_str text, dure_plain_fault *out_fault);

/* "U+200D is invisible (default-ignorable)"; gives text back. */
const char *dure_plain_print(const dure_plain_fault *fault, char *text, size_t size);

/* The rule as a word for programs: "IGNORABLE". */
const char *dure_plain_rule_name(dure_plain_rule rule);

#endif
