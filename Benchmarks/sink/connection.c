#include "connection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "seen.h"

static ssize_t take(struct connection *c, void *bytes, size_t count) {
    return c->tls ? SSL_read(c->tls, bytes, (int)count) : recv(c->socket, bytes, count, 0);
}

bool connection_head(struct connection *c, char *text) {
    char *end;
    while (c->head[c->filled] = 0, !(end = strstr(c->head, "\r\n\r\n"))) {
        if (c->filled == HEAD_LIMIT) return false;
        ssize_t got = take(c, c->head + c->filled, HEAD_LIMIT - c->filled);
        if (got <= 0) return false;
        c->filled += (size_t)got;
    }
    size_t size = (size_t)(end - c->head) + 4;
    memcpy(text, c->head, size - 2);
    text[size - 2] = 0;
    memmove(c->head, c->head + size, c->filled -= size);
    return true;
}

static void arrived(struct connection *c, size_t count) {
    saw(seen_bytes, (long long)count);
    line_carry(&c->pace, count);
}

bool connection_body(struct connection *c, long long count, char *body) {
    size_t here = count < (long long)c->filled ? (size_t)count : c->filled;
    if (body) memcpy(body, c->head, here), body += here;
    memmove(c->head, c->head + here, c->filled -= here);
    arrived(c, here);
    count -= (long long)here;
    size_t step = line_is_paced() ? 64 << 10 : SCRATCH;
    while (count > 0) {
        size_t piece = count < (long long)step ? (size_t)count : step;
        ssize_t got;
        if (body) {
            got = take(c, body, piece);
        } else if (c->tls) {
            got = SSL_read(c->tls, c->scratch, (int)piece);
        } else {
            // The kernel discards the bytes without copying them, so a piece may have any length.
            if (!line_is_paced()) piece = count < 1 << 30 ? (size_t)count : 1 << 30;
            got = recv(c->socket, NULL, piece, MSG_TRUNC);
        }
        if (got <= 0) return false;
        if (body) body += got;
        arrived(c, (size_t)got);
        count -= got;
    }
    return true;
}

// Reads one line and puts its first characters into `text`.
static bool take_line(struct connection *c, char *text, size_t room) {
    char *end;
    while (c->head[c->filled] = 0, !(end = strstr(c->head, "\r\n"))) {
        if (c->filled == HEAD_LIMIT) return false;
        ssize_t got = take(c, c->head + c->filled, HEAD_LIMIT - c->filled);
        if (got <= 0) return false;
        c->filled += (size_t)got;
    }
    size_t length = (size_t)(end - c->head), size = length + 2;
    if (length >= room) length = room - 1;
    memcpy(text, c->head, length);
    text[length] = 0;
    memmove(c->head, c->head + size, c->filled -= size);
    return true;
}

long long connection_chunks(struct connection *c, long long limit) {
    long long sum = 0;
    char text[64];
    while (take_line(c, text, sizeof text)) {
        long long size = strtoll(text, NULL, 16);
        if (size < 0) return -1;
        if (size == 0) {
            // Trailers, which are not used here, and the empty line.
            while (take_line(c, text, sizeof text))
                if (!*text) return sum;
            return -1;
        }
        long long wanted = size < limit - sum ? size : limit - sum;
        if (!connection_body(c, wanted, NULL)) return -1;
        sum += wanted;
        if (wanted < size) return sum;
        if (!take_line(c, text, sizeof text)) return -1;
    }
    return -1;
}

bool connection_give(struct connection *c, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t gone = c->tls ? SSL_write(c->tls, bytes, (int)count) : send(c->socket, bytes, count, MSG_NOSIGNAL);
        if (gone <= 0) return false;
        bytes += gone;
        count -= (size_t)gone;
    }
    return true;
}

void connection_cut(struct connection *c) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}
