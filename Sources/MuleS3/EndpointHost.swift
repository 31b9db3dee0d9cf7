import Glibc

/// Host and port of an endpoint in the same form as libcurl sends them: the signed host must be the one that is sent.
struct EndpointHost {
    /// The host, with the port unless it is the scheme's default.
    let text: String

    /// - Parameters:
    ///   - authority: the part between `://` and the path, in lower case.
    ///   - url: the whole URL, for the error.
    init(_ authority: String, ownPort: UInt16, of url: String) throws(EndpointError) {
        // A user name or password would appear in logs and the ledger.
        guard authority.utf8.allSatisfy(Self.isHostByte) else { throw .badHost(url) }
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        let colon = authority[end...].firstIndex(of: ":")
        let name = String(authority[..<(colon ?? authority.endIndex)])
        guard let host = Self.address(name) ?? Self.name(name) else { throw .badHost(url) }
        guard let colon else {
            text = host
            return
        }
        let digits = authority[authority.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0 else {
            throw .badPort(url)
        }
        text = port == ownPort ? host : "\(host):\(port)"
    }

    /// Whether a host, with or without a port, is an IP address.
    static func isAddress(_ host: String) -> Bool {
        if host.hasPrefix("[") { return true }
        return address(String(host.prefix { $0 != ":" })) != nil
    }

    /// An IPv6 address in brackets, or an IPv4 address in any of its forms (inet_aton(3)), as inet_ntop(3) writes it.
    private static func address(_ text: String) -> String? {
        if text.hasPrefix("["), text.hasSuffix("]") {
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(text.dropFirst().dropLast()), &address) == 1 else { return nil }
            return write(AF_INET6, &address).map { "[\($0)]" }
        }
        guard endsInANumber(text) else { return nil }
        var address = in_addr()
        guard inet_aton(text, &address) != 0 else { return nil }
        return write(AF_INET, &address)
    }

    private static func write(_ family: Int32, _ address: UnsafeRawPointer) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { room in
            inet_ntop(family, address, room.baseAddress, socklen_t(room.count)).map { String(cString: $0) }
        }
    }

    /// Then it must be a valid address (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    private static func endsInANumber(_ text: String) -> Bool {
        guard let last = text.split(separator: ".", omittingEmptySubsequences: false).last, !last.isEmpty else {
            return false
        }
        return last.utf8.allSatisfy { (0x30...0x39).contains($0) } || last.hasPrefix("0x")
    }

    private static func name(_ text: String) -> String? {
        guard !text.isEmpty, !text.hasPrefix("."), !text.contains(where: { "[]:".contains($0) }), !endsInANumber(text)
        else { return nil }
        return text
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-._:[]".utf8.contains(byte)
        }
    }
}
