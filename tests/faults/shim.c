/* A preloaded library that simulates a failing, full or slow disk and a wall clock that jumps. PM_SHIM_CONTROL is the
   file with the current faults, which the test maps too. PM_SHIM_DATABASE is the affected file (with its -wal). Every
   change of these files is recorded in PM_SHIM_JOURNAL in order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING = 0, DATABASE = 1, LOG = 2 };
enum { WRITE = 1, TRUNCATE = 2, SYNC = 3 };

struct control {
    int64_t clock_offset; /* nanoseconds added to the wall clock */
    int32_t fail_sync;    /* 1: fsync fails with EIO */
    int32_t full;         /* 1: a write that makes a file longer fails with ENOSPC */
    int32_t stop_at_sync; /* 1: the next fsync stops the process, once */
    int32_t hold_sync;    /* 1: fsync returns only after this is 0 again */
    int32_t fail_read;    /* more than 0: reads from this byte of the database on fail with ESTALE */
};

struct __attribute__((packed)) record {
    uint32_t kind;
    uint32_t file;
    int64_t offset;
    uint32_t length;
};

static volatile struct control *control;
static struct control calm;
static int journal = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PM_SHIM_CONTROL");
    control = &calm;
    if (path != NULL) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED)
            control = mapped;
        close(file);
    }
    path = getenv("PM_SHIM_JOURNAL");
    if (path != NULL)
        journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int which(int file)
{
    char link[64], path[1024];
    const char *database = getenv("PM_SHIM_DATABASE");
    if (database == NULL)
        return NOTHING;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return NOTHING;
    path[length] = 0;
    size_t stem = strlen(database);
    const char *name = strrchr(database, '/') + 1;
    size_t folder = name - database;
    /* A restore prepares the new database in the same folder, as `.pm.db.restoring-1`. */
    if (strncmp(path, database, folder) == 0 && path[folder] == '.' &&
        strncmp(path + folder + 1, name, strlen(name)) == 0 && strchr(path + folder, '-') != NULL)
        return DATABASE;
    /* A file without a name in the same folder, as /readyz writes one: `#123 (deleted)`. */
    if (strncmp(path, database, folder) == 0 && path[folder] == '#')
        return DATABASE;
    if (strncmp(path, database, stem) != 0)
        return NOTHING;
    if (path[stem] == 0)
        return DATABASE;
    return strcmp(path + stem, "-wal") == 0 ? LOG : NOTHING;
}

static void note(uint32_t kind, int file, int64_t offset, const void *data, uint32_t length)
{
    struct record head = {kind, file, offset, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (journal < 0)
        return;
    pthread_mutex_lock(&order);
    if (writev(journal, parts, data == NULL ? 1 : 2) < 0)
        abort();
    pthread_mutex_unlock(&order);
}

ssize_t pread64(int file, void *data, size_t length, off64_t offset)
{
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "pread64");
    if (control->fail_read && offset >= control->fail_read && which(file) == DATABASE) {
        errno = ESTALE;
        return -1;
    }
    return real(file, data, length, offset);
}

ssize_t pread(int file, void *data, size_t length, off_t offset)
{
    return pread64(file, data, length, offset);
}

/* How Python reads files. A read that begins before the unreadable part ends where that begins. */
ssize_t read(int file, void *data, size_t length)
{
    static ssize_t (*real)(int, void *, size_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "read");
    if (control != NULL && control->fail_read && which(file) == DATABASE) {
        off_t left = control->fail_read - lseek(file, 0, SEEK_CUR);
        if (left <= 0) {
            errno = ESTALE;
            return -1;
        }
        if (length > (size_t)left)
            length = left;
    }
    return real(file, data, length);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "pwrite64");
    int about = which(file);
    struct stat64 now;
    if (about && control->full && fstat64(file, &now) == 0 && offset + (off64_t)length > now.st_size) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t written = real(file, data, length, offset);
    if (about && written > 0)
        note(WRITE, about, offset, data, written);
    return written;
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset)
{
    return pwrite64(file, data, length, offset);
}

int ftruncate64(int file, off64_t length)
{
    static int (*real)(int, off64_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "ftruncate64");
    int result = real(file, length), about = which(file);
    if (about && result == 0)
        note(TRUNCATE, about, length, NULL, 0);
    return result;
}

int ftruncate(int file, off_t length)
{
    return ftruncate64(file, length);
}

static int sync_with(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int about = which(file);
    if (about && control->fail_sync) {
        errno = EIO;
        return -1;
    }
    static int stopped;
    if (about && control->stop_at_sync && !stopped) {
        stopped = 1;
        kill(getpid(), SIGSTOP);
    }
    while (about && control->hold_sync)
        usleep(1000);
    int result = real(file);
    if (about && result == 0)
        note(SYNC, about, 0, NULL, 0);
    return result;
}

int fsync(int file)
{
    return sync_with("fsync", file);
}

int fdatasync(int file)
{
    return sync_with("fdatasync", file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        int64_t shifted = now->tv_sec * INT64_C(1000000000) + now->tv_nsec + control->clock_offset;
        now->tv_sec = shifted / 1000000000;
        now->tv_nsec = shifted % 1000000000;
    }
    return result;
}
