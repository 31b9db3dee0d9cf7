/// One row of the flag table: how an option is written, which commands take it, what its help says and what it sets.
package struct Flag: Sendable {
    /// The headings under which help lists flags.
    package enum Group: String, CaseIterable, Sendable {
        case job = "The job"
        case transfer = "Transfer options"
        case object = "Options for the object"
        case selection = "Selection"
        case checks = "What is checked"
        case shared = "Shared options"
    }

    /// Without the leading dashes.
    package let name: String
    package let letter: Character?
    /// What stands for the value in help; nil for a switch.
    package let placeholder: String?
    package let group: Group
    package let commands: Set<Command>
    package let isRepeatable: Bool
    /// The name, without dashes, that takes a switch back: the last of the two on the line wins.
    package let negation: String?
    /// True when the variable `MULE_<NAME>` stands in for the flag.
    package let readsEnvironment: Bool
    package let help: String
    /// Puts the value (empty for a switch, "on" false for its negation) where it belongs.
    let update: @Sendable (inout Typed, _ value: [UInt8], _ on: Bool) throws(OptionValueError) -> Void
    /// Whether it may stand without its value, as the last word or before another flag; "on" is false then.
    var valueIsOptional = false

    /// `MULE_PART_SIZE` for `part-size`.
    package var environmentName: String {
        "MULE_" + name.uppercased().split(separator: "-").joined(separator: "_")
    }

    /// A switch.
    static func on(
        _ name: String,
        letter: Character? = nil,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Typed, Bool> & Sendable,
        negation: String? = nil,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: letter,
            placeholder: nil,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: negation,
            readsEnvironment: false,
            help: help
        ) { typed, _, on in typed[keyPath: field] = on }
    }

    /// An option with a text value, of which the last one counts.
    static func value<Value>(
        _ name: String,
        letter: Character? = nil,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Typed, Value?> & Sendable,
        reading read: @escaping @Sendable (String) throws(OptionValueError) -> Value,
        readsEnvironment: Bool? = nil,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: letter,
            placeholder: placeholder,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: readsEnvironment ?? (group != .object),
            help: help
        ) { typed, bytes, _ throws(OptionValueError) in typed[keyPath: field] = try read(text(bytes)) }
    }

    /// An option with a value of the form `name=text`, which may stand several times.
    static func pair(
        _ name: String,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        adds field: any WritableKeyPath<Typed, [NamedText]> & Sendable,
        reading read: @escaping @Sendable (String) throws(OptionValueError) -> NamedText,
        _ help: String
    ) -> Flag {
        repeatable(name, placeholder, group, commands, help) { typed, bytes, _ throws(OptionValueError) in
            typed[keyPath: field].put(try read(text(bytes)))
        }
    }

    /// An option with a value of any bytes, which may stand several times.
    static func list<Value>(
        _ name: String,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        adds field: any WritableKeyPath<Typed, [Value]> & Sendable,
        reading read: @escaping @Sendable ([UInt8]) throws(OptionValueError) -> Value,
        _ help: String
    ) -> Flag {
        repeatable(name, placeholder, group, commands, help) { typed, bytes, _ throws(OptionValueError) in
            typed[keyPath: field].append(try read(bytes))
        }
    }

    /// No variable stands for it: that could hold one value.
    private static func repeatable(
        _ name: String,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        _ help: String,
        update: @escaping @Sendable (inout Typed, [UInt8], Bool) throws(OptionValueError) -> Void
    ) -> Flag {
        Flag(
            name: name,
            letter: nil,
            placeholder: placeholder,
            group: group,
            commands: commands,
            isRepeatable: true,
            negation: nil,
            readsEnvironment: false,
            help: help,
            update: update
        )
    }

    /// An option whose value is a command for the shell: any bytes but none at all.
    static func command(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Typed, [UInt8]?> & Sendable,
        _ help: String
    ) -> Flag {
        path(name, group, commands, placeholder: "COMMAND", sets: field, readsEnvironment: false, help)
    }

    /// An option whose value is a file path: any bytes but none at all.
    static func path(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        placeholder: String = "FILE",
        sets field: any WritableKeyPath<Typed, [UInt8]?> & Sendable,
        readsEnvironment: Bool = true,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: nil,
            placeholder: placeholder,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: readsEnvironment,
            help: help
        ) { typed, bytes, _ throws(OptionValueError) in
            guard !bytes.isEmpty else { throw OptionValueError("must not be empty") }
            typed[keyPath: field] = bytes
        }
    }

    /// The same, but it may stand without its value, which sets another field then.
    static func pathOrNone(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Typed, [UInt8]?> & Sendable,
        alone switched: any WritableKeyPath<Typed, Bool> & Sendable,
        _ help: String
    ) -> Flag {
        let named = path(name, group, commands, sets: field, help)
        return Flag(
            name: name,
            letter: nil,
            placeholder: named.placeholder,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: true,
            help: help,
            update: { typed, bytes, on throws(OptionValueError) in
                if on { try named.update(&typed, bytes, on) } else { typed[keyPath: switched] = true }
            },
            valueIsOptional: true
        )
    }

    private static func text(_ bytes: [UInt8]) throws(OptionValueError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw OptionValueError("is not valid UTF-8") }
        return text
    }
}
