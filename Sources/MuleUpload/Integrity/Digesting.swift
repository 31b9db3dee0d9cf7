import MuleDigest
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport

/// Digests of a range of bytes, computed before it is sent.
struct SliceDigest: Sendable {
    var crc: Checksum
    var sha256: [UInt8]?
    var md5: [UInt8]?
}

/// Reads and digests slices in one small buffer. Used by one worker.
final class Digester {
    // Small enough to stay in the L2 cache between read and digest.
    private static let bufferSize = 256 << 10
    /// The longest slice that stays in memory after it is digested.
    static let mostHeld = Int64(bufferSize)

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 4096)
    private var sha256 = MessageDigest(.sha256)
    private var md5 = MessageDigest(.md5)

    /// The last digested bytes if they fit into the buffer; valid until the next digest.
    private(set) var held: LentBytes?

    deinit {
        buffer.deallocate()
    }

    /// - Parameters:
    ///   - stop: polled between reads; true makes the call throw `cancelled`.
    ///   - onRead: called with the byte count of each read.
    func digest(
        _ slice: FileSlice,
        crc algorithm: CRCAlgorithm,
        withSHA256: Bool,
        withMD5: Bool,
        stop: () -> Bool,
        onRead: (Int) -> Void = { _ in }
    ) throws(TransportError) -> SliceDigest {
        var crc = CRCDigest(algorithm)
        // An interrupted digest leaves a partial state.
        if withSHA256 { sha256.restart() }
        if withMD5 { md5.restart() }
        held = nil
        let fits = slice.length <= Int64(buffer.count)
        var offset = slice.offset
        let end = slice.offset + slice.length
        while offset < end {
            if stop() { throw .cancelled }
            let place = fits ? Int(offset - slice.offset) : 0
            let room = UnsafeMutableRawBufferPointer(
                rebasing: buffer[place..<place + Int(min(Int64(buffer.count - place), end - offset))]
            )
            let count: Int
            do {
                count = try slice.file.read(into: room, at: offset)
            } catch {
                throw .source(error, offset: offset)
            }
            if count == 0 { throw .sourceEnded(offset: offset) }
            let bytes = UnsafeRawBufferPointer(rebasing: room[..<count])
            crc.update(bytes)
            if withSHA256 { sha256.update(bytes) }
            if withMD5 { md5.update(bytes) }
            offset += Int64(count)
            onRead(count)
        }
        if fits { held = LentBytes(UnsafeRawBufferPointer(rebasing: buffer[..<Int(slice.length)])) }
        return SliceDigest(
            crc: crc.checksum,
            sha256: withSHA256 ? sha256.finish() : nil,
            md5: withMD5 ? md5.finish() : nil
        )
    }
}

/// Digests the bytes that go into the connection, for stores that would not notice a source that changes between the
/// two reads.
final class SentBytesCheck: BodyObserver {
    private let algorithm: CRCAlgorithm
    private var crc: CRCDigest

    init(_ algorithm: CRCAlgorithm) {
        self.algorithm = algorithm
        crc = CRCDigest(algorithm)
    }

    var checksum: Checksum { crc.checksum }

    func bodyStarts() {
        crc = CRCDigest(algorithm)
    }

    func bodyContinues(_ bytes: UnsafeRawBufferPointer) {
        crc.update(bytes)
    }
}
