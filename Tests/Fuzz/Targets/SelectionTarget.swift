import MulePlan
import MuleSources

extension FuzzTarget {
    /// Patterns, templates and actions as in a configuration: the first line is one of them, the rest the path of a
    /// file.
    static let selection = FuzzTarget("selection") { bytes throws(BrokenPromise) in
        let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        let text = Array(bytes[..<end])
        // As the walk makes them: no name is empty, and none holds a NUL.
        let names = bytes[end...].dropFirst().filter { $0 != 0 }.split(separator: UInt8(ascii: "/"))
        let path = Array(names.joined(separator: [UInt8(ascii: "/")]))
        try checkPattern(text, path)
        if !path.isEmpty { try checkTemplate(text, path) }
        if let action = try? AfterAction(parsing: text), String(validating: text, as: UTF8.self) != nil {
            let again = try? AfterAction(parsing: Array(action.description.utf8))
            try promise(again == action, "\(action.description) reads differently")
        }
    }
}

private func checkPattern(_ text: [UInt8], _ path: [UInt8]) throws(BrokenPromise) {
    let slash = UInt8(ascii: "/")
    let names = path.split(separator: slash)
    if let pattern = try? GlobPattern(text) {
        let matches = pattern.matches(path, isDirectory: true)
        try promise(
            matches || !pattern.matches(path, isDirectory: false),
            "a file is meant where a directory of its name is not"
        )
        // Of a pattern without a slash only the last name counts.
        if !text.dropLast().contains(slash), text.first != slash, let last = names.last {
            try promise(
                matches == pattern.matches(Array(last), isDirectory: true),
                "a name differs with what leads to it"
            )
            let deep = try? GlobPattern(Array("**/".utf8) + text)
            if text != Array("**".utf8), text != Array("**/".utf8) {
                try promise(deep?.matches(path, isDirectory: true) == matches, "**/ is more than any depth")
            }
        }
        let exception = try? ExcludeRule([UInt8(ascii: "!")] + text)
        try promise(exception == ExcludeRule(pattern: pattern, isException: true), "an exception has another pattern")
    }
    // Each byte escaped, a path means itself and nothing else.
    guard !path.isEmpty, !names.contains(where: { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) else {
        return
    }
    let escaped = path.flatMap { $0 == slash ? [slash] : [UInt8(ascii: "\\"), $0] }
    guard let itself = try? GlobPattern([slash] + escaped) else {
        throw BrokenPromise(sentence: "an escaped path is refused")
    }
    try promise(itself.matches(path, isDirectory: false), "an escaped path does not match itself")
    for other in [path + [0x61], [0x61] + path, path + Array("/a".utf8), Array(path.dropLast())] {
        try promise(!itself.matches(other, isDirectory: false), "an escaped path matches another")
    }
}

private func checkTemplate(_ text: [UInt8], _ path: [UInt8]) throws(BrokenPromise) {
    let run = DestinationTemplate.Run(host: "h", year: 2026, month: 2, day: 3)
    func key(_ template: DestinationTemplate) -> ObjectKey? {
        try? template.address(for: path, in: run, digest: [UInt8](0..<32), uuid: [UInt8](0..<16)).key
    }
    guard let split = try? DestinationTemplate("b/{stem}{ext}"), let whole = try? DestinationTemplate("b/{name}") else {
        throw BrokenPromise(sentence: "a plain template is refused")
    }
    try promise(key(split) == key(whole) && key(whole) != nil, "stem and extension are not the name")
    guard let template = try? DestinationTemplate(String(decoding: text, as: UTF8.self)), let key = key(template) else {
        return
    }
    try promise(String(validating: key.utf8, as: UTF8.self) != nil, "a key that is not UTF-8")
    try promise(
        template.bucket.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/{}".utf8.contains($0) },
        "the bucket \(template.bucket)"
    )
    if template.isInjective { try promise(template.tellsFilesApart, "keys that differ do not differ") }
}
