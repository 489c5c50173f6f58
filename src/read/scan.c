/* A reader of its own, kept going until the cut. */
#include "read/scan.h"

#include "base/instant.h"
#include "bus/ordered.h"
#include "bus/stream.h"

enum { WAIT_MS = 200, CONNECT_MS = 2000, APART_MS = 300 };
static const int64_t patience_default_ns = 30 * NS_PER_SECOND;
static const int64_t gone_after_ns = 3 * NS_PER_SECOND; /* not at once: a cluster may be electing */

struct scan {
    const struct scan_options *options;
    struct ordered_hub *hub;
    struct ordered *reader;
    int64_t lost_ns; /* since when nothing comes; 0: it does */
    bool ended, failed;
    struct error problem;
};

static void on_message(void *context, const struct bus_message *message)
{
    struct scan *scan = context;
    const struct scan_options *options = scan->options;
    if (message->seq > options->last_seq)
        scan->ended = true;
    if (scan->ended || scan->failed)
        return;
    scan->lost_ns = 0;
    scan->failed = options->each(options->context, message, &scan->problem) < 0;
    scan->ended = message->seq == options->last_seq ||
                  (message->pending == 0 && options->last_seq != SCAN_FOLLOW);
}

static int open_reader(struct scan *scan, struct error *err)
{
    const struct scan_options *options = scan->options;
    if (options->newest_only)
        return ordered_open_newest(scan->hub, options->stream, options->filter, on_message, scan,
                                   &scan->reader, err);
    return ordered_open(scan->hub, options->stream, options->filter, options->first_seq, on_message,
                        scan, &scan->reader, err);
}

/* Is it still the stream that was chosen? */
static int check_stream(const struct scan *scan, struct error *err)
{
    const struct scan_options *options = scan->options;
    struct stream_info info = {0};
    if (!options->created)
        return 0;
    if (stream_info(scan->options->bus, options->stream, &info, err) < 0)
        return -1;
    int rc = 0;
    if (strcmp(info.created, options->created) != 0)
        rc = error_set(err, EXIT_CODE_DAMAGED,
                       "stream %s was created anew at %s while it was read: it is another one",
                       options->stream, info.created);
    stream_info_done(&info);
    return rc;
}

/* Once; -1 with EXIT_CODE_UNREACHABLE may pass. */
static int begin(struct scan *scan, struct error *err)
{
    const struct scan_options *options = scan->options;
    if (ordered_hub_connect(scan->hub, CONNECT_MS, err) < 0)
        return -1;
    if (scan->reader) {
        if (ordered_rewind(scan->reader, ordered_next_seq(scan->reader), err) < 0)
            return -1;
    } else if (open_reader(scan, err) < 0) {
        return -1;
    }
    if (check_stream(scan, err) < 0)
        return -1;
    if (ordered_pending(scan->reader) == 0 && options->last_seq != SCAN_FOLLOW)
        scan->ended = true; /* nothing (more) that fits */
    return ordered_begin(scan->reader, err);
}

/* Its server answers, and knows of none: it was removed while it was read. */
static bool is_gone(const struct scan *scan)
{
    struct stream_info info = {0};
    struct error problem = ERROR_NONE;
    int rc = stream_info(scan->options->bus, scan->options->stream, &info, &problem);
    stream_info_done(&info);
    return rc < 0 && problem.code == EXIT_CODE_PROBLEM;
}

static int mend(struct scan *scan, struct error *err)
{
    const struct scan_options *options = scan->options;
    int64_t patience = options->patience_ns ? options->patience_ns : patience_default_ns;
    struct error problem = ERROR_NONE;
    int64_t now = instant_monotonic_ns();
    if (!scan->lost_ns)
        scan->lost_ns = now;
    if (begin(scan, &problem) == 0)
        return 0;
    /* A server that has just started refuses what it will take in a moment. */
    bool passes = problem.code == EXIT_CODE_UNREACHABLE ||
                  (problem.code == EXIT_CODE_REFUSED && scan->reader);
    if (passes && scan->reader && now - scan->lost_ns > gone_after_ns && is_gone(scan))
        return error_set(err, EXIT_CODE_DAMAGED, "stream %s is no longer there", options->stream);
    if (!passes || now - scan->lost_ns > patience || bus_is_closed(options->bus))
        return error_set(err, problem.code, "stream %s: %s", options->stream, problem.text);
    (void)ordered_hub_wait(scan->hub, APART_MS);
    return 0;
}

static int run(struct scan *scan, struct error *err)
{
    const struct scan_options *options = scan->options;
    while (!scan->ended && !scan->failed) {
        if ((!scan->reader || ordered_trouble(scan->reader)) && mend(scan, err) < 0)
            return -1;
        if (ordered_hub_wait(scan->hub, WAIT_MS))
            ordered_hub_deliver(scan->hub);
        int asked = options->idle && !scan->failed ? options->idle(options->context, err) : 0;
        if (asked)
            return asked;
        if (scan->reader && options->last_seq != SCAN_FOLLOW && ordered_is_alive(scan->reader) &&
            ordered_pending(scan->reader) == 0 && !ordered_trouble(scan->reader))
            break; /* what was left has been deleted meanwhile */
    }
    return scan->failed ? error_set(err, scan->problem.code, "%s", scan->problem.text) : 0;
}

int scan_stream(const struct scan_options *options, struct error *err)
{
    struct scan scan = {.options = options};
    if (options->first_seq > options->last_seq)
        return 0;
    if (ordered_hub_open(options->bus, &scan.hub, err) < 0)
        return -1;
    int rc = run(&scan, err);
    ordered_close(scan.reader);
    ordered_hub_close(scan.hub);
    return rc;
}
