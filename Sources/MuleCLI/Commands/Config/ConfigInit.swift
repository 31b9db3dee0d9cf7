import Glibc
import MuleSystem

/// `mule config init`: asks for the store, the credentials and a job, tests the answers, and writes the configuration
/// file.
struct ConfigInit {
    let arguments: Arguments
    let environment: [String: String]
    let cancellation: Cancellation
    let diagnostics: Diagnostics
    let console: Console
    let path: [UInt8]

    private var file: String { TextSafety.displayName(path) }
    private var stopped: String { "Stopped. \(file) was not written." }

    func run() throws(CommandFailure) -> ExitStatus {
        try refuseExisting()
        try checkDirectory()
        diagnostics.follow { [stopped] in stopped }
        defer { diagnostics.follow(nil) }
        console.note(
            "Writes \(file) and asks for no secrets.\nEnter takes the answer in brackets, Ctrl-C writes nothing."
        )
        let questions = Questions(console: console, cancellation: cancellation, stopped: stopped)
        let answers = try ConfigInterview(questions: questions, arguments: arguments, environment: environment)
            .answers()
        let document = Array(answers.document.utf8)
        console.note("Testing the answers.")
        let status = try test(answers, document)
        guard !cancellation.isCancelled else { throw CommandFailure(status: .interruption, message: stopped) }
        try write(document)
        report(.ok("configuration", "Wrote \(file)."))
        if status != .done {
            console.error(
                "The file was written, but the tests found a problem (status \(status.rawValue)). Once it is fixed, "
                    + "check again: "
                    + ConfigNextSteps(answers, path, environment).doctor
            )
        }
        if !console.isJSON, !console.isQuiet { console.results(ConfigNextSteps(answers, path, environment).lines) }
        return status
    }

    // MARK: The file

    private func refuseExisting() throws(CommandFailure) {
        do throws(SystemError) {
            _ = try FileStatus.of(path: path, followingLinks: false)
        } catch {
            return
        }
        throw CommandFailure(
            status: .usage,
            message:
                "\(file) exists and was not changed. \"mule config check\" checks it; \"mule config init FILE\" "
                + "writes another."
        )
    }

    /// Checked before the first question.
    private func checkDirectory() throws(CommandFailure) {
        var directory = Self.parent(of: path)
        while true {
            let parent = Self.parent(of: directory)
            do throws(SystemError) {
                _ = try FileStatus.of(path: directory)
            } catch {
                guard error.code == ENOENT, parent != directory else { throw failure(error) }
                directory = parent
                continue
            }
            do throws(SystemError) { try checkWritable(directory: directory) } catch { throw failure(error) }
            return
        }
    }

    private func write(_ document: [UInt8]) throws(CommandFailure) {
        // It may have been created since the first check.
        try refuseExisting()
        do throws(SystemError) {
            try makeDirectories(path: Self.parent(of: path), mode: 0o700)
            try replaceFile(path: path, with: document, mode: 0o600)
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: SystemError) -> CommandFailure {
        CommandFailure(status: .usage, message: "Cannot write \(file): \(error.reason). Name another FILE.")
    }

    private static func parent(of path: [UInt8]) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        guard let end = path.lastIndex(of: slash) else { return [UInt8(ascii: ".")] }
        return end == 0 ? [slash] : Array(path[..<end])
    }

    // MARK: The test

    /// - Returns: the status of the first problem.
    private func test(_ answers: ConfigAnswers, _ document: [UInt8]) throws(CommandFailure) -> ExitStatus {
        let reading: Configuration.Reading
        do { reading = try Configuration.read(document) } catch {
            throw CommandFailure(status: .usage, message: error.description)
        }
        var first = ExitStatus.done
        let report: (Finding) -> Void = { finding in
            // An interrupted check is not a finding.
            guard !cancellation.isCancelled else { return }
            if finding.state == .problem, first == .done { first = finding.status }
            self.report(finding)
        }
        let tested = answers.environment(below: environment)
        let check = ConfigurationFindings(reading, arguments: arguments, environment: tested, console: console)
        for finding in check.all + answers.findings(about: environment) { report(finding) }
        let session = Session(
            arguments,
            environment: tested,
            configuration: reading.configuration,
            console: console,
            cancellation: cancellation
        )
        StoreDoctor(session: session, bucket: answers.bucket, asksForDeletion: false, report: report).run()
        return first
    }

    private func report(_ finding: Finding) { console.report(finding) }
}

/// The next commands after `mule config init`.
struct ConfigNextSteps {
    private let answers: ConfigAnswers
    /// The option that names the file on a command line; empty if mule finds it without.
    private let option: String

    init(_ answers: ConfigAnswers, _ path: [UInt8], _ environment: [String: String]) {
        self.answers = answers
        let usual = FileLocation.configuration(flag: nil, environment: environment)?.path
        option = path == usual ? "" : " --config " + Self.word(TextSafety.displayName(path))
    }

    var doctor: String { "mule doctor\(option)\(answers.bucket.map { " " + $0 } ?? "")" }

    var lines: [String] {
        let bucket = answers.bucket ?? "BUCKET"
        var lines = [
            "", "Next:", "  mule doctor\(option) --write \(bucket)", "  mule upload\(option) FILE \(bucket)/",
        ]
        guard let job = answers.job else { return lines }
        // In a crontab, % ends a command.
        let escaped = option.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "\\%")
        lines += [
            "  mule archive\(option) --dry-run \(job.name)", "", "Every night with cron (crontab -e):",
            "  17 1 * * * mule archive -q\(escaped) \(job.name); s=$?; [ $s -eq 10 ] || [ $s -eq 11 ] || exit $s",
            "or with systemd, if the file is /etc/mule/config.json:",
            "  systemctl enable --now mule-archive@\(job.name).timer", "docs/unattended.md explains both.",
        ]
        return lines
    }

    private static func word(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "/._-+,@".utf8.contains(byte)
        }
        return isPlain ? text : CompletionWords.quoted(text)
    }
}
