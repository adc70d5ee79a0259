/* SPDX-License-Identifier: MIT
 *
 * What many writers push, one reader takes: all of it, once, each writer's in its order.
 */
#include "base/mailbox.h"

#include "base/mem.h"
#include "support/check.h"

#define WRITERS    4
#define PER_WRITER 5000

typedef struct letter {
    dure_list node;
    unsigned writer;
    unsigned number;
} letter;

typedef struct writer {
    dure_mailbox *mailbox;
    letter *letters;
} writer;

static void write_letters(void *ctx)
{
    writer *me = ctx;
    for (unsigned i = 0; i < PER_WRITER; i++) {
        (void)dure_mailbox_push(me->mailbox, &me->letters[i].node);
    }
}

static void only_the_first_push_asks_for_a_wake_up(void)
{
    dure_mailbox mailbox;
    dure_list taken;
    letter a, b;
    dure_list_init(&taken);
    dure_list_init(&a.node);
    dure_list_init(&b.node);
    DURE_REQUIRE_OK(dure_mailbox_init(&mailbox));
    DURE_CHECK(dure_mailbox_push(&mailbox, &a.node));
    DURE_CHECK(!dure_mailbox_push(&mailbox, &b.node));
    dure_mailbox_take_all(&mailbox, &taken);
    DURE_CHECK(dure_list_pop_front(&taken) == &a.node);
    DURE_CHECK(dure_list_pop_front(&taken) == &b.node);
    DURE_CHECK(dure_list_pop_front(&taken) == NULL);
    DURE_CHECK(dure_mailbox_push(&mailbox, &a.node));
    dure_mailbox_take_all(&mailbox, &taken);
    dure_mailbox_fini(&mailbox);
}

static unsigned count_in_order(dure_list *taken, unsigned next[WRITERS], unsigned *out_wrong)
{
    unsigned count = 0;
    for (dure_list *node; (node = dure_list_pop_front(taken)) != NULL; count++) {
        const letter *got = DURE_CONTAINER_OF(node, letter, node);
        *out_wrong += got->number != next[got->writer];
        next[got->writer] = got->number + 1;
    }
    return count;
}

static void nothing_is_lost_between_many_writers_and_one_reader(void)
{
    dure_mailbox mailbox;
    dure_list taken;
    writer writers[WRITERS];
    dure_thread *threads[WRITERS];
    unsigned next[WRITERS] = {0};
    unsigned count = 0;
    unsigned wrong = 0;
    DURE_REQUIRE_OK(dure_mailbox_init(&mailbox));
    dure_list_init(&taken);
    for (unsigned w = 0; w < WRITERS; w++) {
        writers[w].mailbox = &mailbox;
        writers[w].letters = dure_mem_alloc_array(PER_WRITER, sizeof(letter));
        DURE_REQUIRE(writers[w].letters != NULL);
        for (unsigned i = 0; i < PER_WRITER; i++) {
            writers[w].letters[i].writer = w;
            writers[w].letters[i].number = i;
            dure_list_init(&writers[w].letters[i].node);
        }
        DURE_REQUIRE_OK(dure_thread_create("writer", write_letters, &writers[w], &threads[w]));
    }
    for (unsigned w = 0; w < WRITERS; w++) {
        dure_mailbox_take_all(&mailbox, &taken);
        count += count_in_order(&taken, next, &wrong);
        dure_thread_join(threads[w]);
    }
    dure_mailbox_take_all(&mailbox, &taken);
    count += count_in_order(&taken, next, &wrong);
    DURE_CHECK_EQ(count, WRITERS * PER_WRITER);
    DURE_CHECK_EQ(wrong, 0);
    for (unsigned w = 0; w < WRITERS; w++) {
        dure_mem_free(writers[w].letters);
    }
    dure_mailbox_fini(&mailbox);
}

static void a_mailbox_without_memory_ends_all_the_same(void)
{
    dure_mailbox mailbox = {0};
    dure_mailbox_fini(&mailbox);
    dure_mem_fail_nth(1);
    DURE_CHECK_ERR(dure_mailbox_init(&mailbox), DURE_ERR_NO_MEMORY);
    dure_mem_fail_nth(0);
    dure_mailbox_fini(&mailbox);
}

DURE_SUITE(base_mailbox, DURE_TEST(only_the_first_push_asks_for_a_wake_up),
           DURE_TEST(nothing_is_lost_between_many_writers_and_one_reader),
           DURE_TEST(a_mailbox_without_memory_ends_all_the_same));
