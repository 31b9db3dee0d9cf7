import MuleDigest

// Google Cloud Storage's XML API with HMAC keys: the rules in which it differs from Amazon's, and no leniency where it has
// none.
//
// Sources: https://cloud.google.com/storage/docs/xml-api/reference-headers, .../aws-simple-migration,
// .../xml-api/post-object-complete, .../xml-api/post-object-multipart, .../request-preconditions; refusals as reported in
// qdrant/qdrant#9568 (403), langfuse/langfuse#13280 (412), gitlab-org/gitlab-ce!23858 (both kinds of headers),
// TraceMachina/nativelink#491 (411), ClickHouse/ClickHouse#115266 (conditions of S3 are ignored).
extension ServerState {
    func checkGoogleRules(_ request: RecordedRequest) throws(StoreError) {
        guard profile.isGoogle else { return }
        let names = request.headers.map { $0.name.lowercased() }
        let isGoogles = request.header("authorization")?.hasPrefix("GOOG4-") ?? false
        let foreign = isGoogles ? "x-amz-" : "x-goog-"
        if let name = names.first(where: { $0.hasPrefix(foreign) }) {
            throw StoreError(
                400,
                "ExcessHeaderValues",
                "Requests cannot specify both x-amz and x-goog headers: \(name)"
            )
        }
        if request.method == "POST", request.header("content-length") == nil {
            throw StoreError(411, "MissingContentLength")
        }
        if names.contains(where: { $0.hasPrefix("x-amz-checksum-") && $0 != "x-amz-checksum-mode" }) {
            switch request.operation {
            case .complete: throw StoreError(412, "PreconditionFailed")
            case .uploadPart, .putObject: throw StoreError(403, "SignatureDoesNotMatch", "Invalid argument.")
            default: break
            }
        }
        if names.contains("x-amz-tagging") { throw StoreError(400, "InvalidArgument", "Invalid argument.") }
        guard let condition = request.header("x-goog-if-generation-match") else { return }
        guard request.operation == .putObject, condition == "0" else {
            throw StoreError(400, "InvalidArgument", "Invalid argument.")
        }
        if store.buckets[request.bucket]?.objects[request.key] != nil { throw StoreError(412, "PreconditionFailed") }
    }

    mutating func newGeneration() -> String {
        created += 1
        return String(1_700_000_000_000_000 + created)
    }

    /// What Google shows of an object.
    func googleHeaders(_ object: FakeObject) -> [FakeHeader] {
        guard profile.isGoogle else { return [] }
        return [FakeHeader("x-goog-generation", object.generation)]
            + hashes(crc32c: object.checksum?.value, md5: object.uploadID == nil ? object.parts.first?.eTag : nil)
    }

    /// What Google answers for a part.
    func googleHeaders(_ part: FakePart) -> [FakeHeader] {
        profile.isGoogle ? hashes(crc32c: part.checksum?.base64, md5: part.eTag) : []
    }

    /// - Parameter md5: in hex, as an ETag is.
    private func hashes(crc32c: String?, md5: String?) -> [FakeHeader] {
        let pairs = [
            crc32c.map { "crc32c=" + $0 }, md5.flatMap { Hex.decode($0) }.map { "md5=" + Base64.encode($0) },
        ]
        return pairs.compactMap(\.self).map { FakeHeader("x-goog-hash", $0) }
    }
}
