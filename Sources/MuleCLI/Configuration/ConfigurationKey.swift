import MuleJSON
import MulePlan

/// One key of a JSON object in the configuration file: its name, and how its value is read into `Root`.
struct ConfigurationKey<Root>: Sendable {
    let name: String
    /// `path` leads to this key, for messages.
    let read: @Sendable (inout Root, JSONValue, _ path: String) throws(ConfigurationError) -> Void

    /// A text.
    static func text<Value>(
        _ name: String,
        _ field: any WritableKeyPath<Root, Value?> & Sendable,
        _ read: @escaping @Sendable (String) throws(OptionValueError) -> Value
    ) -> Self {
        Self(name: name) { root, value, path throws(ConfigurationError) in
            guard case .string(let text) = value else {
                throw .badValue(path, "a string in double quotes is wanted, but \(value.kind) was found")
            }
            root[keyPath: field] = try reading(text, at: path, read)
        }
    }

    /// A text with a unit, such as "16MiB" or "15m", or a number without one.
    static func quantity<Value>(
        _ name: String,
        _ field: any WritableKeyPath<Root, Value?> & Sendable,
        _ read: @escaping @Sendable (String) throws(OptionValueError) -> Value
    ) -> Self {
        Self(name: name) { root, value, path throws(ConfigurationError) in
            let text: String
            switch value {
            case .string(let string): text = string
            case .int(let number): text = String(number)
            default: throw .badValue(path, "a string or a whole number is wanted, but \(value.kind) was found")
            }
            root[keyPath: field] = try reading(text, at: path, read)
        }
    }

    /// A file path, which must not depend on the directory that the program happens to run in.
    static func path(_ name: String, _ field: any WritableKeyPath<Root, [UInt8]?> & Sendable) -> Self {
        Self(name: name) { root, value, path throws(ConfigurationError) in
            guard case .string(let text) = value else {
                throw .badValue(path, "a file path in double quotes is wanted, but \(value.kind) was found")
            }
            guard text.hasPrefix("/") || text.hasPrefix("~/") else {
                let shown = TextSafety.displayName(Array(text.utf8))
                throw .badValue(path, "\"\(shown)\" is a relative path; begin it with / or ~/")
            }
            guard !text.utf8.contains(0) else { throw .badValue(path, "a path can't hold a NUL") }
            root[keyPath: field] = Array(text.utf8)
        }
    }

    /// An object whose keys are free and whose values are texts.
    static func pairs(
        _ name: String,
        _ field: any WritableKeyPath<Root, [NamedText]> & Sendable,
        _ read: @escaping @Sendable (_ name: String, _ text: String) throws(OptionValueError) -> NamedText
    ) -> Self {
        Self(name: name) { root, value, path throws(ConfigurationError) in
            for (name, value) in try members(of: value, path) {
                let path = join(path, name)
                guard case .string(let text) = value else {
                    throw .badValue(path, "a string in double quotes is wanted, but \(value.kind) was found")
                }
                root[keyPath: field].put(
                    try reading(text, at: path) { text throws(OptionValueError) in try read(name, text) }
                )
            }
        }
    }

    private static func reading<Value>(
        _ text: String,
        at path: String,
        _ read: (String) throws(OptionValueError) -> Value
    ) throws(ConfigurationError) -> Value {
        do { return try read(text) } catch {
            let shown = error.hidesValue ? "the value" : "\"\(TextSafety.displayName(Array(text.utf8)))\""
            throw .badValue(path, "\(shown) \(error.why)")
        }
    }

    /// Reads an object key by key; the first key that is unknown or has a bad value is the error.
    static func read(
        _ value: JSONValue,
        _ keys: [Self],
        into root: inout Root,
        path: String
    ) throws(ConfigurationError) {
        for (name, value) in try members(of: value, path) {
            guard let key = keys.first(where: { $0.name == name }) else {
                throw .unknownKey(join(path, name), known: keys.map(\.name), name)
            }
            try key.read(&root, value, join(path, name))
        }
    }

    /// Sorted, so that the same file always gives the same first error.
    static func members(of value: JSONValue, _ path: String) throws(ConfigurationError) -> [(String, JSONValue)] {
        guard case .object(let members) = value else {
            throw .badValue(
                path.isEmpty ? "the document" : path,
                "an object { } is wanted, but \(value.kind) was found"
            )
        }
        return members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { ($0.key, $0.value) }
    }

    static func join(_ path: String, _ name: String) -> String {
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x2E }
        let shown = isPlain ? name : "\"\(TextSafety.displayName(Array(name.utf8)))\""
        return path.isEmpty ? shown : path + "." + shown
    }
}

extension ConfigurationError {
    fileprivate static func badValue(_ path: String, _ why: String) -> Self { Self(.badValue(path: path, why: why)) }

    fileprivate static func unknownKey(_ path: String, known: [String], _ name: String) -> Self {
        let lowered = name.lowercased()
        if ["secret", "accesskey", "password", "token", "credential"].contains(where: { lowered.contains($0) }) {
            let hint =
                "; mule keeps no secrets here, put them into a profile (aws configure) and name it with \"profile\""
            return Self(.unknownKey(path: path, hint: hint))
        }
        if let near = Suggestion.nearest(of: name, in: known) {
            return Self(.unknownKey(path: path, hint: "; did you mean \"\(near)\"?"))
        }
        return Self(.unknownKey(path: path, hint: "; known here are \(known.joined(separator: ", "))"))
    }
}

extension JSONValue {
    /// The kind of value, as a message names it.
    fileprivate var kind: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): "the number \(value)"
        case .double(let value): "the number \(value)"
        case .string: "a string"
        case .array: "an array [ ]"
        case .object: "an object { }"
        }
    }
}
