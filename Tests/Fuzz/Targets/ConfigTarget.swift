import MuleCLI
import MuleJSON
import MulePlan
import MuleS3

extension FuzzTarget {
    /// The configuration file: JSON as RFC 8259 has it and nothing else, and no value that could harm a request.
    static let config = FuzzTarget("config") { bytes throws(BrokenPromise) in
        try checkJSON(bytes)
        let configuration: Configuration
        do throws(ConfigurationError) {
            configuration = try Configuration.parse(bytes)
        } catch {
            return try promise(!error.description.hasControls, "control characters in \(error.description)")
        }
        try promiseHarmless(configuration.store)
        for options in configuration.buckets.values { try promiseHarmless(options) }
        try promiseHarmless(configuration.object)
        for (name, job) in configuration.jobs {
            try promise(
                !name.isEmpty && !name.hasPrefix(".") && !name.hasPrefix("-")
                    && name.utf8.allSatisfy { (0x2D...0x7A).contains($0) && $0 != 0x2F },
                "a job called \(name)"
            )
            try promiseHarmless(job.store)
            try promiseHarmless(job.object)
            for path in [job.source, job.receipts, job.metrics].compactMap({ $0 }) {
                try promise(!path.contains(0) && !path.isEmpty, "a path with a NUL")
            }
            if let until = job.until { try promise((0..<1440).contains(until), "the minute \(until)") }
            for case .post(let url)? in [job.onSuccess, job.onFailure] {
                try promise(url.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "the address \(url)")
            }
        }
        if let ledger = configuration.ledger { try promise(!ledger.contains(0), "a path with a NUL") }
    }
}

private func checkJSON(_ bytes: [UInt8]) throws(BrokenPromise) {
    var checker = JSONChecker(bytes)
    let isJSON = checker.isDocument()
    let value: JSONValue
    do throws(JSONReader.SyntaxError) {
        value = try JSONReader.read(bytes)
    } catch {
        // The checker knows neither the limit of depth, nor repeated keys, nor numbers that are too large.
        let isExtra = ["too deeply", "appears twice", "too large"].contains { error.reason.contains($0) }
        try promise(!isJSON || isExtra, "JSON is refused: \(error.reason)")
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        try promise((1...lines.count).contains(error.line), "line \(error.line) of \(lines.count)")
        return try promise((1...lines[error.line - 1].count + 1).contains(error.column), "column \(error.column)")
    }
    try promise(isJSON, "what is no JSON is read as \(value.line)")
    try promise(!value.line.hasControls, "JSON on one line with a control character")
    let again = try? JSONReader.read(Array(value.line.utf8))
    try promise(again == value && again?.line.isSame(as: value.line) == true, "\(value.line) does not read back")
}

func promiseHarmless(_ options: StoreOptions) throws(BrokenPromise) {
    for text in [options.region, options.profile, options.endpointURL] {
        try promise(text.map { !$0.hasControls && !$0.isEmpty } ?? true, "a store's option with control characters")
    }
    if let path = options.caBundle { try promise(!path.contains(0) && !path.isEmpty, "a path with a NUL") }
    if let size = options.partSize { try promise(size > 0, "a part of \(size) bytes") }
    if let url = options.endpointURL, let endpoint = try? Endpoint(url: url, region: "r") {
        let plain = url.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") }
        try promise(plain && !endpoint.host.isEmpty, "the endpoint \(url)")
    }
}

func promiseHarmless(_ options: ObjectOptions) throws(BrokenPromise) {
    for header in ObjectHeader.allCases {
        for text in [options[header]].compactMap({ $0 }) + options[pairs: header].map(\.text) {
            try promise(!text.hasControls, "--\(header.flag) with control characters")
            let isDate = UTCTime(httpDate: text)?.httpDate.isSame(as: text) == true
            try promise(header.kind != .date || isDate, "the date \(text)")
            try promise(header.kind != .retention || RetainUntil(text: text) != nil, "the end of a lock \(text)")
        }
    }
    for pair in options[pairs: .metadata] {
        try promise(
            !pair.name.isEmpty
                && pair.name.utf8.allSatisfy {
                    (0x21...0x7E).contains($0) && !" \"(),/:;<=>?@[\\]{}".utf8.contains($0)
                        && !(0x41...0x5A).contains($0)
                },
            "the metadata's name \(pair.name)"
        )
    }
    for pair in options[pairs: .tags] {
        try promise(!pair.name.isEmpty && !pair.name.hasControls, "the tag \(pair.name)")
    }
}

/// Whether bytes are a JSON document, by the grammar of RFC 8259 line by line, and nothing else.
private struct JSONChecker {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func isDocument() -> Bool {
        // The grammar has characters only; other bytes get further than it only inside a string.
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        guard value(depth: 0) else { return false }
        return at == bytes.count
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let matches = text.withUTF8Buffer { bytes[at...].starts(with: $0) }
        if matches { at += text.utf8CodeUnitCount }
        return matches
    }

    private mutating func take(_ range: ClosedRange<UInt8>) -> Bool {
        guard at < bytes.count, range.contains(bytes[at]) else { return false }
        at += 1
        return true
    }

    private mutating func space() {
        while take(" ") || take("\t") || take("\n") || take("\r") {}
    }

    private mutating func value(depth: Int) -> Bool {
        guard depth < 200 else { return false }
        space()
        defer { space() }
        if take("true") || take("false") || take("null") { return true }
        if take("[") {
            space()
            if take("]") { return true }
            repeat { if !value(depth: depth + 1) { return false } } while take(",")
            return take("]")
        }
        if take("{") {
            space()
            if take("}") { return true }
            repeat {
                space()
                guard string() else { return false }
                space()
                guard take(":"), value(depth: depth + 1) else { return false }
            } while take(",")
            return take("}")
        }
        return at < bytes.count && bytes[at] == UInt8(ascii: "\"") ? string() : number()
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") {
            guard take(0x31...0x39) else { return false }
            while take(0x30...0x39) {}
        }
        if take(".") {
            guard take(0x30...0x39) else { return false }
            while take(0x30...0x39) {}
        }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard take(0x30...0x39) else { return false }
            while take(0x30...0x39) {}
        }
        return true
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while !take("\"") {
            if take("\\") {
                if take("u") {
                    guard let unit = codeUnit() else { return false }
                    if (0xD800...0xDBFF).contains(unit) {
                        guard take("\\u"), let low = codeUnit(), (0xDC00...0xDFFF).contains(low) else { return false }
                    } else if (0xDC00...0xDFFF).contains(unit) {
                        return false
                    }
                } else if !["\"", "\\", "/", "b", "f", "n", "r", "t"].contains(where: { take($0) }) {
                    return false
                }
            } else if !take(0x20...0xFF) {
                return false
            }
        }
        return true
    }

    private mutating func codeUnit() -> UInt16? {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard at < bytes.count else { return nil }
            let byte = bytes[at]
            let digit: UInt8
            if take(0x30...0x39) {
                digit = byte - 0x30
            } else if take(0x41...0x46) {
                digit = byte - 0x41 + 10
            } else if take(0x61...0x66) {
                digit = byte - 0x61 + 10
            } else {
                return nil
            }
            unit = unit * 16 + UInt16(digit)
        }
        return unit
    }
}
