import Glibc
import TestSupport

/// The moment at which a program is killed, as a number in the course of its run.
struct Kill: Sendable, CustomStringConvertible {
    enum Moment: Sendable {
        /// Around the n-th call that changes the ledger's files or directories; `Tests/CrashShim` says what each means.
        case call(CallMoment)
        /// Around the n-th request that the store sees.
        case request(RequestMoment)
    }

    enum CallMoment: String, Sendable, CaseIterable {
        case before, middle, after
        /// Not the process dies but the machine: of the ledger only what was synced is left.
        case cut
        /// As `cut`, but any sectors of what was not synced may be on disk too.
        case torn

        var isPowerCut: Bool { self == .cut || self == .torn }
    }

    enum RequestMoment: String, Sendable, CaseIterable {
        case arrived, processed, answered
    }

    var number: Int
    var moment: Moment
    /// Draws the sectors of a torn ledger.
    var seed: UInt64 = 1

    var description: String {
        switch moment {
        case .call(let moment): "\(moment.rawValue), ledger call \(number), seed \(seed)"
        case .request(let moment): "request \(number) \(moment.rawValue)"
        }
    }

    var isPowerCut: Bool { if case .call(let moment) = moment { moment.isPowerCut } else { false } }

    /// Environment variables for the shim.
    ///
    /// - Parameters:
    ///   - root: the directory whose changes count.
    ///   - image: a copy of the directory as a power loss leaves it.
    static func orders(_ kill: Kill?, root: String, image: String, note: String) -> [String: String] {
        var orders = shim(root: root, image: image, note: note)
        if let kill, case .call(let moment) = kill.moment {
            orders["CRASH_AT"] = "\(kill.number)"
            orders["CRASH_HOW"] = moment.rawValue
            orders["CRASH_SEED"] = "\(kill.seed)"
        }
        return orders
    }

    /// Environment variables with which the sync of this number fails; the note has its path.
    static func failure(ofSync number: Int, root: String, image: String, note: String) -> [String: String] {
        shim(root: root, image: image, note: note).merging(["CRASH_AT": "\(number)", "CRASH_HOW": "failedSync"]) { $1 }
    }

    private static func shim(root: String, image: String, note: String) -> [String: String] {
        [
            "LD_PRELOAD": "\(TestCommand.productsDirectory)/libcrash-shim.so", "CRASH_ROOT": root,
            "CRASH_IMAGE": image, "CRASH_NOTE": note,
        ]
    }

    /// What the store does at the moment of a request.
    func fault(_ killSwitch: KillSwitch) -> Fault? {
        guard case .request(let moment) = moment else { return nil }
        let strike: @Sendable (RecordedRequest) -> Void = { _ in killSwitch.strike() }
        return switch moment {
        case .arrived: .on(nil, occurrence: number, .run(.headersRead, strike), .closeBeforeProcessing)
        case .processed: .on(nil, occurrence: number, .run(.afterProcessing, strike))
        case .answered: .on(nil, occurrence: number, .run(.afterAnswer, strike))
        }
    }
}
