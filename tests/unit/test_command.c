#include "unit.h"

#include "base/instant.h"
#include "cmd/command.h"
#include "scratch.h"

/* --- a verb of our own -------------------------------------------------------------------------
 */

struct values {
    bool flag;
    const char *text, *plain;
    uint64_t number, least, port, size;
    int64_t wait_ns;
};

static const struct option_spec options[] = {
    {.name = "flag",
     .help = "a flag",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct values, flag)},
    {.name = "text",
     .arg = "TEXT",
     .help = "a text",
     .kind = OPTION_STRING,
     .fallback = "default",
     .env = "CIM_OPS_TEST_TEXT",
     .offset = offsetof(struct values, text)},
    {.name = "plain",
     .arg = "TEXT",
     .help = "no default",
     .kind = OPTION_STRING,
     .offset = offsetof(struct values, plain)},
    {.name = "number",
     .arg = "N",
     .help = "a number",
     .kind = OPTION_U64,
     .fallback = "5",
     .min = 2,
     .max = 9,
     .env = "CIM_OPS_TEST_NUMBER",
     .offset = offsetof(struct values, number)},
    {.name = "least",
     .arg = "N",
     .help = "at least 3",
     .kind = OPTION_U64,
     .min = 3,
     .fallback = "3",
     .offset = offsetof(struct values, least)},
    {.name = "port",
     .arg = "PORT",
     .help = "a port",
     .kind = OPTION_PORT,
     .fallback = "9091",
     .offset = offsetof(struct values, port)},
    {.name = "size",
     .arg = "SIZE",
     .help = "a size",
     .kind = OPTION_SIZE,
     .fallback = "1MiB",
     .offset = offsetof(struct values, size)},
    {.name = "wait",
     .arg = "TIME",
     .help = "a time",
     .kind = OPTION_DURATION,
     .fallback = "15s",
     .offset = offsetof(struct values, wait_ns)},
};

static struct values seen;
static char seen_text[64], seen_operands[64];
static int runs;

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    seen = *(const struct values *)opaque;
    runs++;
    (void)snprintf(seen_text, sizeof seen_text, "%s", seen.text ? seen.text : "(null)");
    seen_operands[0] = 0;
    for (int i = 0; i < count; i++) {
        size_t used = strlen(seen_operands);
        (void)snprintf(seen_operands + used, sizeof seen_operands - used, "[%s]", operands[i]);
    }
    if (seen.number == 9)
        return error_set(err, EXIT_CODE_REFUSED, "nine is refused"), EXIT_CODE_REFUSED;
    return EXIT_CODE_DONE;
}

static const struct command verb = {
    .name = "verb",
    .summary = "do it",
    .operands = "FILE...",
    .example = "cim-ops verb --flag x",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct values),
    .operands_min = 0,
    .operands_max = 2,
    .run = run,
};

#define ARGS(...) ((const char *[]){__VA_ARGS__, NULL})

static struct error err;

static int call(const char **argv)
{
    char *words[32];
    int argc = 0;
    for (; argv[argc]; argc++)
        words[argc] = (char *)(uintptr_t)argv[argc];
    words[argc] = NULL;
    err = ERROR_NONE;
    runs = 0;
    seen = (struct values){0};
    return command_run(&verb, argc, words, &err);
}

static void refused(const char **argv, const char *text)
{
    assert_int_equal(call(argv), EXIT_CODE_USAGE);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_string_equal(err.text, text);
    assert_int_equal(runs, 0);
}

/* --- words --------------------------------------------------------------------------------------
 */

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(call(ARGS(NULL)), EXIT_CODE_DONE);
    assert_false(seen.flag);
    assert_string_equal(seen_text, "default");
    assert_null(seen.plain);
    assert_int_equal(seen.number, 5);
    assert_int_equal(seen.port, 9091);
    assert_int_equal(seen.size, 1 << 20);
    assert_true(seen.wait_ns == 15 * NS_PER_SECOND);
}

static void each_kind_is_read(void **state)
{
    (void)state;
    assert_int_equal(call(ARGS("--flag", "--text", "a b", "--number=2", "--port", "0", "--size",
                               "64KiB", "--wait", "250ms", "--least", "18446744073709551615")),
                     EXIT_CODE_DONE);
    assert_true(seen.flag);
    assert_string_equal(seen_text, "a b");
    assert_int_equal(seen.number, 2);
    assert_int_equal(seen.port, 0);
    assert_int_equal(seen.size, 65536);
    assert_true(seen.wait_ns == 250 * NS_PER_MS);
    assert_true(seen.least == UINT64_MAX);
    assert_int_equal(call(ARGS("--flag=false", "--size", "512", "--text=")), EXIT_CODE_DONE);
    assert_false(seen.flag);
    assert_int_equal(seen.size, 512);
    assert_string_equal(seen_text, "");
    assert_int_equal(call(ARGS("--text", "--flag", "--size", "1GiB")), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "--flag");
    assert_int_equal(seen.size, 1 << 30);
}

static void the_last_of_two_wins(void **state)
{
    (void)state;
    assert_int_equal(call(ARGS("--text", "a", "--text", "b")), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "b");
}

static void operands_may_stand_anywhere(void **state)
{
    (void)state;
    assert_int_equal(call(ARGS("one", "--flag", "-")), EXIT_CODE_DONE);
    assert_string_equal(seen_operands, "[one][-]");
    assert_int_equal(call(ARGS("--", "--flag", "--")), EXIT_CODE_DONE);
    assert_string_equal(seen_operands, "[--flag][--]");
    assert_false(seen.flag);
}

static void the_verbs_own_failure_comes_through(void **state)
{
    (void)state;
    assert_int_equal(call(ARGS("--number", "9")), EXIT_CODE_REFUSED);
    assert_string_equal(err.text, "nine is refused");
}

static void each_mistake_has_its_text(void **state)
{
    (void)state;
    refused(ARGS("--nope"), "unknown option '--nope'; see cim-ops verb --help");
    refused(ARGS("--nope=1"), "unknown option '--nope=1'; see cim-ops verb --help");
    refused(ARGS("-f"), "unknown option '-f'; see cim-ops verb --help");
    refused(ARGS("--=x"), "unknown option '--=x'; see cim-ops verb --help");
    refused(ARGS("--tex", "x"), "unknown option '--tex'; see cim-ops verb --help");
    refused(ARGS("--text"), "option '--text' needs a value: text");
    refused(ARGS("--number"), "option '--number' needs a value: a whole number");
    refused(ARGS("--config"), "option '--config' needs a value: a file");
    refused(ARGS("--flag=maybe"), "--flag: 'maybe' is not true or false");
    refused(ARGS("--number", "1"), "--number: '1' is not a whole number from 2 to 9");
    refused(ARGS("--number", "10"), "--number: '10' is not a whole number from 2 to 9");
    refused(ARGS("--number", "-3"), "--number: '-3' is not a whole number from 2 to 9");
    refused(ARGS("--number", "3x"), "--number: '3x' is not a whole number from 2 to 9");
    refused(ARGS("--number", ""), "--number: '' is not a whole number from 2 to 9");
    refused(ARGS("--number", " 3"), "--number: ' 3' is not a whole number from 2 to 9");
    refused(ARGS("--least", "2"), "--least: '2' is not a whole number from 3 up");
    refused(ARGS("--least", "18446744073709551616"),
            "--least: '18446744073709551616' is not a whole number from 3 up");
    refused(ARGS("--port", "65536"), "--port: '65536' is not a port, 0 to 65535");
    refused(ARGS("--size", "3KB"), "--size: '3KB' is not a size such as 65536, 64KiB or 8MiB");
    refused(ARGS("--size", "KiB"), "--size: 'KiB' is not a size such as 65536, 64KiB or 8MiB");
    refused(ARGS("--size", "18446744073709551615GiB"),
            "--size: '18446744073709551615GiB' is not a size such as 65536, 64KiB or 8MiB");
    refused(ARGS("--wait", "soon"), "--wait: 'soon' is not a duration such as 10s, 250ms or 5m");
    refused(ARGS("a", "b", "c"), "too many operands; usage: cim-ops verb [options] FILE...");
}

static void a_missing_operand_is_said(void **state)
{
    struct command needy = verb;
    (void)state;
    needy.operands_min = 1;
    err = ERROR_NONE;
    assert_int_equal(command_run(&needy, 0, (char *[]){NULL}, &err), EXIT_CODE_USAGE);
    assert_string_equal(err.text, "an operand is missing; usage: cim-ops verb [options] FILE...");
}

/* --- environment and configuration ---------------------------------------------------------------
 */

struct place {
    struct scratch scratch;
    char *config;
};

static int open_place(void **state)
{
    struct place *place = xcalloc(1, sizeof *place);
    scratch_open(&place->scratch);
    place->config = scratch_path(&place->scratch, "c.yaml");
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    (void)unsetenv("CIM_OPS_TEST_TEXT");
    (void)unsetenv("CIM_OPS_TEST_NUMBER");
    scratch_close(&place->scratch);
    free(place->config);
    free(place);
    return 0;
}

static void precedence(void **state)
{
    struct place *place = *state;
    scratch_write(&place->scratch, "c.yaml", "text: top\nnumber: 3\nverb:\n  text: section\n");
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "section");
    assert_int_equal(seen.number, 3);
    assert_int_equal(setenv("CIM_OPS_TEST_TEXT", "environment", 1), 0);
    assert_int_equal(setenv("CIM_OPS_TEST_NUMBER", "4", 1), 0);
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "environment");
    assert_int_equal(seen.number, 4);
    assert_int_equal(call(ARGS("--text", "word", "--config", place->config, "--number=6")),
                     EXIT_CODE_DONE);
    assert_string_equal(seen_text, "word");
    assert_int_equal(seen.number, 6);
    /* An empty variable is none. */
    assert_int_equal(setenv("CIM_OPS_TEST_TEXT", "", 1), 0);
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "section");
    assert_int_equal(call(ARGS(NULL)), EXIT_CODE_DONE);
    assert_string_equal(seen_text, "default");
}

static void a_wrong_variable_is_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("CIM_OPS_TEST_NUMBER", "many", 1), 0);
    refused(ARGS(NULL), "CIM_OPS_TEST_NUMBER: 'many' is not a whole number from 2 to 9");
    /* The command line wins before the variable is even looked at. */
    assert_int_equal(call(ARGS("--number", "3")), EXIT_CODE_DONE);
}

static void wrong_config(struct place *place, const char *text, const char *want)
{
    scratch_write(&place->scratch, "c.yaml", text);
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_USAGE);
    assert_contains(err.text, want);
    assert_contains(err.text, place->config);
    assert_int_equal(runs, 0);
}

static void mistakes_in_the_configuration_have_a_place(void **state)
{
    struct place *place = *state;
    wrong_config(place, "verb:\n  text: x\n  tezt: y\n",
                 "c.yaml:3:3: 'tezt' is no option of cim-ops verb\n      tezt: y\n      ^");
    wrong_config(place, "number: many\n",
                 "c.yaml:1:9: number: 'many' is not a whole number from 2 to 9");
    wrong_config(place, "number: [1]\n", "c.yaml:1:9: 'number' wants a whole number");
    wrong_config(place, "tezt: y\n", "c.yaml:1:1: 'tezt' is no option of cim-ops");
    wrong_config(place, "vreb:\n  text: y\n", "c.yaml:1:1: 'vreb' is no verb of cim-ops");
    wrong_config(place, "verb: 5\n", "c.yaml:1:1: 'verb' is no option of cim-ops");
    wrong_config(place, "- text\n", "c.yaml:1:1: a mapping from options to values was expected");
    wrong_config(place, "text: a\ntext: b\n", "c.yaml:2:1: the key 'text' stands twice");
    wrong_config(place, "", "c.yaml:1:1: the file is empty");
    (void)unlink(place->config);
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_USAGE);
    assert_contains(err.text, "cannot open: No such file or directory");
}

/* What belongs to other verbs is no mistake, as long as there is such a verb. */
static void keys_of_other_verbs_are_let_be(void **state)
{
    static const struct option_spec theirs[] = {
        {.name = "rate", .arg = "N", .help = "x", .kind = OPTION_U64, .offset = 0}};
    static const struct command other = {
        .name = "other", .options = theirs, .option_count = 1, .values_size = 8};
    static const struct command *const table[] = {&verb, &other};
    struct place *place = *state;
    command_set_table(table, ARRAY_LEN(table));
    scratch_write(&place->scratch, "c.yaml", "rate: 7\nother: {rate: 8}\nnumber: 8\n");
    assert_int_equal(call(ARGS("--config", place->config)), EXIT_CODE_DONE);
    assert_int_equal(seen.number, 8);
    wrong_config(place, "other: {rate: 8}\nraet: 9\n",
                 "c.yaml:2:1: 'raet' is no option of cim-ops");
    command_set_table(NULL, 0);
}

/* --- the real verbs ------------------------------------------------------------------------------
 */

static const struct command *const real[] = {&command_up,      &command_status, &command_down,
                                             &command_monitor, &command_rules,  &command_simulate};

static void every_verb_is_fully_declared(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        const struct command *command = real[i];
        char begin[64];
        (void)snprintf(begin, sizeof begin, "cim-ops %s", command->name);
        assert_true(command->summary && command->summary[0]);
        assert_non_null(command->operands);
        assert_non_null(command->run);
        assert_non_null(command->example);
        assert_contains(command->example, begin);
        /* A shell would put in a variable of its own. */
        assert_null(strstr(command->example, "\"$"));
    }
}

static void check_option(const struct command *command, size_t index)
{
    static const size_t widths[] = {
        [OPTION_FLAG] = sizeof(bool),     [OPTION_STRING] = sizeof(char *),
        [OPTION_U64] = sizeof(uint64_t),  [OPTION_PORT] = sizeof(uint64_t),
        [OPTION_SIZE] = sizeof(uint64_t), [OPTION_DURATION] = sizeof(int64_t)};
    const struct option_spec *option = &command->options[index];
    assert_true(option->name && option->name[0] && option->name[0] != '-');
    assert_true(option->help && option->help[0]);
    assert_true((option->arg == NULL) == (option->kind == OPTION_FLAG));
    assert_true(option->offset + widths[option->kind] <= command->values_size);
    assert_string_not_equal(option->name, "config");
    assert_string_not_equal(option->name, "help");
    for (size_t i = 0; i < index; i++) {
        assert_string_not_equal(command->options[i].name, option->name);
        assert_true(command->options[i].offset != option->offset);
    }
}

static void every_option_is_fully_declared(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        for (size_t o = 0; o < real[i]->option_count; o++)
            check_option(real[i], o);
    }
}

static int no_run(const void *values, int count, char **operands, struct error *error)
{
    (void)values, (void)count, (void)operands, (void)error;
    runs++;
    return EXIT_CODE_DONE;
}

/* Every default in every table is a value that the option itself would take. */
static void every_default_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        struct command copy = *real[i];
        char word[] = "x", *operands[] = {word, word, word, word, NULL};
        copy.run = no_run;
        runs = 0;
        err = ERROR_NONE;
        if (command_run(&copy, copy.operands_min, operands, &err) != EXIT_CODE_DONE)
            fail_msg("%s: %s", copy.name, err.text);
        assert_int_equal(runs, 1);
    }
}

static char *help_of(const struct command *command)
{
    char word[] = "--help", *argv[] = {word, NULL}, *text = xcalloc(1, 16384);
    FILE *file = tmpfile();
    int out = dup(STDOUT_FILENO);
    assert_non_null(file);
    (void)fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    int code = command_run(command, 1, argv, &err);
    (void)fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    (void)close(out);
    assert_int_equal(code, EXIT_CODE_DONE);
    rewind(file);
    assert_true(fread(text, 1, 16383, file) > 0);
    (void)fclose(file);
    return text;
}

static void help_shows_every_option_and_the_example(void **state)
{
    (void)state;
    runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        CLEANUP_FREE char *text = help_of(real[i]);
        assert_contains(text, "Usage: cim-ops ");
        assert_contains(text, real[i]->summary);
        assert_contains(text, "\nExample:\n  ");
        assert_contains(text, real[i]->example);
        for (size_t o = 0; o < real[i]->option_count; o++) {
            CLEANUP_FREE char *name = xasprintf("  --%s ", real[i]->options[o].name);
            assert_contains(text, name);
            assert_contains(text, real[i]->options[o].help);
        }
    }
    CLEANUP_FREE char *text = help_of(&verb);
    assert_contains(text, "  --text TEXT                a text (default default) "
                          "[$CIM_OPS_TEST_TEXT]\n");
    assert_int_equal(runs, 0);
}

/* --- the way to NATS ---------------------------------------------------------------------------
 */

static void nats_urls(void **state)
{
    static const char *const good[] = {
        "nats://127.0.0.1:4222", "127.0.0.1", "tls://user:p@ss@host:1",
        "nats://[::1]:4222",     "[::1]",     "nats://a:1,tls://b:2, c",
        "nats://host:4222/"};
    static const char *const bad[] = {"",           "nats://", "http://host", "nats://host:0",
                                      "host:65536", "host:",   "a,,b",        "nats://secret@",
                                      "host:12x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct error problem = ERROR_NONE;
        if (nats_values_check(&(struct nats_values){.url = good[i]}, &problem) < 0)
            fail_msg("'%s': %s", good[i], problem.text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error problem = ERROR_NONE;
        if (nats_values_check(&(struct nats_values){.url = bad[i]}, &problem) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(problem.code, EXIT_CODE_USAGE);
        assert_null(strstr(problem.text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nats_urls),
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(each_kind_is_read),
        cmocka_unit_test(the_last_of_two_wins),
        cmocka_unit_test(operands_may_stand_anywhere),
        cmocka_unit_test(the_verbs_own_failure_comes_through),
        cmocka_unit_test(each_mistake_has_its_text),
        cmocka_unit_test(a_missing_operand_is_said),
        cmocka_unit_test_setup_teardown(precedence, open_place, close_place),
        cmocka_unit_test_setup_teardown(a_wrong_variable_is_named, open_place, close_place),
        cmocka_unit_test_setup_teardown(mistakes_in_the_configuration_have_a_place, open_place,
                                        close_place),
        cmocka_unit_test_setup_teardown(keys_of_other_verbs_are_let_be, open_place, close_place),
        cmocka_unit_test(every_verb_is_fully_declared),
        cmocka_unit_test(every_option_is_fully_declared),
        cmocka_unit_test(every_default_is_sound),
        cmocka_unit_test(help_shows_every_option_and_the_example),
    };
    /* Of whoever runs the tests: not of this test. */
    (void)unsetenv("NATS_URL");
    (void)unsetenv("NATS_CREDS");
    (void)unsetenv("METRICS_PORT");
    (void)unsetenv("EVENT_SUBJECTS");
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
