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
            try attributes.set("x-amz-meta-" + UploadToken.metadataName, record.token)
            if let time = record.upload.source?.modificationTime, attributes["x-amz-meta-mtime"] == nil {
                let fraction = String(time % 1_000_000_000)
                let padding = String(repeating: "0", count: max(0, 9 - fraction.utf8.count))
                if time >= 0 { try attributes.set("x-amz-meta-mtime", "\(time / 1_000_000_000).\(padding)\(fraction)") }
            }
        } catch {
            fatalError("names and values of our own are clean: \(error)")
        }
        return attributes
    }

    /// By the extension of the file, or of the key if the file's says nothing: a link may lead to a file without one.
    /// Nil for streams.
    private func guessedType(of upload: NewUpload) -> String? {
        guard settings.guessesContentType, let source = upload.source else { return nil }
        return MediaTypes.system[path: source.path] ?? MediaTypes.system[path: upload.destination.key.utf8]
    }
}

extension MediaTypes {
    /// Read once. Without the file, the commonest types.
    static let system = MediaTypes(
        table: (try? File.contents(path: Array("/etc/mime.types".utf8), limit: 4 << 20)) ?? []
    )
}
