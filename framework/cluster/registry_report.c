/* SPDX-License-Identifier: MIT
 *
 * Diagnostics kept as copies, sorted at the end, printed one line each.
 */
#include "cluster/registry_report.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void dure_registry_report_init(dure_registry_report *report)
{
    memset(report, 0, sizeof *report);
}

static void free_text(const char *text)
{
    dure_mem_free((void *)(uintptr_t)text);
}

void dure_registry_report_fini(dure_registry_report *report)
{
    for (size_t i = 0; i < report->diagnostic_count; i++) {
        free_text(report->diagnostics[i].place);
        free_text(report->diagnostics[i].path);
        free_text(report->diagnostics[i].message);
    }
    for (size_t i = 0; i < report->value_count; i++) {
        free_text(report->values[i].path);
        free_text(report->values[i].value);
        free_text(report->values[i].place);
    }
    dure_mem_free(report->diagnostics);
    dure_mem_free(report->values);
    memset(report, 0, sizeof *report);
}

/* Room for one more row of an array that doubles at each power of two. */
static bool report_grow(dure_registry_report *report, void **rows, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return true;
    }
    void *grown = dure_mem_realloc(*rows, (count == 0 ? 1 : count * 2) * size);
    if (grown == NULL) {
        report->_failure = DURE_ERR_NO_MEMORY;
        return false;
    }
    *rows = grown;
    return true;
}

void dure_registry_report_add(dure_registry_report *report, const dure_registry_diagnostic *added)
{
    DURE_ASSERT(added->place != NULL);
    DURE_ASSERT(added->message != NULL);
    DURE_ASSERT(report->diagnostic_count <= DURE_REGISTRY_DIAGNOSTICS_MAX);
    if (added->severity == DURE_REGISTRY_MISTAKE) {
        report->mistake_count++;
    } else {
        report->warning_count++;
    }
    if (report->diagnostic_count == DURE_REGISTRY_DIAGNOSTICS_MAX) {
        return;
    }
    void *rows = report->diagnostics;
    bool has_room =
        report_grow(report, &rows, report->diagnostic_count, sizeof *report->diagnostics);
    report->diagnostics = rows;
    if (!has_room) {
        return;
    }
    dure_registry_diagnostic *row = &report->diagnostics[report->diagnostic_count++];
    *row = *added;
    row->place = dure_mem_strdup(added->place);
    row->path = dure_mem_strdup(added->path);
    row->message = dure_mem_strdup(added->message);
    if (row->place == NULL || row->path == NULL || row->message == NULL) {
        report->_failure = DURE_ERR_NO_MEMORY;
    }
}

void dure_registry_report_add_value(dure_registry_report *report, const dure_registry_value *added)
{
    void *rows = report->values;
    bool has_room = report_grow(report, &rows, report->value_count, sizeof *report->values);
    report->values = rows;
    if (!has_room) {
        return;
    }
    dure_registry_value *row = &report->values[report->value_count++];
    row->path = dure_mem_strdup(added->path);
    row->value = dure_mem_strdup(added->value);
    row->place = dure_mem_strdup(added->place);
    if (row->place == NULL || row->path == NULL || row->value == NULL) {
        report->_failure = DURE_ERR_NO_MEMORY;
    }
}

/* Whether a stands behind b; those without a line stand last. */
static bool is_behind(const dure_registry_diagnostic *a, const dure_registry_diagnostic *b)
{
    if ((a->line == 0) != (b->line == 0)) {
        return a->line == 0;
    }
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* By insertion: of one place the order of the reports stays, as it does not with every qsort, and
 * there are few. */
static void report_sort(dure_registry_report *report)
{
    DURE_ASSERT(report->diagnostic_count <= DURE_REGISTRY_DIAGNOSTICS_MAX);
    for (size_t i = 1; i < report->diagnostic_count; i++) {
        const dure_registry_diagnostic row = report->diagnostics[i];
        size_t at = i;
        for (; at > 0 && is_behind(&report->diagnostics[at - 1], &row); at--) {
            report->diagnostics[at] = report->diagnostics[at - 1];
        }
        report->diagnostics[at] = row;
    }
}

dure_err dure_registry_report_end(dure_registry_report *report)
{
    if (report->_failure != DURE_OK) {
        return report->_failure;
    }
    report_sort(report);
    return DURE_OK;
}

const char *dure_registry_diagnostic_print(const dure_registry_diagnostic *diagnostic, char *out,
                                           size_t size)
{
    char place[64] = "";
    if (diagnostic->line > 0) {
        (void)snprintf(place, sizeof place, ":%u:%u", diagnostic->line, diagnostic->column);
    }
    (void)snprintf(out, size, "%s%s: %s%s%s%s", diagnostic->place, place,
                   diagnostic->severity == DURE_REGISTRY_WARNING ? "warning: " : "",
                   diagnostic->path, diagnostic->path[0] != '\0' ? ": " : "", diagnostic->message);
    return out;
}

void dure_registry_report_print(const dure_registry_report *report, dure_registry_line_fn on_line,
                                void *ctx)
{
    char line[1024];
    for (size_t i = 0; i < report->diagnostic_count; i++) {
        on_line(ctx, dure_registry_diagnostic_print(&report->diagnostics[i], line, sizeof line));
    }
    size_t all = report->mistake_count + report->warning_count;
    if (all > report->diagnostic_count) {
        (void)snprintf(line, sizeof line, "... and %zu more", all - report->diagnostic_count);
        on_line(ctx, line);
    }
}
