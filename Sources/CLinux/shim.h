#ifndef MULE_CLINUX_SHIM_H
#define MULE_CLINUX_SHIM_H

/* Linux calls that Swift's Glibc module lacks. */

#include <errno.h>
#include <linux/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>

/* <fcntl.h> declares it with _GNU_SOURCE only. */
extern int fallocate(int descriptor, int mode, off_t offset, off_t length);

/* statfs is both a structure and a function; Swift would use the structure. */
static inline int mule_statfs(const char *path, struct statfs *facts) {
    return statfs(path, facts);
}

/* The file system's own ID, statfs(2); 0 if it has none. */
static inline unsigned long long mule_file_system_id(const struct statfs *facts) {
    const unsigned int *words = (const unsigned int *)(const void *)&facts->f_fsid;
    return ((unsigned long long)words[0] << 32) | words[1];
}

/* statx(2), Linux 4.11, glibc 2.28: whether the file is the root of a mount (STATX_ATTR_MOUNT_ROOT, Linux 5.8),
   including bind mounts of the same disk. -1 if the kernel does not tell. AT_FDCWD is -100, AT_NO_AUTOMOUNT 0x800. */
static inline int mule_is_mount_root(const char *path) {
    struct {
        unsigned int mask, blockSize;
        unsigned long long attributes;
        unsigned char other[40];
        unsigned long long knownAttributes;
        unsigned char rest[256];
    } facts = {0};
    extern long syscall(long number, ...);
    if (syscall(SYS_statx, -100, path, 0x800, 0u, &facts) != 0) return -1;
    if (!(facts.knownAttributes & 0x2000ull)) return -1;
    return (facts.attributes & 0x2000ull) != 0;
}

/* Seconds since 1970 at which the file was created; -1 if the file system does not tell. STATX_BTIME is 0x800. */
static inline long long mule_birth(const char *path) {
    struct {
        unsigned int mask, blockSize;
        unsigned char other[72];
        long long birth;
        unsigned char rest[256];
    } facts = {0};
    extern long syscall(long number, ...);
    if (syscall(SYS_statx, -100, path, 0x800, 0x800u, &facts) != 0 || !(facts.mask & 0x800u)) return -1;
    return facts.birth;
}

/* O_TMPFILE without the O_DIRECTORY that it contains. <fcntl.h> defines it with _GNU_SOURCE only. */
static const int mule_unnamed = 020000000;

static inline int mule_fallocate(int descriptor, long long length) {
    return fallocate(descriptor, 0, 0, (off_t)length);
}

/* Sets FS_NOCOW_FL, 0x00800000, of an empty file with FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, ioctl_iflags(2): overwritten
   blocks stay in place. The kernel reads and writes an int, although the numbers of the calls contain a long. */
static inline int mule_write_in_place(int descriptor) {
    extern int ioctl(int descriptor, unsigned long call, ...);
    int flags = 0;
    if (ioctl(descriptor, _IOR('f', 1, long), &flags) != 0) return -1;
    flags |= 0x00800000;
    return ioctl(descriptor, _IOW('f', 2, long), &flags);
}

/* renameat2(2), Linux 3.15, glibc 2.28, without replacing: RENAME_NOREPLACE is 1. <stdio.h> declares it with
   _GNU_SOURCE only. */
extern int renameat2(int directory, const char *name, int targetDirectory, const char *target, unsigned int flags);

static inline int mule_rename_new(int directory, const char *name, int targetDirectory, const char *target) {
    return renameat2(directory, name, targetDirectory, target, 1u);
}

/* pipe2(2) and mkostemp(3) with O_CLOEXEC, which is 02000000 on all machines that Swift runs on. <unistd.h> and
   <stdlib.h> declare them with _GNU_SOURCE only. */
extern int pipe2(int ends[2], int flags);
extern int mkostemp(char *name, int flags);

static inline int mule_pipe(int ends[2]) {
    return pipe2(ends, 02000000);
}

static inline int mule_temporary_file(char *name) {
    return mkostemp(name, 02000000);
}

/* memfd_create(2), Linux 3.17: an unnamed file in memory, closed on exec (MFD_CLOEXEC is 1). */
static inline int mule_memory_file(const char *label) {
    extern long syscall(long number, ...);
    return (int)syscall(SYS_memfd_create, label, 1u);
}

/* A lease that makes the kernel block writers, fcntl(2): F_SETLEASE is 1024, F_RDLCK 0, F_UNLCK 2. */
static inline int mule_lease(int descriptor, int taken) {
    extern int fcntl(int descriptor, int command, ...);
    return fcntl(descriptor, 1024, taken ? 0 : 2);
}

/* cachestat(2), Linux 6.5; the C library may lack it. */
static inline int mule_cached_pages(int descriptor, unsigned long long offset, unsigned long long length,
                                    unsigned long long *pages) {
    struct { unsigned long long offset, length; } range = {offset, length};
    struct { unsigned long long cached, dirty, writeback, evicted, recentlyEvicted; } facts = {0};
#ifdef SYS_cachestat
    const long call = SYS_cachestat;
#else
    const long call = 451; /* The same on all architectures. */
#endif
    extern long syscall(long number, ...);
    const int result = (int)syscall(call, descriptor, &range, &facts, 0);
    *pages = facts.cached;
    return result;
}

#endif
