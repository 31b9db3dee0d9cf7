/// What a setting holds. The text is never shown: it may be a secret.
package enum Setting: Hashable, Sendable {
    case text(String)
    /// Indented `name = value` lines under a name without a value; the inner names in lower case.
    case nested([String: String])
}

/// Settings by name, in lower case.
package typealias Settings = [String: Setting]

/// One shared file, `config` or `credentials`, read as botocore reads it: Python's `RawConfigParser` with one level of
/// nesting. Two deliberate differences: a section that comes twice is merged (botocore refuses the file; the AWS SDKs
/// merge), and a byte order mark is skipped.
///
/// A comment is a line of its own that begins with `#` or `;`. After a value these are part of the value, as with the AWS
/// command line.
/// Rules: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
package struct SharedFile: Sendable {
    package struct Section: Sendable {
        /// What stands between the brackets, without blanks around it.
        package var header: String
        package var settings: Settings
    }

    /// In the file's order. The same header may come more than once.
    package private(set) var sections: [Section] = []

    /// Reads the file's bytes; the path is for errors only.
    ///
    /// - Throws: When a line makes no sense, or is not UTF-8.
    package init(parsing bytes: [UInt8], path: String) throws(SharedConfigurationError) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = bytes.starts(with: mark) ? bytes[mark.count...] : bytes[...]
        var open: OpenSetting?
        for (index, raw) in Self.lines(of: text).enumerated() {
            let number = index + 1
            func malformed(_ problem: String) -> SharedConfigurationError {
                SharedConfigurationError(path: path, line: number, problem: problem)
            }
            let indent = raw.prefix(while: Self.isBlank).count
            guard let line = String(validating: Self.trimmed(raw), as: UTF8.self) else {
                throw malformed("not UTF-8 text")
            }
            if line.isEmpty || line.utf8.first == UInt8(ascii: "#") || line.utf8.first == UInt8(ascii: ";") { continue }
            // The setting is not taken out of the optional: a second reference would have the array copied for each line.
            if let above = open?.indent, indent > above {
                open?.continuation.append((line, number))
                continue
            }
            try close(&open, path: path)
            if line.utf8.first == UInt8(ascii: "[") {
                guard let header = Self.header(in: line) else {
                    throw malformed("a section needs a name and a closing ]")
                }
                sections.append(Section(header: header, settings: [:]))
                continue
            }
            guard !sections.isEmpty else { throw malformed("a setting comes before the first [section]") }
            guard let (name, value) = Self.assignment(line, separators: "=:") else {
                throw malformed("neither a [section] nor a setting of the form name = value")
            }
            open = OpenSetting(name: name, value: value, indent: indent)
        }
        try close(&open, path: path)
    }

    /// A setting that the next, deeper indented lines may continue.
    private struct OpenSetting {
        var name: String
        var value: String
        var indent: Int
        var continuation: [(text: String, number: Int)] = []
    }

    private mutating func close(_ open: inout OpenSetting?, path: String) throws(SharedConfigurationError) {
        guard let setting = open else { return }
        open = nil
        let value: Setting
        if setting.value.isEmpty && !setting.continuation.isEmpty {
            var nested: [String: String] = [:]
            for (text, number) in setting.continuation {
                guard let (name, value) = Self.assignment(text, separators: "=") else {
                    let problem = "an indented line under a name without a value must be of the form name = value"
                    throw SharedConfigurationError(path: path, line: number, problem: problem)
                }
                nested[name] = value
            }
            value = .nested(nested)
        } else {
            value = .text(([setting.value] + setting.continuation.map(\.text)).joined(separator: "\n"))
        }
        sections[sections.count - 1].settings[setting.name] = value
    }
}

// The grammar of one line.
extension SharedFile {
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (0x09...0x0C).contains(byte)
    }

    /// Lines end in LF, CR LF or CR, which Python's text files take for the same.
    private static func lines(of text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = text.startIndex
        var index = start
        while index < text.endIndex {
            defer { index += 1 }
            guard text[index] == 0x0A || text[index] == 0x0D else { continue }
            lines.append(text[start..<index])
            if text[index] == 0x0D, index + 1 < text.endIndex, text[index + 1] == 0x0A { index += 1 }
            start = index + 1
        }
        lines.append(text[start...])
        return lines
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let last = line.lastIndex(where: { !isBlank($0) }) else { return [] }
        return line[...last].drop(while: isBlank)
    }

    private static func trimmed(_ text: Substring.UTF8View) -> String {
        String(decoding: trimmed(Array(text)[...]), as: UTF8.self)
    }

    /// The name in `[name]`; what follows the bracket, a comment at most, does not count.
    private static func header(in line: String) -> String? {
        let inner = line.utf8.dropFirst()
        guard let end = inner.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        let name = trimmed(inner[..<end])
        return name.isEmpty ? nil : name
    }

    /// Parts `name = value` at the first of the separators; nil without one, or without a name.
    private static func assignment(_ line: String, separators: String) -> (name: String, value: String)? {
        guard let separator = line.utf8.firstIndex(where: { separators.utf8.contains($0) }) else { return nil }
        let name = trimmed(line.utf8[..<separator]).lowercased()
        guard !name.isEmpty else { return nil }
        return (name, trimmed(line.utf8[separator...].dropFirst()))
    }
}
