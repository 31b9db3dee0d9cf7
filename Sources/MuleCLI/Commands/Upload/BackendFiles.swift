import MuleLedger
import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSigning
import MuleSources
import MuleSystem
import MuleUpload

/// Exchanges with the backend of mule-uploader: what it knows of the files of a run, and reports of their parts.
///
/// An earlier upload that the backend names is only a hint: mule adopts it if the store lists its parts and they match
/// the file. Otherwise the backend must forget it (`force`), and a new upload starts.
final class BackendFiles {
    private let session: Session
    private let store: Session.Store
    private let ledger: Ledger
    private let backend: UploadBackend
    private let signer: String
    /// Whether the backend names the keys: the destination is the bucket alone.
    private let namesKeys: Bool
    private let notes: PartNotes?

    /// - Returns: nil where the signer is no such backend.
    init?(_ session: Session, _ store: Session.Store, _ destination: Destination, _ ledger: Ledger) {
        guard let signer = store.signer, let backend = signer.backend else { return nil }
        self.session = session
        self.store = store
        self.ledger = ledger
        self.backend = backend
        self.signer = signer.place.url
        namesKeys = if case .prefix(let address) = destination { address.key.utf8.isEmpty } else { false }
        notes = PartNotes(signer.notes)
    }

    /// Ends the reports of parts; to be called before the program exits.
    func end() { notes?.end() }

    /// Called for each part that is recorded.
    var onPart: (@Sendable (UploadRecord, Int) -> Void)? {
        guard let notes else { return nil }
        return { record, part in notes.add(record, part) }
    }

    /// The upload to register: with the key of the backend, and adopting the upload that it names.
    func prepare(_ intent: UploadIntent) throws(UploadFailure) -> UploadIntent {
        // What cannot be read is reported when it is registered.
        guard let status = try? FileStatus.of(path: intent.path), status.kind == .regular,
            let path = try? canonicalPath(intent.path)
        else { return intent }
        var intent = intent
        let recorded: UploadRecord?
        do {
            recorded = try ledger.last(source: path, bucket: intent.destination.bucket, signer: signer)
        } catch {
            throw UploadFailure(ledger: error, path: TextSafety.displayName(ledger.path))
        }
        if let recorded, namesKeys || recorded.upload.destination == intent.destination {
            // The ledger knows more than the backend.
            intent.destination = recorded.upload.destination
            return intent
        }
        let file = UploadBackend.File(
            name: LossyUTF8.string(SourceWalk.lastComponent(intent.path)),
            size: status.size,
            modified: status.modificationTime / 1_000_000,
            contentType: intent.attributes.headers.first { $0.name == "content-type" }?.value
                ?? "application/octet-stream"
        )
        var answer = try ask(file, force: false)
        if let known = answer.known {
            if let adopted = try adopt(known, intent) { return adopted }
            answer = try ask(file, force: true)
        }
        if namesKeys, let key = answer.backupKey {
            intent.destination = ObjectAddress(bucket: intent.destination.bucket, key: ObjectKey(key))
        }
        return intent
    }

    private func ask(_ file: UploadBackend.File, force: Bool) throws(UploadFailure) -> BackendAnswer {
        do throws(CredentialsUnavailable) {
            return try session.patiently { () throws(CredentialsUnavailable) in
                try backend.signingKey(file, force: force)
            }
        } catch {
            if session.cancellation.isCancelled { throw .interrupted }
            throw UploadFailure(UploadFailure.Kind(error.kind), Session.sentence(error), isResumable: true)
        }
    }

    /// - Returns: nil if there is nothing to adopt.
    private func adopt(
        _ known: (key: String, uploadID: String),
        _ intent: UploadIntent
    ) throws(UploadFailure) -> UploadIntent? {
        var intent = intent
        if namesKeys {
            intent.destination = ObjectAddress(bucket: intent.destination.bucket, key: ObjectKey(known.key))
        }
        guard intent.destination.key == ObjectKey(known.key) else { return nil }
        let run = AdoptRun(ledger: ledger, settings: session.runSettings, cancellation: session.cancellation)
        let console = session.console
        do throws(UploadFailure) {
            let (record, lease) = try run.adopt(
                intent,
                uploadID: known.uploadID,
                service: store.service,
                onNotice: { console.detail(TextSafety.displayName($0)) }
            )
            withExtendedLifetime(lease) {}
            console.note(
                "adopted the upload that the signer knows of \(TextSafety.displayName(intent.path)): "
                    + "\(Wording.count(record.partsDone, "part")) of it \(record.partsDone == 1 ? "is" : "are") at the store"
            )
        } catch {
            guard [.store, .verification, .usage].contains(error.kind) else { throw error }
            console.detail("the upload that the signer knows is not adopted: \(TextSafety.displayName(error.message))")
            return nil
        }
        // Its parts have the size that they have.
        intent.demandedPartSize = nil
        return intent
    }
}

/// Tells a backend of recorded parts, from a thread of its own: the latest first. What it cannot tell in time is
/// dropped, because the store's list says the same.
final class PartNotes: Sendable {
    private struct State {
        var waiting: [(record: UploadRecord, part: Int)] = []
        var hasEnded = false
    }

    /// Parts that wait at most.
    private static let most = 256

    private let state = Monitor(State())
    private let cancellation = Cancellation()
    private let thread: Thread

    /// - Returns: nil without a backend, or a thread.
    init?(_ backend: (Cancellation) -> UploadBackend?) {
        guard let backend = backend(cancellation) else { return nil }
        let state = state
        guard let thread = try? Thread(name: "part notes", { Self.tell(backend, state) }) else { return nil }
        self.thread = thread
    }

    /// Drops what waits, and returns after the thread has ended: OpenSSL must not be in use when the program exits.
    /// Must be called once.
    func end() {
        state.update { $0.hasEnded = true }
        cancellation.cancel()
        thread.join()
    }

    func add(_ record: UploadRecord, _ part: Int) {
        state.update { state in
            if state.waiting.count == Self.most { state.waiting.removeFirst() }
            state.waiting.append((record, part))
        }
    }

    private static func tell(_ backend: UploadBackend, _ state: Monitor<State>) {
        while true {
            let next = state.wait { state -> (record: UploadRecord, part: Int)?? in
                if state.hasEnded { return .some(nil) }
                return state.waiting.popLast().map { .some($0) }
            }
            guard let (record, part) = next else { return }
            guard let source = record.upload.source, let uploadID = record.uploadID else { continue }
            let file = UploadBackend.File(
                name: LossyUTF8.string(SourceWalk.lastComponent(source.path)),
                size: source.size,
                modified: source.modificationTime / 1_000_000,
                contentType: ""
            )
            // A lost report does no harm: the store's list has the part.
            try? backend.chunkLoaded(part - 1, of: file, key: record.upload.destination.key.string, uploadID: uploadID)
        }
    }
}
