#include "unit.h"

#include "scratch.h"

static void written_bytes_read_back(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    CLEANUP_BUF struct buf back = {0};
    struct error err = ERROR_NONE;
    struct slice bytes = SLICE("a\0b\xff\n");
    struct stat st;
    (void)state;
    scratch_open(&scratch);
    CLEANUP_FREE char *path = scratch_path(&scratch, "x");
    assert_int_equal(file_write_atomic(path, bytes, 0600, &err), 0);
    assert_int_equal(file_read(path, 5, &back, &err), 0);
    assert_true(slice_eq(buf_slice(&back), bytes));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void writing_again_replaces_and_leaves_no_temporary(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    CLEANUP_BUF struct buf back = {0};
    struct error err = ERROR_NONE;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "x", "a long first text");
    scratch_write(&scratch, "x", "short");
    CLEANUP_FREE char *path = scratch_path(&scratch, "x");
    CLEANUP_FREE char *temporary = scratch_path(&scratch, "x.tmp");
    assert_int_equal(file_read(path, 100, &back, &err), 0);
    assert_slice(buf_slice(&back), "short");
    assert_int_not_equal(access(temporary, F_OK), 0);
}

/* The old bytes stay when the new ones cannot be written. */
static void a_failed_write_keeps_the_old_file(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct error err = ERROR_NONE;
    struct stat st;
    (void)state;
    scratch_open(&scratch);
    CLEANUP_FREE char *folder = scratch_path(&scratch, "taken");
    CLEANUP_FREE char *temporary = scratch_path(&scratch, "taken.tmp");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(file_write_atomic(folder, SLICE("x"), 0600, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_INTERNAL);
    assert_contains(err.text, folder);
    assert_int_equal(stat(folder, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_not_equal(access(temporary, F_OK), 0);
}

static void big_files_are_refused(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    CLEANUP_BUF struct buf back = {0};
    struct error err = ERROR_NONE;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "x", "12345");
    CLEANUP_FREE char *path = scratch_path(&scratch, "x");
    assert_int_equal(file_read(path, 4, &back, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_contains(err.text, "larger than 4 bytes");
    /* What never ends is refused as soon as it is too much. */
    buf_reset(&back);
    assert_int_equal(file_read("/dev/zero", 1 << 20, &back, &err), -1);
    assert_contains(err.text, "/dev/zero: larger than 1048576 bytes");
    assert_true(back.len < 4 << 20);
}

static void unreadable_paths_are_named(void **state)
{
    CLEANUP_BUF struct buf back = {0};
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(file_read("/nonexistent/x", 10, &back, &err), -1);
    assert_string_equal(err.text, "/nonexistent/x: cannot open: No such file or directory");
    assert_int_equal(file_read("/tmp", 10, &back, &err), -1);
    assert_string_equal(err.text, "/tmp: cannot read: Is a directory");
}

static void folders_are_made_with_their_parents(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct error err = ERROR_NONE;
    struct stat st;
    (void)state;
    scratch_open(&scratch);
    CLEANUP_FREE char *deep = scratch_path(&scratch, "a//b/c/");
    assert_int_equal(folder_create(deep, 0700, &err), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(folder_create(deep, 0700, &err), 0);
    assert_int_equal(folder_create("/", 0700, &err), 0);
}

static void a_file_in_the_way_is_an_error(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct error err = ERROR_NONE;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "file", "x");
    CLEANUP_FREE char *at = scratch_path(&scratch, "file");
    CLEANUP_FREE char *below = scratch_path(&scratch, "file/sub");
    assert_int_equal(folder_create(at, 0700, &err), -1);
    assert_contains(err.text, "Not a directory");
    assert_int_equal(folder_create(below, 0700, &err), -1);
    assert_contains(err.text, at);
    assert_int_equal(folder_create("", 0700, &err), -1);
    assert_contains(err.text, "empty");
}

static void programs_are_found_in_path(void **state)
{
    (void)state;
    CLEANUP_FREE char *shell = program_find("sh");
    assert_non_null(shell);
    assert_int_equal(shell[0], '/');
    assert_null(program_find("no-such-program-anywhere"));
    assert_null(program_find("/no/such/program"));
    CLEANUP_FREE char *absolute = program_find("/bin/sh");
    assert_string_equal(absolute, "/bin/sh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_bytes_read_back),
        cmocka_unit_test(writing_again_replaces_and_leaves_no_temporary),
        cmocka_unit_test(a_failed_write_keeps_the_old_file),
        cmocka_unit_test(big_files_are_refused),
        cmocka_unit_test(unreadable_paths_are_named),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_file_in_the_way_is_an_error),
        cmocka_unit_test(programs_are_found_in_path),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
