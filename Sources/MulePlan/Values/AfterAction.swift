/// What to do with a file once the store is proven to have it.
package enum AfterAction: Hashable, Sendable, CustomStringConvertible {
    case keep
    /// To this directory, which is absolute or starts with `~/`: raw bytes, without a slash at the end.
    case move([UInt8])
    case delete
    /// Seconds after the proof.
    case deleteAfter(Double)

    /// Why a text is not an action; `description` continues a sentence that starts with the text.
    package enum ParseError: Error, Hashable, Sendable, CustomStringConvertible {
        case unknown
        case relative
        case notAPath
        case badDelay(DurationText.ParseError)

        package var description: String {
            switch self {
            case .unknown: "is not one of keep, move:DIR, delete, delete-after:7d"
            case .relative: "moves to a relative path; write move:/DIR or move:~/DIR"
            case .notAPath: "has no directory to move files to"
            case .badDelay(let error): "has a delay that \(error)"
            }
        }
    }

    package init(parsing text: [UInt8]) throws(ParseError) {
        let parts = text.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        let word = parts[0]
        guard parts.count == 2 else {
            if word.elementsEqual("keep".utf8) {
                self = .keep
            } else if word.elementsEqual("delete".utf8) {
                self = .delete
            } else {
                throw .unknown
            }
            return
        }
        if word.elementsEqual("move".utf8) {
            self = .move(try Self.directory(parts[1]))
        } else if word.elementsEqual("delete-after".utf8) {
            do { self = .deleteAfter(try DurationText.parse(LossyUTF8.string(Array(parts[1])))) } catch {
                throw .badDelay(error)
            }
        } else {
            throw .unknown
        }
    }

    private static func directory(_ path: ArraySlice<UInt8>) throws(ParseError) -> [UInt8] {
        guard !path.isEmpty, !path.contains(0) else { throw .notAPath }
        guard path.first == UInt8(ascii: "/") || path.starts(with: "~/".utf8) else { throw .relative }
        var trimmed = path
        while trimmed.count > 1, trimmed.last == UInt8(ascii: "/") { trimmed.removeLast() }
        // "~/" alone would move files directly into the home directory, "/" into the root.
        guard trimmed.count > 1 else { throw .notAPath }
        return Array(trimmed)
    }

    /// As the user writes it. Bytes of a path that are not UTF-8 are shown as `%XX`.
    package var description: String {
        switch self {
        case .keep: "keep"
        case .move(let directory): "move:" + LossyUTF8.string(directory)
        case .delete: "delete"
        case .deleteAfter(let seconds):
            seconds == seconds.rounded() ? "delete-after:\(Int64(seconds))s" : "delete-after:\(seconds)s"
        }
    }
}
