#include "unit.h"

static void set_gives_minus_one_and_the_text(void **state)
{
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(error_set(&err, EXIT_CODE_REFUSED, "%s is %d", "x", 7), -1);
    assert_int_equal(err.code, EXIT_CODE_REFUSED);
    assert_string_equal(err.text, "x is 7");
}

static void wrap_puts_context_before_and_keeps_the_code(void **state)
{
    struct error err = ERROR_NONE;
    (void)state;
    (void)error_set(&err, EXIT_CODE_UNREACHABLE, "refused");
    assert_int_equal(error_wrap(&err, "nats %d", 4222), -1);
    assert_int_equal(error_wrap(&err, "monitor"), -1);
    assert_string_equal(err.text, "monitor: nats 4222: refused");
    assert_int_equal(err.code, EXIT_CODE_UNREACHABLE);
}

static void overlong_texts_are_cut(void **state)
{
    struct error err = ERROR_NONE;
    char wide[3000];
    (void)state;
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    (void)error_set(&err, EXIT_CODE_USAGE, "%s", wide);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    (void)error_wrap(&err, "before");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "before: www", 11);
    (void)error_wrap(&err, "%s", wide);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void null_means_nobody_cares(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, EXIT_CODE_USAGE, "x"), -1);
    assert_int_equal(error_wrap(NULL, "x"), -1);
}

static void every_code_has_its_number_and_name(void **state)
{
    static const struct {
        enum exit_code code;
        int number;
    } codes[] = {{EXIT_CODE_DONE, 0},        {EXIT_CODE_PROBLEM, 1}, {EXIT_CODE_USAGE, 2},
                 {EXIT_CODE_UNREACHABLE, 3}, {EXIT_CODE_REFUSED, 4}, {EXIT_CODE_DAMAGED, 5},
                 {EXIT_CODE_INTERNAL, 70}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_int_equal((int)codes[i].code, codes[i].number);
        assert_string_not_equal(exit_code_name(codes[i].code), "unknown");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(exit_code_name(codes[i].code), exit_code_name(codes[j].code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_gives_minus_one_and_the_text),
        cmocka_unit_test(wrap_puts_context_before_and_keeps_the_code),
        cmocka_unit_test(overlong_texts_are_cut),
        cmocka_unit_test(null_means_nobody_cares),
        cmocka_unit_test(every_code_has_its_number_and_name),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
