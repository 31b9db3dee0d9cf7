// One client's connection: bytes in at the line's speed, bytes out after the line's delay, in the clear or over TLS.
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "line.h"

enum { HEAD_LIMIT = 32 << 10, SCRATCH = 256 << 10 };

struct connection {
    int socket;
    SSL *tls;
    struct pace pace;
    size_t filled;  // bytes in `head`, of which some may belong to the body or to the next request
    char head[HEAD_LIMIT + 1];
    char scratch[SCRATCH];
};

// Takes one head off the connection, up to its empty line, into `text` (HEAD_LIMIT + 1 bytes); false when there is none.
bool connection_head(struct connection *c, char *text);

// Throws body bytes away, or keeps them where `body` is not null; false when the connection ended before all had come.
bool connection_body(struct connection *c, long long count, char *body);

// The same for a body in chunks, up to its end or to `limit` bytes; answers how many came, -1 when the connection ended before.
long long connection_chunks(struct connection *c, long long limit);

bool connection_give(struct connection *c, const char *bytes, size_t count);

// Makes the end of the connection a reset, not an end.
void connection_cut(struct connection *c);
