// Queries a store's metadata of an object for proofs.

import MulePlan
import MuleS3

extension RemoteSteps {
    /// The object's HEAD; nil if it does not exist.
    func look(at address: ObjectAddress, _ service: S3Service) throws(UploadFailure) -> ObjectHead? {
        let answer = try client.retrying(with: service) { (connection) throws(S3Error) in
            try connection.headObject(address)
        }
        switch answer {
        case .success(let head, _):
            if head?.object.isOfS3 != true, try isNoStore(address, service) { throw .noStore(address, service) }
            return head
        case .refused(let error, _):
            if error.status != nil, try isNoStore(address, service) { throw .noStore(address, service) }
            var failure = UploadFailure.refused(error, sending: address.description)
            if error.status == 403, failure.kind == .store {
                failure.message += " Without s3:ListBucket the store gives the same answer for a missing object."
            }
            if error.status == 400, service.terms.customerKey == nil {
                failure.message += " If the object is encrypted with a customer key (SSE-C), add --sse-c-key-file."
            }
            throw failure
        }
    }

    private func isNoStore(_ address: ObjectAddress, _ service: S3Service) throws(UploadFailure) -> Bool {
        let answer = try client.retrying(with: service) { (connection) throws(S3Error) in
            connection.isNoStore(address.bucket)
        }
        if case .success(let isNone, _) = answer { return isNone }
        return false
    }

    /// GetObjectAttributes for the object that HEAD has shown; nil if it answers for another object.
    func attributes(
        of address: ObjectAddress,
        _ head: ObjectHead,
        _ service: S3Service
    ) throws(UploadFailure) -> Result<ObjectAttributesAnswer?, S3Error> {
        let answer = try client.retrying(with: service) { (connection) throws(S3Error) in
            do throws(S3Error) {
                return Result<ObjectAttributesAnswer?, S3Error>.success(try connection.objectAttributes(address))
            } catch {
                // A store that does not support the operation may answer with the object.
                if case .unreadable = error.cause { return .failure(error) }
                throw error
            }
        }
        switch answer {
        case .refused(let error, _): return .failure(error)
        case .success(.success(let answer?), _):
            // It may describe an object that has just replaced the first.
            let isSame = answer.eTag == nil || answer.eTag == head.object.eTag
            return .success(isSame ? answer : nil)
        case .success(let result, _): return result
        }
    }
}

extension UploadFailure {
    /// Neither HEAD nor listing the objects got an answer with anything specific to S3.
    fileprivate static func noStore(_ address: ObjectAddress, _ service: S3Service) -> UploadFailure {
        var failure = UploadFailure(
            .store,
            "Cannot check \(address): \(service.endpoint.address) is not an S3 store, or a proxy or a portal on the "
                + "way answers. Check --endpoint-url and the proxy."
        )
        failure.scope = .store
        return failure
    }
}
