#ifndef MULE_CCURL_SHIM_H
#define MULE_CCURL_SHIM_H

#include <curl/curl.h>

/* Swift cannot call the variadic curl_easy_setopt and curl_easy_getinfo: one function for each type of argument. */

static inline CURLcode mule_setopt_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode mule_setopt_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode mule_setopt_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode mule_setopt_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode mule_setopt_headers(CURL *handle, struct curl_slist *value) {
    return curl_easy_setopt(handle, CURLOPT_HTTPHEADER, value);
}

static inline CURLcode mule_setopt_addresses(CURL *handle, struct curl_slist *value) {
    return curl_easy_setopt(handle, CURLOPT_RESOLVE, value);
}

typedef size_t (*mule_data_callback)(char *bytes, size_t size, size_t count, void *context);
typedef int (*mule_seek_callback)(void *context, curl_off_t offset, int origin);
typedef curl_socket_t (*mule_open_socket_callback)(void *context, curlsocktype purpose, struct curl_sockaddr *address);
typedef int (*mule_close_socket_callback)(void *context, curl_socket_t socket);
typedef CURLcode (*mule_tls_callback)(CURL *handle, void *tls, void *context);

static inline CURLcode mule_setopt_data_callback(CURL *handle, CURLoption option, mule_data_callback callback) {
    return curl_easy_setopt(handle, option, callback);
}

static inline CURLcode mule_setopt_seek_callback(CURL *handle, mule_seek_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, callback);
}

static inline CURLcode mule_setopt_open_socket_callback(CURL *handle, mule_open_socket_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, callback);
}

static inline CURLcode mule_setopt_close_socket_callback(CURL *handle, mule_close_socket_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, callback);
}

static inline CURLcode mule_setopt_tls_callback(CURL *handle, mule_tls_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, callback);
}

/* Swift does not import CURLVERSION_NOW. */
static inline const curl_version_info_data *mule_version_info(void) {
    return curl_version_info(CURLVERSION_NOW);
}

static inline CURLcode mule_getinfo_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode mule_getinfo_string(CURL *handle, CURLINFO info, char **value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode mule_getinfo_offset(CURL *handle, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(handle, info, value);
}

/* The SSL of the current connection, if libcurl uses OpenSSL; only during a transfer. */
static inline void *mule_tls_connection(CURL *handle) {
    struct curl_tlssessioninfo *session = NULL;
    if (curl_easy_getinfo(handle, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || session == NULL ||
        session->backend != CURLSSLBACKEND_OPENSSL) {
        return NULL;
    }
    return session->internals;
}

/* The result of a finished transfer, which is in a union. */
static inline CURLcode mule_message_result(const CURLMsg *message) {
    return message->data.result;
}

#endif
