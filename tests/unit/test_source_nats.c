#include "unit.h"

#include <string.h>

#include "source/nats/nats.h"

static void durations_of_go(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0s", 0},
        {"269\xc2\xb5s", 269000},
        {"269us", 269000},
        {"1.5ms", 1500000},
        {"1m2.5s", INT64_C(62500000000)},
        {"1h0m0s", INT64_C(3600000000000)},
        {"12ns", 12},
        {"", -1},
        {"5", -1},
        {"s", -1},
        {"5x", -1},
        {"1.5", -1},
        {"99999999999999999999h", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = nats_duration(slice_of(cases[i].text));
        if (got != cases[i].ns)
            fail_msg("'%s' gave %lld", cases[i].text, (long long)got);
    }
}

static void numbers_without_a_limit_are_none(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {{"0", 0}, {"17", 17}, {"-1", 0}, {"18446744073709551615", 0}, {"1e3", 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_value value = {.raw = slice_of(cases[i].text), .type = JSON_TYPE_NUMBER};
        assert_int_equal(nats_u64(&value), cases[i].value);
    }
    struct json_value text = {.raw = SLICE("17"), .type = JSON_TYPE_STRING};
    assert_int_equal(nats_u64(&text), 0);
}

static void long_names_are_cut(void **state)
{
    char long_text[3 * NATS_NAME_MAX], out[NATS_NAME_MAX];
    (void)state;
    memset(long_text, 'x', sizeof long_text);
    struct json_value value = {.raw = {long_text, sizeof long_text}, .type = JSON_TYPE_STRING};
    nats_text(&value, out);
    assert_int_equal(strlen(out), NATS_NAME_MAX - 1);
    value.type = JSON_TYPE_NULL;
    nats_text(&value, out);
    assert_string_equal(out, "");
}

static void reports_of_one_server(void **state)
{
    static const char text[] =
        "{\"account_details\":[{\"name\":\"A\",\"stream_detail\":[{\"name\":\"S\",\"cluster\":{"
        "\"leader\":\"n1\",\"replicas\":[{\"name\":\"n2\",\"current\":false,\"active\":7,\"lag\":3}"
        "]},\"config\":{\"num_replicas\":3},\"state\":{\"messages\":5,\"last_seq\":9,\"lost\":{"
        "\"msgs\":2}},\"consumer_detail\":[{\"name\":\"c\",\"num_pending\":4,\"config\":{"
        "\"max_ack_pending\":-1}},{\"name\":\"b\",\"cluster\":{\"leader\":\"n9\"}},17]}]}]}";
    static const struct nats_field table[] = {{"account_details", NULL}};
    struct nats_watch watch = {.server_count = 1};
    struct nats_fields page;
    struct json_value values[NATS_FIELDS_MAX];
    struct json_error error;
    (void)state;
    (void)memcpy(watch.servers[0].name, "n1", 3);
    nats_parsers_new(&watch);
    nats_fields_new(&page, table, ARRAY_LEN(table));
    assert_true(nats_fields_read(&page, slice_of(text), values, &error));
    nats_parse_accounts(&watch, &watch.servers[0], &values[0]);
    nats_reports_sort(&watch.reports);
    assert_int_equal(watch.reports.stream_count, 1);
    const struct stream_report *stream = &watch.reports.streams[0];
    assert_string_equal(stream->head.key, "A\tS");
    assert_true(stream->head.leads);
    assert_int_equal(stream->state.last_seq, 9);
    assert_int_equal(stream->lost_messages, 2);
    assert_int_equal(stream->peer_count, 1);
    assert_false(stream->peers[0].current);
    assert_int_equal(stream->peers[0].lag, 3);
    assert_true(watch.reports.consumer_count >= 2);
    bool found = false;
    for (size_t i = 0; i < watch.reports.consumer_count; i++) {
        const struct consumer_report *consumer = &watch.reports.consumers[i];
        if (strcmp(consumer->head.key, "A\tS\tb") == 0)
            assert_false(consumer->head.leads);
        if (strcmp(consumer->head.key, "A\tS\tc") != 0)
            continue;
        found = true;
        assert_true(consumer->head.leads);
        assert_int_equal(consumer->pending, 4);
        assert_int_equal(consumer->max_ack_pending, 0);
    }
    assert_true(found);
    assert_false(nats_fields_read(&page, SLICE("{\"account_details\":["), values, &error));
    nats_fields_done(&page);
    nats_reports_done(&watch.reports);
    nats_parsers_done(&watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_of_go),
        cmocka_unit_test(numbers_without_a_limit_are_none),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(reports_of_one_server),
    };
    return cmocka_run_group_tests_name("source_nats", tests, NULL, NULL);
}
