import MuleLedger
import MulePlan
import MuleS3
import MuleUpload

/// The stores that a command has to do with, each made once, so that its connections and what is learned of it are shared.
final class StoreCache {
    private let session: Session
    private let followsOptions: Bool
    private var known: [StoreAddress: S3Service] = [:]
    /// Stores that could not be set up; each was reported once.
    var failures: [UploadFailure] = []

    /// - Parameter followsOptions: whether the options of the command line go before what the ledger says of a store.
    init(_ session: Session, followsOptions: Bool) {
        self.session = session
        self.followsOptions = followsOptions
    }

    /// The store of uploads that the ledger knows.
    func service(of address: StoreAddress) throws(UploadFailure) -> S3Service {
        if let service = known[address] { return service }
        let service = try session.storeOrFailure(at: address, followsOptions: followsOptions).service
        known[address] = service
        return service
    }

    /// A bucket that the ledger knows; nil if its store cannot be set up.
    func place(bucket: String, at address: StoreAddress) -> StorePlace? {
        do throws(UploadFailure) {
            return StorePlace(
                address: address,
                service: try service(of: address),
                bucket: bucket,
                prefix: ObjectKey("")
            )
        } catch {
            note(error)
            return nil
        }
    }

    /// A bucket, or a prefix in it, that was named; its store is found as for an upload.
    func place(named object: ObjectAddress) -> StorePlace? {
        do throws(CommandFailure) {
            let store = try session.store(forBucket: object.bucket)
            let service = known[store.address] ?? store.service
            known[store.address] = service
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
    /// Operands that name buckets, or prefixes in them: `bucket`, `bucket/prefix`, `s3://bucket/prefix`.
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
