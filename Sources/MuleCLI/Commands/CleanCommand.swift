import Glibc
import MuleArchive
import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// `mule clean`
struct CleanCommand {
    let session: Session

    /// Seconds: a week, which most stores with automatic cleanup use.
    static let defaultAge = 7 * 86_400.0

    private var arguments: Arguments { session.arguments }
    private var console: Console { session.console }

    func run() throws(CommandFailure) -> ExitStatus {
        let named = try session.places(arguments.operands)
        let ledger = try session.openLedger()
        // Rows belong to the stores they were started at; a named endpoint excludes the others.
        let endpoint = try session.namedEndpoint()
        if let age = arguments.history {
            if age > 0, !arguments.dryRun { try checkClock(ledger, endpoint) }
            try forget(olderThan: age, ledger)
            if arguments.olderThan == nil, named.isEmpty {
                return session.cancellation.isCancelled ? .interrupted : .done
            }
        }
        let age = arguments.olderThan ?? Self.defaultAge
        // An age of 0 must not depend on clock differences.
        let cutoff = age == 0 ? Int64.max / 2 : wallClockMilliseconds() - Int64(age * 1000)
        let stores = StoreCache(session, followsOptions: false)
        func pass(removes: Bool) throws(CommandFailure) -> CleanSummary {
            let rules = CleanRun.Rules(
                cutoff: cutoff,
                takesAll: arguments.allInitiators,
                removes: removes,
                dependsOnAge: age > 0
            )
            return try self.pass(rules, ledger, named: named, endpoint: endpoint, stores: stores)
        }
        guard arguments.allInitiators, !arguments.dryRun else {
            let summary = try pass(removes: !arguments.dryRun)
            report(summary, removes: !arguments.dryRun)
            return ExitStatus(summary.failures)
        }
        // Uploads of others are removed only after they were listed.
        let list = try pass(removes: false)
        report(list, removes: false)
        guard list.uploads > 0, !session.cancellation.isCancelled else { return ExitStatus(list.failures) }
        if !arguments.yes { guard try isConfirmed(list) else { return .usage } }
        let summary = try pass(removes: true)
        report(summary, removes: true)
        return ExitStatus(summary.failures)
    }

    /// Asks one of the ledger's stores for the time, because a wrong clock must not make history look old. If none
    /// answers, this machine's clock is used.
    private func checkClock(_ ledger: Ledger, _ endpoint: String?) throws(CommandFailure) {
        let stores = StoreCache(session, followsOptions: false)
        let remoteUploads = RemoteUploads(
            ledger: ledger,
            settings: session.runSettings,
            cancellation: session.cancellation,
            patience: Self.clockTimeout
        )
        let places: [(store: StoreAddress, bucket: String)]
        do {
            places = try ledger.places()
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        for place in places where (endpoint ?? place.store.endpoint) == place.store.endpoint {
            guard !session.cancellation.isCancelled else { return }
            do throws(UploadFailure) {
                let clock = try remoteUploads.clock(
                    of: try stores.service(of: place.store, for: place.bucket),
                    bucket: place.bucket
                )
                guard clock.now != nil else { continue }
                if let doubt = ClockComparison.doubt(now: ledger.now(), store: clock) { throw doubt }
                return
            } catch {
                guard error.kind == .source else { continue }
                throw CommandFailure(status: ExitStatus(error.kind), message: error.message)
            }
        }
    }

    /// Seconds to wait for a store's answer about the time.
    private static let clockTimeout = 10.0

    /// Removes old history from the ledger.
    private func forget(olderThan age: Double, _ ledger: Ledger) throws(CommandFailure) {
        let removes = !arguments.dryRun
        let counts: HistoryCounts
        do {
            counts = try HistorySweep(
                ledger,
                cutoff: wallClockMilliseconds() - Int64(age * 1000),
                removes: removes,
                cancellation: session.cancellation
            ).run()
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        guard !console.isJSON else {
            return console.result(
                JSONValue.object([
                    "event": "history", "items": .int(Int64(counts.items)), "notices": .int(Int64(counts.notices)),
                    "receipts": .int(Int64(counts.receipts)), "removed": .bool(removes),
                    "runs": .int(Int64(counts.runs)),
                    "uploads": .int(Int64(counts.uploads)),
                ]).line
            )
        }
        let words =
            counts.isEmpty
            ? "no history that old"
            : "\(removes ? "removed from the ledger" : "would be removed from the ledger"): "
                + "\(Wording.count(counts.runs, "run")), \(Wording.count(counts.receipts, "receipt")), "
                + "\(Wording.count(counts.uploads, "finished upload")), "
                + "\(Wording.count(counts.items, "deleted file")), \(Wording.count(counts.notices, "notice"))"
        if !console.isQuiet { console.result(words) }
    }

    private func pass(
        _ rules: CleanRun.Rules,
        _ ledger: Ledger,
        named: [ObjectAddress],
        endpoint: String?,
        stores: StoreCache
    ) throws(CommandFailure) -> CleanSummary {
        let printer = EventPrinter(console: console)
        let lines = CleanLines(console: console, isList: !rules.removes)
        let run = CleanRun(
            ledger: ledger,
            settings: session.runSettings,
            rules: rules,
            cancellation: session.cancellation,
            onNotice: { printer.print($0) },
            onEvent: { lines.print($0) }
        )
        do throws(LedgerError) {
            try run.sweepLedger(
                { record in
                    (named.isEmpty || named.contains { $0.isAbove(record.upload.destination) })
                        && (endpoint ?? record.upload.store.endpoint) == record.upload.store.endpoint
                },
                service: { record throws(UploadFailure) in try stores.service(of: record) }
            )
            for place in try places(ledger, named, endpoint: endpoint, stores: stores, rules: rules)
            where !session.cancellation.isCancelled {
                run.sweep(place, isNamed: !named.isEmpty)
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        var summary = run.summary
        summary.failures += stores.failures
        stores.failures = []
        return summary
    }

    /// Where to look for uploads that are not open in the ledger: the named buckets and prefixes, or those this ledger
    /// used lately.
    private func places(
        _ ledger: Ledger,
        _ named: [ObjectAddress],
        endpoint: String?,
        stores: StoreCache,
        rules: CleanRun.Rules
    ) throws(LedgerError) -> [StorePlace] {
        guard named.isEmpty else { return named.compactMap { stores.place(named: $0) } }
        let recent = min(rules.cutoff, wallClockMilliseconds() - 30 * 86_400_000)
        return try ledger.places(endedSince: recent).filter { (endpoint ?? $0.store.endpoint) == $0.store.endpoint }
            .compactMap { stores.place(bucket: $0.bucket, at: $0.store) }
    }

    private func isConfirmed(_ list: CleanSummary) throws(CommandFailure) -> Bool {
        let what = "\(CleanLines.count(list.uploads)) (\(ByteSize.format(list.bytes)))"
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                status: .usage,
                message:
                    "Nothing was removed: there is no terminal to ask on. Add --yes to remove \(what) without a "
                    + "question."
            )
        }
        console.error("Remove \(what), including uploads started by others? Parts still being sent are lost. Type yes:")
        if case .text(let bytes) = InputLines(cancellation: session.cancellation).next(),
            String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self).lowercased() == "yes"
        {
            return true
        }
        console.error("Nothing was removed.")
        return false
    }

    private func report(_ summary: CleanSummary, removes: Bool) {
        guard !console.isJSON else {
            console.result(
                JSONValue.object([
                    "bytes": .int(summary.bytes), "event": "summary", "failures": .int(Int64(summary.failures.count)),
                    "leftAlone": .int(Int64(summary.skipped)), "ofOthers": .int(Int64(summary.ofOthers)),
                    "removed": .bool(removes), "uploads": .int(Int64(summary.uploads)),
                ]).line
            )
            return
        }
        var text =
            switch (summary.uploads, removes) {
            case (0, _): "nothing to remove"
            case (_, true):
                "removed \(CleanLines.count(summary.uploads)), \(ByteSize.format(summary.bytes)) freed at the store"
            case (_, false): "would be removed: \(CleanLines.count(summary.uploads)), \(ByteSize.format(summary.bytes))"
            }
        if !summary.failures.isEmpty { text += "; \(summary.failures.count) failed" }
        if !console.isQuiet { console.result(text) }
        if removes, !summary.failures.isEmpty {
            console.error("Some uploads are not removed yet. Run \"mule clean\" again to retry.")
        }
        if arguments.allInitiators, summary.younger > 0 {
            let age = Wording.duration(arguments.olderThan ?? Self.defaultAge)
            console.note(
                "not removed: \(CleanLines.count(summary.younger)) not in this ledger and started less than \(age) "
                    + "ago; --older-than sets another age"
            )
        }
        if summary.skipped > 0 {
            console.note(
                "\(CleanLines.count(summary.skipped)) not in this ledger: \"mule adopt FILE BUCKET/KEY\" adopts one, "
                    + "\"mule clean --all-initiators BUCKET\" removes them"
            )
        }
        if summary.ofOthers > 0 {
            console.note(
                "\(CleanLines.count(summary.ofOthers)) of that age started by other users: \"mule clean "
                    + "--all-initiators --dry-run BUCKET\" lists them"
            )
        }
    }
}

/// The lines of `mule clean`, one for each upload.
struct CleanLines {
    let console: Console
    /// Whether this only lists what would be removed.
    let isList: Bool

    static func count(_ uploads: Int) -> String { Wording.count(uploads, "upload") }

    func print(_ event: CleanEvent) {
        switch event {
        case .stale(let upload): line("stale", upload, words: "would be removed")
        case .removed(let upload): line("removed", upload, words: "removed")
        case .skipped(let upload): line("leftAlone", upload, words: "not in this ledger, skipped")
        case .failed(let upload, let failure):
            if console.isJSON {
                console.result(
                    json(
                        "failed",
                        upload,
                        more: ["error": EventPrinter.error(failure), "resumable": .bool(failure.isResumable)]
                    )
                )
            }
            console.error(TextSafety.displayName(failure.message))
        case .unreachable(let bucket, let failure):
            if console.isJSON {
                console.result(
                    JSONValue.object([
                        "destination": .string(bucket + "/"), "error": EventPrinter.error(failure), "event": "failed",
                        "id": .null, "resumable": .bool(failure.isResumable), "source": .null,
                    ]).line
                )
            }
            console.error(TextSafety.displayName(failure.message))
        case .notice(let text): console.note(TextSafety.displayName(text))
        }
    }

    private func line(_ event: String, _ upload: StaleUpload, words: String) {
        if console.isJSON { return console.result(json(event, upload)) }
        guard !console.isQuiet || isList else { return }
        console.result(text(upload, words))
    }

    private func text(_ upload: StaleUpload, _ words: String) -> String {
        let object = TextSafety.displayName(upload.address.description)
        var line: String
        if let record = upload.record {
            let source = record.upload.sourceName.map { TextSafety.displayName($0) + " -> " } ?? ""
            line = "\(record.id)  \(words): \(source)\(object)"
        } else {
            line = "\(object)  \(words)"
        }
        if let parts = upload.parts, let bytes = upload.bytes {
            line += ", \(parts) \(parts == 1 ? "part" : "parts"), \(ByteSize.format(bytes))"
        }
        if upload.record == nil {
            if let time = upload.initiated { line += ", started \(LocalTime.text(time))" }
            if let name = upload.initiator { line += " by \(TextSafety.displayName(name))" }
            if let uploadID = upload.uploadID { line += ", upload ID \(TextSafety.displayName(uploadID))" }
        }
        return line
    }

    private func json(_ event: String, _ upload: StaleUpload, more: [String: JSONValue] = [:]) -> String {
        var members = more
        members["event"] = .string(event)
        members["begun"] = JSONValue(upload.initiated?.iso8601)
        members["bytes"] = JSONValue(upload.bytes)
        members["destination"] = .string(upload.address.description)
        members["id"] = JSONValue(upload.record?.id)
        members["initiator"] = JSONValue(upload.initiator)
        members["parts"] = JSONValue(upload.parts.map(Int64.init))
        members["source"] = JSONValue(upload.record?.upload.sourceName.map(TextSafety.jsonName))
        members["uploadID"] = JSONValue(upload.uploadID)
        return JSONValue.object(members).line
    }
}
