#ifndef MULE_COPENSSL_SHIM_H
#define MULE_COPENSSL_SHIM_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#endif
