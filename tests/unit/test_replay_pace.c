/* pace: not faster than was asked for. */
#include "unit.h"

#include "act/replay/replay_internal.h"
#include "base/instant.h"

static const struct target_kind quiet = {.name = "quiet"};

static double seconds_of(const struct replay_options *options, int events, int64_t apart_ns)
{
    struct replay replay = {.options = options, .target = {.kind = &quiet}};
    struct error err = ERROR_NONE;
    int64_t began = instant_monotonic_ns();
    replay.checkpoint_ns = began + 3600 * NS_PER_SECOND; /* none falls due */
    for (int i = 0; i < events; i++)
        assert_int_equal(pace_wait(&replay, 1000 + i * apart_ns, &err), 0);
    return (double)(instant_monotonic_ns() - began) / 1e9;
}

static bool at_once(void)
{
    return true;
}

static void events_wait_until_they_are_due(void **state)
{
    (void)state;
    /* 21 events have 20 gaps between them. */
    assert_true(seconds_of(&(struct replay_options){.rate = 200}, 21, 0) >= 0.1);
    /* The original spacing, 50 times as fast; the slower of the two counts. */
    assert_true(seconds_of(&(struct replay_options){.speed = 50}, 11, NS_PER_SECOND / 2) >= 0.1);
    assert_true(seconds_of(&(struct replay_options){.speed = 50, .rate = 1e6}, 11,
                           NS_PER_SECOND / 2) >= 0.1);
    assert_true(
        seconds_of(&(struct replay_options){.speed = 1e9, .rate = 200}, 21, NS_PER_SECOND) >= 0.1);
    /* Times that go back wait for nothing. */
    assert_true(seconds_of(&(struct replay_options){.speed = 1}, 1000, -NS_PER_SECOND) < 10);
    assert_true(seconds_of(&(struct replay_options){0}, 1000, NS_PER_SECOND) < 10);
}

static void a_stop_ends_the_waiting(void **state)
{
    (void)state;
    assert_true(seconds_of(&(struct replay_options){.rate = 0.001, .stopped = at_once}, 3, 0) < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_wait_until_they_are_due),
        cmocka_unit_test(a_stop_ends_the_waiting),
    };
    return cmocka_run_group_tests_name("replay_pace", tests, NULL, NULL);
}
