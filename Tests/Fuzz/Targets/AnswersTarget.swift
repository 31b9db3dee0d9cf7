import MuleDigest
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleXML

extension FuzzTarget {
    /// Every operation against a store with arbitrary answers.
    ///
    /// The first byte selects the operation; then answers follow, separated by 0x1E: head lines, an empty line, and the
    /// body. The last answer is repeated for further requests.
    static let answers = FuzzTarget("answers") { bytes throws(BrokenPromise) in
        guard let first = bytes.first, let call = OperationCall(letter: first) else { return }
        let store = AnsweringStore(bytes.dropFirst())
        guard let endpoint = try? Endpoint(url: "https://store.example", region: "r") else { return }
        let service = S3Service(
            endpoint: endpoint,
            transport: TransportSettings(userAgent: "mule-fuzz/1"),
            credentials: FixedCredentials(Credentials(accessKeyID: "AKID", secretAccessKey: "secret")),
            cancellation: Cancellation()
        )
        do throws(S3Error) {
            let complaint = try call.run(S3Connection(service: service, client: store))
            store.complaint = store.complaint ?? complaint
        } catch {
            store.complaint = store.complaint ?? complaint(about: error)
        }
        if let complaint = store.complaint { throw BrokenPromise(sentence: complaint) }
        let difference = service.clockDifference
        try promise(abs(difference) < 400_000_000_000_000, "a clock that is \(difference) ms away")
        try promise(service.now().basic.utf8.count < 20, "a time that can't be signed with")
    }
}

/// What is promised of an error's words: they may end in a message, in the ledger, on a terminal.
private func complaint(about error: S3Error) -> String? {
    if case .answer(let status, let code, let message) = error.cause {
        if code.isEmpty { return "an error without a code" }
        if code.utf8.count > 512 || message.utf8.count > 8_000 { return "an error as long as a book" }
        if !(0...9_999).contains(status) { return "the status \(status)" }
    }
    if let id = error.requestID, id.utf8.count > 2_048 { return "a request ID as long as a book" }
    if let wait = error.retryAfter, !(0...1e9).contains(wait) { return "a wait of \(wait) s" }
    if let region = error.region, region.utf8.count > 64 || !region.utf8.allSatisfy(isRegionByte) {
        return "the region \(region)"
    }
    let delay = RetryPolicy().delay(for: error.retryClass, failures: 1, retryAfter: error.retryAfter, random: 0.5)
    return (0...100).contains(delay) ? nil : "a delay of \(delay) s"
}

private func isRegionByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
}

/// An operation, and what its result breaks of what is promised.
private struct OperationCall {
    let run: (S3Connection) throws(S3Error) -> String?

    private static let address = ObjectAddress(bucket: "bucket", key: ObjectKey("a key/\u{FC}"))

    init?(letter: UInt8) {
        let address = Self.address
        switch letter {
        case UInt8(ascii: "I"):
            run = { connection throws(S3Error) in
                let made = try connection.createMultipartUpload(
                    address,
                    attributes: ObjectAttributes(),
                    checksum: .crc64nvme
                )
                return Self.judge(uploadID: made.uploadID)
            }
        case UInt8(ascii: "U"):
            run = { connection throws(S3Error) in
                let body: HTTPRequest.Body = .bytes([1, 2, 3])
                let stored = try connection.putObject(
                    address,
                    body: body,
                    proof: BodyProof(payload: .sha256(sha256([1, 2, 3]))),
                    attributes: ObjectAttributes(),
                    onlyIfAbsent: true
                )
                return Self.judge(stored)
            }
        case UInt8(ascii: "L"):
            run = { connection throws(S3Error) in
                Self.judge(try connection.listParts(address, uploadID: "id&=?\n"))
            }
        case UInt8(ascii: "M"):
            run = { connection throws(S3Error) in
                let uploads = try connection.listMultipartUploads(of: address)
                for upload in uploads {
                    if upload.key != address.key { return "an upload of another key" }
                    if let complaint = Self.judge(uploadID: upload.uploadID) { return complaint }
                }
                return nil
            }
        case UInt8(ascii: "C"):
            run = { connection throws(S3Error) in
                let parts = [CompletedPart(number: 1, eTag: "e\"&<>]]>", checksum: nil)]
                let stored = try connection.completeMultipartUpload(
                    address,
                    uploadID: "id",
                    parts: parts,
                    whole: WholeObject()
                )
                return Self.judge(stored)
            }
        case UInt8(ascii: "A"):
            run = { connection throws(S3Error) in
                try connection.abortMultipartUpload(address, uploadID: "id")
                return nil
            }
        case UInt8(ascii: "H"):
            run = { connection throws(S3Error) in
                guard let head = try connection.headObject(address) else { return nil }
                if let size = head.size, size < 0 { return "an object of \(size) bytes" }
                return Self.judge(head.object)
            }
        case UInt8(ascii: "B"):
            run = { connection throws(S3Error) in
                try connection.headBucket("bucket")
                return nil
            }
        default: return nil
        }
    }

    private static func judge(uploadID: String) -> String? {
        (1...2_048).contains(uploadID.utf8.count)
            ? nil : "an upload ID of \(uploadID.utf8.count) bytes"
    }

    private static func judge(_ stored: StoredObject) -> String? {
        if let eTag = stored.eTag, let complaint = judge(eTag: eTag) { return complaint }
        if let version = stored.versionID, version.isEmpty || version.utf8.count > 2_048 {
            return "a version ID of \(version.utf8.count) bytes"
        }
        return judge(stored.checksums)
    }

    private static func judge(eTag: String) -> String? {
        let isFit = (1...1_024).contains(eTag.utf8.count) && !eTag.utf8.contains { $0 < 0x20 || $0 == 0x7F }
        // What Complete sends back must be XML, and the same ETag.
        let element = try? XMLReader.parse(Array("<ETag>\(escapedForXML(eTag))</ETag>".utf8))
        return isFit && element?.text.isSame(as: eTag) == true ? nil : "the ETag \(eTag)"
    }

    private static func judge(_ checksums: [ChecksumAlgorithm: String]) -> String? {
        checksums.values.allSatisfy { $0.utf8.count <= 512 } ? nil : "a checksum as long as a book"
    }

    private static func judge(_ listing: PartListing) -> String? {
        if listing.parts.count > 50_000 { return "\(listing.parts.count) parts" }
        var total: Int64 = 0
        for part in listing.parts {
            if !(1...10_000).contains(part.number) { return "part \(part.number)" }
            if part.size < 0 { return "a part of \(part.size) bytes" }
            if let complaint = judge(eTag: part.eTag) ?? judge(part.checksums) { return complaint }
        }
        for (_, part) in Dictionary(listing.parts.map { ($0.number, $0) }, uniquingKeysWith: { $1 }) {
            let (sum, overflow) = total.addingReportingOverflow(part.size)
            if overflow { return "parts whose sizes have no sum" }
            total = sum
        }
        return nil
    }
}

/// Gives the answers in turn, and looks at what is asked.
private final class AnsweringStore: HTTPPerformer {
    var complaint: String?
    private var answers: [HTTPResponse]
    private let limit: Int
    private var asked = 0

    init(_ bytes: ArraySlice<UInt8>) {
        answers = bytes.split(separator: 0x1E, omittingEmptySubsequences: false).map(Self.answer)
        // One for each answer, and one when the last one comes again; twice, where a request may go once more.
        limit = 2 * answers.count + 2
    }

    func perform(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse {
        asked += 1
        if asked > limit {
            complaint = "mule asks on and on"
            throw .cancelled
        }
        if !request.url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) { complaint = "the URL \(request.url)" }
        for (name, value) in request.headers where name.hasControls || value.hasControls {
            complaint = "the header \(name): \(value)"
        }
        if case .bytes(let body) = request.body, request.method == "POST", !body.isEmpty,
            (try? XMLReader.parse(body)) == nil
        {
            complaint = "a body that is no XML"
        }
        var response = answers.count > 1 ? answers.removeFirst() : answers[0]
        if request.method == "HEAD" { response.body = [] }
        if response.status == 0 {
            throw .network(NetworkFailure(.answer, RemoteEnd(host: "fuzz", port: 80), .closed("no status")))
        }
        return response
    }

    private static func answer(_ bytes: ArraySlice<UInt8>) -> HTTPResponse {
        var head = ResponseHead()
        var rest = bytes
        while !rest.isEmpty {
            let line = rest.prefix { $0 != 0x0A }
            rest = rest.dropFirst(line.count + 1)
            if line.isEmpty || line.elementsEqual([0x0D]) { break }
            if !line.withUnsafeBytes({ head.take($0) }) { break }
        }
        return HTTPResponse(status: head.status, headers: head.headers, body: Array(rest), continued: head.continued)
    }
}
