// How uploads are written down outside of a ledger: JSON Lines, the first of which names the format. What comes in from
// there was written by anybody and is held to every rule that this program keeps for itself.

import MuleDigest
package import MuleJSON
import MulePlan

/// An upload with its finished parts, as it goes from one ledger to another.
package struct ExportedUpload: Hashable, Sendable {
    package var record: UploadRecord
    package var parts: [PartRecord]

    package init(record: UploadRecord, parts: [PartRecord]) {
        self.record = record
        self.parts = parts
    }
}

/// What is wrong with an export, and in which of its lines. Lines count from 1.
package struct ExportProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package var line: Int
    /// It may quote what stands there: to be escaped when it is shown.
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

    /// Most bytes in a line. An upload of 10,000 parts, each with the longest ETag that is taken, fits in.
    package static let longestLine = 16 << 20

    /// The first line.
    package static func header(at milliseconds: Int64) -> JSONValue {
        [
            "exportedAt": .string(UTCTime(millisecondsSince1970: milliseconds).iso8601), "format": .string(name),
            "version": .int(version),
        ]
    }

    /// Reads an export that is wholly in memory.
    package static func read(_ bytes: [UInt8]) throws(ExportProblem) -> [ExportedUpload] {
        var uploads: [ExportedUpload] = []
        var reader = ExportReader()
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // What ends in a line feed has no line after it.
        if lines.last?.isEmpty == true { lines.removeLast() }
        for line in lines {
            if let upload = try reader.read(Array(line)) { uploads.append(upload) }
        }
        try reader.end()
        return uploads
    }

    /// Whether the line of an upload would be taken in again.
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
                Dictionary(what.attributes.headers.map { ($0.name, .string($0.value)) }) { first, _ in first }
            ),
            "bucket": .string(what.destination.bucket),
            "bytesDone": .int(record.bytesDone),
            "bytesSent": .int(record.bytesSent),
            "caBundle": JSONValue(what.store.caBundle),
            "changing": .string(what.changing.rawValue),
            "checksum": .string(what.integrity.checksum),
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

    /// Device and inode are 64 bits without a sign, more than many readers of JSON hold in a number: they are texts.
    private static func source(_ source: SourceIdentity) -> JSONValue {
        [
            "changeTime": JSONValue(source.changeTime), "device": .string(String(source.device)),
            "inode": .string(String(source.inode)),
            "modified": .int(source.modificationTime), "path": .string(escape(path: source.path)),
            "size": .int(source.size),
        ]
    }

    /// `%` and bytes that are not UTF-8 become `%XX`.
    static func escape(path: [UInt8]) -> String {
        LossyUTF8.string(path.flatMap { $0 == UInt8(ascii: "%") ? Array("%25".utf8) : [$0] })
    }

    /// Nil where a `%` is not followed by two digits.
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
