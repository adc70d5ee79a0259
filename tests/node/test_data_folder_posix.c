/* SPDX-License-Identifier: MIT
 *
 * A node uses a data folder only where nobody else gets at it, says what is wrong and what to type,
 * and what it puts there is its user's alone. The rows that need another user run as the superuser.
 */
#include "node/data_folder.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "greeter.h"
#include "iocp/core_sim.h"
#include "support/check.h"

#define SOMEBODY  12345u /* a user that need not exist */
#define LOG_BYTES 65536u

typedef struct place {
    char top[512];  /* of the test */
    char data[600]; /* the data folder */
    char node[700]; /* the node's own */
    dure_buf log_text;
    dure_err started;
} place;

static void place_log(void *ctx, const char *line, size_t len)
{
    DURE_CHECK_OK(dure_buf_append(&((place *)ctx)->log_text, line, len));
}

static bool place_logged(const place *at, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= at->log_text.len; i++) {
        if (memcmp(at->log_text.data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static void place_open(place *at)
{
    *at = (place){.started = DURE_OK};
    dure_buf_init(&at->log_text, LOG_BYTES);
    DURE_REQUIRE_OK(dure_file_make_temp_folder("dure-test", at->top, sizeof at->top));
    (void)snprintf(at->data, sizeof at->data, "%s/data", at->top);
    (void)snprintf(at->node, sizeof at->node, "%s/greeter-1", at->data);
}

static void place_close(place *at)
{
    DURE_CHECK_OK(dure_file_remove_folder(at->top));
    dure_buf_fini(&at->log_text);
}

static void on_ended(dure_node *node, int exit_code, void *ctx)
{
    (void)node;
    *(int *)ctx = exit_code;
}

/* Starts a node with that data folder, in a simulated world above real files, and stops it. */
static void place_run(place *at)
{
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    dure_sim_world *world = NULL;
    dure_iocp_core *core = NULL;
    dure_log *log = NULL;
    dure_node *node = NULL;
    dure_sim_config world_config;
    dure_iocp_core_config core_config;
    int exit_code = -1;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", at->data, &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "greeter", "dure-greeter", NULL));
    DURE_REQUIRE_OK(dure_registry_builder_node(builder, "greeter-1", "greeter", "127.0.0.1", 0, 0));
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    dure_sim_config_init(&world_config);
    DURE_REQUIRE_OK(dure_sim_world_create(&world_config, &world));
    dure_iocp_core_config_init(&core_config);
    core_config.backend = DURE_BACKEND_SIM;
    core_config.sim = world;
    DURE_REQUIRE_OK(dure_iocp_core_create(&core_config, &core));
    const dure_log_config log_config = {.level = DURE_LOG_INFO, .sink = place_log, .ctx = at};
    DURE_REQUIRE_OK(dure_log_create(&log_config, &log));
    const dure_node_config config = {.registry = registry,
                                     .node_id = "greeter-1",
                                     .role = &greeter_role,
                                     .core = core,
                                     .log = log,
                                     .on_ended = on_ended,
                                     .ctx = &exit_code};
    DURE_REQUIRE_OK(dure_node_create(&config, &node));
    at->started = dure_node_start(node);
    greeter *role = dure_node_state(node);
    dure_node_stop(node);
    dure_sim_run_for(world, 20000);
    DURE_CHECK_EQ(exit_code, at->started == DURE_OK ? 0 : 1);
    dure_node_destroy(node);
    dure_mem_free(role);
    dure_sim_run_for(world, 1000);
    dure_log_destroy(log);
    dure_iocp_core_destroy(core);
    dure_sim_world_destroy(world);
    dure_registry_destroy(registry);
}

static void the_mode_decides(void)
{
    static const struct {
        mode_t data;
        mode_t node;
        dure_err started;
        const char *said; /* in the log; NULL: nothing about folders */
    } rows[] = {
        {0700, 0700, DURE_OK, NULL},
        {0500, 0700, DURE_OK, NULL},
        {0700, 0755, DURE_ERR_PERMISSION, "mode 0755 lets everybody in: chmod 700 '"},
        {0700, 0777, DURE_ERR_PERMISSION, "mode 0777"},
        {0700, 0701, DURE_ERR_PERMISSION, "mode 0701 lets everybody in"},
        {0700, 0704, DURE_ERR_PERMISSION, "mode 0704"},
        {0755, 0700, DURE_ERR_PERMISSION, "mode 0755"},
        {0777, 0777, DURE_ERR_PERMISSION, "mode 0777"},
        {0700, 0750, DURE_OK, "mode 0750 lets its group in: chmod 700 '"},
        {0770, 0700, DURE_OK, "mode 0770 lets its group in"},
        {0700, 0710, DURE_OK, "mode 0710"},
    };
    for (size_t i = 0; i < DURE_COUNT_OF(rows); i++) {
        place at;
        place_open(&at);
        DURE_REQUIRE_OK(dure_file_make_folder(at.node, DURE_FILE_OWNER_ONLY));
        DURE_REQUIRE(chmod(at.node, rows[i].node) == 0);
        DURE_REQUIRE(chmod(at.data, rows[i].data) == 0);
        place_run(&at);
        DURE_CHECK_ERR(at.started, rows[i].started);
        DURE_CHECK_EQ(place_logged(&at, "DATA_REFUSED"), rows[i].started != DURE_OK);
        DURE_CHECK_EQ(place_logged(&at, "DATA_SHARED"),
                      rows[i].started == DURE_OK && rows[i].said != NULL);
        if (rows[i].said != NULL) {
            DURE_CHECK(place_logged(&at, rows[i].said));
        }
        /* What was refused has nothing put into it. */
        char path[800];
        (void)snprintf(path, sizeof path, "%s/lock", at.node);
        DURE_CHECK_EQ(dure_file_exists(path), rows[i].started == DURE_OK);
        place_close(&at);
    }
}

static void into_a_folder_that_is_refused_no_other_is_made(void)
{
    place at;
    place_open(&at);
    DURE_REQUIRE_OK(dure_file_make_folder(at.data, DURE_FILE_OWNER_ONLY));
    DURE_REQUIRE(chmod(at.data, 0755) == 0);
    place_run(&at);
    DURE_CHECK_ERR(at.started, DURE_ERR_PERMISSION);
    DURE_CHECK(!dure_file_exists(at.node));
    place_close(&at);
}

static void what_the_node_makes_is_its_users_alone(void)
{
    struct stat status;
    place at;
    place_open(&at);
    place_run(&at);
    DURE_CHECK_OK(at.started);
    DURE_CHECK(stat(at.data, &status) == 0 && (status.st_mode & 0777u) == 0700);
    DURE_CHECK(stat(at.node, &status) == 0 && (status.st_mode & 0777u) == 0700);
    place_close(&at);
}

/* Also a file that is made by a library, which asks for more. */
static void files_are_made_for_one_user(void)
{
    struct stat status;
    place at;
    place_open(&at);
    mode_t before = umask(022);
    dure_data_folder_make_private_files();
    FILE *file = fopen(at.data, "we");
    DURE_REQUIRE(file != NULL);
    DURE_CHECK(fclose(file) == 0);
    (void)umask(before);
    DURE_CHECK(stat(at.data, &status) == 0 && (status.st_mode & 0777u) == 0600);
    place_close(&at);
}

static void a_link_of_ones_own_is_followed(void)
{
    char real[600];
    place at;
    place_open(&at);
    (void)snprintf(real, sizeof real, "%s/real", at.top);
    DURE_REQUIRE_OK(dure_file_make_folder(real, DURE_FILE_OWNER_ONLY));
    DURE_REQUIRE(symlink(real, at.data) == 0);
    place_run(&at);
    DURE_CHECK_OK(at.started);
    DURE_REQUIRE(chmod(real, 0755) == 0); /* and what it leads to is looked at */
    place_run(&at);
    DURE_CHECK_ERR(at.started, DURE_ERR_PERMISSION);
    place_close(&at);
}

static void what_is_another_users_is_refused(void)
{
    if (geteuid() != 0) {
        return; /* only the superuser gives things away */
    }
    for (int what = 0; what < 4; what++) {
        char real[600];
        place at;
        place_open(&at);
        (void)snprintf(real, sizeof real, "%s/real", at.top);
        DURE_REQUIRE_OK(dure_file_make_folder(at.node, DURE_FILE_OWNER_ONLY));
        if (what == 0) {
            DURE_REQUIRE(chown(at.node, SOMEBODY, SOMEBODY) == 0);
        } else if (what == 1) {
            DURE_REQUIRE(chown(at.data, SOMEBODY, SOMEBODY) == 0);
        } else if (what == 2) {
            DURE_REQUIRE(rename(at.data, real) == 0 && symlink(real, at.data) == 0);
            DURE_REQUIRE(lchown(at.data, SOMEBODY, SOMEBODY) == 0);
        } else {
            DURE_REQUIRE(rename(at.node, real) == 0 && symlink(real, at.node) == 0);
            DURE_REQUIRE(lchown(at.node, SOMEBODY, SOMEBODY) == 0);
        }
        place_run(&at);
        DURE_CHECK_ERR(at.started, DURE_ERR_PERMISSION);
        DURE_CHECK(place_logged(&at, "DATA_REFUSED"));
        DURE_CHECK(place_logged(&at, "of the user 12345"));
        DURE_CHECK(place_logged(&at, "chown -h 0 '"));
        place_close(&at);
    }
}

static void a_slash_behind_a_link_hides_it_not(void)
{
    char text[DURE_DATA_FOLDER_TEXT_MAX];
    char real[600];
    char path[610];
    dure_data_folder_access access = DURE_DATA_FOLDER_PRIVATE;
    place at;
    place_open(&at);
    (void)snprintf(real, sizeof real, "%s/real", at.top);
    (void)snprintf(path, sizeof path, "%s//", at.data);
    DURE_REQUIRE_OK(dure_file_make_folder(real, DURE_FILE_OWNER_ONLY));
    DURE_REQUIRE(symlink(real, at.data) == 0);
    DURE_CHECK_OK(dure_data_folder_look(path, &access, text));
    DURE_CHECK_EQ(access, DURE_DATA_FOLDER_PRIVATE);
    DURE_CHECK_STR(text, "");
    if (geteuid() == 0) {
        DURE_REQUIRE(lchown(at.data, SOMEBODY, SOMEBODY) == 0);
        DURE_CHECK_OK(dure_data_folder_look(path, &access, text));
        DURE_CHECK_EQ(access, DURE_DATA_FOLDER_OPEN);
    }
    DURE_CHECK_OK(dure_data_folder_look("/", &access, text));
    DURE_CHECK_EQ(access, DURE_DATA_FOLDER_OPEN);
    DURE_CHECK_ERR(dure_data_folder_look(real + 1, &access, text), DURE_ERR_NOT_FOUND);
    place_close(&at);
}

DURE_SUITE(node_data_folder_posix, DURE_TEST(the_mode_decides),
           DURE_TEST(into_a_folder_that_is_refused_no_other_is_made),
           DURE_TEST(what_the_node_makes_is_its_users_alone),
           DURE_TEST(files_are_made_for_one_user), DURE_TEST(a_link_of_ones_own_is_followed),
           DURE_TEST(what_is_another_users_is_refused),
           DURE_TEST(a_slash_behind_a_link_hides_it_not));
