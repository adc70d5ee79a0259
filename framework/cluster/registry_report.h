/* SPDX-License-Identifier: MIT
 *
 * What reading a configuration found: mistakes and warnings with their places, and for each key its
 * outcome and where that came from. It holds no secret.
 */
#ifndef DURE_CLUSTER_REGISTRY_REPORT_H
#define DURE_CLUSTER_REGISTRY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DURE_REGISTRY_DIAGNOSTICS_MAX 1000u /* kept; those beyond are only counted */

typedef enum dure_registry_severity {
    DURE_REGISTRY_MISTAKE,
    DURE_REGISTRY_WARNING
} dure_registry_severity;

typedef struct dure_registry_diagnostic {
    dure_registry_severity severity;
    const char *place; /* the file's path, "--set", or the name of an environment variable */
    uint32_t line;     /* from 1; 0: the place is no file, or it could not be read */
    uint32_t column;   /* from 1, in characters */
    const char *path;  /* nodes[0].client_port; "" for the file as a whole */
    const char *message;
} dure_registry_diagnostic;

typedef struct dure_registry_value {
    const char *path;
    const char *value; /* JSON text; "(hidden)" in quotes for what should not be seen */
    const char *place; /* "config/demo.json:3:14", "--set", "DURE_SET", "default", ... */
} dure_registry_value;

typedef struct dure_registry_report {
    dure_registry_diagnostic *diagnostics; /* in the order of their places */
    size_t diagnostic_count;
    size_t mistake_count; /* those beyond the maximum included */
    size_t warning_count;
    dure_registry_value
        *values; /* in the order of the manual; incomplete where there are mistakes */
    size_t value_count;
    /* private */
    dure_err _failure;
} dure_registry_report;

/* An empty report. Thread: any. */
void dure_registry_report_init(dure_registry_report *report);

/* Frees what is in it; a zeroed report is fine. Thread: any. */
void dure_registry_report_fini(dure_registry_report *report);

/*
 * Adds one. place and the others are copied. A shortage of memory shows in
 * dure_registry_report_end.
 * Thread: any.
 */
void dure_registry_report_add(dure_registry_report *report, const dure_registry_diagnostic *added);

/* Adds the outcome of one key; copies. Thread: any. */
void dure_registry_report_add_value(dure_registry_report *report, const dure_registry_value *added);

/*
 * Sorts the diagnostics by place: those of the file first, by line and column.
 * Fails: NO_MEMORY: something was not kept.
 * Thread: any.
 */
DURE_CHECKED dure_err dure_registry_report_end(dure_registry_report *report);

/*
 * Writes one diagnostic as "config/demo.json:14:80: nodes[0].client_port: 70000 is above 65535"
 * without end of line, a warning with "warning: " before its path; cut to size. Returns out.
 * Thread: any.
 */
const char *dure_registry_diagnostic_print(const dure_registry_diagnostic *diagnostic, char *out,
                                           size_t size);

/* One line, without its end; lent for the call. */
typedef void (*dure_registry_line_fn)(void *ctx, const char *line);

/* Gives each diagnostic as a line, and one more where some were not kept. Thread: any. */
void dure_registry_report_print(const dure_registry_report *report, dure_registry_line_fn on_line,
                                void *ctx);

#endif
