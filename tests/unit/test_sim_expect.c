/* source/sim/expect: the meaning of the metrics, on cases small enough to count by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/instant.h"
#include "source/sim/expect.h"

static struct sim_account account_of(const char *event_type, bool second, uint64_t aggregate,
                                     uint64_t event)
{
    const struct sim_fact *fact;
    const struct sim_form *form;
    enum sim_domain domain;
    for (size_t i = 0; sim_series_at(i, &fact, &form, &domain); i++) {
        if (i % 2 != second || strcmp(fact->event_type, event_type) != 0)
            continue;
        return (struct sim_account){
            .fact = fact,
            .form = form,
            .aggregate = uuid_v4(aggregate, 1),
            .event = uuid_v4(event, 2),
            .told = fact->twin ? event + 1 : 0,
            .series = (uint16_t)i,
            .domain = (uint8_t)domain,
        };
    }
    fail_msg("no such fact: %s", event_type);
    return (struct sim_account){0};
}

static void add(struct expect *expect, const char *type, bool second, uint64_t aggregate,
                uint64_t event)
{
    struct sim_account account = account_of(type, second, aggregate, event);
    expect_add(expect, &account, SLICE("S"));
}

static void assert_says(const struct expect *expect, const char *line)
{
    CLEANUP_BUF struct buf text = {0};
    expect_print(expect, &text);
    if (!strstr(buf_cstr(&text), line))
        fail_msg("'%s' is not in:\n%s", line, buf_cstr(&text));
}

static void assert_silent(const struct expect *expect, const char *part)
{
    CLEANUP_BUF struct buf text = {0};
    expect_print(expect, &text);
    if (strstr(buf_cstr(&text), part))
        fail_msg("'%s' is in:\n%s", part, buf_cstr(&text));
}

static void test_error_types(void **state)
{
    (void)state;
    assert_string_equal(expect_error_type("PolicyViolationDetected"), "violation");
    assert_string_equal(expect_error_type("CommandTimedOut"), "timed_out");
    assert_string_equal(expect_error_type("StepApprovalRejected"), "rejected");
    assert_string_equal(expect_error_type("WorkflowFailed"), "failed");
    assert_string_equal(expect_error_type("DeviceError"), "error");
    assert_null(expect_error_type("WorkflowCompleted"));
}

static void test_a_second_form_is_a_copy_where_it_shows(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    add(expect, "ResourceRegistered", false, 1, 1);
    add(expect, "ResourceRegistered", true, 1, 1); /* the same event id: a duplicate as well */
    add(expect, "AgentDeployed", true, 2, 2);      /* whichever comes second is the copy */
    add(expect, "AgentDeployed", false, 2, 2);
    add(expect, "PersonCreated", false, 3, 3);
    add(expect, "PersonCreated", true, 3, 3);    /* V2 calls it Created */
    add(expect, "LocationDefined", false, 4, 4); /* nothing tells these two apart */
    add(expect, "LocationDefined", true, 4, 4);
    assert_says(expect,
                "cim_events_total{domain=\"infrastructure\",event_type=\"ResourceRegistered\","
                "aggregate_type=\"compute_resource\"} 1\n");
    assert_says(expect, "cim_events_total{domain=\"agent\",event_type=\"AgentDeployed\","
                        "aggregate_type=\"agent\"} 1\n");
    assert_says(expect, "cim_events_total{domain=\"location\",event_type=\"LocationDefined\","
                        "aggregate_type=\"location\"} 2\n");
    assert_silent(expect, "event_type=\"Created\",aggregate_type=\"person\"}");
    assert_says(expect, "cim_event_copies_total{domain=\"person\",event_type=\"Created\"} 1\n");
    assert_says(expect,
                "cim_event_copies_total{domain=\"agent\",event_type=\"AgentDeployed\"} 1\n");
    assert_says(expect, "cim_duplicate_events_total{domain=\"infrastructure\"} 1\n");
    assert_silent(expect, "cim_duplicate_events_total{domain=\"agent\"}");
    assert_int_equal(expect_duplicates(expect), 1);
    expect_free(expect);
}

static void test_the_same_form_again_is_no_copy(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    add(expect, "AgentDeployed", false, 2, 2);
    add(expect, "AgentDeployed", false, 2, 2);
    add(expect, "AgentDeployed", true, 2, 2);
    add(expect, "AgentDeployed", true, 2, 2); /* its pair is complete: this one waits anew */
    assert_says(expect, "event_type=\"AgentDeployed\",aggregate_type=\"agent\"} 3\n");
    assert_says(expect,
                "cim_event_copies_total{domain=\"agent\",event_type=\"AgentDeployed\"} 1\n");
    expect_free(expect);
}

static void test_another_stream_knows_nothing_of_the_first(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    struct sim_account first = account_of("OrganizationCreated", false, 1, 1);
    struct sim_account second = account_of("OrganizationCreated", true, 1, 1);
    expect_add(expect, &first, SLICE("ORGANIZATION_EVENTS"));
    expect_add(expect, &second, SLICE("event-store"));
    assert_int_equal(expect_duplicates(expect), 0);
    expect_free(expect);
}

static void test_aggregates_end_and_revive(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    static const char alive[] =
        "cim_aggregate_count{domain=\"policy\",aggregate_type=\"policy\"} %d\n";
    char line[128];
    const struct {
        const char *type;
        uint64_t aggregate;
        int alive;
    } course[] = {{"PolicyCreated", 1, 1},  {"PolicyCreated", 2, 2},  {"PolicyApproved", 1, 2},
                  {"PolicyArchived", 1, 1}, {"PolicyArchived", 1, 1}, {"PolicyApproved", 1, 2},
                  {"PolicyArchived", 2, 1}, {"PolicyArchived", 1, 0}};
    for (size_t i = 0; i < ARRAY_LEN(course); i++) {
        add(expect, course[i].type, false, course[i].aggregate, i);
        (void)snprintf(line, sizeof line, alive, course[i].alive);
        assert_says(expect, line);
    }
    expect_free(expect);
}

static void test_workflows_by_name(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    struct sim_account done = account_of("WorkflowCompleted", false, 1, 1);
    done.name = 2;
    done.at_ns = 1783771895 * NS_PER_SECOND + 688160832;
    expect_add(expect, &done, SLICE("S"));
    done.at_ns -= NS_PER_SECOND; /* an earlier one read later changes nothing */
    expect_add(expect, &done, SLICE("S"));
    struct sim_account failed = account_of("WorkflowFailed", false, 3, 3);
    expect_add(expect, &failed, SLICE("S"));
    assert_says(expect, "cim_workflow_completions_total{workflow_type=\"deploy-agent\"} 2\n");
    assert_says(expect,
                "cim_workflow_last_completion_timestamp_seconds{workflow_type=\"deploy-agent\"} "
                "1783771895.688160832\n");
    assert_says(expect, "cim_workflow_failures_total{workflow_type=\"nightly-reindex\"} 1\n");
    assert_says(expect, "cim_events_failed_total{domain=\"workflow\",event_type=\"WorkflowFailed\","
                        "error_type=\"failed\"} 1\n");
    assert_says(expect, "cim_domain_errors_total{domain=\"workflow\",error_type=\"failed\","
                        "aggregate_type=\"workflow\"} 1\n");
    expect_free(expect);
}

static void test_malformed_is_no_event(void **state)
{
    (void)state;
    struct expect *expect = expect_new();
    struct sim_account malformed = {.domain = SIM_GIT};
    expect_add(expect, &malformed, SLICE("GIT_EVENTS"));
    expect_add(expect, &malformed, SLICE(""));
    assert_says(expect, "cim_events_malformed_total{stream=\"GIT_EVENTS\"} 1\n");
    assert_says(expect, "cim_events_malformed_total 1\n"); /* no stream, no label */
    assert_silent(expect, "cim_events_total{");
    expect_free(expect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_types),
        cmocka_unit_test(test_a_second_form_is_a_copy_where_it_shows),
        cmocka_unit_test(test_the_same_form_again_is_no_copy),
        cmocka_unit_test(test_another_stream_knows_nothing_of_the_first),
        cmocka_unit_test(test_aggregates_end_and_revive),
        cmocka_unit_test(test_workflows_by_name),
        cmocka_unit_test(test_malformed_is_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
