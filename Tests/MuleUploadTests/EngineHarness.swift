import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleUpload

/// The engine in process: a fake store, a ledger and files of its own for each test.
final class EngineHarness: Sendable {
    /// What a test says about an upload; the rest is the engine's default.
    struct Options: Sendable {
        var key = "key"
        /// Nil sends the file in one request.
        var partSize: Int64? = EngineHarness.partSize
        var checksum = "auto"
        var payloadSigning = "auto"
        var onlyIfAbsent = false
        var attributes = ObjectAttributes()
        var changing = ChangingSource.refuse
    }

    static let partSize: Int64 = 64 << 10
    static let resumeAgent = "mule-test-resume"

    let server: FakeS3
    let scratch = ScratchDirectory("mule-engine")
    let ledger: Ledger
    let settings: RunSettings
    /// What the client takes for the bucket's region.
    let region: String
    let provider: any CredentialsProvider
    /// What the client takes the store for.
    let kind: Provider?
    /// Seconds that one request may stand still; the run's patience where nil.
    private let requestPatience: Double?

    /// - Parameter provider: the credentials; nil for the server's own key.
    init(
        _ profile: FakeProfile = .aws(minimumPartSize: 1),
        credentials: [FakeCredentials] = [FakeCredentials()],
        concurrency: Int = 4,
        stallLimit: Double = 30,
        requestPatience: Double? = nil,
        rateLimit: Int64? = nil,
        region: String? = nil,
        provider: (any CredentialsProvider)? = nil,
        kind: Provider? = nil,
        faults: [Fault] = [],
        openLedger: ([UInt8]) throws -> Ledger = { try Ledger(path: $0) }
    ) throws {
        self.requestPatience = requestPatience
        self.kind = kind
        server = FakeS3(profile, credentials: credentials, faults: faults)
        self.region = region ?? server.region
        self.provider =
            provider
            ?? FixedCredentials(
                Credentials(
                    accessKeyID: server.credentials.accessKey,
                    secretAccessKey: server.credentials.secretKey,
                    sessionToken: server.credentials.sessionToken
                )
            )
        ledger = try openLedger(Array(scratch.path("state/ledger.sqlite").utf8))
        settings = Self.settings(concurrency: concurrency, stallLimit: stallLimit, rateLimit: rateLimit)
    }

    static func settings(
        concurrency: Int = 4,
        stallLimit: Double = 30,
        rateLimit: Int64? = nil
    ) -> RunSettings {
        var settings = RunSettings(
            concurrency: concurrency,
            stallLimit: stallLimit,
            rateLimit: rateLimit.map(RateTimetable.init(always:))
        )
        settings.retry.base = 0.001
        settings.retry.throttledBase = 0.001
        settings.retry.cap = 0.002
        settings.retry.completionBase = 0.01
        return settings
    }

    // MARK: What is sent

    /// A file of seeded random bytes, last changed long ago: every file system shows a change during the test.
    func file(_ name: String = "file", size: Int64 = 6 * partSize - 100, seed: UInt64 = 1) throws -> String {
        let path = try scratch.writeRandom(name, count: size, seed: seed)
        try Files.setModificationTime(path, seconds: Self.past)
        return path
    }

    static let past: Int64 = 1_700_000_000

    func newUpload(_ path: String, _ options: Options = Options()) throws -> NewUpload {
        NewUpload(
            source: try SourceFile.open(path: Array(path.utf8)).identity,
            store: store,
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(options.key)),
            attributes: options.attributes,
            onlyIfAbsent: options.onlyIfAbsent,
            integrity: IntegrityOptions(checksum: options.checksum, payloadSigning: options.payloadSigning),
            partSize: options.partSize,
            changing: options.changing
        )
    }

    var store: StoreAddress {
        StoreAddress(
            endpoint: server.endpoint,
            region: region,
            addressing: "path",
            profile: nil,
            caBundle: nil
        )
    }

    /// - Parameter agent: tells the requests of one run from those of another that are still on their way.
    func service(
        _ cancellation: Cancellation,
        agent: String = "mule-test",
        patience: Double? = nil
    ) throws -> S3Service {
        S3Service(
            endpoint: try Endpoint(url: server.endpoint, region: region),
            transport: TransportSettings(userAgent: agent),
            credentials: provider,
            cancellation: cancellation,
            patience: patience ?? requestPatience ?? settings.stallLimit,
            provider: kind
        )
    }

    // MARK: Streams

    /// - Parameter partSize: nil for parts that grow from 8 MiB.
    func stream(
        _ source: StreamSource,
        key: String = "key",
        partSize: Int64? = EngineHarness.partSize,
        change: (inout StreamIntent) -> Void = { _ in }
    ) -> StreamIntent {
        var intent = StreamIntent(
            source: source,
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(key)),
            store: store,
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
            partSize: partSize
        )
        change(&intent)
        return intent
    }

    func register(_ intent: StreamIntent) throws -> (entry: Registration.Entry, notes: [String]) {
        // Small parts spare the tests many megabytes; a store that says so takes them.
        try ledger.remember("smallest-part", "1", of: server.endpoint, lifetime: 3600)
        return try Registration(ledger).register(intent)
    }

    /// Sends a stream as the command does. What was registered is in the notices of the outcome.
    func upload(
        _ intent: StreamIntent,
        _ input: StreamInput,
        settings: RunSettings? = nil,
        cancellation: Cancellation = Cancellation()
    ) throws -> Outcome {
        let (entry, notes) = try register(intent)
        guard case .job(let row, let restartsAs) = entry else { throw HarnessFailure("refused: \(entry)") }
        let job = UploadJob(
            source: .stream(input),
            destination: intent.destination,
            row: row,
            service: try service(cancellation),
            restartsAs: restartsAs
        )
        var outcome = run([job], settings: settings, cancellation: cancellation)
        outcome.events = notes.map { .notice(id: nil, $0) } + outcome.events
        return outcome
    }

    /// Sends what a shell command prints.
    func upload(
        command: String,
        settings: RunSettings? = nil,
        cancellation: Cancellation = Cancellation(),
        change: (inout StreamIntent) -> Void = { _ in }
    ) throws -> Outcome {
        try upload(
            stream(.command, change: change),
            StreamInput(.program(["/bin/sh", "-c", command].map { Array($0.utf8) })),
            settings: settings,
            cancellation: cancellation
        )
    }

    // MARK: Runs

    /// Uploads files as a first run does.
    func upload(
        _ path: String,
        _ options: Options = Options(),
        settings: RunSettings? = nil,
        cancellation: Cancellation = Cancellation()
    ) throws -> Outcome {
        try upload([(path, options)], settings: settings, cancellation: cancellation)
    }

    func upload(
        _ files: [(path: String, options: Options)],
        settings: RunSettings? = nil,
        cancellation: Cancellation = Cancellation()
    ) throws -> Outcome {
        let service = try service(cancellation)
        let claims = try ledger.claim(files.map { try newUpload($0.path, $0.options) })
        let jobs = try claims.map { claim -> UploadJob in
            switch claim {
            case .began(let record, let lease), .found(let record, let lease): job(record, lease, service)
            case .heldElsewhere(let record): throw HarnessFailure("\(record.id) is held elsewhere")
            case .doneBefore, .taken: throw HarnessFailure("done before")
            }
        }
        return run(jobs, settings: settings, cancellation: cancellation)
    }

    /// Resumes all unfinished uploads of a ledger.
    func resume(
        _ ledger: Ledger? = nil,
        settings: RunSettings? = nil,
        cancellation: Cancellation = Cancellation()
    ) throws -> Outcome {
        let ledger = ledger ?? self.ledger
        let service = try service(cancellation, agent: Self.resumeAgent, patience: settings?.stallLimit)
        let jobs = try ledger.unfinished().map { record -> UploadJob in
            guard let (record, lease) = try ledger.claim(record.number) else {
                throw HarnessFailure("\(record.id) is held elsewhere")
            }
            return job(record, lease, service)
        }
        return run(jobs, ledger: ledger, settings: settings, cancellation: cancellation)
    }

    /// Uploads as the command does: what the ledger knows decides.
    func register(
        _ path: String,
        _ options: Options = Options(),
        sizing: PartSizing = PartSizing(),
        ledger: Ledger? = nil,
        change: (inout UploadIntent) -> Void = { _ in }
    ) throws -> Registration.Entry {
        var intent = UploadIntent(
            path: Array(path.utf8),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(options.key)),
            store: store,
            sizing: sizing,
            attributes: options.attributes,
            onlyIfAbsent: options.onlyIfAbsent,
            integrity: IntegrityOptions(checksum: options.checksum, payloadSigning: options.payloadSigning)
        )
        change(&intent)
        guard let entry = try Registration(ledger ?? self.ledger).register([intent]).first else {
            throw HarnessFailure("an intent without an entry")
        }
        return entry
    }

    /// Runs an entry that is a job.
    func run(
        _ entry: Registration.Entry,
        path: String,
        key: String = "key",
        ledger: Ledger? = nil
    ) throws -> Outcome {
        guard case .job(let row, let restartsAs) = entry else { throw HarnessFailure("refused: \(entry)") }
        let cancellation = Cancellation()
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(key)),
            row: row,
            service: try service(cancellation),
            restartsAs: restartsAs
        )
        return run([job], ledger: ledger, cancellation: cancellation)
    }

    func run(
        _ jobs: [UploadJob],
        ledger: Ledger? = nil,
        settings: RunSettings? = nil,
        cancellation: Cancellation
    ) -> Outcome {
        run(JobFeed(jobs), ledger: ledger, settings: settings, cancellation: cancellation)
    }

    func run(
        _ feed: some UploadFeed,
        ledger: Ledger? = nil,
        settings: RunSettings? = nil,
        cancellation: Cancellation
    ) -> Outcome {
        let events = EventLog()
        let run = UploadRun(
            ledger: ledger ?? self.ledger,
            settings: settings ?? self.settings,
            cancellation: cancellation
        ) { events.add($0) }
        return Outcome(result: run.run(feed), events: events.all)
    }

    private func job(_ record: UploadRecord, _ lease: Lease, _ service: S3Service) -> UploadJob {
        UploadJob(
            source: .file(record.upload.source?.path ?? []),
            destination: record.upload.destination,
            row: .claimed(record, lease),
            service: service
        )
    }

    /// A run that stops when so many parts are recorded; sequential, so that the rows are exactly the first ones.
    @discardableResult
    func interrupt(_ path: String, _ options: Options = Options(), afterParts count: Int) throws -> Outcome {
        let cancellation = Cancellation()
        server.add(
            .on(
                .uploadPart,
                occurrence: count + 1,
                .run(.headersRead) { _ in cancellation.cancel() },
                .closeBeforeProcessing
            )
        )
        let outcome = try upload(
            path,
            options,
            settings: Self.settings(concurrency: 1),
            cancellation: cancellation
        )
        server.script([])
        #expect(try ledger.unfinished().first?.partsDone == count)
        return outcome
    }

    /// Aborts an upload like the command; returns the notices.
    @discardableResult
    func abort(_ record: UploadRecord, stallLimit: Double = 30, settings: RunSettings? = nil) throws -> [String] {
        let events = EventLog()
        let cancellation = Cancellation()
        guard let (record, lease) = try ledger.claim(record.number) else { throw HarnessFailure("held elsewhere") }
        let abort = AbortRun(
            ledger: ledger,
            settings: settings ?? Self.settings(stallLimit: stallLimit),
            cancellation: cancellation
        ) { events.add($0) }
        try abort.abort(record, lease, service: try service(cancellation))
        return events.notices
    }

    /// The only upload of the ledger.
    func record() throws -> UploadRecord {
        let all = try ledger.all()
        #expect(all.count == 1)
        guard let record = all.first else { throw HarnessFailure("an empty ledger") }
        return record
    }
}

struct HarnessFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Events of a run, from all its threads.
final class EventLog: Sendable {
    private let events = Monitor<[UploadEvent]>([])

    func add(_ event: UploadEvent) { events.withLock { $0.append(event) } }

    var all: [UploadEvent] { events.withLock { $0 } }

    var notices: [String] {
        all.compactMap { event in
            if case .notice(_, let text) = event { text } else { nil }
        }
    }
}

/// What a run came to.
struct Outcome: Sendable {
    var result: RunResult
    var events: [UploadEvent]

    var completed: [UploadSummary] {
        events.compactMap { if case .completed(let summary) = $0 { summary } else { nil } }
    }

    var failures: [UploadFailure] {
        events.compactMap { if case .failed(let end) = $0 { end.failure } else { nil } }
    }

    var failure: UploadFailure? { failures.first }

    var notices: [String] {
        events.compactMap { event in
            if case .notice(_, let text) = event { text } else { nil }
        }
    }

    /// How many events say that an upload has ended.
    var ends: Int {
        events.count { event in
            switch event {
            case .completed, .failed: true
            case .started, .resumed, .notice: false
            }
        }
    }
}
