/* The table of parts that `up` keeps running. Order: what is needed first; stopped in reverse. */
#include <stdio.h>

#include "base/memory.h"
#include "cmd/up.h"
#include "stack/config.h"

/* Gentle: a person reads along. Deterministic, so that two demos show the same. */
#define DEMO_RATE "40"
#define DEMO_SEED "1"

/* A text that lives as long as the parts. */
__attribute__((format(printf, 2, 3))) static char *keep(struct up *up, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0 || up->text_count == ARRAY_LEN(up->texts))
        abort();
    va_end(args);
    return up->texts[up->text_count++] = text;
}

static void add_words(struct up_words *words, const char *const *more)
{
    for (; *more; more++) {
        if (words->count == UP_WORDS_MAX)
            abort();
        words->items[words->count++] = xstrdup(*more);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct part_spec *add_part(struct up *up, struct part_spec spec)
{
    struct part_spec *part = &up->parts[up->part_count++];
    *part = spec;
    return part;
}

static struct part_spec *add_program(struct up *up, const char *program, struct part_spec spec,
                                     const char *const *words)
{
    struct up_words *line = &up->words[up->part_count];
    const char *name = strrchr(program, '/');
    /* /proc/self/exe says nothing in a process list. */
    add_words(line, WORDS(program == up->own_program ? "cim-ops" : name ? name + 1 : program));
    add_words(line, words);
    spec.child = (struct child_spec){.program = program, .argv = line->items, .env = up->env};
    return add_part(up, spec);
}

static const char *address(struct up *up, enum up_port port)
{
    return keep(up, "%s:%u", up->values->bind, up->ports[port]);
}

static const char *own_url(struct up *up, enum up_port port, const char *path)
{
    return keep(up, "http://%s:%u%s", up->host, up->ports[port], path);
}

static const char *port_text(struct up *up, enum up_port port)
{
    return keep(up, "%u", up->ports[port]);
}

static const char *in_dir(struct up *up, const char *name)
{
    return keep(up, "%s/%s", up->dir, name);
}

static void add_nats(struct up *up)
{
    if (up->is_foreign) {
        (void)add_part(up, (struct part_spec){.name = "nats", .url = up->nats_place});
        return;
    }
    (void)add_program(up, up->programs[PROGRAM_NATS],
                      (struct part_spec){.name = "nats",
                                         .url = up->nats_place,
                                         .ready_url = own_url(up, PORT_NATS_HTTP, "/healthz"),
                                         .stop_ms = 800},
                      WORDS("-c", in_dir(up, "nats-server.conf"), "-a", up->values->bind, "-p",
                            port_text(up, PORT_NATS), "-m", port_text(up, PORT_NATS_HTTP)));
}

/* Options that name files; the URL, which may hold a password, goes through the environment. */
static void add_nats_options(struct up *up, struct up_words *words)
{
    const struct nats_values *nats = &up->values->nats;
    const struct {
        const char *option, *value;
    } options[] = {{"--creds", nats->creds},
                   {"--tls-ca", nats->tls_ca},
                   {"--tls-cert", nats->tls_cert},
                   {"--tls-key", nats->tls_key}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].value)
            add_words(words, WORDS(options[i].option, options[i].value));
    }
}

static void add_monitor(struct up *up)
{
    /* On a foreign server the streams task may fail for lack of rights; the monitor need not. */
    (void)add_program(up, up->own_program,
                      (struct part_spec){.name = "monitor",
                                         .url = own_url(up, PORT_METRICS, ""),
                                         .ready_url = own_url(up, PORT_METRICS, "/healthz"),
                                         .needs = up->is_foreign ? "nats" : "streams",
                                         .stop_ms = 1200},
                      WORDS("monitor", "--metrics-port", port_text(up, PORT_METRICS), "--bind",
                            up->values->bind, "--state", in_dir(up, "state"), "--first-zero",
                            CONFIG_SCRAPE_INTERVAL));
    struct up_words *words = &up->words[up->part_count - 1];
    if (up->rules_dir)
        add_words(words, WORDS("--rules", up->rules_dir));
    add_nats_options(up, words);
}

static void add_observe(struct up *up)
{
    (void)add_program(up, up->own_program,
                      (struct part_spec){.name = "observe",
                                         .needs = up->is_foreign ? "nats" : "streams",
                                         .stop_ms = 1200},
                      WORDS("observe"));
    struct up_words *words = &up->words[up->part_count - 1];
    if (!up->is_foreign)
        add_words(words, WORDS("--nats-http", own_url(up, PORT_NATS_HTTP, "")));
    add_nats_options(up, words);
}

static void add_prometheus(struct up *up)
{
    (void)add_program(up, up->programs[PROGRAM_PROMETHEUS],
                      (struct part_spec){.name = "prometheus",
                                         .url = own_url(up, PORT_PROMETHEUS, ""),
                                         .ready_url = own_url(up, PORT_PROMETHEUS, "/-/ready"),
                                         .stop_ms = 1200},
                      WORDS(keep(up, "--config.file=%s", in_dir(up, "prometheus.yml")),
                            keep(up, "--storage.tsdb.path=%s", in_dir(up, "prometheus")),
                            keep(up, "--web.listen-address=%s", address(up, PORT_PROMETHEUS)),
                            "--storage.tsdb.retention.time=" CONFIG_RETENTION_TIME,
                            "--storage.tsdb.retention.size=" CONFIG_RETENTION_SIZE));
}

static void add_alertmanager(struct up *up)
{
    (void)add_program(up, up->programs[PROGRAM_ALERTMANAGER],
                      (struct part_spec){.name = "alertmanager",
                                         .url = own_url(up, PORT_ALERTMANAGER, ""),
                                         .ready_url = own_url(up, PORT_ALERTMANAGER, "/-/ready"),
                                         .stop_ms = 800},
                      WORDS(keep(up, "--config.file=%s", in_dir(up, "alertmanager.yml")),
                            keep(up, "--storage.path=%s", in_dir(up, "alertmanager")),
                            keep(up, "--web.listen-address=%s", address(up, PORT_ALERTMANAGER)),
                            "--cluster.listen-address="));
}

/* Other machines are served only with users, which is the business of a viewer of one's own. */
static void add_web(struct up *up)
{
    const char *url = keep(up, "http://127.0.0.1:%u", up->ports[PORT_WEB]);
    (void)add_program(up, up->own_program,
                      (struct part_spec){.name = "web",
                                         .url = url,
                                         .ready_url = keep(up, "%s/healthz", url),
                                         .needs = "nats",
                                         .stop_ms = 1200},
                      WORDS("web", "--port", port_text(up, PORT_WEB), "--bind", "127.0.0.1",
                            "--prometheus", own_url(up, PORT_PROMETHEUS, ""), "--stack", up->dir));
    struct up_words *words = &up->words[up->part_count - 1];
    if (up->rules_dir)
        add_words(words, WORDS("--rules", up->rules_dir));
    add_nats_options(up, words);
}

static void add_demo(struct up *up)
{
    (void)add_program(up, up->own_program,
                      (struct part_spec){.name = "demo", .needs = "monitor", .stop_ms = 400},
                      WORDS("simulate", "--rate", DEMO_RATE, "--seed", DEMO_SEED, "--forever"));
    add_nats_options(up, &up->words[up->part_count - 1]);
}

/* The URLs without "user:password@" or "token@". */
static char *without_credentials(const char *urls)
{
    CLEANUP_BUF struct buf out = {0};
    struct slice rest = slice_of(urls), url;
    while (slice_cut(&rest, ',', &url)) {
        const char *scheme = memmem(url.ptr, url.len, "://", 3);
        size_t head = scheme ? (size_t)(scheme + 3 - url.ptr) : 0;
        const char *at = memrchr(url.ptr + head, '@', url.len - head);
        if (out.len)
            buf_add_char(&out, ',');
        buf_add(&out, url.ptr, head);
        buf_add_slice(&out, slice_from(url, at ? (size_t)(at + 1 - url.ptr) : head));
    }
    return xstrdup(buf_cstr(&out));
}

void up_make_parts(struct up *up)
{
    up->nats_url = up->is_foreign ? xstrdup(up->values->nats.url)
                                  : xasprintf("nats://%s:%u", up->host, up->ports[PORT_NATS]);
    up->nats_place = without_credentials(up->nats_url);
    up->env[0] = keep(up, "NATS_URL=%s", up->nats_url);
    up->watch_url = xasprintf("http://%s:%u/metrics", up->host, up->ports[PORT_METRICS]);

    add_nats(up);
    (void)add_part(up, (struct part_spec){.name = "streams",
                                          .child = {.task = up_streams_task, .context = up},
                                          .needs = "nats",
                                          .stop_ms = 100});
    add_monitor(up);
    add_observe(up);
    add_prometheus(up);
    add_alertmanager(up);
    add_web(up);
    if (up->values->demo && !up->is_foreign)
        add_demo(up);
}

void up_free_parts(struct up *up)
{
    for (size_t i = 0; i < up->part_count; i++) {
        for (size_t n = 0; n < up->words[i].count; n++)
            free(up->words[i].items[n]);
    }
    for (size_t i = 0; i < up->text_count; i++)
        free(up->texts[i]);
    free(up->nats_url);
    free(up->nats_place);
    free(up->watch_url);
}
