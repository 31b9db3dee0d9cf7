internal import CCurl

/// The header lines of a request, for curl. One block of memory is reused for all requests: four allocations for each
/// line took longer than all that libcurl does with it.
struct HeaderLines: ~Copyable {
    private var text = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 2048)
    private var nodes = UnsafeMutableBufferPointer<curl_slist>.allocate(capacity: 32)

    deinit {
        text.deallocate()
        nodes.deallocate()
    }

    /// - Parameter more: lines for curl itself, such as "Expect:", which omits that header.
    /// - Returns: a list that is valid until the next call.
    mutating func make(
        of headers: [(name: String, value: String)],
        and more: [StaticString]
    ) -> UnsafeMutablePointer<curl_slist>? {
        reserve(
            characters: headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 3 }
                + more.reduce(0) { $0 + $1.utf8CodeUnitCount + 1 },
            lines: headers.count + more.count
        )
        var end = 0
        var line = 0
        for (name, value) in headers {
            begin(line, at: end)
            append(name.utf8, at: &end)
            // For curl, "Name:" with or without spaces means "omit this header", and "Name;" means "send it empty".
            if value.utf8.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) {
                append(";".utf8, at: &end)
            } else {
                append(": ".utf8, at: &end)
                append(value.utf8, at: &end)
            }
            append(CollectionOfOne(0), at: &end)
            line += 1
        }
        for words in more {
            begin(line, at: end)
            words.withUTF8Buffer { append($0, at: &end) }
            append(CollectionOfOne(0), at: &end)
            line += 1
        }
        return line == 0 ? nil : nodes.baseAddress
    }

    private func begin(_ line: Int, at start: Int) {
        nodes.initializeElement(at: line, to: curl_slist(data: text.baseAddress.map { $0 + start }, next: nil))
        if line > 0 { nodes[line - 1].next = nodes.baseAddress.map { $0 + line } }
    }

    private func append(_ bytes: some Collection<UInt8>, at end: inout Int) {
        let copied: Int? = bytes.withContiguousStorageIfAvailable { bytes in
            if let source = bytes.baseAddress, let text = text.baseAddress {
                UnsafeMutableRawPointer(text + end).copyMemory(from: source, byteCount: bytes.count)
            }
            return bytes.count
        }
        if let copied {
            end += copied
            return
        }
        for byte in bytes {
            text.initializeElement(at: end, to: CChar(bitPattern: byte))
            end += 1
        }
    }

    private mutating func reserve(characters: Int, lines: Int) {
        if characters > text.count {
            text.deallocate()
            text = .allocate(capacity: characters)
        }
        if lines > nodes.count {
            nodes.deallocate()
            nodes = .allocate(capacity: lines)
        }
    }
}
