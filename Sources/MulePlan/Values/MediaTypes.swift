/// Media types by the extension of a file's name: those of a system's table, and the commonest ones where the table has
/// none.
package struct MediaTypes: Sendable {
    private var byExtension: [String: String]

    /// - Parameter table: in the format of `/etc/mime.types`: a type and its extensions on each line, and `#` before a
    ///   comment. The first type of an extension counts; a line that is anything else is skipped.
    package init(table: [UInt8] = []) {
        byExtension = Self.common
        var known: Set<String> = []
        for line in table.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 == 0x20 || $0 == 0x09 }
            guard let type = words.first, Self.isMediaType(type) else { continue }
            for word in words.dropFirst() where word.count <= 32 {
                let name = String(decoding: word, as: UTF8.self).lowercased()
                if known.insert(name).inserted { byExtension[name] = String(decoding: type, as: UTF8.self) }
            }
        }
    }

    /// The type of a file or an object, by the end of its path; nil if its extension is unknown, or if it has none.
    package subscript(path path: [UInt8]) -> String? {
        let name = path.split(separator: UInt8(ascii: "/")).last ?? []
        // The dot of a hidden file starts no extension.
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return nil }
        let ending = name[name.index(after: dot)...]
        guard !ending.isEmpty, ending.count <= 32 else { return nil }
        return byExtension[String(decoding: ending, as: UTF8.self).lowercased()]
    }

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

    private static let common: [String: String] = {
        var types: [String: String] = [:]
        let lines = """
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
        for line in lines.split(separator: "\n") {
            let words = line.split(separator: " ")
            for ending in words.dropFirst() { types[String(ending)] = String(words[0]) }
        }
        return types
    }()
}
