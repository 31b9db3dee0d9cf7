/// Makes the output of another program safe to show: removes all that looks like a key.
enum Redactor {
    /// Keys and tokens are long runs of these characters, with both capitals and digits.
    private static let shortestKey = 16

    /// - Parameter isCut: whether the start is missing; the rest of a key may be short enough to look like a word.
    static func masked(_ bytes: [UInt8], isCut: Bool = false) -> String {
        let bytes = isCut ? bytes.drop { $0 != 0x0A } : bytes[...]
        var result: [UInt8] = []
        var run: [UInt8] = []
        func flush() {
            let isKey =
                run.count >= shortestKey && run.contains { (0x41...0x5A).contains($0) }
                && run.contains { (0x30...0x39).contains($0) }
            result += isKey ? Array("[hidden]".utf8) : run
            run = []
        }
        for byte in bytes {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2F, 0x3D, 0x5F: run.append(byte)
            default:
                flush()
                result.append(byte)
            }
        }
        flush()
        let text = String(decoding: result, as: UTF8.self)
        let lines = text.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
        return lines.filter { !$0.isEmpty }.joined(separator: "; ")
    }
}
