#include "unit.h"

#include "config/yaml.h"
#include "scratch.h"

static struct yaml_document_tree *load(const char *text)
{
    struct yaml_document_tree *tree = NULL;
    struct error err = ERROR_NONE;
    if (yaml_load_bytes("f.yaml", slice_of(text), &tree, &err) < 0)
        fail_msg("%s", err.text);
    return tree;
}

static void refused_bytes(struct slice bytes, const char *want)
{
    struct yaml_document_tree *tree = NULL;
    struct error err = ERROR_NONE;
    assert_int_equal(yaml_load_bytes("f.yaml", bytes, &tree, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_null(tree);
    assert_contains(err.text, want);
}

static void refused(const char *text, const char *want)
{
    refused_bytes(slice_of(text), want);
}

static void a_tree_reads_as_written(void **state)
{
    struct yaml_document_tree *tree =
        load("# about\nname: x y\nlist: [a, 'b, c', \"d\\te\"]\nmap:\n  deep: {k: v}\nempty:\n");
    const struct yaml_node *root = yaml_root(tree), *list = yaml_get(root, "list");
    (void)state;
    assert_true(yaml_is_mapping(root));
    assert_int_equal(yaml_size(root), 4);
    assert_slice(yaml_text(yaml_get(root, "name")), "x y");
    assert_true(yaml_is_sequence(list));
    assert_int_equal(yaml_size(list), 3);
    assert_slice(yaml_text(yaml_at(list, 0)), "a");
    assert_slice(yaml_text(yaml_at(list, 1)), "b, c");
    assert_slice(yaml_text(yaml_at(list, 2)), "d\te");
    assert_slice(yaml_text(yaml_get(yaml_get(yaml_get(root, "map"), "deep"), "k")), "v");
    assert_slice(yaml_text(yaml_get(root, "empty")), "");
    assert_slice(yaml_text(yaml_key_at(root, 3)), "empty");
    assert_null(yaml_get(root, "none"));
    assert_null(yaml_get(list, "a"));
    assert_absent(yaml_text(list));
    assert_int_equal(yaml_size(yaml_get(root, "name")), 0);
    yaml_free(tree);
}

static void complaints_show_file_line_column_and_the_line(void **state)
{
    struct yaml_document_tree *tree = load("a: 1\nb:\n  - x\n  -   wrong here\n");
    struct error err = ERROR_NONE;
    (void)state;
    const struct yaml_node *item = yaml_at(yaml_get(yaml_root(tree), "b"), 1);
    assert_int_equal(yaml_error(item, &err, "a %s was expected", "number"), -1);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_string_equal(err.text, "f.yaml:4:7: a number was expected\n"
                                  "      -   wrong here\n"
                                  "          ^");
    yaml_free(tree);
}

static void long_lines_are_cut_in_complaints(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    struct error err = ERROR_NONE;
    (void)state;
    buf_add_str(&text, "a: ");
    for (int i = 0; i < 1000; i++)
        buf_add_str(&text, "\xc3\xa4");
    buf_add_str(&text, "\n");
    struct yaml_document_tree *tree = load(buf_cstr(&text));
    (void)yaml_error(yaml_get(yaml_root(tree), "a"), &err, "no");
    assert_true(strlen(err.text) < 250);
    assert_contains(err.text, "f.yaml:1:4: no\n    a: \xc3\xa4");
    yaml_free(tree);
}

static void what_is_not_yaml_is_shown_where(void **state)
{
    (void)state;
    refused("a: [1, 2\nb: 3\n", "f.yaml:2:2: did not find expected ',' or ']'\n    b: 3\n     ^");
    refused("a: 'open\n", "f.yaml:2:1: found unexpected end of stream");
    refused("a:\n\t- x\n", "f.yaml:2:1: found character that cannot start any token");
    refused("- a\nb: c\n", "f.yaml:2:1: did not find expected '-' indicator");
    refused("a: *nowhere\n", "f.yaml:1:4: found undefined alias");
    refused("a: @x\n", "f.yaml:1:4: found character that cannot start any token");
}

static void bytes_that_are_no_text_are_shown_where(void **state)
{
    (void)state;
    refused_bytes(SLICE("a: b\nc: \xff\n"), "f.yaml:2:4: invalid leading UTF-8 octet");
    refused_bytes(SLICE("a: b\nc: d\x01\n"), "f.yaml:2:5: control characters are not allowed");
    refused_bytes(SLICE("a: b\0c\n"), "f.yaml:1:5: control characters are not allowed");
    refused_bytes(SLICE("\x7f\x45LF\x02\x01\x01"), "f.yaml:1:");
}

static void empty_files_are_refused(void **state)
{
    (void)state;
    refused("", "f.yaml:1:1: the file is empty");
    refused("# only a comment\n", "f.yaml:1:1: the file is empty");
    refused("\n\n", "f.yaml:1:1: the file is empty");
    refused_bytes(SLICE_ABSENT, "f.yaml:1:1: the file is empty");
}

static void duplicate_keys_are_refused(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key 'a' stands twice in this mapping");
    refused("x:\n  - {k: 1, \"k\": 2}\n", "f.yaml:2:12: the key 'k' stands twice");
    yaml_free(load("a: {k: 1}\nb: {k: 2}\n"));
}

static void keys_must_be_text(void **state)
{
    (void)state;
    refused("? [a, b]\n: c\n", "f.yaml:1:3: a key must be plain text");
    refused("a: {{x: y}: z}\n", "f.yaml:1:5: a key must be plain text");
}

static void a_second_document_is_refused(void **state)
{
    (void)state;
    yaml_free(load("---\na: 1\n"));
    yaml_free(load("%YAML 1.1\n---\na: 1\n...\n"));
    refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here");
}

static void nul_in_a_text_is_refused(void **state)
{
    (void)state;
    refused("a: \"x\\0y\"\n", "f.yaml:1:4: a text may not hold a NUL character");
    refused("\"k\\0\": y\n", "f.yaml:1:1: a text may not hold a NUL character");
}

static void aliases_resolve(void **state)
{
    struct yaml_document_tree *tree = load("a: &x [1, 2]\nb: *x\nc: *x\n");
    const struct yaml_node *root = yaml_root(tree);
    (void)state;
    assert_ptr_equal(yaml_get(root, "a"), yaml_get(root, "b"));
    assert_int_equal(yaml_size(yaml_get(root, "c")), 2);
    yaml_free(tree);
}

static void an_alias_inside_its_anchor_is_refused(void **state)
{
    (void)state;
    refused("a: &x [1, *x]\n", "an alias inside its own anchor");
    refused("&r a: &x\n  b: {c: *x}\n", "an alias inside its own anchor");
    refused("&x [&y [*x], *y]\n", "an alias inside its own anchor");
}

/* Each line holds nine of the line before: 9^12 values written out. */
static void alias_bombs_do_not_go_off(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    buf_add_str(&text, "l0: &l0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_addf(&text, "l%d: &l%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_addf(&text, "%s*l%d", k ? ", " : "", i - 1);
        buf_add_str(&text, "]\n");
    }
    refused(buf_cstr(&text), "more than 2000000 values once its aliases are written out");
}

/* Hardly nested in the file, deep once the aliases are followed. */
static void depth_by_aliases_is_bounded(void **state)
{
    (void)state;
    for (int links = YAML_DEPTH_MAX - 5; links <= YAML_DEPTH_MAX; links++) {
        CLEANUP_BUF struct buf text = {0};
        buf_add_str(&text, "- &a0 [x]\n");
        for (int i = 1; i <= links; i++)
            buf_addf(&text, "- &a%d [*a%d]\n", i, i - 1);
        /* The list, one level per link, the first one's list and its text. */
        if (links + 3 <= YAML_DEPTH_MAX)
            yaml_free(load(buf_cstr(&text)));
        else
            refused(buf_cstr(&text), "nested too deep once its aliases are written out");
    }
}

static void deep_nesting_is_refused_quickly(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (int i = 0; i < 500000; i++)
        buf_add_str(&text, "[");
    refused(buf_cstr(&text), "nested too deep");
    buf_reset(&text);
    for (int i = 0; i < 1000; i++)
        buf_addf(&text, "%*s-\n", i, "");
    refused(buf_cstr(&text), "f.yaml:65:65: nested too deep");
}

static void many_anchors_are_refused(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_addf(&text, "- &a%d x\n", i);
    refused(buf_cstr(&text), "f.yaml:1001:3: too many anchors");
}

/* A mapping of very many keys takes no quadratic time. */
static void large_mappings_load(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (int i = 0; i < 200000; i++)
        buf_addf(&text, "k%d: v\n", i);
    struct yaml_document_tree *tree = load(buf_cstr(&text));
    assert_int_equal(yaml_size(yaml_root(tree)), 200000);
    yaml_free(tree);
    buf_add_str(&text, "k77: again\n");
    refused(buf_cstr(&text), "f.yaml:200001:1: the key 'k77' stands twice");
}

static void files_are_read_and_named(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct yaml_document_tree *tree = NULL;
    struct error err = ERROR_NONE;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "good.yaml", "a: 1\n");
    scratch_write(&scratch, "bad.yaml", "a: [\n");
    CLEANUP_FREE char *good = scratch_path(&scratch, "good.yaml");
    CLEANUP_FREE char *bad = scratch_path(&scratch, "bad.yaml");
    assert_int_equal(yaml_load_file(good, &tree, &err), 0);
    assert_slice(yaml_text(yaml_get(yaml_root(tree), "a")), "1");
    yaml_free(tree);
    assert_int_equal(yaml_load_file(bad, &tree, &err), -1);
    assert_contains(err.text, bad);
    assert_int_equal(yaml_load_file("/nonexistent.yaml", &tree, &err), -1);
    assert_contains(err.text, "/nonexistent.yaml: cannot open");
    yaml_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_reads_as_written),
        cmocka_unit_test(complaints_show_file_line_column_and_the_line),
        cmocka_unit_test(long_lines_are_cut_in_complaints),
        cmocka_unit_test(what_is_not_yaml_is_shown_where),
        cmocka_unit_test(bytes_that_are_no_text_are_shown_where),
        cmocka_unit_test(empty_files_are_refused),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(keys_must_be_text),
        cmocka_unit_test(a_second_document_is_refused),
        cmocka_unit_test(nul_in_a_text_is_refused),
        cmocka_unit_test(aliases_resolve),
        cmocka_unit_test(an_alias_inside_its_anchor_is_refused),
        cmocka_unit_test(alias_bombs_do_not_go_off),
        cmocka_unit_test(depth_by_aliases_is_bounded),
        cmocka_unit_test(deep_nesting_is_refused_quickly),
        cmocka_unit_test(many_anchors_are_refused),
        cmocka_unit_test(large_mappings_load),
        cmocka_unit_test(files_are_read_and_named),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
