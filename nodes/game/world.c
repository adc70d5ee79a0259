/* SPDX-License-Identifier: MIT
 *
 * The tables, over uthash.
 */
#define HASH_NONFATAL_OOM 1
#include "nodes/game/world.h"

#include <stdlib.h>

#include "base/idtable.h"
#include "base/mem.h"
#include "wire/packer.h"

#define WORLD_PLAYERS_MAX 1000000u
#define WORLD_MOVES_BYTES (1024u * 1024u)

struct world {
    world_player *by_name;
    world_player *by_client;
    world_room *rooms;
    dure_idtable ids;
};

dure_err world_create(world **out_world)
{
    world *w = dure_mem_alloc(sizeof *w);
    if (w == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_idtable_init(&w->ids, WORLD_PLAYERS_MAX);
    *out_world = w;
    return DURE_OK;
}

void world_destroy(world *w)
{
    if (w == NULL) {
        return;
    }
    while (w->by_name != NULL) {
        world_leave(w, w->by_name);
    }
    dure_idtable_fini(&w->ids);
    dure_mem_free(w);
}

/* ---- rooms ---- */

static world_room *world_room_of(world *w, dure_str name)
{
    world_room *room = NULL;
    HASH_FIND(hh, w->rooms, name.data, name.len, room);
    if (room != NULL) {
        return room;
    }
    room = dure_mem_alloc(sizeof *room);
    if (room == NULL) {
        return NULL;
    }
    memcpy(room->name, name.data, name.len);
    dure_list_init(&room->players);
    dure_list_init(&room->in_moved);
    dure_buf_init(&room->moves, WORLD_MOVES_BYTES);
    HASH_ADD(hh, w->rooms, name, name.len, room);
    if (room->hh.tbl == NULL) {
        dure_mem_free(room);
        return NULL;
    }
    return room;
}

static void world_room_drop_if_empty(world *w, world_room *room)
{
    if (room->player_count == 0) {
        HASH_DELETE(hh, w->rooms, room);
        dure_list_remove(&room->in_moved);
        dure_buf_fini(&room->moves);
        dure_mem_free(room);
    }
}

static void world_leave_room(world *w, world_player *player)
{
    world_room *room = player->room;
    player->room = NULL;
    dure_list_remove(&player->in_room);
    room->player_count--;
    world_room_drop_if_empty(w, room);
}

static void world_enter_room(world *w, world_player *player, world_room *room)
{
    if (player->room == room) {
        return;
    }
    if (player->room != NULL) {
        world_leave_room(w, player);
    }
    dure_list_push_back(&room->players, &player->in_room);
    room->player_count++;
    player->room = room;
}

/* ---- players ---- */

static dure_err world_add_player(world *w, dure_str name, world_client client,
                                 world_player **out_player)
{
    world_player *player = dure_mem_alloc(sizeof *player);
    if (player == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    memcpy(player->name, name.data, name.len);
    player->client = client;
    dure_list_init(&player->in_room);
    dure_list_init(&player->in_dirty);
    dure_err err = dure_idtable_add(&w->ids, player, &player->id);
    if (err != DURE_OK) {
        dure_mem_free(player);
        return err;
    }
    HASH_ADD(by_name, w->by_name, name, name.len, player);
    HASH_ADD(by_client, w->by_client, client, sizeof player->client, player);
    *out_player = player;
    return DURE_OK;
}

dure_err world_enter(world *w, dure_str player_name, dure_str room_name, world_client client,
                     world_player **out_player)
{
    if (player_name.len > WORLD_NAME_BYTES_MAX || room_name.len > WORLD_NAME_BYTES_MAX) {
        return DURE_ERR_TOO_LARGE;
    }
    world_room *room = world_room_of(w, room_name);
    if (room == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    world_player *player = world_find(w, player_name);
    if (player == NULL) {
        dure_err err = world_add_player(w, player_name, client, &player);
        if (err != DURE_OK) {
            world_room_drop_if_empty(w, room);
            return err;
        }
    } else {
        HASH_DELETE(by_client, w->by_client, player);
        player->client = client;
        HASH_ADD(by_client, w->by_client, client, sizeof player->client, player);
    }
    world_enter_room(w, player, room);
    *out_player = player;
    return DURE_OK;
}

void world_leave(world *w, world_player *player)
{
    HASH_DELETE(by_name, w->by_name, player);
    HASH_DELETE(by_client, w->by_client, player);
    (void)dure_idtable_remove(&w->ids, player->id);
    dure_list_remove(&player->in_dirty);
    world_leave_room(w, player);
    dure_mem_free(player);
}

world_player *world_find(const world *w, dure_str name)
{
    world_player *player = NULL;
    HASH_FIND(by_name, w->by_name, name.data, name.len, player);
    return player;
}

world_player *world_find_client(const world *w, world_client client)
{
    world_player *player = NULL;
    HASH_FIND(by_client, w->by_client, &client, sizeof client, player);
    return player;
}

world_player *world_find_id(const world *w, uint64_t id)
{
    return dure_idtable_find(&w->ids, id);
}

world_player *world_next_player(const world *w, const world_player *after)
{
    return after == NULL ? w->by_name : after->by_name.next;
}

world_room *world_next_room(const world *w, const world_room *after)
{
    return after == NULL ? w->rooms : after->hh.next;
}

/* ---- names ---- */

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

dure_err world_pack_names(const world_room *room, uint32_t max, dure_buf *out, uint32_t *out_count)
{
    const char *names[WORLD_NAMES_MAX];
    const uint32_t wanted = max < WORLD_NAMES_MAX ? max : WORLD_NAMES_MAX;
    uint32_t count = 0;
    for (const dure_list *at = room->players.prev; at != &room->players && count < wanted;
         at = at->prev) {
        names[count++] = world_player_in_room(at)->name;
    }
    qsort(names, count, sizeof *names, name_compare);
    dure_packer packer = dure_packer_of(out);
    dure_packer_array(&packer, count);
    for (uint32_t i = 0; i < count; i++) {
        dure_packer_cstr(&packer, names[i]);
    }
    *out_count = count;
    return packer.status;
}
