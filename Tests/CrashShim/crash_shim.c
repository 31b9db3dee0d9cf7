#define _GNU_SOURCE
#include "crash_shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* libc's own functions, looked up once; this library calls only these. */
static int (*libc_open)(const char *, int, ...);
static int (*libc_openat)(int, const char *, int, ...);
static int (*libc_close)(int);
static ssize_t (*libc_write)(int, const void *, size_t);
static ssize_t (*libc_pwrite)(int, const void *, size_t, off_t);
static int (*libc_ftruncate)(int, off_t);
static int (*libc_fsync)(int);
static int (*libc_fdatasync)(int);
static int (*libc_unlink)(const char *);
static int (*libc_unlinkat)(int, const char *, int);
static int (*libc_rename)(const char *, const char *);
static int (*libc_renameat2)(int, const char *, int, const char *, unsigned);
static int (*libc_mkdir)(const char *, mode_t);
static int (*libc_linkat)(int, const char *, int, const char *, int);

enum how { before, middle, after, cut, torn, failed_sync };

static struct {
    const char *root;
    size_t root_length;
    long at;
    enum how how;
    const char *image;
    const char *note;
    uint64_t random;
} orders;

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Held during a counted call and the update of the model, so that calls are ordered. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls, syncs;

static void fail(const char *what) {
    fprintf(stderr, "crash shim: %s: %s\n", what, strerror(errno));
    abort();
}

static void *grown(void *array, size_t count, size_t size) {
    /* The capacity doubles at every power of two. */
    if (count & (count - 1)) return array;
    array = realloc(array, (count ? 2 * count : 1) * size);
    if (!array) fail("realloc");
    return array;
}

/* SplitMix64, as in Tests/Support. */
static uint64_t draw(void) {
    uint64_t mixed = orders.random += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

/* ---- The disk: files with their synced content, and names ---- */

/* A change of a file's content that is not synced yet. */
struct change {
    /* NULL for a new length. */
    unsigned char *bytes;
    off_t offset;
    size_t count;
};

struct file {
    dev_t device;
    ino_t inode;
    int is_directory;
    mode_t mode;
    /* An unnamed file with the synced content. */
    int synced;
    /* Whether it existed when the program started and was never opened for writing: then the image has the same file,
       with its inode and its times. The name under which it is kept when its last name is removed. */
    int is_original;
    char *kept;
    struct change *changes;
    size_t change_count;
};

struct name {
    char *path;
    size_t file;
    /* Whether the running program sees it, and whether it is on disk. */
    int is_live, is_synced;
    /* The number, from 1, of the name that a rename changed with this one: both changes are on disk or neither. */
    size_t partner;
    /* Once drawn: 1 what is synced, 2 what is live. */
    int fate;
};

static struct file *files;
static size_t file_count;
static struct name *names;
static size_t name_count;

static int models_disk(void) { return orders.how == cut || orders.how == torn || orders.how == failed_sync; }

static size_t file_of(const struct stat *facts) {
    for (size_t i = file_count; i-- > 0;)
        if (files[i].device == facts->st_dev && files[i].inode == facts->st_ino) return i;
    files = grown(files, file_count, sizeof *files);
    struct file file = {.device = facts->st_dev, .inode = facts->st_ino, .mode = facts->st_mode & 07777};
    file.is_directory = S_ISDIR(facts->st_mode);
    file.synced = file.is_directory ? -1 : memfd_create("synced", MFD_CLOEXEC);
    if (!file.is_directory && file.synced < 0) fail("memfd_create");
    files[file_count] = file;
    return file_count++;
}

/* The pointer is valid until the next new file. */
static struct file *entry_of(const struct stat *facts) {
    size_t number = file_of(facts);
    return &files[number];
}

static void copy(int from, int to) {
    char block[1 << 16];
    off_t offset = 0;
    for (;;) {
        ssize_t got = pread(from, block, sizeof block, offset);
        if (got < 0) fail("pread");
        if (got == 0) return;
        if (libc_pwrite(to, block, (size_t)got, offset) != got) fail("pwrite");
        offset += got;
    }
}

static void add_name(const char *path, size_t file, int is_synced) {
    for (size_t i = 0; i < name_count; i++) {
        if (!strcmp(names[i].path, path) && names[i].file == file) {
            names[i].is_live = 1;
            names[i].is_synced |= is_synced;
            return;
        }
    }
    names = grown(names, name_count, sizeof *names);
    char *kept = strdup(path);
    if (!kept) fail("strdup");
    names[name_count++] = (struct name){.path = kept, .file = file, .is_live = 1, .is_synced = is_synced};
}

/* The live name, or the last one that was; 0 if there is none. */
static size_t number_of(const char *path, int is_live) {
    for (size_t i = name_count; i-- > 0;)
        if (names[i].is_live == is_live && !strcmp(names[i].path, path)) return i + 1;
    return 0;
}

/* A new file may reuse the inode number of a removed one. */
static void forget_inode(const struct stat *facts) {
    for (size_t i = 0; i < file_count; i++)
        if (files[i].device == facts->st_dev && files[i].inode == facts->st_ino) files[i].inode = 0;
}

/* A new name of a new file. */
static void note_made(const char *path) {
    struct stat facts;
    if (!models_disk() || lstat(path, &facts)) return;
    forget_inode(&facts);
    add_name(path, file_of(&facts), 0);
}

/* A new file without a name. */
static void note_unnamed(int descriptor) {
    struct stat facts;
    if (models_disk() && !fstat(descriptor, &facts)) forget_inode(&facts);
}

/* A new name of a file that exists. */
static void note_linked(const char *path) {
    struct stat facts;
    if (models_disk() && !lstat(path, &facts)) add_name(path, file_of(&facts), 0);
}

static void note_removed(const char *path) {
    for (size_t i = 0; i < name_count; i++)
        if (!strcmp(names[i].path, path)) names[i].is_live = 0;
}

static void note_opened(const char *path, int flags) {
    struct stat facts;
    if (!models_disk() || (flags & O_ACCMODE) == O_RDONLY || lstat(path, &facts)) return;
    entry_of(&facts)->is_original = 0;
}

/* A file that is about to lose a name. */
static void note_leaving(const char *path) {
    struct stat facts;
    if (!models_disk() || lstat(path, &facts)) return;
    struct file *file = entry_of(&facts);
    if (!file->is_original || file->kept) return;
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s.kept-%td", orders.image, file - files);
    libc_unlink(kept);
    if (link(path, kept)) fail(kept);
    file->kept = strdup(kept);
}

static void note_change(int descriptor, const void *bytes, size_t count, off_t offset) {
    struct stat facts;
    if (!models_disk() || fstat(descriptor, &facts)) return;
    struct file *file = entry_of(&facts);
    file->changes = grown(file->changes, file->change_count, sizeof *file->changes);
    struct change change = {NULL, offset, count};
    if (bytes) {
        change.bytes = malloc(count ? count : 1);
        if (!change.bytes) fail("malloc");
        memcpy(change.bytes, bytes, count);
    }
    file->changes[file->change_count++] = change;
}

static void apply(struct file *file, const struct change *change, size_t start, size_t end) {
    if (!change->bytes) {
        if (libc_ftruncate(file->synced, change->offset)) fail("ftruncate");
    } else if (libc_pwrite(file->synced, change->bytes + start, end - start, change->offset + (off_t)start)
               != (ssize_t)(end - start)) {
        fail("pwrite");
    }
}

static size_t parent_length(const char *path) { return (size_t)(strrchr(path, '/') - path); }

/* Writes what changed the file since its last sync, or drops it, because the sync has failed. */
static void settle(struct file *file, int is_written) {
    for (size_t i = 0; i < file->change_count; i++) {
        if (is_written) apply(file, &file->changes[i], 0, file->changes[i].count);
        free(file->changes[i].bytes);
    }
    file->change_count = 0;
}

static void note_failed_sync(int descriptor) {
    struct stat facts;
    if (!fstat(descriptor, &facts)) settle(entry_of(&facts), 0);
}

static void note_synced(int descriptor) {
    struct stat facts;
    if (!models_disk() || fstat(descriptor, &facts)) return;
    struct file *file = entry_of(&facts);
    settle(file, 1);
    if (!file->is_directory) return;
    char path[PATH_MAX], link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) fail("readlink");
    for (size_t i = 0; i < name_count; i++)
        if (parent_length(names[i].path) == (size_t)length && !strncmp(names[i].path, path, (size_t)length))
            names[i].is_synced = names[i].is_live;
}

/* Whether a sync of the file has something to write. Of a directory this is not known. */
static int has_changes(int descriptor) {
    struct stat facts;
    if (fstat(descriptor, &facts)) return 0;
    const struct file *file = entry_of(&facts);
    return file->is_directory || file->change_count;
}

/* All that exists when the program starts is on disk. */
static void note_present(const char *path) {
    struct stat facts;
    if (lstat(path, &facts)) fail(path);
    size_t file = file_of(&facts);
    add_name(path, file, 1);
    if (!S_ISDIR(facts.st_mode)) {
        int content = libc_open(path, O_RDONLY | O_CLOEXEC);
        if (content < 0) fail(path);
        copy(content, files[file].synced);
        libc_close(content);
        files[file].is_original = 1;
        return;
    }
    DIR *directory = opendir(path);
    if (!directory) fail(path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char inner[PATH_MAX];
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        note_present(inner);
    }
    closedir(directory);
}

static int is_open(const struct name *name) { return name->is_live != name->is_synced; }

static int is_on_disk(struct name *name) {
    if (!is_open(name) || orders.how != torn) return name->is_synced;
    const struct name *partner = name->partner ? &names[name->partner - 1] : NULL;
    if (!name->fate) name->fate = partner && is_open(partner) && partner->fate ? partner->fate : (int)(1 + (draw() & 1));
    return name->fate == 2 ? name->is_live : name->is_synced;
}

static void tear(struct file *file) {
    const size_t sector = 512;
    for (size_t i = 0; i < file->change_count; i++) {
        const struct change *change = &file->changes[i];
        if (!change->bytes) {
            if (draw() & 1) apply(file, change, 0, 0);
            continue;
        }
        for (size_t start = 0, end; start < change->count; start = end) {
            end = start + sector - (size_t)((change->offset + (off_t)start) % (off_t)sector);
            if (end > change->count) end = change->count;
            if (draw() & 1) apply(file, change, start, end);
        }
    }
}

/* The path of the running program's file. */
static const char *whereabouts(size_t file) {
    for (size_t i = 0; i < name_count; i++)
        if (names[i].file == file && names[i].is_live) return names[i].path;
    return files[file].kept;
}

static void write_image(void) {
    if (orders.how == torn)
        for (size_t i = 0; i < file_count; i++) tear(&files[i]);
    /* Names are in the order of their creation, so a directory precedes its content. Files in a directory that is not
       on disk cannot be created, and are lost with it. */
    for (size_t i = 0; i < name_count; i++) {
        const struct file *file = &files[names[i].file];
        if (!is_on_disk(&names[i])) continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", orders.image, names[i].path + orders.root_length);
        if (file->is_directory) {
            libc_mkdir(path, file->mode);
            continue;
        }
        const char *itself = file->is_original ? whereabouts(names[i].file) : NULL;
        if (itself) {
            if (link(itself, path) && errno != ENOENT) fail(path);
            continue;
        }
        int made = libc_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, file->mode);
        if (made < 0) continue;
        copy(file->synced, made);
        libc_close(made);
    }
}

/* ---- Counting and killing ---- */

static void write_note(const char *text) {
    if (!orders.note) return;
    int note = libc_open(orders.note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (note < 0) return;
    if (libc_write(note, text, strlen(text)) < 0) fail(orders.note);
    libc_close(note);
}

static void die(const char *call, const char *path) {
    char text[PATH_MAX + 64];
    snprintf(text, sizeof text, "call %ld: %s %s", calls, call, path);
    write_note(text);
    if (models_disk()) write_image();
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a call with the lock held. */
static int begin(const char *call, const char *path) {
    calls++;
    int is_it = calls == orders.at && orders.how != failed_sync;
    if (is_it && orders.how != after && orders.how != middle) die(call, path);
    return is_it;
}

static void end(int is_it, const char *call, const char *path) {
    if (is_it) die(call, path);
    pthread_mutex_unlock(&lock);
}

static void start(void) {
    libc_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    libc_openat = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    libc_close = (int (*)(int))dlsym(RTLD_NEXT, "close");
    libc_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    libc_pwrite = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    libc_ftruncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
    libc_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    libc_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    libc_unlink = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    libc_unlinkat = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");
    libc_rename = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    libc_renameat2 = (int (*)(int, const char *, int, const char *, unsigned))dlsym(RTLD_NEXT, "renameat2");
    libc_mkdir = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    libc_linkat = (int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat");
    const char *root = getenv("CRASH_ROOT");
    if (!root) return;
    orders.root_length = strlen(root);
    orders.image = getenv("CRASH_IMAGE");
    orders.note = getenv("CRASH_NOTE");
    const char *at = getenv("CRASH_AT"), *how = getenv("CRASH_HOW"), *seed = getenv("CRASH_SEED");
    orders.at = at ? atol(at) : 0;
    orders.random = seed ? strtoull(seed, NULL, 10) : 0;
    static const char *const words[] = {"before", "middle", "after", "cut", "torn", "failedSync"};
    for (int i = 0; i < 6; i++)
        if (how && !strcmp(how, words[i])) orders.how = (enum how)i;
    if (models_disk() && !orders.image) fail("no CRASH_IMAGE");
    if (models_disk()) note_present(root);
    orders.root = root;
}

__attribute__((constructor)) static void begin_program(void) { pthread_once(&once, start); }

__attribute__((destructor)) static void end_program(void) {
    char text[64];
    snprintf(text, sizeof text, "calls: %ld, syncs: %ld", calls, syncs);
    if (!orders.root) return;
    if (orders.how == failed_sync) return write_image();
    write_note(text);
}

static int is_ours(const char *path) {
    pthread_once(&once, start);
    return orders.root && path && !strncmp(path, orders.root, orders.root_length)
        && (path[orders.root_length] == '/' || !path[orders.root_length]);
}

/* Resolves a name in an open directory; 0 if that is not possible. */
static int path_in(int directory, const char *name, char path[PATH_MAX]) {
    if (!name || *name == '/') return name && (size_t)snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t length = directory < 0 ? -1 : readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    return snprintf(path + length, (size_t)(PATH_MAX - length), "/%s", name) < PATH_MAX - length;
}

/* Whether the descriptor is in the root; fills in its name. */
static int leads_to_ours(int descriptor, char path[PATH_MAX]) {
    pthread_once(&once, start);
    if (!orders.root || descriptor < 3) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

/* ---- Replacements of libc's functions ---- */

/* Changes nothing on disk: without a name, a power cut removes the file. */
static int unnamed_open(const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    int result = libc_open(path, flags, mode);
    int code = errno;
    if (result >= 0) note_unnamed(result);
    pthread_mutex_unlock(&lock);
    errno = code;
    return result;
}

static int counted_open(const char *path, int flags, mode_t mode) {
    if ((flags & __O_TMPFILE) && is_ours(path)) return unnamed_open(path, flags, mode);
    /* An open that creates no file changes nothing. */
    if (!(flags & O_CREAT) || !is_ours(path)) {
        if (is_ours(path)) {
            pthread_mutex_lock(&lock);
            note_opened(path, flags);
            pthread_mutex_unlock(&lock);
        }
        pthread_once(&once, start);
        return libc_open(path, flags, mode);
    }
    pthread_mutex_lock(&lock);
    if (access(path, F_OK) == 0) {
        note_opened(path, flags);
        pthread_mutex_unlock(&lock);
        return libc_open(path, flags, mode);
    }
    int is_it = begin("open", path);
    int result = is_it && orders.how == middle ? -1 : libc_open(path, flags, mode);
    int code = errno;
    if (result >= 0) note_made(path);
    end(is_it, "open", path);
    errno = code;
    return result;
}

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        return counted_open(path, flags, mode);                                                                        \
    }

#define OPENAT(name)                                                                                                   \
    int name(int directory, const char *path, int flags, ...) {                                                        \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        pthread_once(&once, start);                                                                                    \
        char full[PATH_MAX];                                                                                           \
        if ((flags & O_CREAT) && path_in(directory, path, full) && is_ours(full))                                      \
            return counted_open(full, flags, mode);                                                                    \
        return libc_openat(directory, path, flags, mode);                                                              \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

static ssize_t counted_pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    if (!leads_to_ours(descriptor, path)) return libc_pwrite(descriptor, bytes, count, offset);
    pthread_mutex_lock(&lock);
    int is_it = begin("pwrite", path);
    ssize_t result = libc_pwrite(descriptor, bytes, is_it && orders.how == middle ? count / 2 : count, offset);
    int code = errno;
    if (result > 0) note_change(descriptor, bytes, (size_t)result, offset);
    end(is_it, "pwrite", path);
    errno = code;
    return result;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    return counted_pwrite(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    return counted_pwrite(descriptor, bytes, count, offset);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (!leads_to_ours(descriptor, path)) return libc_write(descriptor, bytes, count);
    pthread_mutex_lock(&lock);
    int is_it = begin("write", path);
    off_t offset = lseek(descriptor, 0, SEEK_CUR);
    ssize_t result = libc_write(descriptor, bytes, is_it && orders.how == middle ? count / 2 : count);
    int code = errno;
    if (result > 0) note_change(descriptor, bytes, (size_t)result, offset);
    end(is_it, "write", path);
    errno = code;
    return result;
}

static int counted_ftruncate(int descriptor, off_t length) {
    char path[PATH_MAX];
    if (!leads_to_ours(descriptor, path)) return libc_ftruncate(descriptor, length);
    pthread_mutex_lock(&lock);
    int is_it = begin("ftruncate", path);
    int result = is_it && orders.how == middle ? -1 : libc_ftruncate(descriptor, length);
    int code = errno;
    if (result == 0) note_change(descriptor, NULL, 0, length);
    end(is_it, "ftruncate", path);
    errno = code;
    return result;
}

int ftruncate(int descriptor, off_t length) { return counted_ftruncate(descriptor, length); }

int ftruncate64(int descriptor, off64_t length) { return counted_ftruncate(descriptor, length); }

static int counted_sync(const char *call, int (*sync)(int), int descriptor) {
    char path[PATH_MAX];
    if (!leads_to_ours(descriptor, path)) return sync(descriptor);
    pthread_mutex_lock(&lock);
    int is_it = begin(call, path);
    syncs += orders.how != failed_sync || has_changes(descriptor);
    if (orders.how == failed_sync && syncs == orders.at) {
        orders.at = 0;
        note_failed_sync(descriptor);
        write_note(path);
        pthread_mutex_unlock(&lock);
        errno = EIO;
        return -1;
    }
    /* Does not sync the machine's disk, because only the model is checked. */
    note_synced(descriptor);
    end(is_it, call, path);
    return 0;
}

int fsync(int descriptor) {
    pthread_once(&once, start);
    return counted_sync("fsync", libc_fsync, descriptor);
}

int fdatasync(int descriptor) {
    pthread_once(&once, start);
    return counted_sync("fdatasync", libc_fdatasync, descriptor);
}

static int counted_unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int is_it = begin("unlink", path);
    note_leaving(path);
    int result = is_it && orders.how == middle ? -1 : libc_unlink(path);
    int code = errno;
    if (result == 0) note_removed(path);
    end(is_it, "unlink", path);
    errno = code;
    return result;
}

int unlink(const char *path) { return is_ours(path) ? counted_unlink(path) : libc_unlink(path); }

int unlinkat(int directory, const char *name, int flags) {
    char path[PATH_MAX];
    pthread_once(&once, start);
    if ((flags & AT_REMOVEDIR) || !path_in(directory, name, path) || !is_ours(path))
        return libc_unlinkat(directory, name, flags);
    return counted_unlink(path);
}

static int counted_rename(const char *from, const char *to, unsigned flags) {
    pthread_mutex_lock(&lock);
    int is_it = begin("rename", from);
    int result = is_it && orders.how == middle ? -1 : libc_renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
    int code = errno;
    if (result == 0 && models_disk()) {
        struct stat facts;
        note_removed(from);
        note_removed(to);
        if (!lstat(to, &facts)) add_name(to, file_of(&facts), 0);
        size_t old = number_of(from, 0), new = number_of(to, 1);
        if (old && new) {
            names[old - 1].partner = new;
            names[new - 1].partner = old;
        }
    }
    end(is_it, "rename", from);
    errno = code;
    return result;
}

int rename(const char *from, const char *to) {
    return is_ours(from) || is_ours(to) ? counted_rename(from, to, 0) : libc_rename(from, to);
}

int renameat2(int directory, const char *name, int target_directory, const char *target, unsigned flags) {
    char from[PATH_MAX], to[PATH_MAX];
    pthread_once(&once, start);
    if (!path_in(directory, name, from) || !path_in(target_directory, target, to) || !(is_ours(from) || is_ours(to)))
        return libc_renameat2(directory, name, target_directory, target, flags);
    return counted_rename(from, to, flags);
}

int linkat(int directory, const char *file, int target_directory, const char *target, int flags) {
    char path[PATH_MAX];
    pthread_once(&once, start);
    if (!path_in(target_directory, target, path) || !is_ours(path))
        return libc_linkat(directory, file, target_directory, target, flags);
    pthread_mutex_lock(&lock);
    int is_it = begin("link", path);
    int result = is_it && orders.how == middle ? -1 : libc_linkat(directory, file, target_directory, target, flags);
    int code = errno;
    if (result == 0) note_linked(path);
    end(is_it, "link", path);
    errno = code;
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (!is_ours(path)) return libc_mkdir(path, mode);
    pthread_mutex_lock(&lock);
    /* If it exists or cannot be created, nothing changes. */
    if (access(path, F_OK) == 0) {
        int result = libc_mkdir(path, mode), code = errno;
        pthread_mutex_unlock(&lock);
        errno = code;
        return result;
    }
    int is_it = begin("mkdir", path);
    int result = is_it && orders.how == middle ? -1 : libc_mkdir(path, mode);
    int code = errno;
    if (result == 0) note_made(path);
    end(is_it, "mkdir", path);
    errno = code;
    return result;
}

/* Descriptors are resolved by their names in /proc, so closing one needs no action. */
