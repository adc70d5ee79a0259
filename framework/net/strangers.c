/* SPDX-License-Identifier: MIT
 *
 * One list of all in the order of their coming, and one for each address that has any: its home,
 * made for the first and freed with the last. Homes hang in a table of fixed size by a seeded hash,
 * so nobody can choose addresses that all meet in one place.
 */
#include "net/strangers.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define HOME_PLACES 4096u /* a power of two */

typedef struct dure_strangers_home {
    dure_list in_place;
    dure_list strangers; /* dure_stranger._in_home, oldest first */
    dure_net_group group;
    uint32_t count;
} dure_strangers_home;

struct dure_strangers {
    dure_strangers_config config;
    dure_list all; /* dure_stranger._in_all, oldest first */
    uint32_t count;
    dure_list places[HOME_PLACES]; /* dure_strangers_home.in_place */
};

/* ---- homes ---- */

/* FNV-1a from the seed, with the bits of a 64-bit finalizer (splitmix64) mixed in. */
static size_t place_of(const dure_strangers *strangers, const dure_net_group *group)
{
    uint64_t hash = 14695981039346656037u ^ strangers->config.seed;
    for (size_t i = 0; i < sizeof group->key; i++) {
        hash = (hash ^ group->key[i]) * 1099511628211u;
    }
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
    return (size_t)(hash ^ (hash >> 31)) % HOME_PLACES;
}

static dure_strangers_home *home_find(const dure_strangers *strangers, const dure_net_group *group)
{
    const dure_list *place = &strangers->places[place_of(strangers, group)];
    for (dure_list *at = place->next; at != place; at = at->next) {
        dure_strangers_home *home = DURE_CONTAINER_OF(at, dure_strangers_home, in_place);
        if (memcmp(&home->group, group, sizeof *group) == 0) {
            return home;
        }
    }
    return NULL;
}

static dure_strangers_home *home_create(dure_strangers *strangers, const dure_net_group *group)
{
    dure_strangers_home *home = dure_mem_alloc(sizeof *home);
    if (home != NULL) {
        home->group = *group;
        dure_list_init(&home->strangers);
        dure_list_init(&home->in_place);
        dure_list_push_back(&strangers->places[place_of(strangers, group)], &home->in_place);
    }
    return home;
}

/* ---- make and end ---- */

dure_err dure_strangers_create(const dure_strangers_config *config, dure_strangers **out_strangers)
{
    DURE_ASSERT(config->exempt != NULL);
    dure_strangers *strangers = dure_mem_alloc(sizeof *strangers);
    if (strangers == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    strangers->config = *config;
    dure_list_init(&strangers->all);
    for (size_t i = 0; i < HOME_PLACES; i++) {
        dure_list_init(&strangers->places[i]);
    }
    *out_strangers = strangers;
    return DURE_OK;
}

void dure_strangers_destroy(dure_strangers *strangers)
{
    if (strangers == NULL) {
        return;
    }
    while (dure_strangers_pop_oldest(strangers) != NULL) {
    }
    DURE_ASSERT(strangers->count == 0);
    dure_mem_free(strangers);
}

/* ---- use ---- */

static dure_stranger *oldest_of_all(const dure_strangers *strangers)
{
    DURE_ASSERT(!dure_list_is_empty(&strangers->all));
    return DURE_CONTAINER_OF(strangers->all.next, dure_stranger, _in_all);
}

static dure_stranger *oldest_of_home(const dure_strangers_home *home)
{
    DURE_ASSERT(!dure_list_is_empty(&home->strangers));
    return DURE_CONTAINER_OF(home->strangers.next, dure_stranger, _in_home);
}

static bool is_over(uint32_t count, uint32_t most)
{
    return most != 0 && count > most;
}

/* Who has to go now that one more is there. */
static dure_stranger *surplus_of(const dure_strangers *strangers, const dure_strangers_home *home,
                                 const dure_net_address *address)
{
    const dure_strangers_config *config = &strangers->config;
    if (is_over(home->count, config->most_per_address) &&
        !dure_net_networks_have(config->exempt, address)) {
        return oldest_of_home(home);
    }
    return is_over(strangers->count, config->most) ? oldest_of_all(strangers) : NULL;
}

dure_err dure_strangers_add(dure_strangers *strangers, dure_stranger *stranger,
                            const dure_net_address *address, dure_stranger **out_surplus)
{
    DURE_ASSERT(stranger->_strangers == NULL);
    const dure_net_group group = dure_net_group_of(address);
    dure_strangers_home *home = home_find(strangers, &group);
    if (home == NULL) {
        home = home_create(strangers, &group);
    }
    if (home == NULL) {
        return DURE_ERR_NO_MEMORY;
    }
    dure_list_init(&stranger->_in_all);
    dure_list_init(&stranger->_in_home);
    dure_list_push_back(&strangers->all, &stranger->_in_all);
    dure_list_push_back(&home->strangers, &stranger->_in_home);
    stranger->_home = home;
    stranger->_strangers = strangers;
    strangers->count++;
    home->count++;
    dure_stranger *surplus = surplus_of(strangers, home, address);
    DURE_ASSERT(surplus != stranger);
    if (surplus != NULL) {
        dure_strangers_remove(surplus);
    }
    *out_surplus = surplus;
    return DURE_OK;
}

void dure_strangers_remove(dure_stranger *stranger)
{
    dure_strangers_home *home = stranger->_home;
    if (stranger->_strangers == NULL) {
        return;
    }
    DURE_ASSERT(home->count > 0);
    DURE_ASSERT(stranger->_strangers->count >= home->count);
    dure_list_remove(&stranger->_in_all);
    dure_list_remove(&stranger->_in_home);
    stranger->_strangers->count--;
    home->count--;
    if (home->count == 0) {
        DURE_ASSERT(dure_list_is_empty(&home->strangers));
        dure_list_remove(&home->in_place);
        dure_mem_free(home);
    }
    stranger->_home = NULL;
    stranger->_strangers = NULL;
}

dure_stranger *dure_strangers_pop_oldest(dure_strangers *strangers)
{
    if (dure_list_is_empty(&strangers->all)) {
        return NULL;
    }
    dure_stranger *oldest = oldest_of_all(strangers);
    dure_strangers_remove(oldest);
    return oldest;
}

/* ---- questions ---- */

bool dure_stranger_is_counted(const dure_stranger *stranger)
{
    return stranger->_strangers != NULL;
}

uint32_t dure_strangers_count(const dure_strangers *strangers)
{
    return strangers->count;
}

uint32_t dure_strangers_count_of(const dure_strangers *strangers, const dure_net_address *address)
{
    const dure_net_group group = dure_net_group_of(address);
    const dure_strangers_home *home = home_find(strangers, &group);
    return home != NULL ? home->count : 0;
}
