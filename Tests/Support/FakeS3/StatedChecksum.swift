import MuleDigest

/// The additional checksum that a request states in its headers, and the rules for stating one.
struct StatedChecksum: Sendable {
    /// The stated value; nil when there is none.
    var value: Checksum?

    /// - Throws: InvalidRequest for several, unknown or malformed values; the profile's refusal.
    init(_ request: RecordedRequest, profile: FakeProfile) throws(StoreError) {
        let prefix = "x-amz-checksum-"
        let fields = request.headers.filter { field in
            let name = field.name.lowercased()
            return name.hasPrefix(prefix) && !["algorithm", "type", "mode"].contains(name.dropFirst(prefix.count))
        }
        let declared = request.header("x-amz-checksum-algorithm")?.uppercased()
        switch profile.checksums {
        case .ignored: return
        case .refused(let status, let code, let algorithms):
            let named = fields.map { $0.name.dropFirst(prefix.count).uppercased() } + [declared ?? ""]
            let isRefused = named.contains { name in
                !name.isEmpty && (algorithms?.contains { $0.rawValue == name } ?? true)
            }
            if isRefused { throw StoreError(status, code, "Unsupported header 'x-amz-checksum-*' received.") }
        case .enforced: break
        }
        guard fields.count <= 1 else {
            throw .invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
        }
        guard let field = fields.first else { return }
        let name = field.name.dropFirst(prefix.count).uppercased()
        guard let algorithm = ChecksumAlgorithm(rawValue: name) else {
            throw .invalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
        }
        value = Checksum(algorithm: algorithm, base64: field.value)
        if value == nil && request.operation != .complete {
            throw .invalidRequest("Value for \(field.name.lowercased()) header is invalid.")
        }
    }

    /// Algorithm and kind that CreateMultipartUpload declares, with AWS's default kind for each algorithm.
    static func declared(_ request: RecordedRequest) throws(StoreError) -> (ChecksumAlgorithm, FakeChecksum.Kind)? {
        let kind = request.header("x-amz-checksum-type")
        guard let name = request.header("x-amz-checksum-algorithm") else {
            if kind != nil {
                throw .invalidRequest("The x-amz-checksum-type header can only be used with x-amz-checksum-algorithm.")
            }
            return nil
        }
        guard let algorithm = ChecksumAlgorithm(rawValue: name.uppercased()) else {
            throw .invalidRequest("Checksum algorithm provided is unsupported.")
        }
        guard let kind else { return (algorithm, algorithm == .crc64nvme ? .fullObject : .composite) }
        guard let kind = FakeChecksum.Kind(rawValue: kind.uppercased()) else {
            throw .invalidRequest("Value for x-amz-checksum-type header is invalid.")
        }
        let forbidden: FakeChecksum.Kind? =
            algorithm == .crc64nvme ? .composite : CRCAlgorithm(algorithm) == nil ? .fullObject : nil
        if kind == forbidden {
            throw .invalidRequest(
                "The \(kind.rawValue) checksum type cannot be used with the \(name.lowercased()) checksum algorithm."
            )
        }
        return (algorithm, kind)
    }
}
