import MuleSigning

/// The header by which a browser knows what to do with an object (RFC 6266).
enum ContentDisposition {
    /// Nil where nothing is asked for.
    static func text(inline: Bool, filename: String?) -> String? {
        let kind = inline ? "inline" : "attachment"
        guard let filename else { return inline ? kind : nil }
        let plain = filename.unicodeScalars.map { scalar -> String in
            if "\"\\".unicodeScalars.contains(scalar) { return "\\\(scalar)" }
            return (" "..."~").contains(scalar) ? String(scalar) : "_"
        }.joined()
        let isPlain = filename.unicodeScalars.allSatisfy { (" "..."~").contains($0) }
        // RFC 8187 for other characters; old clients read the first name.
        let extended = isPlain ? "" : "; filename*=UTF-8''\(URIEncoding.component(filename.utf8))"
        return "\(kind); filename=\"\(plain)\"\(extended)"
    }
}
