#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "source/reading.h"

static void a_level_is_told_once_though_it_trembles(void **state)
{
    static const struct {
        double ratio;
        int before, after;
    } cases[] = {
        {0, 0, 0},      {0.79, 0, 0},    {0.80, 0, 80},  {0.95, 0, 95},  {0.94, 95, 95},
        {0.93, 95, 95}, {0.929, 95, 80}, {0.79, 80, 80}, {0.78, 80, 80}, {0.779, 80, 0},
        {0.5, 95, 0},   {0.96, 80, 95},  {0.785, 95, 0}, {1.5, 0, 95},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(source_level(cases[i].ratio, cases[i].before, 80, 95), cases[i].after);
    assert_int_equal(source_level(0.85, 0, 90, 95), 0);
    assert_int_equal(source_level(0.91, 0, 90, 95), 90);
}

static void files_below_a_root(void **state)
{
    static const struct {
        const char *text;
        bool sound;
        int64_t number;
    } cases[] = {
        {"17\n", true, 17}, {"-3 \n", true, -3},  {"", false, 0},
        {"-", false, 0},    {"12 W\n", false, 0}, {"9223372036854775808", false, 0},
    };
    char root[] = "/tmp/cim-ops-reading-XXXXXX";
    struct error err = ERROR_NONE;
    struct buf text = {0};
    int64_t number;
    (void)state;
    assert_non_null(mkdtemp(root));
    CLEANUP_FREE char *path = xasprintf("%s/number", root);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(file_write_atomic(path, slice_of(cases[i].text), 0600, &err), 0);
        bool sound = source_number_file(root, "/number", &number);
        assert_int_equal(sound, cases[i].sound);
        if (sound)
            assert_int_equal(number, cases[i].number);
    }
    assert_int_equal(file_write_atomic(path, SLICE("two\nlines \n\n"), 0600, &err), 0);
    buf_add_str(&text, "old");
    assert_int_equal(source_file(root, "/number", &text), 0);
    assert_string_equal(buf_cstr(&text), "two\nlines");
    assert_int_equal(source_file(root, "/none", &text), ENOENT);
    assert_int_equal(source_file(root, "", &text), EISDIR);
    assert_false(source_number_file(root, "/none", &number));
    buf_done(&text);
    (void)unlink(path);
    (void)rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_is_told_once_though_it_trembles),
        cmocka_unit_test(files_below_a_root),
    };
    return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
