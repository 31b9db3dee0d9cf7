import Glibc
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// What an upload leaves of its file in the page cache. The files are on disk: dirty pages cannot be dropped.
@Suite struct PageCacheTests {
    private static let page: Int = 4096
    private static let partSize: Int64 = 1 << 20
    private static let size = 6 * Int(partSize) - 5000

    private let harness: EngineHarness
    private let disk: ScratchDirectory

    init() throws {
        // One worker, so that parts are read in order on every machine.
        harness = try EngineHarness(concurrency: 1)
        disk = Self.disk()
    }

    private static func disk() -> ScratchDirectory {
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let build = "/\(package)/.build"
        mkdir(build, 0o755)
        return ScratchDirectory("page-cache", in: build)
    }

    /// A file whose bytes are on disk and not in memory.
    private static func coldFile(_ disk: ScratchDirectory) throws -> String {
        let path = try disk.writeRandom("file", count: Int64(size), seed: 1)
        let file = try File.open(path: Array(path.utf8), flags: O_RDWR)
        fsync(file.descriptor)
        file.dropCache(0..<Int64(size))
        return path
    }

    /// For each page of the file, whether it is in memory (mincore(2)).
    private static func resident(_ path: String) throws -> [Bool] {
        let file = try File.openForReading(path: Array(path.utf8))
        let length = Int(try file.status().size)
        let map = try #require(mmap(nil, length, PROT_READ, MAP_SHARED, file.descriptor, 0))
        defer { munmap(map, length) }
        var pages = [UInt8](repeating: 0, count: (length + page - 1) / page)
        try #require(mincore(map, length, &pages) == 0)
        return pages.map { $0 & 1 == 1 }
    }

    /// A busy kernel drops pages at any moment, and keeps some that another processor is using. mule drops or keeps
    /// whole parts.
    private static let few = 0.3

    private static func share(of pages: [Bool]) -> Double { Double(pages.count(where: \.self)) / Double(pages.count) }

    /// Uploads the file.
    ///
    /// - Returns: for each page, whether it is in memory afterwards.
    private func upload(_ path: String, _ use: PageCacheUse, partSize: Int64? = partSize) throws -> [Bool] {
        var settings = EngineHarness.settings(concurrency: 1)
        settings.pageCache = use
        var options = EngineHarness.Options()
        options.partSize = partSize
        let outcome = try harness.upload(path, options, settings: settings)
        // Before the file is read for the comparison with the object.
        let pages = try Self.resident(path)
        try harness.expectDone(outcome, path)
        return pages
    }

    static let canDrop: Bool = {
        let directory = disk()
        guard let path = try? coldFile(directory), let pages = try? resident(path) else { return false }
        return !pages.contains(true)
    }()
    static let canAsk: Bool = {
        let directory = disk()
        guard let path = try? coldFile(directory) else { return false }
        return (try? File.openForReading(path: Array(path.utf8)))?.isCached(0..<Int64(size)) == false
    }()

    @Test(.enabled(if: canDrop), arguments: [partSize, 1_000_000, nil])
    func `what was read to be sent is dropped`(partSize: Int64?) throws {
        let path = try Self.coldFile(disk)
        #expect(try Self.share(of: upload(path, .drop, partSize: partSize)) < Self.few)
    }

    @Test(.enabled(if: canDrop), arguments: [partSize, nil])
    func `without being asked to all is kept`(partSize: Int64?) throws {
        let path = try Self.coldFile(disk)
        #expect(try Self.share(of: upload(path, .keep, partSize: partSize)) > 1 - Self.few)
    }

    @Test(.enabled(if: canDrop && canAsk)) func `what was there before stays`() throws {
        let path = try Self.coldFile(disk)
        let file = try File.openForReading(path: Array(path.utf8))
        // Without it the kernel reads ahead, into the next part.
        posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_RANDOM)
        _ = try file.bytes(at: 2 * Self.partSize, count: Int(Self.partSize))
        let pages = try upload(path, .drop)
        let perPart = Int(Self.partSize) / Self.page
        for (number, first) in zip(1..., stride(from: 0, to: pages.count, by: perPart)) {
            let part = pages[first..<min(first + perPart, pages.count)]
            let share = Self.share(of: Array(part))
            #expect(number == 3 ? share > 1 - Self.few : share < Self.few, "part \(number): \(share)")
        }
    }
}
