import MuleUpload

/// Why a command failed as a whole, independent of single uploads.
struct CommandFailure: Error {
    var status: ExitStatus
    var message: String
}

extension ExitStatus {
    init(_ kind: UploadFailure.Kind) {
        switch kind {
        case .usage: self = .usage
        case .source: self = .source
        case .store: self = .refused
        case .credentials: self = .credentials
        case .signer: self = .failed
        case .verification: self = .unverified
        case .exists: self = .destinationExists
        case .held: self = .locked
        case .ledger: self = .ledger
        case .network: self = .temporary
        case .limit: self = .limitReached
        case .interrupted: self = .interrupted
        }
    }

    /// The status after a signal.
    static var interruption: ExitStatus {
        ExitStatus(rawValue: 128 + Signals.stopSignal) ?? .interrupted
    }

    /// The exit status of a run: that of the failures if all have the same, else 1.
    init(_ tallies: FailureTally...) {
        let all = Set(tallies.flatMap(\.kinds).map { ExitStatus($0) })
        self = all.count > 1 ? .failed : all.first ?? .done
    }

    init(_ failures: [UploadFailure]) {
        self.init(FailureTally(failures))
    }
}
