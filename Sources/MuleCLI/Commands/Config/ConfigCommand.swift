import MuleJSON
import MuleSystem

/// `mule config check` lists all mistakes in the configuration, and valid settings that are probably unintended.
/// `mule config init` writes one. Neither creates a session, which would fail at the first mistake.
struct ConfigCommand {
    let arguments: Arguments
    let environment: [String: String]
    let cancellation: Cancellation
    let diagnostics: Diagnostics
    let output: StandardOutput

    func run() throws(CommandFailure) -> ExitStatus {
        let console = Console(
            arguments,
            progress: .none,
            environment: environment,
            diagnostics: diagnostics,
            output: output
        )
        let path = try path()
        if arguments.operands.first == Array("init".utf8) {
            return try ConfigInit(
                arguments: arguments,
                environment: environment,
                cancellation: cancellation,
                diagnostics: diagnostics,
                console: console,
                // Absolute, because the suggested commands must work in every directory.
                path: Session.absolute(path)
            ).run()
        }
        return check(path, console)
    }

    private func check(_ path: [UInt8], _ console: Console) -> ExitStatus {
        let file = TextSafety.displayName(path)
        let reading: Configuration.Reading
        do {
            reading = try Configuration.read(path: path)
        } catch {
            console.report(.problem("configuration", .usage, error.description, at: error.place))
            return .usage
        }
        let findings = ConfigurationFindings(reading, arguments: arguments, environment: environment, console: console)
        for finding in findings.all { console.report(finding) }
        if findings.all.contains(where: { $0.state == .problem }) { return .usage }
        let jobs = reading.configuration.jobs.count
        let buckets = reading.configuration.buckets.count
        console.report(
            .ok(
                "configuration",
                "\(file) is valid: \(Wording.count(jobs, "job")), "
                    + "\(Wording.count(buckets, "bucket")).\(findings.variables.map { " " + $0 } ?? "")"
            )
        )
        return .done
    }

    /// The named file, or the one that every command reads. It must exist: checking no file would prove nothing.
    private func path() throws(CommandFailure) -> [UInt8] {
        if arguments.operands.count > 1 { return arguments.operands[1] }
        guard let location = FileLocation.configuration(flag: arguments.config, environment: environment) else {
            throw CommandFailure(
                status: .usage,
                message: "No location for the configuration file: set HOME, or name a file."
            )
        }
        return location.path
    }
}

/// All findings about a configuration without contacting a store.
struct ConfigurationFindings {
    /// Sorted by position.
    let all: [Finding]
    /// The settings that jobs take from the environment, as a sentence; nil if none.
    let variables: String?

    init(_ reading: Configuration.Reading, arguments: Arguments, environment: [String: String], console: Console) {
        let trial = ConfigurationTrial(reading, arguments: arguments, environment: environment, console: console)
        let found =
            reading.problems.map { Finding.problem("configuration", .usage, $0.detail, at: $0.place) }
            + ConfigurationLint(reading, environment: environment).findings
            + trial.findings
        all = found.inOrder
        variables = trial.variables
    }
}

extension [Finding] {
    /// Sorted by position, those without one last.
    fileprivate var inOrder: [Finding] {
        let end = JSONPlaces.Place(line: .max, column: 0)
        return enumerated()
            .sorted { one, other in
                let (left, right) = (one.element.place ?? end, other.element.place ?? end)
                return left == right ? one.offset < other.offset : left < right
            }
            .map(\.element)
    }
}
