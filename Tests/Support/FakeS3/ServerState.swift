import Glibc
import MuleDigest
import MuleSystem

/// All that the fake knows, behind one lock.
struct ServerState: Sendable {
    var store = FakeStore()
    var profile: FakeProfile
    var region: String
    var baseDomain: String
    var credentials: [FakeCredentials]
    var faults: [Fault]
    var bodyHooks: [BodyHook] = []
    var requests: [RecordedRequest] = []
    var violations: [String] = []
    var unsignedPayloads = 0
    var payloadBytesReceived: Int64 = 0

    /// Moves with every request, body chunk and answer.
    var generation = 0
    var isStopping = false
    /// Sockets that `stop` must shut down; a connection takes its own out before it closes it.
    var openSockets: Set<Int32> = []
    var liveThreads = 0
    var connections = 0
    var tokens = SeededRandom(seed: 0x5EED)
    var created = 0

    var now: Int64 { StoreClock.now + Int64(profile.clockOffsetSeconds) }

    /// Records a request and picks the fault that strikes it.
    mutating func begin(_ head: RequestHead, connection: Int) -> (RecordedRequest, Disruption) {
        let address = Address(host: head["host"] ?? "", path: head.rawPath, baseDomain: baseDomain)
        let query = head.query
        let operation =
            address == nil || query == nil
            ? FakeOperation.unknown
            : FakeOperation(
                method: head.method,
                hasBucket: address?.bucket.isEmpty == false,
                hasKey: address?.key != nil,
                query: query ?? []
            )
        let request = RecordedRequest(
            index: requests.count,
            connection: connection,
            operation: operation,
            method: head.method,
            target: String(decoding: head.rawTarget, as: UTF8.self),
            bucket: address?.bucket ?? "",
            key: address?.key ?? [],
            query: query ?? [],
            headers: head.headers,
            startedAt: .now()
        )
        var disruption = Disruption()
        for index in faults.indices where faults[index].strikes(request) {
            disruption = Disruption(faults[index].actions)
            requests.append(request)
            requests[request.index].disturbed = true
            return (request, disruption)
        }
        requests.append(request)
        return (request, disruption)
    }

    /// Refusals that need no look at the body, so that `Expect: 100-continue` saves sending it.
    func admit(_ request: RecordedRequest) throws(StoreError) {
        if profile.denied.contains(request.operation) { throw StoreError(403, "AccessDenied") }
        guard request.operation != .unknown else {
            throw StoreError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        }
        if request.operation == .listBuckets { return }
        guard let bucket = store.buckets[request.bucket] else {
            throw StoreError(404, "NoSuchBucket", elements: [FakeXML("BucketName", request.bucket)])
        }
        if request.key.count > 1_024 { throw StoreError(400, "KeyTooLongError", "Your key is too long") }
        try checkGoogleRules(request)
        let stated = try StatedChecksum(request, profile: profile).value
        if profile.demandsBodyDigest, request.operation.carriesPayload, stated == nil,
            request.header("content-md5") == nil
        {
            throw .invalidRequest(
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock"
                    + " parameters"
            )
        }
        if request.operation == .uploadPart {
            guard let number = request.partNumber, (1...profile.maxParts).contains(number) else {
                throw StoreError(
                    400,
                    "InvalidArgument",
                    "Part number must be an integer between 1 and \(profile.maxParts), inclusive",
                    elements: [FakeXML("ArgumentName", "partNumber")]
                )
            }
            let uploadID = request.uploadID ?? ""
            guard let upload = bucket.uploads[uploadID], upload.key == request.key else {
                throw .noSuchUpload(uploadID, profile: profile)
            }
        }
        if request.operation.carriesPayload, let length = request.header("content-length").flatMap({ Int64($0) }),
            length > profile.maximumPartSize
        {
            throw StoreError(
                400,
                "EntityTooLarge",
                elements: [
                    FakeXML("ProposedSize", "\(length)"), FakeXML("MaxSizeAllowed", "\(profile.maximumPartSize)"),
                ]
            )
        }
    }

    /// Digests that the operation will ask for.
    func digestNeeds(_ request: RecordedRequest, payloadHash: [UInt8]?) -> DigestNeeds {
        var needs = DigestNeeds()
        needs.sha256 = payloadHash != nil && profile.verifiesPayloadHash
        needs.md5 = profile.verifiesContentMD5 && request.header("content-md5") != nil
        guard request.operation.carriesPayload else { return needs }
        if case .md5 = profile.eTagStyle { needs.md5 = true }
        if profile.isGoogle { needs.checksum = .crc32c }
        if profile.handlesChecksums, profile.verifiesChecksums {
            let stated = (try? StatedChecksum(request, profile: profile))?.value?.algorithm
            let declared = store.buckets[request.bucket]?.uploads[request.uploadID ?? ""]?.checksumAlgorithm
            needs.checksum = stated ?? declared ?? profile.ownAlgorithm
        }
        return needs
    }

    /// Does the operation.
    mutating func perform(_ request: RecordedRequest, _ body: ReceivedBody) throws(StoreError) -> FakeReply {
        try admit(request)
        try checkCustomerKey(request)
        var reply = try result(of: request, body)
        reply.headers += encryptionEcho(request)
        return reply
    }

    private mutating func result(of request: RecordedRequest, _ body: ReceivedBody) throws(StoreError) -> FakeReply {
        switch request.operation {
        case .putObject: return try putObject(request, body)
        case .create: return try createUpload(request)
        case .uploadPart: return try uploadPart(request, body)
        case .listParts: return try listParts(request)
        case .complete: return try completeUpload(request)
        case .abort: return try abortUpload(request)
        case .listUploads: return try listUploads(request)
        case .headObject, .getObject: return try readObject(request)
        case .getAttributes: return try objectAttributes(request)
        case .getLifecycle:
            return try setting(profile.lifecycle, "LifecycleConfiguration", absent: "NoSuchLifecycleConfiguration")
        case .getObjectLock:
            return try setting(
                profile.objectLock,
                "ObjectLockConfiguration",
                absent: "ObjectLockConfigurationNotFoundError"
            )
        case .getVersioning:
            let status = profile.hasVersions ? [FakeXML("Status", "Enabled")] : []
            return .document(FakeXML("VersioningConfiguration", children: status))
        case .listBuckets: return .document(FakeXML("ListAllMyBucketsResult", children: [person("Owner", "owner")]))
        case .deleteObject:
            if request.header("if-match") == "*", store.buckets[request.bucket]?.objects[request.key] == nil {
                throw .noSuchKey(request.key)
            }
            store.buckets[request.bucket]?.objects[request.key] = nil
            return FakeReply(204)
        case .headBucket: return FakeReply(200, headers: [FakeHeader("x-amz-bucket-region", region)])
        case .unknown: throw StoreError(405, "MethodNotAllowed")
        }
    }

    private func setting(_ value: [FakeXML]?, _ root: String, absent: String) throws(StoreError) -> FakeReply {
        guard profile.knowsSettings else { return .document(FakeXML("ListBucketResult")) }
        guard let value else { throw StoreError(404, absent) }
        return .document(FakeXML(root, children: value))
    }

    /// Content-MD5 and the stated checksum against what arrived.
    func verify(_ request: RecordedRequest, _ body: ReceivedBody) throws(StoreError) -> Checksum? {
        if profile.verifiesContentMD5, let stated = request.header("content-md5") {
            guard let digest = Base64.decode(stated), digest.count == 16 else { throw StoreError(400, "InvalidDigest") }
            guard digest == body.md5 else { throw StoreError(400, "BadDigest") }
        }
        let stated = try StatedChecksum(request, profile: profile).value
        guard profile.verifiesChecksums else { return stated }
        if let stated, stated != body.checksum {
            throw StoreError(
                400,
                "BadDigest",
                "The \(stated.algorithm.rawValue) you specified did not match the calculated checksum."
            )
        }
        return body.checksum
    }

    /// Entity tag of a body, in the profile's style, without quotes.
    mutating func eTag(md5: [UInt8]?, parts: Int? = nil) -> String {
        let suffix = parts.map { "-\($0)" } ?? ""
        switch profile.eTagStyle {
        case .md5: return md5.map { Hex.encode($0) + suffix } ?? randomHex() + suffix
        case .random: return randomHex()
        case .kms: return randomHex() + suffix
        case .opaque:
            created += 1
            return "opaque-\(created)\(suffix)"
        }
    }

    mutating func randomHex() -> String {
        (Hexadecimal.upper(tokens.next()) + Hexadecimal.upper(tokens.next())).lowercased()
    }

    func eTagHeader(_ eTag: String) -> FakeHeader {
        if case .none = profile.eTagQuoting { return FakeHeader("ETag", eTag) }
        return FakeHeader("ETag", "\"\(eTag)\"")
    }

    func eTagElement(_ eTag: String) -> FakeXML {
        switch profile.eTagQuoting {
        case .entity: return FakeXML("ETag", "\"\(eTag)\"")
        case .plain:
            var element = FakeXML("ETag", "\"\(eTag)\"")
            element.escapesQuotes = false
            return element
        case .none: return FakeXML("ETag", eTag)
        }
    }
}
