/// The parsed command line; `MULE_*` variables replace flags that were not given. Files, configuration and defaults are
/// resolved later.
package struct Arguments: Sendable, Equatable {
    /// Nil only with `wantsHelp` or `wantsVersion`.
    package var command: Command?
    /// Raw bytes: file names need not be UTF-8. A lone `-` is an operand.
    package var operands: [[UInt8]] = []

    package var wantsHelp = false
    /// Whether the help should fit on one screen.
    package var wantsBriefHelp = false
    package var wantsVersion = false

    /// File paths, as raw bytes.
    package var config: [UInt8]?
    package var ledger: [UInt8]?
    package var logFile: [UInt8]?

    package var json = false
    package var quiet = false
    package var verbose = false
    package var progress: ProgressChoice?

    package var store = StoreOptions()
    package var transfer = TransferOptions()
    package var source = SourceOptions()
    package var object = ObjectOptions()
    package var selection = SelectionOptions()
    /// Lists of names, separated by line feeds or NULs: file paths, as raw bytes; `-` is standard input.
    package var filesFrom: [UInt8]?
    package var filesFrom0: [UInt8]?

    /// A job given on the command line, or overrides of a configured one. Options shared with other commands are in the
    /// properties above.
    package var job = JobOptions()
    package var retryQuarantined = false
    package var check: CheckChoice?
    /// Seconds, at least 0.
    package var wait: Double?

    /// Seconds, at least 0.
    package var since: Double?
    package var jobName: String?
    package var format: ReportFormat?
    /// A file path, as raw bytes; `-` is standard output.
    package var html: [UInt8]?
    /// At least 1.
    package var runNumber: Int?
    package var files = false
    /// Seconds, at least 0.
    package var history: Double?

    /// The file with the URL to send to, as raw bytes; `-` is standard input.
    package var urlFile: [UInt8]?
    package var presign = PresignOptions()
    package var policy = PolicyOptions()

    package var noOverwrite = false
    /// Without quotes.
    package var ifMatch: String?
    package var force = false
    package var restart = false
    package var exactKey = false
    /// In bytes, more than 0.
    package var expectedSize: Int64?
    /// For /bin/sh; any bytes, not empty. It may contain passwords: it is passed only to the shell.
    package var stdinCommand: [UInt8]?
    package var recursive = false
    package var all = false
    package var forget = false
    package var download = false
    /// File paths, as raw bytes; `-` is standard input.
    package var receipts: [[UInt8]] = []
    package var remote = false
    package var watch = false
    package var dryRun = false
    package var yes = false
    package var allInitiators = false
    /// `--ledger` without a file: check only the ledger.
    package var ledgerAlone = false
    package var write = false
    /// File paths, as raw bytes; `-` is a stream.
    package var export: [UInt8]?
    package var importFrom: [UInt8]?
    /// Seconds, at least 0.
    package var olderThan: Double?

    package init() {}

    /// Whether it is useless with standard output closed. Other commands are run for their effect or their exit status.
    package var isRunForItsOutput: Bool {
        wantsHelp || wantsVersion || json || [.report, .status, .presign, .policy].contains(command)
            || export == [UInt8(ascii: "-")]
    }
}
