import MuleCredentials
import MuleLedger
import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleUpload

/// The inputs of a command: arguments, configuration, environment and ledger.
struct Session {
    let arguments: Arguments
    let environment: [String: String]
    /// When the process started, in milliseconds since 1970: limits by time of day are computed from this time.
    var startedAt = wallClockMilliseconds()
    private(set) var configuration: Configuration
    let console: Console
    private(set) var cancellation: Cancellation
    /// Cached, so that a process or a service is not asked again for every upload.
    var providers = Monitor<[ProviderKey: any CredentialsProvider]>([:])

    /// Signers of other hosts, each with what it has answered.
    var signers = Monitor<[SignerKey: DelegatedSigner]>([:])

    struct SignerKey: Hashable {
        var options: SignerOptions
        var caBundle: String?
    }

    struct ProviderKey: Hashable {
        var profile: String?
        var caBundle: String?
        var fips: Bool?
        var dualStack: Bool?
    }

    /// - Parameter service: reports progress to the service manager that started the program.
    init(
        _ arguments: Arguments,
        environment: [String: String],
        cancellation: Cancellation,
        diagnostics: Diagnostics,
        output: StandardOutput,
        service: SystemdNotifier? = nil
    ) throws(CommandFailure) {
        self.arguments = arguments
        self.environment = environment
        self.cancellation = cancellation
        do {
            configuration = try Configuration.load(
                FileLocation.configuration(flag: arguments.config, environment: environment)
            )
        } catch {
            throw CommandFailure(status: .usage, message: "\(error)")
        }
        try Self.openLog(arguments.logFile ?? configuration.logFile, environment: environment, diagnostics)
        let progress = arguments.progress ?? configuration.progress ?? .auto
        console = Console(
            arguments,
            progress: progress,
            environment: environment,
            diagnostics: diagnostics,
            output: output,
            service: service
        )
        // Jobs report it themselves.
        if [.upload, .resume].contains(arguments.command), transferOptions.limitRate?.dependsOnTime == true,
            let trouble = TimeZone.trouble(environment: environment)
        {
            console.warn(trouble)
        }
    }

    /// For checks of a configuration, which send nothing.
    init(
        _ arguments: Arguments,
        environment: [String: String],
        configuration: Configuration,
        console: Console,
        cancellation: Cancellation = Cancellation()
    ) {
        self.arguments = arguments
        self.environment = environment
        self.configuration = configuration
        self.console = console
        self.cancellation = cancellation
    }

    /// Called before anything else, so that the log is complete.
    private static func openLog(
        _ named: [UInt8]?,
        environment: [String: String],
        _ diagnostics: Diagnostics
    ) throws(CommandFailure) {
        guard let named else { return }
        try withLog(named, environment: environment) { path throws(SystemError) in
            // Absolute, because SIGHUP reopens it and the working directory may change.
            try diagnostics.openLog(at: absolute(path))
        }
    }

    /// Whether a run could open the log. Does not create it.
    static func checkLog(_ named: [UInt8], environment: [String: String]) throws(CommandFailure) {
        try withLog(named, environment: environment) { path throws(SystemError) in try LogFile.check(path) }
    }

    private static func withLog(
        _ named: [UInt8],
        environment: [String: String],
        _ step: ([UInt8]) throws(SystemError) -> Void
    ) throws(CommandFailure) {
        let shown = TextSafety.displayName(named)
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(status: .usage, message: "The log file \(shown) cannot be found: HOME is not set.")
        }
        do throws(SystemError) {
            try step(path)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "Cannot open the log file \(shown): \(error.reason). Nothing was sent."
            )
        }
    }

    /// The session for a job: its own options override the general ones; the command line overrides both.
    ///
    /// - Parameter cancellation: ends only this job.
    func serving(_ job: JobOptions, cancellation: Cancellation) -> Session {
        var session = self
        session.configuration.store = job.store.over(configuration.store)
        session.configuration.buckets = configuration.buckets.mapValues { job.store.over($0) }
        session.configuration.transfer = job.transfer.over(configuration.transfer)
        session.configuration.source = job.changes.over(configuration.source)
        session.configuration.object = job.object.over(configuration.object)
        session.cancellation = cancellation
        // Cached providers would use the other session's cancellation.
        session.providers = Monitor([:])
        session.signers = Monitor([:])
        return session
    }

    /// Absolute, so that messages are valid in every directory.
    func ledgerPath() throws(CommandFailure) -> [UInt8] {
        let location = FileLocation.ledger(
            flag: arguments.ledger,
            environment: environment,
            configuration: configuration
        )
        guard let location else {
            throw CommandFailure(
                status: .usage,
                message: "No location for the ledger: set HOME, or name a file with --ledger or MULE_LEDGER."
            )
        }
        return Self.absolute(location.path)
    }

    func openLedger() throws(CommandFailure) -> Ledger {
        let path = try ledgerPath()
        do {
            let ledger = try Ledger(path: path)
            // SQLite maps a file next to the ledger.
            let failure = UploadFailure(ledger: .diskFull, path: TextSafety.displayName(ledger.path))
            console.sayOnBusError(failure.message, status: .ledger)
            return ledger
        } catch {
            throw CommandFailure(
                status: .ledger,
                message: UploadFailure(ledger: error, path: TextSafety.displayName(path)).message
            )
        }
    }

    func ledgerFailure(_ error: LedgerError, _ ledger: Ledger) -> CommandFailure {
        CommandFailure(
            status: .ledger,
            message: UploadFailure(ledger: error, path: TextSafety.displayName(ledger.path)).message
        )
    }

    static func absolute(_ path: [UInt8]) -> [UInt8] {
        if path.first == UInt8(ascii: "/") { return path }
        guard let here = try? canonicalPath([UInt8(ascii: ".")]) else { return path }
        return here + [UInt8(ascii: "/")] + path
    }

    var transferOptions: TransferOptions { arguments.transfer.over(configuration.transfer) }

    var runSettings: RunSettings {
        let options = transferOptions
        var settings = RunSettings()
        settings.guessesContentType = true
        switch options.concurrency {
        case .fixed(let count)?: settings.concurrency = count
        case .auto?, nil:
            settings.concurrency = RunSettings.mostConcurrency
            settings.adaptsConcurrency = true
        }
        if let limit = options.stallLimit { settings.stallLimit = limit }
        if let use = options.pageCache { settings.pageCache = use }
        // An unlimited rate needs no rate limiter.
        if let rate = options.limitRate, rate != RateTimetable(always: nil) { settings.rateLimit = rate }
        return settings
    }
}
