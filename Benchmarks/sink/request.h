// The parsed head of a request.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct request {
    char method[8];
    char target[4096];    // the path; what followed its `?` is the query
    char *query;          // or empty
    const char *headers;  // lines, each ended by CRLF
    long long length;     // of the body; of one in chunks, what it says of itself or 0, until it has come
    bool chunked;
};

// `text` must live as long as the request.
bool request_parse(struct request *r, const char *text);

// Copies the value of a header into `value`; false if there is none. The name ends with its colon.
bool request_header(const struct request *r, const char *name, char *value, size_t room);

// Appends the header lines that start with the prefix to `text`.
void request_collect(const struct request *r, const char *prefix, char *text, size_t room);

// -1 if the query has no such item.
long long request_number(const struct request *r, const char *name);
bool request_asks(const struct request *r, const char *name);

// The length of the object: for a chunked body, without the framing and trailers.
long long request_payload(const struct request *r);

// Counts which checksums a PUT with a body has.
void request_judge(const struct request *r);
