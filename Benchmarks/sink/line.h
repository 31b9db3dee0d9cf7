// The line that the sink pretends to be at the end of: how fast, how far, and how often it breaks.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
    double connection_rate, total_rate;  // bytes per second; 0 is no limit
    double latency;                      // seconds of one round trip
    double failing, resetting;           // shares of the PUTs that have a body
    uint64_t seed;
};

extern struct line line;

// One connection's place in time: when the line will have carried what was read from it.
struct pace {
    double carried;
};

// Bytes have been read: returns when the line would have carried them.
void line_carry(struct pace *pace, size_t bytes);

// True where reading must go in small steps, since each is followed by a wait.
bool line_is_paced(void);

void line_wait_round_trips(int count);

enum fate { FATE_GOOD, FATE_FAILURE, FATE_RESET };

// What becomes of the next PUT. The n-th PUT of two runs with one seed meets the same fate, whoever sends it. For a reset,
// `share` is how much of the body arrives before it.
enum fate line_fate(double *share);
