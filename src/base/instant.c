#include "base/instant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

int64_t instant_now_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int64_t instant_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t instant_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar, by shifting the year to start in March.
 */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool digits(const char *at, size_t count, int64_t *ret)
{
    int64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        value = value * 10 + (at[i] - '0');
    }
    *ret = value;
    return true;
}

static bool parse_zone(struct slice zone, int64_t *ret_offset_s)
{
    if (zone.len == 1 && (zone.ptr[0] == 'Z' || zone.ptr[0] == 'z')) {
        *ret_offset_s = 0;
        return true;
    }
    int64_t hours = 0, minutes = 0;
    if (zone.len != 6 || (zone.ptr[0] != '+' && zone.ptr[0] != '-') || zone.ptr[3] != ':' ||
        !digits(zone.ptr + 1, 2, &hours) || !digits(zone.ptr + 4, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_offset_s = (hours * 3600 + minutes * 60) * (zone.ptr[0] == '-' ? -1 : 1);
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (unsigned)lengths[month - 1] + (month == 2 && leap);
}

/* Without branches, as seven of them follow on each other. */
static inline unsigned two_digits(const char *at, bool *sound)
{
    unsigned tens = (unsigned)(unsigned char)at[0] - '0',
             ones = (unsigned)(unsigned char)at[1] - '0';
    *sound &= (tens < 10) & (ones < 10);
    return tens * 10 + ones;
}

/* How many digits there are; of those, the first nine are nanoseconds. */
static size_t parse_fraction(struct slice text, int64_t *ret_ns)
{
    static const int32_t scales[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                     10000,      1000,      100,      10,      1};
    size_t count = 0, kept;
    int64_t value = 0;
    while (count < text.len && (unsigned char)(text.ptr[count] - '0') < 10) {
        if (count < 9)
            value = value * 10 + (text.ptr[count] - '0');
        count++;
    }
    kept = count < 9 ? count : 9;
    *ret_ns = value * scales[kept];
    return count;
}

bool instant_parse_rfc3339(struct slice text, int64_t *ret_ns)
{
    const char *p = text.ptr;
    int64_t offset_s = 0;
    bool sound = true;
    if (text.len < 20 || p[4] != '-' || p[7] != '-' || p[13] != ':' || p[16] != ':' ||
        (p[10] != 'T' && p[10] != 't' && p[10] != ' '))
        return false;
    unsigned year = two_digits(p, &sound) * 100 + two_digits(p + 2, &sound);
    unsigned month = two_digits(p + 5, &sound), day = two_digits(p + 8, &sound);
    unsigned hour = two_digits(p + 11, &sound), minute = two_digits(p + 14, &sound);
    unsigned second = two_digits(p + 17, &sound);
    if (!sound || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 60)
        return false;

    size_t at = 19;
    int64_t nanos = 0;
    if (p[at] == '.') {
        size_t digits = parse_fraction(slice_from(text, ++at), &nanos);
        if (!digits)
            return false;
        at += digits;
    }
    if (at >= text.len || !parse_zone(slice_from(text, at), &offset_s))
        return false;
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    /* Towards zero first, so that the earliest instants do not overflow on the way. */
    if (seconds < 0 && nanos > 0) {
        seconds++;
        nanos -= NS_PER_SECOND;
    }
    int64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &ns) ||
        __builtin_add_overflow(ns, nanos, &ns))
        return false;
    *ret_ns = ns;
    return true;
}

/* The way back: the day's year, month and day. */
static void civil_from_days(int64_t days, unsigned *ret_year, unsigned *ret_month,
                            unsigned *ret_day)
{
    days += 719468; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *ret_year = (unsigned)(era * 400) + year_of_era + (*ret_month <= 2);
}

static char *put_digits(char *at, unsigned value, size_t count, char behind)
{
    for (size_t i = count; i--; value /= 10)
        at[i] = (char)('0' + value % 10);
    at[count] = behind;
    return at + count + 1;
}

/* By hand, as every event that is written out has one; years are 1677 to 2262. */
size_t instant_format(int64_t ns, char out[static INSTANT_TEXT_MAX])
{
    int64_t seconds = ns / NS_PER_SECOND, nanos = ns % NS_PER_SECOND;
    unsigned year, month, day;
    if (nanos < 0) {
        nanos += NS_PER_SECOND;
        seconds--;
    }
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil_from_days(days, &year, &month, &day);
    char *at = put_digits(out, year, 4, '-');
    at = put_digits(at, month, 2, '-');
    at = put_digits(at, day, 2, 'T');
    at = put_digits(at, (unsigned)(rest / 3600), 2, ':');
    at = put_digits(at, (unsigned)(rest / 60 % 60), 2, ':');
    at = put_digits(at, (unsigned)(rest % 60), 2, '.');
    at = put_digits(at, (unsigned)nanos, 9, 'Z');
    *at = 0;
    return (size_t)(at - out);
}

bool duration_parse(struct slice text, int64_t *ret_ns)
{
    static const struct {
        struct slice suffix;
        double seconds;
    } units[] = {
        {SLICE("ns"), 1e-9}, {SLICE("us"), 1e-6}, {SLICE("ms"), 1e-3}, {SLICE("s"), 1},
        {SLICE("m"), 60},    {SLICE("h"), 3600},  {SLICE("d"), 86400}, {SLICE(""), 1},
    };
    char number[32];
    size_t len = 0;
    while (len < text.len && len < sizeof number - 1 &&
           ((text.ptr[len] >= '0' && text.ptr[len] <= '9') || text.ptr[len] == '.')) {
        number[len] = text.ptr[len];
        len++;
    }
    number[len] = 0;
    char *end = NULL;
    double value = strtod(number, &end);
    if (len == 0 || *end)
        return false;
    struct slice suffix = slice_from(text, len);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!slice_eq(suffix, units[i].suffix))
            continue;
        double ns = value * units[i].seconds * 1e9;
        if (ns > 9e18)
            return false;
        *ret_ns = (int64_t)(ns + 0.5);
        return true;
    }
    return false;
}
