// The export format of uploads: JSON Lines, whose first line names the format. An import trusts nothing and checks
// every rule that mule itself follows.

import MuleDigest
package import MuleJSON
import MulePlan

/// An upload with its finished parts, as exported and imported.
package struct ExportedUpload: Hashable, Sendable {
    package var record: UploadRecord
    package var parts: [PartRecord]

    package init(record: UploadRecord, parts: [PartRecord]) {
        self.record = record
        self.parts = parts
    }
}

/// An error in an export, with its line, counted from 1.
package struct ExportProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package var line: Int
    /// May quote the export, so escape it for display.
    package var reason: String

    package init(line: Int, reason: String) {
        self.line = line
        self.reason = reason
    }

    package var description: String { "line \(line): \(reason)" }
}

package enum ExportFormat {
    static let name = "mule-ledger"
    static let version: Int64 = 1

    /// The maximum bytes in a line: enough for 10,000 parts with the longest accepted ETags.
    package static let longestLine = 16 << 20

    /// The first line.
    package static func header(at milliseconds: Int64) -> JSONValue {
        [
            "exportedAt": .string(UTCTime(millisecondsSince1970: milliseconds).iso8601), "format": .string(name),
            "version": .int(version),
        ]
    }

    /// Reads an export from memory.
    package static func read(_ bytes: [UInt8]) throws(ExportProblem) -> [ExportedUpload] {
        var uploads: [ExportedUpload] = []
        var reader = ExportReader()
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // A final line feed starts no further line.
        if lines.last?.isEmpty == true { lines.removeLast() }
        for line in lines {
            if let upload = try reader.read(Array(line)) { uploads.append(upload) }
        }
        try reader.end()
        return uploads
    }

    /// Whether an import would accept the line.
    package static func accepts(_ line: String) -> Bool {
        var reader = ExportReader(after: 1)
        return (try? reader.read(Array(line.utf8))) != nil
    }

    // MARK: Writing

    package static func line(_ upload: ExportedUpload) -> JSONValue {
        let record = upload.record
        let what = record.upload
        return [
            "abortDate": JSONValue(record.abortDate),
            "abortRequested": .bool(record.abortRequested),
            "addressing": .string(what.store.addressing),
            "attributes": .object(
                Dictionary(what.attributes.with(what.store.requestHeaders).headers.map { ($0.name, .string($0.value)) })
                { first, _ in first }
            ),
            "bucket": .string(what.destination.bucket),
            "bytesDone": .int(record.bytesDone),
            "bytesSent": .int(record.bytesSent),
            "caBundle": JSONValue(what.store.caBundle),
            "changing": .string(what.changing.rawValue),
            "checksum": .string(what.integrity.checksum),
            "clientCertificate": JSONValue(what.store.clientCertificate),
            "clientKey": JSONValue(what.store.clientKey),
            "completeAttemptedAt": JSONValue(record.completeAttemptedAt),
            "createAttemptedAt": JSONValue(record.createAttemptedAt),
            "createdAt": .int(record.createdAt),
            "endpoint": .string(what.store.endpoint),
            "id": .string(record.id),
            "key": .string(what.destination.key.string),
            "lastError": JSONValue(record.lastError),
            "negotiated": JSONValue(record.negotiated),
            "onlyIfAbsent": .bool(what.onlyIfAbsent),
            "partCount": JSONValue(record.partCount.map(Int64.init)),
            "partSize": JSONValue(what.partSize),
            "parts": .array(upload.parts.map(part)),
            "customerKey": JSONValue(what.store.customerKey),
            "ifMatch": JSONValue(what.ifMatch),
            "payloadSigning": .string(what.integrity.payloadSigning),
            "profile": JSONValue(what.store.profile),
            "proof": [
                "checksumAlgorithm": JSONValue(record.proof.checksumAlgorithm),
                "checksumType": JSONValue(record.proof.checksumType),
                "checksumValue": JSONValue(record.proof.checksumValue),
                "eTag": JSONValue(record.proof.eTag),
                "versionID": JSONValue(record.proof.versionID),
            ],
            "region": .string(what.store.region),
            "signer": JSONValue(what.store.signer?.url),
            "signerProtocol": JSONValue(what.store.signer?.protocolName),
            "size": JSONValue(record.size),
            "source": what.source.map(source) ?? JSONValue(what.stream?.rawValue),
            "state": .string(record.state.rawValue),
            "token": .string(record.token),
            "updatedAt": .int(record.updatedAt),
            "uploadID": JSONValue(record.uploadID),
        ]
    }

    private static func part(_ part: PartRecord) -> JSONValue {
        [
            "crc": .string(Hex.encode(part.crc)), "digest": JSONValue(part.digest.map(Hex.encode)),
            "eTag": .string(part.eTag), "number": .int(Int64(part.number)), "size": .int(part.size),
        ]
    }

    /// Device and inode are unsigned 64-bit numbers, which many JSON readers cannot hold, so they are strings.
    private static func source(_ source: SourceIdentity) -> JSONValue {
        [
            "changeTime": JSONValue(source.changeTime), "device": .string(String(source.device)),
            "inode": .string(String(source.inode)),
            "modified": .int(source.modificationTime), "path": .string(escape(path: source.path)),
            "size": .int(source.size),
        ]
    }

    /// Escapes `%` and bytes that are not UTF-8 as `%XX`.
    static func escape(path: [UInt8]) -> String {
        LossyUTF8.string(path.flatMap { $0 == UInt8(ascii: "%") ? Array("%25".utf8) : [$0] })
    }

    /// Nil if a `%` is not followed by two hexadecimal digits.
    static func unescape(path: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(path.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = Hex.decode(String(decoding: rest.prefix(2), as: UTF8.self)) else {
                return nil
            }
            bytes += decoded
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
