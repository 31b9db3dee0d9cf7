import TestSupport

/// Files of this repository.
enum Repository {
    static let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

    static func text(of path: String) throws -> String {
        String(decoding: try Files.read("\(root)/\(path)"), as: UTF8.self)
    }
}
