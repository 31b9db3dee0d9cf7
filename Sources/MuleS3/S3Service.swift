package import MulePlan
package import MuleSigning
package import MuleSystem
package import MuleTransport
import Synchronization

/// A store as all workers share it: its address, how to sign for it, and what answers have shown about it.
package final class S3Service: Sendable {
    package let endpoint: Endpoint
    /// The endpoint's URL, which is asked for with each file.
    package let url: String
    package let transport: TransportSettings
    package let cancellation: Cancellation
    /// Seconds without progress after which no request waits any longer.
    package let patience: Double
    let routes: BucketRoutes
    package let signer: any RequestSigner
    /// Headers and customer key of all requests.
    package let terms: RequestTerms
    /// What store this is, by the user's word or by the endpoint; nil if that is not known.
    package let provider: Provider?
    let log: (@Sendable (String) -> Void)?
    /// Milliseconds by which the store's clock is ahead, for signing.
    private let skew = Atomic<Int64>(0)
    /// The same from the last answer, to the second; for comparing times, never for signing.
    private let difference = Atomic<Int64>(0)
    /// Whether an answer had a date.
    private let hasToldTime = Atomic<Bool>(false)
    /// Whether `Expect: 100-continue` works; some proxies refuse it or never answer.
    private let expectWorks = Atomic<Bool>(true)

    /// Whether an answer had a header of Google's.
    private let hasShownGoogle = Atomic<Bool>(false)
    /// Whether an answer had a header of S3's own.
    private let hasShownS3 = Atomic<Bool>(false)

    /// A store whose requests are signed with credentials of this host.
    package convenience init(
        endpoint: Endpoint,
        transport: TransportSettings,
        credentials: any CredentialsProvider,
        cancellation: Cancellation,
        patience: Double = .infinity,
        terms: RequestTerms = RequestTerms(),
        provider: Provider? = nil,
        log: (@Sendable (String) -> Void)? = nil
    ) {
        self.init(
            endpoint: endpoint,
            transport: transport,
            signer: CredentialSigner(credentials, region: endpoint.region),
            cancellation: cancellation,
            patience: patience,
            terms: terms,
            provider: provider,
            log: log
        )
    }

    package init(
        endpoint: Endpoint,
        transport: TransportSettings,
        signer: any RequestSigner,
        cancellation: Cancellation,
        patience: Double = .infinity,
        terms: RequestTerms = RequestTerms(),
        provider: Provider? = nil,
        log: (@Sendable (String) -> Void)? = nil
    ) {
        self.provider = provider
        self.endpoint = endpoint
        url = endpoint.url
        self.transport = transport
        self.signer = signer
        self.cancellation = cancellation
        self.patience = patience
        self.terms = terms
        self.log = log
        routes = BucketRoutes(endpoint, signer)
    }

    /// Nil for a store of which nothing is known.
    package var profile: StoreProfile? { provider?.profile }

    package var limits: StoreLimits { profile?.limits ?? .amazon }

    /// Whether the store has Google's condition for PUT, and none for multipart uploads.
    package var conditionIsGeneration: Bool {
        profile?.condition == .generation || hasShownGoogle.load(ordering: .relaxed)
    }

    /// Whether requests are signed by this process. Another signer decides which it signs.
    package var signsHere: Bool { signer is CredentialSigner }

    /// Whether PUT can have Google's condition. A signer on another host does not know Google's signatures.
    package var canSendGeneration: Bool { signer.signsForGoogle }

    /// Maximum seconds to wait for an answer to a sent request, and for each stage of a connection. One lost answer
    /// must leave time to retry the request.
    var longestWait: Double { min(300, max(1, patience / 3)) }

    /// The region that requests to the bucket are signed for, as far as known.
    package func region(of bucket: String) -> String { endpoint(of: bucket).region }

    /// The endpoint that serves the bucket, as far as known.
    package func endpoint(of bucket: String) -> Endpoint { routes.route(to: bucket).endpoint }

    /// Remembers the regions of buckets beyond this run.
    package func remember(regions memory: RegionMemory) {
        routes.use(memory)
    }

    /// The store's time, as far as known.
    package func now() -> UTCTime {
        UTCTime(millisecondsSince1970: wallClockMilliseconds() + skew.load(ordering: .relaxed))
    }

    func learnTime(_ serverTime: UTCTime) {
        skew.store(serverTime.millisecondsSince1970 - wallClockMilliseconds(), ordering: .relaxed)
    }

    /// Milliseconds by which the store's clock seems to be ahead.
    package var clockDifference: Int64 { difference.load(ordering: .relaxed) }

    /// The store's time by its answers' dates; nil before the first one.
    package var toldTime: UTCTime? {
        guard hasToldTime.load(ordering: .acquiring) else { return nil }
        return UTCTime(millisecondsSince1970: wallClockMilliseconds() + clockDifference)
    }

    func compareClock(with date: String) {
        guard let time = UTCTime(httpDate: date) else { return }
        defer { hasToldTime.store(true, ordering: .releasing) }
        difference.store(time.millisecondsSince1970 - wallClockMilliseconds(), ordering: .relaxed)
    }

    var isKnownToBeS3: Bool { hasShownS3.load(ordering: .relaxed) }

    func noteS3() { hasShownS3.store(true, ordering: .relaxed) }

    /// Google's store behind a host name of one's own is recognized by its answers.
    func noteGoogle() { hasShownGoogle.store(true, ordering: .relaxed) }

    var usesExpect: Bool { expectWorks.load(ordering: .relaxed) }

    func stopUsingExpect() { expectWorks.store(false, ordering: .relaxed) }
}
