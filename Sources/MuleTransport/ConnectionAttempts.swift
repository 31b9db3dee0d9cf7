import Glibc
import MuleSystem

/// The attempts to connect for one request. libcurl goes through the addresses of the name and asks for a socket for each; it is told
/// here which it may try, and an attempt that takes too long is shut down, after which libcurl tries the next.
///
/// libcurl by itself begins with the first address each time and waits half of what is left of its time for each: behind a dead
/// address every connection took 10 s, and behind seven there was none (curl_easy_setopt(3), `CURLOPT_CONNECTTIMEOUT`).
struct ConnectionAttempts {
    /// Which addresses may be tried; each round is one transfer of libcurl's.
    private enum Round {
        /// Those that the address book prefers.
        case preferred
        /// All that were not tried in the first round.
        case others
        /// All, with as much time as is left.
        case patient
    }

    private struct Attempt {
        var address: String
        var descriptor: Int32?
        var started: Moment
        var connected: Moment?
        var hasTimedOut = false
        var hasFailed = false
    }

    /// Seconds for one address while others are left: three SYNs of a kernel that repeats them each second (tcp(7)).
    private static let share = 2.0

    let place: String
    private let book: AddressBook
    private let limit: Double
    private var round = Round.preferred
    private var attempts: [Attempt] = []
    private var wasHeldBack = false
    private var began = Moment.now()
    private var lastLook = Moment.now()
    /// Why the last socket could not be made.
    private(set) var socketError: SystemError?
    /// The port that was tried last, which may be a proxy's.
    private(set) var lastPort: Int?
    private var isImpatient = false

    /// - Parameter limit: seconds for the name's look-up, for the connection, and for TLS, each.
    init(place: String, book: AddressBook, limit: Double) {
        (self.place, self.book, self.limit) = (place, book, limit)
    }

    // MARK: What libcurl asks

    mutating func allows(_ address: String) -> Bool {
        let allowed =
            switch round {
            case .preferred: book.prefers(address, of: place)
            case .others: !attempts.contains { $0.address == address }
            case .patient: true
            }
        if !allowed { (wasHeldBack, isImpatient) = (true, true) }
        return allowed
    }

    mutating func opened(_ descriptor: Int32, to address: String, _ port: Int) {
        lastPort = port
        attempts.append(Attempt(address: address, descriptor: descriptor, started: .now()))
    }

    mutating func couldNotOpen(_ error: SystemError) {
        socketError = error
        isImpatient = true
    }

    /// The socket is about to be closed. Of two that run side by side, IPv6 and IPv4, the slower one is closed as well, which is no
    /// failure (RFC 8305).
    mutating func closes(_ descriptor: Int32) {
        guard let index = attempts.lastIndex(where: { $0.descriptor == descriptor }) else { return }
        look()
        attempts[index].descriptor = nil
        if attempts[index].connected == nil, !attempts.contains(where: { $0.connected != nil }) {
            attempts[index].hasFailed = true
            isImpatient = true
        }
    }

    // MARK: Time

    /// To be called before each wait for the network until the request is on its way. Shuts down what takes too long.
    ///
    /// - Returns: the stage whose time is up, if any.
    mutating func check() -> NetworkFailure.Stage? {
        let now = Moment.now()
        // The process was stopped or its machine paused: nobody has had a chance to answer.
        let gap = now.seconds(since: lastLook)
        lastLook = now
        if gap > 6 { shift(by: gap) }
        look()
        if attempts.isEmpty { return now.seconds(since: began) > limit ? .lookup : nil }
        if let connected = attempts.last(where: { $0.connected != nil })?.connected {
            return now.seconds(since: connected) > limit ? .handshake : nil
        }
        for index in attempts.indices where !attempts[index].hasTimedOut {
            guard let descriptor = attempts[index].descriptor, now.seconds(since: attempts[index].started) > allowance
            else { continue }
            // Ends an attempt with ECONNRESET, at which libcurl turns to the next address.
            shutdown(descriptor, Int32(SHUT_RDWR))
            attempts[index].hasTimedOut = true
            isImpatient = true
        }
        return nil
    }

    /// Whether libcurl can go on at once; asked before each wait.
    mutating func takeRetryNow() -> Bool {
        defer { isImpatient = false }
        return isImpatient
    }

    private var allowance: Double {
        guard round == .patient else { return min(Self.share, limit) }
        return patience
    }

    /// Seconds for each address when all are tried once more.
    private var patience: Double {
        let first = attempts.first?.started ?? began
        let spent = Double(addresses) * min(Self.share, limit)
        return (limit - min(spent, Moment.now().seconds(since: first))) / Double(max(1, addresses))
    }

    private mutating func shift(by seconds: Double) {
        began = began.adding(seconds: seconds)
        for index in attempts.indices {
            attempts[index].started = attempts[index].started.adding(seconds: seconds)
            attempts[index].connected = attempts[index].connected?.adding(seconds: seconds)
        }
    }

    /// Sees which sockets have been connected. libcurl tells it only once TLS stands as well.
    private mutating func look() {
        for index in attempts.indices where attempts[index].connected == nil && !attempts[index].hasTimedOut {
            guard let descriptor = attempts[index].descriptor, Self.isConnected(descriptor) else { continue }
            attempts[index].connected = .now()
        }
    }

    private static func isConnected(_ descriptor: Int32) -> Bool {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) } == 0
        }
    }

    // MARK: The outcome

    /// Goes on to the next round after libcurl could not connect; false when there is none.
    mutating func nextRound() -> Bool {
        defer { wasHeldBack = false }
        if round == .preferred, wasHeldBack {
            round = .others
            return true
        }
        guard round != .patient, attempts.contains(where: \.hasTimedOut) else { return false }
        // Less than a share would tell nothing new.
        guard patience >= Self.share else { return false }
        round = .patient
        return true
    }

    /// Whether a socket was connected, so that TLS or a proxy's answer is what is missing.
    var isConnected: Bool { attempts.contains { $0.connected != nil } }
    var isEmpty: Bool { attempts.isEmpty }
    /// How long it has taken up to now.
    var seconds: Double { Moment.now().seconds(since: began) }
    /// Different addresses that were tried.
    var addresses: Int { Set(attempts.map(\.address)).count }
    var lastAddress: String? { (attempts.last { $0.connected != nil } ?? attempts.last)?.address }
    /// Whether the last attempt was ended because it took too long.
    var hasTimedOut: Bool { attempts.last?.hasTimedOut ?? false }
    /// Addresses to which no connection could be made.
    var failed: Set<String> { Set(attempts.filter(\.hasFailed).map(\.address)) }
}
