/* source/sim/generate: the events themselves, held against the corpus of real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "bus/stream.h"
#include "source/sim/print.h"

static const int64_t start_ns = INT64_C(1783771200) * NS_PER_SECOND;

static struct sim_config usual(uint64_t seed)
{
    struct sim_config config = {
        .seed = seed,
        .start_ns = start_ns,
        .live = 300,
        .shares = {.malformed = 0.002,
                   .duplicate = 0.005,
                   .late = 0.01,
                   .failed = 0.03,
                   .stalled = 0.02,
                   .second = 0.1},
    };
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        config.domains[d] = true;
    return config;
}

static void print_run(const struct sim_config *config, size_t count, struct buf *ret)
{
    struct sim *sim = sim_new(config);
    struct sim_event event;
    for (size_t i = 0; i < count; i++) {
        sim_next(sim, &event);
        print_line(&event, ret);
        buf_add_char(ret, '\n');
    }
    sim_free(sim);
}

static void test_same_seed_and_start_same_bytes(void **state)
{
    (void)state;
    CLEANUP_BUF struct buf a = {0}, b = {0}, c = {0};
    struct sim_config config = usual(42), other = usual(43);
    print_run(&config, 5000, &a);
    print_run(&config, 5000, &b);
    print_run(&other, 5000, &c);
    assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
    assert_false(slice_eq(buf_slice(&a), buf_slice(&c)));
}

static json_t *parse(struct slice text)
{
    json_error_t problem;
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
}

static void test_lines_and_payloads_parse_unless_meant_not_to(void **state)
{
    (void)state;
    struct sim_config config = usual(1);
    config.shares.malformed = 0.05;
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    CLEANUP_BUF struct buf line = {0};
    for (size_t i = 0; i < 30000; i++) {
        sim_next(sim, &event);
        buf_reset(&line);
        print_line(&event, &line);
        json_t *root = parse(buf_slice(&line)), *payload = parse(event.payload);
        if (!root || !payload != (event.sort == SORT_MALFORMED))
            fail_msg("sort %d: %.*s", (int)event.sort, SLICE_ARG(event.payload));
        json_decref(root);
        json_decref(payload);
    }
    sim_free(sim);
}

/* --- against the corpus ----------------------------------------------------------------------- */

/* Key paths in order, e.g. "{event{type,agent_id,}}": what a producer's struct fixes. */
static void add_shape(json_t *value, struct buf *ret)
{
    const char *key;
    json_t *item;
    size_t index;
    if (json_is_object(value)) {
        buf_add_char(ret, '{');
        json_object_foreach(value, key, item)
        {
            buf_addf(ret, "%s:", key);
            add_shape(item, ret);
            buf_add_char(ret, ',');
        }
        buf_add_char(ret, '}');
    } else if (json_is_array(value)) {
        buf_add_char(ret, '[');
        json_array_foreach(value, index, item)
        {
            if (index == 0)
                add_shape(item, ret);
        }
        buf_add_char(ret, ']');
    }
}

/* A payload of byte numbers is looked into. */
static void add_payload_shape(json_t *payload, struct buf *ret)
{
    if (!json_is_array(payload)) {
        add_shape(payload, ret);
        return;
    }
    CLEANUP_BUF struct buf bytes = {0};
    json_t *item;
    size_t index;
    json_array_foreach(payload, index, item) buf_add_char(&bytes, (char)json_integer_value(item));
    json_t *inner = parse(buf_slice(&bytes));
    assert_non_null(inner);
    buf_add_str(ret, "bytes:");
    add_shape(inner, ret);
    json_decref(inner);
}

/* Subject with ids replaced, header names, key paths: one text to compare. */
static void add_signature(json_t *line, struct buf *ret)
{
    static regex_t uuid, chunk;
    static bool compiled;
    if (!compiled) {
        assert_int_equal(regcomp(&uuid, "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", REG_EXTENDED),
                         0);
        assert_int_equal(regcomp(&chunk, "chunk[.][0-9]+$", REG_EXTENDED), 0);
        compiled = true;
    }
    const char *at = json_string_value(json_object_get(line, "subject")), *name;
    regmatch_t match;
    for (; regexec(&uuid, at, 1, &match, 0) == 0; at += match.rm_eo) {
        buf_add(ret, at, (size_t)match.rm_so);
        buf_add_str(ret, "<id>");
    }
    if (regexec(&chunk, at, 1, &match, 0) == 0)
        buf_addf(ret, "%.*schunk.<n>", (int)match.rm_so, at);
    else
        buf_add_str(ret, at);
    json_t *value;
    json_object_foreach(json_object_get(line, "headers"), name, value) buf_addf(ret, " %s", name);
    buf_add_char(ret, ' ');
    add_payload_shape(json_object_get(line, "payload"), ret);
}

struct signatures {
    char **items;
    size_t count, room;
};

static bool has(const struct signatures *all, const char *text)
{
    for (size_t i = 0; i < all->count; i++) {
        if (!strcmp(all->items[i], text))
            return true;
    }
    return false;
}

static void collect_ours(struct signatures *ret)
{
    struct sim_config config = usual(9);
    config.shares.malformed = 0;
    config.shares.second = 0.5;
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    CLEANUP_BUF struct buf line = {0}, text = {0};
    for (size_t i = 0; i < 30000; i++) {
        sim_next(sim, &event);
        buf_reset(&line);
        buf_reset(&text);
        print_line(&event, &line);
        json_t *root = parse(buf_slice(&line));
        add_signature(root, &text);
        json_decref(root);
        if (has(ret, buf_cstr(&text)))
            continue;
        GROW(ret->items, ret->count, ret->room);
        ret->items[ret->count++] = xstrdup(buf_cstr(&text));
    }
    sim_free(sim);
}

/* The schemes that are simulated; other lines of the corpus are other layouts, or commands. */
static bool is_simulated(const char *subject)
{
    static const char *const filters[] = {
        "infrastructure.>",      "agent.events.>",        "agent.model_config.events.>",
        "events.workflow.>",     "cim.cim.cim.>",         "person.events.>",
        "organization.events.>", "events.organization.>", "events.policy.>",
        "events.location.>",     "git.event.>",           "git.ack.>",
        "network.*.*",
    };
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (subject_matches(slice_of(filters[i]), slice_of(subject)))
            return true;
    }
    return false;
}

static void test_shapes_are_those_of_the_corpus(void **state)
{
    (void)state;
    struct signatures ours = {0};
    CLEANUP_BUF struct buf corpus = {0}, text = {0};
    struct error err = ERROR_NONE;
    collect_ours(&ours);
    if (file_read("tests/corpus/cim-events.jsonl", 1 << 20, &corpus, &err) < 0)
        fail_msg("%s", err.text);
    struct slice rest = buf_slice(&corpus), line;
    size_t compared = 0;
    while (rest.len && slice_cut(&rest, '\n', &line)) {
        json_t *root = parse(line);
        assert_non_null(root);
        if (is_simulated(json_string_value(json_object_get(root, "subject")))) {
            buf_reset(&text);
            add_signature(root, &text);
            if (!has(&ours, buf_cstr(&text)))
                fail_msg("no simulated event has the shape %s", buf_cstr(&text));
            compared++;
        }
        json_decref(root);
    }
    assert_int_equal(compared, 34);
    for (size_t i = 0; i < ours.count; i++)
        free(ours.items[i]);
    free(ours.items);
}

/* --- the course of things --------------------------------------------------------------------- */

static void test_shares_are_kept(void **state)
{
    (void)state;
    enum { EVENTS = 200000 };
    struct sim_config config = usual(3);
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    size_t by_sort[SORT_MALFORMED + 1] = {0}, late = 0;
    for (size_t i = 0; i < EVENTS; i++) {
        sim_next(sim, &event);
        by_sort[event.sort]++;
        late += event.late && event.sort == SORT_FIRST;
    }
    assert_in_range(by_sort[SORT_MALFORMED], 320, 480);
    assert_in_range(by_sort[SORT_REPEATED], 850, 1150);
    assert_in_range(late, 1500, 2100);
    assert_true(by_sort[SORT_SECOND] > 5000);
    sim_free(sim);
}

static void test_repetitions_can_be_recognised_and_stored(void **state)
{
    (void)state;
    struct sim_config config = usual(4);
    config.shares.duplicate = 0.2;
    config.shares.malformed = 0.2;
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    for (size_t i = 0; i < 20000; i++) {
        sim_next(sim, &event);
        bool msg_id = memmem(event.headers.ptr, event.headers.len, "Nats-Msg-Id:", 12) != NULL;
        if (event.sort == SORT_REPEATED)
            assert_true((event.account.form->flags & FORM_ID) && !msg_id);
        if (event.sort == SORT_MALFORMED)
            assert_true(!msg_id && !event.account.fact);
    }
    sim_free(sim);
}

/* The correlation of a chain shows wherever its schemes carry one. */
static void test_a_chain_runs_through_the_domains(void **state)
{
    (void)state;
    struct sim_config config = usual(6);
    config.shares = (struct sim_shares){0};
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    CLEANUP_BUF struct buf all = {0};
    char wanted[UUID_TEXT_LEN + 1] = "";
    for (size_t i = 0; i < 4000; i++) {
        static const char mark[] = "\"kind\":\"Transaction\",\"value\":\"";
        sim_next(sim, &event);
        const char *at = memmem(event.payload.ptr, event.payload.len, mark, sizeof mark - 1);
        if (at && !wanted[0])
            (void)snprintf(wanted, sizeof wanted, "%.*s", UUID_TEXT_LEN, at + sizeof mark - 1);
        buf_addf(&all, "%.*s %.*s ", SLICE_ARG(event.subject), SLICE_ARG(event.headers));
        buf_add_slice(&all, event.payload);
        buf_add_char(&all, '\0');
    }
    unsigned workflow = 0, git = 0, policy = 0;
    assert_int_equal(strlen(wanted), UUID_TEXT_LEN);
    for (const char *at = all.ptr; at < all.ptr + all.len; at += strlen(at) + 1) {
        bool ours = strstr(at, wanted) != NULL;
        workflow += ours && !strncmp(at, "events.workflow.", 16);
        git += ours && !strncmp(at, "git.event.commit", 16);
        policy += ours && !strncmp(at, "events.policy.", 14);
    }
    assert_true(workflow > 0);
    assert_true(git > 0);
    assert_true(policy > 0);
    sim_free(sim);
}

static void test_only_chosen_domains_speak(void **state)
{
    (void)state;
    for (size_t chosen = 0; chosen < SIM_DOMAINS; chosen++) {
        struct sim_config config = usual(chosen);
        memset(config.domains, 0, sizeof config.domains);
        config.domains[chosen] = true;
        config.shares.failed = 0.3;
        struct sim *sim = sim_new(&config);
        struct sim_event event;
        for (size_t i = 0; i < 5000; i++) {
            sim_next(sim, &event);
            assert_int_equal(event.account.domain, chosen);
        }
        sim_free(sim);
    }
}

static void test_a_stalled_domain_is_silent(void **state)
{
    (void)state;
    struct sim_config config = usual(8);
    config.fault = FAULT_STALL;
    config.stall_after_ns = 2 * NS_PER_SECOND; /* at 1 ms an event */
    struct sim *sim = sim_new(&config);
    struct sim_event event;
    size_t before = 0, after = 0;
    for (size_t i = 0; i < 6000; i++) {
        sim_next(sim, &event);
        *(i < 2000 ? &before : &after) += event.account.domain == SIM_INFRASTRUCTURE;
    }
    assert_true(before > 100);
    assert_in_range(after, 0, 1);
    sim_free(sim);
}

/* Every form must have a subject that the streams of `cim-ops up` take. */
static void test_subjects_are_within_the_event_streams(void **state)
{
    (void)state;
    const struct sim_fact *fact;
    const struct sim_form *form;
    enum sim_domain domain;
    for (size_t i = 0; sim_series_at(i, &fact, &form, &domain); i++) {
        CLEANUP_BUF struct buf subject = {0};
        if (!form->subject)
            continue;
        sim_sample_subject(form, &subject);
        if (!is_simulated(buf_cstr(&subject)) || strpbrk(buf_cstr(&subject), "<>* "))
            fail_msg("%s", buf_cstr(&subject));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_and_start_same_bytes),
        cmocka_unit_test(test_lines_and_payloads_parse_unless_meant_not_to),
        cmocka_unit_test(test_shapes_are_those_of_the_corpus),
        cmocka_unit_test(test_shares_are_kept),
        cmocka_unit_test(test_repetitions_can_be_recognised_and_stored),
        cmocka_unit_test(test_a_chain_runs_through_the_domains),
        cmocka_unit_test(test_only_chosen_domains_speak),
        cmocka_unit_test(test_a_stalled_domain_is_silent),
        cmocka_unit_test(test_subjects_are_within_the_event_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
