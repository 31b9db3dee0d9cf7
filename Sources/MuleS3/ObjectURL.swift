package import MulePlan

/// A URL whose query holds the permission for one request: a presigned URL of S3 or Google Cloud Storage, or a temp URL
/// of OpenStack Swift. Printing, interpolating or dumping it does not show the query.
package struct ObjectURL: Sendable {
    package enum Kind: Sendable {
        case s3, swift
        /// Nothing is known of the query.
        case other
    }

    /// Why a text cannot be used; continues a sentence that starts with "The URL".
    package struct Refusal: Error, Sendable {
        package let why: String
    }

    let text: String
    /// Scheme, host and path.
    package let shown: String
    package let host: String
    package let kind: Kind
    package let isEncrypted: Bool
    /// When the store stops accepting it; nil if the URL does not say.
    package let endsAt: UTCTime?
    /// Names of the headers that must be sent with the value that the signer saw, in lower case, without `host`.
    package let signedHeaders: [String]
    /// Whether the URL lists them, so that the store refuses others of its own (Signature Version 4).
    package let listsSignedHeaders: Bool
    private let secrets: [String]

    private static let longest = 16 << 10

    package init(_ text: String) throws(Refusal) {
        guard text.utf8.count <= Self.longest, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Refusal(why: "must be on one line of ASCII without spaces, of at most \(Self.longest) bytes")
        }
        guard !text.utf8.contains(UInt8(ascii: "#")) else { throw Refusal(why: "must have no fragment (#)") }
        let lowered = text.lowercased()
        guard let scheme = ["https://", "http://"].first(where: { lowered.hasPrefix($0) }) else {
            throw Refusal(why: "must start with https:// or http://")
        }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let authority = parts[0].dropFirst(scheme.count).prefix { $0 != "/" }
        guard !authority.contains("@") else { throw Refusal(why: "must have no user name or password") }
        guard !authority.isEmpty else { throw Refusal(why: "names no host") }
        self.text = text
        shown = String(parts[0])
        host = String(authority)
        isEncrypted = scheme == "https://"

        var values: [String: String] = [:]
        var raw: [String] = []
        for item in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count > 1 ? String(decoding: urlDecoded(String(pair[1])), as: UTF8.self) : ""
            values[String(pair[0]).lowercased()] = value
            if pair.count > 1 { raw.append(String(pair[1])) }
        }
        func value(_ name: String) -> String? { values["x-amz-" + name] ?? values["x-goog-" + name] }
        if let end = values["temp_url_expires"] {
            kind = .swift
            endsAt = Int64(end).map { UTCTime(secondsSince1970: $0) } ?? UTCTime(iso8601: end)
            guard endsAt != nil else { throw Refusal(why: "has a temp_url_expires that is not a time") }
        } else if let life = value("expires") {
            kind = .s3
            guard let start = value("date").flatMap(UTCTime.init(basic:)), let seconds = Int64(life),
                (0...604_800).contains(seconds)
            else { throw Refusal(why: "has an X-Amz-Date or X-Amz-Expires that is not valid") }
            endsAt = start.adding(milliseconds: seconds * 1000)
        } else if values["signature"] != nil, let end = values["expires"].flatMap({ Int64($0) }) {
            kind = .s3
            endsAt = UTCTime(secondsSince1970: end)
        } else {
            kind = .other
            endsAt = nil
        }
        listsSignedHeaders = value("signedheaders") != nil
        signedHeaders = (value("signedheaders") ?? "").lowercased().split(separator: ";").map(String.init)
            .filter { $0 != "host" }
        // Of a URL of another kind, any value may be the secret one.
        let hidden =
            kind == .other
            ? Array(values.values) + raw
            : ["temp_url_sig", "signature"].compactMap { values[$0] }
                + ["signature", "security-token", "credential"].compactMap(value)
        let encoded = raw.filter { text in hidden.contains(String(decoding: urlDecoded(text), as: UTF8.self)) }
        secrets = (hidden + encoded).filter { $0.utf8.count >= 8 }
    }

    /// Whether the host is this machine.
    package var isLoopback: Bool {
        let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
        return name == "localhost" || name == "[::1]" || name.hasPrefix("127.") && EndpointHost.isAddress(String(name))
    }

    /// Whether a text, such as a store's message, repeats something of the query.
    func isIn(_ message: String) -> Bool {
        secrets.contains { message.contains($0) } || message.lowercased().contains("x-amz-signature=")
    }
}

extension ObjectURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { shown }
    package var debugDescription: String { shown }
    package var customMirror: Mirror { Mirror(self, children: ["shown": shown], displayStyle: .struct) }
}
