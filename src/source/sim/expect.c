#include "source/sim/expect.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/u64map.h"
#include "source/sim/idset.h"

enum { STREAMS_KNOWN_MAX = 64, GROUPS_MAX = 64, WAITING_MAX = 65536 };

/* One (domain, aggregate type): what cim_aggregate_count is kept for. */
struct group {
    enum sim_domain domain;
    const char *aggregate_type;
    uint64_t alive;
    bool touched;
};

/* Occurrences that were told in one form and wait for the other, oldest forgotten first. */
struct waiting {
    struct u64map form_of; /* told -> its place in the order, and the form: 2 * place + second */
    uint64_t *told;        /* ring, by place */
    uint64_t total;
};

struct stream_tally {
    char *name;
    uint64_t malformed;
    struct seen *seen;
    struct waiting waiting;
};

struct expect {
    uint64_t *counts;  /* by series */
    uint64_t *copies;  /* by series */
    uint8_t *group_of; /* by series */
    size_t series_count;
    struct group groups[GROUPS_MAX];
    size_t group_count;
    struct idset alive;
    uint64_t duplicates[SIM_DOMAINS];
    uint64_t completions[WORKFLOW_NAMES], failures[WORKFLOW_NAMES];
    int64_t last_completion_ns[WORKFLOW_NAMES];
    struct stream_tally streams[STREAMS_KNOWN_MAX];
    size_t stream_count;
};

/* --- meaning of types ------------------------------------------------------------------------- */

const char *expect_error_type(const char *event_type)
{
    static const struct {
        const char *part, *error_type;
    } classes[] = {
        {"Violation", "violation"}, {"TimedOut", "timed_out"}, {"Timeout", "timed_out"},
        {"Rejected", "rejected"},   {"Failed", "failed"},      {"Error", "error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (strstr(event_type, classes[i].part))
            return classes[i].error_type;
    }
    return NULL;
}

bool expect_is_final(enum sim_domain domain, const char *event_type)
{
    static const struct {
        enum sim_domain domain;
        const char *event_type;
    } ends[] = {
        {SIM_AGENT, "AgentDecommissioned"},
        {SIM_ORGANIZATION, "OrganizationDissolved"},
        {SIM_PERSON, "PersonMergedInto"},
        {SIM_PERSON, "PersonMerged"},
        {SIM_PERSON, "Archived"},
        {SIM_LOCATION, "LocationArchived"},
        {SIM_POLICY, "PolicyArchived"},
        {SIM_WORKFLOW, "WorkflowCompleted"},
        {SIM_WORKFLOW, "WorkflowFailed"},
        {SIM_WORKFLOW, "WorkflowCancelled"},
        {SIM_GIT, "CommandCompleted"},
        {SIM_GIT, "CommandFailed"},
        {SIM_GIT, "CommandRejected"},
        {SIM_GIT, "CommandTimedOut"},
        {SIM_NETWORK, "DeviceDecommissioned"},
        {SIM_NETWORK, "ConnectionRemoved"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (ends[i].domain == domain && !strcmp(ends[i].event_type, event_type))
            return true;
    }
    return false;
}

static const char *type_of(const struct sim_fact *fact, const struct sim_form *form)
{
    return form->event_type ? form->event_type : fact->event_type;
}

/* --- keeping ---------------------------------------------------------------------------------- */

static uint8_t find_group(struct expect *expect, enum sim_domain domain, const char *aggregate_type)
{
    for (size_t i = 0; i < expect->group_count; i++) {
        if (expect->groups[i].domain == domain &&
            !strcmp(expect->groups[i].aggregate_type, aggregate_type))
            return (uint8_t)i;
    }
    if (expect->group_count == GROUPS_MAX)
        abort(); /* our own tables outgrew it */
    expect->groups[expect->group_count] =
        (struct group){.domain = domain, .aggregate_type = aggregate_type};
    return (uint8_t)expect->group_count++;
}

struct expect *expect_new(void)
{
    struct expect *expect = xcalloc(1, sizeof *expect);
    expect->series_count = sim_series_count();
    expect->counts = xcalloc(expect->series_count, sizeof *expect->counts);
    expect->copies = xcalloc(expect->series_count, sizeof *expect->copies);
    expect->group_of = xcalloc(expect->series_count, sizeof *expect->group_of);
    const struct sim_fact *fact;
    const struct sim_form *form;
    enum sim_domain domain;
    for (size_t i = 0; sim_series_at(i, &fact, &form, &domain); i++)
        expect->group_of[i] = find_group(expect, domain, fact->aggregate_type);
    return expect;
}

void expect_free(struct expect *expect)
{
    if (!expect)
        return;
    for (size_t i = 0; i < expect->stream_count; i++) {
        free(expect->streams[i].name);
        seen_free(expect->streams[i].seen);
        u64map_done(&expect->streams[i].waiting.form_of);
        free(expect->streams[i].waiting.told);
    }
    idset_done(&expect->alive);
    free(expect->counts);
    free(expect->copies);
    free(expect->group_of);
    free(expect);
}

/* Streams past the bound share the last place: no account has that many streams of events. */
static struct stream_tally *find_stream(struct expect *expect, struct slice name)
{
    for (size_t i = 0; i < expect->stream_count; i++) {
        if (slice_eq(slice_of(expect->streams[i].name), name))
            return &expect->streams[i];
    }
    if (expect->stream_count == STREAMS_KNOWN_MAX)
        return &expect->streams[STREAMS_KNOWN_MAX - 1];
    struct stream_tally *stream = &expect->streams[expect->stream_count++];
    stream->name = xstrndup(name.ptr, name.len);
    stream->seen = seen_new();
    return stream;
}

/* Alive are the aggregates whose last event is no end. */
static void keep_aggregate(struct expect *expect, const struct sim_account *account)
{
    uint8_t at = expect->group_of[account->series];
    struct group *group = &expect->groups[at];
    group->touched = true;
    if (expect_is_final((enum sim_domain)account->domain, type_of(account->fact, account->form)))
        group->alive -= idset_remove(&expect->alive, &account->aggregate, at);
    else
        group->alive += idset_add(&expect->alive, &account->aggregate, at);
}

static void keep_workflow(struct expect *expect, const struct sim_account *account)
{
    const char *type = type_of(account->fact, account->form);
    if (!strcmp(type, "WorkflowCompleted")) {
        expect->completions[account->name]++;
        if (account->at_ns > expect->last_completion_ns[account->name])
            expect->last_completion_ns[account->name] = account->at_ns;
    }
    expect->failures[account->name] += !strcmp(type, "WorkflowFailed");
}

static bool is_copy(struct waiting *waiting, uint64_t told, bool second)
{
    bool fresh;
    const uint64_t *known = u64map_get(&waiting->form_of, told);
    if (known && (*known & 1) != second) {
        (void)u64map_remove(&waiting->form_of, told);
        return true;
    }
    if (!waiting->told)
        waiting->told = xcalloc(WAITING_MAX, sizeof *waiting->told);
    size_t slot = (size_t)(waiting->total % WAITING_MAX);
    if (waiting->total >= WAITING_MAX) {
        const uint64_t *oldest = u64map_get(&waiting->form_of, waiting->told[slot]);
        if (oldest && *oldest / 2 == waiting->total - WAITING_MAX)
            (void)u64map_remove(&waiting->form_of, waiting->told[slot]);
    }
    waiting->told[slot] = told;
    *u64map_put(&waiting->form_of, told, &fresh) = 2 * waiting->total + second;
    waiting->total++;
    return false;
}

void expect_add(struct expect *expect, const struct sim_account *account, struct slice stream)
{
    struct stream_tally *tally = find_stream(expect, stream);
    if (!account->fact) {
        tally->malformed++;
        return;
    }
    if ((account->form->flags & FORM_ID) && seen_note(tally->seen, &account->event))
        expect->duplicates[account->domain]++;
    if (account->told && is_copy(&tally->waiting, account->told, account->series % 2)) {
        expect->copies[account->series]++;
        return;
    }
    expect->counts[account->series]++;
    keep_aggregate(expect, account);
    if (account->domain == SIM_WORKFLOW)
        keep_workflow(expect, account);
}

uint64_t expect_duplicates(const struct expect *expect)
{
    uint64_t sum = 0;
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        sum += expect->duplicates[d];
    return sum;
}

/* --- printing --------------------------------------------------------------------------------- */

/* What a row of a failure or event table is told apart by. */
struct row {
    const char *domain, *event_type, *aggregate_type, *error_type;
    uint64_t count;
};

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void row_add(struct row *rows, size_t *count, struct row row)
{
    for (size_t i = 0; i < *count; i++) {
        if (same(rows[i].domain, row.domain) && same(rows[i].event_type, row.event_type) &&
            same(rows[i].aggregate_type, row.aggregate_type) &&
            same(rows[i].error_type, row.error_type)) {
            rows[i].count += row.count;
            return;
        }
    }
    rows[(*count)++] = row;
}

static void print_label(struct buf *ret, const char *name, const char *value, bool *first)
{
    if (!value)
        return;
    buf_addf(ret, "%s%s=\"%s\"", *first ? "{" : ",", name, value);
    *first = false;
}

static void print_rows(struct buf *ret, const char *metric, const struct row *rows, size_t count)
{
    buf_addf(ret, "# TYPE %s counter\n", metric);
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        buf_add_str(ret, metric);
        print_label(ret, "domain", rows[i].domain, &first);
        print_label(ret, "event_type", rows[i].event_type, &first);
        print_label(ret, "error_type", rows[i].error_type, &first);
        print_label(ret, "aggregate_type", rows[i].aggregate_type, &first);
        buf_addf(ret, "%s %" PRIu64 "\n", first ? "" : "}", rows[i].count);
    }
}

static void print_events(const struct expect *expect, struct buf *ret)
{
    size_t events_count = 0, failed_count = 0, errors_count = 0, copies_count = 0;
    CLEANUP_FREE struct row *events = xcalloc(4 * expect->series_count, sizeof *events);
    struct row *failed = events + expect->series_count, *errors = failed + expect->series_count,
               *copies = errors + expect->series_count;
    const struct sim_fact *fact;
    const struct sim_form *form;
    enum sim_domain d;
    for (size_t i = 0; sim_series_at(i, &fact, &form, &d); i++) {
        uint64_t count = expect->counts[i];
        const char *domain = sim_domains[d].name, *type = type_of(fact, form);
        if (expect->copies[i])
            row_add(copies, &copies_count,
                    (struct row){domain, type, NULL, NULL, expect->copies[i]});
        if (!count)
            continue;
        const char *error_type = expect_error_type(type);
        row_add(events, &events_count,
                (struct row){domain, type, fact->aggregate_type, NULL, count});
        if (!error_type)
            continue;
        row_add(failed, &failed_count, (struct row){domain, type, NULL, error_type, count});
        row_add(errors, &errors_count,
                (struct row){domain, NULL, fact->aggregate_type, error_type, count});
    }
    print_rows(ret, "cim_events_total", events, events_count);
    print_rows(ret, "cim_event_copies_total", copies, copies_count);
    print_rows(ret, "cim_events_failed_total", failed, failed_count);
    print_rows(ret, "cim_domain_errors_total", errors, errors_count);
}

static void print_streams_and_duplicates(const struct expect *expect, struct buf *ret)
{
    buf_add_str(ret, "# TYPE cim_events_malformed_total counter\n");
    for (size_t i = 0; i < expect->stream_count; i++) {
        const struct stream_tally *stream = &expect->streams[i];
        bool first = true;
        if (!stream->malformed)
            continue;
        buf_add_str(ret, "cim_events_malformed_total");
        print_label(ret, "stream", stream->name[0] ? stream->name : NULL, &first);
        buf_addf(ret, "%s %" PRIu64 "\n", first ? "" : "}", stream->malformed);
    }
    buf_add_str(ret, "# TYPE cim_duplicate_events_total counter\n");
    for (size_t d = 0; d < SIM_DOMAINS; d++) {
        if (expect->duplicates[d])
            buf_addf(ret, "cim_duplicate_events_total{domain=\"%s\"} %" PRIu64 "\n",
                     sim_domains[d].name, expect->duplicates[d]);
    }
}

static void print_workflows(struct buf *ret, const char *metric, const uint64_t *counts)
{
    buf_addf(ret, "# TYPE %s counter\n", metric);
    for (size_t i = 0; i < WORKFLOW_NAMES; i++) {
        if (counts[i])
            buf_addf(ret, "%s{workflow_type=\"%s\"} %" PRIu64 "\n", metric, workflow_names[i],
                     counts[i]);
    }
}

void expect_print(const struct expect *expect, struct buf *ret)
{
    static const char last[] = "cim_workflow_last_completion_timestamp_seconds";
    print_events(expect, ret);
    print_streams_and_duplicates(expect, ret);
    print_workflows(ret, "cim_workflow_completions_total", expect->completions);
    print_workflows(ret, "cim_workflow_failures_total", expect->failures);
    buf_addf(ret, "# TYPE %s gauge\n", last);
    for (size_t i = 0; i < WORKFLOW_NAMES; i++) {
        int64_t ns = expect->last_completion_ns[i];
        if (ns)
            buf_addf(ret, "%s{workflow_type=\"%s\"} %" PRId64 ".%09" PRId64 "\n", last,
                     workflow_names[i], ns / NS_PER_SECOND, ns % NS_PER_SECOND);
    }
    buf_add_str(ret, "# TYPE cim_aggregate_count untyped\n");
    for (size_t i = 0; i < expect->group_count; i++) {
        const struct group *group = &expect->groups[i];
        if (group->touched)
            buf_addf(ret, "cim_aggregate_count{domain=\"%s\",aggregate_type=\"%s\"} %" PRIu64 "\n",
                     sim_domains[group->domain].name, group->aggregate_type, group->alive);
    }
}

int expect_write(const struct expect *expect, const char *path, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    expect_print(expect, &text);
    return file_write_atomic(path, buf_slice(&text), 0644, err);
}
