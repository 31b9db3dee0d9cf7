// Digests ranges of a file in parallel, to prove what a store has without sending anything.

import Glibc
import MuleDigest
import MuleSystem
import MuleTransport
import Synchronization

/// How far a file has been read. Can be read on any thread.
package final class ReadProgress: Sendable {
    private let bytes = Atomic<Int64>(0)

    package init() {}

    package var bytesRead: Int64 { bytes.load(ordering: .relaxed) }

    func begin(at offset: Int64 = 0) { bytes.store(offset, ordering: .relaxed) }

    func advance(by count: Int64) { bytes.add(count, ordering: .relaxed) }
}

/// Digests one file on one thread per processor, up to 8.
struct FileDigests: Sendable {
    let file: File
    /// The file's name in messages.
    let name: String
    let progress: ReadProgress
    private let shouldStop: @Sendable () -> Bool
    /// Called as reading progresses, so that the time it takes does not count as a stall.
    private let onProgress: @Sendable () -> Void

    /// CRCs combine, so a whole file's CRC is computed from ranges of this length on all threads.
    private static let stretch: Int64 = 16 << 20
    private static let threads = min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 8)

    init(file: File, name: String, cancellation: Cancellation, progress: ReadProgress, stallTimer: StallTimer) {
        self.init(
            file: file,
            name: name,
            progress: progress,
            shouldStop: { cancellation.isCancelled },
            onProgress: { stallTimer.noteProgress() }
        )
    }

    init(
        file: File,
        name: String,
        progress: ReadProgress = ReadProgress(),
        shouldStop: @escaping @Sendable () -> Bool,
        onProgress: @escaping @Sendable () -> Void = {}
    ) {
        self.file = file
        self.name = name
        self.progress = progress
        self.shouldStop = shouldStop
        self.onProgress = onProgress
    }

    private struct State: Sendable {
        var next = 0
        var digests: [SliceDigest?]
        var failure: TransportError?
    }

    /// The digests of the slices, in order.
    func digest(
        _ slices: [FileSlice],
        crc: CRCAlgorithm,
        withSHA256: Bool = false,
        withMD5: Bool = false
    ) throws(UploadFailure) -> [SliceDigest] {
        progress.begin()
        let state = Monitor(State(digests: Array(repeating: nil, count: slices.count)))
        let work: @Sendable () -> Void = { [progress, shouldStop, onProgress] in
            let digester = Digester()
            while true {
                let index = state.withLock { state -> Int? in
                    guard state.failure == nil, state.next < slices.count else { return nil }
                    defer { state.next += 1 }
                    return state.next
                }
                guard let index else { return }
                do throws(TransportError) {
                    let digest = try digester.digest(
                        slices[index],
                        crc: crc,
                        withSHA256: withSHA256,
                        withMD5: withMD5,
                        stop: shouldStop,
                        onRead: { count in
                            progress.advance(by: Int64(count))
                            onProgress()
                        }
                    )
                    state.withLock { $0.digests[index] = digest }
                } catch {
                    state.withLock { $0.failure = $0.failure ?? error }
                }
            }
        }
        // This thread is one of them, and the only one if no other can be created.
        let others = (1..<max(1, min(Self.threads, slices.count))).compactMap {
            try? Thread(name: "digest \($0)", work)
        }
        work()
        for thread in others { thread.join() }
        if let error = state.withLock({ $0.failure }) { throw failure(error) }
        return state.withLock { $0.digests.compactMap { $0 } }
    }

    /// The digest of the whole file of `size` bytes. Hashes need one thread, because they do not combine.
    func digestWhole(size: Int64, _ algorithm: ChecksumAlgorithm) throws(UploadFailure) -> Checksum {
        guard let crc = CRCAlgorithm(algorithm) else {
            let whole = try digest(
                [FileSlice(file: file, offset: 0, length: size)],
                crc: .crc64nvme,
                withSHA256: algorithm == .sha256,
                withMD5: algorithm == .md5
            )
            // There is one slice, and `algorithm` is a CRC or one of the two requested hashes.
            guard let checksum = whole.first?.checksum(algorithm) else { fatalError("the digest that was asked for") }
            return checksum
        }
        let slices = (0..<(size + Self.stretch - 1) / Self.stretch).map { index in
            let offset = index * Self.stretch
            return FileSlice(file: file, offset: offset, length: min(Self.stretch, size - offset))
        }
        let digests = try digest(slices, crc: crc)
        return zip(slices, digests).reduce(CRCDigest(crc).checksum) { whole, next in
            CRCDigest.combine(whole, next.1.crc, secondLength: next.0.length)
        }
    }

    private func failure(_ error: TransportError) -> UploadFailure {
        switch error {
        case .cancelled: .interrupted
        case .sourceEnded(let offset):
            UploadFailure(.source, "\(name) ends at byte \(offset): it became shorter while it was read.")
        default:
            UploadFailure(.source, "\(name) cannot be read: \(error.sentence).", isResumable: true)
        }
    }
}

extension SliceDigest {
    /// The value for one algorithm; nil if it was not computed.
    func checksum(_ algorithm: ChecksumAlgorithm) -> Checksum? {
        switch algorithm {
        case .sha256: sha256.map { Checksum(algorithm: .sha256, bytes: $0) }
        case .md5: md5.map { Checksum(algorithm: .md5, bytes: $0) }
        case .crc64nvme, .crc32c, .crc32: crc.algorithm == algorithm ? crc : nil
        }
    }
}
