/* cim-ops replay: stored events once more: planned, resumable, exact, verified. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "act/replay/replay.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"

struct replay_values {
    struct nats_values nats, to;
    struct replay_wanted wanted;
    const char *rules, *target, *prefix, *rate, *speed, *on_error, *resume, *output, *file;
    uint64_t parallel, batch, retries;
    bool dry_run, follow, verify, keep_old, retry;
};

#define TEXT_OPTION(field_, name_, arg_, help_)                                                    \
    {                                                                                              \
        .name = (name_), .arg = (arg_), .kind = OPTION_STRING,                                     \
        .offset = offsetof(struct replay_values, field_), .help = (help_)                          \
    }
#define FLAG_OPTION(field_, name_, help_)                                                          \
    {                                                                                              \
        .name = (name_), .kind = OPTION_FLAG, .offset = offsetof(struct replay_values, field_),    \
        .help = (help_)                                                                            \
    }

static const struct option_spec options[] = {
    NATS_OPTIONS(struct replay_values, nats),
    TEXT_OPTION(wanted.events.stream, "stream", "LIST",
                "these streams (default: all event streams but CIM-OPS)"),
    TEXT_OPTION(wanted.events.aggregate, "aggregate", "LIST", "only these aggregate ids"),
    TEXT_OPTION(wanted.events.domain, "domain", "LIST", "only these domains"),
    TEXT_OPTION(wanted.events.type, "type", "LIST", "only these event types"),
    TEXT_OPTION(wanted.from, "from", "PLACE",
                "from this sequence, or time on: 2026-07-11T12:00:00Z, 2026-07-11, or 2h for two "
                "hours ago"),
    TEXT_OPTION(wanted.until, "until", "PLACE",
                "up to and with this sequence, or time: a point in time"),
    TEXT_OPTION(wanted.events.correlation, "correlation", "ID",
                "one flow: what bears this id, with its causes and effects"),
    TEXT_OPTION(wanted.events.where, "where", "EXPR", "conditions with and, or, not; as in events"),
    TEXT_OPTION(wanted.events.subject, "subject", "FILTER", "only subjects like this"),
    TEXT_OPTION(wanted.filter_file, "filter", "FILE",
                "JSON: event_types, domains, time_range {start, end}"),
    TEXT_OPTION(target, "target", "TARGET",
                "file:PATH, -, stream:NAME, subject:PREFIX, kv:BUCKET or service:SUBJECT"),
    FLAG_OPTION(dry_run, "dry-run", "say exactly what would be done, and do nothing"),
    TEXT_OPTION(resume, "resume", "ID", "go on with a replay that was broken off"),
    {.name = "parallel",
     .arg = "N",
     .kind = OPTION_U64,
     .fallback = "1",
     .min = 1,
     .max = REPLAY_PARALLEL_MAX,
     .offset = offsetof(struct replay_values, parallel),
     .help = "work by aggregate: connections of a stream, requests in flight of a service"},
    {.name = "batch",
     .arg = "N",
     .kind = OPTION_U64,
     .fallback = "2048",
     .min = 1,
     .max = REPLAY_BATCH_MAX,
     .offset = offsetof(struct replay_values, batch),
     .help = "events held until the target has answered for them"},
    TEXT_OPTION(rate, "rate", "N", "at most so many events per second"),
    TEXT_OPTION(speed, "speed", "Nx", "with the original spacing, N times as fast"),
    {.name = "on-error",
     .arg = "WHAT",
     .kind = OPTION_STRING,
     .fallback = "stop",
     .offset = offsetof(struct replay_values, on_error),
     .help = "when the target will not have an event: stop, skip:N (N at most) or park"},
    {.name = "retries",
     .arg = "N",
     .kind = OPTION_U64,
     .fallback = "3",
     .max = 100,
     .offset = offsetof(struct replay_values, retries),
     .help = "service: send again when no answer comes, before it counts as refused"},
    TEXT_OPTION(prefix, "prefix", "SUBJECT",
                "stream: what stands before the subjects (default: as the stream takes them)"),
    FLAG_OPTION(follow, "follow", "go on with what comes behind the cut, until Ctrl-C"),
    FLAG_OPTION(verify, "verify", "when done, hold the target against the selection"),
    FLAG_OPTION(keep_old, "keep-old", "kv: keep what was there in a bucket of its own"),
    TEXT_OPTION(to.url, "to-nats", "URL", "the target is on this server (default: the same)"),
    TEXT_OPTION(to.creds, "to-creds", "FILE", "credentials for it"),
    TEXT_OPTION(to.tls_ca, "to-tls-ca", "FILE", "CA certificates to trust for it"),
    TEXT_OPTION(file, "out", "FILE", "checksum: where to (default: standard output)"),
    FLAG_OPTION(retry, "retry", "parked: send them again"),
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "text",
     .offset = offsetof(struct replay_values, output),
     .help = "text or json"},
    TEXT_OPTION(rules, "rules", "DIR", "folder of envelopes.yaml (default: the one shipped)"),
};

/* --- stopping --------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal)
{
    (void)signal;
    stop_asked = 1;
}

static bool is_stopped(void)
{
    return stop_asked;
}

static void watch_signals(void)
{
    struct sigaction stop = {.sa_handler = ask_stop, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGINT, &stop, NULL); /* a second one ends it at once: that is safe, too */
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

/* --- values ----------------------------------------------------------------------------------- */

static int read_number(const char *option, const char *text, const char *unit, double *ret,
                       struct error *err)
{
    char *end = NULL;
    if (!text)
        return 0;
    *ret = strtod(text, &end);
    if (end == text || (strcmp(end, "") != 0 && strcmp(end, unit) != 0) || !(*ret > 0) ||
        *ret > 1e12)
        return error_set(err, EXIT_CODE_USAGE, "%s: '%s': a number above 0%s%s was expected",
                         option, text, *unit ? ", such as 10" : "", unit);
    return 0;
}

static int read_on_error(const char *text, struct replay_options *ret, struct error *err)
{
    struct slice rest = slice_of(text), word = SLICE_ABSENT;
    (void)slice_cut(&rest, ':', &word);
    ret->on_error = ON_ERROR_STOP;
    if (!strcmp(text, "park"))
        ret->on_error = ON_ERROR_PARK;
    else if (slice_eq(word, SLICE("skip")) && slice_u64(rest, &ret->skip_max) && ret->skip_max)
        ret->on_error = ON_ERROR_SKIP;
    else if (strcmp(text, "stop") != 0)
        return error_set(err, EXIT_CODE_USAGE,
                         "--on-error: '%s': stop, skip:N or park was expected", text);
    return 0;
}

static int read_values(const struct replay_values *values, struct replay_options *ret,
                       struct error *err)
{
    *ret = (struct replay_options){
        .nats = nats_bus_options(&values->nats, "cim-ops replay"),
        .wanted = values->wanted,
        .target = values->target,
        .prefix = values->prefix,
        .parallel = (unsigned)values->parallel,
        .batch = (unsigned)values->batch,
        .retries = (unsigned)values->retries,
        .follow = values->follow,
        .dry_run = values->dry_run,
        .verify = values->verify,
        .keep_old = values->keep_old,
        .json = !strcmp(values->output, "json"),
        .quiet = isatty(STDERR_FILENO) != 1,
        .stopped = is_stopped,
    };
    if (values->target && !values->to.url && !strncmp(values->target, "stream:", 7))
        ret->wanted.target_stream = values->target + 7;
    if (values->to.url)
        ret->to_nats = nats_bus_options(&values->to, "cim-ops replay target");
    if (!ret->json && strcmp(values->output, "text") != 0)
        return error_set(err, EXIT_CODE_USAGE, "--output: '%s' is neither text nor json",
                         values->output);
    if (values->wanted.events.subject &&
        !subject_is_filter(slice_of(values->wanted.events.subject)))
        return error_set(err, EXIT_CODE_USAGE, "--subject: '%s' is no filter of subjects",
                         values->wanted.events.subject);
    if (nats_values_check(&values->nats, err) < 0 ||
        (values->to.url && nats_values_check(&values->to, err) < 0) ||
        read_number("--rate", values->rate, "", &ret->rate, err) < 0 ||
        read_number("--speed", values->speed, "x", &ret->speed, err) < 0)
        return -1;
    return read_on_error(values->on_error, ret, err);
}

/* --- what goes together ----------------------------------------------------------------------- */

/* The first option given that only a new replay takes; NULL: none. `selecting`: or a checksum. */
static const char *given_for_new(const struct replay_values *values, bool selecting)
{
    const struct replay_wanted *wanted = &values->wanted;
    const struct {
        const char *name;
        bool given, selects;
    } all[] = {
        {"--stream", wanted->events.stream, true},
        {"--aggregate", wanted->events.aggregate, true},
        {"--domain", wanted->events.domain, true},
        {"--type", wanted->events.type, true},
        {"--from", wanted->from, true},
        {"--until", wanted->until, true},
        {"--correlation", wanted->events.correlation, true},
        {"--where", wanted->events.where, true},
        {"--subject", wanted->events.subject, true},
        {"--filter", wanted->filter_file, true},
        {"--target", values->target, false},
        {"--prefix", values->prefix, false},
        {"--rate", values->rate, false},
        {"--speed", values->speed, false},
        {"--dry-run", values->dry_run, false},
        {"--follow", values->follow, false},
        {"--keep-old", values->keep_old, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].given && (selecting || !all[i].selects))
            return all[i].name;
    }
    return NULL;
}

static int check_together(const struct replay_values *values, const char *word, struct error *err)
{
    bool is_checksum = word && !strcmp(word, "checksum");
    const char *other = values->resume || word ? given_for_new(values, !is_checksum) : NULL;
    if (word && values->resume)
        return error_set(err, EXIT_CODE_USAGE, "'%s' and --resume: one of them", word);
    if (other && values->resume)
        return error_set(err, EXIT_CODE_USAGE,
                         "--resume goes on with what its record says; leave %s out", other);
    if (other)
        return error_set(err, EXIT_CODE_USAGE, "'%s' does not take %s", word, other);
    if (values->file && !is_checksum)
        return error_set(err, EXIT_CODE_USAGE, "--out is for 'checksum'; say --target file:%s",
                         values->file);
    if (values->retry && (!word || strcmp(word, "parked") != 0))
        return error_set(err, EXIT_CODE_USAGE, "--retry is for 'parked ID'");
    if ((values->to.creds || values->to.tls_ca) && !values->to.url)
        return error_set(err, EXIT_CODE_USAGE, "%s is for the server that --to-nats names",
                         values->to.creds ? "--to-creds" : "--to-tls-ca");
    return 0;
}

/* --- the verb --------------------------------------------------------------------------------- */

static int replay_it(const struct replay_values *values, const struct replay_options *wanted,
                     struct error *err)
{
    if (values->resume)
        return replay_resume(wanted, values->resume, err);
    if (!values->target) {
        (void)error_set(err, EXIT_CODE_USAGE,
                        "say where to: --target file:PATH, -, stream:NAME, subject:PREFIX, "
                        "kv:BUCKET or service:SUBJECT");
        return EXIT_CODE_USAGE;
    }
    return replay_run(wanted, err);
}

static int wrong_words(struct error *err)
{
    (void)error_set(err, EXIT_CODE_USAGE,
                    "nothing, or one of these was expected: list, status ID, cancel ID, checksum, "
                    "verify ID|FILE, parked ID");
    return EXIT_CODE_USAGE;
}

static int run_word(const struct replay_values *values, const struct replay_options *wanted,
                    int count, char **words, struct error *err)
{
    const char *word = words[0], *which = count == 2 ? words[1] : NULL;
    if (!strcmp(word, "list") && !which)
        return replay_list(&wanted->nats, wanted->json, err);
    if (!strcmp(word, "status") && which)
        return replay_status(&wanted->nats, which, wanted->json, err);
    if (!strcmp(word, "cancel") && which)
        return replay_cancel(&wanted->nats, which, err);
    if (!strcmp(word, "checksum") && !which)
        return replay_checksum(wanted, values->file, err);
    if (!strcmp(word, "verify") && which)
        return replay_verify(wanted, which, err);
    if (!strcmp(word, "parked") && which)
        return replay_parked(wanted, which, values->retry, err);
    return wrong_words(err);
}

static int run_verb(const void *opaque, int count, char **operands, struct error *err)
{
    const struct replay_values *values = opaque;
    struct replay_options wanted;
    CLEANUP_FREE char *folder = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    if (!folder) {
        (void)error_set(err, EXIT_CODE_USAGE,
                        "the shipped rules were not found; name the folder by --rules DIR");
        return EXIT_CODE_USAGE;
    }
    if (check_together(values, count ? operands[0] : NULL, err) < 0 ||
        read_values(values, &wanted, err) < 0)
        return (int)err->code;
    wanted.rules_dir = folder;
    watch_signals();
    int code =
        count ? run_word(values, &wanted, count, operands, err) : replay_it(values, &wanted, err);
    (void)fflush(stdout);
    return code;
}

const struct command command_replay = {
    .name = "replay",
    .summary = "stored events once more: into a file, a stream, projections, a service",
    .operands = "[list|status ID|cancel ID|checksum|verify ID|FILE|parked ID]",
    .details =
        "The selection is fixed when it begins, and read without taking anything away. Each event\n"
        "goes into the target in the order of its aggregate, once, also after kill -9 of this\n"
        "program or the server: --resume ID goes on. Progress is kept in KV CIM_REPLAYS and told "
        "as\n"
        "events (ops.replay.>).\n"
        "\n"
        "file:PATH        JSON lines, as `events query --full` prints and `derive` reads\n"
        "stream:NAME      another stream, made when it is not there; also --to-nats URL\n"
        "subject:PREFIX   published under it, original bytes and headers, and Cim-Replay-...\n"
        "kv:BUCKET        projections by rules/projections.yaml, switched when verified\n"
        "service:SUBJECT  a request each; what is refused is parked with --on-error park\n"
        "\n"
        "Exit codes: 1 nothing fits, or not all was taken, or a difference; 4 it would feed back;\n"
        "5 a point in time that is not there, or broken off.",
    .example =
        "cim-ops replay --stream CIM-EVENTS --domain workflow --until 2026-07-11T12:00:00Z \\\n"
        "      --target stream:WORKFLOWS-THEN --parallel 4 --verify",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct replay_values),
    .operands_min = 0,
    .operands_max = 2,
    .run = run_verb,
};
