/* fold/fact: which second publications are known for what they are. */
#include "unit.h"

#include "fold/fact.h"
#include "fold_rig.h"

/* --- what waits ------------------------------------------------------------------------------- */

static void another_way_makes_the_copy(void **state)
{
    struct facts *facts = NULL;
    (void)state;
    assert_false(facts_take(&facts, 7, 1));
    assert_false(facts_take(&facts, 7, 1)); /* the same way: an event of its own */
    assert_int_equal(facts_waiting(facts), 1);
    assert_true(facts_take(&facts, 7, 2));
    assert_int_equal(facts_waiting(facts), 0);
    assert_false(facts_take(&facts, 7, 2)); /* the pair was complete */
    assert_true(facts_take(&facts, 7, 1));
    facts_free(facts);
}

static void the_longest_waiting_is_forgotten(void **state)
{
    struct facts *facts = NULL;
    (void)state;
    for (uint64_t i = 1; i <= FACTS_WAITING_MAX; i++)
        assert_false(facts_take(&facts, i, 1));
    assert_false(facts_take(&facts, 1, 1)); /* the newest now */
    assert_false(facts_take(&facts, FACTS_WAITING_MAX + 1, 1));
    assert_int_equal(facts_waiting(facts), FACTS_WAITING_MAX);
    assert_true(facts_take(&facts, 1, 2));
    assert_true(facts_take(&facts, 3, 2));
    assert_false(facts_take(&facts, 2, 2)); /* forgotten: waits anew */
    facts_free(facts);
}

/* A model that is slow and plain, random facts and ways, and the bytes of both at the end. */
static void it_does_as_a_plain_list_would(void **state)
{
    struct facts *facts = NULL, *again = NULL;
    CLEANUP_BUF struct buf bytes = {0}, same = {0};
    uint32_t way[64] = {0};
    uint64_t seed = 11;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t fact = random_below(&seed, 64);
        uint32_t channel = 1 + (uint32_t)random_below(&seed, 3);
        bool copy = way[fact] && way[fact] != channel;
        if (facts_take(&facts, fact + 1, channel) != copy)
            fail_msg("step %d: fact %llu", i, (unsigned long long)fact);
        way[fact] = copy ? 0 : channel;
    }
    facts_encode(facts, &bytes);
    struct codec_reader in = {buf_slice(&bytes), true};
    facts_decode(&again, true, &in);
    assert_true(in.ok && !in.rest.len);
    facts_encode(again, &same);
    assert_true(slice_eq(buf_slice(&bytes), buf_slice(&same)));
    facts_free(facts);
    facts_free(again);
}

/* --- in the fold ------------------------------------------------------------------------------ */

#define STORED(id, host)                                                                           \
    "{\"event_id\":\"c\",\"aggregate_id\":\"c\",\"event_type\":\"ResourceRegistered\",\"data\":{"  \
    "\"aggregate_type\":\"compute_resource\",\"event\":{\"type\":\"resource_registered\","         \
    "\"event_id\":\"" id "\",\"hostname\":\"" host "\"}}}"
#define SENT(id) "{\"type\":\"resource_registered\",\"aggregate_id\":\"c\",\"event_id\":\"" id "\"}"

struct message {
    const char *subject, *payload;
    bool bytes; /* serialised twice */
};

static void fold_message(struct rig *rig, uint64_t seq, const struct message *message)
{
    CLEANUP_BUF struct buf payload = {0};
    if (message->bytes) {
        for (const char *at = message->payload; *at; at++)
            buf_addf(&payload, "%c%d", at == message->payload ? '[' : ',', (unsigned char)*at);
        buf_add_char(&payload, ']');
    } else {
        buf_add_str(&payload, message->payload);
    }
    assert_true(rig_fold(rig, seq, message->subject, buf_cstr(&payload)) >= 0);
}

static const struct message pairs[] = {
    {"infrastructure.compute.c.resourceregistered", STORED("e-1", "a"), false},
    {"infrastructure.compute.c.registered", SENT("e-1"), true},
    {"agent.events.agent.a.deployed",
     "{\"aggregate_id\":\"a\",\"sequence\":4,\"event\":{\"type\":\"AgentDeployed\",\"deployed_at\":"
     "\"2026-07-11T12:00:00Z\"},\"timestamp\":\"2026-07-11T12:00:01Z\"}",
     false},
    {"agent.events.agent.a.deployed",
     "{\"aggregate_id\":\"a\",\"sequence\":0,\"event\":{\"type\":\"AgentDeployed\",\"deployed_at\":"
     "\"2026-07-11T12:00:00Z\"},\"timestamp\":\"2026-07-11T12:00:24Z\"}",
     false},
    {"person.events.p.created",
     "{\"aggregate_id\":{\"id\":\"p\"},\"event\":{\"PersonCreated\":{\"created_at\":"
     "\"2026-07-11T12:00:00Z\"}},\"timestamp\":\"2026-07-11T12:00:09Z\"}",
     false},
    {"person.events.p.person.created",
     "{\"aggregate_id\":{\"id\":\"p\"},\"event\":{\"event_type\":\"Created\",\"data\":{"
     "\"metadata\":"
     "{\"timestamp\":\"2026-07-11T12:00:00Z\"}}}}",
     false},
    {"organization.events.o.created",
     "{\"event_type\":\"OrganizationCreated\",\"event_id\":\"e-2\"}", false},
    {"events.organization.o.created",
     "{\"event_type\":\"OrganizationCreated\",\"event_id\":\"e-2\"}", false},
    {"events.location.l.parent_set", "{\"ParentLocationSet\":{\"location_id\":\"l\"}}", false},
    {"events.location.l.parent.set", "{\"ParentLocationSet\":{\"location_id\":\"l\"}}", false},
    {"deployment.d.alerts", "{\"timestamp\":1783772162,\"severity\":\"critical\"}", false},
    {"notifications.deployment.critical", "{\"timestamp\":1783772162,\"severity\":\"critical\"}",
     false},
};
#define PAIRS (ARRAY_LEN(pairs) / 2)

static void shows_each_once(struct rig *rig)
{
    rig_shows(rig, "cim_event_copies_total{domain=\"infrastructure\",event_type=\""
                   "ResourceRegistered\"} 1");
    rig_shows(rig, "cim_event_copies_total{domain=\"agent\",event_type=\"AgentDeployed\"} 1");
    rig_shows(rig, "cim_event_copies_total{domain=\"organization\",event_type=\""
                   "OrganizationCreated\"} 1");
    rig_shows(rig,
              "cim_event_copies_total{domain=\"location\",event_type=\"ParentLocationSet\"} 1");
    rig_shows(rig, "cim_event_copies_total{domain=\"deployment\"} 1");
    rig_shows(rig, "cim_events_total{domain=\"infrastructure\",event_type=\"ResourceRegistered\","
                   "aggregate_type=\"compute_resource\"} 1");
    rig_shows(rig, "cim_events_total{domain=\"agent\",event_type=\"AgentDeployed\","
                   "aggregate_type=\"agent\"} 1");
    rig_shows(rig, "cim_events_total{domain=\"deployment\",aggregate_type=\"deployment\"} 1");
    rig_shows(rig, "cim_aggregate_count{domain=\"person\",aggregate_type=\"person\"} 1");
}

static void every_known_pair_counts_once(void **state)
{
    for (size_t turn = 0; turn < 2; turn++) {
        CLEANUP_RIG struct rig rig;
        rig_open_shipped(&rig);
        for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
            fold_message(&rig, i + 1, &pairs[turn ? i ^ 1 : i]); /* in either order */
        shows_each_once(&rig);
        rig_shows(&rig, turn
                            ? "cim_event_copies_total{domain=\"person\",event_type=\""
                              "PersonCreated\"} 1"
                            : "cim_event_copies_total{domain=\"person\",event_type=\"Created\"} 1");
        /* What has an id of its own is a duplicate by it, as before. */
        rig_shows(&rig, "cim_duplicate_events_total{domain=\"organization\"} 1");
    }
    (void)state;
}

static void what_differs_is_no_copy(void **state)
{
    static const struct message others[] = {
        {"infrastructure.compute.c.resourceregistered", STORED("e-1", "a"), false},
        {"infrastructure.compute.c.resourceregistered", STORED("e-1", "b"), false}, /* same way */
        {"infrastructure.compute.c.registered", SENT("e-9"), true},
        {"events.location.l.defined", "{\"LocationDefined\":{\"location_id\":\"l\"}}", false},
        {"events.location.l.defined", "{\"LocationDefined\":{\"location_id\":\"l\"}}", false},
        {"person.events.p.created", "{\"event\":{\"PersonCreated\":{}}}", false}, /* no time */
        {"person.events.p.person.created", "{\"event\":{\"event_type\":\"Created\"}}", false},
    };
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        fold_message(&rig, i + 1, &others[i]);
    rig_shows_no(&rig, "cim_event_copies_total{");
}

/* The monitor stops between a fact and its copy. */
static void what_waits_outlives_a_restart(void **state)
{
    CLEANUP_RIG struct rig first, second;
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    (void)state;
    rig_open_shipped(&first);
    rig_open_shipped(&second);
    for (size_t i = 0; i < PAIRS; i++)
        fold_message(&first, i + 1, &pairs[2 * i]);
    state_encode(first.engine, first.state, &bytes);
    assert_int_equal(state_decode(second.engine, second.state, buf_slice(&bytes), &err), 0);
    for (size_t i = 0; i < PAIRS; i++)
        fold_message(&second, PAIRS + i + 1, &pairs[2 * i + 1]);
    shows_each_once(&second);
}

static void streams_do_not_know_of_each_other(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    fold_message(&rig, 1, &pairs[8]);
    rig.state = engine_stream(rig.engine, "OTHER");
    fold_message(&rig, 1, &pairs[9]);
    rig_shows_no(&rig, "cim_event_copies_total{");
}

static void mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"fact: [$payload.a]", "'fact' and 'channel' go together"},
        {"channel: x", "'fact' and 'channel' go together"},
        {"fact: x\n    channel: y", "'fact' is a list of 1 to 8 expressions"},
        {"fact: []\n    channel: y", "'fact' is a list of 1 to 8 expressions"},
        {"fact: [$delay]\n    channel: y", "a fact is told by what its message carries"},
        {"fact: [a]\n    channel: $stored_at", "a fact is told by what its message carries"},
        {"domain: $raw", "$raw belongs to an envelope's 'fact'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig = {0};
        struct error err = ERROR_NONE;
        CLEANUP_FREE char *text =
            xasprintf("envelopes:\n  - name: a\n    subjects: a\n    %s\n", cases[i][0]);
        assert_int_equal(rig_load(&rig, text, NULL, &err), -1);
        assert_contains(err.text, cases[i][1]);
        scratch_close(&rig.scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_way_makes_the_copy),
        cmocka_unit_test(the_longest_waiting_is_forgotten),
        cmocka_unit_test(it_does_as_a_plain_list_would),
        cmocka_unit_test(every_known_pair_counts_once),
        cmocka_unit_test(what_differs_is_no_copy),
        cmocka_unit_test(what_waits_outlives_a_restart),
        cmocka_unit_test(streams_do_not_know_of_each_other),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests_name("fact", tests, NULL, NULL);
}
