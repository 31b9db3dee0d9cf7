// Names, sizes, entity tags and checksums of objects and of unfinished uploads; no byte of their contents. Every function may be
// called from any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PART_LIMIT = 10000, KEPT_LIMIT = 4096, ETAG_ROOM = 48, CHECKSUM_ROOM = 160 };

struct part {
    long long size;
    char etag[ETAG_ROOM];
    char checksum[CHECKSUM_ROOM];  // as an XML element, or empty
};

// `kept` are whole header lines that a HEAD of the object gives back.
long long store_begin(const char *path, const char *kept);
bool store_part(const char *path, long long upload, int number, const struct part *part);

// Makes the named parts an object; its size, -1 where there is no such upload, -2 where there is no such part.
long long store_complete(const char *path, long long upload, const int *numbers, int count, const char *more_kept);
void store_put(const char *path, long long size, const char *kept);
bool store_abort(const char *path, long long upload);
void store_delete(const char *path);

// The object's size, -1 where there is none.
long long store_look(const char *path, char *kept);

// Hands the parts from `after` on to `each`, in order, until it returns false; false where there is no such upload.
bool store_parts(const char *path, long long upload, int after, bool (*each)(int, const struct part *, void *), void *context);
void store_uploads(void (*each)(const char *path, long long upload, void *), void *context);
