/* The system account: one question, to which every server of every cluster answers. */
#include <pthread.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "event/own.h"
#include "source/nats/nats.h"

#define ANSWER_WITHIN_NS (2 * NS_PER_SECOND)
#define QUIET_NS         (100 * NS_PER_MS) /* nothing more for so long: all have answered */
#define FLUSH_MS         2000
#define LISTENS          2

static const char *const questions[NATS_DOCUMENTS][2] = {
    [NATS_VARZ] = {"VARZ", "{}"},
    [NATS_ROUTEZ] = {"ROUTEZ", "{}"},
    [NATS_HEALTHZ] = {"HEALTHZ", "{}"},
    [NATS_JSZ] = {"JSZ", "{\"accounts\":true,\"streams\":true,\"consumer\":true,\"config\":true}"},
    [NATS_LEAFZ] = {"LEAFZ", "{}"},
    [NATS_GATEWAYZ] = {"GATEWAYZ", "{}"},
};

struct nats_system {
    struct bus_options options;
    struct bus *bus;
    struct nats_fields fields;
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct buf answers[NATS_SERVERS_MAX];
    size_t count;
    struct bus_subscription *listens[LISTENS];
    void (*heard)(void *, struct slice, struct slice);
    void *heard_context;
};

static const struct nats_field envelope[] = {
    {"server.name", NULL}, {"data", NULL}, {"error.description", NULL}};

int nats_system_new(const struct bus_options *options, struct nats_system **ret, struct error *err)
{
    struct nats_system *system = xcalloc(1, sizeof *system);
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&system->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&system->came, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    nats_fields_new(&system->fields, envelope, ARRAY_LEN(envelope));
    system->options = *options;
    (void)err;
    *ret = system;
    return 0;
}

static void hang_up(struct nats_system *system)
{
    for (size_t i = 0; i < LISTENS; i++) {
        if (system->listens[i])
            bus_unsubscribe(system->listens[i]);
        system->listens[i] = NULL;
    }
    bus_close(system->bus);
    system->bus = NULL;
}

void nats_system_free(struct nats_system *system)
{
    if (!system)
        return;
    hang_up(system);
    for (size_t i = 0; i < NATS_SERVERS_MAX; i++)
        buf_done(&system->answers[i]);
    nats_fields_done(&system->fields);
    (void)pthread_cond_destroy(&system->came);
    (void)pthread_mutex_destroy(&system->lock);
    free(system);
}

static void on_answer(void *context, struct bus_message *message, const char *reply)
{
    struct nats_system *system = context;
    (void)reply;
    (void)pthread_mutex_lock(&system->lock);
    /* Empty: the system's own "nobody hears this subject". */
    if (system->count < NATS_SERVERS_MAX && message->payload.len &&
        message->payload.len <= NATS_BODY_MAX)
        buf_add_slice(&system->answers[system->count++], message->payload);
    (void)pthread_cond_signal(&system->came);
    (void)pthread_mutex_unlock(&system->lock);
    bus_message_release(message);
}

/* Waits until `expected` have answered and no more come, or time is up. */
static void gather(struct nats_system *system, size_t expected)
{
    int64_t end = instant_monotonic_ns() + ANSWER_WITHIN_NS;
    (void)pthread_mutex_lock(&system->lock);
    for (;;) {
        int64_t now = instant_monotonic_ns();
        size_t before = system->count;
        bool all = expected && before >= expected;
        int64_t until = all && now + QUIET_NS < end ? now + QUIET_NS : end;
        struct timespec at = {.tv_sec = until / NS_PER_SECOND, .tv_nsec = until % NS_PER_SECOND};
        if (now >= end)
            break;
        (void)pthread_cond_timedwait(&system->came, &system->lock, &at);
        if (system->count == before && all)
            break;
    }
    (void)pthread_mutex_unlock(&system->lock);
}

static int ask(struct nats_system *system, enum nats_document document, size_t expected,
               struct error *err)
{
    char id[UUID_TEXT_LEN + 1];
    struct bus_subscription *answers;
    own_event_id(id);
    CLEANUP_FREE char *inbox = xasprintf("_INBOX.cim-ops.%s", id);
    CLEANUP_FREE char *subject = xasprintf("$SYS.REQ.SERVER.PING.%s", questions[document][0]);
    for (size_t i = 0; i < NATS_SERVERS_MAX; i++)
        buf_reset(&system->answers[i]);
    system->count = 0;
    if (bus_subscribe(system->bus, inbox, on_answer, system, &answers, err) < 0)
        return -1;
    int result = bus_publish(system->bus, slice_of(subject), inbox, NULL, 0,
                             slice_of(questions[document][1]), err);
    if (result == 0)
        result = bus_flush(system->bus, FLUSH_MS, err);
    if (result == 0)
        gather(system, expected);
    bus_unsubscribe(answers);
    return result;
}

static void hand_out(struct nats_system *system, nats_answer_handler *handler, void *context)
{
    for (size_t i = 0; i < system->count; i++) {
        struct json_value values[NATS_FIELDS_MAX];
        struct json_error error;
        char name[NATS_NAME_MAX];
        struct slice text = buf_slice(&system->answers[i]);
        if (!nats_fields_read(&system->fields, text, values, &error)) {
            /* Without its name nobody can say whose it is. */
            handler(context, "", NATS_BAD_ANSWER, slice_of(error.what));
            continue;
        }
        nats_text(&values[0], name);
        if (values[1].type == JSON_TYPE_OBJECT)
            handler(context, name, NATS_ANSWERED, values[1].raw);
        else if (values[2].type == JSON_TYPE_STRING)
            handler(context, name, NATS_BAD_ANSWER, values[2].raw);
    }
}

int nats_system_read(struct nats_system *system, enum nats_document document, size_t expected,
                     nats_answer_handler *handler, void *context, struct error *err)
{
    if (system->bus && bus_is_closed(system->bus))
        hang_up(system);
    if (!system->bus && bus_open(&system->bus, &system->options, err) < 0)
        return -1;
    if (ask(system, document, expected, err) < 0) {
        hang_up(system); /* the server may hang: the next look tries another */
        return -1;
    }
    if (document == NATS_VARZ && system->count == 0)
        return error_set(err, EXIT_CODE_UNREACHABLE,
                         "no server answers on the system account: are these its credentials?");
    hand_out(system, handler, context);
    if (system->heard && !system->listens[0])
        nats_system_listen(system, system->heard, system->heard_context);
    return 0;
}

static void on_word(void *context, struct bus_message *message, const char *reply)
{
    struct nats_system *system = context;
    (void)reply;
    system->heard(system->heard_context, message->subject, message->payload);
    bus_message_release(message);
}

void nats_system_listen(struct nats_system *system,
                        void (*handler)(void *, struct slice, struct slice), void *context)
{
    static const char *const subjects[LISTENS] = {"$SYS.SERVER.*.LAMEDUCK",
                                                  "$SYS.SERVER.*.SHUTDOWN"};
    system->heard = handler;
    system->heard_context = context;
    for (size_t i = 0; i < LISTENS && system->bus; i++) {
        if (bus_subscribe(system->bus, subjects[i], on_word, system, &system->listens[i], NULL) < 0)
            system->listens[i] = NULL;
    }
}
