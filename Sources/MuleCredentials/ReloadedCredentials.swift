import MuleSigning
import MuleSystem

/// Credentials from files that another program may write anew while an upload runs (aws/aws-cli#4562 asks for this).
///
/// At most once every few seconds the files are looked at, and read when they are not the ones that were read. What can't
/// be used, a half-written file say, leaves the old credentials in place and is tried again at the next look.
final class ReloadedCredentials: CredentialsProvider {
    /// Inode, size and time of each file; nil for one that is not there.
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
    ///   - credentials: Handed out until the files change.
    ///   - files: What the files were before the credentials were read.
    ///   - look: What the files are at the moment.
    ///   - reload: Reads the files; nil when they hold nothing usable.
    ///   - now: The time by a clock that never jumps.
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
            // Claims the look for this thread; the others go on with what there is, even if the disk hangs.
            state.nextLook = moment.adding(seconds: Self.secondsBetweenLooks)
            return (state.credentials, state.files)
        }
        guard let known else { return current }
        return reloaded(known) ?? current
    }

    /// Whoever renews the file may have done so within the last seconds.
    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool {
        let (current, known) = state.withLock { ($0.credentials, $0.files) }
        if current != refused { return true }
        return reloaded(known).map { $0 != refused } ?? false
    }

    /// What the files hold when they are others than these, and can be used.
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
