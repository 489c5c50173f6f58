/* What is let through: compiled once and held against each event. */
#include <stdio.h>

#include "base/instant.h"
#include "read/events.h"

static const int64_t day_ns = INT64_C(86400) * NS_PER_SECOND;

int events_time_read(const char *option, const char *text, int64_t *ret_ns, struct error *err)
{
    struct slice value = slice_of(text);
    char full[40];
    int64_t ago_ns;
    if (!text)
        return 0;
    if (instant_parse_rfc3339(value, ret_ns))
        return 0;
    if (value.len == sizeof "2026-07-11" - 1) {
        (void)snprintf(full, sizeof full, "%sT00:00:00Z", text);
        if (instant_parse_rfc3339(slice_of(full), ret_ns))
            return 0;
    }
    if (slice_eq(value, SLICE("now"))) {
        *ret_ns = instant_now_ns();
        return 0;
    }
    if (duration_parse(value, &ago_ns) && ago_ns >= 0) {
        *ret_ns = instant_now_ns() - ago_ns;
        return 0;
    }
    return error_set(
        err, EXIT_CODE_USAGE,
        "%s: '%s' is no time; 2026-07-11T12:00:00Z, 2026-07-11, now or a time ago such "
        "as 10m, 2h or 7d was expected",
        option, text);
}

int events_filter_make(const struct events_wanted *wanted, struct events_filter *ret,
                       struct error *err)
{
    *ret = (struct events_filter){.wanted = wanted};
    if (events_time_read("--since", wanted->since, &ret->since_ns, err) < 0 ||
        events_time_read("--until", wanted->until, &ret->until_ns, err) < 0)
        return -1;
    if (ret->since_ns && ret->until_ns && ret->since_ns > ret->until_ns)
        return error_set(err, EXIT_CODE_USAGE, "--since %s is after --until %s", wanted->since,
                         wanted->until);
    if (ret->since_ns > instant_now_ns() + day_ns)
        return error_set(err, EXIT_CODE_USAGE, "--since %s is in the future", wanted->since);
    if (wanted->where && where_compile(wanted->where, &ret->where, err) < 0)
        return -1;
    ret->only_views =
        wanted->domain || wanted->type || wanted->aggregate || wanted->correlation || ret->where;
    return 0;
}

void events_filter_done(struct events_filter *filter)
{
    where_free(filter->where);
}

/* `list`: NULL lets all through; else one of its items, with commas between. */
static bool is_one_of(const char *list, struct slice text)
{
    return !list || slice_listed(list, text);
}

bool events_filter_lets(const struct events_filter *filter, const struct events_row *row)
{
    const struct events_wanted *wanted = filter->wanted;
    const struct event_view *view = &row->view;
    int64_t stored = row->input->stored_at_ns;
    if ((filter->since_ns && stored < filter->since_ns) ||
        (filter->until_ns && stored > filter->until_ns))
        return false;
    if (row->malformed)
        return !filter->only_views;
    return is_one_of(wanted->domain, view->field[EVENT_DOMAIN]) &&
           is_one_of(wanted->type, view->field[EVENT_TYPE]) &&
           is_one_of(wanted->aggregate, view->field[EVENT_AGGREGATE_ID]) &&
           is_one_of(wanted->correlation, view->field[EVENT_CORRELATION_ID]) &&
           (!filter->where || where_holds(filter->where, row->input, row->payload, view));
}
