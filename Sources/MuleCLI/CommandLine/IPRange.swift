import Glibc

/// An IP address or a network in CIDR form, in which no bit after the prefix is set.
struct IPRange {
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Self.bytes(String(parts[0])) else { return nil }
        guard parts.count == 2 else { return }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1]),
            length <= address.count * 8
        else { return nil }
        for (index, byte) in address.enumerated() {
            let kept = min(8, max(0, length - index * 8))
            guard byte & (0xFF >> UInt8(kept)) == 0 || kept == 8 else { return nil }
        }
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
