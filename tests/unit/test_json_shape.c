/*
 * Shapes: whatever is remembered of other texts, the answer for this one is the walker's. Learned
 * texts, the same with other values, and texts that are nearly of a shape but are not JSON.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "json/scan.h"

enum { SLOTS_MAX = 32 };

static const char *const paths[] = {
    "",         "#",        "a",          "a.b",          "*.*",        "*.#",   "id",
    "event_id", "event.#",  "event_type", "aggregate_id", "event",      "*.id",  "data.event",
    "metadata", "sequence", "timestamp",  "causation_id", "event.type", "*.kind"};

static struct json_plan *plan;

static int make_plan(void **state)
{
    (void)state;
    plan = json_plan_new();
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        (void)json_plan_add(plan, slice_of(paths[i]));
    assert_true(json_plan_compile(plan));
    return 0;
}

static int free_plan(void **state)
{
    (void)state;
    json_plan_free(plan);
    return 0;
}

static void same_values(const struct json_value *want, const struct json_value *have,
                        struct slice text)
{
    for (size_t i = 0; i < json_plan_slots(plan); i++) {
        if (want[i].type != have[i].type ||
            (want[i].type != JSON_TYPE_ABSENT &&
             (want[i].raw.ptr != have[i].raw.ptr || want[i].raw.len != have[i].raw.len ||
              want[i].escaped != have[i].escaped)))
            fail_msg("slot %zu (%s) differs in '%.*s'", i, paths[i], SLICE_ARG(text));
    }
}

/* Calls back for each way of this machine that knows shapes. */
static void each_scanner(void (*call)(const struct json_scanner *scanner))
{
    for (size_t s = 0; json_scanner_at(s); s++) {
        const struct json_scanner *scanner = json_scanner_at(s);
        if (scanner->fits && json_scanner_supported(scanner))
            call(scanner);
    }
}

static struct json_shape *learn(struct slice text)
{
    struct json_value values[SLOTS_MAX];
    struct json_error error;
    if (!json_extract_portable(plan, text, values, &error))
        return NULL;
    return json_shape_learn(text, values, json_plan_slots(plan));
}

/* Does it fit? If so, it is JSON, and the values are the walker's. */
static bool fits(const struct json_scanner *scanner, const struct json_shape *shape,
                 struct slice text)
{
    struct json_value want[SLOTS_MAX], have[SLOTS_MAX];
    uint32_t borders[SHAPE_BORDERS_MAX];
    struct json_error error;
    /* Behind the text lies memory that must not be read: an allocation of just its size. */
    char *copy = xmalloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    struct slice exact = {realloc(copy, text.len ? text.len : 1), text.len};
    bool ok = scanner->fits(shape, plan, exact, borders, have);
    if (ok && !json_extract_portable(plan, exact, want, &error))
        fail_msg("%s takes '%.*s'", scanner->name, SLICE_ARG(text));
    if (ok)
        same_values(want, have, exact);
    free((void *)(uintptr_t)exact.ptr);
    return ok;
}

/* --- one shape -------------------------------------------------------------------------------- */

static const char model[] = "{\"event_id\":\"019f510c-7cb9-7884-9d79-6fbd98305fbb\",\"sequence\":"
                            "41,\"event\":{\"type\":\"x\","
                            "\"ok\":true,\"rate\":-0.5,\"note\":null},\"metadata\":{\"tags\":["
                            "\"a\",\"b\"]},\"causation_id\":\"\"}";

struct variant {
    const char *from, *to;
    bool fits;
};

static const struct variant variants[] = {
    {"41", "41", true},
    {"41", "7", true},
    {"41", "123456", true},
    {"41", "-3", true},
    {"41", "2.5e9", true},
    {"41", "true", true},
    {"41", "0", true},
    {"41", "00", false},
    {"41", "01", false},
    {"41", "1.", false},
    {"41", "", false},
    {"41", "4x", false},
    {"41", "4 1", false},
    {"41", "null", false}, /* sound, of another shape */
    {"41", "\"41\"", false},
    {"41", "[41]", false},
    {"41", "nul", false},
    {"\"x\"", "\"\"", true},
    {"\"x\"",
     "\"a type that is longer than sixty-four bytes, so that it does not end in its "
     "window at all\"",
     true},
    {"\"x\"", "\"x\\n\"", false},
    {"\"x\"", "\"\\\"\"", false},
    {"\"x\"", "\"\xc3\xa4\"", false},
    {"\"x\"", "\"\xff\"", false},
    {"\"x\"", "\"\x01\"", false},
    {"\"x\"", "\"x\",\"y\":\"z\"", false},
    {"\"x\"", "\"x", false},
    {"\"x\"", "1", false},
    {"true", "false", true},
    {"true", "truE", false},
    {"true", "tru", false},
    {"true", "12", true},
    {"-0.5", "17", true},
    {"-0.5", "-0.", false},
    {"null", "nulL", false},
    {"null", "1", false},
    {"\"b\"", "\"bb\"", true},
    {"\"b\"", "\"b\",\"c\"", false},
    {"\"event\"", "\"evenT\"", false},
    {"\"causation_id\":\"\"}", "\"causation_id\":\"\"", false},
    {"\"causation_id\":\"\"}", "\"causation_id\":\"\"} ", false},
    {"\"causation_id\":\"\"}", "\"causation_id\":\"\"}}", false},
    {"\"causation_id\":\"\"}", "\"causation_id\":\"", false},
    {"\"causation_id\":\"\"}", "\"causation_id\":\"abc\"}", true},
};

static void replace_once(const char *from, const char *to, struct buf *ret)
{
    const char *at = strstr(model, from);
    assert_non_null(at);
    buf_add(ret, model, (size_t)(at - model));
    buf_add_str(ret, to);
    buf_add_str(ret, at + strlen(from));
}

static void variants_of(const struct json_scanner *scanner)
{
    struct json_shape *shape = learn(slice_of(model));
    assert_non_null(shape);
    for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
        CLEANUP_BUF struct buf text = {0};
        replace_once(variants[i].from, variants[i].to, &text);
        if (fits(scanner, shape, buf_slice(&text)) != variants[i].fits)
            fail_msg("%s: %s for %s", scanner->name, variants[i].to, variants[i].from);
    }
    for (size_t len = 0; len < sizeof model - 1; len++)
        assert_false(fits(scanner, shape, (struct slice){model, len}));
    json_shape_free(shape);
}

static void one_shape_and_what_is_near_it(void **state)
{
    (void)state;
    each_scanner(variants_of);
}

static void what_has_no_shape(void **state)
{
    (void)state;
    assert_null(learn(SLICE("{}")));
    assert_null(learn(SLICE("{\"a\":null}")));
    assert_null(learn(SLICE("{\"a\":\"\\n\"}")));
    assert_null(learn(SLICE("{\"a\":\"\xc3\xa4\"}")));
    CLEANUP_BUF struct buf text = {0};
    buf_add_str(&text, "[1");
    for (int i = 1; i <= SHAPE_VALUES_MAX; i++)
        buf_add_str(&text, ",1");
    buf_add_str(&text, "]");
    assert_null(learn(buf_slice(&text)));
}

/* --- the corpus ------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

static void mutate(struct buf *text, uint64_t *seed)
{
    static const char bytes[] = "{}[]\"\",,::\\0123456789e-+.tfn \n\xc3\xa4\x01xyz";
    size_t at = (size_t)draw(seed, text->len), kind = draw(seed, 3);
    if (kind == 0) {
        text->ptr[at] = bytes[draw(seed, sizeof bytes - 1)];
    } else if (kind == 1) {
        memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
        text->len--;
    } else {
        buf_add_char(text, 0);
        memmove(text->ptr + at + 1, text->ptr + at, text->len - at - 1);
        text->ptr[at] = bytes[draw(seed, sizeof bytes - 1)];
    }
}

static void read_corpus(struct buf *ret)
{
    struct error err = ERROR_NONE;
    if (file_read("tests/corpus/cim-events.jsonl", 16u << 20, ret, &err) < 0)
        fail_msg("%s", err.text);
}

static void corpus_of(const struct json_scanner *scanner)
{
    CLEANUP_BUF struct buf corpus = {0};
    uint64_t seed = 3;
    size_t learned = 0, fitted = 0;
    read_corpus(&corpus);
    struct slice rest = buf_slice(&corpus), line;
    while (slice_cut(&rest, '\n', &line)) {
        struct json_shape *shape = line.len ? learn(line) : NULL;
        if (!shape)
            continue;
        learned++;
        if (!fits(scanner, shape, line))
            fail_msg("%s: a text does not fit its own shape: %.*s", scanner->name, SLICE_ARG(line));
        for (int i = 0; i < 300; i++) {
            CLEANUP_BUF struct buf text = {0};
            buf_add_slice(&text, line);
            for (uint64_t times = 1 + draw(&seed, 3); times; times--)
                mutate(&text, &seed);
            fitted += fits(scanner, shape, buf_slice(&text));
        }
        json_shape_free(shape);
    }
    assert_true(learned > 40 && fitted > 1000);
}

static void the_corpus_and_what_is_near_it(void **state)
{
    (void)state;
    each_scanner(corpus_of);
}

/* --- many shapes, as an engine has them
 * ------------------------------------------------------------
 */

static void mixed_by(const struct json_scanner *scanner)
{
    CLEANUP_BUF struct buf corpus = {0};
    struct slice lines[128], rest;
    size_t count = 0, budget = 20;
    uint64_t seed = 11;
    struct json_shapes *shapes = json_shapes_new(&budget, NULL);
    read_corpus(&corpus);
    rest = buf_slice(&corpus);
    while (count < ARRAY_LEN(lines) && slice_cut(&rest, '\n', &lines[count]))
        count += lines[count].len > 0;
    for (int i = 0; i < 60000; i++) {
        struct json_value want[SLOTS_MAX], have[SLOTS_MAX];
        struct json_error want_error = {0}, have_error = {0};
        CLEANUP_BUF struct buf text = {0};
        size_t which = (size_t)draw(&seed, count);
        buf_add_slice(&text, lines[which]);
        if (i % 3)
            mutate(&text, &seed);
        bool ok = json_extract_portable(plan, buf_slice(&text), want, &want_error);
        /* A hint that tells, one that does not, and one that is wrong. */
        uint64_t hint = i % 2 ? which : i % 4 ? 0 : draw(&seed, 100);
        bool have_ok = json_extract_shaped_by(scanner, shapes, plan, buf_slice(&text), hint, have,
                                              &have_error);
        if (ok != have_ok || (!ok && want_error.offset != have_error.offset))
            fail_msg("%s says %d of '%.*s'", scanner->name, have_ok, SLICE_ARG(buf_slice(&text)));
        if (ok)
            same_values(want, have, buf_slice(&text));
    }
    assert_int_equal(budget, 0); /* all of it was used, and no more than it */
    json_shapes_free(shapes);
}

static void many_shapes_at_once(void **state)
{
    (void)state;
    each_scanner(mixed_by);
}

/* Without vector instructions shapes are never asked, and all else is the same. */
static void the_portable_way_takes_no_notice(void **state)
{
    size_t budget = 5, last = 0;
    struct json_shapes *shapes = json_shapes_new(&budget, NULL);
    struct json_value values[SLOTS_MAX];
    struct json_error error;
    (void)state;
    while (json_scanner_at(last + 1))
        last++;
    for (int i = 0; i < 3; i++)
        assert_true(json_extract_shaped_by(json_scanner_at(last), shapes, plan, slice_of(model), 0,
                                           values, &error));
    assert_int_equal(budget, 5);
    json_shapes_free(shapes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shape_and_what_is_near_it),    cmocka_unit_test(what_has_no_shape),
        cmocka_unit_test(the_corpus_and_what_is_near_it),   cmocka_unit_test(many_shapes_at_once),
        cmocka_unit_test(the_portable_way_takes_no_notice),
    };
    return cmocka_run_group_tests(tests, make_plan, free_plan);
}
