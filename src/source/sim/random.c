#include "source/sim/random.h"

static uint64_t rotate_left(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

uint64_t rng_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = rng_mix(seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rng_next(rng) * bound) >> 64);
}

bool rng_chance(struct rng *rng, double share)
{
    return (double)(rng_next(rng) >> 11) * 0x1.0p-53 < share;
}

static void put_word(uint8_t *at, uint64_t word)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(word >> (56 - 8 * i));
}

static struct uuid with_version(uint64_t high, uint64_t low, unsigned version)
{
    struct uuid id;
    put_word(id.bytes, high);
    put_word(id.bytes + 8, low);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0fu) | version << 4);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3fu) | 0x80u);
    return id;
}

struct uuid uuid_v4(uint64_t high, uint64_t low)
{
    return with_version(high, low, 4);
}

struct uuid uuid_v7(int64_t at_ns, uint64_t high, uint64_t low)
{
    uint64_t ms = (uint64_t)(at_ns / 1000000);
    return with_version(ms << 16 | (high & 0xffff), low, 7);
}

void uuid_format(const struct uuid *id, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[id->bytes[i] >> 4];
        *out++ = hex[id->bytes[i] & 15];
    }
}
