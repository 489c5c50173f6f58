/* Courses change nothing: the corpus, said over and over with other values, with and without. */
#include "unit.h"

#include "base/memory.h"
#include "event/lines.h"
#include "fold/engine_internal.h"
#include "fold_rig.h"

#define CORPUS_FILE "tests/corpus/cim-events.jsonl"

enum { ROUNDS = 60 };

struct pair {
    struct rig rigs[2]; /* the second takes the long way always */
    uint64_t seq, seed;
};

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

static bool same_slice(struct slice a, struct slice b)
{
    return slice_present(a) == slice_present(b) && slice_eq(a, b);
}

static void fold(struct pair *pair, struct event_input input)
{
    input.seq = ++pair->seq;
    input.stored_at_ns = (RIG_EPOCH_S + (int64_t)input.seq) * 1000000000;
    int domains[2];
    for (size_t i = 0; i < 2; i++)
        domains[i] = engine_fold(pair->rigs[i].engine, pair->rigs[i].state, &input);
    assert_int_equal(domains[0], domains[1]);
    const struct event_view *a = &pair->rigs[0].engine->view, *b = &pair->rigs[1].engine->view;
    for (size_t f = 0; f < EVENT_FIELDS; f++) {
        if (!same_slice(a->field[f], b->field[f]))
            fail_msg("%.*s: %s is '%.*s' by course, '%.*s' the long way; %.*s",
                     SLICE_ARG(input.subject), event_field_name((enum event_field)f),
                     SLICE_ARG(a->field[f]), SLICE_ARG(b->field[f]), SLICE_ARG(input.payload));
    }
    assert_int_equal(a->has_occurred_at, b->has_occurred_at);
    if (a->has_occurred_at)
        assert_int_equal(a->occurred_at_ns, b->occurred_at_ns);
}

/* Other letters and digits in places of the same kind, now and then a text emptied, so that most
 * stay of their shape and some do not. */
static void change(struct slice text, uint64_t *seed, struct buf *ret)
{
    buf_reset(ret);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool cut = c == '"' && i + 1 < text.len && text.ptr[i + 1] != '"' && draw(seed, 150) == 0;
        if (draw(seed, 12) == 0 && c >= '1' && c <= '9')
            c = (char)('1' + draw(seed, 9));
        else if (draw(seed, 60) == 0 && c >= 'a' && c <= 'f')
            c = (char)('a' + draw(seed, 6));
        buf_add_char(ret, c);
        while (cut && i + 1 < text.len && text.ptr[i + 1] != '"')
            i++;
    }
}

static void change_and_fold(struct pair *pair, const struct event_input *as_is)
{
    struct event_input input = *as_is;
    CLEANUP_BUF struct buf payload = {0}, subject = {0};
    struct buf values[EVENT_HEADERS_MAX] = {{0}};
    struct event_header headers[EVENT_HEADERS_MAX];
    change(as_is->payload, &pair->seed, &payload);
    change(as_is->subject, &pair->seed, &subject);
    input.payload = buf_slice(&payload);
    input.subject = buf_slice(&subject);
    input.headers = headers;
    int count = 0;
    for (int h = 0; h < as_is->header_count; h++) {
        if (draw(&pair->seed, 10) == 0) /* a header less */
            continue;
        change(as_is->headers[h].value, &pair->seed, &values[h]);
        if (draw(&pair->seed, 20) == 0)
            buf_reset(&values[h]);
        headers[count++] = (struct event_header){as_is->headers[h].name, buf_slice(&values[h])};
    }
    input.header_count = count;
    fold(pair, input);
    for (int h = 0; h < as_is->header_count; h++)
        buf_done(&values[h]);
}

static size_t each_line(struct pair *pair,
                        void (*fold_line)(struct pair *, const struct event_input *))
{
    struct error err = ERROR_NONE;
    struct lines *lines;
    struct line_event event;
    size_t count = 0;
    if (lines_open(CORPUS_FILE, &lines, &err) < 0)
        fail_msg("%s (the tests run in the repository's root)", err.text);
    while (lines_next(lines, &event, &err) == LINES_EVENT) {
        fold_line(pair, &event.input);
        count++;
    }
    lines_close(lines);
    return count;
}

static void as_it_is(struct pair *pair, const struct event_input *input)
{
    fold(pair, *input);
}

static void test_nothing_changes(void **state)
{
    static struct pair pair;
    (void)state;
    pair = (struct pair){.seed = 5};
    for (size_t i = 0; i < 2; i++)
        rig_open_shipped(&pair.rigs[i]);
    pair.rigs[1].engine->no_courses = true;
    for (int round = 0; round < ROUNDS; round++) {
        assert_true(each_line(&pair, as_it_is) > 70);
        assert_true(each_line(&pair, change_and_fold) > 70);
    }
    CLEANUP_FREE char *by_course = rig_exposition(&pair.rigs[0]);
    CLEANUP_FREE char *long_way = rig_exposition(&pair.rigs[1]);
    assert_string_equal(by_course, long_way);
    assert_string_equal(buf_cstr(&pair.rigs[0].reports), buf_cstr(&pair.rigs[1].reports));
    assert_true(pair.rigs[0].engine->followed > 1000);
    assert_int_equal(pair.rigs[1].engine->followed, 0);
    for (size_t i = 0; i < 2; i++)
        rig_close(&pair.rigs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
