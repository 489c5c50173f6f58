#include "bus/pull.h"

#include <jansson.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/api.h"
#include "bus/bus_internal.h"
#include "bus/ordered.h"

enum {
    BATCH_DEFAULT = 512,
    EXPIRES_MS = 2000, /* how long a request waits at the server for more to come */
    GRACE_MS = 1000,
};

static const int64_t inactive_threshold_ns = INT64_C(30) * NS_PER_SECOND;

struct pull {
    struct bus *bus;
    char *stream, *filter;
    char consumer[128];
    natsInbox *inbox;
    natsSubscription *subscription;
    uint64_t next_seq; /* where a new consumer would begin; 0: by time */
    int64_t start_time_ns;
    uint64_t end_seq;
    uint64_t batch;
    uint64_t left, outstanding; /* matching messages; messages asked for and not yet come */
    int64_t asked_ns;           /* monotonic time of the last request or sign of life */
    bool follow, last_per_subject, ended;
};

/* --- the consumer ----------------------------------------------------------------------------- */

static json_t *consumer_config(const struct pull *pull)
{
    json_t *config =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:i, s:s}", "ack_policy", "none", "replay_policy",
                  "instant", "deliver_policy", "all", "max_deliver", -1, "inactive_threshold",
                  (json_int_t)inactive_threshold_ns, "mem_storage", 1, "num_replicas", 1,
                  "description", "cim-ops reader");
    if (pull->last_per_subject) {
        (void)json_object_set_new(config, "deliver_policy", json_string("last_per_subject"));
    } else if (pull->next_seq) {
        (void)json_object_set_new(config, "deliver_policy", json_string("by_start_sequence"));
        (void)json_object_set_new(config, "opt_start_seq",
                                  json_integer((json_int_t)pull->next_seq));
    } else if (pull->start_time_ns) {
        char when[INSTANT_TEXT_MAX];
        (void)instant_format(pull->start_time_ns, when);
        (void)json_object_set_new(config, "deliver_policy", json_string("by_start_time"));
        (void)json_object_set_new(config, "opt_start_time", json_string(when));
    }
    if (pull->filter)
        (void)json_object_set_new(config, "filter_subject", json_string(pull->filter));
    return config;
}

static int create_consumer(struct pull *pull, struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.CONSUMER.CREATE.%s", pull->stream);
    json_t *request =
        json_pack("{s:s, s:o}", "stream_name", pull->stream, "config", consumer_config(pull));
    CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    CLEANUP_BUF struct buf reply = {0};
    pull->consumer[0] = 0;
    pull->outstanding = 0;
    if (bus_request(pull->bus, subject, slice_of(text), BUS_TIMEOUT_MS, &reply, err) < 0)
        return -1;
    json_t *root = json_loadb(reply.ptr ? reply.ptr : "", reply.len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *failure = json_object_get(root, "error");
    int rc = 0;
    if (failure || !name) {
        const char *description = json_string_value(json_object_get(failure, "description"));
        rc = error_set(err, failure ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE, "%s: %s", subject,
                       description ? description : "unreadable reply");
    } else {
        (void)snprintf(pull->consumer, sizeof pull->consumer, "%s", name);
        pull->left = (uint64_t)json_integer_value(json_object_get(root, "num_pending"));
    }
    json_decref(root);
    return rc;
}

static void delete_consumer(struct pull *pull)
{
    if (!pull->consumer[0] || !bus_is_up(pull->bus))
        return;
    CLEANUP_FREE char *subject =
        xasprintf("$JS.API.CONSUMER.DELETE.%s.%s", pull->stream, pull->consumer);
    (void)natsConnection_PublishString(pull->bus->connection, subject, "");
}

/* An inbox of its own for each consumer: what an old one still sends finds nobody. */
static int attach(struct pull *pull, struct error *err)
{
    natsSubscription_Destroy(pull->subscription);
    natsInbox_Destroy(pull->inbox);
    pull->subscription = NULL;
    pull->inbox = NULL;
    natsStatus s = natsInbox_Create(&pull->inbox);
    if (s == NATS_OK)
        s = natsConnection_SubscribeSync(&pull->subscription, pull->bus->connection, pull->inbox);
    if (s != NATS_OK)
        return bus_error(pull->bus, s, "subscribe", err);
    (void)natsSubscription_SetPendingLimits(pull->subscription, -1, -1);
    return create_consumer(pull, err);
}

int pull_open(struct bus *bus, const struct pull_options *options, struct pull **ret,
              struct error *err)
{
    struct pull *pull = xcalloc(1, sizeof *pull);
    pull->bus = bus;
    pull->stream = xstrdup(options->stream);
    pull->filter = options->filter ? xstrdup(options->filter) : NULL;
    pull->next_seq = options->last_per_subject ? 0 : options->start_seq;
    pull->start_time_ns = options->start_time_ns;
    pull->follow = options->follow;
    pull->last_per_subject = options->last_per_subject;
    pull->end_seq = options->end_seq;
    pull->batch = options->batch ? options->batch : BATCH_DEFAULT;
    if (attach(pull, err) < 0) {
        pull_close(pull);
        return -1;
    }
    pull->ended = !pull->follow && pull->left == 0;
    *ret = pull;
    return 0;
}

void pull_close(struct pull *pull)
{
    if (!pull)
        return;
    delete_consumer(pull);
    natsSubscription_Destroy(pull->subscription);
    natsInbox_Destroy(pull->inbox);
    free(pull->stream);
    free(pull->filter);
    free(pull);
}

/* --- messages --------------------------------------------------------------------------------- */

static int ask(struct pull *pull, struct error *err)
{
    char request[96];
    CLEANUP_FREE char *subject =
        xasprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", pull->stream, pull->consumer);
    (void)snprintf(request, sizeof request, "{\"batch\":%llu,\"expires\":%lld}",
                   (unsigned long long)pull->batch, (long long)EXPIRES_MS * 1000000);
    natsStatus s =
        natsConnection_PublishRequestString(pull->bus->connection, subject, pull->inbox, request);
    if (s != NATS_OK)
        return bus_error(pull->bus, s, subject, err);
    pull->outstanding += pull->batch;
    pull->asked_ns = instant_monotonic_ns();
    return 0;
}

/*
 * A request ended before the cut was reached: was what is left deleted meanwhile? What has been
 * sent and not been looked at yet is counted as well.
 */
static void recount(struct pull *pull)
{
    CLEANUP_FREE char *subject =
        xasprintf("$JS.API.CONSUMER.INFO.%s.%s", pull->stream, pull->consumer);
    json_t *reply = NULL;
    int api_code = 0, queued = 0;
    if (api_call(pull->bus, subject, NULL, &reply, &api_code, NULL) < 0)
        return; /* the next request will tell */
    uint64_t left = api_u64(reply, "num_pending");
    json_decref(reply);
    if (natsSubscription_GetPending(pull->subscription, &queued, NULL) == NATS_OK && queued > 0)
        left += (uint64_t)queued;
    if (left < pull->left)
        pull->left = left;
}

/* 404 and 408 end a request; anything else (409: consumer deleted) ends the consumer. */
static void on_status(struct pull *pull, natsMsg *msg)
{
    const char *status = NULL, *rest = NULL;
    pull->asked_ns = instant_monotonic_ns();
    if (natsMsgHeader_Get(msg, "Status", &status) == NATS_OK && !strcmp(status, "100"))
        return;
    uint64_t unused = natsMsgHeader_Get(msg, "Nats-Pending-Messages", &rest) == NATS_OK
                          ? strtoull(rest, NULL, 10)
                          : pull->batch;
    pull->outstanding -= unused < pull->outstanding ? unused : pull->outstanding;
    if (status && (!strcmp(status, "404") || !strcmp(status, "408"))) {
        if (!pull->follow)
            recount(pull);
        return;
    }
    pull->consumer[0] = 0;
}

static void take(struct pull *pull, natsMsg *msg, const struct ordered_place *place,
                 struct bus_message *message)
{
    bus_message_from(msg, message);
    message->seq = place->stream_seq;
    message->stored_at_ns = place->stored_at_ns;
    message->pending = place->pending;
    pull->outstanding -= pull->outstanding > 0;
    pull->asked_ns = instant_monotonic_ns();
    if (place->stream_seq >= pull->next_seq)
        pull->next_seq = place->stream_seq + 1;
    /* What was stored after the cut is none of ours: the count only goes down. */
    if (pull->left)
        pull->left = pull->left - 1 < place->pending ? pull->left - 1 : place->pending;
    pull->ended =
        !pull->follow && (pull->left == 0 || (pull->end_seq && place->stream_seq >= pull->end_seq));
}

int pull_next(struct pull *pull, struct bus_message *message, int timeout_ms, struct error *err)
{
    int64_t until = instant_monotonic_ns() + timeout_ms * NS_PER_MS;
    while (!pull->ended) {
        int64_t now = instant_monotonic_ns();
        bool silent =
            pull->outstanding && now - pull->asked_ns > (EXPIRES_MS + GRACE_MS) * NS_PER_MS;
        if ((!pull->consumer[0] || silent) && attach(pull, err) < 0)
            return -1;
        if (!pull->follow && !pull->left) { /* what was left has been deleted meanwhile */
            pull->ended = true;
            break;
        }
        if (pull->outstanding <= pull->batch / 2 && ask(pull, err) < 0)
            return -1;
        int64_t wait_ms = (until - now) / NS_PER_MS;
        natsMsg *msg = NULL;
        natsStatus s = natsSubscription_NextMsg(&msg, pull->subscription,
                                                wait_ms < 1            ? 1
                                                : wait_ms > EXPIRES_MS ? EXPIRES_MS
                                                                       : wait_ms);
        struct ordered_place place;
        if (s == NATS_OK && ordered_parse_place(slice_of(natsMsg_GetReply(msg)), &place)) {
            bool had = pull->last_per_subject && place.stream_seq < pull->next_seq;
            take(pull, msg, &place, message);
            if (!had && (pull->follow || !pull->end_seq || message->seq <= pull->end_seq))
                return 1;
            bus_message_release(message); /* behind the cut: stored since */
            continue;
        }
        if (s == NATS_OK) {
            on_status(pull, msg);
            natsMsg_Destroy(msg);
        } else if (s == NATS_NO_RESPONDERS) {
            pull->consumer[0] = 0; /* how servers from 2.10 on say that it is gone */
        } else if (s != NATS_TIMEOUT) {
            return bus_error(pull->bus, s, pull->stream, err);
        }
        if (instant_monotonic_ns() >= until)
            return 0;
    }
    return 0;
}

bool pull_ended(const struct pull *pull)
{
    return pull->ended;
}

uint64_t pull_left(const struct pull *pull)
{
    return pull->left;
}
