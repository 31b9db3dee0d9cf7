import Glibc
import MuleSystem
import TestSupport
import Testing

@testable import MuleLedger

/// One ledger has one name, however it is called.
@Suite struct LedgerNameTests {
    private let directory = ScratchDirectory()
    private var path: String { directory.path("real/ledger.sqlite") }

    private func open(_ path: String) throws(LedgerError) -> Ledger { try Ledger(path: Array(path.utf8)) }

    @Test func `by a symbolic link the lease is met, and nothing lies next to the link`() throws {
        let ledger = try open(path)
        let (record, lease) = try #require(try ledger.take())
        #expect(symlink(path, directory.path("link.sqlite")) == 0)
        #expect(symlink(directory.path("real"), directory.path("linked")) == 0)
        for name in ["link.sqlite", "linked/ledger.sqlite", "linked/../real/./ledger.sqlite"] {
            let other = try open(directory.path(name))
            #expect(other.path == ledger.path)
            #expect(other.isActive(record))
            #expect(try other.claim(record.number) == nil)
            guard case .heldElsewhere? = try other.claim([.sample()]).first else {
                Issue.record("\(name): the upload is carried twice")
                continue
            }
        }
        #expect(!Files.exists(directory.path("link.sqlite.leases")))
        withExtendedLifetime(lease) {}
    }

    @Test func `a symbolic link that leads to no file yet is where the ledger is made`() throws {
        try directory.makeDirectory("real")
        #expect(symlink(path, directory.path("link.sqlite")) == 0)
        do { _ = try open(directory.path("link.sqlite")).take() }
        #expect(try open(path).unfinished().count == 1)
        #expect(try FileStatus.of(path: Array(path.utf8)).mode == 0o600)
    }

    @Test func `a second hard link is refused, in use or not, and the first continues`() throws {
        let second = directory.path("second.sqlite")
        do {
            let ledger = try open(path)
            let (record, lease) = try #require(try ledger.take())
            #expect(link(path, second) == 0)
            #expect(errorOfOpening(second) == .secondName(nil))
            try ledger.commit(.sample(1), of: record)
            #expect(try open(path).parts(of: record.number) == [.sample(1)])
            withExtendedLifetime(lease) {}
        }
        #expect(errorOfOpening(second) == .secondName(nil))
        for suffix in ["-wal", "-shm", ".leases"] { #expect(!Files.exists(second + suffix)) }
        #expect(try open(path).unfinished().count == 1)
        try Files.remove(second)
        #expect(errorOfOpening(path) == nil)
    }

    @Test func `a copy of hard links to all of it is refused while the first is there`() throws {
        let ledger = try open(path)
        let (record, lease) = try #require(try ledger.take())
        try ledger.makeRoom()
        try directory.makeDirectory("copy")
        for suffix in ["", "-wal", "-shm", ".leases"] {
            #expect(link(path + suffix, directory.path("copy/ledger.sqlite" + suffix)) == 0)
        }
        #expect(errorOfOpening(directory.path("copy/ledger.sqlite")) == .secondName(ledger.path))
        try ledger.commit(.sample(1), of: record)
        #expect(try open(path).parts(of: record.number) == [.sample(1)])
        withExtendedLifetime(lease) {}
    }

    @Test func `leases of a ledger that stood here before are no proof of a name`() throws {
        let second = directory.path("second.sqlite")
        do { _ = try open(second) }
        do { _ = try open(path).take() }
        try Files.remove(second)
        #expect(link(path, second) == 0)
        #expect(errorOfOpening(second) == .secondName(nil))
    }

    @Test func `a ledger that was moved with a hard link to it is opened by its new name`() throws {
        do { _ = try open(path).take() }
        #expect(rename(directory.path("real"), directory.path("moved")) == 0)
        #expect(link(directory.path("moved/ledger.sqlite"), directory.path("backup.sqlite")) == 0)
        #expect(try open(directory.path("moved/ledger.sqlite")).unfinished().count == 1)
        #expect(errorOfOpening(directory.path("backup.sqlite")) == .secondName(nil))
    }

    // MARK: Mounts

    private func opened(_ name: String, after script: String) throws -> CommandOutcome {
        try child("open", directory.path(name), home: directory)
            .inMountNamespace("cd \"$1\" && shift && \(script) && exec \"$0\" \"$@\"", [directory.path]).run()
    }

    /// Records would go to a log next to the mount, which vanishes with the container.
    @Test(.enabled(if: TestCommand.canMount), arguments: ["", "-wal", ".leases"])
    func `a file of the ledger that is mounted without its directory is refused`(suffix: String) throws {
        do { _ = try open(path).take() }
        try directory.makeDirectory("inside")
        let outcome = try opened(
            "inside/ledger.sqlite",
            after: """
                : >> real/ledger.sqlite\(suffix) && : > inside/ledger.sqlite\(suffix)
                mount --bind real/ledger.sqlite\(suffix) inside/ledger.sqlite\(suffix)
                """
        )
        #expect(outcome.lines == ["error: mountedAlone"], "\(outcome.err)")
        #expect(outcome.exitCode == 12)
    }

    @Test(.enabled(if: TestCommand.canMount))
    func `a directory that is mounted in two places holds one ledger, with a hard link or without`() throws {
        do { _ = try open(path).take() }
        try directory.makeDirectory("inside")
        for script in ["mount --bind real inside", "ln -f real/ledger.sqlite link && mount --bind real inside"] {
            let outcome = try opened("inside/ledger.sqlite", after: script)
            #expect(outcome.lines == ["opened"], "\(outcome.err)")
        }
        #expect(errorOfOpening(path) == nil, "the name of the other mount leads nowhere here")
        #expect(errorOfOpening(directory.path("link")) == .secondName(nil))
    }
}
