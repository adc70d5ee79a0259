/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz driver over files: the kept corpus in every normal build, or one input that libFuzzer
 * found. Each input is also run with each of its bytes changed and each of its ends cut.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"

#define INPUT_MAX 65536

/* In memory of exactly this size, so that the address sanitizer sees a read past it. */
static int run_cut(const uint8_t *data, size_t len)
{
    uint8_t *copy = dure_mem_alloc(len > 0 ? len : 1);
    if (copy == NULL) {
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        copy[i] = data[i];
    }
    (void)LLVMFuzzerTestOneInput(copy, len);
    dure_mem_free(copy);
    return 0;
}

static int run_changed(dure_buf *input)
{
    static const uint8_t changes[] = {0x01, 0x10, 0x80, 0xff};
    for (size_t i = 0; i < input->len; i++) {
        const uint8_t before = input->data[i];
        for (size_t k = 0; k < sizeof changes; k++) {
            input->data[i] = before ^ changes[k];
            if (run_cut(input->data, input->len) != 0) {
                return 1;
            }
        }
        input->data[i] = before;
    }
    return 0;
}

static int run_file(const char *path)
{
    dure_buf input;
    dure_buf_init(&input, INPUT_MAX);
    int status = dure_file_read(path, &input) == DURE_OK ? 0 : 1;
    for (size_t len = 0; status == 0 && len <= input.len; len++) {
        status = run_cut(input.data, len);
    }
    if (status == 0) {
        status = run_changed(&input);
    }
    if (status != 0) {
        fprintf(stderr, "%s cannot be run\n", path);
    }
    dure_buf_fini(&input);
    return status;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (run_file(argv[i]) != 0) {
            return 1;
        }
    }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 2;
}
