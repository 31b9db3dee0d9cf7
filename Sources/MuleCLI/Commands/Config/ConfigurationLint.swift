import MuleJSON
import MulePlan
import MuleSources
import MuleSystem

/// Finds settings that are valid but probably unintended. Reads the disk and changes nothing.
struct ConfigurationLint {
    /// A job, with the facts that are compared with other jobs.
    private struct Entry {
        var name: String
        var job: JobOptions
        var selection: Selection
        /// The source with its links resolved; nil if it needs a home directory and there is none.
        var directory: [UInt8]?
    }

    private let reading: Configuration.Reading
    private let environment: [String: String]
    private let jobs: [Entry]

    init(_ reading: Configuration.Reading, environment: [String: String]) {
        self.reading = reading
        self.environment = environment
        jobs = reading.configuration.jobs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { name, job in
                Entry(
                    name: name,
                    job: job,
                    selection: job.selection.selection(symlinks: .report),
                    directory: job.source.flatMap { Self.canonical($0, environment) }
                )
            }
    }

    var findings: [Finding] {
        sources + shared + moves + ownFiles + endpoints + objects + patterns + timetables + clock + host
    }

    private func warning(_ names: [String], _ message: String) -> Finding { reading.warning(names, message) }

    private func problem(_ names: [String], _ message: String) -> Finding { reading.problem(names, message) }

    private var sources: [Finding] {
        jobs.compactMap { entry -> Finding? in
            guard let source = entry.job.source else { return nil }
            let names = ["jobs", entry.name, "source"]
            let shown = TextSafety.displayName(source)
            guard let path = FileLocation.expand(source, environment: environment) else {
                return warning(names, "\(shown) cannot be found: HOME is not set.")
            }
            do throws(SystemError) {
                let status = try FileStatus.of(path: path)
                guard status.kind == .directory else { return warning(names, "\(shown) is not a directory.") }
                return isReadable(path) ? nil : warning(names, "This user may not read \(shown).")
            } catch {
                return warning(names, "\(shown) cannot be read: \(error.reason).")
            }
        }
    }

    /// Two jobs of one directory move or delete each other's files. Jobs of parent directories are looked up by path,
    /// so the time grows with the number of jobs, not of pairs.
    private var shared: [Finding] {
        var numbers: [[UInt8]: [Int]] = [:]
        for (number, entry) in jobs.enumerated() {
            if let directory = entry.directory { numbers[directory, default: []].append(number) }
        }
        return jobs.enumerated().compactMap { number, entry -> Finding? in
            guard let source = entry.job.source, let path = entry.directory else { return nil }
            // Of two equal sources the second is reported.
            let equal = numbers[path]?.first.flatMap { $0 < number ? $0 : nil }
            let above = Self.directories(above: path).lazy.compactMap { directory in
                numbers[directory]?.first { other in
                    let inner = Selection.path(path, below: directory) ?? []
                    return !jobs[other].selection.leavesOut(inner)
                }
            }
            guard let other = equal ?? above.first else { return nil }
            return warning(
                ["jobs", entry.name, "source"],
                "\(TextSafety.displayName(source)) is \(other == equal ? "also" : "inside") the source of job "
                    + "\(jobs[other].name)."
            )
        }
    }

    /// Starts with the root.
    private static func directories(above path: [UInt8]) -> [[UInt8]] {
        let slash = UInt8(ascii: "/")
        guard path.count > 1 else { return [] }
        return path.indices.filter { path[$0] == slash }.map { $0 == 0 ? [slash] : Array(path[..<$0]) }
    }

    /// The next run would archive a target inside the source, and move it into itself.
    private var moves: [Finding] {
        let mounts = MountTable.current()
        return jobs.compactMap { entry -> Finding? in
            guard case .move(let directory)? = entry.job.after, let source = entry.job.source,
                let inside = entry.directory,
                let target = canonical(directory), entry.selection.meets(target, in: inside, mounts)
            else { return nil }
            let cure =
                Selection.path(target, below: inside).map(TextSafety.displayName).flatMap { inner in
                    inner.isEmpty ? nil : "Choose another directory, or exclude \"/\(inner)/\"."
                } ?? "Choose another directory."
            return problem(
                ["jobs", entry.name, "after"],
                "\(TextSafety.displayName(directory)) is inside the job's source \(TextSafety.displayName(source)): "
                    + "moved files would be archived again. \(cure)"
            )
        }
    }

    /// A job must not upload, move or delete mule's own files.
    private var ownFiles: [Finding] {
        let configuration = reading.configuration
        let ledger = FileLocation.ledger(flag: nil, environment: environment, configuration: configuration)?.path
        let own: [(what: String, shown: [UInt8], path: [UInt8]?)] = [
            ledger.map { ("ledger", $0, canonical($0)) },
            configuration.logFile.map { ("log", $0, canonical($0)) },
        ].compactMap(\.self)
        return jobs.flatMap { entry in
            var findings: [Finding] = []
            for (what, shown, path) in own where place(of: path, in: entry) != nil {
                findings.append(
                    problem(
                        ["jobs", entry.name, "source"],
                        "it contains the \(what) \(TextSafety.displayName(shown)). Exclude that file, or keep it "
                            + "elsewhere."
                    )
                )
            }
            for (key, path) in [("receipts", entry.job.receipts), ("metrics", entry.job.metrics)] {
                guard let path, place(of: canonical(path), in: entry) != nil else { continue }
                findings.append(
                    warning(
                        ["jobs", entry.name, key],
                        "\(TextSafety.displayName(path)) is inside the job's own source."
                    )
                )
            }
            return findings
        }
    }

    /// The path below a job's source, if the job would process it; nil if it is elsewhere or excluded.
    ///
    /// - Parameter path: with its links resolved.
    private func place(of path: [UInt8]?, in entry: Entry) -> [UInt8]? {
        guard let directory = entry.directory, let path, let inner = Selection.path(path, below: directory) else {
            return nil
        }
        return !inner.isEmpty && entry.selection.leavesOut(inner) ? nil : inner
    }

    private var endpoints: [Finding] {
        let configuration = reading.configuration
        var all: [(names: [String], url: String?)] = [(["endpointURL"], configuration.store.endpointURL)]
        for (bucket, store) in configuration.buckets.sorted(by: { $0.key < $1.key }) {
            all.append((["buckets", bucket, "endpointURL"], store.endpointURL))
        }
        for entry in jobs {
            let (name, job) = (entry.name, entry.job)
            all.append((["jobs", name, "endpointURL"], job.store.endpointURL))
            for (key, hook) in [("onSuccess", job.onSuccess), ("onFailure", job.onFailure)] {
                if case .post(let url)? = hook { all.append((["jobs", name, key], url)) }
            }
        }
        return all.compactMap { names, url in
            guard let url, let host = Self.unencryptedHost(url) else { return nil }
            return warning(
                names,
                "The connection to \(TextSafety.displayName(host)) is not encrypted. Use https:// if the server "
                    + "supports it."
            )
        }
    }

    /// The host of an http address that is not on this machine.
    static func unencryptedHost(_ url: String) -> String? {
        let scheme = "http://"
        guard url.lowercased().hasPrefix(scheme) else { return nil }
        let authority = url.utf8.dropFirst(scheme.utf8.count).prefix { !"/?#".utf8.contains($0) }
        var host = String(decoding: authority, as: UTF8.self).lowercased()
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            host = String(host[host.index(after: host.startIndex)..<end])
        } else if let colon = host.firstIndex(of: ":") {
            host = String(host[..<colon])
        }
        let isLoopback =
            host == "localhost" || host.hasSuffix(".localhost") || host == "::1"
            || (host.hasPrefix("127.") && host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E })
        return isLoopback ? nil : host
    }

    // MARK: Settings with another meaning than expected

    private var objects: [Finding] {
        let general: [(names: [String], options: ObjectOptions)] = [(["object"], reading.configuration.object)]
        return (general + jobs.map { (["jobs", $0.name, "object"], $0.job.object) }).flatMap { names, options in
            options.doubts.map { warning(names + [$0.header.key], $0.text) }
        }
    }

    /// Patterns that start or end with a space, and exceptions without a rule.
    private var patterns: [Finding] {
        jobs.flatMap { entry in
            let names = ["jobs", entry.name]
            var findings: [Finding] = []
            for (index, pattern) in entry.job.selection.include.enumerated() {
                let names = names + ["include", String(index)]
                if pattern.text.first == UInt8(ascii: "!") {
                    findings.append(
                        warning(
                            names,
                            "\(shown(pattern)) matches names that start with \"!\". To leave files out, use "
                                + "\"exclude\"."
                        )
                    )
                }
                findings += blanks(pattern, names)
            }
            for (index, rule) in entry.job.selection.exclude.enumerated() {
                let names = names + ["exclude", String(index)]
                if index == 0, rule.isException {
                    findings.append(
                        warning(
                            names,
                            "\"!\(TextSafety.displayName(rule.pattern.text))\" is an exception, but there is no rule "
                                + "before it. Put it after the rule that it is an exception to."
                        )
                    )
                }
                findings += blanks(rule.pattern, names)
            }
            return findings
        }
    }

    private func blanks(_ pattern: GlobPattern, _ names: [String]) -> [Finding] {
        let blank = UInt8(ascii: " ")
        guard pattern.text.first == blank || pattern.text.last == blank else { return [] }
        return [warning(names, "\(shown(pattern)) starts or ends with a space, which is part of the pattern.")]
    }

    private func shown(_ pattern: GlobPattern) -> String { "\"\(TextSafety.displayName(pattern.text))\"" }

    private var timetables: [Finding] {
        let general: [(names: [String], rate: RateTimetable?)] = [
            (["limitRate"], reading.configuration.transfer.limitRate)
        ]
        return (general + jobs.map { (["jobs", $0.name, "limitRate"], $0.job.transfer.limitRate) }).flatMap {
            names,
            rate in
            (rate?.hiddenEntries ?? []).map { number in
                warning(
                    names,
                    "entry \(number) of the timetable never applies: earlier entries cover all of its times, and the "
                        + "first match counts. Put \"*\" last."
                )
            }
        }
    }

    // MARK: What the machine lacks

    /// Times and dates in another time zone than the named one.
    private var clock: [Finding] {
        guard let trouble = TimeZone.trouble(environment: environment) else { return [] }
        var users = jobs.flatMap { entry in Self.usersOfTheClock(entry.job).map { ["jobs", entry.name, $0] } }
        if reading.configuration.transfer.limitRate?.dependsOnTime == true { users.append(["limitRate"]) }
        return users.map { problem($0, trouble) }
    }

    /// Keys of a job whose meaning depends on the time zone.
    static func usersOfTheClock(_ job: JobOptions) -> [String] {
        var keys: [String] = []
        if job.until != nil { keys.append("until") }
        if job.window != nil { keys.append("window") }
        if job.transfer.limitRate?.dependsOnTime == true { keys.append("limitRate") }
        if let destination = job.destination, [.date, .yyyy, .mm, .dd].contains(where: destination.uses) {
            keys.append("destination")
        }
        return keys
    }

    private var host: [Finding] {
        guard let doubt = HostName(environment: environment).doubt else { return [] }
        return jobs.filter { $0.job.destination?.uses(.host) == true }
            .map { warning(["jobs", $0.name, "destination"], doubt) }
    }

    // MARK: Paths

    private func canonical(_ path: [UInt8]) -> [UInt8]? { Self.canonical(path, environment) }

    /// Links are resolved as far as the path exists: a target may be created later.
    private static func canonical(_ path: [UInt8], _ environment: [String: String]) -> [UInt8]? {
        guard var path = FileLocation.expand(path, environment: environment) else { return nil }
        let slash = UInt8(ascii: "/")
        while path.count > 1, path.last == slash { path.removeLast() }
        var missing: [[UInt8]] = []
        var steps = 0
        while true {
            if steps == 0, let resolved = try? canonicalPath(path) {
                return missing.reversed().reduce(resolved) { ($0 == [slash] ? [] : $0) + [slash] + $1 }
            }
            guard let end = path.lastIndex(of: slash) else { return nil }
            let name = Array(path[(end + 1)...])
            // A missing name is not a link, so a following .. cancels it.
            if name == Array("..".utf8) {
                steps += 1
            } else if steps > 0, !name.isEmpty, name != Array(".".utf8) {
                steps -= 1
            } else if !name.isEmpty, name != Array(".".utf8) {
                missing.append(name)
            }
            if end == 0 { steps = 0 }
            path = end == 0 ? [slash] : Array(path[..<end])
        }
    }
}

extension Configuration.Reading {
    func warning(_ names: [String], _ message: String) -> Finding {
        .warning("configuration", "\(ConfigurationPath(names: names).shown): \(message)", at: places[names])
    }

    func problem(_ names: [String], _ message: String) -> Finding {
        .problem("configuration", .usage, "\(ConfigurationPath(names: names).shown): \(message)", at: places[names])
    }
}
