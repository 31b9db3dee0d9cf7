import MuleJSON
import MulePlan
import MuleSources
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
        let findings =
            reading.problems.map { Finding.problem("configuration", .usage, $0.detail, at: $0.place) }
            + ConfigurationLint(reading, environment: environment).findings
        for finding in findings.inOrder { report(finding, on: console) }
        if findings.contains(where: { $0.state == .problem }) { return .usage }
        let jobs = reading.configuration.jobs.count
        let buckets = reading.configuration.buckets.count
        report(
            .ok(
                "configuration",
                "\(file) is in order: \(jobs) \(jobs == 1 ? "job" : "jobs"), \(buckets) "
                    + "\(buckets == 1 ? "bucket" : "buckets")."
            ),
            on: console
        )
        return .done
    }

    /// The file that is named, or the one that every command reads. There must be one: nothing to check is no good news.
    private func path() throws(CommandFailure) -> [UInt8] {
        if typed.operands.count > 1 { return typed.operands[1] }
        guard let location = FileLocation.configuration(flag: typed.config, environment: environment) else {
            throw CommandFailure(
                status: .usage,
                message: "There is no place for a configuration: set HOME, or name a file."
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

/// What a configuration says well and hardly means. Looks at the disk; changes nothing.
struct ConfigurationLint {
    private let reading: Configuration.Reading
    private let environment: [String: String]

    init(_ reading: Configuration.Reading, environment: [String: String]) {
        self.reading = reading
        self.environment = environment
    }

    private var jobs: [(name: String, job: JobOptions)] {
        reading.configuration.jobs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { ($0.key, $0.value) }
    }

    var findings: [Finding] { sources + shared + moves + ownFiles + endpoints }

    private func warning(_ names: [String], _ message: String) -> Finding {
        .warning("configuration", "\(KeyTrail(names: names).shown): \(message)", at: reading.places[names])
    }

    private func problem(_ names: [String], _ message: String) -> Finding {
        .problem("configuration", .usage, "\(KeyTrail(names: names).shown): \(message)", at: reading.places[names])
    }

    private var sources: [Finding] {
        jobs.compactMap { name, job -> Finding? in
            guard let source = job.source else { return nil }
            let names = ["jobs", name, "source"]
            let shown = TextSafety.displayName(source)
            guard let path = FileLocation.expand(source, environment: environment) else {
                return warning(names, "\(shown) can't be found: HOME is not set.")
            }
            do throws(SystemError) {
                let status = try FileStatus.of(path: path)
                guard status.kind == .directory else { return warning(names, "\(shown) is no directory.") }
                return isReadable(path) ? nil : warning(names, "\(shown) may not be read by this user.")
            } catch {
                return warning(names, "\(shown) can't be read: \(error.reason).")
            }
        }
    }

    /// Two jobs of one directory move or delete each other's files.
    private var shared: [Finding] {
        jobs.enumerated().compactMap { number, entry -> Finding? in
            guard let source = entry.job.source, let path = canonical(source) else { return nil }
            for (other, (name, job)) in jobs.enumerated() where other != number {
                guard let directory = job.source.flatMap(canonical), let inner = Self.path(path, below: directory)
                else {
                    continue
                }
                // Of two equal ones the second is told.
                if inner.isEmpty ? other > number : isLeftOut(inner, by: job.selection) { continue }
                let what = inner.isEmpty ? "is" : "lies in"
                return warning(
                    ["jobs", entry.name, "source"],
                    "\(TextSafety.displayName(source)) \(what) the source of the job \(name) too."
                )
            }
            return nil
        }
    }

    /// A target inside the source would be archived by the next run, and moved into itself.
    private var moves: [Finding] {
        jobs.compactMap { name, job -> Finding? in
            guard case .move(let directory)? = job.after, let source = job.source,
                let inner = place(of: directory, in: job)
            else { return nil }
            let cure =
                inner.isEmpty
                ? "Name another directory."
                : "Name another directory, or exclude \"/\(TextSafety.displayName(inner))/\"."
            return problem(
                ["jobs", name, "after"],
                "\(TextSafety.displayName(directory)) lies in the job's source \(TextSafety.displayName(source)): its own "
                    + "results would be archived again. \(cure)"
            )
        }
    }

    /// What mule itself writes must not be sent, moved or deleted by a job.
    private var ownFiles: [Finding] {
        let ledger = FileLocation.ledger(flag: nil, environment: environment, configuration: reading.configuration)?
            .path
        return jobs.flatMap { name, job in
            var findings: [Finding] = []
            if let ledger, place(of: ledger, in: job) != nil {
                findings.append(
                    problem(
                        ["jobs", name, "source"],
                        "the ledger \(TextSafety.displayName(ledger)) lies in it. Exclude it, or keep it elsewhere."
                    )
                )
            }
            for (key, path) in [("receipts", job.receipts), ("metrics", job.metrics)] {
                guard let path, place(of: path, in: job) != nil else { continue }
                findings.append(
                    warning(["jobs", name, key], "\(TextSafety.displayName(path)) lies in the job's own source.")
                )
            }
            return findings
        }
    }

    /// The path below a job's source of what the job would meet there; nil for what lies elsewhere or is excluded.
    private func place(of path: [UInt8], in job: JobOptions) -> [UInt8]? {
        guard let directory = job.source.flatMap(canonical), let path = canonical(path),
            let inner = Self.path(path, below: directory)
        else { return nil }
        return !inner.isEmpty && isLeftOut(inner, by: job.selection) ? nil : inner
    }

    private static func path(_ path: [UInt8], below directory: [UInt8]) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        if path == directory { return [] }
        let beginning = directory == [slash] ? directory : directory + [slash]
        return path.starts(with: beginning) ? Array(path.dropFirst(beginning.count)) : nil
    }

    /// Whether the path, or a directory that leads to it, is excluded.
    private func isLeftOut(_ path: [UInt8], by options: SelectionOptions) -> Bool {
        let selection = options.selection(symlinks: .report)
        let ends = path.indices.filter { path[$0] == UInt8(ascii: "/") } + [path.endIndex]
        return ends.contains { selection.excludes(Array(path[..<$0]), isDirectory: true) }
    }

    private var endpoints: [Finding] {
        let configuration = reading.configuration
        var all: [(names: [String], url: String?)] = [(["endpointURL"], configuration.store.endpointURL)]
        for (bucket, store) in configuration.buckets.sorted(by: { $0.key < $1.key }) {
            all.append((["buckets", bucket, "endpointURL"], store.endpointURL))
        }
        for (name, job) in jobs {
            all.append((["jobs", name, "endpointURL"], job.store.endpointURL))
            for (key, hook) in [("onSuccess", job.onSuccess), ("onFailure", job.onFailure)] {
                if case .post(let url)? = hook { all.append((["jobs", name, key], url)) }
            }
        }
        return all.compactMap { names, url in
            guard let url, let host = Self.unencryptedHost(url) else { return nil }
            return warning(
                names,
                "Nothing is encrypted on the way to \(TextSafety.displayName(host)): anybody between can read it. Write "
                    + "https:// if the server can do it."
            )
        }
    }

    /// The host of an http address that leaves this machine.
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

    /// With links resolved as far as the path is there: a target may be made later.
    private func canonical(_ path: [UInt8]) -> [UInt8]? {
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
            // What is not there is no link: a .. behind it takes it back.
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
