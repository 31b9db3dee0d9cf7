import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Testing

@Suite("Retry classes")
struct RetryClassTests {
    private func classOf(_ status: Int, _ code: String) -> RetryClass {
        S3Error(
            operation: .uploadPart,
            bucket: "b",
            key: nil,
            cause: .answer(status: status, code: code, message: "")
        )
        .retryClass
    }

    /// RFC 9110, section 15: an unknown status is one of its class.
    @Test(arguments: [
        (520, RetryClass.transient), (522, .transient), (530, .transient), (506, .transient), (508, .transient),
        (511, .transient), (561, .transient), (598, .transient), (599, .transient), (600, .transient),
        (999, .transient), (529, .throttled), (501, .unsupported), (505, .fatal), (507, .fatal), (423, .transient),
        (425, .transient), (418, .fatal), (451, .fatal), (499, .fatal), (302, .redirected), (304, .fatal),
    ]
    )
    func `a status that is not known is treated as its class`(status: Int, expected: RetryClass) {
        #expect(classOf(status, "HTTP\(status)") == expected)
        #expect(classOf(.unreadable(status: status, reason: "")) == expected)
    }

    private func classOf(_ cause: S3Error.Cause) -> RetryClass {
        S3Error(operation: .uploadPart, bucket: "b", key: nil, cause: cause).retryClass
    }

    /// By the code, or else by the status.
    private static let table: [(RetryClass, [(status: Int, code: String)])] = [
        (
            .throttled,
            [
                (503, "SlowDown"), (503, "ServiceUnavailable"), (429, "TooManyRequests"), (400, "Throttling"),
                (400, "ThrottlingException"), (400, "ThrottledException"), (400, "RequestThrottled"),
                (400, "RequestThrottledException"), (400, "RequestLimitExceeded"), (509, "BandwidthLimitExceeded"),
                (400, "LimitExceededException"), (400, "ProvisionedThroughputExceededException"),
                (509, "Unheard"), (429, "Unheard"), (503, "Unheard"), (400, "KMS.ThrottlingException"),
            ]
        ),
        (
            .transient,
            [
                (500, "InternalError"), (500, "InternalErrors"), (502, "Unheard"), (504, "Unheard"), (500, "Unheard"),
                (200, "InternalError"), (400, "PriorRequestNotComplete"), (409, "OperationAborted"),
                (400, "RequestTimeout"), (408, "Unheard"), (400, "IncompleteBody"), (411, "MissingContentLength"),
            ]
        ),
        (.damaged, [(400, "BadDigest"), (400, "XAmzContentSHA256Mismatch")]),
        (.clock, [(403, "RequestTimeTooSkewed")]),
        (
            .credentials,
            [
                (400, "ExpiredToken"), (400, "ExpiredTokenException"), (403, "RequestExpired"), (400, "InvalidToken"),
                (400, "TokenRefreshRequired"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"),
            ]
        ),
        (
            .redirected,
            [
                (301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed"),
                (400, "IllegalLocationConstraintException"),
            ]
        ),
        (
            .reconcile,
            [(404, "NoSuchUpload"), (412, "PreconditionFailed"), (412, "Unheard"), (409, "ConditionalRequestConflict")]
        ),
        (.unsupported, [(501, "NotImplemented"), (501, "Unheard")]),
        (
            .fatal,
            [
                (403, "AccessDenied"), (404, "NoSuchBucket"), (400, "InvalidArgument"), (400, "EntityTooLarge"),
                (400, "EntityTooSmall"), (400, "KMS.DisabledException"), (400, "InvalidStorageClass"),
                (400, "InvalidRequest"), (403, "QuotaExceeded"), (507, "Unheard"), (400, "InvalidPart"),
                (400, "MalformedXML"), (200, "Unheard"), (403, "Forbidden"), (418, "Unheard"),
            ]
        ),
    ]

    @Test(arguments: table.indices)
    func `every code and status of the protocol's table has its class`(index: Int) {
        let (expected, answers) = Self.table[index]
        for (status, code) in answers { #expect(classOf(status, code) == expected, "\(status) \(code)") }
    }

    @Test
    func `no answer is worth another try, unless trying cannot help`() {
        let lasting: [NetworkFailure.Reason] = [
            .certificate(.expired), .speaksNoTLS, .wantsTLS, .wantsClientCertificate, .refusedByProxy(status: 407),
            .refusedByProxy(status: 403), .refusedByProxy(status: 405),
        ]
        let passing: [NetworkFailure.Reason] = [
            .noSuchHost, .silentNameServer, .refused, .noRoute(""), .noConnection(addresses: 1), .silentHandshake,
            .failedHandshake(""), .stalled(seconds: 1), .closed(""), .notHTTP, .refusedByProxy(status: 502),
            .noSocket(SystemError(code: 24, call: "socket")),
        ]
        for reason in lasting + passing {
            var failure = NetworkFailure(.connecting, RemoteEnd(host: "h", port: 1), reason)
            let expected: RetryClass = lasting.contains(reason) ? .fatal : .transient
            #expect(classOf(.transport(.network(failure))) == expected, "\(reason)")
            // A host that has served before may do so again.
            failure.hasServed = true
            #expect(classOf(.transport(.network(failure))) == .transient, "\(reason)")
        }
        #expect(classOf(.transport(.leftBehind)) == .transient)
        for error in [
            TransportError.source(SystemError(code: 5, call: "read"), offset: 0),
            .sourceEnded(offset: 0), .answerTooLong(limit: 1), .unusable(""),
        ] {
            #expect(classOf(.transport(error)) == .fatal, "\(error)")
        }
        #expect(classOf(.transport(.cancelled)) == .cancelled)
    }

    @Test
    func `an unreadable answer goes by its status; a successful one that says nothing is tried again`() {
        for (status, expected) in [
            (200, RetryClass.transient), (204, .transient), (500, .transient), (503, .throttled), (400, .fatal),
            (404, .fatal),
        ] {
            #expect(classOf(.unreadable(status: status, reason: "")) == expected, "\(status)")
        }
        #expect(classOf(.noCredentials(CredentialsUnavailable(reason: ""))) == .credentials)
        #expect(classOf(.noCredentials(CredentialsUnavailable(reason: "", isTransient: true))) == .transient)
    }
}

@Suite("Retry delays")
struct RetryPolicyTests {
    private let policy = RetryPolicy()

    private func delay(_ kind: RetryClass, _ failures: Int, after: Double? = nil, random: Double) -> Double {
        policy.delay(for: kind, failures: failures, retryAfter: after, random: random)
    }

    @Test
    func `the ceiling doubles with each failure from its base up to 20 s`() {
        #expect(
            (1...11).map { delay(.transient, $0, random: 1) } == [
                0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20,
            ]
        )
        #expect((1...7).map { delay(.throttled, $0, random: 1) } == [1, 2, 4, 8, 16, 20, 20])
        #expect(delay(.transient, .max, random: 1) == 20)
        #expect(delay(.throttled, 0, random: 1) == 1)
        #expect(delay(.throttled, .min, random: 1) == 1)
    }

    @Test
    func `jitter is full: from nothing to the ceiling`() {
        #expect(delay(.throttled, 3, random: 0) == 0)
        #expect(delay(.throttled, 3, random: 0.25) == 1)
        #expect(delay(.throttled, 3, random: 0.5) == 2)
    }

    @Test
    func `what the store asks for is waited at least, up to a minute, and not by all at the same moment`() {
        #expect(delay(.throttled, 1, after: 7, random: 0) == 7)
        #expect(delay(.throttled, 1, after: 7, random: 0.5) == 7.5)
        #expect(delay(.throttled, 9, after: 7, random: 1) == 12)
        #expect(delay(.throttled, 1, after: 3600, random: 0) == 60)
        #expect(delay(.throttled, 1, after: .infinity, random: 0) == 60)
        for nonsense in [0, -5, -Double.infinity, .nan] {
            #expect(delay(.throttled, 1, after: nonsense, random: 0.5) == 0.5)
        }
    }

    @Test
    func `any delay is finite, not negative, and less than 66 s`() {
        for kind in [RetryClass.transient, .throttled, .damaged, .reconcile] {
            for failures in [1, 2, 5, 31, 64, 1000] {
                for after in [nil, 0.001, 59, 1e300] {
                    for random in [0, 0.1, 0.999999] {
                        #expect((0..<66).contains(delay(kind, failures, after: after, random: random)))
                    }
                }
            }
        }
    }
}
