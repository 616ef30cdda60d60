/* Stands between a process and the C library, at every call that changes a file system.
 *
 * Loaded by LD_PRELOAD, it does nothing until it is armed. Then it counts the calls that change
 * something below one directory, and at the call of a given number it ends the process, before
 * it, after it, or in the middle of a write; or it has the call fail. It can write down what the
 * calls did, with all that was written, so that a disk can be played back.
 *
 * Ways to copy within the kernel are refused, for their bytes do not pass here: whoever asks for
 * them must be able to do without.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { COUNT, KILL_BEFORE, KILL_AFTER, KILL_WITHIN, FAIL, FAIL_FROM_HERE_ON };

static char root[PATH_MAX];
static size_t root_length;
static pid_t armed;
static long wanted, calls, current;
static enum action action;
static int refusal, fired, skips_syncs, log_file = -1;
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define EXPORT __attribute__((visibility("default")))

/* What the test says */

EXPORT void shim_watch(const char *directory, int without_syncs) {
    snprintf(root, sizeof root, "%s", directory);
    root_length = strlen(root);
    skips_syncs = without_syncs;
}

EXPORT void shim_arm(long position, int what, int error, int log) {
    wanted = position, action = what, refusal = error, log_file = log;
    calls = fired = 0;
    armed = getpid();
}

EXPORT void shim_disarm(void) { armed = 0; }
EXPORT long shim_calls(void) { return calls; }
EXPORT int shim_fired(void) { return fired; }

/* Whether a call counts */

static int is_below(const char *path) {
    if (!root_length || strncmp(path, root, root_length)) return 0;
    return path[root_length] == '/' || !path[root_length];
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* The absolute path, its last part not followed; whether it is below the directory. */
static int path_at(int folder, const char *path, char *absolute) {
    char base[PATH_MAX] = "", joined[2 * PATH_MAX], real[PATH_MAX];
    int saved = errno;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) base[0] = 0;
        } else {
            path_of(folder, base);
        }
    }
    snprintf(joined, sizeof joined, "%s%s%s", base, base[0] ? "/" : "", path);
    size_t length = strlen(joined);
    while (length > 1 && joined[length - 1] == '/') joined[--length] = 0;
    char *name = strrchr(joined, '/');
    if (name && name != joined) {
        *name = 0;
        if (realpath(joined, real)) snprintf(absolute, PATH_MAX, "%.2000s/%.2000s", real, name + 1);
        else snprintf(absolute, PATH_MAX, "%.2000s/%.2000s", joined, name + 1);
    } else {
        snprintf(absolute, PATH_MAX, "%.4000s", joined);
    }
    errno = saved;
    return is_below(absolute);
}

static int is_armed(void) { return armed && armed == getpid(); }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* What happens at the call: 0, or the error that it gets. */
static int enter(int takes_space) {
    pthread_mutex_lock(&mutex);
    current = calls++;
    int is_here = current == wanted;
    if (is_here && action == KILL_BEFORE) die();
    if (action == FAIL_FROM_HERE_ON && current >= wanted && takes_space) is_here = 1;
    else if (action != FAIL) is_here = 0;
    if (is_here) fired = 1;
    return is_here ? refusal : 0;
}

static void leave(void) {
    if (current == wanted && action == KILL_AFTER) die();
    pthread_mutex_unlock(&mutex);
}

static void put(const void *data, size_t length) {
    REAL(write);
    const char *bytes = data;
    while (length) {
        ssize_t done = real(log_file, bytes, length);
        if (done <= 0) die();
        bytes += done, length -= done;
    }
}

/* A line of the log: what, two numbers, the lengths of what follows; then two texts and bytes. */
static void note(const char *what, long one, long two, const char *path, const char *other,
                 const void *data, size_t length) {
    char line[256];
    if (log_file < 0) return;
    int n = snprintf(line, sizeof line, "%ld %s %ld %ld %zu %zu %zu\n", current, what, one, two,
                     strlen(path), strlen(other), length);
    put(line, n), put(path, strlen(path)), put(other, strlen(other)), put(data, length);
}

static long inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : (long)status.st_ino;
}

#define COUNTED(takes_space, failure, call, noted) do {        \
        int refused = enter(takes_space);                      \
        if (refused) {                                         \
            pthread_mutex_unlock(&mutex);                      \
            errno = refused;                                   \
            return failure;                                    \
        }                                                      \
        __typeof__(call) result = (call);                      \
        int saved = errno;                                     \
        if (result != (__typeof__(result))-1) { noted; }       \
        leave();                                               \
        errno = saved;                                         \
        return result;                                         \
    } while (0)

/* Opening */

static int opened(int (*real)(int, const char *, int, ...), int folder, const char *path,
                  int flags, mode_t mode) {
    char at[PATH_MAX];
    struct stat status;
    int creates = flags & O_CREAT, cuts = flags & O_TRUNC;
    if (!is_armed() || (flags & O_TMPFILE) == O_TMPFILE || !(creates || cuts)
        || !path_at(folder, path, at))
        return real(folder, path, flags, mode);
    int is_there = !lstat(at, &status);
    if (is_there && !cuts) return real(folder, path, flags, mode);
    COUNTED(1, -1, real(folder, path, flags, mode), {
        if (!is_there) note("create", inode_of(result), mode, at, "", "", 0);
        else note("resize", inode_of(result), 0, at, "", "", 0);
    });
}

#define OPENING(name)                                                              \
    EXPORT int name(const char *path, int flags, ...) {                            \
        static int (*real)(int, const char *, int, ...);                           \
        if (!real) real = dlsym(RTLD_NEXT, "openat");                              \
        va_list rest; va_start(rest, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;    \
        va_end(rest);                                                              \
        return opened(real, AT_FDCWD, path, flags, mode);                          \
    }
#define OPENING_AT(name)                                                           \
    EXPORT int name(int folder, const char *path, int flags, ...) {                \
        static int (*real)(int, const char *, int, ...);                           \
        if (!real) real = dlsym(RTLD_NEXT, "openat");                              \
        va_list rest; va_start(rest, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;    \
        va_end(rest);                                                              \
        return opened(real, folder, path, flags, mode);                            \
    }
OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)
EXPORT int creat(const char *path, mode_t mode) {
    return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* Writing */

static long offset_of(int fd) {
    struct stat status;
    if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &status) ? 0 : (long)status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static ssize_t gather(const struct iovec *parts, int count, char **data) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    char *to = *data = malloc(length + 1);
    for (int i = 0; i < count; to += parts[i++].iov_len)
        memcpy(to, parts[i].iov_base, parts[i].iov_len);
    return length;
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset, int is_placed) {
    static ssize_t (*real_write)(int, const void *, size_t);
    static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
    if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
    if (!real_pwrite) real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    char at[PATH_MAX];
#define WRITE(n) (is_placed ? real_pwrite(fd, data, n, offset) : real_write(fd, data, n))
    if (!is_armed() || !path_of(fd, at)) return WRITE(length);
    long from = is_placed ? offset : offset_of(fd);
    if (calls == wanted && action == KILL_WITHIN) {
        WRITE(length / 2);
        die();
    }
    COUNTED(1, -1, WRITE(length), {
        note("write", inode_of(fd), from, at, "", data, result);
        if (fcntl(fd, F_GETFL) & O_DSYNC) note("sync", inode_of(fd), 0, at, "", "", 0);
    });
}

EXPORT ssize_t write(int fd, const void *data, size_t length) {
    return written(fd, data, length, 0, 0);
}
EXPORT ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return written(fd, data, length, offset, 1);
}
EXPORT ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    return written(fd, data, length, offset, 1);
}
static ssize_t written_parts(int fd, const struct iovec *parts, int count, off_t at, int placed) {
    char *data;
    ssize_t length = gather(parts, count, &data), done = written(fd, data, length, at, placed);
    free(data);
    return done;
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
    return written_parts(fd, parts, count, 0, 0);
}
EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return written_parts(fd, parts, count, offset, 1);
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    return written_parts(fd, parts, count, offset, 1);
}

/* Sizes */

#define RESIZING(name)                                                                   \
    EXPORT int name(int fd, off_t size) {                                                \
        REAL(name);                                                                      \
        char at[PATH_MAX];                                                               \
        if (!is_armed() || !path_of(fd, at)) return real(fd, size);                      \
        COUNTED(1, -1, real(fd, size), note("resize", inode_of(fd), size, at, "", "", 0)); \
    }
RESIZING(ftruncate)
RESIZING(ftruncate64)

static int cut(int (*real)(const char *, off_t), const char *path, off_t size) {
    char at[PATH_MAX];
    struct stat status;
    if (!is_armed() || !path_at(AT_FDCWD, path, at)) return real(path, size);
    COUNTED(1, -1, real(path, size),
            note("resize", stat(at, &status) ? 0 : (long)status.st_ino, size, at, "", "", 0));
}
EXPORT int truncate(const char *path, off_t size) { REAL(truncate); return cut(real, path, size); }
EXPORT int truncate64(const char *path, off_t size) { REAL(truncate); return cut(real, path, size); }

static int reserved(int fd, off_t offset, off_t length) {
    static int (*real)(int, off_t, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "posix_fallocate");
    char at[PATH_MAX];
    struct stat status;
    if (!is_armed() || !path_of(fd, at)) return real(fd, offset, length);
    int refused = enter(1);
    if (refused) {
        pthread_mutex_unlock(&mutex);
        return refused;
    }
    int error = real(fd, offset, length);
    if (!error && !fstat(fd, &status)) note("resize", status.st_ino, status.st_size, at, "", "", 0);
    leave();
    return error;
}
EXPORT int posix_fallocate(int fd, off_t offset, off_t n) { return reserved(fd, offset, n); }
EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t n) { return reserved(fd, offset, n); }
EXPORT int fallocate(int fd, int mode, off_t offset, off_t length) {
    int error = mode ? EOPNOTSUPP : reserved(fd, offset, length);
    errno = error ? error : errno;
    return error ? -1 : 0;
}

/* Flushing */

#define SYNCING(name)                                                              \
    EXPORT int name(int fd) {                                                      \
        REAL(name);                                                                \
        char at[PATH_MAX];                                                         \
        if (!root_length || !path_of(fd, at)) return real(fd);                     \
        if (!is_armed()) return skips_syncs ? 0 : real(fd);                        \
        COUNTED(0, -1, skips_syncs ? 0 : real(fd),                                 \
                note("sync", inode_of(fd), 0, at, "", "", 0));                     \
    }
SYNCING(fsync)
SYNCING(fdatasync)

EXPORT int msync(void *start, size_t length, int flags) {
    REAL(msync);
    if (!is_armed()) return real(start, length, flags);
    COUNTED(0, -1, real(start, length, flags), note("map", 0, 0, "", "", "", 0));
}

/* Names */

static int renamed(int from, const char *old, int to, const char *new, unsigned flags) {
    REAL(renameat2);
    char at[PATH_MAX], other[PATH_MAX];
    if (!is_armed() || (!path_at(from, old, at) & !path_at(to, new, other)))
        return real(from, old, to, new, flags);
    COUNTED(1, -1, real(from, old, to, new, flags), note("rename", 0, 0, at, other, "", 0));
}
EXPORT int rename(const char *old, const char *new) {
    return renamed(AT_FDCWD, old, AT_FDCWD, new, 0);
}
EXPORT int renameat(int from, const char *old, int to, const char *new) {
    return renamed(from, old, to, new, 0);
}
EXPORT int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    return renamed(from, old, to, new, flags);
}

EXPORT int linkat(int from, const char *old, int to, const char *new, int flags) {
    REAL(linkat);
    char at[PATH_MAX], other[PATH_MAX];
    if (!is_armed() || (!path_at(from, old, at) & !path_at(to, new, other)))
        return real(from, old, to, new, flags);
    COUNTED(1, -1, real(from, old, to, new, flags), note("link", 0, 0, at, other, "", 0));
}
EXPORT int link(const char *old, const char *new) {
    return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}
EXPORT int symlinkat(const char *target, int folder, const char *path) {
    REAL(symlinkat);
    char at[PATH_MAX];
    if (!is_armed() || !path_at(folder, path, at)) return real(target, folder, path);
    COUNTED(1, -1, real(target, folder, path), note("symlink", 0, 0, at, target, "", 0));
}
EXPORT int symlink(const char *target, const char *path) {
    return symlinkat(target, AT_FDCWD, path);
}
EXPORT int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    char at[PATH_MAX];
    if (!is_armed() || !path_at(folder, path, at)) return real(folder, path, flags);
    COUNTED(0, -1, real(folder, path, flags), note("remove", 0, 0, at, "", "", 0));
}
EXPORT int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
EXPORT int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
EXPORT int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    char at[PATH_MAX];
    if (!is_armed() || !path_at(folder, path, at)) return real(folder, path, mode);
    COUNTED(1, -1, real(folder, path, mode), note("mkdir", mode, 0, at, "", "", 0));
}
EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Permissions */

EXPORT int fchmod(int fd, mode_t mode) {
    REAL(fchmod);
    char at[PATH_MAX];
    if (!is_armed() || !path_of(fd, at)) return real(fd, mode);
    COUNTED(0, -1, real(fd, mode), note("chmod", inode_of(fd), mode, at, "", "", 0));
}
EXPORT int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    REAL(fchmodat);
    char at[PATH_MAX];
    struct stat status;
    if (!is_armed() || !path_at(folder, path, at)) return real(folder, path, mode, flags);
    COUNTED(0, -1, real(folder, path, mode, flags),
            note("chmod", stat(at, &status) ? 0 : (long)status.st_ino, mode, at, "", "", 0));
}
EXPORT int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }

/* What would copy without passing here */

EXPORT ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t length,
                               unsigned flags) {
    REAL(copy_file_range);
    if (!is_armed()) return real(from, at, to, there, length, flags);
    errno = ENOSYS;
    return -1;
}
static ssize_t sent(ssize_t (*real)(int, int, off_t *, size_t), int to, int from, off_t *at,
                    size_t length) {
    if (!is_armed()) return real(to, from, at, length);
    errno = ENOTSOCK;
    return -1;
}
EXPORT ssize_t sendfile(int to, int from, off_t *at, size_t n) {
    REAL(sendfile);
    return sent(real, to, from, at, n);
}
EXPORT ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
    REAL(sendfile);
    return sent(real, to, from, at, n);
}
EXPORT int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    va_list rest; va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (request == 0x40049409 && is_armed()) { /* FICLONE */
        errno = EOPNOTSUPP;
        return -1;
    }
    return real(fd, request, argument);
}
