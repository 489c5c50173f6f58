#include "source/reading.h"

#include "base/file.h"
#include "base/memory.h"

#define FILE_BYTES_MAX (4u << 20)
#define LEVEL_SLACK    2 /* points */

int source_file(const char *root, const char *path, struct buf *ret)
{
    CLEANUP_FREE char *whole = xasprintf("%s%s", root, path);
    buf_reset(ret);
    int code = file_bytes(whole, FILE_BYTES_MAX, ret);
    while (ret->len && (ret->ptr[ret->len - 1] == '\n' || ret->ptr[ret->len - 1] == ' '))
        ret->len--;
    return code;
}

bool source_number_file(const char *root, const char *path, int64_t *ret)
{
    CLEANUP_BUF struct buf text = {0};
    uint64_t value;
    if (source_file(root, path, &text) != 0 || !text.len)
        return false;
    bool negative = text.ptr[0] == '-';
    if (!slice_u64(slice_from(buf_slice(&text), negative), &value) || value > INT64_MAX)
        return false;
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

int source_level(double ratio, int before, int low, int high)
{
    double percent = ratio * 100;
    int reached = percent >= high ? high : percent >= low ? low : 0;
    bool clearly = percent < before - LEVEL_SLACK;
    return reached < before && !clearly ? before : reached;
}
