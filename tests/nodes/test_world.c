/* SPDX-License-Identifier: MIT
 *
 * Who is where on a game node.
 */
#include "nodes/game/world.h"

#include "support/check.h"

static world_client client_of(uint64_t session)
{
    world_client client;
    memset(&client, 0, sizeof client);
    client.session = session;
    return client;
}

static world_player *enter(world *w, const char *name, const char *room, uint64_t session)
{
    world_player *player = NULL;
    DURE_REQUIRE_OK(
        world_enter(w, dure_str_of(name), dure_str_of(room), client_of(session), &player));
    return player;
}

static uint32_t room_count(const world *w)
{
    uint32_t count = 0;
    for (world_room *room = world_next_room(w, NULL); room != NULL;
         room = world_next_room(w, room)) {
        count++;
    }
    return count;
}

static void a_room_lives_as_long_as_somebody_is_in_it(void)
{
    world *w = NULL;
    DURE_REQUIRE_OK(world_create(&w));
    world_player *ada = enter(w, "ada", "arena", 1);
    world_player *bob = enter(w, "bob", "arena", 2);
    DURE_CHECK_EQ(room_count(w), 1);
    DURE_CHECK_EQ(ada->room->player_count, 2);
    DURE_CHECK(enter(w, "ada", "cellar", 1) == ada);
    DURE_CHECK_EQ(room_count(w), 2);
    DURE_CHECK_EQ(ada->room->player_count, 1);
    DURE_CHECK_EQ(bob->room->player_count, 1);
    DURE_CHECK(world_player_in_room(bob->room->players.next) == bob);
    DURE_CHECK(bob->room->players.next->next == &bob->room->players);
    uint64_t id = bob->id;
    world_leave(w, bob);
    DURE_CHECK_EQ(room_count(w), 1);
    DURE_CHECK(world_find_id(w, id) == NULL);
    DURE_CHECK(world_find(w, dure_str_of("bob")) == NULL);
    world_destroy(w);
}

static void a_player_is_found_by_its_present_client_alone(void)
{
    world *w = NULL;
    DURE_REQUIRE_OK(world_create(&w));
    world_player *ada = enter(w, "ada", "arena", 1);
    DURE_CHECK(world_find_client(w, client_of(1)) == ada);
    DURE_CHECK(enter(w, "ada", "arena", 9) == ada);
    DURE_CHECK(world_find_client(w, client_of(1)) == NULL);
    DURE_CHECK(world_find_client(w, client_of(9)) == ada);
    DURE_CHECK_EQ(ada->room->player_count, 1);
    world_destroy(w);
}

static void names_come_sorted(void)
{
    world *w = NULL;
    DURE_REQUIRE_OK(world_create(&w));
    (void)enter(w, "c", "arena", 1);
    (void)enter(w, "a", "arena", 2);
    world_player *b = enter(w, "b", "arena", 3);
    dure_buf out;
    dure_buf_init(&out, 256);
    DURE_CHECK_OK(world_pack_names(b->room, &out));
    static const uint8_t sorted[] = {0x93, 0xa1, 'a', 0xa1, 'b', 0xa1, 'c'};
    DURE_CHECK_BYTES(out.data, out.len, sorted, sizeof sorted);
    dure_buf_fini(&out);
    world_destroy(w);
}

DURE_SUITE(nodes_world, DURE_TEST(a_room_lives_as_long_as_somebody_is_in_it),
           DURE_TEST(a_player_is_found_by_its_present_client_alone), DURE_TEST(names_come_sorted));
