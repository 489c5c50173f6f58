#include <stdatomic.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "fold/contract.h"
#include "fold/engine_internal.h"

static struct slice cut_text(struct slice text)
{
    return utf8_cut(text, CLASS_TEXT_MAX);
}

static struct class_key key_of(const struct prepared *prepared)
{
    struct class_key key = {.group = prepared->group, .envelope = prepared->envelope};
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        key.expr[f] = prepared->expr[f];
        key.raw[f] = cut_text(prepared->raw[f]);
    }
    return key;
}

/* A constant's expression says it all; the others' texts come from outside and want a good hash. */
static uint64_t hash_of(const struct class_key *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key->group ^ (uint64_t)(uintptr_t)key->envelope << 20;
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        hash = (hash ^ (uint64_t)(uintptr_t)key->expr[f]) * UINT64_C(0x9e3779b97f4a7c15);
        if (slice_present(key->raw[f]) && key->expr[f]->kind != EXPR_CONSTANT)
            hash = XXH3_64bits_withSeed(key->raw[f].ptr, key->raw[f].len, hash);
    }
    return hash ^ hash >> 32;
}

static bool same_key(const struct class_key *a, const struct class_key *b)
{
    if (a->group != b->group || a->envelope != b->envelope)
        return false;
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        if (a->expr[f] != b->expr[f] || a->raw[f].len != b->raw[f].len ||
            slice_present(a->raw[f]) != slice_present(b->raw[f]))
            return false;
        if (a->raw[f].len && a->expr[f]->kind != EXPR_CONSTANT &&
            memcmp(a->raw[f].ptr, b->raw[f].ptr, a->raw[f].len) != 0)
            return false;
    }
    return true;
}

static void fill_fields(struct engine *engine, const struct prepared *prepared,
                        struct class_entry *entry)
{
    CLEANUP_BUF struct buf texts = {0};
    size_t offset[EVENT_CLASS_FIELDS], key_offset[EVENT_CLASS_FIELDS];
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        /* As much as the key holds: what lies behind must not tell members of one class apart. */
        struct slice text = cut_text(prepared->raw[f]);
        if (prepared->expr[f])
            text = expr_transform(&engine->eval, prepared->expr[f], text);
        text = cut_text(text);
        offset[f] = texts.len;
        buf_add_slice(&texts, text);
        buf_add_char(&texts, 0);
        entry->field[f] = (struct slice){text.ptr, text.len};
        key_offset[f] = texts.len;
        buf_add_slice(&texts, entry->key.raw[f]);
    }
    entry->texts = xmalloc(texts.len);
    memcpy(entry->texts, texts.ptr, texts.len);
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        if (slice_present(entry->field[f]))
            entry->field[f].ptr = entry->texts + offset[f];
        if (slice_present(entry->key.raw[f]))
            entry->key.raw[f].ptr = entry->texts + key_offset[f];
    }
    struct slice type = entry->field[EVENT_TYPE];
    if (slice_present(entry->field[EVENT_ERROR_TYPE]) || !slice_present(type))
        return;
    for (size_t i = 0; i < engine->rules->error_class_count; i++) {
        const struct error_class *class = &engine->rules->error_classes[i];
        if (regexec(&class->regex, type.ptr, 0, NULL, 0) == 0) {
            entry->field[EVENT_ERROR_TYPE] = class->name;
            return;
        }
    }
}

static size_t domain_number(struct engine *engine, struct slice domain)
{
    char name[DOMAIN_TEXT_MAX];
    (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(domain));
    for (size_t i = 0; i < engine->domain_count; i++) {
        if (!strcmp(engine->domains[i], name))
            return i;
    }
    if (engine->domain_count == TALLY_DOMAINS_MAX)
        return TALLY_DOMAINS_MAX - 1;
    memcpy(engine->domains[engine->domain_count], name, sizeof name);
    return engine->domain_count++;
}

static enum decision decide(struct engine *engine, const struct condition_list *list)
{
    if (!list->class_only)
        return DECISION_BY_EVENT;
    return conditions_hold(&engine->eval, list) ? DECISION_YES : DECISION_NO;
}

/* Distinct keys come last: their memory is being fetched. */
static void order_actions(struct class_entry *entry)
{
    struct class_action late[64] = {{0}};
    size_t kept = 0, late_count = 0;
    for (size_t i = 0; i < entry->action_count; i++) {
        struct class_action *action = &entry->actions[i];
        if (action->rule->spec.kind == METRIC_DISTINCT && late_count < ARRAY_LEN(late))
            late[late_count++] = *action;
        else
            entry->actions[kept++] = *action;
    }
    memcpy(entry->actions + kept, late, late_count * sizeof late[0]);
}

static void fill_actions(struct engine *engine, const struct prepared *prepared,
                         struct class_entry *entry)
{
    const struct plan_group *group = prepared->group;
    entry->actions = xcalloc(group->metric_count + 1, sizeof *entry->actions);
    for (size_t i = 0; i < group->metric_count; i++) {
        const struct metric_rule *rule = group->metrics[i];
        if (rule->when.class_only && !conditions_hold(&engine->eval, &rule->when))
            continue;
        const struct schema *contract =
            rule->role == ROLE_CONTRACT ? contract_find(engine->rules, entry->field) : NULL;
        if (rule->role == ROLE_CONTRACT && !contract)
            continue;
        size_t index = (size_t)(rule - engine->rules->metrics);
        struct class_action action = {.rule = rule,
                                      .rule_index = index,
                                      .family = engine->families[index],
                                      .contract = contract,
                                      .starts = decide(engine, &rule->span.start),
                                      .ends = decide(engine, &rule->span.end),
                                      .since = decide(engine, &rule->since),
                                      .until = decide(engine, &rule->until)};
        if (rule->role == ROLE_OVERDUE || (rule_is_span(rule) && !action.starts && !action.ends))
            continue;
        entry->actions[entry->action_count++] = action;
        entry->uses_remembered |= group->metric_remembers[i];
    }
    order_actions(entry);
    for (size_t i = 0; i < group->remember_count; i++) {
        const struct remember_rule *rule = group->remembers[i];
        if (!rule->when.class_only || conditions_hold(&engine->eval, &rule->when))
            entry->remembers |= 1u << (rule - engine->rules->remembers);
    }
}

static struct class_entry *new_class(struct engine *engine, const struct prepared *prepared,
                                     const struct class_key *key)
{
    struct class_entry *entry = xcalloc(1, sizeof *entry);
    entry->key = *key;
    fill_fields(engine, prepared, entry);
    memcpy(engine->view.field, entry->field, sizeof entry->field);
    fill_actions(engine, prepared, entry);
    struct slice domain = entry->field[EVENT_DOMAIN];
    entry->domain = domain_number(engine, slice_present(domain) ? domain : SLICE("unknown"));
    return entry;
}

static struct class_entry *find_by_key(struct engine *engine, struct stream_state *state,
                                       const struct prepared *prepared, bool *ret_temporary)
{
    struct class_key key = key_of(prepared);
    uint64_t hash = hash_of(&key);
    uint64_t *slot = u64map_get(&state->classes, hash);
    for (struct class_entry *entry = slot ? (struct class_entry *)(uintptr_t)*slot : NULL; entry;
         entry = entry->next) {
        if (same_key(&entry->key, &key)) {
            memcpy(engine->view.field, entry->field, sizeof entry->field);
            return entry;
        }
    }
    struct class_entry *entry = new_class(engine, prepared, &key);
    if (state->class_count >= CLASSES_MAX || prepared->group->fleeting) {
        engine->class_overflows += !prepared->group->fleeting;
        *ret_temporary = true;
        return entry;
    }
    bool fresh;
    slot = u64map_put(&state->classes, hash, &fresh);
    entry->next = (struct class_entry *)(uintptr_t)*slot;
    *slot = (uint64_t)(uintptr_t)entry;
    state->class_count++;
    return entry;
}

/* memcmp() of names and types, which are short. */
static inline bool same_bytes(const char *a, const char *b, size_t len)
{
    uint64_t x, y, differ = 0;
    if (len < 8)
        return len == 0 || memcmp(a, b, len) == 0;
    for (size_t at = 0; at + 8 < len; at += 8) {
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        differ |= x ^ y;
    }
    memcpy(&x, a + len - 8, 8);
    memcpy(&y, b + len - 8, 8);
    return (differ | (x ^ y)) == 0;
}

/* The class of the last event of the same course, if it is this one's too. */
static struct class_entry *class_of_course(const struct stream_state *state,
                                           const struct prepared *prepared)
{
    const struct course *course = prepared->course;
    if (!course || course->class_generation != state->class_generation)
        return NULL;
    const struct class_key *key = &course->class->key;
    for (uint32_t varies = course->varies; varies; varies &= varies - 1) {
        size_t f = (size_t)__builtin_ctz(varies);
        struct slice raw = prepared->raw[f];
        if (prepared->expr[f] != key->expr[f] || raw.len != key->raw[f].len ||
            !same_bytes(raw.ptr, key->raw[f].ptr, raw.len))
            return NULL;
    }
    return course->class;
}

struct class_entry *class_find(struct engine *engine, struct stream_state *state,
                               const struct prepared *prepared, bool *ret_temporary)
{
    struct class_entry *last = class_of_course(state, prepared);
    *ret_temporary = false;
    if (__builtin_expect(last != NULL, 1)) {
        memcpy(engine->view.field, last->field, sizeof last->field);
        return last;
    }
    struct class_entry *entry = find_by_key(engine, state, prepared, ret_temporary);
    if (prepared->course && !*ret_temporary) {
        prepared->course->class = entry;
        prepared->course->class_generation = state->class_generation;
    }
    return entry;
}
void class_free(struct class_entry *entry)
{
    free(entry->texts);
    free(entry->actions);
    free(entry);
}

void classes_clear(struct stream_state *state)
{
    static atomic_uint_least64_t generations;
    state->class_generation = atomic_fetch_add(&generations, 1) + 1;
    for (size_t i = 0; i < state->classes.room; i++) {
        if (!state->classes.entries[i].key)
            continue;
        struct class_entry *entry =
            (struct class_entry *)(uintptr_t)state->classes.entries[i].value;
        while (entry) {
            struct class_entry *next = entry->next;
            class_free(entry);
            entry = next;
        }
    }
    u64map_done(&state->classes);
    state->class_count = 0;
}
