/* The index against a list looked through from the start, with keys made to collide. */
#include "unit.h"

#include "base/placemap.h"

enum { PLACES = 300, STEPS = 200000 };

struct model {
    uint64_t keys[PLACES];
    bool there[PLACES];
    size_t count;
};

static uint32_t model_find(const struct model *model, uint64_t key)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (model->there[i] && model->keys[i] == key)
            return i;
    }
    return PLACEMAP_NONE;
}

/* Few homes and few tags, so that runs are long and tags are shared by different keys. */
static uint64_t draw_key(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t bits = *seed >> 33;
    return (bits % 3) << 62 | (bits / 3 % 30) << 20 | (bits / 90 % 6) * 2;
}

static void test_as_the_model_says(void **state)
{
    struct placemap map = {0};
    static struct model model;
    uint64_t seed = 11;
    size_t found = 0, removed = 0;
    (void)state;
    for (int step = 0; step < STEPS; step++) {
        uint64_t key = draw_key(&seed);
        uint32_t want = model_find(&model, key);
        uint32_t have = placemap_get(&map, key, model.keys, sizeof key);
        assert_int_equal(have, want);
        assert_int_equal(map.count, model.count);
        uint32_t place = (uint32_t)(seed >> 40) % PLACES;
        if (want != PLACEMAP_NONE) {
            found++;
            uint32_t elsewhere = (want + 1) % PLACES; /* not there: nothing */
            placemap_remove(&map, key, elsewhere, model.keys, sizeof key);
            assert_int_equal(map.count, model.count);
            if (seed >> 60 < 9) {
                placemap_remove(&map, key, want, model.keys, sizeof key);
                model.there[want] = false;
                model.count--;
                removed++;
            }
        } else if (!model.there[place]) {
            model.keys[place] = key;
            model.there[place] = true;
            model.count++;
            placemap_put(&map, key, place, model.keys, sizeof key);
        }
    }
    assert_true(found > 1000 && removed > 1000 && model.count > 20);
    placemap_done(&map);
    assert_int_equal(placemap_get(&map, 1, model.keys, sizeof(uint64_t)), PLACEMAP_NONE);
}

static void test_the_last_place_is_kept(void **state)
{
    static uint64_t keys[PLACEMAP_PLACES_MAX];
    struct placemap map = {0};
    (void)state;
    for (uint32_t i = 0; i < PLACEMAP_PLACES_MAX; i++) {
        keys[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        placemap_put(&map, keys[i], i, keys, sizeof keys[0]);
    }
    for (uint32_t i = 0; i < PLACEMAP_PLACES_MAX; i++)
        assert_int_equal(placemap_get(&map, keys[i], keys, sizeof keys[0]), i);
    placemap_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_model_says),
        cmocka_unit_test(test_the_last_place_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
