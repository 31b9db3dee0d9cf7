import MuleJSON
import MulePlan

/// The names that lead from the document to a key.
struct ConfigurationPath: Sendable {
    let names: [String]

    static let document = ConfigurationPath(names: [])

    func then(_ name: String) -> ConfigurationPath { ConfigurationPath(names: names + [name]) }

    /// `buckets.photos.region`, safe to show.
    var shown: String {
        let parts = names.map { name in
            let isPlain = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x2E }
            return isPlain ? name : "\"\(TextSafety.displayName(Array(name.utf8)))\""
        }
        return parts.joined(separator: ".")
    }
}

/// A mistake in a key, before its position in the file is known.
struct ConfigurationObjection: Error {
    let trail: ConfigurationPath
    let problem: ConfigurationError.Problem

    init(_ trail: ConfigurationPath, _ why: String) {
        self.trail = trail
        problem = .badValue(path: trail.names.isEmpty ? "the document" : trail.shown, why: why)
    }

    fileprivate init(unknown trail: ConfigurationPath, _ name: String, known: [String]) {
        self.trail = trail
        let lowered = name.lowercased()
        let hint: String
        if ["secret", "accesskey", "password", "token", "credential"].contains(where: { lowered.contains($0) }) {
            hint = "; secrets do not belong here: put them into a profile (aws configure) and name it with \"profile\""
        } else if let home = Self.home(of: name, known: known, trail) {
            hint = "; it belongs \(home)"
        } else if let near = Suggestion.nearest(of: name, in: known) {
            hint = "; did you mean \"\(near)\"?"
        } else {
            hint = "; known keys: \(known.joined(separator: ", "))"
        }
        problem = .unknownKey(path: trail.shown, hint: hint)
    }

    /// Where else in the document a key that is unknown here is valid; nil if nowhere.
    private static func home(of name: String, known: [String], _ trail: ConfigurationPath) -> String? {
        if ConfigurationKey<ObjectOptions>.rows.contains(where: { $0.name == name }) {
            return known.contains("object") ? "in \"object\"" : "in the \"object\" of the document or of a job"
        }
        if ConfigurationKey<Configuration>.root.contains(where: { $0.name == name }) {
            return trail.names.dropLast().last == "object" ? "outside of \"object\"" : "at the top of the document"
        }
        if ConfigurationKey<JobOptions>.rows.contains(where: { $0.name == name }) { return "in a job of \"jobs\"" }
        return nil
    }
}

/// One key of a JSON object in the configuration file: its name, and how its value is parsed into `Root`.
struct ConfigurationKey<Root>: Sendable {
    let name: String
    /// The type of the value, for the documentation.
    let kind: String
    /// What the key does; nil if an option with the same meaning documents it.
    let about: String?
    /// `trail` leads to this key, for messages. Mistakes are added to the objections, and reading continues.
    let read: @Sendable (inout Root, JSONValue, _ trail: ConfigurationPath, inout [ConfigurationObjection]) -> Void

    /// A key with one value, which is valid or not.
    static func value(
        _ name: String,
        kind: String,
        about: String? = nil,
        _ read: @escaping @Sendable (inout Root, JSONValue, ConfigurationPath) throws(ConfigurationObjection) -> Void
    ) -> Self {
        Self(name: name, kind: kind, about: about) { root, value, trail, objections in
            do throws(ConfigurationObjection) { try read(&root, value, trail) } catch { objections.append(error) }
        }
    }

    /// A text.
    static func text<Value>(
        _ name: String,
        _ field: any WritableKeyPath<Root, Value?> & Sendable,
        _ read: @escaping @Sendable (String) throws(OptionValueError) -> Value,
        about: String? = nil
    ) -> Self {
        value(name, kind: "string", about: about) { root, value, trail throws(ConfigurationObjection) in
            root[keyPath: field] = try reading(string(value, trail), at: trail, read)
        }
    }

    /// A text with a unit, such as "16MiB" or "15m", or a number without one.
    static func quantity<Value>(
        _ name: String,
        _ field: any WritableKeyPath<Root, Value?> & Sendable,
        _ read: @escaping @Sendable (String) throws(OptionValueError) -> Value
    ) -> Self {
        value(name, kind: "string or number") { root, value, trail throws(ConfigurationObjection) in
            let text: String
            switch value {
            case .string(let string): text = string
            case .int(let number): text = String(number)
            default:
                throw ConfigurationObjection(trail, "expected a string or a whole number, found \(value.kind)")
            }
            root[keyPath: field] = try reading(text, at: trail, read)
        }
    }

    /// A switch.
    static func setting(
        _ name: String,
        _ field: any WritableKeyPath<Root, Bool?> & Sendable
    ) -> Self {
        value(name, kind: "true or false") { root, value, trail throws(ConfigurationObjection) in
            guard case .bool(let isOn) = value else {
                throw ConfigurationObjection(trail, "expected true or false, found \(value.kind)")
            }
            root[keyPath: field] = isOn
        }
    }

    /// A file path, which must not depend on the directory that the program happens to run in.
    static func path(
        _ name: String,
        _ field: any WritableKeyPath<Root, [UInt8]?> & Sendable,
        about: String? = nil
    ) -> Self {
        value(name, kind: "path", about: about) { root, value, trail throws(ConfigurationObjection) in
            root[keyPath: field] = try path(value, trail)
        }
    }

    static func path(_ value: JSONValue, _ trail: ConfigurationPath) throws(ConfigurationObjection) -> [UInt8] {
        guard case .string(let text) = value else {
            throw ConfigurationObjection(trail, "expected a file path in double quotes, found \(value.kind)")
        }
        guard text.hasPrefix("/") || text.hasPrefix("~/") else {
            let shown = TextSafety.displayName(Array(text.utf8))
            throw ConfigurationObjection(trail, "\"\(shown)\" is a relative path; start it with / or ~/")
        }
        guard !text.utf8.contains(0) else {
            throw ConfigurationObjection(trail, "a path cannot contain a NUL character")
        }
        return Array(text.utf8)
    }

    /// An array of texts.
    static func list<Value>(
        _ name: String,
        _ field: any WritableKeyPath<Root, [Value]> & Sendable,
        _ read: @escaping @Sendable (String) throws(OptionValueError) -> Value
    ) -> Self {
        Self(name: name, kind: "array of strings", about: nil) { root, value, trail, objections in
            guard case .array(let values) = value else {
                let why = "expected an array [ ] of strings, found \(value.kind)"
                return objections.append(ConfigurationObjection(trail, why))
            }
            for (index, value) in values.enumerated() {
                let trail = trail.then(String(index))
                do throws(ConfigurationObjection) {
                    root[keyPath: field].append(try reading(string(value, trail), at: trail, read))
                } catch {
                    objections.append(error)
                }
            }
        }
    }

    /// An object whose keys are free and whose values are texts.
    static func pairs(
        _ name: String,
        _ field: any WritableKeyPath<Root, [NamedText]> & Sendable,
        _ read: @escaping @Sendable (_ name: String, _ text: String) throws(OptionValueError) -> NamedText,
        about: String?
    ) -> Self {
        Self(name: name, kind: "object of strings", about: about) { root, value, trail, objections in
            for (name, value) in members(of: value, trail, &objections) {
                let trail = trail.then(name)
                do throws(ConfigurationObjection) {
                    let text = try string(value, trail)
                    root[keyPath: field].put(
                        try reading(text, at: trail) { text throws(OptionValueError) in try read(name, text) }
                    )
                } catch {
                    objections.append(error)
                }
            }
        }
    }

    /// An object with known keys.
    static func object<Inner>(
        _ name: String,
        _ field: any WritableKeyPath<Root, Inner> & Sendable,
        _ keys: [ConfigurationKey<Inner>],
        about: String
    ) -> Self {
        Self(name: name, kind: "object", about: about) { root, value, trail, objections in
            ConfigurationKey<Inner>.read(value, keys, into: &root[keyPath: field], trail: trail, &objections)
        }
    }

    /// The same key for a structure that contains this one.
    func within<Outer>(_ field: any WritableKeyPath<Outer, Root> & Sendable) -> ConfigurationKey<Outer> {
        ConfigurationKey<Outer>(name: name, kind: kind, about: about) { [read] outer, value, trail, objections in
            read(&outer[keyPath: field], value, trail, &objections)
        }
    }

    static func string(_ value: JSONValue, _ trail: ConfigurationPath) throws(ConfigurationObjection) -> String {
        guard case .string(let text) = value else {
            throw ConfigurationObjection(trail, "expected a string in double quotes, found \(value.kind)")
        }
        return text
    }

    static func reading<Value>(
        _ text: String,
        at trail: ConfigurationPath,
        _ read: (String) throws(OptionValueError) -> Value
    ) throws(ConfigurationObjection) -> Value {
        do { return try read(text) } catch {
            let shown = error.hidesValue ? "the value" : "\"\(TextSafety.displayName(Array(text.utf8)))\""
            throw ConfigurationObjection(trail, "\(shown) \(error.why)")
        }
    }

    /// Reads an object key by key; unknown and invalid keys are skipped with an objection.
    static func read(
        _ value: JSONValue,
        _ keys: [Self],
        into root: inout Root,
        trail: ConfigurationPath,
        _ objections: inout [ConfigurationObjection]
    ) {
        for (name, value) in members(of: value, trail, &objections) {
            let trail = trail.then(name)
            if let key = keys.first(where: { $0.name == name }) {
                key.read(&root, value, trail, &objections)
            } else {
                objections.append(ConfigurationObjection(unknown: trail, name, known: keys.map(\.name)))
            }
        }
    }

    /// Sorted, so that the same file always gives the same objections.
    static func members(
        of value: JSONValue,
        _ trail: ConfigurationPath,
        _ objections: inout [ConfigurationObjection]
    ) -> [(String, JSONValue)] {
        guard case .object(let members) = value else {
            let why = "expected an object { }, found \(value.kind)"
            objections.append(ConfigurationObjection(trail, why))
            return []
        }
        return members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { ($0.key, $0.value) }
    }
}

extension JSONValue {
    /// The type of value, for messages.
    var kind: String {
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
