// Names, sizes, ETags and checksums of objects and unfinished uploads, without their contents. All functions are
// thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PART_LIMIT = 10000, KEPT_LIMIT = 4096, ETAG_ROOM = 48, CHECKSUM_ROOM = 160 };

struct part {
    long long size;
    char etag[ETAG_ROOM];
    char checksum[CHECKSUM_ROOM];  // as an XML element, or empty
};

// `kept` are whole header lines that a HEAD of the object returns.
long long store_begin(const char *path, const char *kept);
bool store_part(const char *path, long long upload, int number, const struct part *part);

// Makes the named parts an object. Returns its size, -1 if the upload does not exist, -2 if a part does not.
long long store_complete(const char *path, long long upload, const int *numbers, int count, const char *more_kept);
void store_put(const char *path, long long size, const char *kept);
bool store_abort(const char *path, long long upload);
void store_delete(const char *path);

// The object's size, -1 if it does not exist.
long long store_look(const char *path, char *kept);

// Calls `each` for the parts after `after`, in order, until it returns false; false if the upload does not exist.
bool store_parts(const char *path, long long upload, int after, bool (*each)(int, const struct part *, void *), void *context);
void store_uploads(void (*each)(const char *path, long long upload, void *), void *context);
