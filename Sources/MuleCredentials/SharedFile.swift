/// The value of a setting. Never shown: it may be a secret.
package enum Setting: Hashable, Sendable {
    case text(String)
    /// Indented `name = value` lines under a name without a value; the inner names in lower case.
    case nested([String: String])
}

/// Settings by name, in lower case.
package typealias Settings = [String: Setting]

/// A shared file, `config` or `credentials`, parsed like botocore does: as Python's `RawConfigParser` with one level of
/// nesting. Two deliberate differences: a repeated section is merged, as in the AWS SDKs (botocore refuses the file),
/// and a byte order mark is skipped.
///
/// A comment is a line that starts with `#` or `;`. After a value, these characters are part of the value, as in the
/// AWS command line.
/// Rules: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
package struct SharedFile: Sendable {
    package struct Section: Sendable {
        /// The text between the brackets, trimmed.
        package var header: String
        package var settings: Settings
    }

    /// In the file's order. A header may occur more than once.
    package private(set) var sections: [Section] = []

    /// Parses the file's bytes; the path is only for errors.
    ///
    /// - Throws: If a line is invalid, or not UTF-8.
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
            // The setting stays in the optional: a second reference would copy the array for each line.
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

    /// A setting that deeper indented lines may continue.
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

// The syntax of one line.
extension SharedFile {
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (0x09...0x0C).contains(byte)
    }

    /// Lines end in LF, CR LF or CR, as in Python's text mode.
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

    /// The name in `[name]`; text after the bracket is ignored.
    private static func header(in line: String) -> String? {
        let inner = line.utf8.dropFirst()
        guard let end = inner.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        let name = trimmed(inner[..<end])
        return name.isEmpty ? nil : name
    }

    /// Splits `name = value` at the first separator; nil without one, or without a name.
    private static func assignment(_ line: String, separators: String) -> (name: String, value: String)? {
        guard let separator = line.utf8.firstIndex(where: { separators.utf8.contains($0) }) else { return nil }
        let name = trimmed(line.utf8[..<separator]).lowercased()
        guard !name.isEmpty else { return nil }
        return (name, trimmed(line.utf8[separator...].dropFirst()))
    }
}
