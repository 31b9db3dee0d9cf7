// sink: accepts uploads like an S3 store and discards their bytes, so that mainly the client is measured.
//
//     sink [--tls CERTIFICATE KEY] [--connection-mbits N] [--total-mbits N] [--latency-ms N]
//          [--failing SHARE] [--resetting SHARE] [--seed N]
//
// It listens on 127.0.0.1 and prints "listening PORT". For each line on its standard input it prints its counts as a
// line of JSON; the line "lift" first lifts the limits of the link's speed, "limit" restores them. It ends with its standard input, so it never outlives its parent. Each thread serves one connection:
// it reads a head, discards the body (without TLS the kernel does so without copying; with TLS it must be decrypted),
// and answers.
//
// It checks no signature, checksum or bucket, and echoes the checksums that a client sends.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seen.h"
#include "serve.h"

enum { TLS_BUFFER = 64 << 10 };

static SSL_CTX *tls_context;

static void *serve_connection(void *argument) {
    struct connection *c = argument;
    // The duration of TCP's handshake, and of TLS's after it.
    line_wait_round_trips(c->tls ? 2 : 1);
    if (!c->tls || SSL_accept(c->tls) == 1) {
        while (serve(c)) {}
    }
    if (c->tls) SSL_free(c->tls);
    close(c->socket);
    free(c);
    return NULL;
}

static void *accept_connections(void *argument) {
    int listener = *(int *)argument, on = 1;
    while (true) {
        int socket = accept(listener, NULL, NULL);
        if (socket < 0) continue;
        struct connection *c = malloc(sizeof *c);
        if (!c) abort();
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->socket = socket;
        c->filled = 0;
        c->pace.carried = 0;
        c->tls = tls_context ? SSL_new(tls_context) : NULL;
        if (c->tls) SSL_set_fd(c->tls, socket);
        saw(seen_connections, 1);
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve_connection, c) != 0) abort();
        pthread_detach(thread);
    }
}

static _Noreturn void die(const char *what, const char *which) {
    fprintf(stderr, "sink: %s %s\n", what, which);
    exit(2);
}

static void speak_tls(const char *certificate, const char *key) {
    tls_context = SSL_CTX_new(TLS_server_method());
    if (!tls_context || SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1)
        die("cannot use the certificate", certificate);
    // Several records per system call.
    SSL_CTX_set_read_ahead(tls_context, 1);
    SSL_CTX_set_default_read_buffer_len(tls_context, TLS_BUFFER);
}

static void read_options(char **words) {
    static const struct {
        const char *name;
        double *value, unit;
    } numbers[] = {
        {"--connection-mbits", &line.connection_rate, 1e6 / 8}, {"--total-mbits", &line.total_rate, 1e6 / 8},
        {"--latency-ms", &line.latency, 1e-3},                  {"--failing", &line.failing, 1},
        {"--resetting", &line.resetting, 1},
    };
    line.seed = 1;
    for (char **word = words + 1; *word; word += 2) {
        if (!word[1]) die("no value for", *word);
        if (strcmp(*word, "--tls") == 0) {
            if (!word[2]) die("no key for", *word);
            speak_tls(word[1], word[2]);
            word++;
            continue;
        }
        if (strcmp(*word, "--seed") == 0) {
            line.seed = strtoull(word[1], NULL, 10);
            continue;
        }
        size_t i = 0, count = sizeof numbers / sizeof *numbers;
        while (i < count && strcmp(*word, numbers[i].name) != 0) i++;
        if (i == count) die("unknown option", *word);
        *numbers[i].value = atof(word[1]) * numbers[i].unit;
    }
}

int main(int count, char **words) {
    (void)count;
    read_options(words);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line_is_paced()) {
        int room = line_buffer();
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("sink");
        return 1;
    }
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_t acceptor;
    if (pthread_create(&acceptor, NULL, accept_connections, &listener) != 0) abort();

    char text[4096];
    while (fgets(text, sizeof text, stdin)) {
        if (strcmp(text, "lift\n") == 0) line_lift(true);
        if (strcmp(text, "limit\n") == 0) line_lift(false);
        describe_seen(text, sizeof text);
        puts(text);
        fflush(stdout);
    }
    _exit(0);
}
