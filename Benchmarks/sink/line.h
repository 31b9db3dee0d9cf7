// The simulated link to the sink: its speed, its latency, and how often it fails.
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

// The time at which the link will have delivered what was read from a connection.
struct pace {
    double carried;
};

// After bytes have been read: returns at the time when the link would have delivered them.
void line_carry(struct pace *pace, size_t bytes);

// Whether to read in small steps, because each is followed by a wait.
bool line_is_paced(void);

// Bytes of a connection that the link buffers, so that a client's send ends about when the link has delivered them.
int line_buffer(void);

// Lifts the limits of the speed, or restores them; latency and faults stay.
void line_lift(bool on);

void line_wait_round_trips(int count);

enum fate { FATE_GOOD, FATE_FAILURE, FATE_RESET };

// The result of the next PUT. It depends only on the seed and the number of the PUT, not on the client. For a reset,
// `share` is how much of the body arrives before it.
enum fate line_fate(double *share);
