/*
 * number: numbers as text, the shortest that reads back as the same double.
 *
 * Whole numbers below 2^53 are written without an exponent. About 5 ns for whole numbers, 10 to 80
 * ns for decimals of up to 15 digits, about a microsecond for all others (the C library's).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_MAX 32

/* Writes at most NUMBER_TEXT_MAX bytes, no NUL; returns behind the last one. */
char *number_put_u64(char *out, uint64_t value);
char *number_put_double(char *out, double value);
