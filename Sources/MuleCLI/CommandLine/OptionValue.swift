import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSources

/// Why a value is refused; continues a sentence that starts with the option and the value.
package struct OptionValueError: Error, Equatable, Sendable {
    package let why: String
    /// Whether the value may be a secret that must not appear in a message.
    package let hidesValue: Bool

    package init(_ why: String, hidesValue: Bool = false) {
        self.why = why
        self.hidesValue = hidesValue
    }
}

/// Parsers of option values, one for each kind, for flags, `MULE_*` variables and the configuration file.
enum OptionValue {
    /// Bytes, more than 0.
    static func size(_ text: String) throws(OptionValueError) -> Int64 {
        let bytes: Int64
        do { bytes = try ByteSize.parse(text) } catch { throw OptionValueError(error.description) }
        guard bytes > 0 else { throw OptionValueError("must be more than 0") }
        return bytes
    }

    /// Bytes, 0 or more.
    static func length(_ text: String) throws(OptionValueError) -> Int64 {
        do { return try ByteSize.parse(text) } catch { throw OptionValueError(error.description) }
    }

    static func region(_ text: String) throws(OptionValueError) -> String {
        guard Endpoint.isRegionName(text) else {
            throw OptionValueError("is not a region name; write it like eu-central-1: letters, digits, - and _")
        }
        return text
    }

    /// A file path: any bytes, not empty.
    static func path(_ bytes: [UInt8]) throws(OptionValueError) -> [UInt8] {
        guard !bytes.isEmpty else { throw OptionValueError("must not be empty") }
        return bytes
    }

    /// A pattern of names, any bytes.
    static func pattern(_ text: [UInt8]) throws(OptionValueError) -> GlobPattern {
        do { return try GlobPattern(text) } catch { throw OptionValueError(error.description) }
    }

    /// The same, with `!` before an exception.
    static func rule(_ text: [UInt8]) throws(OptionValueError) -> ExcludeRule {
        do { return try ExcludeRule(text) } catch { throw OptionValueError(error.description) }
    }

    /// A whole number, at least 1.
    static func count(_ text: String) throws(OptionValueError) -> Int {
        guard let number = Int(text), number >= 1 else { throw OptionValueError("is not a whole number of 1 or more") }
        return number
    }

    /// Bytes per second, at all times or by a timetable.
    static func rate(_ text: String) throws(OptionValueError) -> RateTimetable {
        do { return try RateTimetable(text) } catch {
            let isInBits = ["bps", "bit/s", "bits/s"].contains { text.lowercased().hasSuffix($0) }
            throw OptionValueError(
                error.description
                    + (isInBits ? "; this rate is bits per second, and mule counts bytes: divide by 8" : "")
            )
        }
    }

    /// Seconds, at least 1.
    static func duration(_ text: String) throws(OptionValueError) -> Double {
        let seconds: Double
        do { seconds = try DurationText.parse(text) } catch { throw OptionValueError(error.description) }
        guard seconds >= 1 else { throw OptionValueError("is too short; the minimum is one second") }
        return seconds
    }

    /// Seconds, 0 or more.
    static func age(_ text: String) throws(OptionValueError) -> Double {
        do { return try DurationText.parse(text) } catch { throw OptionValueError(error.description) }
    }

    static func concurrency(_ text: String) throws(OptionValueError) -> ConcurrencyChoice {
        if text == "auto" { return .auto }
        guard let count = Int(text), (1...256).contains(count), text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }) else {
            throw OptionValueError("is not allowed; write auto or a number from 1 to 256")
        }
        return .fixed(count)
    }

    /// One of a fixed set of words.
    static func choice<Choice>(_ text: String) throws(OptionValueError) -> Choice
    where Choice: RawRepresentable<String> & CaseIterable {
        guard let choice = Choice(rawValue: text) else { throw notOne(of: Choice.allCases.map(\.rawValue), text) }
        return choice
    }

    private static func notOne(of allowed: [String], _ text: String) -> OptionValueError {
        // Part of a choice, such as kms of aws:kms.
        let around = text.utf8.count >= 3 ? allowed.filter { $0.contains(text.lowercased()) } : []
        // One of them may start the others, as aws:kms does.
        let common = around.first { word in around.allSatisfy { $0.hasPrefix(word) } }
        if let near = Suggestion.nearest(of: text, in: allowed) ?? common {
            return OptionValueError("is not one of \(allowed.joined(separator: ", ")); did you mean \(near)?")
        }
        return OptionValueError("is not one of \(allowed.joined(separator: ", "))")
    }

    /// `http://` or `https://`, a host, and optionally a port and a path; no user name, password, query or fragment.
    static func endpointURL(_ text: String) throws(OptionValueError) -> String {
        let wanted = "write it like https://s3.example.org or http://127.0.0.1:9000"
        guard !text.utf8.contains(UInt8(ascii: "@")) else {
            throw OptionValueError(
                "must not hold a user name or password; put credentials into a profile or AWS_* variables",
                hidesValue: true
            )
        }
        let lowered = text.lowercased()
        guard let scheme = ["https://", "http://"].first(where: { lowered.hasPrefix($0) }) else {
            throw OptionValueError("is not a web address; \(wanted)")
        }
        let rest = text.utf8.dropFirst(scheme.utf8.count)
        guard let first = rest.first, first != UInt8(ascii: "/"), first != UInt8(ascii: ":") else {
            throw OptionValueError("names no host; \(wanted)")
        }
        guard rest.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }) else {
            throw OptionValueError(
                "must be plain ASCII without spaces, query (?) or fragment (#); \(wanted)",
                hidesValue: true
            )
        }
        return text
    }

    /// `https://` with a host, perhaps a port and a path; `http://` for this machine alone.
    static func signerAddress(_ text: String) throws(OptionValueError) -> SignerAddress {
        do { return try SignerAddress(text) } catch {
            switch error {
            case .notURL:
                throw OptionValueError(
                    "is not the address of a signer; write it like https://sign.example.org, without user name, query (?) "
                        + "or fragment (#)",
                    hidesValue: true
                )
            case .notEncrypted:
                throw OptionValueError("would send the token unencrypted; only signers on this machine may be http://")
            }
        }
    }

    /// A text for a header: not empty, no control characters.
    static func text(_ text: String) throws(OptionValueError) -> String {
        guard !text.isEmpty else { throw OptionValueError("must not be empty") }
        return try headerText(text)
    }

    /// Nil for what is no date; a zone must not lead out of the years of four digits.
    private static func time(_ text: String) -> UTCTime? {
        let time = UTCTime(httpDate: text) ?? UTCTime(rfc3339: text) ?? UTCTime(iso8601: text + "T00:00:00Z")
        return time.flatMap { UTCTime(httpDate: $0.httpDate) }
    }

    /// The end of an Object Lock.
    static func retention(_ text: String) throws(OptionValueError) -> RetainUntil {
        if let time = time(text) { return .date(time) }
        let seconds: Double
        do { seconds = try DurationText.parse(text) } catch {
            guard error == .notADuration else {
                throw OptionValueError("\(error.description); write the date, such as 2040-01-31")
            }
            throw OptionValueError(
                "is neither a date such as 2027-01-31 or 2027-01-31T18:00:00Z nor a duration such as 30d"
            )
        }
        guard seconds >= 1 else { throw OptionValueError("is too short; the minimum is one second") }
        return .after(seconds: Int64(seconds.rounded(.up)))
    }

    /// A date in the form of HTTP's headers (RFC 9110 section 5.6.7).
    static func date(_ text: String) throws(OptionValueError) -> String {
        if let time = time(text) { return time.httpDate }
        let isDuration = (try? DurationText.parse(text)) != nil
        throw OptionValueError(
            "is not a date; write it like 2027-01-31, 2027-01-31T18:00:00Z or Sun, 31 Jan 2027 18:00:00 GMT"
                + (isDuration ? ", because a duration would be another date in each run" : "")
        )
    }

    /// An ETag, with its quotes or without.
    static func eTag(_ text: String) throws(OptionValueError) -> String {
        let bare =
            text.utf8.count > 2 && text.hasPrefix("\"") && text.hasSuffix("\"")
            ? text.dropFirst().dropLast() : text[...]
        let isPlain = bare.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") }
        guard !bare.isEmpty, isPlain, bare != "*", !bare.hasPrefix("W/") else {
            throw OptionValueError("is not an ETag such as 9b2cf535f27731c974343645a3985328")
        }
        return String(bare)
    }

    /// The value of an object's header, as it is sent.
    static func value(of header: ObjectHeader, _ text: String) throws(OptionValueError) -> String {
        switch header.kind {
        case .choice(let words):
            guard words.contains(text) else { throw notOne(of: words, text) }
            return text
        case .date: return try date(text)
        case .retention: return try retention(text).text
        case .location:
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html
            guard ["/", "http://", "https://"].contains(where: { text.hasPrefix($0) }) else {
                throw OptionValueError("does not start with /, http:// or https://")
            }
            return try self.text(text)
        case .accountID:
            guard text.utf8.count == 12, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw OptionValueError("is not an account ID, which has 12 digits")
            }
            return text
        case .text, .metadata, .tags, .encryptionContext: return try self.text(text)
        }
    }

    /// `name=text` for user metadata or tags.
    static func pair(of header: ObjectHeader, _ text: String) throws(OptionValueError) -> NamedText {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else {
            throw OptionValueError("has no \"=\"; write name=text")
        }
        let rest = text[text.utf8.index(after: equals)...]
        return try pair(of: header, name: String(text[..<equals]), text: String(rest))
    }

    static func pair(of header: ObjectHeader, name: String, text: String) throws(OptionValueError) -> NamedText {
        switch header.kind {
        case .tags: try tag(name: name, text: text)
        case .encryptionContext: try context(name: name, text: text)
        default: try metadata(name: name, text: text)
        }
    }

    /// The name is put in lower case.
    private static func metadata(name: String, text: String) throws(OptionValueError) -> NamedText {
        let punctuation = Array("!#$%&'*+-.^_`|~".utf8)
        let isToken = name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || punctuation.contains($0)
        }
        guard !name.isEmpty, isToken else {
            throw OptionValueError(
                "has a name that cannot be a header; use ASCII letters, digits and - _ . (RFC 9110 section 5.6.2)"
            )
        }
        return NamedText(name: name.lowercased(), text: try headerText(text))
    }

    /// S3 allows 128 characters in a tag's name and 256 in its text (AWS: "Categorizing your objects using tags").
    private static func tag(name: String, text: String) throws(OptionValueError) -> NamedText {
        guard !name.isEmpty else { throw OptionValueError("has an empty name; write name=text") }
        guard name.utf16.count <= 128 else { throw OptionValueError("has a name of more than 128 characters") }
        guard text.utf16.count <= 256 else { throw OptionValueError("has a text of more than 256 characters") }
        return NamedText(name: try headerText(name), text: try headerText(text))
    }

    /// KMS takes any text (AWS: "Encryption context").
    private static func context(name: String, text: String) throws(OptionValueError) -> NamedText {
        guard !name.isEmpty else { throw OptionValueError("has an empty name; write name=text") }
        return NamedText(name: try headerText(name), text: try headerText(text))
    }

    private static func headerText(_ text: String) throws(OptionValueError) -> String {
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw OptionValueError("must not hold control characters or line breaks")
        }
        return text
    }
}
