#include "unit.h"

#include "base/memory.h"
#include "base/u64map.h"

/* A model that cannot be wrong: a list looked through from the start. */
struct pair {
    uint64_t key, value;
};

struct model {
    struct pair pairs[4096];
    size_t count;
};

static struct pair *model_find(struct model *model, uint64_t key)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->pairs[i].key == key)
            return &model->pairs[i];
    }
    return NULL;
}

static void step(struct u64map *map, struct model *model, uint64_t key, uint64_t what)
{
    struct pair *known = model_find(model, key);
    if (what < 5 && (known || model->count < ARRAY_LEN(model->pairs))) {
        bool fresh;
        uint64_t *value = u64map_put(map, key, &fresh);
        assert_true(fresh == !known);
        assert_true(*value == (known ? known->value : 0));
        if (!known)
            known = &model->pairs[model->count++];
        *known = (struct pair){key, ++*value};
    } else if (what < 9) {
        assert_true(u64map_remove(map, key) == (known != NULL));
        if (known)
            *known = model->pairs[--model->count];
    } else {
        uint64_t *value = u64map_get(map, key);
        assert_true((value != NULL) == (known != NULL));
        assert_true(!known || *value == known->value);
    }
}

static void run_model(uint64_t seed, uint64_t keys, uint64_t spread)
{
    struct u64map map = {0};
    struct model *model = xcalloc(1, sizeof *model);
    for (int i = 0; i < 20000; i++) {
        /* Few keys with the same low bits: long runs that wrap around the end of the table. */
        uint64_t key = (1 + random_below(&seed, keys)) * spread - 1;
        step(&map, model, key ? key : 2, random_below(&seed, 10));
        assert_int_equal(map.count, model->count);
    }
    for (size_t i = 0; i < model->count; i++) {
        const uint64_t *value = u64map_get(&map, model->pairs[i].key);
        assert_non_null(value);
        assert_true(*value == model->pairs[i].value);
    }
    u64map_done(&map);
    free(model);
}

static void behaves_like_its_model(void **state)
{
    static const uint64_t spreads[] = {
        1, 3, 16, 1024, UINT64_C(1) << 40, UINT64_C(0x9e3779b97f4a7c15)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spreads); i++) {
        run_model(i + 1, 12, spreads[i]);
        run_model(i + 100, 300, spreads[i]);
    }
}

static void empty_maps_answer(void **state)
{
    struct u64map map = {0};
    (void)state;
    assert_null(u64map_get(&map, 5));
    assert_false(u64map_remove(&map, 5));
    u64map_done(&map);
    u64map_done(&map);
}

static void key_zero_is_a_key(void **state)
{
    struct u64map map = {0};
    bool fresh;
    (void)state;
    *u64map_put(&map, 0, &fresh) = 7;
    assert_true(fresh);
    assert_true(*u64map_get(&map, 0) == 7);
    assert_true(u64map_remove(&map, 0));
    assert_null(u64map_get(&map, 0));
    assert_int_equal(map.count, 0);
    u64map_done(&map);
}

static void at_most_three_quarters_full(void **state)
{
    struct u64map map = {0};
    uint64_t seed = 9;
    (void)state;
    for (int i = 0; i < 10000; i++) {
        bool fresh;
        (void)u64map_put(&map, random_u64(&seed), &fresh);
        assert_true(map.count * 4 <= map.room * 3);
        assert_int_equal(map.room & (map.room - 1), 0);
    }
    u64map_done(&map);
}

/* Growth and removal, again and again, must not leave anything behind that makes it grow. */
static void churn_does_not_grow(void **state)
{
    struct u64map map = {0};
    uint64_t add = 5, drop = 5;
    (void)state;
    for (int i = 0; i < 100; i++) {
        bool fresh;
        (void)u64map_put(&map, random_u64(&add), &fresh);
    }
    size_t room = map.room;
    for (int i = 0; i < 100000; i++) {
        bool fresh;
        assert_true(u64map_remove(&map, random_u64(&drop)));
        (void)u64map_put(&map, random_u64(&add), &fresh);
        assert_true(fresh);
    }
    assert_int_equal(map.count, 100);
    assert_int_equal(map.room, room);
    u64map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_its_model), cmocka_unit_test(empty_maps_answer),
        cmocka_unit_test(key_zero_is_a_key),      cmocka_unit_test(at_most_three_quarters_full),
        cmocka_unit_test(churn_does_not_grow),
    };
    return cmocka_run_group_tests_name("u64map", tests, NULL, NULL);
}
