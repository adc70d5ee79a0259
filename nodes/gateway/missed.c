/* SPDX-License-Identifier: MIT
 *
 * A ring of references that doubles up to its maximum.
 */
#include "nodes/gateway/missed.h"

#include "base/assert.h"
#include "base/mem.h"

#define MISSED_FIRST_CAP 16u

gateway_notice *gateway_notice_create(dure_str method, dure_slice params)
{
    gateway_notice *notice = dure_mem_alloc(sizeof *notice + method.len + params.len);
    if (notice == NULL) {
        return NULL;
    }
    char *bytes = (char *)(notice + 1);
    if (method.len > 0) {
        memcpy(bytes, method.data, method.len);
    }
    if (params.len > 0) {
        memcpy(bytes + method.len, params.data, params.len);
    }
    notice->refs = 1;
    notice->method = (dure_str){bytes, method.len};
    notice->params = (dure_slice){(const uint8_t *)bytes + method.len, params.len};
    return notice;
}

void gateway_notice_release(gateway_notice *notice)
{
    if (notice != NULL && --notice->refs == 0) {
        dure_mem_free(notice);
    }
}

static size_t notice_bytes(const gateway_notice *notice)
{
    return sizeof *notice + notice->method.len + notice->params.len;
}

static void missed_pop(gateway_missed *missed)
{
    gateway_notice *notice = missed->ring[missed->first];
    missed->bytes -= notice_bytes(notice);
    missed->first = (missed->first + 1) & (missed->cap - 1);
    missed->count--;
    gateway_notice_release(notice);
}

static bool missed_grow(gateway_missed *missed)
{
    uint32_t cap = missed->cap == 0 ? MISSED_FIRST_CAP : missed->cap * 2;
    gateway_notice **ring = dure_mem_alloc_array(cap, sizeof *ring);
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < missed->count; i++) {
        ring[i] = missed->ring[(missed->first + i) & (missed->cap - 1)];
    }
    dure_mem_free(missed->ring);
    missed->ring = ring;
    missed->cap = cap;
    missed->first = 0;
    return true;
}

static bool missed_has_room(gateway_missed *missed)
{
    if (missed->count < missed->cap) {
        return true;
    }
    if (missed->cap == GATEWAY_MISSED_MAX) {
        missed_pop(missed);
        return true;
    }
    return missed_grow(missed);
}

void gateway_missed_push(gateway_missed *missed, gateway_notice *notice)
{
    missed->total++;
    if (notice == NULL || !missed_has_room(missed)) {
        while (missed->count > 0) {
            missed_pop(missed);
        }
        return;
    }
    notice->refs++;
    missed->ring[(missed->first + missed->count) & (missed->cap - 1)] = notice;
    missed->count++;
    missed->bytes += notice_bytes(notice);
    while (missed->bytes > GATEWAY_MISSED_BYTES_MAX) {
        missed_pop(missed);
    }
}

const gateway_notice *gateway_missed_at(const gateway_missed *missed, uint64_t before)
{
    DURE_ASSERT(before >= gateway_missed_gone(missed));
    DURE_ASSERT(before < missed->total);
    uint32_t index = (uint32_t)(before - gateway_missed_gone(missed));
    return missed->ring[(missed->first + index) & (missed->cap - 1)];
}

void gateway_missed_fini(gateway_missed *missed)
{
    while (missed->count > 0) {
        missed_pop(missed);
    }
    dure_mem_free(missed->ring);
    memset(missed, 0, sizeof *missed);
}
