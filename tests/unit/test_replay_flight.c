/* flight: whatever happens on the way, an aggregate's events leave one after the other, and the
 * frontier says what is settled. */
#include "unit.h"

#include <stdio.h>

#include "act/replay/flight.h"
#include "base/memory.h"

enum { STREAMS = 3, ROOM = 16, EVENTS = 4000 };

/* What must hold, kept in the simplest way: all events that were taken, in their order. */
struct model {
    struct known {
        uint64_t aggregate, seq;
        size_t stream;
        bool on_its_way, settled;
        enum slot_end end;
    } events[EVENTS];
    size_t count, settled;
    uint64_t next_seq[STREAMS], start[STREAMS];
};

static struct known *known_of(struct model *model, const struct slot *slot)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->events[i].stream == slot->stream && model->events[i].seq == slot->seq)
            return &model->events[i];
    }
    fail_msg("%zu %llu was never taken", slot->stream, (unsigned long long)slot->seq);
    return NULL;
}

static void take_one(struct flight *flight, struct model *model, uint64_t *seed)
{
    char text[32];
    struct known *known = &model->events[model->count];
    size_t stream = random_below(seed, STREAMS);
    model->next_seq[stream] += 1 + random_below(seed, 3); /* gaps */
    *known = (struct known){
        .aggregate = 1 + random_below(seed, 5), .stream = stream, .seq = model->next_seq[stream]};
    int len = snprintf(text, sizeof text, "%zu.%llu", stream, (unsigned long long)known->seq);
    struct replay_event event = {.stream = stream,
                                 .seq = known->seq,
                                 .aggregate = known->aggregate,
                                 .subject = {text, (size_t)len},
                                 .header_block = SLICE_ABSENT,
                                 .payload = {text, (size_t)len}};
    (void)flight_take(flight, &event);
    memset(text, '?', sizeof text); /* it has copied */
    model->count++;
}

static void send_one(struct flight *flight, struct model *model)
{
    char text[32];
    struct slot *slot = flight_next(flight);
    if (!slot)
        return;
    struct known *known = known_of(model, slot);
    (void)snprintf(text, sizeof text, "%zu.%llu", slot->stream, (unsigned long long)slot->seq);
    assert_slice(buf_slice(&slot->payload), text);
    assert_slice(buf_slice(&slot->subject), text);
    assert_false(known->on_its_way || known->settled);
    assert_true(slot->tries >= 1);
    assert_ptr_equal(flight_find(flight, slot->tag), slot);
    for (struct known *other = model->events; other < known; other++)
        assert_true(other->aggregate != known->aggregate || other->settled);
    known->on_its_way = true;
}

/* One of those on their way, chosen at random; NULL: none is. */
static struct slot *any_sent(struct flight *flight, uint64_t *seed)
{
    struct slot *sent[ROOM];
    size_t count = 0;
    for (uint64_t tag = flight->head; tag < flight->tail; tag++) {
        struct slot *slot = flight_find(flight, tag);
        if (slot)
            sent[count++] = slot;
    }
    return count ? sent[random_below(seed, count)] : NULL;
}

static void answer_one(struct flight *flight, struct model *model, uint64_t *seed)
{
    struct slot *slot = any_sent(flight, seed);
    if (!slot)
        return;
    struct known *known = known_of(model, slot);
    uint64_t tag = slot->tag;
    known->on_its_way = false;
    if (random_below(seed, 4) == 0) {
        flight_again(flight, slot);
        assert_null(flight_find(flight, tag));
        return;
    }
    known->settled = true;
    model->settled++;
    known->end = (enum slot_end)random_below(seed, SLOT_ENDS);
    flight_settle(flight, slot, known->end);
    assert_null(flight_find(flight, tag));
}

/* The first that is not settled is the frontier; positions stand right behind what was before it.
 */
static void check_frontier(const struct flight *flight, const struct model *model)
{
    uint64_t want[STREAMS], ended[SLOT_ENDS] = {0};
    size_t first = 0;
    memcpy(want, model->start, sizeof want);
    for (; first < model->count && model->events[first].settled; first++) {
        want[model->events[first].stream] = model->events[first].seq + 1;
        ended[model->events[first].end]++;
    }
    assert_memory_equal(flight->ended, ended, sizeof ended);
    assert_memory_equal(flight->positions, want, sizeof want);
    assert_int_equal(flight->tail - flight->head, model->count - first);
    assert_true(flight->tail - flight->head <= ROOM);
}

static void run_model(uint64_t seed)
{
    struct flight flight;
    struct model *model = xcalloc(1, sizeof *model);
    for (size_t i = 0; i < STREAMS; i++)
        model->start[i] = 1 + random_below(&seed, 100), model->next_seq[i] = model->start[i];
    flight_init(&flight, ROOM, model->start, STREAMS);
    while (model->settled < EVENTS) {
        uint64_t what = random_below(&seed, 100);
        if (what < 45 && model->count < EVENTS && flight_has_room(&flight)) {
            take_one(&flight, model, &seed);
        } else if (what < 75) {
            send_one(&flight, model);
        } else if (what < 98) {
            answer_one(&flight, model, &seed);
        } else {
            flight_rewind(&flight);
            for (size_t i = 0; i < model->count; i++)
                model->events[i].on_its_way = false;
        }
        check_frontier(&flight, model);
    }
    assert_true(flight.head == flight.tail);
    assert_int_equal(flight.bytes, 0);
    assert_int_equal(flight.last_of.count, 0);
    assert_null(flight_next(&flight));
    flight_done(&flight);
    free(model);
}

static void order_and_frontier_hold_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_model(seed);
}

static void bytes_are_bounded(void **state)
{
    struct flight flight;
    const uint64_t start = 1;
    size_t size = FLIGHT_BYTES_MAX / 4;
    CLEANUP_FREE char *bytes = xcalloc(1, size);
    struct replay_event event = {
        .subject = SLICE("a"), .header_block = SLICE_ABSENT, .payload = {bytes, size}};
    (void)state;
    flight_init(&flight, 100, &start, 1);
    while (flight_has_room(&flight)) {
        event.seq++;
        event.aggregate = event.seq;
        (void)flight_take(&flight, &event);
    }
    assert_int_equal(event.seq, 4);
    struct slot *slot = flight_next(&flight);
    flight_settle(&flight, slot, SLOT_TAKEN);
    assert_true(slot->payload.room <= FLIGHT_KEEP_BYTES); /* large ones are given back */
    assert_true(flight_has_room(&flight));
    flight_done(&flight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_frontier_hold_whatever_happens),
        cmocka_unit_test(bytes_are_bounded),
    };
    return cmocka_run_group_tests_name("replay_flight", tests, NULL, NULL);
}
