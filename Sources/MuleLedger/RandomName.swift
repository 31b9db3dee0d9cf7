import Glibc
import MuleDigest

/// Random names.
enum RandomName {
    /// Letters and digits that are not confused with each other.
    private static let alphabet = Array("abcdefghjkmnpqrstuvwxyz23456789".utf8)

    /// The possible lengths of an ID: short first, and at most what fits into 64 random bits.
    static let letters = 5...12

    static func id(letters count: Int) -> String {
        // One system call for all letters. The bias is negligible, although 2^64 is no multiple of the alphabet's
        // length.
        var bits = UInt64.random(in: .min ... .max)
        let letters = (0..<count).map { _ in
            defer { bits /= UInt64(alphabet.count) }
            return alphabet[Int(bits % UInt64(alphabet.count))]
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// 128 bits as 32 hexadecimal digits, from the system's generator.
    static func token() -> String {
        // One system call for all bytes.
        var bytes = [UInt8](repeating: 0, count: 16)
        precondition(getentropy(&bytes, bytes.count) == 0, "the system has no random bytes")
        return Hex.encode(bytes)
    }

    /// The token of an upload that restarts: a different one that still shows its origin. An adopted upload had none
    /// and gets its first.
    static func token(after earlier: String) -> String {
        if earlier.isEmpty { return token() }
        let words = earlier.split(separator: "-", maxSplits: 1)
        let attempt = words.count > 1 ? Int(words[1]) ?? 1 : 1
        return "\(words.first ?? "")-\(attempt + 1)"
    }
}
