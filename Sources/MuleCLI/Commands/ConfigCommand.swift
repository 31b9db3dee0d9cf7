import MuleJSON
import MuleSystem

/// `mule config check`: what is wrong with the configuration, all of it, and what looks as if it were not meant. It needs no
/// session, which would end at the first mistake.
struct ConfigCommand {
    let typed: Typed
    let environment: [String: String]
    let voice: Voice
    let output: StandardOutput

    func run() throws(CommandFailure) -> ExitStatus {
        let console = Console(typed, progress: .none, environment: environment, voice: voice, output: output)
        let path = try path()
        let file = TextSafety.displayName(path)
        let reading: Configuration.Reading
        do {
            reading = try Configuration.read(path: path)
        } catch {
            report(.problem("configuration", .usage, error.description, at: error.place), on: console)
            return .usage
        }
        let trial = ConfigurationTrial(reading, typed: typed, environment: environment, console: console)
        let findings =
            reading.problems.map { Finding.problem("configuration", .usage, $0.detail, at: $0.place) }
            + ConfigurationLint(reading, environment: environment).findings
            + trial.findings
        for finding in findings.inOrder { report(finding, on: console) }
        if findings.contains(where: { $0.state == .problem }) { return .usage }
        let jobs = reading.configuration.jobs.count
        let buckets = reading.configuration.buckets.count
        report(
            .ok(
                "configuration",
                "\(file) is valid: \(Wording.count(jobs, "job")), \(Wording.count(buckets, "bucket")).\(trial.variables.map { " " + $0 } ?? "")"
            ),
            on: console
        )
        return .done
    }

    /// The named file, or the one that every command reads. It must exist: an empty check would prove nothing.
    private func path() throws(CommandFailure) -> [UInt8] {
        if typed.operands.count > 1 { return typed.operands[1] }
        guard let location = FileLocation.configuration(flag: typed.config, environment: environment) else {
            throw CommandFailure(
                status: .usage,
                message: "No location for the configuration file: set HOME, or name a file."
            )
        }
        return location.path
    }

    private func report(_ finding: Finding, on console: Console) {
        if console.isJSON {
            console.result(finding.json.line)
        } else if finding.state != .ok || !console.isQuiet {
            console.result(finding.text)
        }
    }
}

extension [Finding] {
    /// By their places, those without one last.
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
