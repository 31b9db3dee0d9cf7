import CChecksums
import MuleDigest
import MulePlan
import MuleSigning

/// The digests for every byte and every request, on one core.
enum DigestMeasures {
    /// The size in which mule reads a part.
    private static let bufferSize = 256 << 10

    static func all() -> [Measure] {
        var bytes = [UInt8](repeating: 0, count: bufferSize)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 2_654_435_761 >> 7) }
        return kernels(bytes) + [
            messageDigest(.sha256, "SHA-256", bytes), messageDigest(.md5, "MD5", bytes), signing(),
        ]
    }

    private static func kernels(_ bytes: [UInt8]) -> [Measure] {
        let supported = (0..<mule_crc_kernel_count()).filter { mule_crc_kernel_supported($0) }
        return supported.flatMap { kernel in
            let isChosen = kernel == mule_crc_kernel_chosen()
            let name = String(cString: mule_crc_kernel_name(kernel)) + (isChosen ? ", in use" : "")
            return [
                crc("CRC-64/NVME (\(name))", bytes) { mule_crc64nvme_by(kernel, $0, $1.baseAddress, $1.count) },
                crc("CRC-32C (\(name))", bytes) {
                    UInt64(mule_crc32c_by(kernel, UInt32(truncatingIfNeeded: $0), $1.baseAddress, $1.count))
                },
                crc("CRC-32 (\(name))", bytes) {
                    UInt64(mule_crc32_by(kernel, UInt32(truncatingIfNeeded: $0), $1.baseAddress, $1.count))
                },
            ]
        }
    }

    private static func crc(
        _ name: String,
        _ bytes: [UInt8],
        _ update: @escaping (UInt64, UnsafeRawBufferPointer) -> UInt64
    ) -> Measure {
        Measure(name: name, unit: "GB/s") {
            var value: UInt64 = 0
            // Each call uses the previous value, so that the compiler cannot omit any.
            let rate = Measure.rate(Double(bytes.count) / 1e9) { value = bytes.withUnsafeBytes { update(value, $0) } }
            withExtendedLifetime(value) {}
            return rate
        }
    }

    private static func messageDigest(_ kind: MessageDigest.Kind, _ name: String, _ bytes: [UInt8]) -> Measure {
        Measure(name: name, unit: "GB/s") {
            var digest = MessageDigest(kind)
            let rate = Measure.rate(Double(bytes.count) / 1e9) { bytes.withUnsafeBytes { digest.update($0) } }
            _ = digest.finish()
            return rate
        }
    }

    /// An UploadPart request over TLS.
    private static func signing() -> Measure {
        let signer = Signer(region: "eu-central-1")
        let credentials = Credentials(accessKeyID: "AKIDEXAMPLE", secretAccessKey: "not-a-secret")
        let time = UTCTime(secondsSince1970: 1_763_683_200)
        return Measure(name: "signatures of UploadPart", unit: "per second") {
            var part = 0
            return Measure.rate(1) {
                part = part % 10_000 + 1
                let request = SignableRequest(
                    method: "PUT",
                    host: "bucket.s3.eu-central-1.amazonaws.com",
                    encodedPath: "/backups/2026/db.dump",
                    query: [
                        QueryItem(name: "partNumber", value: String(part)),
                        QueryItem(name: "uploadId", value: "2~hC0qTTz8nV5LJpT1yYdbSf2eWjz9aXw"),
                    ],
                    headers: [("x-amz-checksum-crc64nvme", "rosUhgp5mIg="), ("content-type", "text/plain")],
                    payload: .unsigned
                )
                _ = signer.headers(for: request, credentials: credentials, at: time)
            }
        }
    }
}
