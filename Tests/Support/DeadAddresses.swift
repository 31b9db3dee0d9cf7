import Glibc

/// Addresses from 127.0.0.2 on, at one port, that never answer: each has a listener whose queue is full, so the kernel
/// drops further SYNs (tcp(7), listen(2)).
package final class DeadAddresses: Sendable {
    package let addresses: [String]
    private let descriptors: [Int32]

    package init(_ count: Int, port: UInt16) {
        var descriptors: [Int32] = []
        addresses = (2..<2 + count)
            .map { last in
                let address = 0x7F00_0000 | UInt32(last)
                descriptors.append(Loopback.listener(backlog: 0, address: address, port: port).descriptor)
                // The queue has room for one more than the backlog; more than that waits.
                for _ in 0..<3 { descriptors.append(Loopback.connecting(to: port, address: address)) }
                return "127.0.0.\(last)"
            }
        self.descriptors = descriptors
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
    }
}
