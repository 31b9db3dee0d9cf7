// sink: takes uploads as an S3 store does and forgets their bytes, so that what is measured beside it is the client.
//
//     sink [CERTIFICATE KEY]        PEM files; without them, plain HTTP
//
// It listens on 127.0.0.1, says "listening PORT", and at SIGTERM or SIGINT prints what it has seen as JSON; GET /-/seen
// answers the same at any time. One thread serves one connection, from request to request: accept, read a head, throw
// the body away (MSG_TRUNC: the kernel frees it without copying; over TLS it must be decrypted), answer.
//
// What it is not: it checks no signature, no checksum and no bucket, and echoes the checksum a client states. It keeps
// names, sizes and metadata, so that a client that looks for its object finds it.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_LIMIT = 32 << 10, SCRATCH = 256 << 10, PART_LIMIT = 10000, KEPT_LIMIT = 4096 };

static struct {
    atomic_llong requests, bytes, connections, refusals;
} seen;

static SSL_CTX *tls_context;

// MARK: Objects and uploads

// An object, or an upload that will be one: it has an ID then, and the sizes of its parts.
struct item {
    struct item *next;
    char *path;
    long long id;
    long long *parts;
    long long size;
    char kept[KEPT_LIMIT];  // headers that HEAD gives back
};

static struct item *items;
static long long last_id;
static pthread_mutex_t items_lock = PTHREAD_MUTEX_INITIALIZER;

// With the lock held. ID 0 is the finished object under the path.
static struct item **find(const char *path, long long id) {
    struct item **place = &items;
    while (*place && !((*place)->id == id && strcmp((*place)->path, path) == 0)) place = &(*place)->next;
    return place;
}

static void forget(struct item **place) {
    struct item *item = *place;
    if (!item) return;
    *place = item->next;
    free(item->path);
    free(item->parts);
    free(item);
}

static struct item *keep(const char *path, long long id) {
    struct item *item = calloc(1, sizeof *item);
    if (!item || !(item->path = strdup(path))) abort();
    if (id && !(item->parts = calloc(PART_LIMIT + 1, sizeof *item->parts))) abort();
    item->id = id;
    item->next = items;
    return items = item;
}

// MARK: Connections

struct connection {
    int socket;
    SSL *tls;
    size_t filled;  // bytes in `head`, of which some may belong to the body or to the next request
    char head[HEAD_LIMIT + 1];
    char scratch[SCRATCH];
};

static ssize_t take(struct connection *c, void *bytes, size_t count) {
    return c->tls ? SSL_read(c->tls, bytes, (int)count) : recv(c->socket, bytes, count, 0);
}

static bool give(struct connection *c, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t gone = c->tls ? SSL_write(c->tls, bytes, (int)count) : send(c->socket, bytes, count, MSG_NOSIGNAL);
        if (gone <= 0) return false;
        bytes += gone;
        count -= (size_t)gone;
    }
    return true;
}

static bool discard(struct connection *c, long long count) {
    size_t here = count < (long long)c->filled ? (size_t)count : c->filled;
    memmove(c->head, c->head + here, c->filled -= here);
    atomic_fetch_add(&seen.bytes, (long long)here);
    count -= (long long)here;
    while (count > 0) {
        size_t piece = count < SCRATCH ? (size_t)count : SCRATCH;
        // Without TLS nothing is copied, so a piece may be as long as what has come.
        ssize_t gone = c->tls ? SSL_read(c->tls, c->scratch, (int)piece)
                              : recv(c->socket, NULL, count < 1 << 30 ? (size_t)count : 1 << 30, MSG_TRUNC);
        if (gone <= 0) return false;
        atomic_fetch_add(&seen.bytes, (long long)gone);
        count -= gone;
    }
    return true;
}

// MARK: Requests

struct request {
    char method[8];
    char target[4096];
    char *query;          // behind the `?` of the target, or empty
    const char *headers;  // lines, each ended by CRLF
    long long length;     // of the body
};

// The value of a header, into `value`; false when there is none. The name ends with its colon.
static bool header(const struct request *r, const char *name, char *value, size_t room) {
    for (const char *line = r->headers; line && *line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
        if (strncasecmp(line, name, strlen(name)) != 0) continue;
        line += strlen(name);
        line += strspn(line, " \t");
        snprintf(value, room, "%.*s", (int)strcspn(line, "\r"), line);
        return true;
    }
    return false;
}

// The lines of headers that begin with the prefix, added to `text`.
static void collect(const struct request *r, const char *prefix, char *text, size_t room) {
    for (const char *line = r->headers; line && *line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
        size_t length = strcspn(line, "\r"), used = strlen(text);
        if (strncasecmp(line, prefix, strlen(prefix)) == 0 && used + length + 3 < room)
            snprintf(text + used, room - used, "%.*s\r\n", (int)length, line);
    }
}

static long long query_number(const struct request *r, const char *name) {
    for (const char *item = r->query; *item; item += *item == '&') {
        if (strncmp(item, name, strlen(name)) == 0 && item[strlen(name)] == '=') return atoll(item + strlen(name) + 1);
        item += strcspn(item, "&");
    }
    return -1;
}

static bool has_query(const struct request *r, const char *name) {
    size_t length = strlen(name);
    return strncmp(r->query, name, length) == 0 && strchr("=&", r->query[length]);
}

// `headers` are whole lines; a HEAD is answered with the length of what it leaves out.
static bool answer(struct connection *c, const char *status, const char *headers, long long length, const char *body) {
    char text[2 * KEPT_LIMIT + 1024];
    int count = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sContent-Length: %lld\r\nx-amz-request-id: sink\r\n\r\n%s",
                         status, headers, length, body);
    if (status[0] >= '4') atomic_fetch_add(&seen.refusals, 1);
    return give(c, text, (size_t)count);
}

static bool answer_text(struct connection *c, const char *status, const char *headers, const char *format, ...) {
    char body[KEPT_LIMIT];
    va_list values;
    va_start(values, format);
    vsnprintf(body, sizeof body, format, values);
    va_end(values);
    return answer(c, status, headers, (long long)strlen(body), body);
}

static bool refuse(struct connection *c, const char *status, const char *code) {
    return answer_text(c, status, "", "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
}

static void describe(char *text, size_t room) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
        + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    snprintf(text, room,
             "{\"bytes\": %lld, \"connections\": %lld, \"cpuSeconds\": %.3f, \"refusals\": %lld, \"requests\": %lld}",
             atomic_load(&seen.bytes), atomic_load(&seen.connections), cpu, atomic_load(&seen.refusals),
             atomic_load(&seen.requests));
}

// MARK: Operations

static bool create_upload(struct connection *c, struct request *r) {
    char checksum[KEPT_LIMIT] = "";
    collect(r, "x-amz-checksum-", checksum, sizeof checksum);
    pthread_mutex_lock(&items_lock);
    long long id = ++last_id;
    struct item *upload = keep(r->target, id);
    collect(r, "x-amz-meta-", upload->kept, sizeof upload->kept);
    pthread_mutex_unlock(&items_lock);
    return answer_text(c, "200 OK", checksum,
                       "<InitiateMultipartUploadResult><UploadId>%lld</UploadId></InitiateMultipartUploadResult>", id);
}

static bool upload_part(struct connection *c, struct request *r, long long id, long long number) {
    if (number < 1 || number > PART_LIMIT) return refuse(c, "400 Bad Request", "InvalidArgument");
    char headers[KEPT_LIMIT];
    snprintf(headers, sizeof headers, "ETag: \"sink-%lld\"\r\n", number);
    collect(r, "x-amz-checksum-", headers, sizeof headers);
    pthread_mutex_lock(&items_lock);
    struct item *upload = *find(r->target, id);
    if (upload) upload->parts[number] = r->length;
    pthread_mutex_unlock(&items_lock);
    return upload ? answer(c, "200 OK", headers, 0, "") : refuse(c, "404 Not Found", "NoSuchUpload");
}

// `x-amz-checksum-crc64nvme: V` becomes `<ChecksumCRC64NVME>V</…>`.
static void checksum_element(const struct request *r, char *text, size_t room) {
    static const char *const names[] = {"CRC64NVME", "CRC32C", "CRC32", "SHA256"};
    *text = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64], value[128];
        snprintf(name, sizeof name, "x-amz-checksum-%s:", names[i]);
        if (header(r, name, value, sizeof value))
            snprintf(text, room, "<Checksum%s>%s</Checksum%s><ChecksumType>FULL_OBJECT</ChecksumType>", names[i], value,
                     names[i]);
    }
}

static bool complete_upload(struct connection *c, struct request *r, long long id) {
    char checksum[512];
    checksum_element(r, checksum, sizeof checksum);
    long long count = 0;
    pthread_mutex_lock(&items_lock);
    struct item *upload = *find(r->target, id);
    if (upload) {
        for (int part = 1; part <= PART_LIMIT; part++) {
            upload->size += upload->parts[part];
            count += upload->parts[part] > 0;
        }
        forget(find(r->target, 0));
        struct item *object = keep(r->target, 0);
        object->size = upload->size;
        snprintf(object->kept, sizeof object->kept, "ETag: \"sink-%lld\"\r\n%.3900s", count, upload->kept);
        collect(r, "x-amz-checksum-", object->kept, sizeof object->kept);
        forget(find(r->target, id));
    }
    pthread_mutex_unlock(&items_lock);
    if (count == 0) return refuse(c, "404 Not Found", "NoSuchUpload");
    return answer_text(c, "200 OK", "Content-Type: application/xml\r\n",
                       "<CompleteMultipartUploadResult><ETag>&quot;sink-%lld&quot;</ETag>%s"
                       "</CompleteMultipartUploadResult>", count, checksum);
}

static bool put_object(struct connection *c, struct request *r) {
    char headers[KEPT_LIMIT] = "ETag: \"sink-0\"\r\n";
    collect(r, "x-amz-checksum-", headers, sizeof headers);
    pthread_mutex_lock(&items_lock);
    forget(find(r->target, 0));
    struct item *object = keep(r->target, 0);
    memcpy(object->kept, headers, sizeof headers);
    collect(r, "x-amz-meta-", object->kept, sizeof object->kept);
    object->size = r->length;
    pthread_mutex_unlock(&items_lock);
    return answer(c, "200 OK", headers, 0, "");
}

static bool head_object(struct connection *c, struct request *r) {
    char headers[KEPT_LIMIT] = "";
    long long size = -1;
    pthread_mutex_lock(&items_lock);
    struct item *object = *find(r->target, 0);
    if (object) {
        memcpy(headers, object->kept, sizeof headers);
        size = object->size;
    }
    pthread_mutex_unlock(&items_lock);
    return size < 0 ? answer(c, "404 Not Found", "", 0, "") : answer(c, "200 OK", headers, size, "");
}

static bool serve(struct connection *c, struct request *r) {
    long long id = query_number(r, "uploadId"), part = query_number(r, "partNumber");
    if (strcmp(r->method, "GET") == 0 && strcmp(r->target, "/-/seen") == 0) {
        char text[512];
        describe(text, sizeof text);
        return answer_text(c, "200 OK", "", "%s\n", text);
    }
    if (strcmp(r->method, "PUT") == 0) return id > 0 ? upload_part(c, r, id, part) : put_object(c, r);
    if (strcmp(r->method, "HEAD") == 0) return head_object(c, r);
    if (strcmp(r->method, "POST") == 0 && has_query(r, "uploads")) return create_upload(c, r);
    if (strcmp(r->method, "POST") == 0 && id > 0) return complete_upload(c, r, id);
    if (strcmp(r->method, "DELETE") == 0) {
        pthread_mutex_lock(&items_lock);
        forget(find(r->target, id > 0 ? id : 0));
        pthread_mutex_unlock(&items_lock);
        return answer(c, "204 No Content", "", 0, "");
    }
    return refuse(c, "501 Not Implemented", "NotImplemented");
}

// Reads one request, its body too, and answers it; false when the connection has come to its end.
static bool converse(struct connection *c) {
    char *end;
    while (c->head[c->filled] = 0, !(end = strstr(c->head, "\r\n\r\n"))) {
        if (c->filled == HEAD_LIMIT) return false;
        ssize_t got = take(c, c->head + c->filled, HEAD_LIMIT - c->filled);
        if (got <= 0) return false;
        c->filled += (size_t)got;
    }
    char text[HEAD_LIMIT + 1];
    size_t size = (size_t)(end - c->head) + 4;
    memcpy(text, c->head, size - 2);
    text[size - 2] = 0;
    memmove(c->head, c->head + size, c->filled -= size);

    struct request request;
    if (sscanf(text, "%7s %4095s", request.method, request.target) != 2) return false;
    request.query = request.target + strcspn(request.target, "?");
    if (*request.query) *request.query++ = 0;
    request.headers = strstr(text, "\r\n") + 2;
    char value[128];
    request.length = header(&request, "content-length:", value, sizeof value) ? atoll(value) : 0;
    if (header(&request, "transfer-encoding:", value, sizeof value)) {
        refuse(c, "411 Length Required", "MissingContentLength");
        return false;
    }
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (header(&request, "expect:", value, sizeof value) && !give(c, go_on, sizeof go_on - 1)) return false;
    if (!discard(c, request.length)) return false;
    atomic_fetch_add(&seen.requests, 1);
    return serve(c, &request);
}

static void *connection_main(void *argument) {
    struct connection *c = argument;
    if (!c->tls || SSL_accept(c->tls) == 1) {
        while (converse(c)) {}
    }
    if (c->tls) SSL_free(c->tls);
    close(c->socket);
    free(c);
    return NULL;
}

static void *accept_main(void *argument) {
    int listener = *(int *)argument, on = 1;
    while (true) {
        int socket = accept(listener, NULL, NULL);
        struct connection *c = socket < 0 ? NULL : malloc(sizeof *c);
        if (!c) continue;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->socket = socket;
        c->filled = 0;
        c->tls = tls_context ? SSL_new(tls_context) : NULL;
        if (c->tls) SSL_set_fd(c->tls, socket);
        atomic_fetch_add(&seen.connections, 1);
        pthread_t thread;
        if (pthread_create(&thread, NULL, connection_main, c) != 0) abort();
        pthread_detach(thread);
    }
}

int main(int count, char **words) {
    if (count != 1 && count != 3) {
        fprintf(stderr, "usage: sink [CERTIFICATE KEY]\n");
        return 2;
    }
    if (count == 3) {
        tls_context = SSL_CTX_new(TLS_server_method());
        if (!tls_context || SSL_CTX_use_certificate_chain_file(tls_context, words[1]) != 1
            || SSL_CTX_use_PrivateKey_file(tls_context, words[2], SSL_FILETYPE_PEM) != 1) {
            fprintf(stderr, "sink: cannot use %s with %s\n", words[1], words[2]);
            return 1;
        }
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 512) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("sink");
        return 1;
    }
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_t acceptor;
    if (pthread_create(&acceptor, NULL, accept_main, &listener) != 0) abort();

    int number;
    sigwait(&ends, &number);
    char text[512];
    describe(text, sizeof text);
    puts(text);
    fflush(stdout);
    _exit(0);
}
