/* The queue between the client's thread and the fold: bounded, in order, nothing lost. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/queue.h"

/* Messages without a handle of the library: releasing one does nothing. */
static struct queue_item item_of(uint64_t seq, size_t bytes)
{
    static const char zeros[4096];
    assert_true(bytes <= sizeof zeros);
    return (struct queue_item){
        .message = {.subject = SLICE("s"), .payload = {zeros, bytes - 1}, .seq = seq}};
}

static bool push(struct queue *queue, uint64_t seq, size_t bytes)
{
    struct queue_item item = item_of(seq, bytes);
    return queue_push(queue, &item);
}

static void first_in_first_out(void **state)
{
    struct queue *queue = queue_new(8, 1 << 20);
    struct queue_item out[8];
    uint64_t next = 1, popped = 1;
    (void)state;
    assert_int_equal(queue_capacity(queue), 8);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 5; i++)
            assert_true(push(queue, next++, 10));
        assert_int_equal(queue_depth(queue), 5);
        assert_int_equal(queue_pop(queue, out, 3, 0), 3);
        assert_int_equal(queue_pop(queue, out + 3, 5, 0), 2);
        for (int i = 0; i < 5; i++, popped++) {
            assert_true(out[i].message.seq == popped);
        }
    }
    assert_int_equal(queue_depth(queue), 0);
    queue_free(queue);
    queue_free(NULL);
}

static void an_empty_queue_waits_as_long_as_told(void **state)
{
    struct queue *queue = queue_new(2, 100);
    struct queue_item out[2];
    (void)state;
    int64_t begin = instant_monotonic_ns();
    assert_int_equal(queue_pop(queue, out, 2, 0), 0);
    assert_int_equal(queue_pop(queue, out, 2, 60), 0);
    int64_t took = instant_monotonic_ns() - begin;
    assert_true(took >= 55 * NS_PER_MS && took < 5 * NS_PER_SECOND);
    queue_free(queue);
}

/* --- two threads ------------------------------------------------------------------------------ */

struct pusher {
    struct queue *queue;
    uint64_t first, count;
    size_t bytes;
    _Atomic uint64_t pushed;
    atomic_bool refused;
};

static void *push_all(void *context)
{
    struct pusher *pusher = context;
    for (uint64_t i = 0; i < pusher->count; i++) {
        if (!push(pusher->queue, pusher->first + i, pusher->bytes)) {
            atomic_store(&pusher->refused, true);
            return NULL;
        }
        atomic_fetch_add(&pusher->pushed, 1);
    }
    return NULL;
}

/* True once the condition holds; false when it does not within five seconds. */
#define WAIT_FOR(condition)                                                                        \
    ({                                                                                             \
        int64_t until_ = instant_monotonic_ns() + 5 * NS_PER_SECOND;                               \
        while (!(condition) && instant_monotonic_ns() < until_) {                                  \
        }                                                                                          \
        (condition);                                                                               \
    })

static void a_full_queue_holds_the_pusher_back(void **state)
{
    struct queue *queue = queue_new(4, 1 << 20);
    struct pusher pusher = {.queue = queue, .first = 1, .count = 6, .bytes = 10};
    struct queue_item out[8];
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, push_all, &pusher), 0);
    assert_true(WAIT_FOR(queue_depth(queue) == 4));
    assert_int_equal(queue_pop(queue, out, 1, 0), 1);
    assert_true(WAIT_FOR(atomic_load(&pusher.pushed) == 5));
    assert_int_equal(queue_depth(queue), 4);
    assert_int_equal(queue_pop(queue, out, 8, 1000), 4);
    assert_int_equal(queue_pop(queue, out, 8, 5000), 1);
    assert_true(out[0].message.seq == 6);
    assert_int_equal(pthread_join(thread, NULL), 0);
    queue_free(queue);
}

static void bytes_are_bounded_too(void **state)
{
    struct queue *queue = queue_new(100, 1000);
    struct pusher pusher = {.queue = queue, .first = 1, .count = 5, .bytes = 400};
    struct queue_item out[8];
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, push_all, &pusher), 0);
    assert_true(WAIT_FOR(atomic_load(&pusher.pushed) == 2));
    assert_int_equal(queue_depth(queue), 2);
    size_t got = 0;
    while (got < 5) {
        size_t more = queue_pop(queue, out, 8, 5000);
        assert_true(more >= 1 && more <= 2);
        got += more;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* One message always fits, however large. */
    assert_true(push(queue, 9, 4000));
    assert_int_equal(queue_pop(queue, out, 8, 0), 1);
    queue_free(queue);
}

static void closing_wakes_both_sides_and_drains(void **state)
{
    struct queue *queue = queue_new(2, 1000);
    struct pusher pusher = {.queue = queue, .first = 1, .count = 3, .bytes = 10};
    struct queue_item out[8];
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, push_all, &pusher), 0);
    assert_true(WAIT_FOR(queue_depth(queue) == 2));
    queue_close(queue);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&pusher.refused));
    assert_false(push(queue, 7, 10));
    assert_int_equal(queue_pop(queue, out, 8, 5000), 2);
    int64_t begin = instant_monotonic_ns();
    assert_int_equal(queue_pop(queue, out, 8, 60000), 0); /* at once: nothing can come */
    assert_true(instant_monotonic_ns() - begin < 30 * NS_PER_SECOND);
    queue_free(queue);
}

static void *close_soon(void *context)
{
    queue_close(context);
    return NULL;
}

static void closing_wakes_a_waiting_popper(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct queue *queue = queue_new(2, 1000);
        struct queue_item out[2];
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, close_soon, queue), 0);
        int64_t begin = instant_monotonic_ns();
        assert_int_equal(queue_pop(queue, out, 2, 60000), 0);
        assert_true(instant_monotonic_ns() - begin < 30 * NS_PER_SECOND);
        assert_int_equal(pthread_join(thread, NULL), 0);
        queue_free(queue);
    }
}

/* Many pushers, one popper: every message once, each pusher's in its own order. */
static void nothing_is_lost_between_threads(void **state)
{
    enum { PUSHERS = 4, EACH = 30000 };
    struct queue *queue = queue_new(64, 700);
    struct pusher pushers[PUSHERS];
    pthread_t threads[PUSHERS];
    struct queue_item out[16];
    uint64_t next[PUSHERS] = {0}, got = 0;
    (void)state;
    for (size_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){
            .queue = queue, .first = i * 1000000, .count = EACH, .bytes = 10 + i * 30};
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushers[i]), 0);
    }
    while (got < (uint64_t)PUSHERS * EACH) {
        size_t count = queue_pop(queue, out, ARRAY_LEN(out), 5000);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            uint64_t from = out[i].message.seq / 1000000;
            assert_true(from < PUSHERS && out[i].message.seq % 1000000 == next[from]);
            next[from]++;
        }
        got += count;
    }
    for (size_t i = 0; i < PUSHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(queue_depth(queue), 0);
    queue_free(queue);
}

static void add_seq(void *context, const struct queue_item *item)
{
    buf_addf(context, "%d ", (int)item->message.seq);
}

static void waiting_items_are_seen_oldest_first(void **state)
{
    struct queue *queue = queue_new(4, 1000);
    struct queue_item out[4];
    CLEANUP_BUF struct buf seen = {0};
    (void)state;
    for (uint64_t seq = 1; seq <= 3; seq++)
        assert_true(push(queue, seq, 10));
    assert_int_equal(queue_pop(queue, out, 2, 0), 2);
    for (uint64_t seq = 4; seq <= 6; seq++)
        assert_true(push(queue, seq, 10));
    queue_each(queue, add_seq, &seen);
    assert_slice(buf_slice(&seen), "3 4 5 6 ");
    assert_int_equal(queue_depth(queue), 4);
    queue_free(queue); /* with what is left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(an_empty_queue_waits_as_long_as_told),
        cmocka_unit_test(a_full_queue_holds_the_pusher_back),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(closing_wakes_both_sides_and_drains),
        cmocka_unit_test(closing_wakes_a_waiting_popper),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(waiting_items_are_seen_oldest_first),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
