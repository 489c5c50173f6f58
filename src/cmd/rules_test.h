/* `cim-ops rules test`: for siblings in src/cmd only. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Runs test files (fold/ruletest.h) and prints TAP, or JSON; returns the exit code. */
int rules_test(char **files, size_t count, const char *output, struct error *err);
