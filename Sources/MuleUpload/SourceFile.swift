package import MuleLedger
package import MulePlan
package import MuleSystem

/// An open source, and what it was when it was looked at first.
package struct SourceFile: Sendable {
    package let file: File
    /// As it was when it was opened.
    package let identity: SourceIdentity
    /// What is borne while it is sent.
    package private(set) var changing = ChangingSource.refuse
    /// Bytes to send, from the start: all of them, or as many as were there when the upload was begun.
    package private(set) var size: Int64

    private init(file: File, identity: SourceIdentity) {
        self.file = file
        self.identity = identity
        size = identity.size
    }

    /// Opens a regular file; its canonical path is part of what it is.
    ///
    /// - Parameter canonical: where it is known already; the path is then for messages alone.
    package static func open(path: [UInt8], canonical: [UInt8]? = nil) throws(UploadFailure) -> SourceFile {
        var name: String { UTF8Repair.string(path) }
        do {
            let canonical = if let canonical { canonical } else { try canonicalPath(path) }
            let file = try File.openForReading(path: canonical)
            let status = try file.status()
            guard status.kind == .regular else {
                throw UploadFailure(.source, "\(name) is \(status.kind.noun), not a file that can be sent.")
            }
            return SourceFile(file: file, identity: SourceIdentity(path: canonical, status))
        } catch let error as SystemError {
            throw UploadFailure(.source, "\(name) can't be read: \(error.reason).", isResumable: true)
        } catch let failure as UploadFailure {
            throw failure
        } catch {
            throw UploadFailure(.source, "\(name) can't be read: \(error).")
        }
    }

    /// What a file is, looked at without being opened, if it can be read.
    ///
    /// - Parameter seen: what a walk has just seen there, links not followed.
    static func identity(
        path: [UInt8],
        seen: FileStatus?,
        _ paths: inout CanonicalPaths
    ) throws(UploadFailure) -> SourceIdentity {
        if let seen, seen.kind == .regular, let canonical = try? paths.path(ofNoLink: path), isReadable(canonical) {
            return SourceIdentity(path: canonical, seen)
        }
        // What can't be resolved is told by whoever opens it.
        return try open(path: path, canonical: try? paths.path(of: path)).identity
    }

    /// The file as the source of this upload.
    ///
    /// - Throws: `source` when it is not the one that the upload was begun with.
    package func serving(_ upload: NewUpload) throws(UploadFailure) -> SourceFile {
        guard let before = upload.source else { return self }
        let offences = upload.changing.offences(in: identity.changes(since: before))
        guard offences.isEmpty else {
            throw .changed(identity.path, offences, while: "since the upload was begun")
        }
        var source = self
        source.changing = upload.changing
        source.size = before.size
        return source
    }

    /// Throws when the open file is no longer as it was.
    package func checkUnchanged() throws(UploadFailure) {
        let status: FileStatus
        do {
            status = try file.status()
        } catch {
            throw UploadFailure(.source, "\(UTF8Repair.string(identity.path)) can't be read: \(error.reason).")
        }
        try check(SourceIdentity(path: identity.path, status).changes(since: identity))
    }

    private func check(_ changes: [SourceChange]) throws(UploadFailure) {
        let offences = changing.offences(in: changes)
        if !offences.isEmpty { throw .changed(identity.path, offences, while: "while it was sent") }
    }

    /// Throws when the path no longer leads to the file that was opened: the object would be one that nobody has.
    package func checkStillInPlace() throws(UploadFailure) {
        try checkUnchanged()
        let changes: [SourceChange]
        do {
            changes = try changesInPlace()
        } catch {
            throw UploadFailure(
                .source,
                "\(UTF8Repair.string(identity.path)) has gone while it was sent (\(error.reason))."
            )
        }
        try check(changes)
    }

    /// What tells the file that the path leads to now from the one that was opened.
    func changesInPlace() throws(SystemError) -> [SourceChange] {
        SourceIdentity(path: identity.path, try FileStatus.of(path: identity.path)).changes(since: identity)
    }
}

extension SourceIdentity {
    package init(path: [UInt8], _ status: FileStatus) {
        self.init(
            path: path,
            device: status.device,
            inode: status.inode,
            size: status.size,
            modificationTime: status.modificationTime
        )
    }
}

extension UploadFailure {
    /// - Parameter when: completes "FILE has changed …".
    package static func changed(_ path: [UInt8], _ changes: [SourceChange], while when: String) -> UploadFailure {
        UploadFailure(
            .source,
            "\(UTF8Repair.string(path)) has changed \(when): \(words(changes)). Parts of two versions are never mixed; "
                + "to send it as it is now, run the upload again with --restart. (For a file that only grows, "
                + "--changing=snapshot-size sends the size first seen.)"
        )
    }

    static func words(_ changes: [SourceChange]) -> String {
        changes.map(describe).joined(separator: ", ")
    }

    private static func describe(_ change: SourceChange) -> String {
        switch change {
        case .size(let before, let now): "its size was \(before) and is \(now)"
        case .modificationTime(let before, let now):
            "its modification time was \(time(before)) and is \(time(now))"
        case .inode: "another file stands in its place"
        case .device: "it is on another file system"
        }
    }

    private static func time(_ nanoseconds: Int64) -> String {
        UTCTime(millisecondsSince1970: nanoseconds / 1_000_000).iso8601
    }
}
