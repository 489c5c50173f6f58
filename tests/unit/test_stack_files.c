#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "stack/config.h"
#include "stack/generated.h"
#include "stack/record.h"

struct place {
    char dir[64];
};

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof *place);
    (void)snprintf(place->dir, sizeof place->dir, "/tmp/cim-ops-unit-XXXXXX");
    *state = place;
    return mkdtemp(place->dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    CLEANUP_FREE char *command = xasprintf("rm -r '%s'", place->dir);
    int failed = system(command); /* NOLINT: a folder of our own making */
    free(place);
    return failed;
}

static char *in(const struct place *place, const char *name)
{
    return xasprintf("%s/%s", place->dir, name);
}

static enum generated_outcome generate(const struct place *place, const char *content)
{
    enum generated_outcome outcome;
    struct error err = ERROR_NONE;
    if (generated_write(place->dir, "a.conf", slice_of(content), &outcome, &err) < 0)
        fail_msg("%s", err.text);
    return outcome;
}

static void assert_content(const struct place *place, const char *expected)
{
    CLEANUP_FREE char *path = in(place, "a.conf");
    CLEANUP_BUF struct buf text = {0};
    assert_int_equal(file_read(path, 1000, &text, NULL), 0);
    assert_string_equal(buf_cstr(&text), expected);
}

static void a_generated_file_is_ours_until_edited(void **state)
{
    struct place *place = *state;
    CLEANUP_FREE char *path = in(place, "a.conf");
    assert_int_equal(generate(place, "one"), GENERATED_WRITTEN);
    assert_int_equal(generate(place, "one"), GENERATED_SAME);
    assert_int_equal(generate(place, "two"), GENERATED_WRITTEN);
    assert_content(place, "two");
    assert_int_equal(file_write_atomic(path, SLICE("mine"), 0644, NULL), 0);
    assert_int_equal(generate(place, "three"), GENERATED_KEPT);
    assert_int_equal(generate(place, "two"), GENERATED_KEPT);
    assert_content(place, "mine");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(generate(place, "four"), GENERATED_WRITTEN);
    assert_content(place, "four");
}

static void a_file_that_was_there_first_is_kept(void **state)
{
    struct place *place = *state;
    CLEANUP_FREE char *path = in(place, "a.conf");
    assert_int_equal(file_write_atomic(path, SLICE("theirs"), 0644, NULL), 0);
    assert_int_equal(generate(place, "ours"), GENERATED_KEPT);
    assert_content(place, "theirs");
}

static void the_lock_is_held_once(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_NONE;
    int first, second;
    assert_int_equal(record_lock(place->dir, &first, &err), 0);
    assert_int_equal(record_lock(place->dir, &second, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_REFUSED);
    (void)close(first);
    assert_int_equal(record_lock(place->dir, &second, &err), 0);
    (void)close(second);
}

static void a_record_is_read_back(void **state)
{
    struct place *place = *state;
    static const struct part_spec specs[] = {
        {.name = "outside", .url = "nats://\"far\"/"},
        {.name = "other"},
    };
    struct stack_options options = {.parts = specs, .part_count = 2, .log_dir = place->dir};
    struct stack *stack;
    struct record record;
    struct error err = ERROR_NONE;
    assert_int_equal(stack_new(&options, &stack, &err), 0);
    stack_set_outside(stack, "outside", true);
    assert_int_equal(record_write(place->dir, 1783771227671243528, stack, &err), 0);
    assert_int_equal(record_read(place->dir, &record, &err), 0);
    assert_true(record_is_alive(&record));
    assert_int_equal(record.pid, getpid());
    assert_int_equal(record.since_ns, 1783771227671243528);
    assert_int_equal(record.part_count, 2);
    assert_string_equal(record.parts[0].name, "outside");
    assert_string_equal(record.parts[0].url, "nats://\"far\"/");
    assert_int_equal(record.parts[0].state, PART_RUNNING);
    assert_int_equal(record.parts[0].since_ns, stack_part(stack, 0)->since_ns);
    assert_string_equal(record.parts[1].url, "");
    record.start_ticks++; /* the pid, used again by another process */
    assert_false(record_is_alive(&record));
    record_done(&record);
    stack_free(stack);
    record_remove(place->dir);
    assert_int_equal(record_read(place->dir, &record, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_UNREACHABLE);
}

static void a_damaged_record_is_said_to_be_so(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"pid\": \"x\"}",
        "{\"pid\": 1, \"parts\": []}",
        "{\"pid\": 7, \"parts\": [{\"name\": \"a\", \"state\": \"odd\"}]}",
        "{\"pid\": 7, \"parts\": [{\"state\": \"running\"}]}",
        "{\"pid\": 7, \"parts\": [3]}",
    };
    struct record record;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error err = ERROR_NONE;
        assert_int_equal(record_from_json(slice_of(texts[i]), &record, &err), -1);
        assert_int_equal(err.code, EXIT_CODE_DAMAGED);
    }
}

static void configurations_say_what_they_were_told(void **state)
{
    struct config_values values = {.dir = "/a \"b\"\\c",
                                   .bind = "0.0.0.0",
                                   .host = "127.0.0.1",
                                   .nats_port = 1,
                                   .nats_http_port = 2,
                                   .metrics_port = 3,
                                   .prometheus_port = 4,
                                   .alertmanager_port = 5};
    CLEANUP_BUF struct buf nats = {0}, prometheus = {0}, local = {0};
    (void)state;
    config_nats(&values, &nats);
    assert_non_null(strstr(buf_cstr(&nats), "listen: \"0.0.0.0:1\"\n"));
    assert_non_null(strstr(nats.ptr, "store_dir: \"/a \\\"b\\\"\\\\c/jetstream\"\n"));
    assert_null(strstr(nats.ptr, "\n    sync_interval:"));
    values.has_sync_interval = values.has_alerts = true;
    buf_reset(&nats);
    config_nats(&values, &nats);
    assert_non_null(strstr(buf_cstr(&nats), "\n    sync_interval: 10s\n"));
    config_prometheus(&values, &prometheus);
    assert_non_null(strstr(buf_cstr(&prometheus), "targets: [\"127.0.0.1:3\"]"));
    assert_non_null(strstr(prometheus.ptr, "rule_files: [\"alerts.yaml\"]"));
    config_alertmanager(&values, SLICE("- url: " CONFIG_MONITOR_DEFAULT "alerts\n"), &local);
    assert_non_null(strstr(buf_cstr(&local), "\n- url: http://127.0.0.1:3/alerts\n"));
    buf_reset(&local);
    config_alertmanager(&values, SLICE_ABSENT, &local);
    assert_non_null(strstr(buf_cstr(&local), "- url: http://127.0.0.1:3/alerts\n"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_generated_file_is_ours_until_edited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_there_first_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_lock_is_held_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_is_read_back, set_up, tear_down),
        cmocka_unit_test(a_damaged_record_is_said_to_be_so),
        cmocka_unit_test(configurations_say_what_they_were_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
