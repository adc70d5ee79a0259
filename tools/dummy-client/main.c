/* SPDX-License-Identifier: MIT
 *
 * dummy-client: a client for trying things out, and for load. See the help below.
 */
#include <stdio.h>
#include <string.h>

#include "tools/dummy-client/client.h"

static const char help[] =
    "usage: dummy-client [--host 127.0.0.1] [--port 7777] [--raw] [--count N]\n"
    "       dummy-client [--host H] [--port P] [--raw] [--json] --sessions N | --rate R |\n"
    "                    --size B | --seconds S ...\n"
    "\n"
    "Calls echo [\"Hello World!\"] at a gateway, prints what comes back and calls again a\n"
    "second later, until Ctrl-C or, with --count, until so many answers have come.\n"
    "\n"
    "With one of these it is a load generator that measures from the time at which each\n"
    "request was due:\n"
    "  --sessions N  connections (1)\n"
    "  --rate R      requests a second, all connections together (1000)\n"
    "  --size B      bytes of the text sent, 1 to 60000 (32)\n"
    "  --seconds S   how long (10)\n"
    "  --json        the result as one line of JSON\n"
    "\n"
    "  --raw         bare bytes instead of calls, for echo-server\n"
    "\n"
    "It never logs in, and a gateway closes who has not after client_login_ms (30 s): start the\n"
    "gateway with --set client_login_ms=0 for more than that.\n"
    "\n"
    "DURE_BACKEND chooses the back end: auto, epoll or uring.\n"
    "Exit code: 0 good, 1 something was lost or failed, 2 usage.\n";

typedef struct number_option {
    const char *name;
    uint32_t max;
    bool is_load;
    size_t offset; /* of a uint32_t in dummy_options */
} number_option;

static const number_option number_options[] = {
    {"--sessions", 100000, true, offsetof(dummy_options, sessions)},
    {"--rate", 10000000, true, offsetof(dummy_options, rate)},
    {"--size", DUMMY_SIZE_MAX, true, offsetof(dummy_options, size)},
    {"--seconds", 86400, true, offsetof(dummy_options, seconds)},
    {"--count", 1000000000, false, offsetof(dummy_options, count)},
};

static bool parse_number(dummy_options *options, const char *name, const char *value)
{
    uint64_t number = 0;
    if (strcmp(name, "--port") == 0) {
        bool is_port = dure_program_number(value, 1, 65535, &number) == DURE_OK;
        options->port = (uint16_t)number;
        return is_port;
    }
    for (size_t i = 0; i < DURE_COUNT_OF(number_options); i++) {
        const number_option *option = &number_options[i];
        if (strcmp(name, option->name) != 0) {
            continue;
        }
        if (dure_program_number(value, 1, option->max, &number) != DURE_OK) {
            return false;
        }
        uint32_t small = (uint32_t)number;
        memcpy((char *)options + option->offset, &small, sizeof small);
        options->is_load = options->is_load || option->is_load;
        return true;
    }
    return false;
}

/* One option at argv[*at]; false, and said on stderr, where it is wrong. */
static bool parse_option(dummy_options *options, int argc, char **argv, int *at)
{
    const char *name = argv[*at];
    if (strcmp(name, "--raw") == 0) {
        options->is_raw = true;
        return true;
    }
    if (strcmp(name, "--json") == 0) {
        options->as_json = true;
        options->is_load = true;
        return true;
    }
    const char *value = *at + 1 < argc ? argv[*at + 1] : NULL;
    if (value != NULL) {
        (*at)++;
        if (strcmp(name, "--host") == 0) {
            options->host = value;
            return true;
        }
        if (parse_number(options, name, value)) {
            return true;
        }
    }
    fprintf(stderr, "dummy-client: %s%s%s: not understood; --help tells more\n", name,
            value != NULL ? " " : "", value != NULL ? value : "");
    return false;
}

int main(int argc, char **argv)
{
    dummy_options options = {
        .host = "127.0.0.1",
        .port = 7777,
        .sessions = 1,
        .rate = 1000,
        .size = 32,
        .seconds = 10,
    };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return DURE_EXIT_OK;
        }
        if (!parse_option(&options, argc, argv, &i)) {
            return DURE_EXIT_USAGE;
        }
    }
    return options.is_load ? dummy_load(&options) : dummy_talk(&options);
}
