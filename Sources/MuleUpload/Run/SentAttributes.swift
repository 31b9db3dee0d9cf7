// What a row keeps of its object's headers, and what is sent: the one place that differs between them.
//
// A row keeps what was asked for, which makes the upload another one if it changes. What depends on this machine or on
// the time, such as the type for an extension and the end of a lock that is given as a duration, is computed when the
// object or its multipart upload is created, and from then on the store keeps it. So a resume needs neither.

import MuleLedger
import MulePlan
import MuleSystem

extension UploadRun {
    /// What the user asked for, plus the token, and the source's modification time in the form that other tools read.
    ///
    /// - Parameter now: the store's time.
    func attributes(of record: UploadRecord, at now: UTCTime) -> ObjectAttributes {
        var attributes = record.upload.attributes
        attributes.reserve(3)
        do {
            if attributes.contentType == ObjectAttributes.noContentType {
                attributes.remove(ObjectHeader.contentType.name)
            } else if attributes.contentType == nil, let type = guessedType(of: record.upload) {
                try attributes.set(ObjectHeader.contentType.name, type)
            }
            let lock = ObjectHeader.objectLockRetainUntil.name
            if let end = attributes[lock].flatMap(RetainUntil.init(text:)) {
                try attributes.set(lock, end.date(from: now).iso8601)
            }
            try attributes.set(Self.tokenHeader, record.token)
            if let time = record.upload.source?.modificationTime, time >= 0, attributes[Self.timeHeader] == nil {
                // The leading 1 keeps the zeros.
                let fraction = String(1_000_000_000 + time % 1_000_000_000).dropFirst()
                try attributes.set(Self.timeHeader, "\(time / 1_000_000_000).\(fraction)")
            }
        } catch {
            fatalError("names and values of our own are clean: \(error)")
        }
        return attributes
    }

    private static let tokenHeader = "x-amz-meta-" + UploadToken.metadataName
    private static let timeHeader = "x-amz-meta-mtime"

    /// By the extension of the file, or of the key if the file's says nothing: a link may lead to a file without one.
    /// Nil for streams.
    private func guessedType(of upload: NewUpload) -> String? {
        guard settings.guessesContentType, let source = upload.source else { return nil }
        return SystemMediaTypes.type(ofPath: source.path)
            ?? SystemMediaTypes.type(ofPath: upload.destination.key.utf8)
    }
}

/// The types of this machine. Its table is read when the first file with an extension is sent, and searched once for
/// each extension.
private enum SystemMediaTypes {
    /// Without the file, the commonest types.
    private static let table = MediaTypes(
        table: (try? File.contents(path: Array("/etc/mime.types".utf8), limit: 4 << 20)) ?? []
    )
    private static let found = Monitor<[[UInt8]: String?]>([:])

    static func type(ofPath path: [UInt8]) -> String? {
        guard let ending = MediaTypes.ending(ofPath: path) else { return nil }
        return found.withLock { found in
            if let type = found[ending] { return type }
            let type = table[ending: ending]
            // Random extensions are not kept.
            if found.count < 1000 { found[ending] = .some(type) }
            return type
        }
    }
}
