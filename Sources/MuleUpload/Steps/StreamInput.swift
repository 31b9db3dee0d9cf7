// The input of a stream: a descriptor, or a command that mule starts.

import Glibc
import MulePlan
import MuleSystem

/// A stream to upload.
package struct StreamInput: Sendable {
    package enum Origin: Sendable {
        /// Read to its end and left open.
        case descriptor(Int32)
        /// A program with its arguments that prints the stream. The object is created only if it exits with status 0.
        case program([[UInt8]])
    }

    package var origin: Origin
    /// The expected length, for progress only. Greater than 0.
    package var expectedSize: Int64?

    package init(_ origin: Origin, expectedSize: Int64? = nil) {
        self.origin = origin
        self.expectedSize = expectedSize
    }

    var source: StreamSource {
        switch origin {
        case .descriptor: .standardInput
        case .program: .command
        }
    }
}

/// A stream that is being read.
final class OpenStream: Sendable {
    private let descriptor: Int32
    private let producer: PipedProcess?
    /// The object's name in messages.
    private let name: String

    private static let tickMilliseconds: Int32 = 200
    private static let endTickMicroseconds: UInt32 = 10_000

    /// Starts the command, if there is one.
    init(_ input: StreamInput, sending name: String) throws(UploadFailure) {
        self.name = name
        switch input.origin {
        case .descriptor(let descriptor): (self.descriptor, producer) = (descriptor, nil)
        case .program(let words):
            do throws(SystemError) {
                let producer = try PipedProcess(words: words)
                (descriptor, self.producer) = (producer.output, producer)
            } catch {
                throw UploadFailure(.source, "The command for \(name) cannot be started: \(error.reason).")
            }
        }
    }

    /// Reads what is available, and waits briefly for it.
    ///
    /// - Returns: bytes read; 0 at the end; nil if nothing was available.
    /// - Throws: also if the command has failed while other processes still hold its output open.
    func read(into buffer: UnsafeMutableRawBufferPointer, limit: Int) throws(UploadFailure) -> Int? {
        do throws(SystemError) {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if try retryingInterrupts("poll", { poll(&request, 1, Self.tickMilliseconds) }) != 0 {
                return try retryingInterrupts("read") { Glibc.read(descriptor, buffer.baseAddress, limit) }
            }
        } catch {
            if error.code == EAGAIN { return nil }
            let what = producer == nil ? "Standard input" : "The command's output"
            throw UploadFailure(.source, "\(what) cannot be read: \(error.reason).")
        }
        if let end = producer?.end(), let failure = failure(end) { throw failure }
        return nil
    }

    /// Waits until the command has exited, which may be long after its output ended.
    ///
    /// - Throws: if its exit status is not 0.
    func end(unless isStopped: () -> Bool, onWait: () -> Void) throws(UploadFailure) {
        guard let producer else { return }
        while true {
            if let end = producer.end() {
                if let failure = failure(end) { throw failure }
                return
            }
            if isStopped() { throw .interrupted }
            onWait()
            usleep(Self.endTickMicroseconds)
        }
    }

    /// Stops the command if it still runs.
    func stop() { producer?.stop() }

    private func failure(_ end: ChildProcess.End) -> UploadFailure? {
        let what: String
        switch end {
        case .exit(0): return nil
        case .exit(127): what = "was not found (status 127)"
        // The shell's way to report a signal.
        case .exit(let status) where status > 128: what = "exited with status \(status) (signal \(status - 128))"
        case .exit(let status): what = "exited with status \(status)"
        case .signal(let number): what = "was killed by signal \(number)"
        case .unknown, .timeout, .tooMuchOutput, .cancelled: what = "ended for an unknown reason"
        }
        return UploadFailure(
            .source,
            "The command for \(name) \(what): no object is created from its output. Fix it and run the same command "
                + "again; parts that are already at the store and have the same content are not sent again.",
            isResumable: true
        )
    }
}
