/// Reads and writes byte counts as people type them: `8MiB`, `100MB`, `1.5G`, `8388608`.
///
/// `KiB`, `MiB`, … and the bare letters `K`, `M`, … (as in dd, rclone and s3cmd) are powers of 1024; `KB`, `MB`, … are
/// powers of 1000. Case does not matter, and one space may precede the unit.
package enum ByteSize {
    /// Why a text is not a byte count; `description` continues a sentence that starts with the text.
    package enum ParseError: Error, Equatable, Sendable, CustomStringConvertible {
        case notASize
        case unknownUnit(String)
        case tooLarge

        package var description: String {
            switch self {
            case .notASize: "is not a size; write 8MiB, 100MB, 1.5G or a plain number of bytes"
            case .unknownUnit(let unit):
                "has the unknown unit \"\(unit)\"; use K, M, G, T, P (or KiB, MiB, ...) for powers of 1024, "
                    + "KB, MB, GB, TB, PB for powers of 1000"
            case .tooLarge: "is more than 8 EiB, the largest possible size"
            }
        }
    }

    /// Number of bytes, at least 0; a fraction of a byte is dropped.
    package static func parse(_ text: String) throws(ParseError) -> Int64 {
        var rest = Array(text.utf8)[...]
        let whole = try digits(of: &rest)
        var fraction: (value: UInt128, scale: UInt128) = (0, 1)
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            let before = rest.count
            guard let value = try digits(of: &rest), before - rest.count <= 9 else { throw .notASize }
            for _ in 0..<(before - rest.count) { fraction.scale *= 10 }
            fraction.value = value
        }
        guard let whole else { throw .notASize }
        if rest.first == UInt8(ascii: " ") { rest.removeFirst() }
        let factor = try multiplier(of: String(decoding: rest, as: UTF8.self))
        let bytes = whole * factor + fraction.value * factor / fraction.scale
        guard let result = Int64(exactly: bytes) else { throw .tooLarge }
        return result
    }

    /// Bytes per second: a size, with or without `/s` after it.
    package static func parseRate(_ text: String) throws(ParseError) -> Int64 {
        try parse(text.utf8.suffix(2).elementsEqual("/s".utf8) ? String(text.dropLast(2)) : text)
    }

    /// A count for display: `512 B`, `61.3 MiB`, `300.0 GiB`; rounded to a tenth of the largest binary unit that fits.
    package static func format(_ bytes: Int64) -> String {
        let step = step(for: bytes)
        return step == 0 ? "\(max(0, bytes)) B" : tenths(bytes, step) + " " + names[step]
    }

    /// Two counts in the unit of the second: `183.1 of 300.0 GiB`, or with "/" as separator `183.1/300.0 GiB`.
    package static func format(_ part: Int64, of whole: Int64, separator: String = " of ") -> String {
        let step = step(for: max(part, whole))
        guard step > 0 else { return "\(max(0, part))\(separator)\(max(0, whole)) B" }
        return tenths(part, step) + separator + tenths(whole, step) + " " + names[step]
    }

    private static let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    private static func digits(of rest: inout ArraySlice<UInt8>) throws(ParseError) -> UInt128? {
        let run = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
        guard !run.isEmpty else { return nil }
        rest.removeFirst(run.count)
        // Twenty digits hold every Int64, and leave room in UInt128 for the unit.
        let significant = run.drop { $0 == 0x30 }
        guard significant.count <= 20 else { throw .tooLarge }
        return significant.reduce(into: UInt128(0)) { $0 = $0 * 10 + UInt128($1 - 0x30) }
    }

    private static func multiplier(of unit: String) throws(ParseError) -> UInt128 {
        let letters = Array(unit.lowercased().utf8)
        if letters.isEmpty || letters == Array("b".utf8) { return 1 }
        guard let power = Array("kmgtpe".utf8).firstIndex(of: letters[0]) else {
            throw problem(unit)
        }
        let base: UInt128
        switch String(decoding: letters.dropFirst(), as: UTF8.self) {
        case "", "ib": base = 1024
        case "b": base = 1000
        default: throw problem(unit)
        }
        return (0...power).reduce(into: UInt128(1)) { result, _ in result *= base }
    }

    /// Only text that looks like a unit is shown as one: the text may be anything.
    private static func problem(_ unit: String) -> ParseError {
        unit.utf8.count <= 12 && unit.utf8.allSatisfy(\.isASCIILetter) ? .unknownUnit(unit) : .notASize
    }

    /// The index of the unit in which the rounded count stays below 1024.0.
    private static func step(for bytes: Int64) -> Int {
        guard bytes >= 1024 else { return 0 }
        var step = 1
        while step < names.count - 1, roundedTenths(bytes, step) >= 10_240 { step += 1 }
        return step
    }

    private static func roundedTenths(_ bytes: Int64, _ step: Int) -> UInt128 {
        let unit = UInt128(1) << UInt128(10 * step)
        return (UInt128(max(0, bytes)) * 10 + unit / 2) / unit
    }

    private static func tenths(_ bytes: Int64, _ step: Int) -> String {
        let value = roundedTenths(bytes, step)
        return "\(value / 10).\(value % 10)"
    }
}

extension UInt8 {
    fileprivate var isASCIILetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) }
}
