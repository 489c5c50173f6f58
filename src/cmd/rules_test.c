#include "cmd/rules_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "fold/ruletest.h"
#include "json/write.h"

struct report {
    bool as_json;
    size_t passed, failed;
};

static void print_tap(const struct report *report, const struct ruletest_result *result)
{
    struct slice rest = result->diff, line;
    (void)printf("%s %zu - %s: %s\n", rest.len ? "not ok" : "ok", report->passed + report->failed,
                 result->file, result->name);
    if (rest.len)
        (void)printf("#   - expected, + came\n");
    while (rest.len && slice_cut(&rest, '\n', &line))
        (void)printf("# %.*s\n", SLICE_ARG(line));
}

static void print_json(const struct report *report, const struct ruletest_result *result)
{
    CLEANUP_BUF struct buf out = {0};
    buf_add_str(&out, report->passed + report->failed == 1 ? "[{\"file\":" : ",\n {\"file\":");
    json_add_string(&out, slice_of(result->file));
    json_add_name(&out, "name");
    json_add_string(&out, slice_of(result->name));
    json_add_name(&out, "passed");
    buf_add_str(&out, result->diff.len ? "false" : "true");
    if (result->diff.len) {
        json_add_name(&out, "diff");
        json_add_string(&out, result->diff);
    }
    (void)printf("%s}", buf_cstr(&out));
}

static void each(void *context, const struct ruletest_result *result)
{
    struct report *report = context;
    if (result->diff.len)
        report->failed++;
    else
        report->passed++;
    if (report->as_json)
        print_json(report, result);
    else
        print_tap(report, result);
}

int rules_test(char **files, size_t count, const char *output, struct error *err)
{
    struct report report = {.as_json = !strcmp(output, "json")};
    if (!report.as_json && strcmp(output, "text") != 0)
        (void)error_set(err, EXIT_CODE_USAGE, "--output: text or json was expected");
    else if (!count)
        (void)error_set(err, EXIT_CODE_USAGE, "rules test: name the test files");
    for (size_t i = 0; i < count && !err->text[0]; i++)
        (void)ruletest_run(files[i], each, &report, err);
    size_t total = report.passed + report.failed;
    if (report.as_json && (total || !err->text[0]))
        (void)printf(total ? "]\n" : "[]\n");
    else if (!err->text[0])
        (void)printf("1..%zu\n", total);
    if (err->text[0])
        return (int)err->code;
    return report.failed ? EXIT_CODE_PROBLEM : EXIT_CODE_DONE;
}
