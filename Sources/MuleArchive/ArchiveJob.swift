package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSources
import MuleUpload

/// What is to be archived, where to, and how: a job of the configuration, or of the command line.
package struct ArchiveJob: Sendable {
    /// By which runs, reports and the lock know it.
    package var name: String
    /// Canonical path of the directory.
    package var source: [UInt8]
    package var selection: Selection
    package var order: FileOrder
    /// Seconds for which nothing of a file must have been changed; younger ones are left for the next run.
    package var settle: Double?
    package var destination: DestinationTemplate
    /// What is the same in all names that this run makes.
    package var naming: DestinationTemplate.Run
    package var store: StoreAddress
    package var service: S3Service
    package var sizing: PartSizing
    package var attributes: ObjectAttributes
    package var integrity: IntegrityOptions
    package var changing: ChangingSource
    /// Whether an object that is there is replaced.
    package var mayOverwrite: Bool
    package var after: AfterAction
    package var limits: RunLimits
    /// Absolute paths; see `RequiredMounts`.
    package var requiredMounts: [[UInt8]] = []
    /// Where the job does not say another number.
    package static let quarantineAfter = 3

    /// Runs that may fail for good, one after another, until a file is left alone; 1 at least.
    package var quarantineAfter: Int
    /// Ask the store for what the ledger knows to be archived.
    package var checksRemote: Bool
    /// Try what was left alone once more.
    package var retriesQuarantined: Bool

    package init(
        name: String,
        source: [UInt8],
        selection: Selection,
        order: FileOrder = .name,
        settle: Double? = nil,
        destination: DestinationTemplate,
        naming: DestinationTemplate.Run,
        store: StoreAddress,
        service: S3Service,
        sizing: PartSizing = PartSizing(),
        attributes: ObjectAttributes = ObjectAttributes(),
        integrity: IntegrityOptions = IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
        changing: ChangingSource = .refuse,
        mayOverwrite: Bool = false,
        after: AfterAction = .keep,
        limits: RunLimits = RunLimits(),
        quarantineAfter: Int = Self.quarantineAfter,
        checksRemote: Bool = false,
        retriesQuarantined: Bool = false
    ) {
        self.name = name
        self.source = source
        self.selection = selection
        self.order = order
        self.settle = settle
        self.destination = destination
        self.naming = naming
        self.store = store
        self.service = service
        self.sizing = sizing
        self.attributes = attributes
        self.integrity = integrity
        self.changing = changing
        self.mayOverwrite = mayOverwrite
        self.after = after
        self.limits = limits
        self.quarantineAfter = quarantineAfter
        self.checksRemote = checksRemote
        self.retriesQuarantined = retriesQuarantined
    }

    /// Whether a file is to be moved or removed now that its upload is done.
    ///
    /// - Parameter now: milliseconds since 1970.
    func isDue(_ upload: ItemUpload, at now: Int64) -> Bool {
        switch after {
        case .keep: false
        case .move, .delete: true
        case .deleteAfter(let seconds): now >= upload.updatedAt + Int64(seconds * 1000)
        }
    }

    /// Whether a wrong clock could have a file moved or deleted too early.
    var dependsOnAge: Bool {
        if case .deleteAfter = after { return true }
        return after != .keep && (settle != nil || selection.minimumAge != nil)
    }

    /// What happens to a pending upload of which the file turns out to be another. A key that is made of the content is
    /// another one then.
    var onChange: UploadJob.ContentChange { destination.needsDigest ? .abort : .restart }

    /// Where files are said to go of which no key is known.
    var nowhere: ObjectAddress { ObjectAddress(bucket: destination.bucket, key: ObjectKey("")) }

    /// The path below the job's directory.
    func relativePath(of source: [UInt8]) -> [UInt8] {
        let root = self.source == [UInt8(ascii: "/")] ? 1 : self.source.count + 1
        return Array(source.dropFirst(root))
    }
}

/// Where a run ends, whether everything is done or not.
package struct RunLimits: Hashable, Sendable {
    /// Milliseconds since 1970.
    package var until: Int64?
    /// Seconds.
    package var maximumDuration: Double?
    /// Payload bytes that go out. What is under way then comes to its end, so that a little more may be sent.
    package var maximumBytes: Int64?
    /// Seconds that what is under way has to come to its end.
    package var grace = 30.0

    package init(until: Int64? = nil, maximumDuration: Double? = nil, maximumBytes: Int64? = nil) {
        self.until = until
        self.maximumDuration = maximumDuration
        self.maximumBytes = maximumBytes
    }
}
