import MuleCredentials
import MuleLedger
import MuleSystem

/// The operand of `mule completion`: a shell whose script to print, or a kind of values that a script asks for.
enum CompletionRequest: String {
    case bash, zsh, fish
    case ids, jobs, profiles
}

/// `mule completion`
struct CompletionCommand {
    let request: CompletionRequest
    let arguments: Arguments
    let environment: [String: String]

    /// The lines to print. Unreadable candidates are omitted: a message would appear in the middle of the line being
    /// typed.
    var lines: [String] {
        switch request {
        case .bash: [BashCompletion.script]
        case .zsh: [ZshCompletion.script]
        case .fish: [FishCompletion.script]
        case .ids: ids
        case .jobs: configuration.jobs.keys.sorted()
        case .profiles: (try? SharedConfiguration.load(environment: environment).profileNames) ?? []
        }
    }

    /// Seconds to wait for another process's lock: the user waits for the completion.
    private static let patience = 0.5

    private var configuration: Configuration {
        let location = FileLocation.configuration(flag: arguments.config, environment: environment)
        return (try? Configuration.load(location)) ?? Configuration()
    }

    /// The IDs of the uploads that resume and abort act on. A missing ledger is not created.
    private var ids: [String] {
        let location = FileLocation.ledger(
            flag: arguments.ledger,
            environment: environment,
            configuration: configuration
        )
        guard let path = location?.path, (try? FileStatus.of(path: path)) != nil,
            let ledger = try? Ledger(path: path, busyTimeout: Self.patience),
            var uploads = try? UploadCursor(ledger, .open)
        else { return [] }
        var ids: [String] = []
        while let slice = try? uploads.next(), !slice.isEmpty { ids += slice.map(\.id) }
        return ids
    }
}
