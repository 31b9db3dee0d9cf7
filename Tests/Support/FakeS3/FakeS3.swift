import MuleSystem

/// An S3 store inside the test process, on 127.0.0.1 and a free port, with scripted faults.
///
/// It follows AWS's rules from the wire up: it verifies every signature and checksum, and its documents and errors look
/// like AWS's. It shares no policy and no code with mule except the digests. All methods may be called from any thread;
/// the server stops at `stop()` or when the last reference goes.
package final class FakeS3: Sendable {
    package let port: UInt16
    package let region: String
    /// The first configured key.
    package let credentials: FakeCredentials
    private let state: Monitor<ServerState>
    private let listener: Listener

    /// Listens at once. `buckets` exist from the start; a host `bucket.<baseDomain>` is read as a virtual-host address.
    package init(
        _ profile: FakeProfile = .aws(),
        buckets: [String] = ["bucket"],
        region: String = "us-east-1",
        baseDomain: String = "localhost",
        credentials: [FakeCredentials] = [FakeCredentials()],
        faults: [Fault] = []
    ) {
        var initial = ServerState(
            profile: profile,
            region: region,
            baseDomain: baseDomain,
            credentials: credentials,
            faults: faults
        )
        for bucket in buckets { initial.store.buckets[bucket] = FakeStore.Bucket() }
        state = Monitor(initial)
        self.region = region
        self.credentials = credentials.first ?? FakeCredentials()
        listener = Listener()
        port = listener.port
        listener.start(state)
    }

    deinit { stop() }

    /// `http://127.0.0.1:PORT`
    package var endpoint: String { "http://127.0.0.1:\(port)" }

    /// `AWS_*` variables that point a client here.
    package var environment: [String: String] {
        var variables = [
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": credentials.accessKey,
            "AWS_SECRET_ACCESS_KEY": credentials.secretKey, "AWS_EC2_METADATA_DISABLED": "true",
        ]
        variables["AWS_SESSION_TOKEN"] = credentials.sessionToken
        return variables
    }

    /// Closes everything and waits for the threads. May be called twice, but not from a hook or a fault's closure.
    package func stop() { listener.stop(state) }

    // MARK: What happened

    /// Every request so far, in the order of arrival.
    package var requests: [RecordedRequest] { state.withLock(\.requests) }

    package func requests(_ operation: FakeOperation) -> [RecordedRequest] {
        requests.filter { $0.operation == operation }
    }

    package func count(_ operation: FakeOperation) -> Int { requests(operation).count }

    /// What mule must never do, but a lenient store would let pass. Empty in a good run.
    package var violations: [String] { state.withLock(\.violations) }
    package var unsignedPayloads: Int { state.withLock(\.unsignedPayloads) }
    /// Payload bytes of all PutObject and UploadPart bodies, failed ones included.
    package var payloadBytesReceived: Int64 { state.withLock(\.payloadBytesReceived) }
    package var connectionsAccepted: Int { state.withLock(\.connections) }

    /// The maximum of such requests in flight at a time so far.
    package func mostAtOnce(_ operation: FakeOperation) -> Int {
        let changes = requests(operation).flatMap { request in
            [(at: request.startedAt, by: 1)] + (request.finishedAt.map { [(at: $0, by: -1)] } ?? [])
        }
        var (now, most) = (0, 0)
        for change in changes.sorted(by: { ($0.at, $0.by) < ($1.at, $1.by) }) {
            now += change.by
            most = max(most, now)
        }
        return most
    }

    // MARK: What the store holds

    package func object(bucket: String = "bucket", key: String) -> FakeObject? {
        object(bucket: bucket, key: Array(key.utf8))
    }

    package func object(bucket: String = "bucket", key: [UInt8]) -> FakeObject? {
        state.withLock { $0.store.buckets[bucket]?.objects[key] }
    }

    /// Keys of all objects of a bucket, in the order of their bytes.
    package func keys(bucket: String = "bucket") -> [[UInt8]] {
        let keys = state.withLock { $0.store.buckets[bucket]?.objects.keys.map(\.self) ?? [] }
        return keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Open multipart uploads of all buckets, oldest first.
    package var uploads: [FakeUpload] {
        state.withLock { $0.store.buckets.values.flatMap { $0.uploads.values } }
            .sorted { ($0.initiated, $0.id) < ($1.initiated, $1.id) }
    }

    /// Looks at or changes the store's content, to plant what a scenario needs.
    @discardableResult
    package func edit<Result>(_ body: (inout FakeStore) throws -> Result) rethrows -> Result {
        try state.update { state in
            state.generation += 1
            return try body(&state.store)
        }
    }

    /// Changes one open upload; does nothing when it is gone.
    package func edit(upload id: String, bucket: String = "bucket", _ body: (inout FakeUpload) -> Void) {
        edit { store in
            guard var upload = store.buckets[bucket]?.uploads[id] else { return }
            body(&upload)
            store.buckets[bucket]?.uploads[id] = upload
        }
    }

    // MARK: The script

    /// Adds rules behind those that are there.
    package func add(_ faults: Fault...) { state.update { $0.faults += faults } }

    /// Replaces all rules.
    package func script(_ faults: [Fault]) { state.update { $0.faults = faults } }

    package var profile: FakeProfile {
        get { state.withLock(\.profile) }
        set { state.update { $0.profile = newValue } }
    }

    /// The keys that are valid from here on.
    package func accept(_ credentials: [FakeCredentials]) { state.update { $0.credentials = credentials } }

    /// Runs a closure on the connection's thread when exactly `bytes` bytes of a body have arrived; then reading
    /// continues.
    package func onBodyBytes(
        _ operation: FakeOperation,
        part: Int? = nil,
        key: String? = nil,
        after bytes: Int64,
        times: Int = 1,
        _ action: @escaping @Sendable (RecordedRequest) -> Void
    ) {
        let hook = BodyHook(
            operation: operation,
            part: part,
            key: key.map { Array($0.utf8) },
            bytes: bytes,
            times: times,
            action: action
        )
        state.update { $0.bodyHooks.append(hook) }
    }

    /// Blocks until `predicate` holds; it is asked again after every request, body chunk, answer and edit.
    ///
    /// - Returns: whether it held before the time was over.
    @discardableResult
    package func waitUntil(timeoutSeconds: Double = 60, _ predicate: (FakeS3) -> Bool) -> Bool {
        let deadline = Moment.now().adding(seconds: timeoutSeconds)
        while true {
            let seen = state.withLock(\.generation)
            if predicate(self) { return true }
            let left = deadline.seconds(since: .now())
            guard left > 0 else { return false }
            state.wait(seconds: left) { $0.generation != seen }
        }
    }
}
