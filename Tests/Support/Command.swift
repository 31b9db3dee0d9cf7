import Glibc

/// A program to run: the built `mule` or any other, with an environment of the test's own.
///
/// Nothing of the developer's environment gets through but `PATH` and `TMPDIR`; `HOME` is the scratch directory. The
/// child inherits no file descriptors but its three streams.
package struct TestCommand: Sendable {
    package enum Input: Sendable {
        case none
        case bytes([UInt8])
        /// Stays open until `RunningCommand.closeInput()`.
        case pipe
        /// The terminal of standard error, to which `RunningCommand.writeInput` types.
        case terminal
    }

    package struct TerminalSize: Sendable {
        package var columns: UInt16
        package var rows: UInt16

        package init(columns: UInt16 = 80, rows: UInt16 = 24) {
            self.columns = columns
            self.rows = rows
        }
    }

    package var executable: String
    /// Without the program's name. Bytes, since file names need not be UTF-8.
    package var arguments: [[UInt8]]
    package var environment: [String: String]
    package var workingDirectory: String?
    package var input = Input.none
    /// Standard error is a terminal of this size (raw: no newline translation); nil makes it a pipe.
    package var terminal: TerminalSize?
    /// With a terminal: whether standard output goes there too (and is captured as standard error).
    package var outputGoesToTerminal = false

    /// `executable` is an absolute path, `home` becomes `HOME`; `environment` is added to, and stronger than, the base.
    package init(_ executable: String, _ arguments: [String], home: String, environment: [String: String] = [:]) {
        self.executable = executable
        self.arguments = arguments.map { Array($0.utf8) }
        self.environment = ["HOME": home, "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
        // A test that finds no credentials must not look for those of the machine it runs on.
        self.environment["AWS_EC2_METADATA_DISABLED"] = "true"
        for name in ["PATH", "TMPDIR"] {
            if let value = getenv(name) { self.environment[name] = String(cString: value) }
        }
        self.environment.merge(environment) { $1 }
    }

    /// Runs it under a resource limit, in the words of the shell's `ulimit`: `-f 6144`, `-n 64`.
    package mutating func limit(_ words: String) {
        arguments = ["-c", "ulimit \(words); exec \"$0\" \"$@\"", executable].map { Array($0.utf8) } + arguments
        executable = "/bin/sh"
    }

    /// Whether programs run with a sanitizer, which needs memory, threads and /proc of its own.
    package static let isSanitized = getenv("MULE_TEST_SANITIZER") != nil

    /// The `mule` that this test run has built.
    package static func mule(
        _ arguments: [String],
        home: ScratchDirectory,
        environment: [String: String] = [:]
    ) -> TestCommand {
        var command = TestCommand("\(productsDirectory)/mule", arguments, home: home.path, environment: environment)
        command.workingDirectory = home.path
        return command
    }

    /// Where SwiftPM puts products: the directory of the test runner itself.
    package static var productsDirectory: String {
        // `swift test` runs `<package>PackageTests.xctest` as a program there; a helper of the toolchain that loads it
        // as a library names it among its arguments.
        let candidates = [(try? Files.target(ofLink: "/proc/self/exe")) ?? ""] + CommandLine.arguments
        let bundle = candidates.first { $0.hasSuffix(".xctest") } ?? candidates[0]
        return bundle.lastIndex(of: "/").map { String(bundle[..<$0]) } ?? "."
    }

    /// Starts the program and waits for its end. After `timeoutSeconds` it is killed, and `timedOut` is set.
    package func run(timeoutSeconds: Double = 60) throws(CommandFailure) -> CommandOutcome {
        try start().wait(timeoutSeconds: timeoutSeconds)
    }

    package func start() throws(CommandFailure) -> RunningCommand { try RunningCommand(self) }
}

/// How a program ended, and what it said.
package struct CommandOutcome: Sendable {
    package enum End: Sendable, Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    package let end: End
    /// Of the command that was run, without the program's name.
    package let arguments: [[UInt8]]
    package let standardOutput: [UInt8]
    package let standardError: [UInt8]
    package let seconds: Double
    /// Largest resident set, in bytes (wait4's `ru_maxrss`).
    package let peakMemory: Int64
    /// User and system time.
    package let cpuSeconds: Double
    /// Whether the runner had to kill it.
    package let timedOut: Bool

    /// Exit status; nil when a signal ended the program.
    package var exitCode: Int32? { if case .exit(let code) = end { code } else { nil } }
    package var out: String { String(decoding: standardOutput, as: UTF8.self) }
    package var err: String { String(decoding: standardError, as: UTF8.self) }
    /// Lines of standard output without their ends.
    package var lines: [String] {
        standardOutput.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// A program could not be started.
package struct CommandFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ what: String, code: Int32) { description = "\(what): \(String(cString: strerror(code)))" }
}
