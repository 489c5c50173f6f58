/*
 * explain: how the event view of one message came about.
 *
 * Which envelope took the message, which came before it in the file and what they missed, and which
 * expression gave each field, and what its CID says. For authors of envelopes and for support;
 * costs several times what folding costs. Everything points into the rules or into the message.
 */
#pragma once

#include "fold/chain.h"
#include "fold/engine.h"

#define EXPLAIN_TRIED_MAX 64

struct explanation {
    struct event_view view;
    const struct envelope *envelope; /* NULL: none took it */
    /* The expression that gave a field; NULL: the field is absent, or see below. */
    const struct yaml_node *from[EVENT_FIELDS];
    bool error_class; /* error_type comes from event_type, by `error_classes` */
    /* Envelopes of matching subjects that did not take it, and the first thing that they missed. */
    struct {
        const struct envelope *envelope;
        bool is_header;
        struct slice missing; /* a payload path or a header's name */
    } tried[EXPLAIN_TRIED_MAX];
    size_t tried_count;
    struct chain_finding chain; /* as after the messages explained before */
};

/* False when the message is malformed (*ret_why, constant). */
bool engine_explain(struct engine *engine, const struct event_input *input, struct explanation *ret,
                    const char **ret_why);
