import MuleDigest
import MuleJSON
import MulePlan

/// Reads an export line by line; memory is that of one line.
package struct ExportReader: Sendable {
    /// Lines that were read.
    package private(set) var line = 0

    package init() {}

    /// A reader of what comes after so many lines.
    init(after lines: Int) { line = lines }

    /// The upload of the next line; nil for the first, which names the format.
    package mutating func read(_ bytes: [UInt8]) throws(ExportProblem) -> ExportedUpload? {
        line += 1
        guard bytes.count <= ExportFormat.longestLine else {
            throw problem("is longer than \(ExportFormat.longestLine) bytes")
        }
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw problem("column \(error.column): \(error.reason)")
        }
        do throws(FieldProblem) {
            var fields = try Fields(value)
            if line == 1 {
                try readHeader(&fields)
                return nil
            }
            let upload = try ExportReader.upload(&fields)
            try fields.end()
            return upload
        } catch {
            throw problem(error.reason)
        }
    }

    /// To be called after the last line.
    package func end() throws(ExportProblem) {
        if line == 0 { throw ExportProblem(line: 1, reason: "the file is empty; an export starts with its format") }
    }

    private func problem(_ reason: String) -> ExportProblem { ExportProblem(line: line, reason: reason) }

    private func readHeader(_ fields: inout Fields) throws(FieldProblem) {
        guard case .string(ExportFormat.name)? = fields.members["format"] else {
            throw FieldProblem(
                "this is not an export of a ledger: its first line must have \"format\":\"\(ExportFormat.name)\""
            )
        }
        let version = try fields.integer("version", 1...Int64.max)
        guard version == ExportFormat.version else {
            throw FieldProblem(
                "the format version is \(version), and this mule reads version \(ExportFormat.version): use a newer "
                    + "mule"
            )
        }
    }

    // MARK: An upload

    private static func upload(_ fields: inout Fields) throws(FieldProblem) -> ExportedUpload {
        let id = try fields.text("id", limit: 64)
        guard !id.isEmpty, id.utf8.allSatisfy(isIDByte) else {
            throw FieldProblem("\"id\" is not the name of an upload")
        }
        let state = try fields.choice("state", UploadState.allCases)
        let (source, stream) = try source(&fields)
        let headers = try attributes(&fields).parted
        var what = NewUpload(
            source: source,
            store: try store(&fields),
            destination: try destination(&fields),
            attributes: headers.object,
            onlyIfAbsent: try fields.bool("onlyIfAbsent"),
            integrity: IntegrityOptions(
                checksum: try fields.word("checksum"),
                payloadSigning: try fields.word("payloadSigning")
            ),
            partSize: nil,
            changing: try fields.choice("changing", ChangingSource.allCases),
            stream: stream
        )
        what.store.requestHeaders = headers.requests
        // Older exports do not have these.
        if fields.members["customerKey"] != nil {
            what.store.customerKey = try fields.hex("customerKey", lengths: [16], isOptional: true).map(Hex.encode)
        }
        if fields.members["ifMatch"] != nil { what.ifMatch = try fields.optionalText("ifMatch", limit: 1024) }
        let completeAttemptedAt: Int64? =
            fields.members["completeAttemptedAt"] == nil
            ? nil : try fields.optionalInteger("completeAttemptedAt", times)
        what.partSize = try fields.optionalInteger("partSize", 1...StoreLimits.amazon.maximumPartSize)
        let size = try fields.optionalInteger("size", 0...StoreLimits.amazon.maximumObjectSize)
        let partCount = try fields.optionalInteger("partCount", 1...Int64(StoreLimits.amazon.maximumPartCount))
        let parts = try parts(&fields, of: what, isOver: state == .done || state == .aborted)
        let bytesDone = try fields.integer("bytesDone", 0...StoreLimits.amazon.maximumObjectSize)
        let isDone = state == .done
        let record = UploadRecord(
            number: 0,
            id: id,
            state: state,
            upload: what,
            size: size,
            partCount: partCount.map { Int($0) },
            token: try token(&fields),
            createAttemptedAt: try fields.optionalInteger("createAttemptedAt", times),
            uploadID: try fields.optionalText("uploadID", limit: 4096),
            completeAttemptedAt: completeAttemptedAt,
            negotiated: try fields.optionalText("negotiated", limit: 64),
            abortDate: try fields.optionalText("abortDate", limit: 128),
            abortRequested: try fields.bool("abortRequested"),
            // Of an upload that is not done, what is finished are the parts that stand here.
            partsDone: isDone ? Int(partCount ?? 0) : parts.count,
            bytesDone: isDone ? bytesDone : parts.reduce(0) { $0 + $1.size },
            bytesSent: try fields.integer("bytesSent", 0...Int64.max),
            proof: try proof(&fields),
            lastError: try fields.optionalText("lastError", limit: 1 << 16, mayHaveLines: true),
            createdAt: try fields.integer("createdAt", times),
            updatedAt: try fields.integer("updatedAt", times)
        )
        if let source = what.source, let size, source.size != size, !isDone {
            throw FieldProblem("\"size\" is \(size), but the source has \(source.size)")
        }
        if what.source?.size == 0, what.partSize != nil {
            throw FieldProblem(
                "an empty source must not have a \"partSize\""
            )
        }
        if let expected = Ledger.partCount(what), let partCount, expected != partCount, !isDone {
            throw FieldProblem("\"partCount\" is \(partCount), but the size gives \(expected) parts")
        }
        if !parts.isEmpty, record.uploadID == nil { throw FieldProblem("there are \"parts\" but no \"uploadID\"") }
        if record.uploadID?.isEmpty == true {
            throw FieldProblem("\"uploadID\" is empty; write null for none")
        }
        if isDone, size == nil { throw FieldProblem("an upload that is done must have a \"size\"") }
        return ExportedUpload(record: record, parts: parts)
    }

    /// Until the year 9999, in milliseconds since 1970.
    private static let times: ClosedRange<Int64> = 0...253_402_300_799_999

    /// A file is an object, a stream its name.
    private static func source(_ fields: inout Fields) throws(FieldProblem) -> (SourceIdentity?, StreamSource?) {
        if case .string = fields.members["source"] {
            return (nil, try fields.choice("source", StreamSource.allCases))
        }
        guard var source = try fields.optionalObject("source") else { return (nil, nil) }
        // The name of a file may hold anything but NUL.
        let text = try source.text("path", limit: 3 * 4096, isAny: true)
        guard let path = ExportFormat.unescape(path: text) else {
            throw FieldProblem("\"source.path\" has a % without two hexadecimal digits after it")
        }
        guard path.first == UInt8(ascii: "/"), path.count <= 4096, !path.contains(0) else {
            throw FieldProblem("\"source.path\" is not an absolute path")
        }
        let identity = SourceIdentity(
            path: path,
            device: try source.unsigned("device"),
            inode: try source.unsigned("inode"),
            size: try source.integer("size", 0...StoreLimits.amazon.maximumObjectSize),
            modificationTime: try source.integer("modified", Int64.min...Int64.max),
            // Older exports do not have it.
            changeTime: source.members["changeTime"] == nil
                ? nil : try source.optionalInteger("changeTime", Int64.min...Int64.max)
        )
        try source.end()
        return (identity, nil)
    }

    private static func store(_ fields: inout Fields) throws(FieldProblem) -> StoreAddress {
        let endpoint = try fields.text("endpoint", limit: 2048)
        let isAddress = ["http://", "https://"].contains {
            endpoint.hasPrefix($0) && endpoint.utf8.count > $0.utf8.count
        }
        guard isAddress, endpoint.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") }) else {
            throw FieldProblem("\"endpoint\" is not the URL of a store")
        }
        let profile = try fields.optionalText("profile", limit: 1024)
        func path(_ name: String) throws(FieldProblem) -> String? {
            let path = try fields.optionalText(name, limit: 4096)
            if let path, !path.utf8.starts(with: "/".utf8) {
                throw FieldProblem("\"\(name)\" is not an absolute path")
            }
            return path
        }
        let caBundle = try path("caBundle")
        // Older exports do not have these two.
        let clientCertificate = fields.members["clientCertificate"] == nil ? nil : try path("clientCertificate")
        let clientKey = fields.members["clientKey"] == nil ? nil : try path("clientKey")
        return StoreAddress(
            endpoint: endpoint,
            region: try fields.word("region"),
            addressing: try fields.word("addressing", of: ["auto", "path", "virtual"]),
            profile: profile,
            caBundle: caBundle,
            clientCertificate: clientCertificate,
            clientKey: clientKey,
            signer: try signer(&fields)
        )
    }

    /// Older exports do not have it.
    private static func signer(_ fields: inout Fields) throws(FieldProblem) -> SignerPlace? {
        guard fields.members["signer"] != nil || fields.members["signerProtocol"] != nil else { return nil }
        let url = try fields.optionalText("signer", limit: 2048)
        let name = try fields.optionalText("signerProtocol", limit: 32)
        guard let url, let name else {
            if url == nil, name == nil { return nil }
            throw FieldProblem("\"signer\" and \"signerProtocol\" go together")
        }
        let isURL = ["http://", "https://"].contains { url.hasPrefix($0) && url.utf8.count > $0.utf8.count }
        guard isURL, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"@?#".utf8.contains($0) }) else {
            throw FieldProblem("\"signer\" is not the URL of a signer")
        }
        guard ["server", "mule-uploader"].contains(name) else {
            throw FieldProblem("\"signerProtocol\" is neither server nor mule-uploader")
        }
        return SignerPlace(url: url, protocolName: name)
    }

    private static func destination(_ fields: inout Fields) throws(FieldProblem) -> ObjectAddress {
        let bucket = try fields.text("bucket", limit: 255)
        let address = try? Destination(parsing: Array(bucket.utf8) + [UInt8(ascii: "/")])
        guard case .prefix(let parsed)? = address, parsed.bucket.utf8.elementsEqual(bucket.utf8),
            parsed.key.utf8.isEmpty
        else { throw FieldProblem("\"bucket\" is not a bucket name") }
        // Any text is a key, control characters included.
        let key = try fields.text("key", limit: StoreLimits.amazon.maximumKeyLength, isAny: true)
        guard !key.isEmpty else { throw FieldProblem("\"key\" is empty") }
        return ObjectAddress(bucket: bucket, key: ObjectKey(key))
    }

    private static func attributes(_ fields: inout Fields) throws(FieldProblem) -> ObjectAttributes {
        let members = try fields.object("attributes").members
        var attributes = ObjectAttributes()
        for (name, value) in members {
            guard case .string(let text) = value else {
                throw FieldProblem("\"attributes\" has a value that is not a string")
            }
            guard ObjectHeader.allows(name) else {
                throw FieldProblem("\"attributes\" has \"\(name)\", which is not a header that mule sets")
            }
            do {
                try attributes.set(name, text)
            } catch {
                throw FieldProblem("\"attributes\" has \"\(name)\", which is not a valid header")
            }
        }
        return attributes
    }

    private static func token(_ fields: inout Fields) throws(FieldProblem) -> String {
        let token = try fields.text("token", limit: 64)
        // Empty for an adopted upload; with a number appended after a restart.
        let words = token.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let isRandom = words[0].utf8.count == 32 && words[0].utf8.allSatisfy(isHexadecimalDigit)
        let isNumbered = words.dropFirst().allSatisfy { Int($0).map { 2...1_000_000 ~= $0 } == true && $0.first != "+" }
        guard token.isEmpty || (isRandom && isNumbered) else {
            throw FieldProblem("\"token\" is not 32 hexadecimal digits")
        }
        return token
    }

    private static func proof(_ fields: inout Fields) throws(FieldProblem) -> ObjectProof {
        var proof = try fields.object("proof")
        let result = ObjectProof(
            eTag: try proof.optionalText("eTag", limit: 1024),
            versionID: try proof.optionalText("versionID", limit: 1024),
            checksumAlgorithm: try proof.optionalText("checksumAlgorithm", limit: 64),
            checksumType: try proof.optionalText("checksumType", limit: 64),
            checksumValue: try proof.optionalText("checksumValue", limit: 256)
        )
        try proof.end()
        return result
    }

    private static func parts(
        _ fields: inout Fields,
        of upload: NewUpload,
        isOver: Bool
    ) throws(FieldProblem) -> [PartRecord] {
        let values = try fields.array("parts")
        if isOver, !values.isEmpty { throw FieldProblem("a finished upload must not have \"parts\"") }
        let plan = upload.source.flatMap { source in
            upload.partSize.flatMap { source.size > 0 ? PartPlan(objectSize: source.size, partSize: $0) : nil }
        }
        var parts: [PartRecord] = []
        for value in values {
            var part = try Fields(value)
            let number = Int(try part.integer("number", 1...Int64(StoreLimits.amazon.maximumPartCount)))
            guard number > parts.last?.number ?? 0 else {
                throw FieldProblem("part \(number) follows part \(parts.last?.number ?? 0); numbers must increase")
            }
            let size = try part.integer("size", 0...StoreLimits.amazon.maximumPartSize)
            if let plan, number > plan.count || plan.size(of: number) != size {
                throw FieldProblem("part \(number) has \(size) bytes, which does not fit the size of the upload")
            }
            let eTag = try part.text("eTag", limit: 1024)
            parts.append(
                PartRecord(
                    number: number,
                    size: size,
                    eTag: eTag,
                    crc: try part.hex("crc", lengths: [0, 4, 8]) ?? [],
                    digest: try part.hex("digest", lengths: [16, 32], isOptional: true)
                )
            )
            try part.end()
        }
        return parts
    }

    private static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// Why an object of an export can't be taken.
struct FieldProblem: Error {
    var reason: String

    init(_ reason: String) { self.reason = reason }
}

/// The members of a JSON object, each of which is taken once; what is left in the end was not known.
struct Fields {
    private(set) var members: [String: JSONValue]

    init(_ value: JSONValue, name: String? = nil) throws(FieldProblem) {
        guard case .object(let members) = value else {
            throw FieldProblem(name.map { "\"\($0)\" is not an object" } ?? "expected an object in braces")
        }
        self.members = members
    }

    func end() throws(FieldProblem) {
        if let name = members.keys.min() {
            throw FieldProblem("\"\(name)\" is unknown: a newer mule may have written this")
        }
    }

    private mutating func take(_ name: String) throws(FieldProblem) -> JSONValue {
        guard let value = members.removeValue(forKey: name) else { throw FieldProblem("\"\(name)\" is missing") }
        return value
    }

    /// Text of `limit` bytes at most, without control characters unless it may have any, or line feeds.
    mutating func text(
        _ name: String,
        limit: Int,
        mayHaveLines: Bool = false,
        isAny: Bool = false
    ) throws(FieldProblem) -> String {
        guard let text = try optionalText(name, limit: limit, mayHaveLines: mayHaveLines, isAny: isAny) else {
            throw FieldProblem("\"\(name)\" is null")
        }
        return text
    }

    mutating func optionalText(
        _ name: String,
        limit: Int,
        mayHaveLines: Bool = false,
        isAny: Bool = false
    ) throws(FieldProblem) -> String? {
        switch try take(name) {
        case .null: return nil
        case .string(let text):
            guard text.utf8.count <= limit else { throw FieldProblem("\"\(name)\" is longer than \(limit) bytes") }
            let isClean = text.utf8.allSatisfy { byte in
                byte >= 0x20 && byte != 0x7F || (mayHaveLines && (byte == 0x0A || byte == 0x09))
            }
            guard isClean || isAny else { throw FieldProblem("\"\(name)\" has control characters") }
            return text
        default: throw FieldProblem("\"\(name)\" is not a string")
        }
    }

    /// Letters, digits, dashes and underscores; one of `words` where they are given.
    mutating func word(_ name: String, of words: [String]? = nil) throws(FieldProblem) -> String {
        let text = try text(name, limit: 64)
        let isWord =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte >= UInt8(ascii: "A")
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_".utf8.contains(byte)
            }
        guard isWord, words?.contains(text) ?? true else { throw FieldProblem("\"\(name)\" cannot be \"\(text)\"") }
        return text
    }

    mutating func choice<Choice: RawRepresentable<String>>(
        _ name: String,
        _ choices: [Choice]
    ) throws(FieldProblem) -> Choice {
        let text = try text(name, limit: 64)
        guard let choice = choices.first(where: { $0.rawValue == text }) else {
            throw FieldProblem("\"\(name)\" cannot be \"\(text)\"")
        }
        return choice
    }

    mutating func integer(_ name: String, _ range: ClosedRange<Int64>) throws(FieldProblem) -> Int64 {
        guard let number = try optionalInteger(name, range) else { throw FieldProblem("\"\(name)\" is null") }
        return number
    }

    mutating func optionalInteger(_ name: String, _ range: ClosedRange<Int64>) throws(FieldProblem) -> Int64? {
        switch try take(name) {
        case .null: return nil
        case .int(let number):
            guard range.contains(number) else {
                throw FieldProblem(
                    "\"\(name)\" is \(number), and must be from \(range.lowerBound) to \(range.upperBound)"
                )
            }
            return number
        default: throw FieldProblem("\"\(name)\" is not a whole number")
        }
    }

    /// 64 bits without a sign, as text.
    mutating func unsigned(_ name: String) throws(FieldProblem) -> UInt64 {
        let text = try text(name, limit: 20)
        guard let number = UInt64(text), text == String(number) else {
            throw FieldProblem("\"\(name)\" is not a number")
        }
        return number
    }

    mutating func hex(_ name: String, lengths: [Int], isOptional: Bool = false) throws(FieldProblem) -> [UInt8]? {
        guard let text = try optionalText(name, limit: 128) else {
            if isOptional { return nil }
            throw FieldProblem("\"\(name)\" is null")
        }
        guard let bytes = Hex.decode(text), lengths.contains(bytes.count) else {
            throw FieldProblem(
                "\"\(name)\" is not \(lengths.map { String(2 * $0) }.joined(separator: " or ")) hexadecimal digits"
            )
        }
        return bytes
    }

    mutating func bool(_ name: String) throws(FieldProblem) -> Bool {
        guard case .bool(let value) = try take(name) else {
            throw FieldProblem("\"\(name)\" is neither true nor false")
        }
        return value
    }

    mutating func array(_ name: String) throws(FieldProblem) -> [JSONValue] {
        guard case .array(let values) = try take(name) else { throw FieldProblem("\"\(name)\" is not a list") }
        return values
    }

    mutating func object(_ name: String) throws(FieldProblem) -> Fields {
        try Fields(take(name), name: name)
    }

    mutating func optionalObject(_ name: String) throws(FieldProblem) -> Fields? {
        let value = try take(name)
        return value == .null ? nil : try Fields(value, name: name)
    }
}
