/*
 * process: what /proc says about processes and ports. Linux.
 *
 * A pid alone does not name a process: numbers are used again. A pid and the time of its start
 * (clock ticks since boot, field 22 of /proc/<pid>/stat) do, until the next boot.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"

#define PROCESS_NAME_MAX 32

/* False: no such process, or it is a zombie. */
bool process_start_ticks(pid_t pid, uint64_t *ret_ticks);
bool process_is_alive(pid_t pid, uint64_t start_ticks);

/* Reads one /proc/<pid>/stat line; false when it is not one or the process is a zombie. Pure. */
bool process_stat_parse(struct slice line, uint64_t *ret_ticks);
/* The socket inode of the listener on `port` in the text of /proc/net/tcp or tcp6; 0: none. Pure.
 */
uint64_t process_listener_inode(struct slice table, uint16_t port);

/* Which process listens on the TCP port; false when it cannot be found (another user's, perhaps).
 */
bool process_of_port(uint16_t port, pid_t *ret_pid, char ret_name[static PROCESS_NAME_MAX]);

/* Can a listener be put on address:port (IPv4)? EXIT_CODE_REFUSED with the cause when not. */
int port_check(const char *address, uint16_t port, struct error *err);
/* A free port, or 0. `held` keeps it reserved until the caller closes it. */
uint16_t port_pick(const char *address, int *ret_held);
