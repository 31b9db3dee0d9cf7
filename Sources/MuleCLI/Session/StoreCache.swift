import MuleLedger
import MulePlan
import MuleS3
import MuleUpload

/// The stores of a command, each created once to share its connections and what is known about it.
final class StoreCache {
    private let session: Session
    private let followsOptions: Bool
    private var known: [Key: S3Service] = [:]
    /// Stores that could not be set up; each was reported once.
    var failures: [UploadFailure] = []

    private struct Key: Hashable {
        var address: StoreAddress
        /// The bucket's own setting; nil leaves it to other settings.
        var fips: Bool?
    }

    /// - Parameter followsOptions: whether the options of the command line go before what the ledger says of a store.
    init(_ session: Session, followsOptions: Bool) {
        self.session = session
        self.followsOptions = followsOptions
    }

    /// The store of an upload in the ledger.
    func service(of record: UploadRecord) throws(UploadFailure) -> S3Service {
        try service(of: record.upload.store, for: record.upload.destination.bucket)
    }

    /// The store of a bucket in the ledger.
    func service(of address: StoreAddress, for bucket: String) throws(UploadFailure) -> S3Service {
        let key = key(address, bucket)
        if let service = known[key] { return service }
        let service = try session.storeOrFailure(at: address, for: bucket, followsOptions: followsOptions).service
        known[key] = service
        return service
    }

    private func key(_ address: StoreAddress, _ bucket: String) -> Key {
        Key(address: address, fips: session.configuration.store(forBucket: bucket).fips)
    }

    /// A bucket that the ledger knows; nil if its store cannot be set up.
    func place(bucket: String, at address: StoreAddress) -> StorePlace? {
        do throws(UploadFailure) {
            return StorePlace(
                address: address,
                service: try service(of: address, for: bucket),
                bucket: bucket,
                prefix: ObjectKey("")
            )
        } catch {
            note(error)
            return nil
        }
    }

    /// A named bucket, or a prefix in it; its store is found as for an upload.
    func place(named object: ObjectAddress) -> StorePlace? {
        do throws(CommandFailure) {
            let store = try session.store(forBucket: object.bucket)
            let key = key(store.address, object.bucket)
            let service = known[key] ?? store.service
            known[key] = service
            return StorePlace(address: store.address, service: service, bucket: object.bucket, prefix: object.key)
        } catch {
            note(session.failure(error))
            return nil
        }
    }

    private func note(_ failure: UploadFailure) {
        failures.append(failure)
        session.console.error(TextSafety.displayName(failure.message))
    }
}

extension Session {
    /// Operands that are buckets, or prefixes in them: `bucket`, `bucket/prefix`, `s3://bucket/prefix`.
    func places(_ operands: [[UInt8]]) throws(CommandFailure) -> [ObjectAddress] {
        var places: [ObjectAddress] = []
        for operand in operands {
            if let meant = DestinationHint.misspelling(operand) {
                throw CommandFailure(
                    status: .usage,
                    message: "\"\(TextSafety.displayName(operand))\" is not a bucket. \(meant)"
                )
            }
            do {
                switch try Destination(parsing: operand) {
                case .object(let address), .prefix(let address): places.append(address)
                }
            } catch .unsupportedARN(_, let refusal) {
                throw CommandFailure(
                    status: .usage,
                    message: "\"\(TextSafety.displayName(operand))\" is not a bucket. \(refusal.cure)"
                )
            } catch {
                throw CommandFailure(
                    status: .usage,
                    message: "\"\(TextSafety.displayName(operand))\" is not a bucket: write BUCKET or BUCKET/PREFIX."
                        + (DestinationHint.text(for: operand).map { " " + $0 } ?? "")
                )
            }
        }
        return places
    }

    func failure(_ error: CommandFailure) -> UploadFailure {
        let kind: UploadFailure.Kind =
            switch error.status {
            case .credentials: .credentials
            case .unverified: .verification
            case .temporary: .network
            case .failed: .signer
            default: .usage
            }
        var failure = UploadFailure(kind, error.message, isResumable: true)
        failure.scope = .store
        return failure
    }
}

extension ObjectAddress {
    /// Whether the object is this one, or its key starts with this one's.
    func isAbove(_ object: ObjectAddress) -> Bool {
        bucket == object.bucket && object.key.utf8.starts(with: key.utf8)
    }
}
