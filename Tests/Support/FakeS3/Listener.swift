import Glibc
import MuleSystem

/// The listening socket on 127.0.0.1 and the threads that serve its connections.
struct Listener: Sendable {
    let descriptor: Int32
    let port: UInt16

    init() { (descriptor, port) = LocalSocket.listening() }

    /// Accepts until `stop`.
    func start(_ state: Monitor<ServerState>) {
        state.withLock { $0.liveThreads += 1 }
        DetachedThread.start {
            while true {
                let client = accept(descriptor, nil, nil)
                if client < 0 {
                    if state.withLock(\.isStopping) { break }
                    continue
                }
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                let number: Int? = state.update { state in
                    guard !state.isStopping else { return nil }
                    state.openSockets.insert(client)
                    state.liveThreads += 1
                    state.connections += 1
                    return state.connections
                }
                guard let number else {
                    close(client)
                    continue
                }
                DetachedThread.start {
                    let wire = Wire(client)
                    Connection(number: number, wire: wire, state: state).serve()
                    // Taken out first: `stop` must never shut down a number that has been given to another file.
                    state.update { _ = $0.openSockets.remove(client) }
                    wire.close()
                    state.update { $0.liveThreads -= 1 }
                }
            }
            close(descriptor)
            state.update { $0.liveThreads -= 1 }
        }
    }

    /// Ends accepting and every connection, and waits for their threads.
    func stop(_ state: Monitor<ServerState>) {
        let isFirst = state.update { state in
            defer { state.isStopping = true }
            guard !state.isStopping else { return false }
            shutdown(descriptor, Int32(SHUT_RDWR))
            for socket in state.openSockets { shutdown(socket, Int32(SHUT_RDWR)) }
            return true
        }
        if isFirst { state.wait(seconds: 10) { $0.liveThreads == 0 } }
    }
}
