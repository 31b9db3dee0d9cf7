import COpenSSL

/// An incremental SHA-256 or MD5, over one OpenSSL context that is reused after each `finish`. For one thread at a
/// time.
package struct MessageDigest: ~Copyable {
    package enum Kind: Sendable, CaseIterable {
        case sha256
        case md5

        package var checksumAlgorithm: ChecksumAlgorithm {
            switch self {
            case .sha256: .sha256
            case .md5: .md5
            }
        }
    }

    package let kind: Kind
    private let context: OpaquePointer
    /// Whether the context has a finished digest.
    private var isFinished = false

    package init(_ kind: Kind) {
        // It fails only if memory is exhausted, which also ends the process in Swift's own allocations.
        guard let context = EVP_MD_CTX_new() else { fatalError("OpenSSL is out of memory") }
        self.kind = kind
        self.context = context
        require(EVP_DigestInit_ex2(context, FetchedDigest.of(kind).method, nil), "EVP_DigestInit_ex2")
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        if isFinished { restart() }
        require(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count), "EVP_DigestUpdate")
    }

    /// Discards the bytes so far.
    package mutating func restart() {
        // Without a method, the context keeps the one it has (EVP_DigestInit(3)).
        require(EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit_ex2")
        isFinished = false
    }

    /// The digest of the bytes since the start or the last `finish`. Starts a new digest.
    package mutating func finish() -> [UInt8] {
        if isFinished { restart() }
        let digest = [UInt8](unsafeUninitializedCapacity: kind.checksumAlgorithm.byteCount) { buffer, count in
            require(EVP_DigestFinal_ex(context, buffer.baseAddress, nil), "EVP_DigestFinal_ex")
            count = kind.checksumAlgorithm.byteCount
        }
        isFinished = true
        return digest
    }
}

extension MessageDigest {
    /// Whether a SHA-256 takes less time than an MD5 here, as on processors with SHA instructions. Measured once, in
    /// about a millisecond.
    package static let sha256IsFaster = time(.sha256) < time(.md5)

    private static func time(_ kind: Kind) -> Duration {
        var digest = MessageDigest(kind)
        let bytes = [UInt8](repeating: 0, count: 32 << 10)
        var least = Duration.seconds(1)
        // The least of several, because another process may run in between.
        for _ in 0..<8 {
            let start = ContinuousClock.now
            bytes.withUnsafeBytes { digest.update($0) }
            least = min(least, ContinuousClock.now - start)
        }
        return least
    }
}

package func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] {
    digest(bytes, FetchedDigest.sha256, count: ChecksumAlgorithm.sha256.byteCount)
}

/// Used only for the file names of AWS's cached logins, not for security.
package func sha1(_ bytes: some Collection<UInt8>) -> [UInt8] {
    digest(bytes, FetchedDigest.sha1, count: 20)
}

private func digest(_ bytes: some Collection<UInt8>, _ kind: FetchedDigest, count size: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        withBytes(of: bytes) { bytes in
            require(
                EVP_Digest(bytes.baseAddress, bytes.count, buffer.baseAddress, nil, kind.method, nil),
                "EVP_Digest"
            )
        }
        count = size
    }
}

/// RFC 2104 over SHA-256.
package func hmacSHA256(key: [UInt8], message: some Collection<UInt8>) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: ChecksumAlgorithm.sha256.byteCount) { buffer, count in
        withBytes(of: message) { message in
            let result = HMAC(
                FetchedDigest.sha256.method,
                key,
                Int32(key.count),
                message.baseAddress?.assumingMemoryBound(to: UInt8.self),
                message.count,
                buffer.baseAddress,
                nil
            )
            require(result == nil ? 0 : 1, "HMAC")
        }
        count = ChecksumAlgorithm.sha256.byteCount
    }
}

/// An OpenSSL digest method, fetched once per process: fetching takes longer than the digest of a short text
/// (crypto(7), "Performance").
///
/// `@unchecked Sendable`: a fetched method is never modified, and its reference count is atomic.
private struct FetchedDigest: @unchecked Sendable {
    let method: OpaquePointer

    static let sha256 = FetchedDigest("SHA256", properties: nil)
    /// `-fips` allows MD5 even if the system offers only FIPS algorithms by default: here it is for a store's ETag or
    /// `Content-MD5`, not for security.
    static let md5 = FetchedDigest("MD5", properties: "-fips")

    static let sha1 = FetchedDigest("SHA1", properties: nil)

    static func of(_ kind: MessageDigest.Kind) -> FetchedDigest {
        switch kind {
        case .sha256: sha256
        case .md5: md5
        }
    }

    private init(_ name: String, properties: String?) {
        guard let method = EVP_MD_fetch(nil, name, properties) else { fatalError("this OpenSSL has no \(name)") }
        self.method = method
    }
}

/// These calls fail only if memory is exhausted or a provider is broken, which no caller can fix.
private func require(_ result: Int32, _ call: StaticString) {
    guard result == 1 else { fatalError("OpenSSL's \(call) failed") }
}

private func withBytes(of bytes: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) -> Void) {
    let contiguous: Void? = bytes.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
    if contiguous == nil { Array(bytes).withUnsafeBytes(body) }
}
