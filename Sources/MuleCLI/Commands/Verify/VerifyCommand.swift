import MuleJSON
import MulePlan
import MuleUpload

/// `mule verify`
struct VerifyCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        guard session.arguments.receipts.isEmpty else { return try ReceiptCheck(session: session).run() }
        let path = session.arguments.operands[0]
        let address = try session.address(session.arguments.operands[1], forFile: path)
        let store = try session.store(forBucket: address.bucket)
        let verify = VerifyRun(
            ledger: try session.openLedger(),
            settings: session.runSettings,
            cancellation: session.cancellation
        )
        session.startProgress(reading: path, verify.progress)
        let result = Result { () throws(VerifyFailure) in
            try verify.verify(path: path, address, service: store.service, downloads: session.arguments.download)
        }
        session.console.stopProgress(final: nil)
        switch result {
        case .success(let verification):
            report(verification)
            return .done
        case .failure(let failure):
            report(failure, path, address: address)
            return ExitStatus([failure.failure])
        }
    }

    // MARK: Words

    private func report(_ verification: Verification) {
        if session.console.isJSON { return session.console.result(VerifyEvent.verified(verification)) }
        guard !session.console.isQuiet else { return }
        session.console.result(
            "\(TextSafety.displayName(session.arguments.operands[0])) = "
                + "\(TextSafety.displayName(verification.destination.description)): "
                + "\(ByteSize.format(verification.size)), verified by \(VerifyEvent.words(verification.proof))"
        )
    }

    private func report(_ failure: VerifyFailure, _ path: [UInt8], address: ObjectAddress) {
        if session.console.isJSON {
            session.console.result(VerifyEvent.failed(failure, path, address: address, id: nil))
        }
        if failure.failure.kind != .interrupted {
            session.console.error(TextSafety.displayName(failure.failure.message))
        }
    }
}

/// A verified object, as JSON and as text.
enum VerifyEvent {
    static func verified(_ verification: Verification) -> String {
        let proof = verification.proof
        var members: [String: JSONValue] = [
            "destination": .string(verification.destination.description),
            "eTag": JSONValue(verification.eTag),
            "event": "verified",
            "proof": .object([
                "algorithm": JSONValue(proof.algorithm), "kind": .string(proof.kind.rawValue),
                "value": JSONValue(proof.value),
            ]),
            "size": .int(verification.size),
            "source": .string(TextSafety.jsonName(verification.source)),
        ]
        if let version = verification.versionID { members["versionID"] = .string(version) }
        return JSONValue.object(members).line
    }

    /// - Parameter id: of the upload, if known.
    static func failed(_ failure: VerifyFailure, _ source: [UInt8], address: ObjectAddress, id: String?) -> String {
        JSONValue.object([
            "destination": .string(address.description),
            "error": EventPrinter.error(failure.failure),
            "event": "failed",
            "id": JSONValue(id),
            "resumable": .bool(failure.failure.isResumable),
            "source": .string(TextSafety.jsonName(source)),
            "verdict": JSONValue(failure.verdict?.rawValue),
        ]).line
    }

    static func words(_ proof: Verification.Proof) -> String {
        let value = "\(proof.algorithm ?? "") \(proof.value ?? "")"
        return switch proof.kind {
        case .fullObjectChecksum: "the store's checksum of the whole object, \(value)"
        case .compositeChecksum: "the store's checksum of the parts' checksums, \(value)"
        case .eTagMD5: "its ETag, which equals the file's \(value)"
        case .multipartETagMD5: "its ETag, which equals the MD5 of the parts' MD5s, \(proof.value ?? "")"
        case .recordedChecksum: "the checksum of its upload in the ledger, \(value)"
        case .recordedETag: "its ETag, which equals the one in the ledger, \(proof.value ?? "")"
        case .download: "comparing all bytes"
        }
    }
}
