/* SPDX-License-Identifier: MIT
 *
 * Who is where on a game node.
 */
#include "nodes/game/world.h"

#include "support/check.h"
#include "wire/cursor.h"

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
    uint32_t count = 0;
    DURE_CHECK_OK(world_pack_names(b->room, WORLD_NAMES_MAX, &out, &count));
    DURE_CHECK_EQ(count, 3);
    static const uint8_t sorted[] = {0x93, 0xa1, 'a', 0xa1, 'b', 0xa1, 'c'};
    DURE_CHECK_BYTES(out.data, out.len, sorted, sizeof sorted);
    dure_buf_fini(&out);
    world_destroy(w);
}

/* An answer that grew with the room would fill a link where many come in at once. */
static void names_of_a_crowd_are_those_who_came_last(void)
{
    world *w = NULL;
    world_player *last = NULL;
    char name[16];
    DURE_REQUIRE_OK(world_create(&w));
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "p%03u", i);
        last = enter(w, name, "arena", i + 1);
    }
    static const struct {
        uint32_t max, count;
        const char *first;
    } rows[] = {
        {0, 0, NULL}, {1, 1, "p999"}, {7, 7, "p993"}, {100, 100, "p900"}, {5000, 100, "p900"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dure_buf out;
        uint32_t count = 0;
        uint32_t packed = 0;
        dure_str first = {"", 0};
        dure_buf_init(&out, 65536);
        DURE_CHECK_OK(world_pack_names(last->room, rows[i].max, &out, &count));
        dure_cursor cursor = dure_cursor_of(out.data, out.len);
        DURE_CHECK_OK(dure_cursor_array(&cursor, &packed));
        DURE_CHECK_EQ(count, rows[i].count);
        DURE_CHECK_EQ(packed, count);
        if (rows[i].first != NULL) {
            DURE_CHECK_OK(dure_cursor_str(&cursor, &first));
            DURE_CHECK(dure_str_equal(first, dure_str_of(rows[i].first)));
        }
        dure_buf_fini(&out);
    }
    world_destroy(w);
}

DURE_SUITE(nodes_world, DURE_TEST(a_room_lives_as_long_as_somebody_is_in_it),
           DURE_TEST(a_player_is_found_by_its_present_client_alone), DURE_TEST(names_come_sorted),
           DURE_TEST(names_of_a_crowd_are_those_who_came_last));
