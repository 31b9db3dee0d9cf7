/// Media types by the extension of a file's name: those of a system's table, and the commonest ones where the table has
/// none. A table is searched, not parsed: a run needs few of its two thousand lines.
package struct MediaTypes: Sendable {
    private let table: [UInt8]

    /// - Parameter table: in the format of `/etc/mime.types`: a type and its extensions on each line, and `#` before a
    ///   comment. The first type of an extension counts; a line that is anything else is skipped.
    package init(table: [UInt8] = []) {
        self.table = table
    }

    /// The extension of a file or an object, in lower case; nil if it has none.
    package static func ending(ofPath path: [UInt8]) -> [UInt8]? {
        let end = path.lastIndex { $0 != UInt8(ascii: "/") }.map { $0 + 1 } ?? 0
        let name = path[((path[..<end].lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)..<end]
        // The dot of a hidden file starts no extension.
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return nil }
        let ending = name[(dot + 1)...]
        guard (1...32).contains(ending.count) else { return nil }
        return ending.map(lowered)
    }

    /// The type of a file or an object, by the end of its path; nil if its extension is unknown, or if it has none.
    package subscript(path path: [UInt8]) -> String? {
        Self.ending(ofPath: path).flatMap { self[ending: $0] }
    }

    /// The type for an extension in lower case.
    package subscript(ending ending: [UInt8]) -> String? {
        table.withUnsafeBufferPointer { Self.type(for: ending, in: $0) }
            ?? Self.common.withUTF8Buffer { Self.type(for: ending, in: $0) }
    }

    private static func type(for ending: [UInt8], in table: UnsafeBufferPointer<UInt8>) -> String? {
        var type: Range<Int>?
        var index = 0
        while index < table.count {
            switch table[index] {
            case 0x0A, 0x0D:
                type = nil
                index += 1
            case 0x20, 0x09:
                index += 1
            case UInt8(ascii: "#"):
                while index < table.count, !isLineEnd(table[index]) { index += 1 }
            default:
                let start = index
                while index < table.count, !isWordEnd(table[index]) { index += 1 }
                guard let known = type else {
                    type = start..<index
                    continue
                }
                guard index - start == ending.count,
                    ending.indices.allSatisfy({ lowered(table[start + $0]) == ending[$0] })
                else { continue }
                let found = Array(table[known])
                if isMediaType(found[...]) { return String(decoding: found, as: UTF8.self) }
            }
        }
        return nil
    }

    private static func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    private static func isWordEnd(_ byte: UInt8) -> Bool {
        isLineEnd(byte) || byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: "#")
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// RFC 6838, section 4.2: two names of at most 127 characters.
    private static func isMediaType(_ text: ArraySlice<UInt8>) -> Bool {
        let names = text.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return names.count == 2
            && names.allSatisfy { name in
                (1...127).contains(name.count)
                    && name.allSatisfy { byte in
                        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                            || "!#$&-^_.+".utf8.contains(byte)
                    }
            }
    }

    private static let common: StaticString = """
        text/html html htm
        text/css css
        text/javascript js mjs
        text/plain txt log
        text/csv csv
        text/markdown md
        text/calendar ics
        application/json json
        application/xml xml
        application/yaml yaml yml
        application/pdf pdf
        application/rtf rtf
        application/zip zip
        application/gzip gz tgz
        application/x-tar tar
        application/x-bzip2 bz2
        application/x-xz xz
        application/zstd zst
        application/x-7z-compressed 7z
        application/wasm wasm
        application/vnd.sqlite3 sqlite
        application/vnd.debian.binary-package deb
        application/msword doc
        application/vnd.ms-excel xls
        application/vnd.ms-powerpoint ppt
        application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
        application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
        application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
        application/vnd.oasis.opendocument.text odt
        application/vnd.oasis.opendocument.spreadsheet ods
        application/epub+zip epub
        message/rfc822 eml
        image/png png
        image/jpeg jpg jpeg
        image/gif gif
        image/webp webp
        image/avif avif
        image/svg+xml svg
        image/tiff tif tiff
        image/bmp bmp
        image/vnd.microsoft.icon ico
        audio/mpeg mp3
        audio/mp4 m4a
        audio/flac flac
        audio/ogg ogg oga
        audio/x-wav wav
        video/mp4 mp4
        video/quicktime mov
        video/webm webm
        video/x-matroska mkv
        font/woff woff
        font/woff2 woff2
        font/ttf ttf
        font/otf otf
        """
}
