import Glibc

/// The bytes of one received body.
package final class FakeBytes: @unchecked Sendable {
    // Sendable: the connection that receives the body is the only writer, and shares the object when it is complete.
    let buffer: UnsafeMutableRawBufferPointer

    init(capacity: Int) { buffer = .allocate(byteCount: capacity, alignment: 64) }

    package convenience init(copying bytes: [UInt8]) {
        self.init(capacity: bytes.count)
        bytes.withUnsafeBytes { buffer.copyMemory(from: $0) }
    }

    deinit { buffer.deallocate() }

    package var count: Int { buffer.count }

    package var array: [UInt8] {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: buffer.count) { copy, initialized in
            UnsafeMutableRawBufferPointer(copy).copyMemory(
                from: UnsafeRawBufferPointer(start: base, count: buffer.count)
            )
            initialized = buffer.count
        }
    }
}
