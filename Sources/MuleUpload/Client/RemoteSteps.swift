import MuleLedger
import MuleS3
import MuleSystem

/// Steps at a store that need no worker: queries about objects and uploads, and the removal of an upload.
struct RemoteSteps {
    let client: StoreClient
    let ledger: Ledger
    /// Receives notices about what could not be verified.
    let emit: @Sendable (UploadEvent) -> Void

    var cancellation: Cancellation { client.cancellation }
}

extension Ledger {
    /// Buckets found in another region than configured. Looked up again after a week, since a bucket can be removed and
    /// created elsewhere.
    func regions(of endpoint: String) -> RegionMemory {
        RegionMemory(
            load: { [self] in try? fact("region of " + $0, of: endpoint) },
            save: { [self] bucket, region in
                try? remember("region of " + bucket, region, of: endpoint, lifetime: EndpointFacts.lifetime)
            }
        )
    }
}
