import MuleDigest
import MulePlan
import MuleS3
import MuleSigning

extension FuzzTarget {
    /// The short texts of headers and options: times, ETags, sizes, durations, encodings. Each is parsed and compared
    /// with its written form, or with the result of a simple, slow parser.
    static let values = FuzzTarget("values") { bytes throws(BrokenPromise) in
        let text = String(decoding: bytes, as: UTF8.self)
        try checkTimes(text)
        try checkEncodings(text, bytes)
        try checkAmounts(text)

        let eTag = unquoted(text)
        try promise(eTag.utf8.count <= text.utf8.count, "an ETag longer than its header")
        if !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"&W".utf8.contains($0) }) {
            for quoted in [text, "\"\(text)\"", "W/\"\(text)\"", " &quot;\(text)&quot; ", "&#34;\(text)&#34;"] {
                try promise(unquoted(quoted) == text, "\(quoted) is read as \(unquoted(quoted))")
            }
        }
        let key = ObjectKey(bytes)
        try promise(String(validating: key.utf8, as: UTF8.self) != nil, "a key that is not UTF-8")
        if String(validating: bytes, as: UTF8.self) != nil { try promise(key.utf8 == bytes, "a key that has changed") }
        if let destination = try? Destination(parsing: bytes) {
            try promise(
                destination.bucket.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") },
                "the bucket \(destination.bucket)"
            )
        }
        if let endpoint = try? Endpoint(url: text, region: "r", addressing: .virtual) {
            let target = endpoint.target(bucket: "bucket", key: key)
            let url = endpoint.scheme + "://" + target.host + target.path
            try promise(url.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "the URL \(url)")
            try promise(!target.host.utf8.contains { "/?#@\\".utf8.contains($0) }, "the host \(target.host)")
            let again = try? Endpoint(url: endpoint.scheme + "://" + endpoint.host, region: "r")
            try promise(again?.host == endpoint.host, "the host \(endpoint.host) is read as \(again?.host ?? "none")")
        }
    }
}

private func checkTimes(_ text: String) throws(BrokenPromise) {
    // Of one moment: from an HTTP date to ISO's form and back.
    if let time = UTCTime(httpDate: text) {
        try promise(time.millisecondsSince1970 % 1000 == 0, "an HTTP date with milliseconds")
        try promise(httpDate(time).isSame(as: text), "\(text) is read as \(httpDate(time))")
        try promise(time.httpDate.isSame(as: text), "\(text) is written as \(time.httpDate)")
        try promise(UTCTime(iso8601: time.iso8601) == time, "\(time.iso8601) reads differently")
    }
    if let time = UTCTime(iso8601: text) {
        try promise(text.utf8.prefix(19).elementsEqual(time.iso8601.utf8.prefix(19)), "\(text) is \(time.iso8601)")
        let whole = UTCTime(iso8601: time.iso8601)
        let difference = time.millisecondsSince1970 - (whole?.millisecondsSince1970 ?? .min / 2)
        try promise((0..<1000).contains(difference), "\(text) is \(difference) ms away from itself")
        try promise(UTCTime(httpDate: httpDate(time)) == whole, "\(httpDate(time)) reads differently")
    }
}

/// RFC 9110's form of the time, by counting days one year and one month at a time.
private func httpDate(_ time: UTCTime) -> String {
    let seconds = time.millisecondsSince1970 / 1000 - (time.millisecondsSince1970 % 1000 < 0 ? 1 : 0)
    var days = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
    let clock = seconds - days * 86_400
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Int(((days % 7) + 7) % 7)]
    func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    var year: Int64 = 1970
    while days < 0 {
        year -= 1
        days += isLeap(year) ? 366 : 365
    }
    while days >= (isLeap(year) ? 366 : 365) {
        days -= isLeap(year) ? 366 : 365
        year += 1
    }
    var month = 0
    let lengths: [Int64] = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while days >= lengths[month] {
        days -= lengths[month]
        month += 1
    }
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func digits(_ number: Int64, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
    let date = "\(digits(days + 1, 2)) \(names[month]) \(digits(year, 4))"
    return "\(weekday), \(date) \(digits(clock / 3600, 2)):\(digits(clock / 60 % 60, 2)):\(digits(clock % 60, 2)) GMT"
}

private func checkEncodings(_ text: String, _ bytes: [UInt8]) throws(BrokenPromise) {
    try promise(Base64.decode(Base64.encode(bytes)) == bytes, "Base 64 does not read what it wrote")
    try promise(Hex.decode(Hex.encode(bytes)) == bytes, "Base 16 does not read what it wrote")
    // A value has one spelling, so what is read must be written the same.
    if let read = Base64.decode(text) { try promise(Base64.encode(read).isSame(as: text), "two spellings in Base 64") }
    if let read = Hex.decode(text) {
        try promise(Hex.encode(read).isSame(as: text.lowercased()), "\(text) is no spelling in Base 16")
    }
    let encoded = URIEncoding.component(bytes)
    try promise(urlDecoded(encoded) == bytes, "\(encoded) is not decoded to what it was")
    try promise(urlDecoded(text) == slowlyDecoded(text), "\(text) is decoded in another way than the slow one")
}

/// Percent-decoding with `+` for a space: every pair is looked up in a table of all 256.
private func slowlyDecoded(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    if bytes.contains(where: { !(0x21...0x7E).contains($0) }) { return bytes }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let pair = bytes[index...].prefix(3).map { byte in
            (0x61...0x66).contains(byte) ? byte - 0x20 : byte
        }
        if let value = escapes[pair] {
            result.append(value)
            index += 3
        } else {
            result.append(bytes[index] == UInt8(ascii: "+") ? 0x20 : bytes[index])
            index += 1
        }
    }
    return result
}

private let escapes: [[UInt8]: UInt8] = {
    let digits = Array("0123456789ABCDEF".utf8)
    var table: [[UInt8]: UInt8] = [:]
    for value in UInt8.min...UInt8.max {
        table[[UInt8(ascii: "%"), digits[Int(value / 16)], digits[Int(value % 16)]]] = value
    }
    return table
}()

private func checkAmounts(_ text: String) throws(BrokenPromise) {
    if let size = try? ByteSize.parse(text) {
        try promise(size >= 0, "a size of \(size)")
        try promise((try? ByteSize.parse(String(size))) == size, "\(size) does not read back")
        try promise(!ByteSize.format(size).hasControls, "a size with control characters")
    }
    if let rate = try? ByteSize.parseRate(text) { try promise(rate >= 0, "a rate of \(rate)") }
    if let seconds = try? DurationText.parse(text) {
        try promise((0...3650 * 86_400).contains(seconds), "a span of \(seconds) s")
        _ = DurationText.format(seconds)
    }
    // Header numbers as far as they go: every value that Double parses must be safe to wait for.
    let random = Double(text.utf8.first ?? 0) / 256
    let delay = RetryPolicy().delay(
        for: .throttled,
        failures: text.utf8.count,
        retryAfter: Double(text),
        random: random
    )
    try promise((0...100).contains(delay), "a delay of \(delay) s")
}
