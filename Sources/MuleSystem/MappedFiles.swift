import Glibc
import Synchronization

/// Ends the process with a message and a status where memory that a file is mapped to can't be read or written: the file was
/// cut short, its disk is full or does not answer (SIGBUS, mmap(2)). There is nothing to go on with; what was to be kept must be
/// on disk at any moment anyway. The message of the last call holds.
package func onBusError(_ message: String, status: Int32) {
    // Read by the handler until the process ends.
    let text = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: message.utf8.count)
    _ = text.initialize(from: message.utf8)
    lastWords.store(UInt(bitPattern: text.baseAddress), ordering: .sequentiallyConsistent)
    lastWordsLength.store(text.count, ordering: .sequentiallyConsistent)
    lastStatus.store(status, ordering: .sequentiallyConsistent)
    var action = sigaction()
    action.sa_flags = SA_SIGINFO
    // Takes no locks and no memory, signal-safety(7).
    action.__sigaction_handler.sa_sigaction = { number, info, _ in
        if info?.pointee.si_code == addressError {
            let words = UnsafeRawPointer(bitPattern: lastWords.load(ordering: .sequentiallyConsistent))
            _ = write(STDERR_FILENO, words, lastWordsLength.load(ordering: .sequentiallyConsistent))
            _exit(lastStatus.load(ordering: .sequentiallyConsistent))
        }
        // Any other SIGBUS ends the process as ever.
        signal(number, SIG_DFL)
        raise(number)
    }
    sigaction(SIGBUS, &action, nil)
}

/// `BUS_ADRERR`: there is nothing behind the address.
private let addressError: Int32 = 2

// What the handler needs: it can be given nothing.
private let lastWords = Atomic<UInt>(0)
private let lastWordsLength = Atomic<Int>(0)
private let lastStatus = Atomic<Int32>(0)
