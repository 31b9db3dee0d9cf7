import Glibc
import MuleSystem

/// The connection attempts of one request. libcurl iterates over the addresses and asks for a socket for each; this
/// type decides which are tried. It shuts down a slow attempt, after which libcurl tries the next address.
///
/// libcurl alone starts with the first address each time, and waits half of the remaining time for each: with one dead
/// address every connection took 10 s, with seven there was none (curl_easy_setopt(3), `CURLOPT_CONNECTTIMEOUT`).
struct ConnectionAttempts {
    /// Which addresses may be tried; each round is one libcurl transfer.
    private enum Round {
        /// Those that the address book prefers.
        case preferred
        /// All that were not tried in the first round.
        case others
        /// All, with all the remaining time.
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
    /// Why the last socket could not be created.
    private(set) var socketError: SystemError?
    /// The port that was tried last, which may be a proxy's.
    private(set) var lastPort: Int?
    private var isImpatient = false

    /// - Parameter limit: seconds for each of name resolution, connection and TLS.
    init(place: String, book: AddressBook, limit: Double) {
        (self.place, self.book, self.limit) = (place, book, limit)
    }

    // MARK: Calls from libcurl

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

    /// The socket is about to be closed. When IPv6 and IPv4 are tried in parallel, libcurl also closes the slower one,
    /// which is not a failure (RFC 8305).
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

    /// Called before each wait for the network until the request is being sent. Shuts down slow attempts.
    ///
    /// - Returns: the stage that timed out, if any.
    mutating func check() -> NetworkFailure.Stage? {
        let now = Moment.now()
        // The process or the machine was suspended: no server could answer.
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
            // Ends the attempt with ECONNRESET; libcurl then tries the next address.
            shutdown(descriptor, Int32(SHUT_RDWR))
            attempts[index].hasTimedOut = true
            isImpatient = true
        }
        return nil
    }

    /// Whether libcurl can continue at once; asked before each wait.
    mutating func takeRetryNow() -> Bool {
        defer { isImpatient = false }
        return isImpatient
    }

    private var allowance: Double {
        guard round == .patient else { return min(Self.share, limit) }
        return patience
    }

    /// Seconds for each address in the last round.
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

    /// Finds out which sockets are connected. libcurl reports it only after the TLS handshake.
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

    /// Starts the next round after libcurl could not connect; false if there is none.
    mutating func nextRound() -> Bool {
        defer { wasHeldBack = false }
        if round == .preferred, wasHeldBack {
            round = .others
            return true
        }
        guard round != .patient, attempts.contains(where: \.hasTimedOut) else { return false }
        // With less time than in the first round, nothing would change.
        guard patience >= Self.share else { return false }
        round = .patient
        return true
    }

    /// Whether a socket was connected, so that only TLS or the proxy's answer is missing.
    var isConnected: Bool { attempts.contains { $0.connected != nil } }
    var isEmpty: Bool { attempts.isEmpty }
    /// Seconds since the start.
    var seconds: Double { Moment.now().seconds(since: began) }
    /// Number of addresses tried.
    var addresses: Int { Set(attempts.map(\.address)).count }
    var lastAddress: String? { (attempts.last { $0.connected != nil } ?? attempts.last)?.address }
    /// Whether the last attempt timed out.
    var hasTimedOut: Bool { attempts.last?.hasTimedOut ?? false }
    /// Addresses that could not be connected.
    var failed: Set<String> { Set(attempts.filter(\.hasFailed).map(\.address)) }
}
