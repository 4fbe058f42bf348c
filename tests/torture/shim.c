/* Makes calls of one C library function fail. LD_PRELOAD this with TORTURE_FAIL=function:errno:nth:times and
   TORTURE_WHO=program's name. At exit, the number of calls of each function is appended to the file TORTURE_COUNT. For
   each call that was made to fail, a line is appended to the file TORTURE_FIRED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIPED_WRITE, PIPED_READ, OPEN, WRITE, PWRITE, READ, PREAD, FSYNC, RENAME, FLOCK, GETRANDOM, MMAP, THREAD, TRUNCATE, UNLINK, MKDIR, FCNTL, CLOSE, CHMOD, PIPE, EVENTS };
static const char *const names[EVENTS] = {"piped_write", "piped_read", "open", "write", "pwrite", "read", "pread", "fsync", "rename", "flock", "getrandom", "mmap",
                                          "thread", "truncate", "unlink", "mkdir", "fcntl", "close", "chmod", "pipe"};
static atomic_long counts[EVENTS];
static int which = -1, code;
static long nth, times = 1;
static int ready, wanted;

static void say(const char *path, const char *text) {
    int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file >= 0) { syscall(SYS_write, file, text, strlen(text)); syscall(SYS_close, file); }
}

__attribute__((constructor)) static void begin(void) {
    const char *who = getenv("TORTURE_WHO"), *fail = getenv("TORTURE_FAIL");
    const char *own = program_invocation_short_name;
    wanted = !who || !*who || strcmp(who, own) == 0;
    char name[32] = "";
    if (fail && sscanf(fail, "%31[^:]:%d:%ld:%ld", name, &code, &nth, &times) >= 3)
        for (int i = 0; i < EVENTS; i++) if (strcmp(name, names[i]) == 0) which = i;
    ready = 1;
}

__attribute__((destructor)) static void finish(void) {
    const char *path = getenv("TORTURE_COUNT");
    if (!path) return;
    char text[1024];
    size_t n = snprintf(text, sizeof text, "%s", program_invocation_short_name);
    for (int i = 0; i < EVENTS; i++) n += snprintf(text + n, sizeof text - n, " %s=%ld", names[i], atomic_load(&counts[i]));
    snprintf(text + n, sizeof text - n, "\n");
    say(path, text);
}

static int fails(int event) {
    if (!ready || !wanted || event < 0) return 0;
    long n = atomic_fetch_add(&counts[event], 1) + 1;
    if (event != which || n < nth || n >= nth + times) return 0;
    const char *path = getenv("TORTURE_FIRED");
    if (path) { char text[64]; snprintf(text, sizeof text, "%s %d %ld\n", names[event], code, n); say(path, text); }
    errno = code;
    return 1;
}

/* Only a regular file can meet a full disk. stdout and stderr, which are files here too, are not attacked. */
static int of(int file, int event, int piped) {
    if (file <= STDERR_FILENO) return -1;
    struct stat meta;
    return fstat(file, &meta) == 0 && S_ISREG(meta.st_mode) ? event : piped;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define WRAP(result, name, event, failed, parameters, arguments) \
    result name parameters { REAL(name); if (fails(event)) return failed; return real arguments; }

#define OPENS(name) int name(const char *path, int flags, ...) { \
    REAL(name); va_list list; va_start(list, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; va_end(list); \
    return fails(OPEN) ? -1 : real(path, flags, mode); }
OPENS(open)
OPENS(open64)
int openat(int folder, const char *path, int flags, ...) {
    REAL(openat); va_list list; va_start(list, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0; va_end(list);
    if (fails(OPEN)) return -1;
    return real(folder, path, flags, mode);
}
int fcntl64(int file, int command, ...) {
    REAL(fcntl64); va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list);
    if (fails(FCNTL)) return -1;
    return real(file, command, argument);
}
WRAP(ssize_t, write, of(file, WRITE, PIPED_WRITE), -1, (int file, const void *data, size_t size), (file, data, size))
WRAP(ssize_t, writev, of(file, WRITE, PIPED_WRITE), -1, (int file, const struct iovec *parts, int n), (file, parts, n))
WRAP(ssize_t, pwrite, PWRITE, -1, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
WRAP(ssize_t, pwrite64, PWRITE, -1, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
WRAP(ssize_t, read, of(file, READ, PIPED_READ), -1, (int file, void *data, size_t size), (file, data, size))
WRAP(ssize_t, pread, PREAD, -1, (int file, void *data, size_t size, off_t at), (file, data, size, at))
WRAP(ssize_t, pread64, PREAD, -1, (int file, void *data, size_t size, off64_t at), (file, data, size, at))
WRAP(int, fsync, FSYNC, -1, (int file), (file))
WRAP(int, fdatasync, FSYNC, -1, (int file), (file))
WRAP(int, rename, RENAME, -1, (const char *from, const char *to), (from, to))
WRAP(int, flock, FLOCK, -1, (int file, int how), (file, how))
WRAP(ssize_t, getrandom, GETRANDOM, -1, (void *data, size_t size, unsigned flags), (data, size, flags))
WRAP(void *, mmap, MMAP, MAP_FAILED, (void *at, size_t size, int how, int flags, int file, off_t from), (at, size, how, flags, file, from))
WRAP(void *, mmap64, MMAP, MAP_FAILED, (void *at, size_t size, int how, int flags, int file, off64_t from), (at, size, how, flags, file, from))
WRAP(int, ftruncate, TRUNCATE, -1, (int file, off_t size), (file, size))
WRAP(int, ftruncate64, TRUNCATE, -1, (int file, off64_t size), (file, size))
WRAP(int, unlink, UNLINK, -1, (const char *path), (path))
WRAP(int, mkdir, MKDIR, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, chmod, CHMOD, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchmod, CHMOD, -1, (int file, mode_t mode), (file, mode))
WRAP(int, pipe2, PIPE, -1, (int files[2], int flags), (files, flags))
WRAP(int, pthread_create, THREAD, code, (pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *with), (thread, how, work, with))
/* The file is closed even when close fails. */
int close(int file) { REAL(close); int failed = fails(CLOSE); int result = real(file); if (failed) { errno = code; return -1; } return result; }
