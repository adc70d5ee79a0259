/* SPDX-License-Identifier: MIT
 *
 * Routing tables: names, the least busy, and keys that stay where they were when nodes come.
 */
#include "cluster/router.h"

#include "support/check.h"

static dure_registry *games_of(uint32_t count)
{
    const char *const dials[] = {"game", NULL};
    const char *const nobody[] = {NULL};
    dure_registry_builder *builder = NULL;
    dure_registry *registry = NULL;
    DURE_REQUIRE_OK(dure_registry_builder_create("test", "var", &builder));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "gateway", "dure-gateway", dials));
    DURE_REQUIRE_OK(dure_registry_builder_role(builder, "game", "dure-game", nobody));
    DURE_REQUIRE_OK(
        dure_registry_builder_node(builder, "gateway-1", "gateway", "127.0.0.1", 7801, 7777));
    for (uint32_t i = 1; i <= count; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "game-%u", i);
        DURE_REQUIRE_OK(
            dure_registry_builder_node(builder, id, "game", "127.0.0.1", (uint16_t)(7810 + i), 0));
    }
    DURE_REQUIRE_OK(dure_registry_builder_finish(builder, &registry));
    return registry;
}

static void names_are_found_whoever_owns_the_string(void)
{
    dure_registry *registry = games_of(2);
    dure_router *router = NULL;
    char copy[] = "game-2";
    DURE_REQUIRE_OK(dure_router_create(registry, &router));
    const uint32_t node = dure_router_find_node(router, copy);
    DURE_REQUIRE(node != DURE_ROUTER_NONE);
    DURE_CHECK_STR(dure_registry_node_at(registry, node)->id, "game-2");
    DURE_CHECK_EQ(dure_router_find_node(router, "game-3"), DURE_ROUTER_NONE);
    DURE_REQUIRE(dure_router_find_role(router, "game") != NULL);
    DURE_CHECK_EQ(dure_router_find_role(router, "game")->node_count, 2);
    DURE_CHECK(dure_router_find_role(router, "db") == NULL);
    dure_router_destroy(router);
    dure_registry_destroy(registry);
}

typedef struct loads {
    uint32_t of[8];
} loads;

static uint32_t load_of(void *ctx, uint32_t node)
{
    return ((loads *)ctx)->of[node];
}

static void the_least_busy_gets_the_call(void)
{
    dure_registry *registry = games_of(3);
    dure_router *router = NULL;
    DURE_REQUIRE_OK(dure_router_create(registry, &router));
    const dure_router_role *games = dure_router_find_role(router, "game");
    DURE_REQUIRE(games != NULL);
    loads busy = {{0, 5, 3, 4}};
    for (uint32_t turn = 0; turn < 5; turn++) {
        DURE_CHECK_EQ(dure_router_least(games, turn, load_of, &busy), 2);
    }
    loads down = {{0, UINT32_MAX, UINT32_MAX, 9}};
    DURE_CHECK_EQ(dure_router_least(games, 0, load_of, &down), 3);
    loads none = {{0, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    DURE_CHECK_EQ(dure_router_least(games, 0, load_of, &none), DURE_ROUTER_NONE);
    loads equal = {{0, 1, 1, 1}};
    uint32_t seen[8] = {0};
    for (uint32_t turn = 0; turn < 6; turn++) {
        seen[dure_router_least(games, turn, load_of, &equal)]++;
    }
    DURE_CHECK_EQ(seen[1], 2);
    DURE_CHECK_EQ(seen[2], 2);
    DURE_CHECK_EQ(seen[3], 2);
    dure_router_destroy(router);
    dure_registry_destroy(registry);
}

#define KEYS 3000

static const char *owner_of(const dure_registry *registry, const dure_router *router, int key)
{
    char text[32];
    (void)snprintf(text, sizeof text, "room-%d", key);
    const uint32_t node =
        dure_router_of_key(router, dure_router_find_role(router, "game"), dure_str_of(text));
    return node == DURE_ROUTER_NONE ? "" : dure_registry_node_at(registry, node)->id;
}

static void a_new_node_takes_its_share_and_moves_nothing_else(void)
{
    dure_registry *two = games_of(2);
    dure_registry *three = games_of(3);
    dure_router *before = NULL;
    dure_router *after = NULL;
    int moved = 0;
    int moved_elsewhere = 0;
    DURE_REQUIRE_OK(dure_router_create(two, &before));
    DURE_REQUIRE_OK(dure_router_create(three, &after));
    for (int key = 0; key < KEYS; key++) {
        const char *old_owner = owner_of(two, before, key);
        const char *new_owner = owner_of(three, after, key);
        if (strcmp(old_owner, new_owner) != 0) {
            moved++;
            moved_elsewhere += strcmp(new_owner, "game-3") != 0;
        }
    }
    DURE_CHECK_EQ(moved_elsewhere, 0);
    DURE_CHECK(moved > KEYS / 3 - 150);
    DURE_CHECK(moved < KEYS / 3 + 150);
    dure_router_destroy(before);
    dure_router_destroy(after);
    dure_registry_destroy(two);
    dure_registry_destroy(three);
}

static void where_a_key_lives_does_not_change_with_releases(void)
{
    dure_registry *registry = games_of(2);
    dure_router *router = NULL;
    DURE_REQUIRE_OK(dure_router_create(registry, &router));
    const char *lobby = "lobby";
    const uint32_t node =
        dure_router_of_key(router, dure_router_find_role(router, "game"), dure_str_of(lobby));
    DURE_REQUIRE(node != DURE_ROUTER_NONE);
    /* Written down once: old and new nodes side by side must agree. */
    DURE_CHECK_STR(dure_registry_node_at(registry, node)->id, "game-1");
    dure_router_destroy(router);
    dure_registry_destroy(registry);
}

DURE_SUITE(cluster_router, DURE_TEST(names_are_found_whoever_owns_the_string),
           DURE_TEST(the_least_busy_gets_the_call),
           DURE_TEST(a_new_node_takes_its_share_and_moves_nothing_else),
           DURE_TEST(where_a_key_lives_does_not_change_with_releases));
