#ifndef MULE_CSSL_SHIM_H
#define MULE_CSSL_SHIM_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509err.h>
#include <openssl/x509v3.h>

/* A macro. The context is an SSL_CTX, which libcurl passes as an untyped pointer. */
static inline long mule_verify_with(void *context, X509_STORE *store) {
    return SSL_CTX_set1_verify_cert_store((SSL_CTX *)context, store);
}

/* An inline function, which takes an unsigned long. */
static inline int mule_error_reason(unsigned long error) {
    return ERR_GET_REASON(error);
}

#endif
