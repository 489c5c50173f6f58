/*
 * The fast path, over an instruction set's own block operations: included by scan_avx512.c and
 * scan_avx2.c, which define SCAN_TARGET, SCAN_NAME and scan_*().
 *
 * First mark(): 64 bytes at a time become bit masks, one bit a byte, and nearly all of the grammar
 * is decided on masks, without looking at single bytes. JSON is a sequence of tokens in which a
 * pair of neighbours is either allowed or not; only three things need more:
 *
 *   - a member name is a string behind `{` or `,` with a colon behind it, and every colon stands
 *     behind such a string;
 *   - whether a comma belongs to an object or an array decides if a name must follow it: a colon is
 *     a fault in an array, and in an object so is whatever shows that no name was there ("loose");
 *   - brackets must match, and what is no string must be a number or a word.
 *
 * Then walk(): only brackets, and names of objects in which something is wanted, are visited.
 */

struct marks {
    uint64_t quote[JSON_SCAN_BYTES_MAX / 64 + 2]; /* not escaped ones */
    struct {
        uint64_t bracket; /* { [ ] } */
        uint64_t name;    /* opening quotes of strings behind { or , */
        uint64_t colon, loose;
    } block[JSON_SCAN_BYTES_MAX / 64 + 1];
};

/* What one block hands on to the next. Of masks, the top bit counts. */
struct carry {
    uint64_t in_string; /* all ones inside of one */
    uint64_t escaped;   /* the first byte is escaped */
    uint64_t named;     /* the string that goes on began behind { or , */
    uint64_t brace, bracket, colon, comma, ended, word, name_end;
};

struct scan {
    const struct json_plan *plan;
    const char *text;
    size_t len;
    struct json_value *values;
    bool has_space, has_escape, has_wide;
};

/* --- marks ------------------------------------------------------------------------------------ */

/* Inside of strings: each bit is the parity of all quotes up to it. */
SCAN_TARGET static inline uint64_t between_quotes(uint64_t quotes)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)quotes), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* The bytes right behind those of `mask`. */
SCAN_TARGET static inline uint64_t behind(uint64_t mask, uint64_t *carry)
{
    uint64_t moved = mask << 1 | *carry >> 63;
    *carry = mask;
    return moved;
}

/* The same where blanks may lie between: the addition carries a bit through a run of them. */
SCAN_TARGET static inline uint64_t behind_space(uint64_t mask, uint64_t space, uint64_t *carry)
{
    uint64_t moved = mask << 1 | *carry >> 63;
    unsigned long long sum;
    bool over = __builtin_uaddll_overflow(moved & space, space, &sum);
    *carry = mask | (uint64_t)over << 63;
    return (moved | sum) & ~space;
}

static bool escape_is_known(const struct scan *s, size_t at)
{
    static const char known[] = "\"\\/bfnrt";
    if (at >= s->len)
        return false;
    if (s->text[at] != 'u')
        return s->text[at] && strchr(known, s->text[at]);
    if (s->len - at < 5)
        return false;
    for (size_t i = at + 1; i < at + 5; i++) {
        char c = s->text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* The bytes that a backslash escapes. False: an escape that JSON does not know. */
SCAN_TARGET static bool find_escaped(const struct scan *s, size_t base, uint64_t slash,
                                     struct carry *carry, uint64_t *ret)
{
    uint64_t escaped = carry->escaped;
    slash &= ~escaped;
    carry->escaped = 0;
    while (slash) {
        uint64_t bit = slash & -slash;
        if (!escape_is_known(s, base + (size_t)__builtin_ctzll(slash) + 1))
            return false;
        escaped |= bit << 1;
        carry->escaped = bit >> 63;
        slash &= ~(bit | bit << 1);
    }
    *ret = escaped;
    return true;
}

static inline bool ends_word(const struct scan *s, size_t at)
{
    if (at >= s->len)
        return false; /* the text ends in a bracket */
    char c = s->text[at];
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline size_t skip_digits(const struct scan *s, size_t at)
{
    while (at < s->len && (unsigned char)(s->text[at] - '0') < 10)
        at++;
    return at;
}

static bool number_is_sound(const struct scan *s, size_t at)
{
    at += s->text[at] == '-';
    size_t first = at;
    at = skip_digits(s, at);
    if (at == first || (at > first + 1 && s->text[first] == '0'))
        return false;
    if (at < s->len && s->text[at] == '.') {
        first = ++at;
        at = skip_digits(s, at);
        if (at == first)
            return false;
    }
    if (at < s->len && (s->text[at] | 0x20) == 'e') {
        at++;
        at += at < s->len && (s->text[at] == '+' || s->text[at] == '-');
        first = at;
        at = skip_digits(s, at);
        if (at == first)
            return false;
    }
    return ends_word(s, at);
}

/* What begins at `at` and is no string. */
static inline bool word_is_sound(const struct scan *s, size_t at)
{
    const char *text = s->text + at;
    size_t left = s->len - at;
    if (*text == 'n' || *text == 't')
        return left > 4 && !memcmp(text, *text == 'n' ? "null" : "true", 4) && ends_word(s, at + 4);
    if (*text == 'f')
        return left > 5 && !memcmp(text, "false", 5) && ends_word(s, at + 5);
    return number_is_sound(s, at);
}

SCAN_TARGET static inline bool words_are_sound(const struct scan *s, size_t base, uint64_t begins)
{
    for (; begins; begins &= begins - 1) {
        if (!word_is_sound(s, base + (size_t)__builtin_ctzll(begins)))
            return false;
    }
    return true;
}

/* Marks one block; false: there is a fault in it. */
SCAN_TARGET static inline bool mark_block(struct scan *s, struct marks *marks, size_t index,
                                          struct carry *carry)
{
    size_t base = index * 64, left = s->len - base;
    scan_bytes bytes = scan_load(s->text + base, left);
    uint64_t valid = left < 64 ? (UINT64_C(1) << left) - 1 : ~UINT64_C(0);
    uint64_t quote = scan_equal(bytes, '"'), slash = scan_equal(bytes, '\\');
    uint64_t wide = scan_not_ascii(bytes);
    if (slash | carry->escaped) {
        uint64_t escaped;
        if (!find_escaped(s, base, slash, carry, &escaped))
            return false;
        quote &= ~escaped;
        s->has_escape = true;
    }
    uint64_t in = between_quotes(quote) ^ carry->in_string; /* with the opening quote */
    carry->in_string = (uint64_t)((int64_t)in >> 63);
    uint64_t open = quote & in, close = quote & ~in;
    uint64_t outside = ~(in | close) & valid;
    uint64_t fault = (scan_control(bytes) & in) | (slash & outside);
    s->has_wide |= wide != 0;

    struct scan_classes c = scan_classify(bytes, outside & ~wide);
    uint64_t word = outside & ~(c.brace | c.bracket | c.closer | c.colon | c.comma | c.space);
    uint64_t word_moved = word << 1 | carry->word >> 63;
    uint64_t begins = word & ~word_moved, ended = close | c.closer, word_end = word_moved & ~word;
    carry->word = word;

    uint64_t after_brace, after_bracket, after_colon, after_comma, after_value, after_name, name;
    unsigned long long sum;
    if (c.space == 0) {
        after_brace = behind(c.brace, &carry->brace);
        after_bracket = behind(c.bracket, &carry->bracket);
        after_colon = behind(c.colon, &carry->colon);
        after_comma = behind(c.comma, &carry->comma);
        after_value = behind(ended, &carry->ended) | word_end;
    } else {
        s->has_space = true;
        after_brace = behind_space(c.brace, c.space, &carry->brace);
        after_bracket = behind_space(c.bracket, c.space, &carry->bracket);
        after_colon = behind_space(c.colon, c.space, &carry->colon);
        after_comma = behind_space(c.comma, c.space, &carry->comma);
        /* A word's end is known one byte late; seen from there it is like any other end. */
        uint64_t late = word_end & c.space, ignored = 0;
        after_value = behind_space(ended, c.space, &carry->ended) | (word_end & ~c.space);
        uint64_t from_late = behind_space(late, c.space, &ignored);
        carry->ended |= ignored;
        after_value |= from_late;
    }
    /* From the opening quote of a name to its closing one, as an addition. */
    name = open & (after_brace | after_comma);
    bool over = __builtin_uaddll_overflow(in, name, &sum);
    over |= __builtin_uaddll_overflow(sum, carry->named, &sum);
    carry->named = over;
    uint64_t name_end = sum & close;
    after_name = c.space ? behind_space(name_end, c.space, &carry->name_end)
                         : behind(name_end, &carry->name_end);

    uint64_t separators = c.colon | c.comma;
    fault |= (after_colon | after_comma) & (separators | c.closer);
    fault |= after_bracket & separators;
    fault |= after_brace & ~(open | c.closer) & valid;
    fault |= after_value & ~(separators | c.closer) & valid;
    fault |= c.colon & ~after_name;

    marks->quote[index] = quote;
    marks->block[index].bracket = c.brace | c.bracket | c.closer;
    marks->block[index].name = name;
    marks->block[index].colon = c.colon;
    marks->block[index].loose = (after_name & ~c.colon) | (after_comma & ~open);
    return !fault && words_are_sound(s, base, begins);
}

/* --- walk ------------------------------------------------------------------------------------- */

struct scan_frame {
    uint32_t start, node;
    bool is_object;
};

struct scan_walk {
    const struct scan *s;
    const struct marks *marks;
    size_t value_at; /* of a wanted container that begins there, */
    uint32_t value_node;
};

/* The next quote at or behind `at`; there is one. */
SCAN_TARGET static inline size_t next_quote(const struct marks *marks, size_t at)
{
    uint64_t window;
    memcpy(&window, (const char *)marks->quote + at / 8, sizeof window);
    window >>= at % 8;
    if (__builtin_expect(window != 0, 1))
        return at + (size_t)__builtin_ctzll(window);
    size_t block = at / 64;
    uint64_t bits = marks->quote[block] >> at % 64 << at % 64;
    while (!bits)
        bits = marks->quote[++block];
    return block * 64 + (size_t)__builtin_ctzll(bits);
}

static inline size_t scan_skip_space(const struct scan *s, size_t at)
{
    while (at < s->len && (s->text[at] == ' ' || s->text[at] == '\n' || s->text[at] == '\t' ||
                           s->text[at] == '\r'))
        at++;
    return at;
}

SCAN_TARGET static inline void scan_store(const struct scan *s, const uint16_t *slots, size_t count,
                                          const struct json_value *value)
{
    for (size_t i = 0; i < count; i++) {
        if (s->values[slots[i]].type == JSON_TYPE_ABSENT)
            s->values[slots[i]] = *value;
    }
}

/* Its bytes as the trie has them. A name is never the last thing in a text: 8 bytes may be read
 * behind its beginning unless it is near the end. */
SCAN_TARGET static inline uint32_t scan_child(const struct scan *s, const struct json_node *node,
                                              struct slice name)
{
    uint64_t first, last = 0;
    if (name.len > 8) {
        memcpy(&first, name.ptr, 8);
        memcpy(&last, name.ptr + name.len - 8, 8);
    } else if (__builtin_expect((size_t)(s->text + s->len - name.ptr) >= 8, 1)) {
        memcpy(&first, name.ptr, 8);
        first = name.len == 8 ? first : _bzhi_u64(first, (unsigned)name.len * 8);
    } else {
        first = json_name_first(name);
    }
    return json_plan_child(node, name, first, last);
}

/* The member whose name opens at `at`, in an object described by `node`. */
SCAN_TARGET static inline void visit_member(struct scan_walk *w, const struct json_node *node,
                                            size_t at, bool is_first)
{
    const struct scan *s = w->s;
    size_t end = next_quote(w->marks, at + 1);
    struct slice name = {s->text + at + 1, end - at - 1};
    if (__builtin_expect(is_first && node->tag_count, 0)) {
        struct json_value tag = {name, JSON_TYPE_STRING, false};
        tag.escaped = s->has_escape && memchr(name.ptr, '\\', name.len);
        scan_store(s, node->tag_slots, node->tag_count, &tag);
    }
    uint32_t child = scan_child(s, node, name);
    if (child == JSON_NODE_NONE)
        return;
    size_t value_at = end + 2;
    if (__builtin_expect(s->has_space, 0))
        value_at = scan_skip_space(s, scan_skip_space(s, end + 1) + 1);
    if (value_at >= s->len)
        return; /* no colon behind the name: seen at the next bracket */
    char c = s->text[value_at];
    if ((c | 0x20) == '{') {
        w->value_at = value_at;
        w->value_node = child;
        return;
    }
    const struct json_node *wanted = &s->plan->nodes[child];
    if (!wanted->slot_count)
        return;
    struct json_value value = {.type = JSON_TYPE_STRING};
    if (c == '"') {
        size_t close = next_quote(w->marks, value_at + 1);
        value.raw = (struct slice){s->text + value_at + 1, close - value_at - 1};
        value.escaped = s->has_escape && memchr(value.raw.ptr, '\\', value.raw.len);
    } else {
        /* Where the name has no colon, which the next block may have to tell, this is any text. */
        size_t stop = value_at + 1;
        while (stop < s->len && !ends_word(s, stop))
            stop++;
        value.raw = (struct slice){s->text + value_at, stop - value_at};
        value.type = json_word_type(c);
    }
    scan_store(s, wanted->slots, wanted->slot_count, &value);
}

static inline void close_frame(const struct scan *s, const struct scan_frame *frame, size_t at)
{
    if (frame->node == JSON_NODE_NONE)
        return;
    const struct json_node *node = &s->plan->nodes[frame->node];
    struct json_value value = {{s->text + frame->start, at + 1 - frame->start},
                               frame->is_object ? JSON_TYPE_OBJECT : JSON_TYPE_ARRAY,
                               false};
    scan_store(s, node->slots, node->slot_count, &value);
}

/* Brackets match, commas and colons are where they belong, and what is wanted is stored. */
SCAN_TARGET static bool walk_marks(struct scan *s, const struct marks *marks)
{
    struct scan_frame stack[JSON_DEPTH_MAX + 1];
    struct scan_walk w = {s, marks, 0, 0}; /* the text's own value is wanted by node 0 */
    struct scan_frame *top = stack;
    bool is_first = false;
    *top = (struct scan_frame){0, JSON_NODE_NONE, false};
    for (size_t index = 0; index * 64 < s->len; index++) {
        uint64_t bracket = marks->block[index].bracket, name = marks->block[index].name;
        uint64_t colon = marks->block[index].colon, loose = marks->block[index].loose;
        for (;;) {
            /* Up to and with the next bracket, or the block's end. */
            uint64_t run = bracket ^ (bracket - 1);
            if ((top->is_object ? loose : colon) & run)
                return false;
            if (top->is_object && top->node != JSON_NODE_NONE) {
                const struct json_node *node = &s->plan->nodes[top->node];
                for (uint64_t names = name & run; names; names &= names - 1) {
                    visit_member(&w, node, index * 64 + (size_t)__builtin_ctzll(names), is_first);
                    is_first = false;
                }
            }
            if (!bracket)
                break;
            size_t at = index * 64 + (size_t)__builtin_ctzll(bracket);
            bracket &= bracket - 1;
            name &= ~run, colon &= ~run, loose &= ~run;
            char c = s->text[at];
            if ((c | 0x20) == '{') {
                if (top == stack + JSON_DEPTH_MAX)
                    return false;
                uint32_t node = at == w.value_at ? w.value_node : JSON_NODE_NONE;
                *++top = (struct scan_frame){(uint32_t)at, node, c == '{'};
                is_first = true;
                continue;
            }
            if (top == stack || top->is_object != (c == '}'))
                return false;
            close_frame(s, top--, at);
            is_first = false;
            if (top == stack)
                return at + 1 == s->len;
        }
    }
    return false;
}

bool SCAN_NAME(const struct json_plan *plan, struct slice bytes, struct json_value *values);

SCAN_TARGET bool SCAN_NAME(const struct json_plan *plan, struct slice bytes,
                           struct json_value *values)
{
    struct marks marks;
    struct scan s = {.plan = plan, .text = bytes.ptr, .len = bytes.len, .values = values};
    struct carry carry = {0};
    size_t index = 0;
    while (s.len && (s.text[s.len - 1] == '\n' || s.text[s.len - 1] == ' '))
        s.len--;
    if (s.len < 2 || s.len > JSON_SCAN_BYTES_MAX || (s.text[0] | 0x20) != '{' ||
        (s.text[s.len - 1] | 0x20) != '}')
        return false;
    for (; index * 64 < s.len; index++) {
        if (!mark_block(&s, &marks, index, &carry))
            return false;
    }
    if (carry.in_string || carry.escaped)
        return false;
    marks.quote[index] = 0; /* windows may reach behind the last block */
    if (s.has_wide && !utf8_is_sound(s.text, s.len))
        return false;
    if (plan->path_count)
        memset(values, 0, plan->path_count * sizeof *values);
    return walk_marks(&s, &marks);
}
