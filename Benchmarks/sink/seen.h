// The sink's counts: one atomic number for each sight, printed as JSON under its own name.
#pragma once

#include <stddef.h>

// bytes: of all bodies, complete or not. bodies: PUTs that have one. confirmed: objects that the client checked after
// the upload. openUploads, openBytes, objects, objectBytes: current numbers, not sums.
#define SIGHTS(sight)                                                                                                   \
    sight(bytes) sight(connections) sight(inFlight) sight(mostInFlight) sight(requests)                                 \
    sight(creates) sight(parts) sight(puts) sight(completes) sight(heads) sight(lists) sight(aborts) sight(others)      \
    sight(refusals) sight(failures) sight(resets)                                                                       \
    sight(objects) sight(objectBytes) sight(openUploads) sight(openBytes) sight(confirmed)                              \
    sight(bodies) sight(expects) sight(payloadSigned) sight(payloadUnsigned) sight(chunksSigned)                        \
    sight(chunksUnsigned) sight(payloadUnstated) sight(contentMD5)                                                      \
    sight(headerCRC64NVME) sight(headerCRC32C) sight(headerCRC32) sight(headerSHA256) sight(headerSHA1)                 \
    sight(trailerCRC64NVME) sight(trailerCRC32C) sight(trailerCRC32) sight(trailerSHA256) sight(trailerSHA1)            \
    sight(metadataMD5) sight(completeWhole) sight(completeParts) sight(completeSize)

#define NAME(name) seen_##name,
enum sight { SIGHTS(NAME) seen_count };
#undef NAME

void saw(enum sight sight, long long count);

// A request with a body starts (1) or ends (-1); records the highest number at a time.
void saw_in_flight(int change);

long long seen(enum sight sight);

// All counts and the CPU seconds of this process, as one line of JSON.
void describe_seen(char *text, size_t room);
