/* SPDX-License-Identifier: MIT
 *
 * Runs the contract suite against the back end named on the command line: sim, epoll, uring, win32,
 * or auto with the name that auto must come to. Exits with 77 where the system forbids the back
 * end.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "contract/rig.h"

extern const dure_test_case suite_contract_connect[];
extern const dure_test_case suite_contract_transfer[];
extern const dure_test_case suite_contract_share[];
extern const dure_test_case suite_contract_core[];
extern const dure_test_case suite_contract_limits[];
extern const dure_test_case suite_contract_platform[]; /* test_platform_<platform>.c */

static const struct {
    const char *name;
    const dure_test_case *cases;
} suites[] = {
    {"connect", suite_contract_connect}, {"transfer", suite_contract_transfer},
    {"share", suite_contract_share},     {"core", suite_contract_core},
    {"limits", suite_contract_limits},   {"platform", suite_contract_platform},
};

#define EXIT_SKIPPED 77

/* Whether a core of this choice can be made here, and has the name that it should have. */
static int probe(dure_backend_choice choice, const char *expected)
{
    dure_iocp_core *core = NULL;
    dure_iocp_core_config config;
    dure_log *log = NULL;
    const dure_log_config log_config = {.level = DURE_LOG_INFO};
    if (choice == DURE_BACKEND_SIM) {
        return 0;
    }
    if (dure_log_create(&log_config, &log) != DURE_OK) {
        return 2;
    }
    dure_iocp_core_config_init(&config);
    config.backend = choice;
    config.log = log;
    dure_err err = dure_iocp_core_create(&config, &core);
    int result = err == DURE_OK ? 0 : err == DURE_ERR_UNSUPPORTED ? EXIT_SKIPPED : 2;
    if (err == DURE_OK && expected != NULL &&
        strcmp(dure_iocp_core_backend_name(core), expected) != 0) {
        fprintf(stderr, "auto came to %s, not to %s\n", dure_iocp_core_backend_name(core),
                expected);
        result = 1;
    }
    dure_iocp_core_destroy(core);
    dure_log_destroy(log);
    return result;
}

static int add_suites(void)
{
    for (size_t i = 0; i < DURE_COUNT_OF(suites); i++) {
        CU_pSuite suite = CU_add_suite(suites[i].name, NULL, NULL);
        for (const dure_test_case *one = suites[i].cases; one->name != NULL; one++) {
            if (suite == NULL || CU_add_test(suite, one->name, one->run) == NULL) {
                return -1;
            }
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    dure_backend_choice choice = DURE_BACKEND_SIM;
    if (argc < 2 || dure_backend_parse(argv[1], &choice) != DURE_OK) {
        fprintf(stderr, "usage: test_contract sim|epoll|uring|win32|auto [the name expected]\n");
        return 2;
    }
    rig_choose(choice);
    int probed = probe(choice, argc > 2 ? argv[2] : NULL);
    if (probed != 0) {
        return probed;
    }
    if (CU_initialize_registry() != CUE_SUCCESS || add_suites() != 0) {
        return 2;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed == 0 ? 0 : 1;
}
