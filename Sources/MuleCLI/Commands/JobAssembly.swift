import MuleArchive
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

extension Session {
    /// The job with all that is known of it.
    func job(_ name: String, _ options: JobOptions) throws(CommandFailure) -> ArchiveJob {
        guard let template = options.destination, let named = options.source else {
            throw CommandFailure(status: .usage, message: "a job needs a source and a destination.")
        }
        let source = try directory(named)
        guard template.tellsFilesApart else {
            throw CommandFailure(
                status: .usage,
                message:
                    "All files would become the one object \(TextSafety.displayName(template.text)): end it with / or put "
                    + "{relpath} or another placeholder into it."
            )
        }
        let selection = typed.selection.over(options.selection)
        let changing = typed.source.over(configuration.source)
        let store = try store(forBucket: template.bucket)
        var job = ArchiveJob(
            name: name,
            source: source,
            selection: selection.selection(symlinks: .report),
            order: selection.order ?? .name,
            settle: changing.settle,
            destination: template,
            naming: Self.naming(),
            store: store.address,
            service: store.service,
            sizing: PartSizing(
                partSize: store.options.partSize,
                multipartThreshold: transferOptions.multipartThreshold
            ),
            attributes: try attributes(),
            integrity: IntegrityOptions(store.options),
            changing: changing.changing ?? .refuse,
            mayOverwrite: options.overwrite == .allow,
            after: try after(options.after ?? .keep, source: source),
            limits: RunLimits(
                until: options.until.map { nextLocalTime(minuteOfDay: $0) },
                maximumDuration: options.maximumDuration,
                maximumBytes: options.maximumBytes
            )
        )
        if let runs = options.quarantineAfter { job.quarantineAfter = runs }
        job.checksRemote = typed.check == .remote
        job.retriesQuarantined = typed.retryQuarantined
        return job
    }

    private func directory(_ named: [UInt8]) throws(CommandFailure) -> [UInt8] {
        let shown = TextSafety.displayName(named)
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(status: .source, message: "\(shown) can't be found: HOME is not set.")
        }
        do {
            let canonical = try canonicalPath(path)
            guard try FileStatus.of(path: canonical).kind == .directory else {
                throw CommandFailure(
                    status: .source,
                    message: "\(shown) is not a directory, which is what a job archives."
                )
            }
            return canonical
        } catch let error as SystemError {
            throw CommandFailure(status: .source, message: "The source \(shown) can't be read: \(error.reason).")
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(status: .source, message: "The source \(shown) can't be read.")
        }
    }

    /// What is moved must leave the directory, or it would be archived again under its new name.
    private func after(_ action: AfterAction, source: [UInt8]) throws(CommandFailure) -> AfterAction {
        guard case .move(let named) = action else { return action }
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(
                status: .usage,
                message: "\(TextSafety.displayName(named)) can't be found: HOME is not set."
            )
        }
        let target = Self.canonical(path)
        guard target != source, !target.starts(with: source + [UInt8(ascii: "/")]) else {
            throw CommandFailure(
                status: .usage,
                message:
                    "Files can't be moved to \(TextSafety.displayName(named)), which lies in the directory that is archived: "
                    + "they would be sent again."
            )
        }
        return .move(path)
    }

    /// As far as it is there.
    private static func canonical(_ path: [UInt8]) -> [UInt8] {
        if let found = try? canonicalPath(path) { return found }
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return path }
        return canonical(Array(path[..<slash])) + path[slash...]
    }

    private static func naming() -> DestinationTemplate.Run {
        let day = localDate()
        return DestinationTemplate.Run(host: hostName(), year: day.year, month: day.month, day: day.day)
    }
}
