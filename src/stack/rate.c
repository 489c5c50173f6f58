#include "stack/rate.h"

#include <stdlib.h>

#include "base/memory.h"

/* The value of a sample line `name{labels} value [timestamp]`; label values may hold any character.
 */
static bool sample_value(struct slice line, double *ret)
{
    const char *bracket = line.len ? memrchr(line.ptr, '}', line.len) : NULL;
    struct slice rest = bracket ? slice_from(line, (size_t)(bracket + 1 - line.ptr)) : line;
    struct slice number;
    char text[64], *end;
    if (!bracket && !slice_cut(&rest, ' ', &number)) /* the name */
        return false;
    if (!slice_present(rest))
        return false;
    rest = slice_trim(rest);
    if (!slice_cut(&rest, ' ', &number) || number.len == 0 || number.len >= sizeof text)
        return false;
    memcpy(text, number.ptr, number.len);
    text[number.len] = 0;
    *ret = strtod(text, &end);
    return *end == 0;
}

bool metrics_sum(struct slice text, const char *name, double *ret_sum)
{
    struct slice line, prefix = slice_of(name);
    bool found = false;
    double value;
    *ret_sum = 0;
    while (slice_cut(&text, '\n', &line)) {
        if (!slice_starts(line, prefix) || line.len == prefix.len ||
            (line.ptr[prefix.len] != '{' && line.ptr[prefix.len] != ' '))
            continue;
        if (sample_value(line, &value)) {
            *ret_sum += value;
            found = true;
        }
    }
    return found;
}

void rate_update(struct rate *rate, struct slice metrics, int64_t now_ns)
{
    double total;
    if (!metrics_sum(metrics, "cim_events_total", &total)) {
        *rate = (struct rate){0};
        return;
    }
    double seconds = (double)(now_ns - rate->at_ns) / (double)NS_PER_SECOND;
    rate->has_rate = rate->has_total && total >= rate->total && seconds > 0;
    rate->per_second = rate->has_rate ? (total - rate->total) / seconds : 0;
    rate->total = total;
    rate->at_ns = now_ns;
    rate->has_total = true;
}
