// The program from its arguments to its exit status. Everything that is text, signal or status is decided in this target;
// what is to be done is decided in those below.

import Glibc
package import MuleSystem
import MuleTransport

package enum Version {
    package static let number = "0.1.0"

    /// With the libraries, whose versions matter when something goes wrong.
    package static var text: String { "mule \(number) (\(HTTPClient.version))" }
}

package enum Program {
    /// Runs the command line of this process and ends it.
    package static func main() -> Never {
        let cancellation = Cancellation()
        let environment = environment()
        let voice = Voice(environment: environment)
        let signals = Signals(
            onStop: { _ in cancellation.cancel() },
            onHangUp: { voice.hangUp() },
            lastWords: {
                Producer.killAll()
                voice.complain("stopped. What the store has confirmed is kept; run the same command again.")
            }
        )
        let status = run(
            arguments: rawArguments(),
            environment: environment,
            cancellation: cancellation,
            voice: voice
        )
        signals.dieIfStopped()
        exit(status.rawValue)
    }

    package static func run(
        arguments: [[UInt8]],
        environment: [String: String],
        cancellation: Cancellation,
        voice: Voice
    ) -> ExitStatus {
        let typed: Typed
        do {
            typed = try CommandLineParser.parse(arguments, environment: environment)
        } catch {
            voice.complain(error.description)
            return .usage
        }
        if typed.wantsVersion {
            print(Version.text)
            return .done
        }
        guard let command = typed.command, !typed.wantsHelp else {
            let width = TerminalOutput(descriptor: STDOUT_FILENO).size.columns
            print(typed.command.map { Help.page(for: $0, width: width) } ?? Help.overview(width: width))
            return .done
        }
        do throws(CommandFailure) {
            if command == .config {
                return try ConfigCommand(typed: typed, environment: environment, voice: voice).run()
            }
            let service = ServiceReport(environment: environment)
            let session = try Session(
                typed,
                environment: environment,
                cancellation: cancellation,
                voice: voice,
                service: service
            )
            service?.begin()
            let ticket = cancellation.onCancel { service?.stopping() }
            defer {
                cancellation.removeWaker(ticket)
                service?.end()
            }
            switch command {
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
            // It has returned: it reads a configuration that a session would refuse.
            case .config: fatalError("config runs without a session")
            }
        } catch {
            voice.complain(error.message)
            return error.status
        }
    }

    /// Without the program's own name. Raw bytes, since file names need not be UTF-8.
    private static func rawArguments() -> [[UInt8]] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
            }
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
