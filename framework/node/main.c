/* SPDX-License-Identifier: MIT
 *
 * The main of a node program: options, configuration, one node on this thread.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cluster/registry_json.h"
#include "node/data_folder.h"
#include "node/exit_codes.h"
#include "node/node.h"
#include "node/process.h"
#include "node/resources.h"
#include "node/version.h"

#define MAIN_SETS_MAX 256

typedef struct node_options {
    const char *program;
    const char *config;
    const char *node_id;
    const char *log_level;
    const char *log_format;
    const char *sets[MAIN_SETS_MAX];
    size_t set_count;
} node_options;

typedef struct node_program {
    dure_registry *registry;
    dure_log *log;
    dure_iocp_core *core;
    dure_node *node;
    dure_stop_signals *signals;
    int exit_code;
} node_program;

static void main_help(FILE *out, const char *program, const dure_role *role)
{
    (void)fprintf(
        out,
        "usage: %s --config FILE --node ID [--set PATH=VALUE]...\n"
        "          [--log-level LEVEL] [--log-format FORMAT] [--help] [--version]\n"
        "\n"
        "Runs one node of the role %s until SIGTERM or Ctrl-C; a second one ends it at once.\n"
        "\n"
        "  --config FILE        the cluster's JSON file\n"
        "  --node ID            which of its nodes this is\n"
        "  --set PATH=VALUE     overrides a value of the file, such as "
        "'nodes[0].client_port=7000'\n"
        "  --log-level LEVEL    debug, info, warn, error or off\n"
        "  --log-format FORMAT  logfmt or json (default: logfmt on a terminal, else json)\n"
        "\n"
        "Environment: DURE_SET, DURE_BACKEND (auto, uring, epoll), DURE_SECRET,\n"
        "DURE_LOG_FORMAT. Exit codes: 0 good, 1 failed, 2 usage, 75 to be started again (`dure\n"
        "restart`), 78 configuration.\n",
        program, role->name);
}

static int main_usage(const node_options *options, const dure_role *role, const char *what)
{
    if (what != NULL) {
        (void)fprintf(stderr, "%s: %s\n", options->program, what);
    }
    main_help(stderr, options->program, role);
    return DURE_EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int main_options(node_options *options, int argc, char **argv, const dure_role *role)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},     {"node", required_argument, NULL, 'n'},
        {"set", required_argument, NULL, 's'},        {"log-level", required_argument, NULL, 'l'},
        {"log-format", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'n':
            options->node_id = optarg;
            break;
        case 's':
            DURE_ASSERT(options->set_count <= MAIN_SETS_MAX);
            if (options->set_count == MAIN_SETS_MAX) {
                return main_usage(options, role, "too many --set");
            }
            options->sets[options->set_count++] = optarg;
            break;
        case 'l':
            options->log_level = optarg;
            break;
        case 'f':
            options->log_format = optarg;
            break;
        case 'h':
            main_help(stdout, options->program, role);
            return DURE_EXIT_OK;
        case 'v':
            (void)printf("%s %s\n", options->program, DURE_VERSION);
            return DURE_EXIT_OK;
        default:
            return main_usage(options, role, NULL);
        }
    }
    if (optind < argc) {
        return main_usage(options, role, "there are no arguments without --");
    }
    if (options->config == NULL || options->node_id == NULL) {
        return main_usage(options, role, "--config and --node are needed");
    }
    return -1;
}

static void main_print_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", line);
}

static int main_load(node_program *program, const node_options *options)
{
    dure_registry_source source;
    dure_registry_report report;
    dure_registry_source_init(&source, options->config);
    dure_registry_source_from_environment(&source);
    source.sets = options->sets;
    source.set_count = options->set_count;
    dure_registry_report_init(&report);
    dure_err err = dure_registry_load(&source, &program->registry, &report);
    dure_registry_report_print(&report, main_print_line, NULL);
    dure_registry_report_fini(&report);
    if (err == DURE_OK) {
        return DURE_EXIT_OK;
    }
    return err == DURE_ERR_CONFIG ? DURE_EXIT_CONFIG : DURE_EXIT_FAILED;
}

/* Whether the option, else the environment, else the place of stderr asks for JSON. -1: neither. */
static int main_is_json(const node_options *options)
{
    const char *format =
        options->log_format != NULL ? options->log_format : getenv("DURE_LOG_FORMAT");
    if (format == NULL || format[0] == '\0') {
        return dure_process_has_terminal() ? 0 : 1;
    }
    return strcmp(format, "json") == 0 ? 1 : strcmp(format, "logfmt") == 0 ? 0 : -1;
}

static int main_make_log(node_program *program, const node_options *options)
{
    dure_log_config config = {.node = options->node_id, .clock = dure_process_wall_ms};
    const char *level = options->log_level != NULL
                            ? options->log_level
                            : dure_registry_settings_of(program->registry)->log_level;
    int is_json = main_is_json(options);
    if (dure_log_level_parse(level, &config.level) != DURE_OK) {
        (void)fprintf(stderr, "%s: --log-level: \"%s\" is none of debug, info, warn, error, off\n",
                      options->program, level);
        return DURE_EXIT_USAGE;
    }
    if (is_json < 0) {
        (void)fprintf(stderr, "%s: --log-format: neither logfmt nor json\n", options->program);
        return DURE_EXIT_USAGE;
    }
    config.format = is_json == 1 ? DURE_LOG_JSON : DURE_LOG_LOGFMT;
    return dure_log_create(&config, &program->log) == DURE_OK ? DURE_EXIT_OK : DURE_EXIT_FAILED;
}

static void main_on_ended(dure_node *node, int exit_code, void *ctx)
{
    node_program *program = ctx;
    (void)node;
    program->exit_code = exit_code;
    dure_iocp_core_stop(program->core);
}

static void main_on_signal(void *ctx)
{
    dure_node_stop(((node_program *)ctx)->node);
}

/* The limit that a process is started with is made for programs that use select(2), not for
 * servers.
 */
static void main_raise_descriptors(const node_program *program)
{
    uint32_t before = node_resources_raise_descriptors();
    uint32_t now = node_resources_descriptors_max();
    if (now != before) {
        dure_log_write(program->log, DURE_LOG_INFO, "node", "DESCRIPTORS_RAISED", "from=%u to=%u",
                       before, now);
    }
}

static int main_make_core(node_program *program, const node_options *options)
{
    dure_iocp_core_config config;
    dure_iocp_core_config_init(&config);
    const dure_registry_settings *settings = dure_registry_settings_of(program->registry);
    const char *backend = settings->backend;
    config.log = program->log;
    config.accepts_max = settings->accepts_outstanding;
    dure_err err = dure_backend_parse(backend, &config.backend);
    if (err == DURE_OK) {
        err = dure_iocp_core_create(&config, &program->core);
    }
    if (err != DURE_OK) {
        (void)fprintf(stderr, "%s: the back end \"%s\" cannot be used: %s\n", options->program,
                      backend, dure_err_text(err));
        return DURE_EXIT_FAILED;
    }
    return DURE_EXIT_OK;
}

static int main_make_node(node_program *program, const node_options *options, const dure_role *role)
{
    dure_node_config config = {
        .registry = program->registry,
        .node_id = options->node_id,
        .role = role,
        .core = program->core,
        .log = program->log,
        .on_ended = main_on_ended,
        .ctx = program,
    };
    dure_err err = dure_node_create(&config, &program->node);
    if (err == DURE_ERR_NOT_CONFIGURED) {
        (void)fprintf(stderr, "%s: --node: \"%s\" is not a node of %s\n", options->program,
                      options->node_id, options->config);
        return DURE_EXIT_CONFIG;
    }
    if (err == DURE_ERR_INVALID) {
        (void)fprintf(stderr, "%s: --node: \"%s\" is not of the role %s\n", options->program,
                      options->node_id, role->name);
        return DURE_EXIT_CONFIG;
    }
    return err == DURE_OK ? DURE_EXIT_OK : DURE_EXIT_FAILED;
}

static int main_run(node_program *program)
{
    DURE_ASSERT(program->node != NULL);
    dure_err err = dure_stop_signals_create(main_on_signal, program, &program->signals);
    if (err != DURE_OK) {
        return DURE_EXIT_FAILED;
    }
    /* A node that could not start ends by itself, with its own exit code. */
    err = dure_node_start(program->node);
    dure_iocp_core_run(program->core);
    return err != DURE_OK && program->exit_code == DURE_EXIT_OK ? DURE_EXIT_FAILED
                                                                : program->exit_code;
}

int dure_node_main(int argc, char **argv, const dure_role *role)
{
    dure_process_arguments(&argc, &argv);
    dure_data_folder_make_private_files();
    node_options options = {.program = argv[0]};
    node_program program = {0};
    int code = main_options(&options, argc, argv, role);
    if (code >= 0) {
        return code;
    }
    code = main_load(&program, &options);
    code = code == DURE_EXIT_OK ? main_make_log(&program, &options) : code;
    if (code == DURE_EXIT_OK) {
        main_raise_descriptors(&program);
    }
    code = code == DURE_EXIT_OK ? main_make_core(&program, &options) : code;
    code = code == DURE_EXIT_OK ? main_make_node(&program, &options, role) : code;
    code = code == DURE_EXIT_OK ? main_run(&program) : code;
    /* First who names the node from another thread, then what he may have posted, then the node. */
    bool was_running = program.signals != NULL;
    dure_stop_signals_destroy(program.signals);
    if (was_running) {
        (void)dure_iocp_core_run_once(program.core, 0);
    }
    dure_node_destroy(program.node);
    dure_iocp_core_destroy(program.core);
    dure_log_destroy(program.log);
    dure_registry_destroy(program.registry);
    return code;
}
