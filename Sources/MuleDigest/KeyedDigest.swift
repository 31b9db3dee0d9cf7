import COpenSSL

/// The digest of an HMAC (RFC 2104).
package enum KeyedDigest: String, Sendable, CaseIterable {
    case sha256, sha512, sha1

    private var method: OpaquePointer? {
        switch self {
        case .sha256: EVP_sha256()
        case .sha512: EVP_sha512()
        case .sha1: EVP_sha1()
        }
    }

    package func code(key: [UInt8], message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var length: UInt32 = 0
            // It fails only if memory is exhausted or a provider is broken, which no caller can fix.
            guard HMAC(method, key, Int32(key.count), message, message.count, buffer.baseAddress, &length) != nil else {
                fatalError("OpenSSL's HMAC failed")
            }
            count = Int(length)
        }
    }
}
