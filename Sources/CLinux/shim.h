#ifndef MULE_CLINUX_SHIM_H
#define MULE_CLINUX_SHIM_H

/* Calls of Linux that Swift's Glibc module leaves out. */

#include <sys/statfs.h>
#include <sys/types.h>

/* <fcntl.h> shows it with _GNU_SOURCE only. */
extern int fallocate(int descriptor, int mode, off_t offset, off_t length);

/* statfs is a structure and a function at once, of which Swift would take the structure. */
static inline int mule_statfs(const char *path, struct statfs *facts) {
    return statfs(path, facts);
}

static inline int mule_fallocate(int descriptor, long long length) {
    return fallocate(descriptor, 0, 0, (off_t)length);
}

#endif
