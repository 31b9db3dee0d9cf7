/// Every flag that mule knows. A new flag is a new row.
package enum FlagTable {
    /// In the order of help. Where two commands share a name, both rows take a value or neither does.
    package static let rows: [Flag] = job + transfer + proof + object + files + selection + report + checks + shared

    /// The rows that a command takes.
    package static func rows(for command: Command) -> [Flag] { rows.filter { $0.commands.contains(command) } }

    /// What the first flag of a name says.
    static func help(of name: String) -> String { rows.first { $0.name == name }?.help ?? "" }

    static let every = Set(Command.allCases)
    static let sending: Set<Command> = [.upload, .resume, .adopt, .archive]
    /// Those that start uploads of files they find.
    static let filing: Set<Command> = [.upload, .archive]
    static let archive: Set<Command> = [.archive]
    /// Those that work with the ledger or a store.
    static let working = every.subtracting([.config])
    static let upload: Set<Command> = [.upload]
    static let doctor: Set<Command> = [.doctor]
    /// Those that name one object, or a prefix for it.
    static let toObject: Set<Command> = [.upload, .adopt, .verify]
}
