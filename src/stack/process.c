#include "stack/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/memory.h"

#define PROC_TABLE_MAX  (16u << 20)
#define PORT_PICK_FIRST 12000
#define PORT_PICK_TRIES 200

bool process_stat_parse(struct slice line, uint64_t *ret_ticks)
{
    /* pid (name) state ppid ...: the name may hold spaces and brackets, so begin behind the last
     * one. */
    const char *bracket = line.len ? memrchr(line.ptr, ')', line.len) : NULL;
    if (!bracket)
        return false;
    struct slice rest = slice_trim(slice_from(line, (size_t)(bracket + 1 - line.ptr))), field;
    for (int number = 3; slice_cut(&rest, ' ', &field); number++) {
        if (number == 3 && (slice_eq(field, SLICE("Z")) || slice_eq(field, SLICE("X"))))
            return false;
        if (number != 22)
            continue;
        CLEANUP_FREE char *text = xstrndup(field.ptr, field.len);
        char *end = NULL;
        *ret_ticks = strtoull(text, &end, 10);
        return end != text && (!*end || *end == '\n');
    }
    return false;
}

bool process_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
    CLEANUP_BUF struct buf text = {0};
    return pid > 0 && file_read(path, 65536, &text, NULL) == 0 &&
           process_stat_parse(buf_slice(&text), ret_ticks);
}

bool process_is_alive(pid_t pid, uint64_t start_ticks)
{
    uint64_t ticks;
    return process_start_ticks(pid, &ticks) && ticks == start_ticks;
}

static bool field_number(struct slice field, int base, uint64_t *ret)
{
    char text[32], *end;
    if (field.len == 0 || field.len >= sizeof text)
        return false;
    memcpy(text, field.ptr, field.len);
    text[field.len] = 0;
    *ret = strtoull(text, &end, base);
    return *end == 0;
}

/* "  1: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 55555 ..." */
static bool listener_line(struct slice line, uint16_t port, uint64_t *ret_inode)
{
    enum { LOCAL = 1, STATE = 3, INODE = 9, FIELDS };
    struct slice fields[FIELDS] = {0}, field;
    size_t count = 0;
    while (count < FIELDS && slice_cut(&line, ' ', &field)) {
        if (field.len)
            fields[count++] = field;
    }
    uint64_t local_port, state;
    struct slice address;
    return count == FIELDS && slice_cut(&fields[LOCAL], ':', &address) &&
           field_number(fields[LOCAL], 16, &local_port) &&
           field_number(fields[STATE], 16, &state) && field_number(fields[INODE], 10, ret_inode) &&
           state == TCP_LISTEN && local_port == port;
}

uint64_t process_listener_inode(struct slice table, uint16_t port)
{
    struct slice line;
    uint64_t inode;
    while (slice_cut(&table, '\n', &line)) {
        if (listener_line(line, port, &inode))
            return inode;
    }
    return 0;
}

static bool holds_socket(const char *pid, const char *wanted)
{
    CLEANUP_FREE char *folder = xasprintf("/proc/%s/fd", pid);
    DIR *dir = opendir(folder);
    bool found = false;
    struct dirent *entry;
    while (dir && !found && (entry = readdir(dir)) != NULL) {
        char target[64];
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = 0;
        found = strcmp(target, wanted) == 0;
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

static void read_name(const char *pid, char name[static PROCESS_NAME_MAX])
{
    CLEANUP_FREE char *path = xasprintf("/proc/%s/comm", pid);
    CLEANUP_BUF struct buf text = {0};
    (void)file_read(path, 4096, &text, NULL);
    (void)snprintf(name, PROCESS_NAME_MAX, "%.*s", (int)strcspn(buf_cstr(&text), "\n"), text.ptr);
}

bool process_of_port(uint16_t port, pid_t *ret_pid, char ret_name[static PROCESS_NAME_MAX])
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    uint64_t inode = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables) && !inode; i++) {
        CLEANUP_BUF struct buf text = {0};
        if (file_read(tables[i], PROC_TABLE_MAX, &text, NULL) == 0)
            inode = process_listener_inode(buf_slice(&text), port);
    }
    DIR *dir = inode ? opendir("/proc") : NULL;
    if (!dir)
        return false;
    CLEANUP_FREE char *wanted = xasprintf("socket:[%llu]", (unsigned long long)inode);
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
            !holds_socket(entry->d_name, wanted))
            continue;
        *ret_pid = (pid_t)strtol(entry->d_name, NULL, 10);
        read_name(entry->d_name, ret_name);
        found = true;
    }
    (void)closedir(dir);
    return found;
}

/* A listening socket, or -1 with errno set. */
static int listen_on(const char *address, uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof name;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* As the servers do it: connections of a listener that is gone do not count. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errno = EADDRNOTAVAIL;
    else if (bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, 1) == 0 &&
             getsockname(fd, (struct sockaddr *)&name, &len) == 0) {
        *ret_port = ntohs(name.sin_port);
        return fd;
    }
    int cause = errno;
    (void)close(fd);
    errno = cause;
    return -1;
}

int port_check(const char *address, uint16_t port, struct error *err)
{
    uint16_t bound;
    int fd = listen_on(address, port, &bound);
    if (fd >= 0) {
        (void)close(fd);
        return 0;
    }
    if (errno != EADDRINUSE)
        return error_set(err, EXIT_CODE_REFUSED, "port %u on %s: %s", port, address,
                         strerror(errno));
    pid_t pid;
    char name[PROCESS_NAME_MAX];
    if (process_of_port(port, &pid, name))
        return error_set(err, EXIT_CODE_REFUSED, "port %u on %s is taken by %s (pid %d)", port,
                         address, name, (int)pid);
    return error_set(err, EXIT_CODE_REFUSED,
                     "port %u on %s is taken by a process that this user "
                     "may not see",
                     port, address);
}

/* The first port that the kernel gives to outgoing connections. */
static uint16_t first_outgoing_port(void)
{
    CLEANUP_BUF struct buf text = {0};
    (void)file_read("/proc/sys/net/ipv4/ip_local_port_range", 4096, &text, NULL);
    unsigned long first = strtoul(buf_cstr(&text), NULL, 10);
    return first > PORT_PICK_FIRST && first < 65536 ? (uint16_t)first : 32768;
}

/*
 * From below the range of outgoing connections: in it, a client that keeps trying to reach its dead
 * server's port can end up connected to itself, and the server cannot come back.
 */
uint16_t port_pick(const char *address, int *ret_held)
{
    uint32_t room = first_outgoing_port() - PORT_PICK_FIRST;
    uint16_t port = 0;
    *ret_held = -1;
    for (int i = 0; i < PORT_PICK_TRIES && *ret_held < 0; i++)
        *ret_held =
            listen_on(address, (uint16_t)(PORT_PICK_FIRST + arc4random_uniform(room)), &port);
    return *ret_held < 0 ? 0 : port;
}
