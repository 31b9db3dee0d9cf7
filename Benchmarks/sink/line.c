#include "line.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct line line;

// Seconds that an idle link may catch up at once: a sleep that ends late must not reduce the speed.
static const double SLACK = 0.005;

// A tenth of a second for each of several connections: a real link buffers about a second in all. With much less the
// simulated link would idle.
static const double BUFFER_SECONDS = 0.1;
enum { LEAST_BUFFER = 16 << 10, MOST_BUFFER = 256 << 10 };

static struct pace all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_ullong drawn;
static atomic_bool lifted;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_until(double moment) {
    struct timespec time = {.tv_sec = (time_t)moment};
    time.tv_nsec = (long)((moment - (double)time.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
}

static double advance(struct pace *pace, size_t bytes, double rate, double from) {
    double begin = pace->carried > from - SLACK ? pace->carried : from - SLACK;
    return pace->carried = begin + (double)bytes / rate;
}

bool line_is_paced(void) {
    return (line.connection_rate > 0 || line.total_rate > 0) && !atomic_load_explicit(&lifted, memory_order_relaxed);
}

int line_buffer(void) {
    double rate = line.total_rate;
    if (line.connection_rate > 0 && (rate == 0 || line.connection_rate < rate)) rate = line.connection_rate;
    double bytes = rate * BUFFER_SECONDS;
    return bytes < LEAST_BUFFER ? LEAST_BUFFER : bytes > MOST_BUFFER ? MOST_BUFFER : (int)bytes;
}

void line_lift(bool on) { atomic_store(&lifted, on); }

void line_carry(struct pace *pace, size_t bytes) {
    if (!line_is_paced()) return;
    double from = now(), until = from;
    if (line.connection_rate > 0) until = advance(pace, bytes, line.connection_rate, from);
    if (line.total_rate > 0) {
        pthread_mutex_lock(&all_lock);
        double together = advance(&all, bytes, line.total_rate, from);
        pthread_mutex_unlock(&all_lock);
        if (together > until) until = together;
    }
    if (until > from) sleep_until(until);
}

void line_wait_round_trips(int count) {
    if (line.latency > 0) sleep_until(now() + line.latency * count);
}

// Hashes a number into 0 ..< 1; the multipliers are arbitrary odd numbers.
static double shuffled(uint64_t number) {
    for (int i = 0; i < 3; i++) {
        number ^= number >> 31;
        number *= UINT64_C(0x9FB21C651E98DF25);
    }
    number ^= number >> 29;
    return (double)(number >> 11) / (double)(UINT64_C(1) << 53);
}

// One of each 1/share consecutive PUTs is hit, at a position that depends on the seed, so that the share is right even
// for few PUTs.
static bool hits(uint64_t turn, double share, uint64_t salt) {
    if (share <= 0) return false;
    uint64_t row = (uint64_t)(1 / share + 0.5);
    return turn % row == (uint64_t)(shuffled((line.seed << 40) + (salt << 32) + turn / row) * (double)row);
}

enum fate line_fate(double *share) {
    uint64_t turn = atomic_fetch_add(&drawn, 1);
    *share = shuffled((line.seed << 40) + (UINT64_C(3) << 32) + turn);
    if (hits(turn, line.failing, 1)) return FATE_FAILURE;
    return hits(turn, line.resetting, 2) ? FATE_RESET : FATE_GOOD;
}
