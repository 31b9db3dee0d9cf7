import Glibc
import TestSupport
import Testing

@testable import MuleSystem

/// What a copy keeps besides the content, and renames on simple file systems.
@Suite struct FileRightsTests {
    private let scratch = ScratchDirectory("mule-rights")

    private func bytes(_ name: String) -> [UInt8] { Array(scratch.path(name).utf8) }

    private func open(_ name: String) throws -> File { try File.open(path: bytes(name), flags: O_RDONLY) }

    private func copy(_ name: String, into directory: String = ".") throws -> File {
        let copy = try Directory.open(bytes(directory)).makeFile(Array("copy".utf8))
        try copy.becomeCopy(of: try open(name), while: { true })
        return copy
    }

    /// acl(5) as Linux keeps it: version 2, then tag, rights and number of each entry.
    private func list(group: UInt16, user: UInt16) -> [UInt8] {
        let none: UInt32 = .max
        let entries: [(UInt16, UInt16, UInt32)] = [
            (0x01, 6, none), (0x02, user, 12_345), (0x04, group, none), (0x10, 6, none), (0x20, 0, none),
        ]
        var bytes: [UInt8] = [2, 0, 0, 0]
        for (tag, rights, number) in entries {
            bytes += [UInt8(tag & 0xFF), UInt8(tag >> 8), UInt8(rights), 0]
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        return bytes
    }

    @Test func `a copy has the attributes of the file`() throws {
        try scratch.write(Array("content".utf8), to: "file")
        try open("file").setAttribute("user.origin", Array("lab".utf8))
        try open("file").setAttribute("user.empty", [])
        let copy = try copy("file")
        #expect(try copy.attribute("user.origin") == Array("lab".utf8))
        #expect(try copy.attribute("user.empty") == [])
        #expect(try copy.attribute("user.other") == nil)
    }

    @Test func `a copy has the access control list of the file and not its mask as the group's right`() throws {
        try scratch.write(Array("content".utf8), to: "file")
        let list = list(group: 0, user: 4)
        try open("file").setAttribute(File.accessList, list)
        let copy = try copy("file")
        #expect(try copy.attribute(File.accessList) == list)
        #expect(try copy.status().mode == open("file").status().mode)
    }

    @Test func `a directory's own list does not open a copy to others`() throws {
        let file = try scratch.write(Array("content".utf8), to: "file")
        #expect(chmod(file, 0o640) == 0)
        let target = try scratch.makeDirectory("target")
        try File.open(path: Array(target.utf8), flags: O_RDONLY | O_DIRECTORY)
            .setAttribute("system.posix_acl_default", list(group: 6, user: 6))
        let copy = try copy("file", into: "target")
        #expect(try copy.attribute(File.accessList) == nil)
        #expect(try copy.status().mode == 0o640)
    }

    @Test(arguments: [true, false])
    func `a name changes without hard links and without replacing a file`(isOwn: Bool) throws {
        try scratch.write(Array("new".utf8), to: "file")
        try scratch.write(Array("old".utf8), to: "taken")
        let directory = try Directory.open(bytes("."))
        let (file, taken, target) = (Array("file".utf8), Array("taken".utf8), Array("target".utf8))
        let error = #expect(throws: SystemError.self) {
            try directory.moveByReplacing(file, to: directory, as: taken, isOwn: isOwn)
        }
        #expect(error?.code == EEXIST)
        #expect(try scratch.read("taken") == Array("old".utf8) && scratch.read("file") == Array("new".utf8))
        try directory.moveByReplacing(file, to: directory, as: target, isOwn: isOwn)
        #expect(try scratch.read("target") == Array("new".utf8))
        #expect(throws: SystemError.self) {
            try directory.moveByReplacing(file, to: directory, as: Array("other".utf8), isOwn: isOwn)
        }
        #expect(access(scratch.path("other"), F_OK) != 0, "a name that could not be used is left to others")
    }

    @Test func `an age counts from the last change where a time lies in the future`() {
        let hour: Int64 = 3_600_000_000_000
        var status = FileStatus(stat())
        let now = 1_000 * hour
        func age(modified: Int64, changed: Int64) -> Double {
            (status.modificationTime, status.changeTime) = (modified, changed)
            return status.age(of: status.modificationTime, at: now)
        }
        #expect(age(modified: now - hour, changed: now) == 3600)
        #expect(age(modified: now + 9 * hour, changed: now - hour) == 3600)
        #expect(age(modified: now + hour / 60, changed: now + hour / 60) == -60)
        #expect(age(modified: now + 9 * hour, changed: now + 9 * hour) == .infinity)
    }
}

/// Two paths of one directory.
@Suite struct MountTableTests {
    private static let table = MountTable(
        Array(
            """
            21 1 8:1 / / rw - ext4 /dev/sda1 rw
            22 21 8:1 /srv/data/done /mnt/done rw - ext4 /dev/sda1 rw
            23 21 8:2 / /srv/data/disk rw - ext4 /dev/sdb1 rw
            24 21 8:2 /out /mnt/with\\040blank rw - ext4 /dev/sdb1 rw
            25 21 8:3 / /elsewhere rw - ext4 /dev/sdc1 rw

            """.utf8
        )
    )

    @Test(arguments: [
        ("/srv/data", true), ("/srv/data/x", true), ("/srv/database", false), ("/mnt/done", true),
        ("/mnt/done/x", true),
        ("/mnt/with blank", true), ("/mnt", false), ("/elsewhere/srv/data", false), ("/srv", false),
    ])
    func `a directory below another is known by all its names`(path: String, isBelow: Bool) {
        #expect(Self.table.isBelow(Array(path.utf8), Array("/srv/data".utf8)) == isBelow)
    }

    @Test func `without a table paths are what they say`() {
        let table = MountTable([])
        #expect(table.isBelow(Array("/a/b".utf8), Array("/a".utf8)))
        #expect(!table.isBelow(Array("/ab".utf8), Array("/a".utf8)))
    }
}

@Suite struct LocalTimeTests {
    @Test func `a border is counted from the moment that is named`() {
        let hour: Int64 = 3_600_000
        let start: Int64 = 1_790_000_000_000
        let border = nextLocalTime(minuteOfDay: localMinuteOfDay(at: start + hour), after: Int(start / 1000))
        #expect(abs(border - (start + hour)) < 60_000)
        #expect(nextLocalTime(minuteOfDay: localMinuteOfDay(at: start), after: Int(start / 1000)) > start)
    }
}
