import MulePlan
import MuleUpload

extension FuzzTarget {
    /// What the ledger keeps as text: an object's headers, and what was settled with the store.
    static let records = FuzzTarget("records") { bytes throws(BrokenPromise) in
        let text = String(decoding: bytes, as: UTF8.self)
        let attributes = ObjectAttributes(text: text)
        try promise(
            ObjectAttributes(text: attributes.text) == attributes,
            "headers do not read back: \(attributes.text)"
        )
        for header in attributes.headers {
            let isToken = header.name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
            try promise(isToken && !header.name.isEmpty, "the header's name \(header.name)")
            let isOneLine = header.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
            try promise(isOneLine, "the header \(header.name) has more than one line")
        }
        let names = attributes.headers.map { Array($0.name.utf8) }
        let areSorted = zip(names, names.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) }
        try promise(areSorted, "headers out of order, or twice")
        try promise(attributes.metadataSize <= text.utf8.count, "metadata larger than its text")

        if let negotiated = NegotiatedIntegrity(text: text) {
            try promise(
                NegotiatedIntegrity(text: negotiated.text) == negotiated,
                "\(negotiated.text) does not read back"
            )
        }
        if let checksumMode = ChecksumMode(text: text) {
            try promise(checksumMode.text.isSame(as: text), "\(text) is written as \(checksumMode.text)")
        }
    }
}
