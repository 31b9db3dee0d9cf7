#include "store.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "seen.h"

// An object, or an unfinished upload, which has an ID and parts.
struct item {
    struct item *next;
    long long id;
    long long size;
    struct part *parts;
    char *kept;
    bool looked_at;
    char path[];
};

enum { SHELVES = 1 << 16 };

static struct item *shelves[SHELVES];
static long long last_id;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *or_die(void *memory) {
    if (!memory) abort();
    return memory;
}

// Call with the lock held. ID 0 is the finished object at the path.
static struct item **find(const char *path, long long id) {
    uint32_t mixed = (uint32_t)id;
    for (const char *c = path; *c; c++) mixed = mixed * 31 + (unsigned char)*c;
    struct item **place = &shelves[(mixed ^ mixed >> 16) % SHELVES];
    while (*place && !((*place)->id == id && strcmp((*place)->path, path) == 0)) place = &(*place)->next;
    return place;
}

static struct item *add(const char *path, long long id, long long size, const char *kept) {
    struct item **place = find(path, id);
    struct item *item = or_die(calloc(1, sizeof *item + strlen(path) + 1));
    strcpy(item->path, path);
    item->kept = or_die(strdup(kept));
    item->id = id;
    item->size = size;
    if (id) item->parts = or_die(calloc(PART_LIMIT + 1, sizeof *item->parts));
    *place = item;
    saw(id ? seen_openUploads : seen_objects, 1);
    saw(id ? seen_openBytes : seen_objectBytes, size);
    return item;
}

static void drop(struct item **place) {
    struct item *item = *place;
    if (!item) return;
    *place = item->next;
    saw(item->id ? seen_openUploads : seen_objects, -1);
    saw(item->id ? seen_openBytes : seen_objectBytes, -item->size);
    free(item->parts);
    free(item->kept);
    free(item);
}

long long store_begin(const char *path, const char *kept) {
    pthread_mutex_lock(&lock);
    long long id = ++last_id;
    add(path, id, 0, kept);
    pthread_mutex_unlock(&lock);
    return id;
}

bool store_part(const char *path, long long upload, int number, const struct part *part) {
    pthread_mutex_lock(&lock);
    struct item *item = *find(path, upload);
    if (item) {
        long long more = part->size - item->parts[number].size;
        item->parts[number] = *part;
        item->size += more;
        saw(seen_openBytes, more);
    }
    pthread_mutex_unlock(&lock);
    return item;
}

long long store_complete(const char *path, long long upload, const int *numbers, int count, const char *more_kept) {
    pthread_mutex_lock(&lock);
    struct item *item = *find(path, upload);
    long long size = item ? 0 : -1;
    for (int i = 0; i < count && size >= 0; i++) {
        const struct part *part = &item->parts[numbers[i]];
        size = part->etag[0] ? size + part->size : -2;
    }
    if (size >= 0) {
        char kept[2 * KEPT_LIMIT];
        strcpy(kept, item->kept);
        strncat(kept, more_kept, sizeof kept - strlen(kept) - 1);
        drop(find(path, upload));
        drop(find(path, 0));
        add(path, 0, size, kept);
    }
    pthread_mutex_unlock(&lock);
    return size;
}

void store_put(const char *path, long long size, const char *kept) {
    pthread_mutex_lock(&lock);
    drop(find(path, 0));
    add(path, 0, size, kept);
    pthread_mutex_unlock(&lock);
}

bool store_abort(const char *path, long long upload) {
    pthread_mutex_lock(&lock);
    struct item **place = find(path, upload);
    bool there = *place;
    drop(place);
    pthread_mutex_unlock(&lock);
    return there;
}

void store_delete(const char *path) { store_abort(path, 0); }

long long store_look(const char *path, char *kept) {
    pthread_mutex_lock(&lock);
    struct item *item = *find(path, 0);
    long long size = item ? item->size : -1;
    if (item) {
        strcpy(kept, item->kept);
        saw(seen_confirmed, !item->looked_at);
        item->looked_at = true;
    }
    pthread_mutex_unlock(&lock);
    return size;
}

bool store_parts(const char *path, long long upload, int after, bool (*each)(int, const struct part *, void *), void *context) {
    pthread_mutex_lock(&lock);
    struct item *item = *find(path, upload);
    for (int number = after + 1; item && number <= PART_LIMIT; number++)
        if (item->parts[number].etag[0] && !each(number, &item->parts[number], context)) break;
    pthread_mutex_unlock(&lock);
    return item;
}

void store_uploads(void (*each)(const char *path, long long upload, void *), void *context) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SHELVES; i++)
        for (struct item *item = shelves[i]; item; item = item->next)
            if (item->id) each(item->path, item->id, context);
    pthread_mutex_unlock(&lock);
}
