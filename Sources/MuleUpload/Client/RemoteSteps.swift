import MuleLedger
import MuleS3
import MuleSystem

/// Steps at a store that take no thread of a run: what is asked about objects and uploads there, and the removal of an
/// upload.
struct RemoteSteps {
    let client: StoreClient
    let ledger: Ledger
    /// Hears of what could not be made sure.
    let emit: @Sendable (UploadEvent) -> Void

    var cancellation: Cancellation { client.cancellation }
}

extension Ledger {
    /// Buckets that were found in other regions than was said; looked up again after a week, since a bucket can be removed
    /// and made elsewhere.
    func regions(of endpoint: String) -> RegionMemory {
        RegionMemory(
            load: { [self] in try? fact("region of " + $0, of: endpoint) },
            save: { [self] bucket, region in
                try? remember("region of " + bucket, region, of: endpoint, lifetime: EndpointFacts.lifetime)
            }
        )
    }
}
