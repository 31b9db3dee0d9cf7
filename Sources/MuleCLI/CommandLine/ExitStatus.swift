/// The exit status of the process. The numbers are a published contract: scripts and service units rely on them.
package enum ExitStatus: Int32, CaseIterable, Sendable {
    case done = 0
    case failed = 1
    case usage = 2
    case source = 3
    case refused = 4
    case credentials = 5
    case unverified = 6
    case destinationExists = 7
    case limitReached = 10
    case locked = 11
    case ledger = 12
    case temporary = 75
    case hangup = 129
    case interrupted = 130
    case terminated = 143

    /// What the status means, for all documentation.
    package var meaning: String {
        switch self {
        case .done: "everything requested is done and confirmed by the store"
        case .failed: "failed for several different reasons, or for an unexpected one"
        case .usage: "usage or configuration error; nothing was sent"
        case .source: "source file missing, unreadable, or changed while it was sent"
        case .refused: "the store refused: permission, no such bucket, quota, invalid argument"
        case .credentials: "credentials: none found, expired and not renewable, or rejected"
        case .unverified: "verification failed, or the outcome is unknown"
        case .destinationExists: "the destination exists and overwriting was not allowed"
        case .limitReached: "stopped at a deadline or transfer limit; resumable"
        case .locked: "another run holds the lock"
        case .ledger: "the ledger cannot be used: damaged, from a newer version, read-only, disk full"
        case .temporary: "network or throttling kept failing; resumable"
        case .hangup: "interrupted by SIGHUP; resumable"
        case .interrupted: "interrupted by SIGINT (Ctrl-C); resumable"
        case .terminated: "interrupted by SIGTERM; resumable"
        }
    }

    /// Whether running the same command again helps, in a few words.
    package var worthRetrying: String {
        switch self {
        case .done: "not needed"
        case .failed: "read the messages first"
        case .usage: "no; correct the command or the configuration"
        case .source: "once the file can be read"
        case .refused: "once the store allows it"
        case .credentials: "with valid credentials"
        case .unverified: "after the check that the message names"
        case .destinationExists: "no; choose another name or allow overwriting"
        case .limitReached, .temporary, .hangup, .interrupted, .terminated: "yes"
        case .locked: "later"
        case .ledger: "once the ledger can be used"
        }
    }

    /// True if the same command resumes from the parts that the store has.
    package var isResumable: Bool {
        switch self {
        case .limitReached, .temporary, .hangup, .interrupted, .terminated: true
        default: false
        }
    }
}
