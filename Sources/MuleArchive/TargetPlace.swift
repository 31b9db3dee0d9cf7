import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// The directory that a job moves its files to. One whose disk is not mounted must not be made on the disk below it.
struct TargetPlace {
    private let directory: [UInt8]
    private let number: Int64
    private let ledger: Ledger

    init(_ directory: [UInt8], number: Int64, _ ledger: Ledger) {
        self.directory = directory
        self.number = number
        self.ledger = ledger
    }

    /// Why nothing is moved there: files were moved to another file system in the runs before, and what is there now is empty.
    func obstacle() throws(LedgerError) -> UploadFailure? {
        guard let known = try known, let now = nearest else { return nil }
        guard !now.isSame(as: FileSystemIdentity(device: known.device, number: known.fileSystem)) else { return nil }
        guard (try? DirectoryNames(of: directory))?.count ?? 0 == 0 else { return nil }
        let name = LossyUTF8.string(directory)
        return UploadFailure(
            .source,
            "Nothing is moved to \(name): it is on another file system than in earlier runs, and empty. Mount the disk "
                + "and run the job again. If the disk is gone for good, put a file into \(name).",
            isResumable: true
        )
    }

    /// Files have been moved there.
    func record() throws(LedgerError) {
        guard let now = try? FileSystemIdentity.of(path: directory) else { return }
        let place = JobPlace(role: .target, path: directory, device: now.device, fileSystem: now.number)
        if try known != place { try ledger.record([place], of: number) }
    }

    private var known: JobPlace? {
        get throws(LedgerError) { try ledger.places(of: number, .target).first { $0.path == directory } }
    }

    /// The file system of the directory, or of the one in which it would be made.
    private var nearest: FileSystemIdentity? {
        var path = directory
        while true {
            if let identity = try? FileSystemIdentity.of(path: path) { return identity }
            guard path.count > 1 else { return nil }
            path = AfterActionExecutor.parent(path)
        }
    }
}
