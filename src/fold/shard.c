#include "fold/shard.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fold/engine_internal.h"

static bool parse_number(struct slice text, uint32_t *ret)
{
    uint64_t value;
    if (!slice_u64(text, &value) || value < 1 || value > SHARDS_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

int shard_parse(const char *text, struct shard *ret, struct error *err)
{
    struct slice rest = slice_of(text), first = SLICE_ABSENT;
    uint32_t index = 0, count = 0;
    (void)slice_cut(&rest, '/', &first);
    if (!slice_present(rest) || !parse_number(first, &index) || !parse_number(rest, &count) ||
        index > count)
        return error_set(err, EXIT_CODE_USAGE,
                         "--shard: '%s' is not I/N with I from 1 to N and N up to %d, such as 2/3 "
                         "for the second of three",
                         text, SHARDS_MAX);
    *ret = (struct shard){index - 1, count};
    return 0;
}

uint64_t shard_hash_subject(struct slice subject)
{
    return XXH3_64bits(subject.ptr ? subject.ptr : "", subject.len);
}

uint64_t shard_hash_aggregate(struct slice domain, struct slice aggregate_id)
{
    return XXH3_64bits_withSeed(aggregate_id.ptr ? aggregate_id.ptr : "", aggregate_id.len,
                                shard_hash_subject(domain));
}

int engine_set_shard(struct engine *engine, struct shard shard, struct error *err)
{
    engine->shard = shard;
    if (!shard_is_divided(shard))
        return 0;
    plan_free(engine->plan);
    engine->plan = NULL;
    return plan_new(engine->rules, true, &engine->plan, err); /* the aggregate's id of all */
}

bool engine_has_event(const struct engine *engine, const struct class_entry *class,
                      const struct event_input *input)
{
    struct slice id = engine->view.field[EVENT_AGGREGATE_ID];
    if (!shard_is_divided(engine->shard))
        return true;
    return shard_has(engine->shard, id.len ? shard_hash_aggregate(class->field[EVENT_DOMAIN], id)
                                           : shard_hash_subject(input->subject));
}
