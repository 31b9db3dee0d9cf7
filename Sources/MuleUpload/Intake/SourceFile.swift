package import MuleLedger
package import MulePlan
package import MuleSystem

/// An open source file and its identity.
package struct SourceFile: Sendable {
    package let file: File
    /// The identity when it was opened.
    package let identity: SourceIdentity
    /// Which changes are allowed while it is sent.
    package private(set) var changing = ChangingSource.refuse
    /// Bytes to send, from the start: the whole file, or its size when the upload started.
    package private(set) var size: Int64

    private init(file: File, identity: SourceIdentity) {
        self.file = file
        self.identity = identity
        size = identity.size
    }

    /// Opens a regular file. Its canonical path is part of its identity.
    ///
    /// - Parameters:
    ///   - canonical: the canonical path if known; `path` is then used in messages only.
    ///   - isCancelled: polled while waiting for another process's lease on the file.
    /// - Throws: `source`, also for a file that holds more than its size.
    package static func open(
        path: [UInt8],
        canonical: [UInt8]? = nil,
        isCancelled: () -> Bool = { false }
    ) throws(UploadFailure) -> SourceFile {
        var name: String { LossyUTF8.string(path) }
        do {
            let canonical = if let canonical { canonical } else { try canonicalPath(path) }
            let file = try File.openForReading(path: canonical, isCancelled: isCancelled)
            let status = try file.status()
            if ReservedFiles.contains(file, status) { throw UploadFailure.ofLedger(name) }
            guard status.kind == .regular else {
                throw UploadFailure(.source, "\(name) is \(status.kind.noun), not a regular file.")
            }
            if try file.holdsMore(than: status.size) { throw UploadFailure.moreThanItsSize(name, status.size) }
            return SourceFile(file: file, identity: SourceIdentity(path: canonical, status))
        } catch let error as SystemError {
            if error.isCancelled { throw .interrupted }
            if error.isLeasedElsewhere {
                throw UploadFailure(
                    .source,
                    "\(name) cannot be opened: another process holds a lease on it and does not release it. Run the "
                        + "same command again when that process has closed the file.",
                    isResumable: true
                )
            }
            if error.isFileShortage { throw .noFile(error) }
            throw UploadFailure(.source, "\(name) cannot be read: \(error.reason).", isResumable: true)
        } catch let failure as UploadFailure {
            throw failure
        } catch {
            throw UploadFailure(.source, "\(name) cannot be read: \(error).")
        }
    }

    /// The identity of a readable file, without opening it if possible.
    ///
    /// - Parameter seen: the status from the directory walk, not following links.
    static func identity(
        path: [UInt8],
        seen: FileStatus?,
        _ paths: inout CanonicalPaths
    ) throws(UploadFailure) -> SourceIdentity {
        if let seen, ReservedFiles.contains(seen) { throw .ofLedger(LossyUTF8.string(path)) }
        if let seen, seen.kind == .regular, let canonical = try? paths.path(ofNoLink: path),
            seen.isReadableByOwner || isReadable(canonical)
        {
            return SourceIdentity(path: canonical, seen)
        }
        // Opening it reports a path that cannot be resolved.
        return try open(path: path, canonical: try? paths.path(of: path)).identity
    }

    /// The file as the source of this upload.
    ///
    /// - Throws: `source` if it is not the file that the upload started with.
    package func serving(_ upload: NewUpload) throws(UploadFailure) -> SourceFile {
        guard let before = upload.source else { return self }
        if case .changed(let changes) = identity.verdict(since: before, changing: upload.changing) {
            throw .changed(identity.path, changes, while: "since the upload started")
        }
        var source = self
        source.changing = upload.changing
        source.size = before.size
        return source
    }

    /// Throws if the open file's content has certainly changed. If its times cannot tell, the content is compared at
    /// the end.
    package func checkUnchanged() throws(UploadFailure) {
        let status: FileStatus
        do {
            status = try file.status()
        } catch {
            throw UploadFailure(.source, "\(LossyUTF8.string(identity.path)) cannot be read: \(error.reason).")
        }
        let now = SourceIdentity(path: identity.path, status)
        if case .changed(let changes) = now.verdict(since: identity, changing: changing) {
            throw .changed(identity.path, changes, while: "while it was sent")
        }
    }

    /// Whether the open file and the file at the path are still what was opened. Never returns `changed`.
    ///
    /// - Throws: `source` if the content has certainly changed, the path leads nowhere, or the file holds more than its
    ///   size.
    func verdictInPlace() throws(UploadFailure) -> SourceVerdict {
        let holdsMore: Bool
        let now: [FileStatus]
        do {
            holdsMore = try file.holdsMore(than: identity.size)
            let there = try FileStatus.of(path: identity.path)
            // While the file is open, no other has its inode number: this is its status too.
            let isSame = (there.device, there.inode) == (identity.device, identity.inode)
            now = isSame ? [there] : [try file.status(), there]
        } catch {
            let name = LossyUTF8.string(identity.path)
            throw UploadFailure(.source, "\(name) was removed while it was sent (\(error.reason)).")
        }
        var compared: [SourceChange] = []
        for status in now {
            switch SourceIdentity(path: identity.path, status).verdict(since: identity, changing: changing) {
            case .same: break
            case .compare(let changes): compared += changes.filter { !changing.allows($0) }
            case .changed(let changes): throw .changed(identity.path, changes, while: "while it was sent")
            }
        }
        if holdsMore { throw .moreThanItsSize(LossyUTF8.string(identity.path), identity.size) }
        return compared.isEmpty ? .same : .compare(compared)
    }

    /// Throws if the open file, or the file at the path, may have changed.
    package func checkStillInPlace() throws(UploadFailure) {
        guard case .compare(let changes) = try verdictInPlace() else { return }
        throw .unsteady(identity.path, changes)
    }

    /// Compares the file with the recorded content.
    ///
    /// - Returns: the numbers of the parts that differ (`RecordedContent.differences`).
    /// - Throws: `source` if the file changes during the comparison.
    package func differences(
        from content: RecordedContent,
        shouldStop: @escaping @Sendable () -> Bool,
        onProgress: @escaping @Sendable () -> Void = {}
    ) throws(UploadFailure) -> [Int] {
        let name = LossyUTF8.string(identity.path)
        let found = try content.differences(
            FileDigests(file: file, name: name, shouldStop: shouldStop, onProgress: onProgress)
        )
        let status: FileStatus
        do {
            status = try file.status()
        } catch {
            throw UploadFailure(.source, "\(name) cannot be read: \(error.reason).")
        }
        switch SourceIdentity(path: identity.path, status).verdict(since: identity, changing: changing) {
        case .same: return found
        case .compare(let changes) where changes.allSatisfy(changing.allows): return found
        case .compare(let changes), .changed(let changes): throw .unsteady(identity.path, changes)
        }
    }

    func holdsMoreThanItsSize() throws(SystemError) -> Bool { try file.holdsMore(than: file.status().size) }

    /// How the open file, and the file at the path, differ from what was opened.
    func changesInPlace() throws(SystemError) -> [SourceChange] {
        let now = [try file.status(), try FileStatus.of(path: identity.path)]
        return now.map { SourceIdentity(path: identity.path, $0).changes(since: identity) }.first { !$0.isEmpty } ?? []
    }
}

extension SourceIdentity {
    package init(path: [UInt8], _ status: FileStatus) {
        self.init(
            path: path,
            device: status.device,
            inode: status.inode,
            size: status.size,
            modificationTime: status.modificationTime,
            changeTime: status.changeTime
        )
    }
}

extension UploadFailure {
    fileprivate static func ofLedger(_ name: String) -> UploadFailure {
        UploadFailure(
            .source,
            "\(name) belongs to the ledger that is in use, and reading it would release the ledger's locks. Exclude "
                + "it, or keep the ledger elsewhere with --ledger; \"mule doctor --export\" makes a copy of it."
        )
    }

    /// - Parameter when: completes "FILE has changed …".
    package static func changed(_ path: [UInt8], _ changes: [SourceChange], while when: String) -> UploadFailure {
        UploadFailure(
            .source,
            "\(LossyUTF8.string(path)) changed \(when): \(words(changes)). Parts of two versions are never mixed; to "
                + "send it as it is now, run the upload again with --restart. (For a file that only grows, "
                + "--changing=snapshot-size sends the size first seen.)"
        )
    }

    /// A file with more content than its size.
    static func moreThanItsSize(_ name: String, _ size: Int64) -> UploadFailure {
        UploadFailure(
            .source,
            "\(name) has more content than its size of \(size) bytes, like files that are generated on reading (in "
                + "/proc and on some file systems), so mule cannot tell when it is complete. To send its current "
                + "content: mule upload - DESTINATION < FILE"
        )
    }

    /// A file that changes while it is compared.
    static func unsteady(_ path: [UInt8], _ changes: [SourceChange]) -> UploadFailure {
        UploadFailure(
            .source,
            "\(LossyUTF8.string(path)) changed while it was compared: \(words(changes)). Run the same command again "
                + "when no program writes to it.",
            isResumable: true
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
        case .inode: "another file has replaced it"
        case .changeTime: "it was written to, or its name, permissions or times were changed"
        case .content:
            "its content differs from what was recorded, although its size and modification time are the same"
        case .device: "it is on another file system"
        }
    }

    private static func time(_ nanoseconds: Int64) -> String {
        UTCTime(millisecondsSince1970: nanoseconds / 1_000_000).iso8601
    }
}
