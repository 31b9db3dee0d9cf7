/// All flags. A new flag is a new row.
package enum FlagTable {
    /// In the order of help. Rows that share a name all take a value, or none does.
    package static let rows: [Flag] =
        job + transfer + proof + object + files + selection + report + checks + url + policy + shared

    /// The rows of a command.
    package static func rows(for command: Command) -> [Flag] { rows.filter { $0.commands.contains(command) } }

    /// The help of the first row with this name.
    static func help(of name: String) -> String { rows.first { $0.name == name }?.help ?? "" }

    static let every = Set(Command.allCases)
    static let sending: Set<Command> = [.upload, .resume, .adopt, .archive]
    /// Commands that upload files they find.
    static let filing: Set<Command> = [.upload, .archive]
    static let archive: Set<Command> = [.archive]
    /// Commands that use the ledger or a store.
    static let working = every.subtracting([.config])
    /// Commands that send requests about objects.
    static let storing = working.subtracting([.report, .completion])
    static let upload: Set<Command> = [.upload]
    static let doctor: Set<Command> = [.doctor]
    /// Commands whose destination is one object, or a prefix for it.
    static let toObject: Set<Command> = [.upload, .adopt, .verify]
}
