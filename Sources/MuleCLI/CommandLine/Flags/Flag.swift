/// A row of the flag table: how an option is written, which commands take it, its help and what it sets.
///
/// Used by parsing, help, man pages, the reference in docs/reference and shell completion.
package struct Flag: Sendable {
    /// The headings of options in help.
    package enum Group: String, CaseIterable, Sendable {
        case job = "Job options"
        case transfer = "Transfer options"
        case object = "Object options"
        case selection = "Selection options"
        case checks = "Check options"
        case url = "URL options"
        case policy = "Policy options"
        case shared = "Shared options"
    }

    /// The kind of value of an option or operand, for completion.
    package enum Value: Equatable, Sendable {
        /// No value: it is a switch.
        case none
        case text
        /// One of these words.
        case choice([String])
        case file
        case directory
        /// A line for the shell.
        case command
        /// A profile of the AWS configuration.
        case profile
        /// A job of the configuration.
        case job
        /// An unfinished upload of the ledger.
        case uploadID
    }

    /// Without the leading dashes.
    package let name: String
    package let letter: Character?
    /// The value's name in help; nil for a switch.
    package let placeholder: String?
    package let value: Value
    package let group: Group
    package let commands: Set<Command>
    package let isRepeatable: Bool
    /// The name, without dashes, that turns a switch off: the last of the two on the line counts.
    package let negation: String?
    /// Whether the variable `MULE_<NAME>` is read if the flag is not given.
    package let readsEnvironment: Bool
    package let help: String
    /// Sets the option; the value is empty for a switch, and "on" is false for its negation.
    let update: @Sendable (inout Arguments, _ value: [UInt8], _ on: Bool) throws(OptionValueError) -> Void
    /// Whether the value may be omitted, at the end of the line or before another flag; "on" is false then.
    package var valueIsOptional = false

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
        sets field: any WritableKeyPath<Arguments, Bool> & Sendable,
        negation: String? = nil,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: letter,
            placeholder: nil,
            value: .none,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: negation,
            readsEnvironment: false,
            help: help
        ) { arguments, _, on in arguments[keyPath: field] = on }
    }

    /// A switch that can be set elsewhere too: `--NAME` and `--no-NAME` go before that.
    static func setting(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Arguments, Bool?> & Sendable,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: nil,
            placeholder: nil,
            value: .none,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: "no-" + name,
            readsEnvironment: false,
            help: help
        ) { arguments, _, on in arguments[keyPath: field] = on }
    }

    /// An option with a text value, of which the last one counts.
    static func value<Field>(
        _ name: String,
        letter: Character? = nil,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Arguments, Field?> & Sendable,
        reading read: @escaping @Sendable (String) throws(OptionValueError) -> Field,
        value: Value = .text,
        readsEnvironment: Bool? = nil,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: letter,
            placeholder: placeholder,
            value: value,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: readsEnvironment ?? (group != .object),
            help: help
        ) { arguments, bytes, _ throws(OptionValueError) in arguments[keyPath: field] = try read(text(bytes)) }
    }

    /// An option with one of a fixed set of words.
    static func choice<Choice: RawRepresentable<String> & CaseIterable & SendableMetatype>(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Arguments, Choice?> & Sendable,
        placeholder: String? = nil,
        readsEnvironment: Bool? = nil,
        _ help: String
    ) -> Flag {
        let words = Choice.allCases.map(\.rawValue)
        return value(
            name,
            placeholder ?? words.joined(separator: "|"),
            group,
            commands,
            sets: field,
            reading: OptionValue.choice,
            value: .choice(words),
            readsEnvironment: readsEnvironment,
            help
        )
    }

    /// An option with a value of the form `name=text`, which may be given several times.
    static func pair(
        _ name: String,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        adds field: any WritableKeyPath<Arguments, [NamedText]> & Sendable,
        reading read: @escaping @Sendable (String) throws(OptionValueError) -> NamedText,
        _ help: String
    ) -> Flag {
        repeatable(name, placeholder, .text, group, commands, help) { arguments, bytes, _ throws(OptionValueError) in
            arguments[keyPath: field].put(try read(text(bytes)))
        }
    }

    /// An option whose value may be any bytes, and which may be given several times.
    static func list<Element>(
        _ name: String,
        _ placeholder: String,
        _ group: Group,
        _ commands: Set<Command>,
        adds field: any WritableKeyPath<Arguments, [Element]> & Sendable,
        reading read: @escaping @Sendable ([UInt8]) throws(OptionValueError) -> Element,
        value: Value = .text,
        _ help: String
    ) -> Flag {
        repeatable(name, placeholder, value, group, commands, help) { arguments, bytes, _ throws(OptionValueError) in
            arguments[keyPath: field].append(try read(bytes))
        }
    }

    /// It has no variable, because that could hold only one value.
    private static func repeatable(
        _ name: String,
        _ placeholder: String,
        _ value: Value,
        _ group: Group,
        _ commands: Set<Command>,
        _ help: String,
        update: @escaping @Sendable (inout Arguments, [UInt8], Bool) throws(OptionValueError) -> Void
    ) -> Flag {
        Flag(
            name: name,
            letter: nil,
            placeholder: placeholder,
            value: value,
            group: group,
            commands: commands,
            isRepeatable: true,
            negation: nil,
            readsEnvironment: false,
            help: help,
            update: update
        )
    }

    /// An option whose value is a file path, or other bytes that must not be empty.
    static func path(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        placeholder: String = "FILE",
        value: Value = .file,
        sets field: any WritableKeyPath<Arguments, [UInt8]?> & Sendable,
        readsEnvironment: Bool = true,
        _ help: String
    ) -> Flag {
        Flag(
            name: name,
            letter: nil,
            placeholder: placeholder,
            value: value,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: readsEnvironment,
            help: help
        ) { arguments, bytes, _ throws(OptionValueError) in
            guard !bytes.isEmpty else { throw OptionValueError("must not be empty") }
            arguments[keyPath: field] = bytes
        }
    }

    /// The same, but the value may be omitted, which sets another field.
    static func pathOrNone(
        _ name: String,
        _ group: Group,
        _ commands: Set<Command>,
        sets field: any WritableKeyPath<Arguments, [UInt8]?> & Sendable,
        alone switched: any WritableKeyPath<Arguments, Bool> & Sendable,
        _ help: String
    ) -> Flag {
        let named = path(name, group, commands, sets: field, help)
        return Flag(
            name: name,
            letter: nil,
            placeholder: named.placeholder,
            value: named.value,
            group: group,
            commands: commands,
            isRepeatable: false,
            negation: nil,
            readsEnvironment: true,
            help: help,
            update: { arguments, bytes, on throws(OptionValueError) in
                if on { try named.update(&arguments, bytes, on) } else { arguments[keyPath: switched] = true }
            },
            valueIsOptional: true
        )
    }

    private static func text(_ bytes: [UInt8]) throws(OptionValueError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw OptionValueError("is not valid UTF-8") }
        return text
    }
}
