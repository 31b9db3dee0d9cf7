#include "serve.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"
#include "seen.h"
#include "store.h"

// More than a list of 10,000 parts, each with ETag and checksum.
enum { BODY_LIMIT = 8 << 20, PAGE = 1000, PAGE_ROOM = 512 << 10 };

// MARK: Answers

// `headers` are whole lines; the answer to a HEAD has the length of the missing body.
static bool answer(struct connection *c, const char *status, const char *headers, long long length, const char *body) {
    char head[3 * KEPT_LIMIT];
    int count = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %lld\r\nx-amz-request-id: sink\r\n\r\n",
                         status, headers, length);
    if (status[0] >= '4') saw(seen_refusals, 1);
    line_wait_round_trips(1);
    size_t behind = strlen(body);
    if (behind == 0) return connection_give(c, head, (size_t)count);
    char *whole = malloc((size_t)count + behind);
    if (!whole) abort();
    memcpy(whole, head, (size_t)count);
    memcpy(whole + count, body, behind);
    bool given = connection_give(c, whole, (size_t)count + behind);
    free(whole);
    return given;
}

static bool answer_xml(struct connection *c, const char *status, const char *headers, const char *format, ...) {
    char body[2 * KEPT_LIMIT], lines[2 * KEPT_LIMIT];
    va_list values;
    va_start(values, format);
    vsnprintf(body, sizeof body, format, values);
    va_end(values);
    snprintf(lines, sizeof lines, "Content-Type: application/xml\r\n%s", headers);
    return answer(c, status, lines, (long long)strlen(body), body);
}

static bool refuse(struct connection *c, const char *status, const char *code) {
    return answer_xml(c, status, "", "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
}

static bool fail(struct connection *c, const char *headers) {
    saw(seen_failures, 1);
    return answer_xml(c, "503 Slow Down", headers, "<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>");
}

// MARK: ETags and checksums

// The MD5 that the client sent, as S3 shows it; else a text that no client takes for an MD5.
static void entity_tag(const struct request *r, int number, char *tag, size_t room) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char value[64];
    if (!request_header(r, "content-md5:", value, sizeof value) || strlen(value) != 24) {
        snprintf(tag, room, "sink%d-%lld", number, r->length);
        return;
    }
    unsigned held = 0;
    int bits = 0, bytes = 0;
    for (const char *c = value; *c != '=' && *c && bytes < 16; c++) {
        const char *place = strchr(digits, *c);
        held = held << 6 | (unsigned)(place ? place - digits : 0);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        snprintf(tag + 2 * bytes++, 3, "%02x", held >> bits & 255);
    }
}

// `x-amz-checksum-crc64nvme: V` becomes `<ChecksumCRC64NVME>V</…>`.
static void checksum_element(const struct request *r, char *text, size_t room) {
    static const char *const names[] = {"CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"};
    *text = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64], value[64];
        snprintf(name, sizeof name, "x-amz-checksum-%s:", names[i]);
        if (request_header(r, name, value, sizeof value))
            snprintf(text, room, "<Checksum%s>%s</Checksum%s>", names[i], value, names[i]);
    }
}

// MARK: Operations

static bool create_upload(struct connection *c, const struct request *r) {
    saw(seen_creates, 1);
    char kept[KEPT_LIMIT] = "", checksum[KEPT_LIMIT] = "", value[64];
    request_collect(r, "x-amz-meta-", kept, sizeof kept);
    request_collect(r, "x-amz-checksum-", checksum, sizeof checksum);
    if (request_header(r, "x-amz-meta-md5chksum:", value, sizeof value)) saw(seen_metadataMD5, 1);
    const char *key = strchr(r->target + 1, '/');
    return answer_xml(c, "200 OK", checksum,
                      "<InitiateMultipartUploadResult><Bucket>%.*s</Bucket><Key>%s</Key><UploadId>%lld</UploadId>"
                      "</InitiateMultipartUploadResult>",
                      (int)strcspn(r->target + 1, "/"), r->target + 1, key ? key + 1 : "", store_begin(r->target, kept));
}

static bool upload_part(struct connection *c, const struct request *r, long long id, long long number) {
    saw(seen_parts, 1);
    if (number < 1 || number > PART_LIMIT) return refuse(c, "400 Bad Request", "InvalidArgument");
    struct part part = {.size = request_payload(r)};
    entity_tag(r, (int)number, part.etag, sizeof part.etag);
    checksum_element(r, part.checksum, sizeof part.checksum);
    if (!store_part(r->target, id, (int)number, &part)) return refuse(c, "404 Not Found", "NoSuchUpload");
    char headers[KEPT_LIMIT];
    snprintf(headers, sizeof headers, "ETag: \"%s\"\r\n", part.etag);
    request_collect(r, "x-amz-checksum-", headers, sizeof headers);
    return answer(c, "200 OK", headers, 0, "");
}

static bool put_object(struct connection *c, const struct request *r) {
    saw(seen_puts, 1);
    char tag[ETAG_ROOM], headers[KEPT_LIMIT], kept[KEPT_LIMIT];
    entity_tag(r, 0, tag, sizeof tag);
    snprintf(headers, sizeof headers, "ETag: \"%s\"\r\n", tag);
    request_collect(r, "x-amz-checksum-", headers, sizeof headers);
    memcpy(kept, headers, sizeof headers);
    request_collect(r, "x-amz-meta-", kept, sizeof kept);
    store_put(r->target, request_payload(r), kept);
    return answer(c, "200 OK", headers, 0, "");
}

static bool complete_upload(struct connection *c, const struct request *r, long long id, const char *body) {
    saw(seen_completes, 1);
    int numbers[PART_LIMIT], count = 0;
    static const char opening[] = "<PartNumber>";
    for (const char *place = body; (place = strstr(place, opening)) && count < PART_LIMIT; place++) {
        int number = atoi(place + sizeof opening - 1);
        if (number < 1 || number > PART_LIMIT || (count > 0 && number <= numbers[count - 1]))
            return refuse(c, "400 Bad Request", "InvalidPartOrder");
        numbers[count++] = number;
    }
    if (count == 0) return refuse(c, "400 Bad Request", "MalformedXML");
    char checksum[512], kept[KEPT_LIMIT], value[64];
    checksum_element(r, checksum, sizeof checksum);
    snprintf(kept, sizeof kept, "ETag: \"%032llx-%d\"\r\n", id, count);
    if (*checksum) request_collect(r, "x-amz-checksum-", kept, sizeof kept);
    long long size = store_complete(r->target, id, numbers, count, kept);
    if (size == -1) return refuse(c, "404 Not Found", "NoSuchUpload");
    if (size < 0) return refuse(c, "400 Bad Request", "InvalidPart");
    if (*checksum) saw(seen_completeWhole, 1);
    if (strstr(body, "<Checksum")) saw(seen_completeParts, 1);
    if (request_header(r, "x-amz-mp-object-size:", value, sizeof value)) saw(seen_completeSize, 1);
    const char *key = strchr(r->target + 1, '/');
    return answer_xml(c, "200 OK", "",
                      "<CompleteMultipartUploadResult><Key>%s</Key><ETag>&quot;%032llx-%d&quot;</ETag>%s%s"
                      "</CompleteMultipartUploadResult>",
                      key ? key + 1 : "", id, count, checksum,
                      *checksum ? "<ChecksumType>FULL_OBJECT</ChecksumType>" : "");
}

static bool look_at_object(struct connection *c, const struct request *r) {
    saw(seen_heads, 1);
    char kept[2 * KEPT_LIMIT];
    long long size = store_look(r->target, kept);
    if (size < 0) return answer(c, "404 Not Found", "", 0, "");
    strncat(kept, "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n", sizeof kept - strlen(kept) - 1);
    return answer(c, "200 OK", kept, size, "");
}

// MARK: Lists

struct page {
    char text[PAGE_ROOM];
    size_t length;
    int count, last;
    bool more;
};

static void append(struct page *page, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(page->text + page->length, sizeof page->text - page->length, format, values);
    va_end(values);
    if (page->length + (size_t)length < sizeof page->text) page->length += (size_t)length;
}

static bool list_part(int number, const struct part *part, void *context) {
    struct page *page = context;
    if (page->count == PAGE) {
        page->more = true;
        return false;
    }
    append(page, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><Size>%lld</Size>%s"
                 "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Part>", number, part->etag, part->size, part->checksum);
    page->count++;
    page->last = number;
    return true;
}

static void list_upload(const char *path, long long id, void *context) {
    const char *key = strchr(path + 1, '/');
    append(context, "<Upload><Key>%s</Key><UploadId>%lld</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>",
           key ? key + 1 : "", id);
}

static bool list(struct connection *c, const struct request *r, long long id) {
    saw(seen_lists, 1);
    struct page *page = calloc(1, sizeof *page);
    if (!page) abort();
    bool found = true;
    if (id > 0) {
        long long after = request_number(r, "part-number-marker");
        append(page, "<ListPartsResult><UploadId>%lld</UploadId>", id);
        found = store_parts(r->target, id, after > 0 ? (int)after : 0, list_part, page);
        append(page, "<NextPartNumberMarker>%d</NextPartNumberMarker><IsTruncated>%s</IsTruncated></ListPartsResult>",
               page->last, page->more ? "true" : "false");
    } else if (request_asks(r, "uploads")) {
        append(page, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>");
        store_uploads(list_upload, page);
        append(page, "</ListMultipartUploadsResult>");
    } else {
        // The bucket is empty for a client that lists objects first.
        append(page, "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>");
    }
    bool kept = found ? answer(c, "200 OK", "Content-Type: application/xml\r\n", (long long)page->length, page->text)
                      : refuse(c, "404 Not Found", "NoSuchUpload");
    free(page);
    return kept;
}

// MARK: Requests

static bool dispatch(struct connection *c, const struct request *r, const char *body) {
    long long id = request_number(r, "uploadId");
    const char *key = strchr(r->target + 1, '/');
    bool on_bucket = r->target[0] != '/' || !key || !key[1];
    if (strcmp(r->method, "GET") == 0 && (on_bucket || id > 0)) return list(c, r, id);
    if (on_bucket) {
        saw(seen_others, 1);
        return answer(c, "200 OK", "", 0, "");
    }
    if (strcmp(r->method, "PUT") == 0) return id > 0 ? upload_part(c, r, id, request_number(r, "partNumber")) : put_object(c, r);
    if (strcmp(r->method, "HEAD") == 0) return look_at_object(c, r);
    if (strcmp(r->method, "POST") == 0 && request_asks(r, "uploads")) return create_upload(c, r);
    if (strcmp(r->method, "POST") == 0 && id > 0) return complete_upload(c, r, id, body);
    if (strcmp(r->method, "DELETE") == 0) {
        saw(id > 0 ? seen_aborts : seen_others, 1);
        if (id > 0 && !store_abort(r->target, id)) return refuse(c, "404 Not Found", "NoSuchUpload");
        if (id <= 0) store_delete(r->target);
        return answer(c, "204 No Content", "", 0, "");
    }
    saw(seen_others, 1);
    return refuse(c, "501 Not Implemented", "NotImplemented");
}

static bool take_body(struct connection *c, struct request *r) {
    double share = 1;
    bool puts = strcmp(r->method, "PUT") == 0 && (r->length > 0 || r->chunked);
    enum fate fate = puts ? line_fate(&share) : FATE_GOOD;
    if (puts) request_judge(r);
    char value[64];
    if (request_header(r, "expect:", value, sizeof value)) {
        // With `Expect`, a failure is sent before the body; the connection ends, as the body may still come.
        if (fate == FATE_FAILURE) return fail(c, "Connection: close\r\n"), false;
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        line_wait_round_trips(1);
        if (!connection_give(c, go_on, sizeof go_on - 1)) return false;
    }
    if (fate == FATE_RESET) {
        long long arriving = (long long)((double)r->length * share);
        if (r->chunked) connection_chunks(c, arriving);
        else connection_body(c, arriving, NULL);
        connection_cut(c);
        saw(seen_resets, 1);
        return false;
    }
    if (strcmp(r->method, "POST") == 0 && !r->chunked) {
        char *body = r->length <= BODY_LIMIT ? calloc(1, (size_t)r->length + 1) : NULL;
        bool kept = body && connection_body(c, r->length, body) && dispatch(c, r, body);
        free(body);
        return kept;
    }
    if (r->chunked) {
        r->length = connection_chunks(c, LLONG_MAX);
        if (r->length < 0) return false;
    } else if (!connection_body(c, r->length, NULL)) {
        return false;
    }
    return fate == FATE_FAILURE ? fail(c, "") : dispatch(c, r, "");
}

bool serve(struct connection *c) {
    char text[HEAD_LIMIT + 1], value[64];
    struct request request;
    if (!connection_head(c, text) || !request_parse(&request, text)) return false;
    saw(seen_requests, 1);
    bool carries = request.length > 0 || request.chunked;
    if (carries) saw_in_flight(1);
    bool kept = take_body(c, &request);
    if (carries) saw_in_flight(-1);
    return kept && !(request_header(&request, "connection:", value, sizeof value) && strcasecmp(value, "close") == 0);
}
