package import MulePlan

/// A job's destination, such as `backups/{host}/{yyyy}/{mm}/{relpath}`. Pure: the run's date and host are arguments.
///
/// | | |
/// |---|---|
/// | `{host}` | the machine's name |
/// | `{date}` `{yyyy}` `{mm}` `{dd}` | the day on which the run started, `{date}` as yyyy-mm-dd |
/// | `{relpath}` | the path below the source directory, with its slashes |
/// | `{name}` `{stem}` `{ext}` | the file's name; `{stem}{ext}` is always `{name}`, and the extension has its dot |
/// | `{sha256}` | of the content, 64 hexadecimal digits |
/// | `{uuid}` | new for each upload |
///
/// `{{` and `}}` are braces. If it ends in `/`, `{relpath}` is appended.
package struct DestinationTemplate: Hashable, Sendable {
    package enum Placeholder: String, CaseIterable, Sendable {
        case host, date, yyyy, mm, dd, relpath, name, stem, ext, sha256, uuid
    }

    private enum Piece: Hashable {
        case text([UInt8])
        case placeholder(Placeholder)
    }

    /// The values that are the same for all files of a run.
    package struct Run: Hashable, Sendable {
        package var host: String
        package var year: Int
        /// 1 to 12.
        package var month: Int
        package var day: Int

        package init(host: String, year: Int, month: Int, day: Int) {
            self.host = host
            self.year = year
            self.month = month
            self.day = day
        }
    }

    /// As the user wrote it.
    package let text: String
    package let bucket: String
    private let pieces: [Piece]

    /// Reads `bucket/…` or `s3://bucket/…`; the ARN of an access point may be in the bucket's place.
    package init(_ text: String) throws(TemplateError) {
        self.text = text
        let scheme = text.utf8.prefix(5)
        let hasScheme = String(decoding: scheme, as: UTF8.self).lowercased() == "s3://"
        let rest = Array(text.utf8.dropFirst(hasScheme ? 5 : 0))
        let slash = AccessPoint.endOfBucket(in: rest[...])
        let bucket = Array(rest[..<slash])
        let braces = [UInt8(ascii: "{"), UInt8(ascii: "}")]
        guard !bucket.contains(where: { braces.contains($0) }) else { throw .placeholderInBucket }
        do {
            self.bucket = try Destination(parsing: bucket).bucket
        } catch {
            switch error {
            case .noBucket: throw .noBucket
            case .badBucket(let name): throw .badBucket(name)
            case .unsupportedARN(let name, let refusal): throw .unsupportedARN(name, refusal)
            }
        }
        var pieces = try Self.pieces(slash == rest.endIndex ? [] : rest[(slash + 1)...])
        let endsInSlash: Bool
        switch pieces.last {
        case nil: endsInSlash = true
        case .text(let bytes)?: endsInSlash = bytes.last == UInt8(ascii: "/")
        case .placeholder?: endsInSlash = false
        }
        if endsInSlash { pieces.append(.placeholder(.relpath)) }
        self.pieces = pieces
    }

    /// Whether the content must be read before the key is known.
    package var needsDigest: Bool { uses(.sha256) }

    package var needsUUID: Bool { uses(.uuid) }

    /// Whether all files of a directory get different keys, apart from names that are not UTF-8, whose bytes become
    /// `%XX`.
    package var isInjective: Bool { uses(.relpath) || uses(.uuid) }

    /// Whether it differs from file to file; if not, it cannot be a directory's destination.
    package var tellsFilesApart: Bool {
        [.relpath, .name, .stem, .ext, .sha256, .uuid].contains(where: uses)
    }

    package func uses(_ placeholder: Placeholder) -> Bool { pieces.contains(.placeholder(placeholder)) }

    /// The object for a file.
    ///
    /// - Parameters:
    ///   - relativePath: below the source directory, without a slash at either end; raw bytes. Those that are not UTF-8
    ///     become `%XX`, as in every key.
    ///   - digest: SHA-256 of the content, 32 bytes; required if `needsDigest`.
    ///   - uuid: 16 bytes; required if `needsUUID`.
    package func address(
        for relativePath: [UInt8],
        in run: Run,
        digest: [UInt8]? = nil,
        uuid: [UInt8]? = nil
    ) throws(TemplateError) -> ObjectAddress {
        let name = relativePath.lastIndex(of: UInt8(ascii: "/")).map { relativePath[($0 + 1)...] } ?? relativePath[...]
        let (stem, ext) = Self.split(name)
        var key: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): key += bytes
            case .placeholder(.host): key += run.host.utf8
            case .placeholder(.date):
                key += "\(Self.digits(run.year, 4))-\(Self.digits(run.month, 2))-\(Self.digits(run.day, 2))".utf8
            case .placeholder(.yyyy): key += Self.digits(run.year, 4).utf8
            case .placeholder(.mm): key += Self.digits(run.month, 2).utf8
            case .placeholder(.dd): key += Self.digits(run.day, 2).utf8
            case .placeholder(.relpath): key += relativePath
            case .placeholder(.name): key += name
            case .placeholder(.stem): key += stem
            case .placeholder(.ext): key += ext
            case .placeholder(.sha256):
                guard let digest, digest.count == 32 else { throw .missing(.sha256) }
                key += Self.hex(digest[...])
            case .placeholder(.uuid):
                guard let uuid, uuid.count == 16 else { throw .missing(.uuid) }
                key += Self.spelled(uuid)
            }
        }
        guard !key.isEmpty else { throw .emptyKey }
        return ObjectAddress(bucket: bucket, key: ObjectKey(key))
    }

    /// A leading dot hides a file and does not start an extension: ".bashrc" is all stem.
    private static func split(_ name: ArraySlice<UInt8>) -> (stem: ArraySlice<UInt8>, ext: ArraySlice<UInt8>) {
        let dot = UInt8(ascii: ".")
        let leading = name.prefix { $0 == dot }.count
        guard let last = name.lastIndex(of: dot), last >= name.startIndex + leading else { return (name, []) }
        return (name[..<last], name[last...])
    }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }

    private static func hex(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// RFC 9562 section 4: groups of 4, 2, 2, 2 and 6 bytes.
    private static func spelled(_ uuid: [UInt8]) -> [UInt8] {
        Array([0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { hex(uuid[$0]) }.joined(separator: [UInt8(ascii: "-")]))
    }
}

// MARK: - Reading

extension DestinationTemplate {
    private static func pieces(_ text: ArraySlice<UInt8>) throws(TemplateError) -> [Piece] {
        let open = UInt8(ascii: "{")
        let close = UInt8(ascii: "}")
        var pieces: [Piece] = []
        var plain: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == open || byte == close else {
                plain.append(byte)
                continue
            }
            if rest.first == byte {
                rest.removeFirst()
                plain.append(byte)
                continue
            }
            guard byte == open else { throw .strayBrace }
            guard let end = rest.firstIndex(of: close) else { throw .openBrace }
            let name = String(decoding: rest[..<end], as: UTF8.self)
            guard let placeholder = Placeholder(rawValue: name) else { throw .unknown(name) }
            rest = rest[(end + 1)...]
            if !plain.isEmpty { pieces.append(.text(plain)) }
            plain = []
            pieces.append(.placeholder(placeholder))
        }
        if !plain.isEmpty { pieces.append(.text(plain)) }
        return pieces
    }
}

/// Why a template or a value for it is invalid; `description` continues a sentence that starts with its text.
package enum TemplateError: Error, Hashable, Sendable, CustomStringConvertible {
    case noBucket
    case badBucket(String)
    case unsupportedARN(String, AccessPoint.Refusal)
    case placeholderInBucket
    /// An unknown placeholder; the message suggests the nearest known one.
    case unknown(String)
    case openBrace
    case strayBrace
    /// The caller did not pass a required value.
    case missing(DestinationTemplate.Placeholder)
    case emptyKey

    package var description: String {
        switch self {
        case .noBucket: "names no bucket; write bucket/key or bucket/prefix/"
        case .badBucket(let name): "names \"\(name)\", which is not a valid bucket name"
        case .unsupportedARN(let name, let refusal): "names \"\(name)\", which is not a bucket. \(refusal.cure)"
        case .placeholderInBucket: "has a placeholder in the bucket name; one job writes to one bucket"
        case .unknown(let name):
            "has the unknown placeholder {\(name)}; \(Self.hint(for: name))"
        case .openBrace: "has a { without its }; write {{ for the character itself"
        case .strayBrace: "has a } without its {; write }} for the character itself"
        case .missing(let placeholder): "needs {\(placeholder.rawValue)}, which is unknown here"
        case .emptyKey: "gives an empty object name"
        }
    }
    private static func hint(for name: String) -> String {
        let known = DestinationTemplate.Placeholder.allCases.map(\.rawValue)
        if let near = Suggestion.nearest(of: name, in: known) { return "did you mean {\(near)}?" }
        return "known placeholders are \(known.map { "{\($0)}" }.joined(separator: " "))"
    }
}
