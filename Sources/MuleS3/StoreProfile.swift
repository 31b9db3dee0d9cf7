package import MulePlan

/// What is known of a store before it is asked. It saves refusals and warns of what the store would drop; it proves
/// nothing. What a store has refused, and what the user says, go before it.
package struct StoreProfile: Sendable, Hashable {
    /// The name in messages.
    package let title: String
    /// The endpoints of a public store, the usual one first; empty for self-hosted servers and for Amazon's, whose rules
    /// are in EndpointRules.swift.
    package let endpoints: [EndpointTemplate]
    /// An example of a self-hosted server's endpoint.
    package let example: String
    /// The region that requests are signed for if neither a setting nor the host names one; nil for us-east-1.
    package let region: String?
    package let addressing: Addressing
    package let limits: StoreLimits
    package let firstRung: FirstRung
    package let eTags: ETagKind
    package let condition: Condition
    /// The options of objects that do not work there.
    package let lacks: [ObjectHeader: Lack]
    package let takesCustomerKeys: Bool

    /// The first checksum that is tried with `--checksum auto`.
    package enum FirstRung: Sendable, Hashable {
        /// CRC-64/NVME, and less where the store refuses it.
        case best
        /// Content-MD5. For each part CRC-32C is recorded too, because the store shows that of the whole object.
        case md5WithCRC32C
    }

    /// What the ETag of an object is.
    package enum ETagKind: Sendable, Hashable {
        /// The MD5, and for parts the MD5 of their MD5s and their number.
        case md5
        /// The MD5; for parts nothing that can be computed.
        case md5ForOneRequest
    }

    /// How an object is created only if there is none (`--no-overwrite`).
    package enum Condition: Sendable, Hashable {
        /// By `If-None-Match: *`, also at CompleteMultipartUpload.
        case ifNoneMatch
        /// Not known for multipart uploads. mule looks before it writes, sends the condition too, and says so if the
        /// store refuses it.
        case untested
        /// By Google's `x-goog-if-generation-match: 0`, in one request only.
        case generation
    }

    /// What a store does with an option.
    package enum Lack: Sendable, Hashable {
        /// The store answers with success, and the object does not have it.
        case dropped
        /// The store refuses the request.
        case refused
    }

    init(
        _ title: String,
        endpoints: [EndpointTemplate] = [],
        example: String = "",
        region: String? = nil,
        addressing: Addressing = .path,
        limits: StoreLimits = .amazon,
        firstRung: FirstRung = .best,
        eTags: ETagKind = .md5,
        condition: Condition = .untested,
        drops: [ObjectHeader] = [],
        refuses: [ObjectHeader] = [],
        takesCustomerKeys: Bool = true
    ) {
        self.title = title
        self.endpoints = endpoints
        self.example = example
        self.region = region
        self.addressing = addressing
        self.limits = limits
        self.firstRung = firstRung
        self.eTags = eTags
        self.condition = condition
        var lacks: [ObjectHeader: Lack] = [:]
        for header in drops { lacks[header] = .dropped }
        for header in refuses { lacks[header] = .refused }
        self.lacks = lacks
        self.takesCustomerKeys = takesCustomerKeys
    }
}

extension StoreLimits {
    /// Amazon's limits with other values.
    fileprivate static func with(_ change: (inout StoreLimits) -> Void) -> StoreLimits {
        var limits = StoreLimits.amazon
        change(&limits)
        return limits
    }
}

extension Provider {
    package var profile: StoreProfile {
        switch self {
        case .aws: Self.amazon
        case .minio: Self.minIO
        case .ceph: Self.cephGateway
        case .r2: Self.cloudflare
        case .b2: Self.backblaze
        case .gcs: Self.google
        case .wasabi: Self.wasabiCloud
        case .digitalocean: Self.spaces
        case .scaleway: Self.scalewayCloud
        case .storj: Self.storjGateway
        case .ibm: Self.ibmCloud
        case .oci: Self.oracle
        case .swift: Self.openStack
        case .garage: Self.garageServer
        }
    }

    /// Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. ETags:
    /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html. Conditions, also at Complete:
    /// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    private static let amazon = StoreProfile("Amazon S3", addressing: .virtual, condition: .ifNoneMatch)

    /// https://docs.min.io/enterprise/aistor-object-store/developers/s3-api-compatibility lists the conditions, and as
    /// unsupported PutObjectAcl, PutBucketWebsite and PutBucketRequestPayment: their headers have no effect. Path style
    /// is rclone's (`backend/s3/provider/Minio.yaml`).
    private static let minIO = StoreProfile(
        "MinIO",
        example: "https://minio.example.org:9000",
        condition: .ifNoneMatch,
        drops: [.acl, .websiteRedirect, .requestPayer]
    )

    /// Features: https://docs.ceph.com/en/latest/radosgw/s3/. Limits (`rgw_max_put_size`, `rgw_multipart_min_part_size`,
    /// `rgw_multipart_part_upload_limit`): https://docs.ceph.com/en/latest/radosgw/config-ref/, which are Amazon's. Path
    /// style is rclone's (`Ceph.yaml`).
    private static let cephGateway = StoreProfile("Ceph Object Gateway", example: "https://rgw.example.org")

    /// Region, checksums and what is not implemented: https://developers.cloudflare.com/r2/api/s3/api/. Such headers are
    /// answered with 501 (jhaals/yopass#3657 for tags, pixelfed/pixelfed#3775 for ACLs). Objects of 5 TiB:
    /// https://developers.cloudflare.com/r2/platform/limits/. Equal parts, and ETags of multipart uploads:
    /// https://developers.cloudflare.com/r2/objects/multipart-objects/ and rclone's `Cloudflare.yaml`.
    private static let cloudflare = StoreProfile(
        "Cloudflare R2",
        endpoints: [
            "https://ACCOUNT.r2.cloudflarestorage.com", "https://ACCOUNT.eu.r2.cloudflarestorage.com",
            "https://ACCOUNT.fedramp.r2.cloudflarestorage.com",
        ],
        region: "auto",
        limits: .with {
            $0.partsMustBeEqual = true
            $0.largestObject = 5 << 40
        },
        eTags: .md5ForOneRequest,
        refuses: [
            .tags, .acl, .websiteRedirect, .sse, .sseKMSKeyID, .sseKMSContext, .sseBucketKey, .objectLockMode,
            .objectLockRetainUntil, .objectLockLegalHold, .requestPayer, .expectedBucketOwner,
        ]
    )

    /// Tags are rejected: https://www.backblaze.com/apidocs/s3-put-object. SSE-B2 and SSE-C instead of KMS:
    /// https://www.backblaze.com/docs/cloud-storage-server-side-encryption. Objects of 10 TB:
    /// https://www.backblaze.com/docs/cloud-storage-large-files
    private static let backblaze = StoreProfile(
        "Backblaze B2",
        endpoints: ["https://s3.REGION.backblazeb2.com"],
        limits: .with { $0.largestObject = 10_000_000_000_000 },
        refuses: [.tags, .sseKMSKeyID, .sseKMSContext, .sseBucketKey]
    )

    /// Limits: https://cloud.google.com/storage/quotas#requests. No MD5 and no ETag from it for multipart uploads, a
    /// CRC32C for all: https://cloud.google.com/storage/docs/xml-api/post-object-complete. A part is checked by
    /// Content-MD5: https://cloud.google.com/storage/docs/xml-api/put-object-multipart; `x-amz-checksum-…` is refused
    /// (qdrant/qdrant#9568, langfuse/langfuse#13280).
    ///
    /// `If-None-Match` is for reading and has no effect on writing (ClickHouse/ClickHouse#115266); the condition is the
    /// generation, for PUT: https://cloud.google.com/storage/docs/request-preconditions. None is documented for
    /// CompleteMultipartUpload.
    ///
    /// Only headers with a counterpart among https://cloud.google.com/storage/docs/xml-api/reference-headers have an
    /// effect (https://cloud.google.com/storage/docs/aws-simple-migration); for tags, encryption and the bucket's owner
    /// there is none, and locks are not fully supported (rclone's `GCS.yaml`).
    private static let google = StoreProfile(
        "Google Cloud Storage",
        endpoints: ["https://storage.googleapis.com"],
        region: "auto",
        limits: .with { $0.largestObject = 5 << 40 },
        firstRung: .md5WithCRC32C,
        eTags: .md5ForOneRequest,
        condition: .generation,
        drops: [
            .sse, .sseKMSKeyID, .sseKMSContext, .sseBucketKey, .objectLockMode, .objectLockRetainUntil,
            .objectLockLegalHold, .requestPayer, .expectedBucketOwner, .websiteRedirect,
        ],
        refuses: [.tags],
        takesCustomerKeys: false
    )

    /// Endpoints: https://docs.wasabi.com/docs/what-are-the-service-urls-for-wasabis-different-storage-regions. Objects of
    /// 5 TB: https://docs.wasabi.com/docs/what-are-the-minimum-and-maximum-object-sizes-that-can-be-stored-in-wasabi.
    /// Everything has one storage class: rclone's `Wasabi.yaml` has none to choose.
    private static let wasabiCloud = StoreProfile(
        "Wasabi",
        endpoints: ["https://s3.REGION.wasabisys.com", "https://s3.wasabisys.com"],
        limits: .with { $0.largestObject = 5_000_000_000_000 },
        drops: [.storageClass]
    )

    /// https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/. Limits, objects of 5 TB:
    /// https://docs.digitalocean.com/products/spaces/details/limits/
    private static let spaces = StoreProfile(
        "DigitalOcean Spaces",
        endpoints: ["https://REGION.digitaloceanspaces.com"],
        limits: .with {
            $0.maximumPutSize = 5_000_000_000
            $0.maximumPartSize = 5_000_000_000
            $0.largestObject = 5_000_000_000_000
        }
    )

    /// 1,000 parts: rclone's `Scaleway.yaml` (`max_upload_parts`) and
    /// https://www.scaleway.com/en/docs/object-storage/concepts/#multipart-uploads
    private static let scalewayCloud = StoreProfile(
        "Scaleway",
        endpoints: ["https://s3.REGION.scw.cloud"],
        limits: .with {
            $0.maximumPartCount = 1_000
            $0.largestObject = 5_000_000_000_000
        }
    )

    /// Parts of 64 MiB: rclone's `Storj.yaml` (`min_chunk_size`). Tags, and no ACLs:
    /// https://storj.dev/dcs/api/s3/s3-compatibility. Conditions at both requests: storj/edge#564.
    private static let storjGateway = StoreProfile(
        "Storj",
        endpoints: ["https://gateway.storjshare.io"],
        limits: .with { $0.minimumPartSize = 64 << 20 },
        condition: .ifNoneMatch,
        drops: [.acl]
    )

    /// Objects of 10 TB: https://www.ibm.com/docs/en/coss/3.20.1?topic=objects-uploading-in-multiple-parts. ETags of
    /// multipart uploads cannot be computed, and path style: rclone's `IBMCOS.yaml`. Endpoints:
    /// https://cloud.ibm.com/docs/cloud-object-storage?topic=cloud-object-storage-endpoints
    private static let ibmCloud = StoreProfile(
        "IBM Cloud Object Storage",
        endpoints: [
            "https://s3.REGION.cloud-object-storage.appdomain.cloud",
            "https://s3.private.REGION.cloud-object-storage.appdomain.cloud",
            "https://s3.direct.REGION.cloud-object-storage.appdomain.cloud",
        ],
        limits: .with { $0.largestObject = 10_000_000_000_000 },
        eTags: .md5ForOneRequest
    )

    /// https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/s3compatibleapi.htm: endpoints, tags, SSE-C; no ACLs. Objects
    /// of 10 TiB: https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/usingmultipartuploads.htm. Parts may have 50 GiB;
    /// mule's are smaller.
    private static let oracle = StoreProfile(
        "Oracle Cloud Infrastructure",
        endpoints: [
            "https://NAMESPACE.compat.objectstorage.REGION.oci.customer-oci.com",
            "https://NAMESPACE.compat.objectstorage.REGION.oraclecloud.com",
        ],
        limits: .with { $0.largestObject = 10 << 40 },
        drops: [.acl]
    )

    /// 1,000 parts (`max_upload_part_num`) and the region (`location`) are defaults of
    /// https://docs.openstack.org/swift/latest/config/proxy_server_config.html. No tags:
    /// https://docs.openstack.org/swift/latest/s3_compat.html. What is refused or ignored was measured: docs/stores.md.
    private static let openStack = StoreProfile(
        "OpenStack Swift",
        example: "https://swift.example.org:8080",
        limits: .with { $0.maximumPartCount = 1_000 },
        drops: [.requestPayer, .expectedBucketOwner],
        refuses: [.tags, .websiteRedirect, .sse, .sseKMSKeyID, .sseKMSContext, .sseBucketKey],
        takesCustomerKeys: false
    )

    /// https://garagehq.deuxfleurs.fr/documentation/reference-manual/s3-compatibility: no ACLs, tags, versions and locks,
    /// SSE-C only. Region: https://garagehq.deuxfleurs.fr/documentation/connect/
    private static let garageServer = StoreProfile(
        "Garage",
        example: "http://garage.example.org:3900",
        region: "garage",
        drops: [
            .tags, .acl, .storageClass, .sse, .sseKMSKeyID, .sseKMSContext, .sseBucketKey, .objectLockMode,
            .objectLockRetainUntil, .objectLockLegalHold, .requestPayer, .expectedBucketOwner,
        ]
    )
}
