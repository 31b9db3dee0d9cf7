package import MuleSQLite
import MuleSystem

/// A walk in another order than that of the directories. Except for `name`, all files are found before the first is
/// returned, and their facts are stored on disk: memory does not grow with their number.
package struct OrderedWalk {
    private var walk: SourceWalk
    private let order: FileOrder
    private var sorter: SpillSorter?
    private var hasFoundAll = false

    /// Files found between two keep-alives.
    private static let pace = 512

    package init(_ walk: SourceWalk, order: FileOrder) {
        self.walk = walk
        self.order = order
    }

    /// The next file, or the next other step; nil at the end.
    package mutating func next() throws(SpillError) -> SourceWalk.Step? {
        if order == .name { return walk.next() }
        let sorter = if let begun = self.sorter { begun } else { try SpillSorter() }
        self.sorter = sorter
        while !hasFoundAll {
            guard let step = walk.next() else {
                hasFoundAll = true
                break
            }
            guard case .file(let found) = step else { return step }
            try sorter.add(rank: rank(found), Self.record(found))
            if sorter.count % Self.pace == 0 { return .idle }
        }
        return try sorter.next().map(Self.found)
    }

    private func rank(_ found: SourceWalk.Found) -> Int64 {
        switch order {
        case .name: 0
        case .oldest: found.modificationTime
        // The complement reverses the order for every number.
        case .newest: ~found.modificationTime
        case .smallest: found.size
        case .largest: ~found.size
        }
    }

    // MARK: Records

    private static let isLinked: UInt8 = 1
    private static let wasNamed: UInt8 = 2
    private static let nameEndsPath: UInt8 = 4

    /// A byte of flags, the length of the name in four bytes, and the path; then the name, unless the path ends with
    /// it.
    private static func record(_ found: SourceWalk.Found) -> [UInt8] {
        let isEnd =
            found.path.count >= found.name.count && found.path.suffix(found.name.count).elementsEqual(found.name)
        var record: [UInt8] = [
            (found.isLinked ? isLinked : 0) | (found.status == nil ? wasNamed : 0) | (isEnd ? nameEndsPath : 0)
        ]
        withUnsafeBytes(of: UInt32(found.name.count).littleEndian) { record += $0 }
        record += found.path
        if !isEnd { record += found.name }
        return record
    }

    /// Checks the file again: a while may have passed, and its current state is sent.
    private static func found(_ record: [UInt8]) -> SourceWalk.Step {
        let length = Int(record[1..<5].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        let isEnd = record[0] & nameEndsPath != 0
        let name = Array(record.suffix(length))
        let path = Array(isEnd ? record[5...] : record[5..<record.count - length])
        var found = SourceWalk.Found(path: path, name: name)
        found.isLinked = record[0] & isLinked != 0
        do {
            var status = try FileStatus.of(path: path, followingLinks: false)
            if record[0] & wasNamed == 0 { found.status = status }
            if status.kind == .symbolicLink { status = try FileStatus.of(path: path) }
            guard status.kind == .regular else { return .problem(found, .endless(status.kind, wasNamed: false)) }
            found.size = status.size
            found.modificationTime = status.modificationTime
            return .file(found)
        } catch {
            return .problem(found, .unreadable(error))
        }
    }
}
