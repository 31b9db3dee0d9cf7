import Glibc
import MuleDigest

/// Random names.
enum RandomName {
    /// Letters and digits that are not taken for one another.
    private static let alphabet = Array("abcdefghjkmnpqrstuvwxyz23456789".utf8)

    /// How many an upload's name has: few where that is enough, and no more than one number of 64 bits tells apart.
    static let letters = 5...12

    static func id(letters count: Int) -> String {
        // One call of the kernel for all of it; that 2^64 is no multiple of the alphabet's length shows nowhere.
        var bits = UInt64.random(in: .min ... .max)
        let letters = (0..<count).map { _ in
            defer { bits /= UInt64(alphabet.count) }
            return alphabet[Int(bits % UInt64(alphabet.count))]
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// 128 bits as 32 hexadecimal digits, from the system's generator.
    static func token() -> String {
        // One call of the kernel for all of it.
        var bytes = [UInt8](repeating: 0, count: 16)
        precondition(getentropy(&bytes, bytes.count) == 0, "the system has no random bytes")
        return Hex.encode(bytes)
    }

    /// The token of an upload that begins anew: another one, which still shows whose it is. One that was taken over had
    /// none, and gets its first.
    static func token(after earlier: String) -> String {
        if earlier.isEmpty { return token() }
        let words = earlier.split(separator: "-", maxSplits: 1)
        let attempt = words.count > 1 ? Int(words[1]) ?? 1 : 1
        return "\(words.first ?? "")-\(attempt + 1)"
    }
}
