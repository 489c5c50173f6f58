/*
 * decimal: JSON numbers by their exact value, as they are written.
 *
 * No rounding and no bounds: 1, 1.0 and 10e-1 are equal, 1e400 is larger than 1e399. Exponents are
 * held at plus or minus 10^15 (a text of that many digits cannot arrive). No allocation.
 */
#pragma once

#include "base/slice.h"

/* Less than, equal to or greater than 0. Both are well-formed JSON numbers. */
int decimal_compare(struct slice a, struct slice b);
bool decimal_is_integer(struct slice number);
/* Equal numbers have equal hashes. */
uint64_t decimal_hash(struct slice number);

/* A divisor: coefficient x 10^exponent. */
struct divisor {
    uint64_t coefficient;
    int64_t exponent;
};
/* False: not greater than 0, or more than 18 significant digits. */
bool divisor_parse(struct slice number, struct divisor *ret);
/* Is the number a whole multiple? Costs one step per digit. */
bool decimal_is_multiple(struct slice number, const struct divisor *divisor);

/* A whole number from 0 to UINT64_MAX / 16 in any spelling (2, 2.0, 2e0). */
bool decimal_to_u64(struct slice number, uint64_t *ret);
