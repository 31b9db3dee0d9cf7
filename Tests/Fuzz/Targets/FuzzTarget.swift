/// A reader of what comes from outside, as a function of bytes, with promises about what it makes of them.
///
/// libFuzzer runs it on bytes that it makes up (Tests/Fuzz/run), the tests on the corpus that has come of that.
package struct FuzzTarget: Sendable {
    package let name: String
    private let body: @Sendable ([UInt8]) throws(BrokenPromise) -> Void

    init(_ name: String, _ body: @escaping @Sendable ([UInt8]) throws(BrokenPromise) -> Void) {
        self.name = name
        self.body = body
    }

    /// The promise that the bytes break; nil when they break none.
    package func check(_ bytes: [UInt8]) -> String? {
        do throws(BrokenPromise) {
            try body(bytes)
            return nil
        } catch {
            return error.sentence
        }
    }

    package static let all: [FuzzTarget] = [xml, answers, values, config, selection, aws, records, ledger, arguments]
}

struct BrokenPromise: Error {
    var sentence: String
}

/// - Throws: `BrokenPromise` when what was promised is not so.
func promise(_ isKept: Bool, _ sentence: @autoclosure () -> String) throws(BrokenPromise) {
    if !isKept { throw BrokenPromise(sentence: sentence()) }
}

extension String {
    /// Whether a terminal would take any of it for a command, or a header for its end.
    var hasControls: Bool { unicodeScalars.contains { $0.properties.generalCategory == .control } }

    /// By bytes, where `==` would take two spellings of an accent for one.
    func isSame(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
