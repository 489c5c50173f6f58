#include "drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/memory.h"

void drain_open(struct drain *d, unsigned port, size_t room)
{
    *d = (struct drain){.fd = bench_connect(port), .room = room, .bytes = xmalloc(room)};
    if (d->fd < 0)
        bench_die("cannot connect");
}

void drain_close(struct drain *d)
{
    (void)close(d->fd);
    free(d->bytes);
}

static void fill(struct drain *d)
{
    if (d->begin) {
        memmove(d->bytes, d->bytes + d->begin, d->end - d->begin);
        d->end -= d->begin;
        d->begin = 0;
    }
    ssize_t got = read(d->fd, d->bytes + d->end, d->room - d->end);
    if (got <= 0)
        bench_die("the server closed the connection");
    d->end += (size_t)got;
}

char *drain_line(struct drain *d)
{
    for (;;) {
        char *at = d->bytes + d->begin, *lf = memchr(at, '\n', d->end - d->begin);
        if (lf) {
            d->begin += (size_t)(lf - at) + 1;
            lf[-1] = 0;
            return at;
        }
        fill(d);
    }
}

static void skip(struct drain *d, size_t count)
{
    while (d->end - d->begin < count) {
        count -= d->end - d->begin;
        d->begin = d->end;
        fill(d);
    }
    d->begin += count;
}

/* --- messages --------------------------------------------------------------------------------- */

enum { SUBJECT_MAX = 1024, SUBJECT = 1, REPLY = 3 };

/* MSG subject sid [reply] total; HMSG subject sid [reply] headers total */
struct frame {
    char *words[6];
    size_t count, headers, total;
    bool with_headers, has_reply;
};

static void parse(char *text, struct frame *ret)
{
    ret->with_headers = text[0] == 'H';
    ret->count = 0;
    for (char *at = text, *next; at && ret->count < ARRAY_LEN(ret->words); at = next) {
        next = strchr(at, ' ');
        if (next)
            *next++ = 0;
        ret->words[ret->count++] = at;
    }
    ret->total = strtoul(ret->words[ret->count - 1], NULL, 10);
    ret->headers = ret->with_headers ? strtoul(ret->words[ret->count - 2], NULL, 10) : 0;
    ret->has_reply = ret->count == (ret->with_headers ? 6u : 5u);
}

/* $JS.ACK.stream.consumer.deliveries.<stream sequence>... */
static uint64_t sequence_of(const char *reply)
{
    for (int dots = 5; dots && reply; dots--)
        reply = strchr(reply, '.') ? strchr(reply, '.') + 1 : NULL;
    return reply ? strtoull(reply, NULL, 10) : 0;
}

static void take_one(struct drain *d, const struct frame *frame, drain_taker *take, void *context)
{
    char subject[SUBJECT_MAX];
    size_t len = strlen(frame->words[SUBJECT]);
    struct drained message = {.seq = sequence_of(frame->words[REPLY])};
    if (len >= sizeof subject || frame->total + 2 > d->room)
        bench_die("a message is too large for this benchmark");
    memcpy(subject, frame->words[SUBJECT], len); /* the window moves */
    while (d->end - d->begin < frame->total + 2)
        fill(d);
    message.subject = (struct slice){subject, len};
    message.header_block = (struct slice){d->bytes + d->begin, frame->headers};
    message.payload =
        (struct slice){d->bytes + d->begin + frame->headers, frame->total - frame->headers};
    take(context, &message);
    d->begin += frame->total + 2;
}

/* Reads until `events` messages of the stream have passed; answers flow control. */
static void drain_all(struct drain *d, uint64_t events, drain_taker *take, void *context)
{
    struct frame frame;
    for (uint64_t seen = 0; seen < events;) {
        char *text = drain_line(d), answer[256] = "";
        if (!strncmp(text, "PING", 4)) {
            bench_send(d->fd, "PONG\r\n");
            continue;
        }
        if (text[0] != 'M' && text[0] != 'H')
            continue;
        parse(text, &frame);
        bool is_event = frame.has_reply && !strncmp(frame.words[REPLY], "$JS.ACK.", 8);
        if (!is_event && frame.has_reply && frame.with_headers)
            (void)snprintf(answer, sizeof answer, "PUB %s 0\r\n\r\n", frame.words[REPLY]);
        seen += is_event;
        if (is_event && take)
            take_one(d, &frame, take, context);
        else
            skip(d, frame.total + 2);
        if (answer[0])
            bench_send(d->fd, answer);
    }
}

void drain_stream(unsigned port, const char *stream, uint64_t events, drain_taker *take,
                  void *context)
{
    struct drain d;
    char config[512], request[1024];
    int id = (int)getpid(); /* an inbox of its own: the last one's consumer lingers for 5 s */
    drain_open(&d, port, 1u << 20);
    (void)snprintf(
        config, sizeof config,
        "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"_INBOX.d%d\","
        "\"deliver_policy\":\"all\",\"ack_policy\":\"none\",\"max_deliver\":1,"
        "\"flow_control\":true,\"idle_heartbeat\":2000000000,\"replay_policy\":\"instant\","
        "\"mem_storage\":true,\"num_replicas\":1}}",
        stream, id);
    (void)snprintf(request, sizeof request,
                   "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB _INBOX.d%d 1\r\n"
                   "PUB $JS.API.CONSUMER.CREATE.%s _INBOX.r %zu\r\n%s\r\n",
                   id, stream, strlen(config), config);
    bench_send(d.fd, request);
    drain_all(&d, events, take, context);
    drain_close(&d);
}

struct figure drain_measure(unsigned port, const char *stream, uint64_t events)
{
    int64_t began = instant_monotonic_ns();
    pid_t pid = fork();
    if (pid == 0) {
        drain_stream(port, stream, events, NULL, NULL);
        _exit(0);
    }
    return bench_wait(pid, events, began, "the drain failed");
}
