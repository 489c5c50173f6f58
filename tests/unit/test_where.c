/* --where: what it lets through, and what it says about mistakes. */
#include "unit.h"

#include "base/memory.h"
#include "fold/where.h"

static const char payload[] =
    "{\"attempt\":3,\"reason\":\"disk (full) and hot\",\"list\":\"b\",\"deep\":{\"x\":\"y\"},"
    "\"quote\":\"it's\"}";

static bool holds(const char *text)
{
    struct where *where = NULL;
    struct error err = ERROR_NONE;
    static const struct event_header headers[] = {{SLICE("X-Actor"), SLICE("ann")}};
    struct event_input input = {.subject = SLICE("plant.pump.p-7"),
                                .payload = slice_of(payload),
                                .headers = headers,
                                .header_count = 1};
    struct event_view view = {0};
    view.field[EVENT_DOMAIN] = SLICE("plant");
    view.field[EVENT_TYPE] = SLICE("PumpFailed");
    if (where_compile(text, &where, &err) < 0)
        fail_msg("%s", err.text);
    bool result = where_holds(where, &input, input.payload, &view);
    where_free(where);
    return result;
}

static void conditions(void **state)
{
    (void)state;
    assert_true(holds("$domain == plant"));
    assert_false(holds("$domain == other"));
    assert_true(holds("$domain==plant"));
    assert_true(holds("$event_type ~ Failed$"));
    assert_true(holds("$event_type !~ '^Started'"));
    assert_true(holds("$payload.attempt >= 3"));
    assert_false(holds("$payload.attempt < 3"));
    assert_true(holds("$payload.reason == 'disk (full) and hot'"));
    assert_true(holds("$payload.reason == \"disk (full) and hot\""));
    assert_true(holds("$payload.quote == \"it's\""));
    assert_true(holds("$payload.quote == 'it\\'s'"));
    assert_true(holds("$payload.list in a, b, c"));
    assert_true(holds("$payload.list in (a,b)"));
    assert_true(holds("$payload.list not-in (a, c)"));
    assert_true(holds("$payload.deep.x exists"));
    assert_true(holds("$payload.deep.z absent"));
    assert_true(holds("$aggregate_id absent"));
    assert_true(holds("$header.actor == ann"));
    assert_true(holds("$subject[1] == pump"));
}

static void connectives(void **state)
{
    (void)state;
    assert_true(holds("$domain == a or $domain == plant"));
    assert_false(holds("$domain == a and $domain == plant"));
    assert_true(holds("$domain == a and $domain == b or $domain == plant"));
    assert_false(holds("$domain == a and ($domain == b or $domain == plant)"));
    assert_true(holds("not $domain == a"));
    assert_true(holds("not ($domain == a or $domain == b)"));
    assert_false(holds("not not $domain == a"));
    assert_true(holds("($payload.list in a, b) and $domain exists"));
    assert_true(holds("$domain == plant and not $payload.attempt < 3"));
}

static void mistakes(void **state)
{
    static const char *const cases[][2] = {
        {"", "--where:1: a condition such as"},
        {"domain == x", "--where:1: a condition such as"},
        {"$domain", "--where:8: an operator was expected"},
        {"$domain =", "--where:10: a value was expected"},
        {"$domain === x", "unknown operator '==='"},
        {"$domain is x", "unknown operator 'is'"},
        {"$nonsense == x", "unknown reference '$nonsense'"},
        {"$domain == 'x", "--where:12: the quote is not closed"},
        {"($domain == x", "--where:1: this ( is not closed"},
        {"$domain == x)", "--where:13: `and`, `or` or the end was expected"},
        {"$domain == x $y", "--where:14: `and`, `or` or the end was expected"},
        {"$domain == x and", "--where:17: a condition such as"},
        {"$payload.n > many", "'many' is not a number"},
        {"$domain ~ '('", "not an extended regular expression"},
        {"$remembered.x == y", "for rules only"},
        {"$domain in ('a,b')", "a comma inside an item"},
        {"$domain in (a", "a comma or ) was expected"},
        {"$payload..a exists", "a name is empty"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct where *where = NULL;
        struct error err = ERROR_NONE;
        if (where_compile(cases[i][0], &where, &err) == 0)
            fail_msg("'%s' was taken", cases[i][0]);
        assert_int_equal(err.code, EXIT_CODE_USAGE);
        assert_contains(err.text, cases[i][1]);
    }
}

static void limits(void **state)
{
    CLEANUP_BUF struct buf deep = {0}, many = {0};
    struct where *where = NULL;
    struct error err = ERROR_NONE;
    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_add_char(&deep, '(');
    assert_true(where_compile(buf_cstr(&deep), &where, &err) < 0);
    assert_contains(err.text, "nested too deep");
    for (int i = 0; i < 100; i++)
        buf_addf(&many, "%s$domain == x%d", i ? " or " : "", i);
    assert_true(where_compile(buf_cstr(&many), &where, &err) < 0);
    assert_contains(err.text, "too many conditions");
}

static void not_json(void **state)
{
    struct where *where = NULL;
    struct error err = ERROR_NONE;
    struct event_input input = {.subject = SLICE("a.b"), .payload = SLICE("{broken")};
    struct event_view view = {0};
    (void)state;
    assert_int_equal(where_compile("$payload.x absent", &where, &err), 0);
    assert_true(where_holds(where, &input, input.payload, &view));
    where_free(where);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(conditions), cmocka_unit_test(connectives),
                                       cmocka_unit_test(mistakes), cmocka_unit_test(limits),
                                       cmocka_unit_test(not_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
