/*
 * Every way through the bytes gives the same answer as the portable walker: on the cases, on the
 * corpus, on both with a byte changed, and across the borders of the 64-byte blocks.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "json_cases.h"
#include "json/scan.h"

enum { SLOTS_MAX = 32 };

static const char *const paths[] = {
    "",          "#",           "a",          "a.b",          "a.*.b",
    "*",         "*.#",         "*.*",        "id",           "event_id",
    "k",         "x.id",        "event_type", "aggregate_id", "aggregate_type",
    "event.#",   "*.event_id",  "data.event", "event.type",   "event.*.id",
    "timestamp", "causation_id"};

static struct json_plan *plans[3];

static int make_plans(void **state)
{
    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
        plans[p] = json_plan_new();
        /* All paths, those without `*`, and none. */
        for (size_t i = 0; p < 2 && i < ARRAY_LEN(paths); i++) {
            if (p == 0 || !strchr(paths[i], '*'))
                (void)json_plan_add(plans[p], slice_of(paths[i]));
        }
        assert_true(json_plan_compile(plans[p]));
    }
    return 0;
}

static int free_plans(void **state)
{
    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(plans); p++)
        json_plan_free(plans[p]);
    return 0;
}

static bool same(const struct json_value *a, const struct json_value *b)
{
    return a->type == b->type &&
           (a->type == JSON_TYPE_ABSENT ||
            (a->raw.ptr == b->raw.ptr && a->raw.len == b->raw.len && a->escaped == b->escaped));
}

/* All scanners of this machine against the walker; returns the verdict. The text is given in memory
 * of exactly its size: the sanitizer sees what is read past it. */
static bool agree(struct slice given, const char *name)
{
    CLEANUP_FREE char *exact = xcalloc(given.len + !given.len, 1);
    struct slice text = {exact, given.len};
    bool verdict = false;
    if (given.len)
        memcpy(exact, given.ptr, given.len);
    for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
        struct json_value want[SLOTS_MAX], have[SLOTS_MAX];
        struct json_error want_error = {NULL, 0}, have_error = {NULL, 0};
        verdict = json_extract_portable(plans[p], text, want, &want_error);
        for (size_t s = 0; json_scanner_at(s); s++) {
            const struct json_scanner *scanner = json_scanner_at(s);
            if (!json_scanner_supported(scanner))
                continue;
            /* Said by the scanner itself, not by the walker behind it. */
            if (scanner->scan && scanner->scan(plans[p], text, have) && !verdict)
                fail_msg("%s: %s accepts '%.*s'", name, scanner->name, SLICE_ARG(text));
            bool ok = json_extract_by(scanner, plans[p], text, have, &have_error);
            if (ok != verdict || (!ok && (have_error.offset != want_error.offset ||
                                          strcmp(have_error.what, want_error.what) != 0)))
                fail_msg("%s: %s says %d of '%.*s'", name, scanner->name, ok, SLICE_ARG(text));
            for (size_t i = 0; ok && i < json_plan_slots(plans[p]); i++) {
                if (!same(&want[i], &have[i]))
                    fail_msg("%s: %s differs in slot %zu of '%.*s'", name, scanner->name, i,
                             SLICE_ARG(text));
            }
        }
    }
    return verdict;
}

static void the_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(json_cases); i++) {
        const struct json_case *test = &json_cases[i];
        assert_int_equal(agree(test->text, test->name), test->name[0] == 'y');
    }
}

/* Each case as a member and as an element, pushed over the borders of blocks byte by byte. */
static void the_cases_at_every_offset(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(json_cases); i++) {
        const struct json_case *test = &json_cases[i];
        for (size_t pad = 0; pad < 130; pad += i % 7 ? 9 : 1) {
            CLEANUP_BUF struct buf text = {0};
            buf_add_str(&text, "{\"p\":\"");
            for (size_t b = 0; b < pad; b++)
                buf_add_char(&text, "xyz"[b % 3]);
            buf_add_str(&text, "\",\"event_id\":");
            buf_add_slice(&text, test->text);
            buf_add_str(&text, ",\"a\":[");
            buf_add_slice(&text, test->text);
            buf_add_str(&text, "],\"k\":{\"id\":");
            buf_add_slice(&text, test->text);
            buf_add_str(&text, "}}");
            /* A sound text stays sound inside of another; some others do not get sound by it. */
            bool ok = agree(buf_slice(&text), test->name);
            if (test->name[0] == 'y')
                assert_true(ok);
        }
    }
}

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

static void mutate(struct buf *text, uint64_t *seed)
{
    static const char bytes[] = "{}[]\"\",,::\\ue0-+.1tfn \n\t\xff\xc3\x80\x01x";
    size_t at = (size_t)draw(seed, text->len);
    switch (draw(seed, 4)) {
    case 0: text->ptr[at] = bytes[draw(seed, sizeof bytes - 1)]; break;
    case 1: text->len = at; break;
    case 2:
        memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
        text->len--;
        break;
    default:
        buf_add_char(text, 0);
        memmove(text->ptr + at + 1, text->ptr + at, text->len - at - 1);
        text->ptr[at] = bytes[draw(seed, sizeof bytes - 1)];
    }
}

/* The corpus as it stands: every scanner decides it by itself, without the walker. */
static void the_corpus_and_what_is_near_it(void **state)
{
    CLEANUP_BUF struct buf corpus = {0};
    struct error err = ERROR_NONE;
    uint64_t seed = 7;
    size_t sound = 0, broken = 0;
    (void)state;
    if (file_read("tests/corpus/cim-events.jsonl", 16u << 20, &corpus, &err) < 0)
        fail_msg("%s", err.text);
    struct slice rest = buf_slice(&corpus), line;
    while (slice_cut(&rest, '\n', &line)) {
        if (!line.len)
            continue;
        assert_true(agree(line, "corpus"));
        for (size_t s = 0; json_scanner_at(s); s++) {
            struct json_value values[SLOTS_MAX];
            const struct json_scanner *scanner = json_scanner_at(s);
            if (scanner->scan && json_scanner_supported(scanner))
                assert_true(scanner->scan(plans[0], line, values));
        }
        for (int i = 0; i < 300; i++) {
            CLEANUP_BUF struct buf text = {0};
            buf_add_slice(&text, line);
            for (uint64_t times = 1 + draw(&seed, 2); times && text.len; times--)
                mutate(&text, &seed);
            bool ok = agree(buf_slice(&text), "corpus, changed");
            sound += ok;
            broken += !ok;
        }
    }
    assert_true(sound > 1000 && broken > 1000);
}

/* Short texts over an alphabet of tokens: the grammar, densely. */
static void random_tokens(void **state)
{
    static const char *const tokens[] = {
        "{",    "}",    "[",     "]", ":",  ",",         "\"a\"", "\"\"", "1",      "-0", "nul",
        "null", "true", "1.5e3", " ", "\n", "\"b\\\"\"", "{}",    "[]",   "\"a\":", "01"};
    uint64_t seed = 99;
    size_t sound = 0;
    (void)state;
    for (int i = 0; i < 400000; i++) {
        CLEANUP_BUF struct buf text = {0};
        buf_add_str(&text, i % 2 ? "{" : "[");
        /* Half of them over a border: what one block alone would show is then told by the next. */
        if (i % 4 > 1) {
            buf_add_str(&text, i % 2 ? "\"p\":\"" : "\"");
            for (uint64_t n = 20 + draw(&seed, 50); n; n--)
                buf_add_char(&text, 'x');
            buf_add_str(&text, "\",");
        }
        for (uint64_t n = draw(&seed, 9); n; n--)
            buf_add_str(&text, tokens[draw(&seed, ARRAY_LEN(tokens))]);
        buf_add_str(&text, i % 2 ? "}" : "]");
        sound += agree(buf_slice(&text), "tokens");
    }
    assert_true(sound > 3000);
}

/* Backslashes in runs of every length, at every place of a block, before a quote. */
static void runs_of_backslashes(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 70; lead++) {
        for (size_t run = 0; run < 70; run += lead % 5 ? 3 : 1) {
            CLEANUP_BUF struct buf text = {0};
            buf_add_str(&text, "{\"k\":\"");
            for (size_t i = 0; i < lead; i++)
                buf_add_char(&text, 'x');
            for (size_t i = 0; i < run; i++)
                buf_add_char(&text, '\\');
            buf_add_str(&text, "\",\"a\":\"\"}");
            assert_int_equal(agree(buf_slice(&text), "backslashes"), run % 2 == 0);
        }
    }
}

/* Blanks between all tokens, in runs longer than a block. */
static void runs_of_blanks(void **state)
{
    static const char *const tokens[] = {
        "{", "\"event_id\"", ":", "\"x\"", ",", "\"a\"", ":", "[",     "1", ",",    "{", "}",
        ",", "-2",           ",", "[",     "]", "]",     ",", "\"k\"", ":", "true", "}"};
    (void)state;
    for (size_t run = 0; run < 140; run++) {
        CLEANUP_BUF struct buf text = {0};
        for (size_t t = 0; t < ARRAY_LEN(tokens); t++) {
            buf_add_str(&text, tokens[t]);
            for (size_t i = 0; i < run; i++)
                buf_add_char(&text, " \t\n\r"[(t + i) % 4]);
        }
        assert_true(agree(buf_slice(&text), "blanks"));
        for (size_t skip = 0; skip < ARRAY_LEN(tokens); skip++) {
            buf_reset(&text);
            for (size_t t = 0; t < ARRAY_LEN(tokens); t++) {
                buf_add_str(&text, t == skip ? "" : tokens[t]);
                for (size_t i = 0; i < run; i++)
                    buf_add_char(&text, ' ');
            }
            (void)agree(buf_slice(&text), "blanks, a token less");
        }
    }
}

static void nested(struct buf *text, size_t depth, const char *open, const char *close)
{
    buf_reset(text);
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, open);
    buf_add_str(text, "0");
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, close);
}

static void depth_and_length_have_their_limits(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (size_t depth = 1020; depth < 1030; depth++) {
        nested(&text, depth, "[", "]");
        assert_int_equal(agree(buf_slice(&text), "depth"), depth <= JSON_DEPTH_MAX);
        nested(&text, depth, "{\"a\":", "}");
        assert_int_equal(agree(buf_slice(&text), "depth"), depth <= JSON_DEPTH_MAX);
    }
    nested(&text, 100000, "[", "");
    assert_false(agree(buf_slice(&text), "100000 open"));
    for (size_t len = JSON_SCAN_BYTES_MAX - 70; len < JSON_SCAN_BYTES_MAX + 70; len++) {
        buf_reset(&text);
        buf_add_str(&text, "{\"k\":\"");
        while (text.len < len - 2)
            buf_add_char(&text, 'x');
        buf_add_str(&text, "\"}");
        assert_true(agree(buf_slice(&text), "length"));
    }
}

/* $CIM_OPS_SIMD has been read already: whatever it chose is one of those that the machine has. */
static void the_chosen_one_is_supported(void **state)
{
    const struct json_scanner *found = NULL;
    (void)state;
    for (size_t s = 0; json_scanner_at(s); s++) {
        if (!strcmp(json_scanner_at(s)->name, json_extract_method()))
            found = json_scanner_at(s);
    }
    assert_non_null(found);
    assert_true(json_scanner_supported(found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cases),
        cmocka_unit_test(the_cases_at_every_offset),
        cmocka_unit_test(the_corpus_and_what_is_near_it),
        cmocka_unit_test(random_tokens),
        cmocka_unit_test(runs_of_backslashes),
        cmocka_unit_test(runs_of_blanks),
        cmocka_unit_test(depth_and_length_have_their_limits),
        cmocka_unit_test(the_chosen_one_is_supported),
    };
    return cmocka_run_group_tests(tests, make_plans, free_plans);
}
