// The program from its arguments to its exit status. This module handles all text, signals and exit statuses; the
// modules below it do the work.

import Glibc
package import MuleSystem
import MuleTransport
import MuleUpload

package enum Version {
    package static let number = "0.2.0"

    /// Includes the versions of the libraries, for bug reports.
    package static var text: String { "mule \(number) (\(HTTPClient.version))" }
}

package enum Program {
    /// Runs the command line of this process, and ends the process.
    ///
    /// - Parameter words: the arguments without the program's own name; raw bytes, because file names need not be
    ///   UTF-8.
    package static func main(arguments words: [[UInt8]]) -> Never {
        StandardStreams.fill()
        let cancellation = Cancellation()
        let environment = environment()
        let diagnostics = Diagnostics(environment: environment)
        let signals: Signals
        do throws(SystemError) {
            signals = try Signals(
                onStop: { _ in cancellation.cancel() },
                onHangUp: { diagnostics.hangUp() },
                lastWords: {
                    PipedProcess.killAll()
                    diagnostics.error(diagnostics.lastWords)
                }
            )
        } catch {
            diagnostics.error(UploadFailure.noThread(error).message)
            exit(ExitStatus.temporary.rawValue)
        }
        let status = run(
            words,
            environment: environment,
            cancellation: cancellation,
            diagnostics: diagnostics
        )
        signals.dieIfStopped()
        exit(status.rawValue)
    }

    package static func run(
        _ words: [[UInt8]],
        environment: [String: String],
        cancellation: Cancellation,
        diagnostics: Diagnostics
    ) -> ExitStatus {
        let arguments: Arguments
        do {
            arguments = try CommandLineParser.parse(words, environment: environment)
        } catch {
            if words.isEmpty {
                let help = Help.brief(width: TerminalOutput(descriptor: STDERR_FILENO).size.columns)
                _ = StandardOutput(descriptor: STDERR_FILENO, isNeeded: false).write(Array(help.utf8))
            } else {
                diagnostics.error(error.description)
            }
            return .usage
        }
        let output = StandardOutput(isNeeded: arguments.isRunForItsOutput)
        let status: ExitStatus
        if let text = information(arguments, environment: environment) {
            if !text.isEmpty, let failure = output.write(Array((text + "\n").utf8)) {
                diagnostics.error(Console.lost(failure))
            }
            status = .done
        } else {
            status = perform(
                arguments,
                environment: environment,
                cancellation: cancellation,
                diagnostics: diagnostics,
                output: output
            )
        }
        return status == .done && output.failure != nil ? .failed : status
    }

    /// The help, version or completion to print instead of running a command; nil if a command runs.
    private static func information(_ arguments: Arguments, environment: [String: String]) -> String? {
        if arguments.wantsVersion { return Version.text }
        if arguments.wantsHelp || arguments.command == nil {
            let width = TerminalOutput(descriptor: STDOUT_FILENO).size.columns
            guard let command = arguments.command else {
                return arguments.wantsBriefHelp ? Help.brief(width: width) : Help.overview(width: width)
            }
            return arguments.wantsBriefHelp
                ? Help.brief(for: command, width: width) : Help.page(for: command, width: width)
        }
        guard arguments.command == .completion,
            let request = CompletionRequest(rawValue: TextSafety.displayName(arguments.operands[0]))
        else { return nil }
        return CompletionCommand(request: request, arguments: arguments, environment: environment).lines.joined(
            separator: "\n"
        )
    }

    private static func perform(
        _ arguments: Arguments,
        environment: [String: String],
        cancellation: Cancellation,
        diagnostics: Diagnostics,
        output: StandardOutput
    ) -> ExitStatus {
        do throws(CommandFailure) {
            if arguments.command == .config {
                return try ConfigCommand(
                    arguments: arguments,
                    environment: environment,
                    cancellation: cancellation,
                    diagnostics: diagnostics,
                    output: output
                ).run()
            }
            let service = SystemdNotifier(environment: environment)
            let session = try Session(
                arguments,
                environment: environment,
                cancellation: cancellation,
                diagnostics: diagnostics,
                output: output,
                service: service
            )
            do throws(SystemError) {
                try service?.begin()
            } catch {
                throw CommandFailure(status: .temporary, message: UploadFailure.noThread(error).message)
            }
            let ticket = cancellation.onCancel { service?.stopping() }
            defer {
                cancellation.removeWaker(ticket)
                service?.end()
            }
            switch arguments.command {
            case .upload: return try UploadCommand(session: session).run()
            case .resume: return try ResumeCommand(session: session).run()
            case .status: return try StatusCommand(session: session).run()
            case .abort: return try AbortCommand(session: session).run()
            case .adopt: return try AdoptCommand(session: session).run()
            case .verify: return try VerifyCommand(session: session).run()
            case .doctor: return try DoctorCommand(session: session).run()
            case .archive: return try ArchiveCommand(session: session).run()
            case .report: return try ReportCommand(session: session).run()
            case .clean: return try CleanCommand(session: session).run()
            case .presign: return try PresignCommand(session: session).run()
            case .policy: return try PolicyCommand(session: session).run()
            // config has returned above: it reads a configuration that a session would refuse, or writes one.
            // completion and help are printed before (`information`).
            case .config, .completion, nil: fatalError("this runs without a session")
            }
        } catch {
            diagnostics.error(error.message)
            return error.status
        }
    }

    private static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let line = String(cString: text)
            if let equals = line.firstIndex(of: "=") {
                variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
            entry += 1
        }
        return variables
    }
}
