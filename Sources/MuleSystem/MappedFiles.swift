import Glibc
import Synchronization

/// Ends the process with a message and an exit status if mapped memory cannot be read or written (SIGBUS, mmap(2)): the
/// file was truncated, or its disk is full or does not respond. The process cannot continue; all that must survive is
/// on disk already. The last call's message is used.
package func onBusError(_ message: String, status: Int32) {
    // Never freed: the handler reads it until the process ends.
    let text = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: message.utf8.count)
    _ = text.initialize(from: message.utf8)
    lastWords.store(UInt(bitPattern: text.baseAddress), ordering: .sequentiallyConsistent)
    lastWordsLength.store(text.count, ordering: .sequentiallyConsistent)
    lastStatus.store(status, ordering: .sequentiallyConsistent)
    var action = sigaction()
    action.sa_flags = SA_SIGINFO
    // Takes no locks and allocates nothing (signal-safety(7)).
    action.__sigaction_handler.sa_sigaction = { number, info, _ in
        if info?.pointee.si_code == addressError {
            let words = UnsafeRawPointer(bitPattern: lastWords.load(ordering: .sequentiallyConsistent))
            _ = write(STDERR_FILENO, words, lastWordsLength.load(ordering: .sequentiallyConsistent))
            _exit(lastStatus.load(ordering: .sequentiallyConsistent))
        }
        // Any other SIGBUS has its default effect.
        signal(number, SIG_DFL)
        raise(number)
    }
    sigaction(SIGBUS, &action, nil)
}

/// `BUS_ADRERR`: nothing is mapped at the address.
private let addressError: Int32 = 2

// Globals, because a signal handler cannot capture anything.
private let lastWords = Atomic<UInt>(0)
private let lastWordsLength = Atomic<Int>(0)
private let lastStatus = Atomic<Int32>(0)
