import MuleJSON
import MuleLedger
import MulePlan
import MuleUpload

/// `mule adopt`
struct AdoptCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let path = session.arguments.operands[0]
        let address = try session.address(session.arguments.operands[1], forFile: path)
        let store = try session.store(forBucket: address.bucket)
        let ledger = try session.openLedger()
        let adopt = AdoptRun(ledger: ledger, settings: session.runSettings, cancellation: session.cancellation)
        let intent = UploadIntent(
            path: path,
            destination: address,
            store: store.address,
            sizing: PartSizing(),
            attributes: try session.attributes(),
            onlyIfAbsent: session.arguments.noOverwrite,
            integrity: IntegrityOptions(
                checksum: ChecksumChoice.auto.rawValue,
                payloadSigning: (store.options.payloadSigning ?? .auto).rawValue
            )
        )
        let printer = EventPrinter(console: session.console)
        session.startProgress(reading: path, adopt.progress)
        let result = Result { () throws(UploadFailure) in
            try adopt.adopt(intent, service: store.service) { printer.print(.notice(id: nil, $0)) }
        }
        session.console.stopProgress(final: nil)
        switch result {
        case .failure(let failure):
            printer.print(.failed(FailedUpload(path, address, failure)))
            return ExitStatus([failure])
        case .success(let (record, lease)):
            report(record)
            let job = UploadJob(
                source: .file(path),
                destination: address,
                row: .claimed(record, lease),
                service: store.service
            )
            return session.upload(JobFeed([job]), ledger, printer: EventPrinter(console: session.console))
        }
    }

    private func report(_ record: UploadRecord) {
        guard session.console.isJSON else {
            return session.console.note(
                "adopted upload \(TextSafety.displayName(record.uploadID ?? "")) as \(record.id)"
            )
        }
        session.console.result(
            JSONValue.object([
                "destination": .string(record.upload.destination.description),
                "event": "adopted",
                "id": .string(record.id),
                "source": .string(record.upload.source.map { TextSafety.jsonName($0.path) } ?? "-"),
                "uploadID": JSONValue(record.uploadID),
            ]).line
        )
    }
}
