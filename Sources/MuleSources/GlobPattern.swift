/// A pattern as in gitignore(5), on raw bytes: file names need not be UTF-8.
///
/// `*` matches any number of bytes except `/`, `?` one of them, `[a-z]`, `[!x]` and `[[:digit:]]` one of a set; `\`
/// makes the next byte literal, and `**` as a whole name matches any number of directories. A pattern with a slash at
/// its start or in its middle is anchored at the source directory; one without matches the last name of a path at any
/// depth. With a slash at its end it matches directories only. Case matters.
///
/// Matching takes at most as many steps as the lengths of pattern and path multiplied.
package struct GlobPattern: Hashable, Sendable {
    /// The bytes as written.
    package let text: [UInt8]

    /// A name of a path.
    private enum Segment: Hashable {
        /// `**`: any number of names.
        case any
        case literal([UInt8])
        case tokens([Token])
    }

    fileprivate enum Token: Hashable {
        case byte(UInt8)
        case one
        case set(ByteSet)
        case star
    }

    private let segments: [Segment]
    /// Whether to compare the whole path, not only its last name.
    private let isAnchored: Bool
    private let needsDirectory: Bool

    private static let slash = UInt8(ascii: "/")

    package init(_ text: [UInt8]) throws(GlobError) {
        self.text = text
        var body = text[...]
        needsDirectory = body.count > 1 && body.last == Self.slash && !Self.endsEscaped(body.dropLast())
        if needsDirectory { body.removeLast() }
        var isAnchored = false
        if body.first == Self.slash {
            isAnchored = true
            body.removeFirst()
        }
        guard !body.isEmpty else { throw .empty }
        guard !body.contains(0) else { throw .noName }
        let names = try Self.names(body)
        self.isAnchored = isAnchored || names.count > 1
        var segments: [Segment] = []
        for name in names {
            let segment = try Self.segment(name)
            // `**/**` means the same as `**`.
            if segment != .any || segments.last != .any { segments.append(segment) }
        }
        self.segments = segments
    }

    /// Whether the pattern matches the path, which is relative to the source directory, without a slash at either end.
    package func matches(_ path: ArraySlice<UInt8>, isDirectory: Bool) -> Bool {
        if needsDirectory && !isDirectory { return false }
        guard isAnchored else {
            let name = path.lastIndex(of: Self.slash).map { path[($0 + 1)...] } ?? path
            return Self.matches(segments[0], name)
        }
        return matches(path.split(separator: Self.slash))
    }

    package func matches(_ path: [UInt8], isDirectory: Bool) -> Bool {
        matches(path[...], isDirectory: isDirectory)
    }

    /// Compares name by name. After a `**`, the first match is as good as any later one, so backtracking only goes to
    /// the last `**`.
    private func matches(_ names: [ArraySlice<UInt8>]) -> Bool {
        // At the end, `**` means the content of a directory, not the directory itself.
        let atEnd = segments.last == .any
        let wanted = atEnd ? segments.dropLast() : segments[...]
        var pattern = 0
        var name = 0
        var retry: (pattern: Int, name: Int)?
        while true {
            if pattern == wanted.count, atEnd ? name < names.count : name == names.count { return true }
            if pattern < wanted.count {
                if wanted[pattern] == .any {
                    pattern += 1
                    retry = (pattern, name)
                    continue
                }
                if name < names.count, Self.matches(wanted[pattern], names[name]) {
                    pattern += 1
                    name += 1
                    continue
                }
            }
            guard let last = retry, last.name < names.count else { return false }
            retry = (last.pattern, last.name + 1)
            (pattern, name) = (last.pattern, last.name + 1)
        }
    }

    /// The same for the bytes of one name and `*`.
    private static func matches(_ segment: Segment, _ name: ArraySlice<UInt8>) -> Bool {
        let tokens: [Token]
        switch segment {
        case .any: return true
        case .literal(let bytes): return name.elementsEqual(bytes)
        case .tokens(let wanted): tokens = wanted
        }
        var token = 0
        var at = name.startIndex
        var retry: (token: Int, at: Int)?
        while true {
            if token == tokens.count, at == name.endIndex { return true }
            if token < tokens.count {
                if tokens[token] == .star {
                    token += 1
                    if token == tokens.count { return true }
                    retry = (token, at)
                    continue
                }
                if at < name.endIndex, tokens[token].matches(name[at]) {
                    token += 1
                    at += 1
                    continue
                }
            }
            guard let last = retry, last.at < name.endIndex else { return false }
            retry = (last.token, last.at + 1)
            (token, at) = (last.token, last.at + 1)
        }
    }
}

// MARK: - Reading

extension GlobPattern {
    /// Splits at all slashes, also in brackets: no name has one, so no set could match it.
    private static func names(_ body: ArraySlice<UInt8>) throws(GlobError) -> [ArraySlice<UInt8>] {
        var names: [ArraySlice<UInt8>] = []
        for name in body.split(separator: slash, omittingEmptySubsequences: false) {
            switch Array(name) {
            case []: throw .emptyName
            case Array(".".utf8), Array("..".utf8): throw .dots
            default: names.append(name)
            }
        }
        return names
    }

    /// Whether the byte after `text` is literal: an odd number of backslashes precedes it.
    private static func endsEscaped(_ text: ArraySlice<UInt8>) -> Bool {
        text.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }

    private static func segment(_ name: ArraySlice<UInt8>) throws(GlobError) -> Segment {
        if name.elementsEqual("**".utf8) { return .any }
        var tokens: [Token] = []
        var rest = name
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): if tokens.last != .star { tokens.append(.star) }
            case UInt8(ascii: "?"): tokens.append(.one)
            case UInt8(ascii: "["): tokens.append(.set(try ByteSet(reading: &rest)))
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { throw .loneBackslash }
                tokens.append(.byte(escaped))
            default: tokens.append(.byte(byte))
            }
        }
        var bytes: [UInt8] = []
        for case .byte(let byte) in tokens { bytes.append(byte) }
        return bytes.count == tokens.count ? .literal(bytes) : .tokens(tokens)
    }
}

extension GlobPattern.Token {
    fileprivate func matches(_ byte: UInt8) -> Bool {
        switch self {
        case .byte(let wanted): byte == wanted
        case .one: true
        case .set(let set): set.contains(byte)
        case .star: false
        }
    }
}

/// Any of the 256 bytes.
private struct ByteSet: Hashable {
    private var words = SIMD4<UInt64>(repeating: 0)

    /// The text after a `[`, up to and including its `]`.
    init(reading rest: inout ArraySlice<UInt8>) throws(GlobError) {
        var isInverted = false
        if rest.first == UInt8(ascii: "!") || rest.first == UInt8(ascii: "^") {
            isInverted = true
            rest.removeFirst()
        }
        var isFirst = true
        while true {
            guard var low = rest.popFirst() else { throw .openBracket }
            // Directly after the [ it is part of the set.
            if low == UInt8(ascii: "]"), !isFirst { break }
            isFirst = false
            if low == UInt8(ascii: "["), rest.first == UInt8(ascii: ":") {
                try insertClass(reading: &rest)
                continue
            }
            if low == UInt8(ascii: "\\") { low = try Self.escaped(&rest) }
            var high = low
            if rest.first == UInt8(ascii: "-"), let behind = rest.dropFirst().first, behind != UInt8(ascii: "]") {
                rest.removeFirst(2)
                high = behind == UInt8(ascii: "\\") ? try Self.escaped(&rest) : behind
            }
            guard low <= high else { throw .backwardRange }
            for byte in low...high { insert(byte) }
        }
        if isInverted { words = ~words }
    }

    private static func escaped(_ rest: inout ArraySlice<UInt8>) throws(GlobError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw .openBracket }
        return byte
    }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] & (1 << UInt64(byte & 63)) != 0 }

    private mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }

    /// `:digit:]` and the like, ASCII only.
    private mutating func insertClass(reading rest: inout ArraySlice<UInt8>) throws(GlobError) {
        let name = rest.dropFirst().prefix { $0 != UInt8(ascii: ":") }
        let behind = rest.dropFirst(1 + name.count)
        guard behind.starts(with: ":]".utf8) else { throw .openBracket }
        guard let ranges = Self.classes[String(decoding: name, as: UTF8.self)] else { throw .unknownClass }
        rest = behind.dropFirst(2)
        for range in ranges { for byte in range { insert(byte) } }
    }

    private static let classes: [String: [ClosedRange<UInt8>]] = [
        "alnum": [0x30...0x39, 0x41...0x5A, 0x61...0x7A], "alpha": [0x41...0x5A, 0x61...0x7A],
        "blank": [0x09...0x09, 0x20...0x20], "cntrl": [0x00...0x1F, 0x7F...0x7F], "digit": [0x30...0x39],
        "graph": [0x21...0x7E], "lower": [0x61...0x7A], "print": [0x20...0x7E],
        "punct": [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E], "space": [0x09...0x0D, 0x20...0x20],
        "upper": [0x41...0x5A], "xdigit": [0x30...0x39, 0x41...0x46, 0x61...0x66],
    ]
}

/// Why a text is not a pattern; `description` continues a sentence that starts with the text.
package enum GlobError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case emptyName
    case dots
    case noName
    case openBracket
    case unknownClass
    case backwardRange
    case loneBackslash

    package var description: String {
        switch self {
        case .empty: "is an empty pattern: it cannot match a name"
        case .emptyName: "has two slashes in a row, which never match"
        case .dots: "has . or .. as a name; patterns are relative to the SOURCE directory, without ./"
        case .noName: "has a NUL, which no name can have"
        case .openBracket: "has a [ without its ]; write \\[ for the character itself"
        case .unknownClass: "has an unknown class [:...:]; known are alpha, digit, alnum, upper, lower, space and punct"
        case .backwardRange: "has a range in [ ] that runs backwards"
        case .loneBackslash: "ends with a single \\; write \\\\ for the character itself"
        }
    }
}
