#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/memory.h"
#include "stack/output.h"

static void add(struct output *output, const char *text)
{
    output_add(output, slice_of(text));
}

static void lines_are_put_together_from_pieces(void **state)
{
    struct output output;
    (void)state;
    output_init(&output, NULL);
    assert_int_equal(output_count(&output), 0);
    assert_string_equal(output_last(&output), "");
    add(&output, "one\ntw");
    add(&output, "o\r\nthree");
    assert_int_equal(output_count(&output), 2);
    assert_string_equal(output_line(&output, 1), "two");
    output_end_line(&output);
    output_end_line(&output); /* nothing is begun: no empty line */
    assert_int_equal(output_count(&output), 3);
    assert_string_equal(output_last(&output), "three");
    output_forget(&output);
    assert_int_equal(output_count(&output), 0);
    output_done(&output);
}

static void the_last_twenty_are_kept(void **state)
{
    struct output output;
    char line[32];
    (void)state;
    output_init(&output, NULL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(line, sizeof line, "line %d\n", i);
        add(&output, line);
    }
    assert_int_equal(output_count(&output), OUTPUT_LINES);
    assert_string_equal(output_line(&output, 0), "line 980");
    assert_string_equal(output_line(&output, OUTPUT_LINES - 1), "line 999");
    add(&output, "half"); /* takes the place of the oldest */
    assert_int_equal(output_count(&output), OUTPUT_LINES - 1);
    assert_string_equal(output_line(&output, 0), "line 981");
    output_done(&output);
}

static void long_lines_are_cut_and_control_characters_tamed(void **state)
{
    struct output output;
    char text[4 * OUTPUT_LINE_MAX];
    (void)state;
    output_init(&output, NULL);
    memset(text, 'x', sizeof text);
    output_add(&output, (struct slice){text, sizeof text});
    add(&output, "\n\x1b[2Jgone\x07\n");
    assert_int_equal(strlen(output_line(&output, 0)), OUTPUT_LINE_MAX);
    assert_string_equal(output_line(&output, 1), " [2Jgone ");
    output_done(&output);
}

static void the_file_is_bounded(void **state)
{
    char dir[] = "/tmp/cim-ops-unit-XXXXXX";
    struct output output;
    struct stat now, before;
    char block[4096];
    (void)state;
    assert_non_null(mkdtemp(dir));
    CLEANUP_FREE char *path = xasprintf("%s/part.out", dir), *old = xasprintf("%s.1", path);
    memset(block, 'b', sizeof block);
    block[sizeof block - 1] = '\n';
    output_init(&output, path);
    for (size_t i = 0; i < 3 * OUTPUT_FILE_MAX / sizeof block + 5; i++)
        output_add(&output, (struct slice){block, sizeof block});
    output_done(&output);
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(stat(old, &before), 0);
    assert_true(now.st_size > 0 && now.st_size <= (off_t)OUTPUT_FILE_MAX);
    assert_int_equal(before.st_size, OUTPUT_FILE_MAX);
    (void)unlink(path);
    (void)unlink(old);
    (void)rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_put_together_from_pieces),
        cmocka_unit_test(the_last_twenty_are_kept),
        cmocka_unit_test(long_lines_are_cut_and_control_characters_tamed),
        cmocka_unit_test(the_file_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
