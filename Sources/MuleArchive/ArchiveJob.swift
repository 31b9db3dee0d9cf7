package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSources
import MuleUpload

/// What to archive, where, and how: a job of the configuration or of the command line.
package struct ArchiveJob: Sendable {
    /// The job's name in runs, reports and its lock.
    package var name: String
    /// Canonical path of the directory.
    package var source: [UInt8]
    package var selection: Selection
    package var order: FileOrder
    /// Seconds without any change that a file needs; younger files wait for the next run.
    package var settle: Double?
    package var destination: DestinationTemplate
    /// Values that are the same in all names of this run.
    package var naming: DestinationTemplate.Run
    package var store: StoreAddress
    package var service: S3Service
    package var sizing: PartSizing
    package var attributes: ObjectAttributes
    package var integrity: IntegrityOptions
    package var changing: ChangingSource
    /// Whether existing objects are replaced.
    package var mayOverwrite: Bool
    package var after: AfterAction
    package var limits: RunLimits
    /// Absolute paths; see `RequiredMounts`.
    package var requiredMounts: [[UInt8]] = []
    /// The default.
    package static let quarantineAfter = 3

    /// Consecutive permanent failures after which a file is quarantined; at least 1.
    package var quarantineAfter: Int
    /// Whether to ask the store about files that the ledger has as archived.
    package var checksRemote: Bool
    /// Whether to retry quarantined files.
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

    /// Whether the file can be moved or deleted now that its upload is done.
    ///
    /// - Parameter now: milliseconds since 1970.
    func isDue(_ upload: ItemUpload, at now: Int64) -> Bool {
        switch after {
        case .keep: false
        case .move, .delete: true
        case .deleteAfter(let seconds): now >= upload.updatedAt + Int64(seconds * 1000)
        }
    }

    /// Whether a wrong clock could move or delete a file too early.
    var dependsOnAge: Bool {
        if case .deleteAfter = after { return true }
        return after != .keep && (settle != nil || selection.minimumAge != nil)
    }

    /// What happens to a pending upload whose file turns out to be different. A key derived from the content is then
    /// different too.
    var onChange: UploadJob.ContentChange { destination.needsDigest ? .abort : .restart }

    /// The destination reported for files whose key is unknown.
    var nowhere: ObjectAddress { ObjectAddress(bucket: destination.bucket, key: ObjectKey("")) }

    /// The path below the job's directory.
    func relativePath(of source: [UInt8]) -> [UInt8] {
        let root = self.source == [UInt8(ascii: "/")] ? 1 : self.source.count + 1
        return Array(source.dropFirst(root))
    }
}

/// Limits at which a run stops.
package struct RunLimits: Hashable, Sendable {
    /// Milliseconds since 1970.
    package var until: Int64?
    /// Seconds.
    package var maximumDuration: Double?
    /// Payload bytes to send. Uploads in flight then finish, so slightly more may be sent.
    package var maximumBytes: Int64?
    /// Seconds that uploads in flight get to finish.
    package var grace = 30.0

    package init(until: Int64? = nil, maximumDuration: Double? = nil, maximumBytes: Int64? = nil) {
        self.until = until
        self.maximumDuration = maximumDuration
        self.maximumBytes = maximumBytes
    }
}
