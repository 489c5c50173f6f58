#include "publish.h"

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/replay/stamp.h"
#include "base/instant.h"
#include "base/memory.h"
#include "drain.h"

enum { TIMEOUT_MS = 60000 };

/* In `bytes`: subject, then name and value of each header, each with a NUL, then the payload. */
struct kept {
    size_t at, payload_len;
    uint16_t headers;
};

struct publishing {
    const struct publish_options *options;
    struct kept *kept;
    size_t count, room;
    struct buf bytes;
    struct buf block;
    atomic_uint refused;
};

static void keep_text(struct buf *bytes, struct slice text)
{
    buf_add_slice(bytes, text);
    buf_add_char(bytes, 0);
}

/* With the headers that a replay would give it. */
static void keep(void *context, const struct drained *message)
{
    struct publishing *all = context;
    struct stamp stamp = {.replay = SLICE("20261128-120000-abcdef"),
                          .stream = SLICE("CIM-EVENTS"),
                          .seq = message->seq,
                          .stored_at_ns = INT64_C(1700000000000000000)};
    const char *why;
    struct event_header headers[STAMP_HEADERS_MAX];
    if (!stamp_make(&all->block, message->header_block, &stamp, true, &why))
        bench_die(why);
    int count = event_headers_parse(buf_slice(&all->block), headers, STAMP_HEADERS_MAX);
    GROW(all->kept, all->count, all->room);
    struct kept *one = &all->kept[all->count++];
    *one = (struct kept){
        .at = all->bytes.len, .payload_len = message->payload.len, .headers = (uint16_t)count};
    buf_add_str(&all->bytes, all->options->stream);
    buf_add_char(&all->bytes, '.');
    keep_text(&all->bytes, message->subject);
    for (int i = 0; i < count; i++) {
        keep_text(&all->bytes, headers[i].name);
        keep_text(&all->bytes, headers[i].value);
    }
    buf_add_slice(&all->bytes, message->payload);
}

static void must(natsStatus s, const char *what)
{
    if (s == NATS_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", bench_name, what, natsStatus_GetText(s));
    _exit(70);
}

static void on_refused(jsCtx *js, jsPubAckErr *refused, void *context)
{
    struct publishing *all = context;
    (void)js, (void)refused;
    atomic_fetch_add(&all->refused, 1);
}

static void publish_one(jsCtx *js, const struct publishing *all, const struct kept *one)
{
    natsMsg *msg = NULL;
    const char *subject = all->bytes.ptr + one->at, *at = subject + strlen(subject) + 1;
    const char *headers = at;
    for (size_t i = 0; i < 2 * (size_t)one->headers; i++)
        at += strlen(at) + 1;
    must(natsMsg_Create(&msg, subject, NULL, at, (int)one->payload_len), "message");
    for (size_t i = 0; i < one->headers; i++) {
        const char *value = headers + strlen(headers) + 1;
        must(natsMsgHeader_Add(msg, headers, value), "header");
        headers = value + strlen(value) + 1;
    }
    must(js_PublishMsgAsync(js, &msg, NULL), "publish");
    natsMsg_Destroy(msg);
}

static double cpu_ns(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

static struct figure publish_all(const struct bench_server *server, struct publishing *all)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    jsCtx *js = NULL;
    jsOptions with;
    must(jsOptions_Init(&with), "options");
    if (all->options->pending)
        with.PublishAsync.MaxPending = all->options->pending;
    with.PublishAsync.StallWait = TIMEOUT_MS;
    with.PublishAsync.ErrHandler = on_refused;
    with.PublishAsync.ErrHandlerClosure = all;
    must(natsOptions_Create(&options), "options");
    must(natsOptions_SetURL(options, server->url), "URL");
    must(natsOptions_SetAllowReconnect(options, false), "options");
    must(natsConnection_Connect(&connection, options), "connect");
    must(natsConnection_JetStream(&js, connection, &with), "JetStream");
    int64_t began = instant_monotonic_ns();
    double cpu = cpu_ns();
    for (size_t i = 0; i < all->count; i++)
        publish_one(js, all, &all->kept[i]);
    jsPubOptions until;
    must(jsPubOptions_Init(&until), "options");
    until.MaxWait = TIMEOUT_MS;
    must(js_PublishAsyncComplete(js, &until), "acknowledgements");
    double seconds = (double)(instant_monotonic_ns() - began) / 1e9;
    if (atomic_load(&all->refused))
        bench_die("messages of the plain publisher were refused");
    return (struct figure){(double)all->count / seconds, (cpu_ns() - cpu) / (double)all->count, 0};
}

static void child(const struct bench_server *server, const struct publish_options *options, int fd)
{
    struct publishing all = {.options = options};
    drain_stream(server->port, "CIM-EVENTS", options->events, keep, &all);
    struct figure figure = publish_all(server, &all);
    _exit(write(fd, &figure, sizeof figure) == sizeof figure ? 0 : 70);
}

struct figure publish_measure(const struct bench_server *server,
                              const struct publish_options *options)
{
    struct figure figure;
    int fds[2];
    CLEANUP_BUF struct buf reply = {0};
    CLEANUP_FREE char *create = xasprintf("STREAM.CREATE.%s", options->stream);
    CLEANUP_FREE char *drop = xasprintf("STREAM.DELETE.%s", options->stream);
    CLEANUP_FREE char *config =
        xasprintf("{\"name\":\"%s\",\"subjects\":[\"%s.>\"],\"retention\":\"limits\","
                  "\"storage\":\"file\",\"discard\":\"old\",\"num_replicas\":1,\"max_age\":0}",
                  options->stream, options->stream);
    if (!bench_api(server, create, config, &reply))
        bench_die(buf_cstr(&reply));
    if (pipe(fds) < 0)
        bench_die("pipe");
    pid_t pid = fork();
    if (pid == 0)
        child(server, options, fds[1]);
    (void)close(fds[1]);
    if (read(fds[0], &figure, sizeof figure) != sizeof figure || waitpid(pid, NULL, 0) < 0)
        bench_die("the plain publisher failed");
    (void)close(fds[0]);
    if (!bench_api(server, drop, "", &reply))
        bench_die(buf_cstr(&reply));
    return figure;
}
