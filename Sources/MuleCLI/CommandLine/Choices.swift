/// The words of options with a fixed set of values; raw values are what users type.

/// Where the request's address has the bucket's name.
package enum AddressingChoice: String, CaseIterable, Sendable {
    case auto, path, virtual
}

/// What the store checks the bytes against.
package enum ChecksumChoice: String, CaseIterable, Sendable {
    case auto, crc64nvme, crc32c, crc32, sha256, md5, none
}

/// Whether a request's signature covers its body.
package enum PayloadSigningChoice: String, CaseIterable, Sendable {
    case auto, always, never
}

/// How progress is shown on standard error.
package enum ProgressChoice: String, CaseIterable, Sendable {
    case auto, bar, plain, none
}

/// Requests in flight at once.
package enum ConcurrencyChoice: Sendable, Equatable {
    case auto
    /// 1 to 256.
    case fixed(Int)
}

/// What decides whether a file is archived.
package enum CheckChoice: String, CaseIterable, Sendable {
    case ledger, remote
}
