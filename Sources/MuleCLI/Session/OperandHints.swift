import MulePlan
import MuleSystem

/// Hints for a source that does not exist.
enum SourceHint {
    /// A sentence; nil if nothing is known besides that it does not exist.
    static func text(for path: [UInt8]) -> String? {
        let name = LossyUTF8.string(path)
        let lowered = name.lowercased()
        if lowered.hasPrefix("s3://") { return Self.direction }
        if lowered.hasPrefix("file://") { return "Write the path without file://." }
        if name.hasPrefix("~") { return "The shell did not expand ~: remove the quotes around it." }
        if name.hasPrefix("–") || name.hasPrefix("—") {
            return "An option starts with - (hyphen); this is a dash, as text processors write it."
        }
        if name.hasSuffix("\r") {
            return "The name ends in a carriage return: the list or script has Windows line ends (remove them with "
                + "tr -d '\\r')."
        }
        if let variable = variable(in: name) {
            return "The shell did not expand \(variable): use double quotes, not single quotes."
        }
        if name.contains(where: { "*?[".contains($0) }) {
            return "Nothing here matches \(TextSafety.displayName(path)), or it was quoted, so that the shell did not "
                + "expand it."
        }
        if name != name.trimmingSpaces { return "The name starts or ends with a space." }
        return nil
    }

    /// `$NAME` or `${NAME}` as written.
    private static func variable(in name: String) -> String? {
        guard let dollar = name.utf8.firstIndex(of: UInt8(ascii: "$")) else { return nil }
        let rest = name[dollar...].dropFirst()
        let isBraced = rest.first == "{"
        let word = (isBraced ? rest.dropFirst() : rest).prefix {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")
        }
        guard let first = word.first, !first.isNumber else { return nil }
        return isBraced ? "${\(word)}" : "$\(word)"
    }

    static let direction = "mule only uploads: to download or copy objects use aws s3 cp or rclone copy."

    /// The hint for a path that does not exist; nil if it does.
    static func text(forMissing path: [UInt8]) -> String? {
        do throws(SystemError) {
            _ = try FileStatus.of(path: path)
            return nil
        } catch {
            return error.isMissingFile ? text(for: path) : nil
        }
    }
}

/// Hints for an invalid destination.
enum DestinationHint {
    /// A sentence for a destination that cannot be parsed.
    static func text(for destination: [UInt8]) -> String? {
        if let meant = misspelling(destination) { return meant }
        let text = LossyUTF8.string(destination)
        let lowered = text.lowercased()
        if lowered.hasPrefix("http://") || lowered.hasPrefix("https://") {
            return "The address of a store belongs in --endpoint-url."
        }
        if lowered.hasPrefix("arn:"), lowered.contains(":s3:::"), let resource = text.split(separator: ":").last {
            return didYouMean(String(resource))
        }
        if lowered.hasPrefix("s3:///") || text.hasPrefix("//") { return "The bucket is empty: is a variable unset?" }
        if text.hasPrefix("/") {
            return "It starts with /: is a variable unset, or is it a path on this machine? \(SourceHint.direction)"
        }
        // rclone's syntax: REMOTE:bucket/key.
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, isWord(parts[0]), parts[0].utf8.count > 1, isWord(parts[1].prefix { $0 != "/" }) {
            return didYouMean(String(parts[1]))
        }
        if text.contains("\\"), parts.count == 1 {
            return didYouMean(String(text.map { $0 == "\\" ? "/" : $0 }))
        }
        return nil
    }

    /// A sentence for a destination that is valid but certainly unintended.
    static func misspelling(_ destination: [UInt8]) -> String? {
        let text = LossyUTF8.string(destination)
        let lowered = text.lowercased()
        if !lowered.hasPrefix("s3://"), lowered.hasPrefix("s3:") || lowered.hasPrefix("s3//") {
            let rest = text.dropFirst(2).drop { ":/".contains($0) }
            return rest.isEmpty ? nil : didYouMean("s3://\(rest)")
        }
        if [".", "..", "~"].contains(text) || ["./", "../", "~/"].contains(where: { text.hasPrefix($0) }) {
            return "It is a path on this machine. \(SourceHint.direction)"
        }
        let rest = lowered.hasPrefix("s3://") ? text.dropFirst(5) : text[...]
        let host = rest.prefix { $0 != "/" }
        guard host.hasSuffix(".amazonaws.com") else { return nil }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard let service = labels.lastIndex(where: { $0 == "s3" || $0.hasPrefix("s3-") }), service > 0 else {
            return nil
        }
        let bucket = labels[..<service].joined(separator: ".")
        let key = rest.dropFirst(host.count)
        return "It starts with the bucket's host name. " + didYouMean(bucket + (key.isEmpty ? "/" : key))
    }

    private static func isWord(_ text: Substring) -> Bool {
        !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    }

    private static func didYouMean(_ text: String) -> String { "Did you mean \(TextSafety.displayText(text))?" }
}

extension Session {
    /// Refuses operands in the wrong order, and files without a destination, before anything is read or sent.
    ///
    /// - Parameter usage: the right order, such as `mule upload FILE BUCKET/KEY`.
    func checkOrder(_ sources: some Collection<[UInt8]>, _ destination: [UInt8], usage: String) throws(CommandFailure) {
        let slash = UInt8(ascii: "/")
        guard let first = sources.first, let status = try? FileStatus.of(path: destination) else { return }
        let isBucketAddress = LossyUTF8.string(first).lowercased().hasPrefix("s3://")
        guard status.kind == .regular || (status.kind == .directory && isBucketAddress) else { return }
        let shown = TextSafety.displayName(destination)
        if (try? FileStatus.of(path: first)) == nil {
            throw CommandFailure(
                status: .usage,
                message:
                    "\(TextSafety.displayName(first)) is not a file here, and \(shown) is. Are the operands swapped? "
                    + "Write \"\(usage)\"; mule does not download."
            )
        }
        guard !destination.contains(slash) else { return }
        throw CommandFailure(
            status: .usage,
            message: "\(shown) is a file here. Is the destination missing? Write \"\(usage)\"; for a bucket of that "
                + "name write \(shown)/."
        )
    }
}

extension String {
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
