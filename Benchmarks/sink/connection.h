// A client's connection: reads at the link's speed, writes after the link's delay, with or without TLS.
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

// Reads one head, up to its empty line, into `text` (HEAD_LIMIT + 1 bytes); false if there is none.
bool connection_head(struct connection *c, char *text);

// Discards body bytes, or keeps them if `body` is not null; false if the connection ended early.
bool connection_body(struct connection *c, long long count, char *body);

// The same for a chunked body, up to its end or to `limit` bytes; returns the number of bytes, -1 if the connection
// ended early.
long long connection_chunks(struct connection *c, long long limit);

bool connection_give(struct connection *c, const char *bytes, size_t count);

// Makes the connection end with a reset.
void connection_cut(struct connection *c);
