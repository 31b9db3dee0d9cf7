import MuleArchive
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

extension Session {
    /// The job with everything needed for a run.
    func job(_ name: String, _ options: JobOptions) throws(CommandFailure) -> ArchiveJob {
        guard let template = options.destination, let named = options.source else {
            throw CommandFailure(status: .usage, message: "A job needs a source and a destination.")
        }
        let mounts = try requiredMounts(options)
        let source = try directory(named)
        guard template.tellsFilesApart else {
            throw CommandFailure(
                status: .usage,
                message:
                    "All files would get the same key \(TextSafety.displayName(template.text)): end it with / or add "
                    + "{relpath} or another placeholder."
            )
        }
        let selection = arguments.selection.over(options.selection)
        warnOfSurroundings(name, options)
        let changing = arguments.source.over(configuration.source)
        let store = try store(forBucket: template.bucket)
        var job = ArchiveJob(
            name: name,
            source: source,
            selection: selection.selection(symlinks: .report),
            order: selection.order ?? .name,
            settle: changing.settle,
            destination: template,
            naming: naming(),
            store: store.address,
            service: store.service,
            sizing: PartSizing(
                partSize: store.options.partSize,
                multipartThreshold: transferOptions.multipartThreshold
            ),
            attributes: try attributes(for: store.options),
            integrity: IntegrityOptions(store.options),
            changing: changing.changing ?? .refuse,
            mayOverwrite: options.overwrite == .allow,
            after: try after(options.after ?? .keep, source: source, selection.selection(symlinks: .report)),
            limits: RunLimits(
                until: border(options),
                maximumDuration: options.maximumDuration,
                maximumBytes: options.maximumBytes
            )
        )
        job.requiredMounts = mounts
        if let runs = options.quarantineAfter { job.quarantineAfter = runs }
        job.checksRemote = arguments.check == .remote
        job.retriesQuarantined = arguments.retryQuarantined
        return job
    }

    /// When a run of the job stops, in milliseconds since 1970; the same for all jobs of this process, even if they
    /// wait.
    func border(_ options: JobOptions) -> Int64? {
        [options.until, options.window?.end].compactMap { $0 }.map {
            nextLocalTime(minuteOfDay: $0, after: Int(startedAt / 1000))
        }
        .min()
    }

    /// Why a run of the job may not start now; nil if it may.
    func reasonNotToBegin(_ options: JobOptions) -> String? {
        if let window = options.window, !window.contains(minute: localMinuteOfDay(at: startedAt)) {
            return "outside its window \(window)"
        }
        guard let border = border(options), wallClockMilliseconds() >= border else { return nil }
        return "its time limit has passed; the next run continues"
    }

    /// - Throws: if a required mount is missing.
    private func requiredMounts(_ options: JobOptions) throws(CommandFailure) -> [[UInt8]] {
        var paths: [[UInt8]] = []
        for named in options.requiredMounts ?? [] {
            guard let path = FileLocation.expand(named, environment: environment) else {
                throw CommandFailure(
                    status: .usage,
                    message: "\(TextSafety.displayName(named)) cannot be found: HOME is not set."
                )
            }
            paths.append(path)
        }
        if let failure = RequiredMounts.failure(of: paths) {
            throw CommandFailure(status: ExitStatus(failure.kind), message: failure.message)
        }
        return paths
    }

    private func directory(_ named: [UInt8]) throws(CommandFailure) -> [UInt8] {
        let shown = TextSafety.displayName(named)
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(status: .source, message: "\(shown) cannot be found: HOME is not set.")
        }
        do {
            let canonical = try canonicalPath(path)
            guard try FileStatus.of(path: canonical).kind == .directory else {
                throw CommandFailure(
                    status: .source,
                    message: "The source \(shown) is not a directory."
                )
            }
            return canonical
        } catch let error as SystemError {
            throw CommandFailure(status: .source, message: "The source \(shown) cannot be read: \(error.reason).")
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(status: .source, message: "The source \(shown) cannot be read.")
        }
    }

    /// Moved files must leave the source directory, or they would be archived again under their new names.
    private func after(
        _ action: AfterAction,
        source: [UInt8],
        _ selection: Selection
    ) throws(CommandFailure) -> AfterAction {
        guard case .move(let named) = action else { return action }
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(
                status: .usage,
                message: "\(TextSafety.displayName(named)) cannot be found: HOME is not set."
            )
        }
        let target = Self.canonical(path)
        guard !selection.meets(target, in: source, MountTable.current()) else {
            throw CommandFailure(
                status: .usage,
                message:
                    "Cannot move files to \(TextSafety.displayName(named)), which is inside the job's source: they "
                    + "would be uploaded again. Choose another directory, or exclude it."
            )
        }
        return .move(path)
    }

    /// Links are resolved as far as the path exists.
    private static func canonical(_ path: [UInt8]) -> [UInt8] {
        if let found = try? canonicalPath(path) { return found }
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return path }
        return canonical(Array(path[..<slash])) + path[slash...]
    }

    /// Warns if the machine lacks the time zone or host name that the job uses. The run continues: it may be intended.
    private func warnOfSurroundings(_ name: String, _ options: JobOptions) {
        let usesClock =
            !ConfigurationLint.usersOfTheClock(options).isEmpty || transferOptions.limitRate?.dependsOnTime == true
        if usesClock, let trouble = TimeZone.trouble(environment: environment) { console.warn("\(name): \(trouble)") }
        if options.destination?.uses(.host) == true, let doubt = HostName(environment: environment).doubt {
            console.warn("\(name): \(doubt)")
        }
    }

    private func naming() -> DestinationTemplate.Run {
        let day = localDate()
        let host = HostName(environment: environment).text
        return DestinationTemplate.Run(host: host, year: day.year, month: day.month, day: day.day)
    }
}
