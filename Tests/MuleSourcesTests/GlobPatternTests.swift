import MuleSources
import TestSupport
import Testing

@Suite("Patterns of names")
struct GlobPatternTests {
    @Test(
        arguments: [
            ("*.log", ["a.log", "b/c.log", ".log", "b.d/.log"], ["a.log.1", "a.log/b", "log"]),
            ("/*.log", ["a.log"], ["b/c.log"]),
            ("foo", ["foo", "a/foo", "a/b/foo"], ["foo/a", "xfoo", "foox", "Foo"]),
            ("a/foo", ["a/foo"], ["b/a/foo", "foo", "a/foo/b"]),
            ("**/foo", ["foo", "a/foo", "a/b/foo"], ["foo/a"]),
            ("**/foo/bar", ["foo/bar", "a/foo/bar"], ["bar", "foo/x/bar"]),
            ("foo/**", ["foo/a", "foo/a/b"], ["foo", "a/foo/b"]),
            ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/b"], ["a/x", "b", "x/a/b", "a/b/c"]),
            ("a/**/b/**", ["a/b/c", "a/b/b", "a/x/b/c"], ["a/b", "a/c"]),
            ("**", ["a", "a/b"], []),
            ("a/**/**/b", ["a/b", "a/x/y/b"], ["a"]),
            ("/**/a", ["a", "x/a"], ["ab"]),
            ("x**y", ["xy", "xay", "d/xaay"], ["x/y"]),
            ("a/b**", ["a/b", "a/bc"], ["a/b/c"]),
            ("?", ["a", "d/b", "\u{7F}"], ["", "ab", "ü"]),
            ("??", ["ü", "ab"], ["a"]),
            ("a?c/d", ["abc/d"], ["a/c/d"]),
            ("[a-c]x", ["ax", "bx", "cx"], ["dx", "x", "Ax"]),
            ("[!a-c]x", ["dx", "-x"], ["ax", "x"]),
            ("[^a]", ["b"], ["a"]),
            ("[]x]", ["]", "x"], ["[", "a"]),
            ("[!]]", ["x"], ["]"]),
            ("[a-]", ["a", "-"], ["b"]),
            ("[a\\]b]", ["a", "]", "b"], ["\\"]),
            ("[\\a-c]", ["b"], ["\\"]),
            ("[[:digit:]x]*", ["5", "x", "7up"], ["y", ":"]),
            ("[![:space:]]", ["a"], [" "]),
            ("[[]", ["["], ["]"]),
            ("\\*", ["*"], ["a"]),
            ("\\!important", ["!important"], ["important"]),
            ("a\\?b", ["a?b"], ["axb"]),
            ("-*", ["-r"], ["r"]),
            ("a b", ["a b"], ["a"]),
            ("*\n*", ["new\nline"], ["newline"]),
            ("a*a*a", ["aaa", "axaxa", "aaaa"], ["aa", "aba"]),
            ("*a", ["a", "ba", "aa", "aba"], ["ab"]),
            (".*", [".a", "x/.b", "."], ["a"]),
            ("*", ["a", ".a", "a/b"], []),
        ] as [(String, [String], [String])]
    )
    func `a pattern means what gitignore(5) says`(text: String, matching: [String], others: [String]) throws {
        let pattern = try GlobPattern(Array(text.utf8))
        for path in matching { #expect(pattern.matches(Array(path.utf8), isDirectory: false), "\(path)") }
        for path in others { #expect(!pattern.matches(Array(path.utf8), isDirectory: false), "\(path)") }
    }

    @Test
    func `a slash at the end is for directories, and anchors nothing`() throws {
        let pattern = try GlobPattern(Array("cache/".utf8))
        #expect(pattern.matches(Array("a/cache".utf8), isDirectory: true))
        #expect(!pattern.matches(Array("a/cache".utf8), isDirectory: false))
        let anchored = try GlobPattern(Array("/cache/".utf8))
        #expect(anchored.matches(Array("cache".utf8), isDirectory: true))
        #expect(!anchored.matches(Array("a/cache".utf8), isDirectory: true))
        #expect(try GlobPattern(Array("a/**/".utf8)).matches(Array("a/b/c".utf8), isDirectory: true))
    }

    @Test
    func `names that are not UTF-8 are matched byte by byte`() throws {
        let pattern = try GlobPattern([0x63, 0xE9, UInt8(ascii: "*")])
        #expect(pattern.matches([0x63, 0xE9, 0xFF, 0x0A], isDirectory: false))
        #expect(!pattern.matches([0x63, 0xE8], isDirectory: false))
        #expect(try GlobPattern(Array("[!a]".utf8)).matches([0xFF], isDirectory: false))
    }

    @Test(
        arguments: [
            ("", GlobError.empty), ("/", .empty), ("a//b", .emptyName), ("a//", .emptyName), ("./a", .dots),
            ("a/../b", .dots), ("..", .dots), ("[", .openBracket), ("[a", .openBracket), ("[]", .openBracket),
            ("[!]", .openBracket), ("[a/b]", .openBracket), ("[\\]", .openBracket), ("[[:digit]", .openBracket),
            ("[[:digits:]]", .unknownClass), ("[z-a]", .backwardRange), ("a\\", .loneBackslash), ("a\0", .noName),
        ] as [(String, GlobError)]
    )
    func `what is no pattern is refused with a reason`(text: String, error: GlobError) {
        #expect(throws: error) { try GlobPattern(Array(text.utf8)) }
        #expect(throws: error) { try ExcludeRule(Array(("!" + text).utf8)) }
        #expect(!error.description.isEmpty)
    }

    /// With backtracking into each star these would take longer than the universe.
    @Test
    func `no pattern takes longer than its length times the path's`() throws {
        let stars = try GlobPattern(Array((String(repeating: "a*", count: 200) + "b").utf8))
        #expect(!stars.matches([UInt8](repeating: UInt8(ascii: "a"), count: 4096), isDirectory: false))
        let deep = try GlobPattern(Array((String(repeating: "**/a/", count: 200) + "b").utf8))
        let path = Array(repeating: "a", count: 2048).joined(separator: "/")
        #expect(!deep.matches(Array(path.utf8), isDirectory: false))
        #expect(deep.matches(Array((path + "/b").utf8), isDirectory: false))
        let both = try GlobPattern(Array((String(repeating: "**/*a*/", count: 100) + "b").utf8))
        #expect(!both.matches(Array(path.utf8), isDirectory: false))
    }

    @Test
    func `a slow and plain reader of patterns agrees on all small patterns and paths`() throws {
        let letters = ["a", "*", "?", "/", "**", "[!a]"]
        let paths = (1...5).flatMap { Self.texts(of: ["a", "b", "/"], count: $0) }
            .filter { !$0.hasPrefix("/") && !$0.hasSuffix("/") && !$0.contains("//") }
        for text in (1...4).flatMap({ Self.texts(of: letters, count: $0) }) {
            guard let pattern = try? GlobPattern(Array(text.utf8)) else { continue }
            for path in paths {
                let fast = pattern.matches(Array(path.utf8), isDirectory: true)
                if fast != Slow.matches(text, path) { Issue.record("\(text) and \(path): \(fast)") }
            }
        }
    }

    private static func texts(of letters: [String], count: Int) -> [String] {
        count == 0 ? [""] : texts(of: letters, count: count - 1).flatMap { text in letters.map { text + $0 } }
    }
}

/// gitignore(5) word by word, every way tried.
private enum Slow {
    static func matches(_ text: String, _ path: String) -> Bool {
        var pattern = text[...]
        if pattern.hasSuffix("/") { pattern = pattern.dropLast() }
        let isAnchored = pattern.contains("/")
        if pattern.hasPrefix("/") { pattern = pattern.dropFirst() }
        let names = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let wanted = pattern.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        return isAnchored ? all(wanted[...], names[...]) : one(Array(wanted[0]), Array(names[names.count - 1]))
    }

    private static func all(_ wanted: ArraySlice<String>, _ names: ArraySlice<String>) -> Bool {
        guard let first = wanted.first else { return names.isEmpty }
        if first == "**" {
            if wanted.count == 1 { return !names.isEmpty }
            return (0...names.count).contains { all(wanted.dropFirst(), names.dropFirst($0)) }
        }
        guard let name = names.first else { return false }
        return one(Array(first), Array(name)) && all(wanted.dropFirst(), names.dropFirst())
    }

    private static func one(_ wanted: [Character], _ name: [Character]) -> Bool {
        guard let first = wanted.first else { return name.isEmpty }
        if first == "*" {
            return (0...name.count).contains { one(Array(wanted.dropFirst()), Array(name.dropFirst($0))) }
        }
        guard let letter = name.first else { return false }
        if first == "[" { return letter != "a" && one(Array(wanted.dropFirst(4)), Array(name.dropFirst())) }
        return (first == "?" || first == letter) && one(Array(wanted.dropFirst()), Array(name.dropFirst()))
    }
}
