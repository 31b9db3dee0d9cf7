#include "seen.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

static atomic_llong counts[seen_count];

void saw(enum sight sight, long long count) { atomic_fetch_add_explicit(&counts[sight], count, memory_order_relaxed); }

long long seen(enum sight sight) { return atomic_load(&counts[sight]); }

void saw_in_flight(int change) {
    long long now = atomic_fetch_add(&counts[seen_inFlight], change) + change;
    long long most = atomic_load(&counts[seen_mostInFlight]);
    while (now > most && !atomic_compare_exchange_weak(&counts[seen_mostInFlight], &most, now)) {}
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

void describe_seen(char *text, size_t room) {
#define NAME(name) #name,
    static const char *const names[] = {SIGHTS(NAME)};
#undef NAME
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    int length = snprintf(text, room, "{\"cpu\": %.4f", seconds(used.ru_utime) + seconds(used.ru_stime));
    for (int i = 0; i < seen_count && (size_t)length < room; i++)
        length += snprintf(text + length, room - (size_t)length, ", \"%s\": %lld", names[i], seen((enum sight)i));
    if ((size_t)length < room) snprintf(text + length, room - (size_t)length, "}");
}
