// MuleRemoteSigning owns the client's side of delegated signing: it asks a service that holds the key for signatures,
// or for the key of a day, and trusts nothing that the service answers before it is compared with what was asked for.
// What is signed, and what is sent, is decided elsewhere. docs/signing.md has both protocols.

import Glibc

/// How a signer is spoken to.
package enum SignerProtocol: String, CaseIterable, Sendable {
    /// Signs each request: `POST URL/v1/sign`.
    case server
    /// The backend of mule-uploader, which gives the key of a day: `GET URL/signing_key/`.
    case muleUploader = "mule-uploader"
}

/// Where a signer is: `https://host[:port][/path]`, or `http://` on this machine.
package struct SignerAddress: Hashable, Sendable {
    /// Without a slash at the end.
    package let text: String
    /// With the port, as messages name it.
    package let host: String

    package enum Problem: Error, Hashable, Sendable {
        case notURL
        /// A token must not travel in the clear.
        case notEncrypted
    }

    package init(_ text: String) throws(Problem) {
        let lower = text.lowercased()
        guard let scheme = ["https://", "http://"].first(where: { lower.hasPrefix($0) }) else { throw .notURL }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        guard !authority.isEmpty, authority.utf8.allSatisfy(Self.isHostByte), authority.first != ":",
            rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"?#@\\\"<>".utf8.contains($0) })
        else { throw .notURL }
        host = authority.lowercased()
        if scheme == "http://", !Self.isLoopback(host) { throw .notEncrypted }
        var path = rest.dropFirst(authority.count)
        while path.hasSuffix("/") { path.removeLast() }
        self.text = scheme + host + path
    }

    /// A script that takes the call as a parameter, as the PHP backend of mule-uploader does.
    var isScript: Bool { text.hasSuffix(".php") }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._:[]".utf8.contains(byte)
        }
    }

    /// Whether it is on this machine. No proxy may see the token then: `http://` is allowed only because of that.
    package var isLoopback: Bool { Self.isLoopback(host) }

    /// By the text alone: a name that is looked up may lead anywhere.
    private static func isLoopback(_ host: String) -> Bool {
        if host.hasPrefix("[") { return host.prefix { $0 != "]" } == "[::1" }
        let name = String(host.prefix { $0 != ":" })
        if name == "localhost" { return true }
        var address = in_addr()
        guard inet_pton(AF_INET, name, &address) == 1 else { return false }
        return UInt32(bigEndian: address.s_addr) >> 24 == 127
    }
}

/// What a signer knows this host by. Printing, interpolating or dumping the value does not show it.
package struct SignerToken: Sendable {
    let text: String

    /// - Returns: nil for what cannot be in a header: white space within, other than ASCII, or nothing.
    package init?(_ bytes: [UInt8]) {
        var bytes = bytes[...]
        while let last = bytes.last, [0x0A, 0x0D, 0x20, 0x09].contains(last) { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.count <= Self.longest, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// Bytes.
    package static let longest = 8192
}

extension SignerToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SignerToken" }

    package var debugDescription: String { description }

    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
