/* SPDX-License-Identifier: MIT
 *
 * Names, texts and classes of the error list, from the list itself.
 */
#include "base/err.h"

typedef struct err_row {
    dure_err err;
    dure_err_class class_of;
    const char *name;
    const char *text;
} err_row;

static const err_row rows[] = {{DURE_OK, DURE_ERR_CLASS_NONE, "OK", "it went well"},
#define ERR_ROW(name, number, class, text) {DURE_ERR_##name, DURE_ERR_CLASS_##class, #name, text},
                               DURE_ERR_LIST(ERR_ROW)
#undef ERR_ROW
};

static const err_row *err_find(dure_err err)
{
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        if (rows[i].err == err) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *dure_err_name(dure_err err)
{
    const err_row *row = err_find(err);
    return row ? row->name : "UNLISTED";
}

const char *dure_err_text(dure_err err)
{
    const err_row *row = err_find(err);
    return row ? row->text : "an error that has no row in the list";
}

dure_err_class dure_err_class_of(dure_err err)
{
    const err_row *row = err_find(err);
    return row ? row->class_of : DURE_ERR_CLASS_UNKNOWN;
}

uint32_t dure_err_code_on_wire(uint32_t code)
{
    if (code >= 1000 || (code > 0 && code < 100)) {
        return code;
    }
    switch (code) {
    case DURE_ERR_NOT_UP:
    case DURE_ERR_DOWN:
    case DURE_ERR_NOT_CONFIGURED:
        return DURE_ERR_UNAVAILABLE;
    case DURE_ERR_NO_MEMORY:
    case DURE_ERR_FULL:
    case DURE_ERR_TOO_MANY_FILES:
    case DURE_ERR_NO_BUFFERS:
        return DURE_ERR_OVERLOADED;
    default:
        return DURE_ERR_INTERNAL;
    }
}
