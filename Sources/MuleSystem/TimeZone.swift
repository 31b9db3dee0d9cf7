/// The time zone of this process, as the C library determines it.
package enum TimeZone {
    /// Why times are not in the configured zone; nil if they are. The C library then silently uses UTC (tzset(3)).
    ///
    /// - Parameter environment: `TZ` names a file below `TZDIR`, or has the rules of a zone in POSIX's form.
    package static func trouble(environment: [String: String], root: String = "") -> String? {
        guard let named = environment["TZ"] else { return troubleOfTheMachine(root) }
        let name = named.hasPrefix(":") ? String(named.dropFirst()) : named
        if name.isEmpty || isUTC(name) { return nil }
        let directory = environment["TZDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/usr/share/zoneinfo"
        let path = name.hasPrefix("/") ? name : "\(directory)/\(name)"
        if isZone(root + path) || (!named.hasPrefix(":") && isPOSIXRule(name)) { return nil }
        return
            "The time zone \(named) (TZ) is unknown on this machine, so all times are in UTC: \(path) does not exist. "
            + "Install the time zones (package tzdata), or correct TZ."
    }

    /// /etc/localtime links to a file of the time zone database, which a container may lack.
    private static func troubleOfTheMachine(_ root: String) -> String? {
        let link = "/etc/localtime"
        guard let kind = try? FileStatus.of(path: Array((root + link).utf8), followingLinks: false).kind,
            kind == .symbolicLink, (try? FileStatus.of(path: Array((root + link).utf8))) == nil
        else { return nil }
        return
            "The machine's time zone is unknown, so all times are in UTC: \(link) links to a file that does not exist. "
            + "Install the time zones (package tzdata), or set TZ."
    }

    /// Names for UTC, which is also what the C library falls back to.
    private static func isUTC(_ name: String) -> Bool {
        let names = ["UTC", "GMT", "UCT", "Universal", "Zulu", "Greenwich"]
        return names.contains { name == $0 || name == "Etc/\($0)" }
    }

    /// Time zone files start with these letters (RFC 9636).
    private static func isZone(_ path: String) -> Bool {
        guard let file = try? File.openForReading(path: Array(path.utf8)) else { return false }
        return (try? file.bytes(at: 0, count: 4)) == Array("TZif".utf8)
    }

    /// `CET-1CEST,M3.5.0,M10.5.0/3` or `<+14>-14`: a name of three letters or more, and the hours to UTC.
    private static func isPOSIXRule(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        let letters: Int
        if rest.first == UInt8(ascii: "<"), let end = rest.firstIndex(of: UInt8(ascii: ">")) {
            letters = end - 1
            rest = rest[(end + 1)...]
        } else {
            letters = rest.prefix { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) }.count
            rest = rest.dropFirst(letters)
        }
        if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        return letters >= 3 && rest.first.map { (0x30...0x39).contains($0) } ?? false
    }
}
