/// Random names.
enum RandomName {
    /// Letters and digits that are not taken for one another.
    private static let alphabet = Array("abcdefghjkmnpqrstuvwxyz23456789".utf8)

    static func id() -> String {
        String(decoding: (0..<5).map { _ in alphabet.randomElement() ?? alphabet[0] }, as: UTF8.self)
    }

    /// 128 bits as 32 hexadecimal digits, from the system's generator.
    static func token() -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: (0..<32).map { _ in digits.randomElement() ?? digits[0] }, as: UTF8.self)
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
