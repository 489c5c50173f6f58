/*
 * Does a text fit a shape (json/shape.h)? Included behind scan_blocks.h, over the same operations.
 *
 * One value and the fixed bytes behind it are compared at once, where both are within 64 bytes and
 * the value is as long as in the learned text. That length is only guessed, and the branch on it
 * predicted, so that the next value does not wait for the end of this one to be found. scan_odd()
 * are those of a string's bytes that no shape can pass over.
 */

/* How many bytes from `at` on are plain, up to the first that is not; `left` when all are. */
SCAN_TARGET static inline size_t plain_length(const char *at, size_t left)
{
    for (size_t done = 0; done < left; done += 64) {
        uint64_t odd = scan_odd(scan_load(at + done, left - done));
        if (odd)
            return done + (size_t)__builtin_ctzll(odd);
    }
    return left;
}

static inline size_t word_length(const char *at, size_t left)
{
    size_t len = 0;
    while (len < left && at[len] != ',' && at[len] != '}' && at[len] != ']' && at[len] != ' ' &&
           at[len] != '\n' && at[len] != '\t' && at[len] != '\r')
        len++;
    return len;
}

/* A value of another length than the learned one; 0: it does not fit, else where the next begins.
 */
SCAN_TARGET static size_t fit_slowly(const struct json_shape *shape,
                                     const struct shape_value *value, struct slice text, size_t at,
                                     size_t *ret_end)
{
    size_t left = text.len - at;
    const char *tail = shape->text + value->at + value->len;
    size_t len;
    if (value->is_word) {
        const struct scan s = {.text = text.ptr, .len = text.len};
        len = word_length(text.ptr + at, left);
        if (!len || text.ptr[at] == 'n' || !word_is_sound(&s, at))
            return 0;
    } else {
        len = plain_length(text.ptr + at, left);
    }
    if (left - len < value->tail || memcmp(text.ptr + at + len, tail, value->tail) != 0)
        return 0;
    *ret_end = at + len;
    return at + len + value->tail;
}

/* The same where the length is not the learned one but the value's end is near: `odd` shows it. */
SCAN_TARGET static inline size_t fit_otherwise(const struct json_shape *shape,
                                               const struct shape_value *value, struct slice text,
                                               size_t at, uint64_t odd, size_t *ret_end)
{
    size_t len = odd ? (size_t)__builtin_ctzll(odd) : 64, left = text.len - at;
    bool zero = value->is_word && (len == 0 || (len > 1 && text.ptr[at] == '0'));
    if (len < 64 && value->tail <= 64 && len + value->tail <= left && !zero) {
        scan_bytes have = scan_load(text.ptr + at + len, left - len);
        scan_bytes want = scan_load(shape->text + value->at + value->len, 64);
        if ((~scan_same(have, want) & _bzhi_u64(~UINT64_C(0), value->tail)) == 0) {
            *ret_end = at + len;
            return at + len + value->tail;
        }
    }
    return fit_slowly(shape, value, text, at, ret_end);
}

bool SCAN_FITS(const struct json_shape *shape, const struct json_plan *plan, struct slice text,
               uint32_t *borders, struct json_value *values);

SCAN_TARGET bool SCAN_FITS(const struct json_shape *shape, const struct json_plan *plan,
                           struct slice text, uint32_t *borders, struct json_value *values)
{
    size_t at = shape->head;
    if (text.len < at || memcmp(text.ptr, shape->text, at) != 0)
        return false;
    borders[0] = 0;
    for (size_t i = 0; i < shape->value_count; i++) {
        const struct shape_value *value = &shape->values[i];
        size_t step = (size_t)value->len + value->tail, left = text.len - at, end;
        if (!left)
            return false;
        borders[2 * i + 1] = (uint32_t)at;
        scan_bytes have = scan_load(text.ptr + at, left);
        scan_bytes want = scan_load(shape->text + value->at, 64);
        uint64_t inside = _bzhi_u64(~UINT64_C(0), value->len);
        uint64_t behind_it = _bzhi_u64(~UINT64_C(0), (unsigned)step) ^ inside;
        uint64_t odd = value->is_word ? scan_no_digit(have) : scan_odd(have);
        uint64_t faults = (~scan_same(have, want) & behind_it) | (odd & inside);
        bool zero = value->is_word && text.ptr[at] == '0' && value->len > 1;
        if (__builtin_expect(step <= 64 && step <= left && faults == 0 && !zero, 1)) {
            end = at + value->len;
            at += step;
        } else {
            at = fit_otherwise(shape, value, text, at, odd, &end);
            if (!at)
                return false;
        }
        borders[2 * i + 2] = (uint32_t)end;
    }
    if (at != text.len)
        return false;
    json_shape_fill(shape, plan, text.ptr, borders, values);
    return true;
}
