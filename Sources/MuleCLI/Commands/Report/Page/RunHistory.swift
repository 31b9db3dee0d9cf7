import MuleLedger

/// The data of `mule report --html`: runs, days, files and what needs action. Its size does not grow with the files.
struct RunHistory {
    /// A day of a job in local time.
    struct Night: Hashable {
        var job: String
        /// `2026-11-29`
        var day: String
    }

    struct File {
        var source: [UInt8]
        var size: Int64
        var job: String
    }

    /// Maximum numbers of runs in the table, of files in the list of the largest, and of lines about problems.
    static let mostRuns = 200
    static let mostFiles = 20
    static let mostTroubles = 200

    private(set) var runs: [RunView] = []
    private(set) var runCount = 0
    private(set) var total = RunCounts()
    private(set) var runsOfNight: [Night: Int] = [:]
    /// The worst result of the runs of a day.
    private(set) var results: [Night: PageResult] = [:]
    /// Archived bytes of a day, and the seconds of its runs.
    private(set) var volume: [String: (bytes: Int64, seconds: Double)] = [:]
    /// Archived files by the binary logarithm of their size; -1 for empty ones.
    private(set) var sizes: [Int: Int] = [:]
    private(set) var largest: [File] = []
    private(set) var troubles: [AttentionView] = []
    private(set) var hasMoreTroubles = false

    mutating func add(_ run: RunView) {
        runCount += 1
        runs.append(run)
        if runs.count > Self.mostRuns { runs.removeFirst() }
        total.archived += run.counts.archived
        total.bytes += run.counts.bytes
        total.failed += run.counts.failed
        total.actionsFailed += run.counts.actionsFailed
        let day = LocalTime.day(milliseconds: run.record.startedAt)
        let night = Night(job: run.record.jobName, day: day)
        runsOfNight[night, default: 0] += 1
        results[night] = max(results[night] ?? .good, PageResult(run))
        let before = volume[day] ?? (0, 0)
        volume[day] = (before.bytes + run.counts.bytes, before.seconds + (run.seconds ?? 0))
    }

    mutating func add(_ receipt: Receipt, size: Int64?, job: String) {
        guard receipt.result == .archived, let size else { return }
        sizes[size > 0 ? size.bitWidth - 1 - size.leadingZeroBitCount : -1, default: 0] += 1
        guard largest.count < Self.mostFiles || size > largest.last?.size ?? 0 else { return }
        let index = largest.firstIndex { $0.size < size } ?? largest.endIndex
        largest.insert(File(source: receipt.source, size: size, job: job), at: index)
        if largest.count > Self.mostFiles { largest.removeLast() }
    }

    mutating func add(_ trouble: AttentionView) {
        if troubles.count < Self.mostTroubles { troubles.append(trouble) } else { hasMoreTroubles = true }
    }
}

/// How a run ended, from good to bad.
enum PageResult: Int, Comparable, CaseIterable {
    case good, running, limit, interrupted, failed

    init(_ run: RunView) {
        switch run.state {
        case .running: self = .running
        case .killed: self = .interrupted
        case .ended:
            switch run.status {
            case .done?: self = .good
            case .limitReached?: self = .limit
            case .temporary?, .hangup?, .interrupted?, .terminated?, .locked?: self = .interrupted
            default: self = .failed
            }
        }
    }

    static func < (one: Self, other: Self) -> Bool { one.rawValue < other.rawValue }

    /// For the legend.
    var meaning: String {
        switch self {
        case .good: "done"
        case .running: "running"
        case .limit: "stopped at a limit, resumes"
        case .interrupted: "interrupted, resumes"
        case .failed: "failed"
        }
    }

    /// Also shown in the cell, because not everyone can distinguish the colors.
    var mark: String {
        switch self {
        case .good: ""
        case .running: "…"
        case .limit: "–"
        case .interrupted: "/"
        case .failed: "×"
        }
    }

    var color: String {
        switch self {
        case .good: "#2e7d4f"
        case .running: "#3b6fb6"
        case .limit: "#9bbf6b"
        case .interrupted: "#e0a53a"
        case .failed: "#c0392b"
        }
    }
}
