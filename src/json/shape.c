#include "json/shape.h"

#include "base/memory.h"
#include "json/scan.h"

/* --- learning --------------------------------------------------------------------------------- */

struct learner {
    struct slice text;
    struct shape_value values[SHAPE_VALUES_MAX];
    size_t count;
};

static bool add_value(struct learner *l, size_t begin, size_t end, bool is_word)
{
    if (l->count == SHAPE_VALUES_MAX)
        return false;
    l->values[l->count++] = (struct shape_value){
        .at = (uint16_t)begin, .len = (uint16_t)(end - begin), .is_word = is_word};
    return true;
}

static bool is_name(struct slice text, size_t at)
{
    while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\n' || text.ptr[at] == '\t' ||
                             text.ptr[at] == '\r'))
        at++;
    return at < text.len && text.ptr[at] == ':';
}

/* The string that opens at *at; moves behind it. False: its bytes fit no shape. */
static bool learn_string(struct learner *l, size_t *at)
{
    size_t begin = *at + 1, end = begin;
    bool plain = true;
    for (; l->text.ptr[end] != '"'; end++) {
        unsigned char c = (unsigned char)l->text.ptr[end];
        plain = plain && c < 0x80 && c != '\\';
        end += c == '\\';
    }
    *at = end + 1;
    if (is_name(l->text, *at))
        return true;
    return plain && add_value(l, begin, end, false);
}

static bool learn_word(struct learner *l, size_t *at)
{
    size_t begin = *at;
    while (*at < l->text.len && l->text.ptr[*at] && !strchr(",}] \n\t\r", l->text.ptr[*at]))
        ++*at;
    /* A null tells of another kind of event than a number does: it counts as fixed. */
    return l->text.ptr[begin] == 'n' || add_value(l, begin, *at, true);
}

/* The text is known to be sound. */
static bool learn_values(struct learner *l)
{
    for (size_t at = 0; at < l->text.len;) {
        char c = l->text.ptr[at];
        bool known = true;
        if (c == '"')
            known = learn_string(l, &at);
        else if (c == '-' || c == 't' || c == 'f' || c == 'n' || (c >= '0' && c <= '9'))
            known = learn_word(l, &at);
        else
            at++;
        if (!known)
            return false;
    }
    for (size_t i = 0; i < l->count; i++) {
        size_t end = l->values[i].at + (size_t)l->values[i].len;
        size_t next = i + 1 < l->count ? l->values[i + 1].at : l->text.len;
        l->values[i].tail = (uint16_t)(next - end);
    }
    return l->count > 0;
}

/* The last border at or before a place in the fixed bytes. */
static void place_of(const struct learner *l, size_t place, uint16_t *ret_border,
                     uint16_t *ret_more)
{
    size_t border = 0, at = 0;
    for (size_t i = 0; i < l->count && l->values[i].at + (size_t)l->values[i].len <= place; i++) {
        border = 2 * i + 2;
        at = l->values[i].at + (size_t)l->values[i].len;
    }
    *ret_border = (uint16_t)border;
    *ret_more = (uint16_t)(place - at);
}

static struct shape_capture capture_of(const struct learner *l, size_t slot,
                                       const struct json_value *value)
{
    size_t begin = (size_t)(value->raw.ptr - l->text.ptr), end = begin + value->raw.len;
    struct shape_capture capture = {.slot = (uint16_t)slot, .type = (uint8_t)value->type};
    for (size_t i = 0; i < l->count; i++) {
        if (l->values[i].at == begin && l->values[i].len == value->raw.len) {
            capture.from = (uint16_t)(2 * i + 1);
            capture.to = (uint16_t)(2 * i + 2);
            return capture;
        }
    }
    place_of(l, begin, &capture.from, &capture.from_more);
    place_of(l, end, &capture.to, &capture.to_more);
    return capture;
}

struct json_shape *json_shape_learn(struct slice text, const struct json_value *values,
                                    size_t slot_count)
{
    struct learner l = {.text = text};
    size_t captures = 0;
    if (text.len > SHAPE_BYTES_MAX || !learn_values(&l))
        return NULL;
    struct json_shape *shape = xcalloc(1, sizeof *shape + l.count * sizeof shape->values[0]);
    shape->text = xcalloc(text.len + SHAPE_PADDING, 1);
    memcpy(shape->text, text.ptr, text.len);
    shape->head = l.values[0].at;
    shape->value_count = l.count;
    memcpy(shape->values, l.values, l.count * sizeof shape->values[0]);
    for (size_t i = 0; i < slot_count; i++)
        captures += values[i].type != JSON_TYPE_ABSENT;
    shape->captures = xcalloc(captures + 1, sizeof *shape->captures);
    for (size_t i = 0; i < slot_count; i++) {
        /* A name with escapes is fixed, so what says that it has some is no part of the shape. */
        if (values[i].type != JSON_TYPE_ABSENT && values[i].escaped) {
            json_shape_free(shape);
            return NULL;
        }
        if (values[i].type != JSON_TYPE_ABSENT)
            shape->captures[shape->capture_count++] = capture_of(&l, i, &values[i]);
    }
    return shape;
}

void json_shape_free(struct json_shape *shape)
{
    if (!shape)
        return;
    for (size_t i = 0; i < SHAPE_NOTES_MAX; i++)
        free(shape->notes[i].note);
    free(shape->text);
    free(shape->captures);
    free(shape);
}

void json_shape_fill(const struct json_shape *shape, const struct json_plan *plan, const char *text,
                     const uint32_t *borders, struct json_value *values)
{
    if (plan->path_count)
        memset(values, 0, plan->path_count * sizeof *values);
    for (size_t i = 0; i < shape->capture_count; i++) {
        const struct shape_capture *c = &shape->captures[i];
        uint32_t from = borders[c->from] + c->from_more, to = borders[c->to] + c->to_more;
        struct json_value *value = &values[c->slot];
        value->raw = (struct slice){text + from, to - from};
        value->type = c->type;
        if (c->type >= JSON_TYPE_FALSE && c->type <= JSON_TYPE_NUMBER)
            value->type = json_word_type(text[from]);
    }
}

/* --- a set of them ---------------------------------------------------------------------------- */

struct json_shapes *json_shapes_new(size_t *budget, void (*free_own)(void *own))
{
    struct json_shapes *shapes = xcalloc(1, sizeof *shapes);
    shapes->budget = budget;
    shapes->free_own = free_own;
    return shapes;
}

static void drop(struct json_shapes *shapes, struct json_shape *shape)
{
    if (shapes->free_own)
        shapes->free_own(shape->own);
    json_shape_free(shape);
}

void json_shapes_free(struct json_shapes *shapes)
{
    if (!shapes)
        return;
    for (size_t i = 0; i < shapes->count; i++)
        drop(shapes, shapes->shapes[i]);
    free(shapes);
}

/* Texts of one shape begin alike, and the caller's hint tells most of those apart that do. */
static uint8_t *guess_of(struct json_shapes *shapes, struct slice text, uint64_t hint)
{
    uint64_t first;
    memcpy(&first, text.ptr, sizeof first);
    return &shapes->guesses[((first ^ hint << 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

static void move_to_front(struct json_shapes *shapes, size_t place)
{
    uint8_t index = shapes->recent[place];
    memmove(shapes->recent + 1, shapes->recent, place);
    shapes->recent[0] = index;
}

static bool fits(struct json_shapes *shapes, size_t index, const struct json_scanner *scanner,
                 const struct json_plan *plan, struct slice text, struct json_value *values)
{
    struct json_shape *shape = shapes->shapes[index];
    bool good = scanner->fits(shape, plan, text, shapes->borders, values);
    shapes->fitted = good ? shape : NULL;
    return good;
}

static bool try_shapes(struct json_shapes *shapes, const struct json_scanner *scanner,
                       const struct json_plan *plan, struct slice text, uint64_t hint,
                       struct json_value *values)
{
    uint8_t *guess = guess_of(shapes, text, hint);
    if (*guess && fits(shapes, (size_t)*guess - 1, scanner, plan, text, values))
        return true;
    for (size_t i = 0; i < shapes->count && i < SHAPE_TRIES; i++) {
        uint8_t index = shapes->recent[i];
        if (index + 1 == *guess || !fits(shapes, index, scanner, plan, text, values))
            continue;
        *guess = (uint8_t)(index + 1);
        move_to_front(shapes, i);
        return true;
    }
    return false;
}

/* Learning costs more than a pass: not for every text of a producer whose texts are all different.
 */
static bool may_learn(const struct json_shapes *shapes)
{
    bool is_new = shapes->count<SHAPES_MAX && * shapes->budget> 0;
    if (!is_new && shapes->count < SHAPES_MAX)
        return false;
    return (is_new && shapes->misses <= SHAPE_PATIENCE) || shapes->misses % SHAPE_PATIENCE == 0;
}

static void learn(struct json_shapes *shapes, const struct json_plan *plan, struct slice text,
                  uint64_t hint, const struct json_value *values)
{
    shapes->misses++;
    if (!may_learn(shapes))
        return;
    struct json_shape *shape = json_shape_learn(text, values, plan->path_count);
    if (!shape)
        return;
    size_t place = shapes->count;
    if (place < SHAPES_MAX) {
        --*shapes->budget;
        shapes->recent[place] = (uint8_t)place;
        shapes->count++;
    } else {
        place = SHAPES_MAX - 1; /* the one that has not fitted for longest */
        drop(shapes, shapes->shapes[shapes->recent[place]]);
    }
    shapes->shapes[shapes->recent[place]] = shape;
    *guess_of(shapes, text, hint) = (uint8_t)(shapes->recent[place] + 1);
    move_to_front(shapes, place);
    shapes->misses = 0;
}

bool json_extract_shaped_by(const struct json_scanner *scanner, struct json_shapes *shapes,
                            const struct json_plan *plan, struct slice bytes, uint64_t hint,
                            struct json_value *values, struct json_error *error)
{
    shapes->fitted = NULL;
    bool may_fit = scanner->fits && bytes.len >= 8 && bytes.len <= JSON_SCAN_BYTES_MAX;
    if (may_fit && try_shapes(shapes, scanner, plan, bytes, hint, values))
        return true;
    if (!json_extract_by(scanner, plan, bytes, values, error))
        return false;
    if (may_fit)
        learn(shapes, plan, bytes, hint, values);
    return true;
}

/* --- what others know of a shape -----------------------------------------------------------------
 */

struct json_shape *json_shapes_fitted(const struct json_shapes *shapes)
{
    return shapes->fitted;
}

void **json_shape_own(struct json_shape *shape)
{
    return &shape->own;
}

size_t json_shape_count(const struct json_shape *shape)
{
    return shape->value_count;
}

const uint32_t *json_shapes_borders(const struct json_shapes *shapes)
{
    return shapes->borders;
}

struct json_value json_shapes_value(const struct json_shapes *shapes, size_t index,
                                    const char *text)
{
    uint32_t from = shapes->borders[2 * index + 1], to = shapes->borders[2 * index + 2];
    bool is_word = shapes->fitted->values[index].is_word;
    return (struct json_value){
        {text + from, to - from}, is_word ? json_word_type(text[from]) : JSON_TYPE_STRING, false};
}

void *json_shape_note(const struct json_shape *shape, const void *key)
{
    for (size_t i = 0; i < SHAPE_NOTES_MAX && shape->notes[i].note; i++) {
        if (shape->notes[i].key == key)
            return shape->notes[i].note;
    }
    return NULL;
}

bool json_shape_add_note(struct json_shape *shape, const void *key, void *note)
{
    for (size_t i = 0; i < SHAPE_NOTES_MAX; i++) {
        if (shape->notes[i].note)
            continue;
        shape->notes[i].key = key;
        shape->notes[i].note = note;
        return true;
    }
    return false;
}
