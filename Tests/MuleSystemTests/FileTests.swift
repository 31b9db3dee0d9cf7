import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite("Files")
struct FileTests {
    private let scratch = ScratchDirectory()

    private func path(_ name: String) -> [UInt8] { Array(scratch.path(name).utf8) }

    @Test
    func `bytes are read at any offset, and the end of the file is no error`() throws {
        try scratch.write("0123456789", to: "f")
        let file = try File.openForReading(path: path("f"))
        for offset in 0...12 {
            for count in 0...12 {
                let expected = Array("0123456789".utf8).dropFirst(offset).prefix(count)
                #expect(try file.bytes(at: Int64(offset), count: count) == Array(expected))
            }
        }
    }

    @Test
    func `a write at an offset leaves the rest as it is, and grows the file`() throws {
        try scratch.write("0123456789", to: "f")
        let file = try File.open(path: path("f"), flags: O_RDWR)
        for (text, offset) in [("ab", Int64(2)), ("", 5), ("yz", 9)] {
            try Array(text.utf8).withUnsafeBytes { try file.write($0, at: offset) }
        }
        #expect(try scratch.read("f") == Array("01ab45678yz".utf8))
    }

    @Test
    func `a name with a NUL is no name, not the one that ends there`() throws {
        try scratch.write("x", to: "f")
        let name = path("f") + [0] + Array("g".utf8)
        #expect(throws: SystemError(code: EINVAL, call: "open")) { try File.openForReading(path: name) }
        #expect(throws: SystemError(code: EINVAL, call: "stat")) { try FileStatus.of(path: name) }
        #expect(throws: SystemError(code: EINVAL, call: "realpath")) { try canonicalPath(name) }
        #expect(throws: SystemError(code: EINVAL, call: "mkdir")) { try makeDirectories(path: name, mode: 0o700) }
    }

    @Test
    func `names are bytes: one that is not UTF-8 is opened like any other`() throws {
        let name = path("f") + [0xFF, 0x0A, 0xC3]
        _ = try File.open(path: name, flags: O_WRONLY | O_CREAT, mode: 0o600)
        #expect(try FileStatus.of(path: name).kind == .regular)
        #expect(try canonicalPath(name) == name)
    }

    @Test
    func `a missing file is an error that says which call failed and why`() {
        let error = #expect(throws: SystemError.self) { try File.openForReading(path: path("none")) }
        #expect(error?.code == ENOENT)
        #expect(error?.description == "open: No such file or directory")
        #expect(throws: SystemError(code: ENOENT, call: "stat")) { try FileStatus.of(path: path("none")) }
    }

    @Test
    func `a descriptor is closed with its file, and is not inherited by other programs`() throws {
        try scratch.write("x", to: "f")
        // A number far above those that other tests open and close at the same time.
        let file = try File.openForReading(path: path("f"))
        #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0)
        // A number far above those that other tests open and close at the same time.
        let descriptor = fcntl(file.descriptor, F_DUPFD, 900)
        #expect(descriptor >= 900)
        var copy: File? = File(descriptor: descriptor)
        #expect(try copy?.bytes(at: 0, count: 1) == Array("x".utf8))
        copy = nil
        #expect(fcntl(descriptor, F_GETFD) == -1)
    }

    @Test
    func `a FIFO without a writer does not hold up opening, and shows as what it is`() throws {
        #expect(mkfifo(scratch.path("fifo"), 0o600) == 0)
        #expect(try File.openForReading(path: path("fifo")).status().kind == .fifo)
    }

    @Test
    func `a nameless file leaves nothing in its directory, and can be written and read`() throws {
        let directory = try scratch.makeDirectory("spool")
        let file = try File.openNameless(directory: Array(directory.utf8))
        #expect(rmdir(directory) == 0, "the directory is empty")
        try Array("kept".utf8).withUnsafeBytes { try file.write($0, at: 1 << 20) }
        #expect(try file.bytes(at: 1 << 20, count: 100) == Array("kept".utf8))
        #expect(try file.status().size == (1 << 20) + 4)
        #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test
    func `a small file is read whole up to its limit, and refused above it`() throws {
        try scratch.write("12345", to: "f")
        try scratch.write("", to: "empty")
        #expect(try File.contents(path: path("f"), limit: 5) == Array("12345".utf8))
        #expect(try File.contents(path: path("empty"), limit: 0) == [])
        #expect(throws: SystemError(code: EFBIG, call: "read")) { try File.contents(path: path("f"), limit: 4) }
        #expect(throws: SystemError(code: EISDIR, call: "read")) { try File.contents(path: path(""), limit: 9) }
    }

    @Test
    func `a file under another's lease is opened when it is given back`() throws {
        signal(SIGIO, SIG_IGN)
        try scratch.write([1, 2, 3], to: "leased")
        let holder = try File.open(path: path("leased"), flags: O_RDWR)
        // F_SETLEASE is 1024 (fcntl(2)); Swift does not import it.
        try #require(fcntl(holder.descriptor, 1024, F_WRLCK) == 0)
        var asked = 0
        let error = #expect(throws: SystemError.self) {
            try File.openForReading(path: path("leased")) {
                asked += 1
                return asked == 2
            }
        }
        #expect(error?.isCancelled == true)
        let opened = try File.openForReading(path: path("leased")) {
            _ = fcntl(holder.descriptor, 1024, F_UNLCK)
            return false
        }
        #expect(try opened.bytes(at: 0, count: 10) == [1, 2, 3])
    }

    @Test(arguments: ["/proc/version", "/proc/self/mounts"])
    func `a file that holds more than its size says is known`(name: String) throws {
        let file = try File.openForReading(path: Array(name.utf8))
        #expect(try file.holdsMore(than: file.status().size))
    }

    @Test(arguments: [0, 3, 100_000])
    func `a file of the size that it says holds no more`(count: Int) throws {
        try scratch.write([UInt8](repeating: 7, count: count), to: "whole")
        let whole = try File.openForReading(path: path("whole"))
        #expect(try !whole.holdsMore(than: whole.status().size))
    }
}

@Suite("File status")
struct FileStatusTests {
    private let scratch = ScratchDirectory()

    private func status(_ name: String, followingLinks: Bool = true) throws -> FileStatus {
        try FileStatus.of(path: Array(scratch.path(name).utf8), followingLinks: followingLinks)
    }

    @Test
    func `size and modification time are exact to the nanosecond`() throws {
        let file = try scratch.write("12345", to: "f")
        try Files.setModificationTime(file, seconds: 1_700_000_000, nanoseconds: 123_456_789)
        let status = try status("f")
        #expect(status.kind == .regular && status.size == 5)
        #expect(status.modificationTime == 1_700_000_000_123_456_789)
        #expect(try File.openForReading(path: Array(file.utf8)).status() == status)
    }

    @Test
    func `a time before 1970, or beyond what nanoseconds can count, is no reason to fall over`() throws {
        let file = try scratch.write("1", to: "f")
        try Files.setModificationTime(file, seconds: -1)
        #expect(try status("f").modificationTime == -1_000_000_000)
        // Some file systems cut such a time to the largest they can hold, so its value is not looked at.
        try Files.setModificationTime(file, seconds: 253_402_300_800)
        #expect(try status("f").size == 1)
    }

    @Test
    func `a file that was replaced under its name has another inode`() throws {
        try scratch.write("1", to: "f")
        let before = try status("f")
        try scratch.write("1", to: "g")
        #expect(rename(scratch.path("g"), scratch.path("f")) == 0)
        let now = try status("f")
        #expect(now.inode != before.inode && now.device == before.device)
    }

    @Test
    func `links are followed unless they are asked for themselves`() throws {
        try scratch.write("12345", to: "f")
        #expect(symlink("f", scratch.path("link")) == 0)
        #expect(symlink("loop", scratch.path("loop")) == 0)
        #expect(try status("link").kind == .regular)
        #expect(try status("link", followingLinks: false).kind == .symbolicLink)
        #expect(throws: SystemError(code: ELOOP, call: "stat")) { try status("loop") }
    }

    @Test
    func `directories and devices show as what they are`() throws {
        #expect(try status("").kind == .directory)
        #expect(try FileStatus.of(path: Array("/dev/null".utf8)).kind == .characterDevice)
    }
}

@Suite("Directories and paths")
struct DirectoryTests {
    private let scratch = ScratchDirectory()

    private func path(_ name: String) -> [UInt8] { Array(scratch.path(name).utf8) }

    @Test(arguments: ["", "/"])
    func `missing parents are made, each with the mode, and a second call changes nothing`(end: String) throws {
        for _ in 1...2 { try makeDirectories(path: path("a/b/c" + end), mode: 0o700) }
        for name in ["a", "a/b", "a/b/c"] {
            var facts = stat()
            #expect(stat(scratch.path(name), &facts) == 0)
            #expect(facts.st_mode & 0o7777 == 0o700)
        }
    }

    @Test
    func `a file in the way is an error`() throws {
        try scratch.write("", to: "f")
        #expect(throws: SystemError(code: ENOTDIR, call: "mkdir")) {
            try makeDirectories(path: path("f/a/b"), mode: 0o700)
        }
    }

    @Test
    func `a canonical path has no links, no dots and no double slashes`() throws {
        try scratch.write("", to: "dir/f")
        #expect(symlink("dir", scratch.path("link")) == 0)
        for name in ["dir/f", "link/f", "./link//f", "dir/../link/./f"] {
            #expect(try canonicalPath(path(name)) == path("dir/f"))
        }
        #expect(throws: SystemError(code: ENOENT, call: "realpath")) { try canonicalPath(path("dir/none")) }
    }
}

@Suite struct CanonicalPathsTests {
    @Test
    func `a path is what realpath makes of it, asked for directory by directory or not`() throws {
        let home = ScratchDirectory("mule-paths")
        for name in ["a/one", "a/two", "b/three", "a/deep/four"] { try home.write("", to: name) }
        for (target, link) in [("a", "to-a"), ("one", "a/link"), ("../b/three", "a/far"), ("loop", "a/loop")] {
            try #require(symlink(target, home.path(link)) == 0)
        }
        var paths = CanonicalPaths()
        let names = [
            "a/one", "a/two", "to-a/one", "to-a/two", "a/link", "a/far", "b/three", "a/deep/../one", "a/.", "a/..",
            "to-a",
            "a//one", "to-a/deep/four", "a/deep/", "a/one",
        ]
        for name in names {
            let path = Array(home.path(name).utf8)
            #expect(try paths.path(of: path) == canonicalPath(path), "\(name)")
        }
        for name in ["a/none", "none/one", "a/loop", "a/one/two"] {
            #expect(throws: SystemError.self) { try paths.path(of: Array(home.path(name).utf8)) }
        }
        #expect(try paths.path(of: Array("/etc".utf8)) == Array("/etc".utf8))
        #expect(try paths.path(of: Array("/".utf8)) == Array("/".utf8))
    }
}
