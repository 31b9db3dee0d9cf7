import MulePlan

extension ObjectOptions {
    /// A value that can be sent and is probably not what was meant.
    struct Doubt {
        var header: ObjectHeader
        var text: String
    }

    /// Amazon's classes (PutObject in the API reference), and those of Google, Yandex and Scaleway under other names.
    private static let storageClasses = [
        "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE",
        "REDUCED_REDUNDANCY", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "NEARLINE", "COLDLINE", "ARCHIVE",
        "COLD", "ICE",
    ]

    /// Amazon's canned ACLs that an object may have.
    private static let cannedACLs = [
        "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read",
        "bucket-owner-full-control",
    ]

    /// Stores define names of their own, so these are warnings.
    var doubts: [Doubt] {
        ObjectHeader.allCases.compactMap { header in doubt(about: header).map { Doubt(header: header, text: $0) } }
    }

    private func doubt(about header: ObjectHeader) -> String? {
        switch header {
        case .storageClass: self[header].flatMap { Self.doubt($0, "a storage class", known: Self.storageClasses) }
        case .acl: self[header].flatMap { Self.doubt($0, "a canned ACL", known: Self.cannedACLs) }
        case .contentType:
            self[header].flatMap {
                $0.contains("/") || $0 == ObjectAttributes.noContentType
                    ? nil : "\"\($0)\" is not a media type such as application/octet-stream."
            }
        case .metadata, .tags, .sseKMSContext:
            self[pairs: header].first { holdsPair($0.text) }.map {
                "the text of \($0.name) looks like several pairs; write --\(header.flag) once for each pair."
            }
        default: nil
        }
    }

    /// Whether a separator and another `name=` follow, as in the values of other programs' options.
    private func holdsPair(_ text: String) -> Bool {
        text.split(whereSeparator: { ",&".contains($0) }).dropFirst().contains { piece in
            let name = piece.prefix { $0 != "=" }
            return name.count < piece.count && !name.isEmpty
                && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }
        }
    }

    private static func doubt(_ name: String, _ what: String, known: [String]) -> String? {
        guard !known.contains(name) else { return nil }
        // "public" starts more than one name; the first is the harmless one.
        let longer = name.utf8.count >= 3 ? known.first { $0.lowercased().hasPrefix(name.lowercased()) } : nil
        let near = known.first { $0.lowercased() == name.lowercased() } ?? Suggestion.nearest(of: name, in: known)
        guard let meant = near ?? longer else {
            return "\"\(name)\" is not \(what) that mule knows, and the store may refuse it."
        }
        return "\"\(name)\" is not \(what) that mule knows; did you mean \(meant)?"
    }
}
