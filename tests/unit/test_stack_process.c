#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "stack/child.h"
#include "stack/process.h"

static void stat_line_with_brackets_in_the_name(void **state)
{
    uint64_t ticks = 0;
    (void)state;
    assert_true(
        process_stat_parse(SLICE("7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 "
                                 "98765 1 2 3\n"),
                           &ticks));
    assert_int_equal(ticks, 98765);
    assert_false(process_stat_parse(SLICE("7 (dead) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 "
                                          "98765 1 2 3\n"),
                                    &ticks));
    assert_false(process_stat_parse(SLICE("7 (short) S 1 2 3"), &ticks));
    assert_false(process_stat_parse(SLICE("no bracket"), &ticks));
    assert_false(process_stat_parse(SLICE(""), &ticks));
}

static void own_process_is_alive_under_its_own_start_only(void **state)
{
    uint64_t ticks;
    (void)state;
    assert_true(process_start_ticks(getpid(), &ticks));
    assert_true(process_is_alive(getpid(), ticks));
    assert_false(process_is_alive(getpid(), ticks + 1));
    assert_false(process_is_alive(0, ticks));
}

static void listeners_are_found_by_port_and_state(void **state)
{
    static const char head[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:2382 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 111 1 0\n"
        "   1: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 222 1 0\n"
        "   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A "
        "00000000:00000000 00:00000000 00000000  0 0 333 1 0\n";
    (void)state;
    assert_int_equal(process_listener_inode(slice_of(head), 0x2382), 222);
    assert_int_equal(process_listener_inode(slice_of(head), 0x1F90), 333);
    assert_int_equal(process_listener_inode(slice_of(head), 80), 0);
    assert_int_equal(process_listener_inode(SLICE(""), 80), 0);
}

static void a_taken_port_names_its_process(void **state)
{
    struct error err = ERROR_NONE;
    int held;
    (void)state;
    uint16_t port = port_pick("127.0.0.1", &held);
    assert_true(port > 0 && held >= 0);
    assert_int_equal(port_check("127.0.0.1", port, &err), -1);
    CLEANUP_FREE char *own = xasprintf("(pid %d)", (int)getpid());
    assert_int_equal(err.code, EXIT_CODE_REFUSED);
    assert_non_null(strstr(err.text, own));
    (void)close(held);
    assert_int_equal(port_check("127.0.0.1", port, &err), 0);
}

static void a_program_that_is_not_there_is_an_error_at_the_start(void **state)
{
    char name[] = "nothing";
    char *argv[] = {name, NULL};
    struct child_spec spec = {.program = "/no/such/program", .argv = argv};
    struct error err = ERROR_NONE;
    pid_t pid;
    int output;
    (void)state;
    assert_int_equal(child_start(&spec, &pid, &output, &err), -1);
    assert_non_null(strstr(err.text, "/no/such/program: cannot start: No such file"));
}

static void a_child_has_a_clean_slate(void **state)
{
    char sh[] = "sh", c[] = "-c";
    char script[] =
        "echo \"$CIM_OPS_UNIT\"; kill -INT $$; exit 3"; /* INT is not blocked, nor ignored */
    char variable[] = "CIM_OPS_UNIT=seen";
    char *argv[] = {sh, c, script, NULL}, *env[] = {variable, NULL};
    struct child_spec spec = {.program = "/bin/sh", .argv = argv, .env = env};
    struct error err = ERROR_NONE;
    CLEANUP_BUF struct buf output = {0};
    char text[64];
    int status;
    sigset_t interrupt, before;
    (void)state;
    (void)sigemptyset(&interrupt);
    (void)sigaddset(&interrupt, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &interrupt, &before);
    (void)signal(SIGINT, SIG_IGN);
    assert_int_equal(child_run(&spec, 5000, &output, &status, &err), 0);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(buf_cstr(&output), "seen\n");
    child_status_text(status, text, sizeof text);
    assert_string_equal(text, "signal 2 (Interrupt)");
}

static int say_and_fail(void *context)
{
    return printf("%s\n", (const char *)context) > 0 ? 5 : 0;
}

static void a_task_runs_in_a_child(void **state)
{
    char word[] = "done";
    struct child_spec spec = {.task = say_and_fail, .context = word};
    CLEANUP_BUF struct buf output = {0};
    int status;
    (void)state;
    assert_int_equal(child_run(&spec, 5000, &output, &status, NULL), 0);
    assert_int_equal(WEXITSTATUS(status), 5);
    assert_string_equal(buf_cstr(&output), "done\n");
}

static void what_takes_too_long_is_killed(void **state)
{
    char sleep_name[] = "sleep", seconds[] = "1000";
    char *argv[] = {sleep_name, seconds, NULL};
    struct child_spec spec = {.program = "/bin/sleep", .argv = argv};
    struct error err = ERROR_NONE;
    CLEANUP_BUF struct buf output = {0};
    int status;
    (void)state;
    assert_int_equal(child_run(&spec, 50, &output, &status, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_UNREACHABLE);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_line_with_brackets_in_the_name),
        cmocka_unit_test(own_process_is_alive_under_its_own_start_only),
        cmocka_unit_test(listeners_are_found_by_port_and_state),
        cmocka_unit_test(a_taken_port_names_its_process),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error_at_the_start),
        cmocka_unit_test(a_child_has_a_clean_slate),
        cmocka_unit_test(a_task_runs_in_a_child),
        cmocka_unit_test(what_takes_too_long_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
