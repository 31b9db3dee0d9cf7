import Glibc

/// Starts a program without a terminal, inherited descriptors or blocked signals.
///
/// - Parameters:
///   - words: the program, searched in `PATH` if it has no slash, and its arguments: any bytes except NUL.
///   - environment: nil for this process's own, byte for byte.
///   - input: its standard input; nil for an empty one.
///   - error: its standard error; nil for that of this process.
/// - Returns: its process ID, which is also that of its session and its group.
func spawnChild(
    _ words: [[UInt8]],
    environment: [String: String]?,
    input: Int32? = nil,
    output: Int32,
    error: Int32? = nil
) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    } else {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    if let error { posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO) }
    // All descriptors of mule are closed on exec; libraries may have others.
    _ = SpawnExtensions.closeFrom(3, &actions)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A new session: no terminal to prompt on, and a process group to kill.
    let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | SpawnExtensions.newSession
    posix_spawnattr_setflags(&attributes, Int16(flags))
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    // Resets signals that this program or its parent ignores. With SIGCHLD ignored, waitpid(2) would not report how a
    // child ended, neither here nor in the child.
    signal(SIGCHLD, SIG_DFL)
    for number in [SIGPIPE, SIGXFSZ, SIGCHLD] { sigaddset(&signals, number) }
    posix_spawnattr_setsigdefault(&attributes, &signals)

    var arguments: [UnsafeMutablePointer<CChar>?] =
        words.map { word in strdup(word.map { CChar(bitPattern: $0) } + [0]) } + [nil]
    var variables = (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var pid: pid_t = 0
    guard let program = arguments[0] else { throw SystemError(code: ENOMEM, call: "strdup") }
    let status =
        environment == nil
        ? posix_spawnp(&pid, program, &actions, &attributes, &arguments, environ)
        : posix_spawnp(&pid, program, &actions, &attributes, &arguments, &variables)
    guard status == 0 else { throw SystemError(code: status, call: "posix_spawn") }
    return pid
}

extension ChildProcess.End {
    /// From the status of waitpid(2).
    init(status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal)
    }
}
