import MuleSigning
import MuleSystem

/// Credentials from files that another program may rewrite while an upload runs (aws/aws-cli#4562 asks for this).
///
/// Every few seconds at most, the files are checked, and read if they have changed. If they cannot be used, for example
/// half-written, the old credentials stay, and the next check reads them again.
final class ReloadedCredentials: CredentialsProvider {
    /// Inode, size and time of each file; nil if it does not exist.
    typealias FileStates = [FileStatus?]

    private struct State {
        var credentials: Credentials
        var files: FileStates
        var nextLook: Moment
    }

    static let secondsBetweenLooks = 5.0

    private let state: Monitor<State>
    private let look: @Sendable () -> FileStates
    private let reload: @Sendable () -> Credentials?
    private let now: @Sendable () -> Moment

    /// - Parameters:
    ///   - credentials: Used until the files change.
    ///   - files: The state of the files before the credentials were read.
    ///   - look: The current state of the files.
    ///   - reload: Reads the files; nil if they have nothing usable.
    ///   - now: The monotonic clock.
    init(
        _ credentials: Credentials,
        files: FileStates,
        look: @escaping @Sendable () -> FileStates,
        reload: @escaping @Sendable () -> Credentials?,
        now: @escaping @Sendable () -> Moment = Moment.now
    ) {
        let nextLook = now().adding(seconds: Self.secondsBetweenLooks)
        state = Monitor(State(credentials: credentials, files: files, nextLook: nextLook))
        self.look = look
        self.reload = reload
        self.now = now
    }

    func credentials() throws(CredentialsUnavailable) -> Credentials {
        let moment = now()
        let (current, known) = state.withLock { state -> (Credentials, FileStates?) in
            guard moment >= state.nextLook else { return (state.credentials, nil) }
            // Claims the check for this thread; the others use the current credentials, even if the disk hangs.
            state.nextLook = moment.adding(seconds: Self.secondsBetweenLooks)
            return (state.credentials, state.files)
        }
        guard let known else { return current }
        return reloaded(known) ?? current
    }

    /// The files may have been rewritten since the last check.
    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool {
        let (current, known) = state.withLock { ($0.credentials, $0.files) }
        if current != refused { return true }
        return reloaded(known).map { $0 != refused } ?? false
    }

    /// The files' new credentials; nil if the files are unchanged or not usable.
    private func reloaded(_ known: FileStates) -> Credentials? {
        let files = look()
        guard files != known, let fresh = reload() else { return nil }
        state.withLock { state in
            state.credentials = fresh
            state.files = files
        }
        return fresh
    }
}
