import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// The directory that a job moves its files to. If its disk is not mounted, it must not be created on the disk below.
struct TargetPlace {
    private let directory: [UInt8]
    private let number: Int64
    private let ledger: Ledger

    init(_ directory: [UInt8], number: Int64, _ ledger: Ledger) {
        self.directory = directory
        self.number = number
        self.ledger = ledger
    }

    /// Why nothing is moved there: earlier runs moved files to another file system, and the directory is empty now.
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

    /// Records that files were moved there.
    func record() throws(LedgerError) {
        guard let now = try? FileSystemIdentity.of(path: directory) else { return }
        let place = JobPlace(role: .target, path: directory, device: now.device, fileSystem: now.number)
        if try known != place { try ledger.record([place], of: number) }
    }

    private var known: JobPlace? {
        get throws(LedgerError) { try ledger.places(of: number, .target).first { $0.path == directory } }
    }

    /// The file system of the directory, or of the nearest existing parent.
    private var nearest: FileSystemIdentity? {
        var path = directory
        while true {
            if let identity = try? FileSystemIdentity.of(path: path) { return identity }
            guard path.count > 1 else { return nil }
            path = AfterActionExecutor.parent(path)
        }
    }
}
