package import MulePlan
package import MuleSources

/// The options of a `mule archive` job as written; general options and defaults are applied later.
package struct JobOptions: Sendable, Equatable {
    /// A directory: absolute, or starts with `~/`. Raw bytes, like all paths here.
    package var source: [UInt8]?
    /// Must differ from file to file.
    package var destination: DestinationTemplate?
    package var selection = SelectionOptions()
    /// How to treat a file that is still being written.
    package var changes = SourceOptions()
    package var after: AfterAction?
    package var overwrite: OverwriteChoice?
    /// Minutes since midnight in local time, at which a run stops; 0 to 1439.
    package var until: Int?
    /// When a run may start; it stops at the end of the window.
    package var window: DayWindow?
    /// Directories that must be mount points, and files that must exist.
    package var requiredMounts: [[UInt8]]?
    /// Seconds, at least 1.
    package var maximumDuration: Double?
    /// More than 0.
    package var maximumBytes: Int64?
    /// Runs in which a file fails permanently before it is quarantined; at least 1.
    package var quarantineAfter: Int?
    /// A directory.
    package var receipts: [UInt8]?
    /// A bucket, or a prefix in it that ends in `/`.
    package var receiptObject: ObjectAddress?
    /// A file.
    package var metrics: [UInt8]?
    package var onSuccess: Hook?
    package var onFailure: Hook?
    /// These override the configuration's general ones.
    package var store = StoreOptions()
    package var transfer = TransferOptions()
    package var object = ObjectOptions()

    package init() {}

    package func over(_ lower: JobOptions) -> JobOptions {
        var result = lower
        result.source = source ?? lower.source
        result.destination = destination ?? lower.destination
        result.selection = selection.over(lower.selection)
        result.changes = changes.over(lower.changes)
        result.after = after ?? lower.after
        result.overwrite = overwrite ?? lower.overwrite
        result.until = until ?? lower.until
        result.window = window ?? lower.window
        result.requiredMounts = requiredMounts ?? lower.requiredMounts
        result.maximumDuration = maximumDuration ?? lower.maximumDuration
        result.maximumBytes = maximumBytes ?? lower.maximumBytes
        result.quarantineAfter = quarantineAfter ?? lower.quarantineAfter
        result.receipts = receipts ?? lower.receipts
        result.receiptObject = receiptObject ?? lower.receiptObject
        result.metrics = metrics ?? lower.metrics
        result.onSuccess = onSuccess ?? lower.onSuccess
        result.onFailure = onFailure ?? lower.onFailure
        result.store = store.over(lower.store)
        result.transfer = transfer.over(lower.transfer)
        result.object = object.over(lower.object)
        return result
    }
}

/// What to call at the end of a run.
package enum Hook: Sendable, Equatable {
    /// An absolute path and its arguments; run without a shell.
    case program([String])
    /// An http or https address. It may contain a secret and must not be shown.
    case post(String)
}

/// Whether an existing object may be replaced.
package enum OverwriteChoice: String, CaseIterable, Sendable {
    case never, allow
}

extension OptionValue {
    /// Job names become names of files and of systemd instances.
    static func checkJobName(_ name: String) throws(OptionValueError) {
        let isPlain = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || ".-_".utf8.contains(byte)
        }
        guard isPlain, !name.isEmpty, name.utf8.count <= 100, !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw OptionValueError(
                "a job name has 1 to 100 characters of a-z, A-Z, 0-9, . _ and -, and does not start with . or -"
            )
        }
    }

    static func template(_ text: String) throws(OptionValueError) -> DestinationTemplate {
        do { return try DestinationTemplate(text) } catch {
            throw OptionValueError(TextSafety.displayName(error.description))
        }
    }

    static func afterAction(_ text: String) throws(OptionValueError) -> AfterAction {
        do { return try AfterAction(parsing: Array(text.utf8)) } catch { throw OptionValueError(error.description) }
    }

    /// `06:00`: minutes since midnight.
    static func timeOfDay(_ text: String) throws(OptionValueError) -> Int {
        let bytes = Array(text.utf8)
        let digits = bytes.enumerated().filter { $0.offset != 2 }.map(\.element)
        guard bytes.count == 5, bytes[2] == UInt8(ascii: ":"), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw OptionValueError("is not a time of day; write it like 06:00")
        }
        let numbers = digits.map { Int($0 - 0x30) }
        let hour = numbers[0] * 10 + numbers[1]
        let minute = numbers[2] * 10 + numbers[3]
        guard hour < 24, minute < 60 else { throw OptionValueError("is not a time of day; the last one is 23:59") }
        return hour * 60 + minute
    }

    /// `22:00-06:00`
    static func dayWindow(_ text: String) throws(OptionValueError) -> DayWindow {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { throw OptionValueError("is not a window; write it like 22:00-06:00") }
        let (start, end) = (try timeOfDay(String(ends[0])), try timeOfDay(String(ends[1])))
        guard let window = DayWindow(start: start, end: end) else {
            throw OptionValueError("starts and ends at the same time; omit the window for the whole day")
        }
        return window
    }

    /// `bucket/` or `bucket/prefix/`.
    static func prefix(_ text: String) throws(OptionValueError) -> ObjectAddress {
        do {
            guard case .prefix(let address) = try Destination(parsing: Array(text.utf8)) else {
                throw OptionValueError("is a single object; end it with / to use it as a prefix")
            }
            return address
        } catch let error as OptionValueError {
            throw error
        } catch {
            throw OptionValueError("has no bucket; write bucket/ or bucket/prefix/")
        }
    }

    /// `http://` or `https://` with a host; a query is allowed, and may be a secret.
    static func hookURL(_ text: String) throws(OptionValueError) -> String {
        let wanted = "write it like https://example.org/hook"
        let lowered = text.lowercased()
        guard let scheme = ["https://", "http://"].first(where: { lowered.hasPrefix($0) }) else {
            throw OptionValueError("is not a URL; \(wanted)", hidesValue: true)
        }
        let rest = text.utf8.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { !"/?#".utf8.contains($0) }
        guard !authority.contains(UInt8(ascii: "@")) else {
            throw OptionValueError("must not contain a user name or password", hidesValue: true)
        }
        guard let first = authority.first, first != UInt8(ascii: ":") else {
            throw OptionValueError("has no host; \(wanted)", hidesValue: true)
        }
        guard rest.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw OptionValueError("must be plain ASCII without spaces or a fragment (#); \(wanted)", hidesValue: true)
        }
        return text
    }
}
