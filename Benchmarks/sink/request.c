#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "seen.h"

static const char *next_line(const char *line) {
    line = strstr(line, "\r\n");
    return line && line[2] ? line + 2 : NULL;
}

bool request_parse(struct request *r, const char *text) {
    if (sscanf(text, "%7s %4095s", r->method, r->target) != 2) return false;
    r->query = r->target + strcspn(r->target, "?");
    if (*r->query) *r->query++ = 0;
    r->headers = strstr(text, "\r\n") + 2;
    char value[64];
    r->length = request_header(r, "content-length:", value, sizeof value) ? atoll(value) : 0;
    r->chunked = request_header(r, "transfer-encoding:", value, sizeof value);
    if (r->chunked) r->length = request_payload(r);
    return r->length >= 0;
}

bool request_header(const struct request *r, const char *name, char *value, size_t room) {
    for (const char *line = r->headers; line; line = next_line(line)) {
        if (strncasecmp(line, name, strlen(name)) != 0) continue;
        line += strlen(name);
        line += strspn(line, " \t");
        snprintf(value, room, "%.*s", (int)strcspn(line, "\r"), line);
        return true;
    }
    return false;
}

void request_collect(const struct request *r, const char *prefix, char *text, size_t room) {
    for (const char *line = r->headers; line; line = next_line(line)) {
        size_t length = strcspn(line, "\r"), used = strlen(text);
        if (strncasecmp(line, prefix, strlen(prefix)) == 0 && used + length + 3 < room)
            snprintf(text + used, room - used, "%.*s\r\n", (int)length, line);
    }
}

static const char *query_item(const struct request *r, const char *name) {
    size_t length = strlen(name);
    for (const char *item = r->query; *item; item += *item == '&') {
        if (strncmp(item, name, length) == 0 && strchr("=&", item[length])) return item + length;
        item += strcspn(item, "&");
    }
    return NULL;
}

long long request_number(const struct request *r, const char *name) {
    const char *value = query_item(r, name);
    return value && *value == '=' ? atoll(value + 1) : -1;
}

bool request_asks(const struct request *r, const char *name) { return query_item(r, name); }

long long request_payload(const struct request *r) {
    char value[64];
    return request_header(r, "x-amz-decoded-content-length:", value, sizeof value) ? atoll(value) : r->length;
}

void request_judge(const struct request *r) {
    static const struct {
        const char *name;
        enum sight header, trailer;
    } checksums[] = {
        {"crc64nvme", seen_headerCRC64NVME, seen_trailerCRC64NVME}, {"crc32c", seen_headerCRC32C, seen_trailerCRC32C},
        {"crc32", seen_headerCRC32, seen_trailerCRC32},             {"sha256", seen_headerSHA256, seen_trailerSHA256},
        {"sha1", seen_headerSHA1, seen_trailerSHA1},
    };
    char value[256];
    saw(seen_bodies, 1);
    if (request_header(r, "expect:", value, sizeof value)) saw(seen_expects, 1);
    if (request_header(r, "content-md5:", value, sizeof value)) saw(seen_contentMD5, 1);
    if (!request_header(r, "x-amz-content-sha256:", value, sizeof value)) {
        saw(seen_payloadUnstated, 1);
    } else if (strncmp(value, "STREAMING-UNSIGNED", 18) == 0) {
        saw(seen_chunksUnsigned, 1);
    } else if (strncmp(value, "STREAMING-", 10) == 0) {
        saw(seen_chunksSigned, 1);
    } else {
        saw(strncmp(value, "UNSIGNED", 8) == 0 ? seen_payloadUnsigned : seen_payloadSigned, 1);
    }
    char trailer[256] = "";
    request_header(r, "x-amz-trailer:", trailer, sizeof trailer);
    for (size_t i = 0; i < sizeof checksums / sizeof *checksums; i++) {
        char name[64];
        int length = snprintf(name, sizeof name, "x-amz-checksum-%s:", checksums[i].name);
        if (request_header(r, name, value, sizeof value)) saw(checksums[i].header, 1);
        if (strncasecmp(trailer, name, (size_t)length - 1) == 0 && !trailer[length - 1]) saw(checksums[i].trailer, 1);
    }
}
