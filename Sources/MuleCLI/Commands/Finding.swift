import MuleJSON

/// What one check of `mule doctor` has found.
struct Finding {
    enum State: String {
        case ok, warning, problem
    }

    /// What was looked at, as `ledger.disk`.
    var check: String
    var state: State
    /// What was seen, and what to do about it.
    var message: String
    /// What the process ends with when this is the first problem.
    var status = ExitStatus.done

    static func ok(_ check: String, _ message: String) -> Finding {
        Finding(check: check, state: .ok, message: message)
    }

    static func warning(_ check: String, _ message: String) -> Finding {
        Finding(check: check, state: .warning, message: message)
    }

    static func problem(_ check: String, _ status: ExitStatus, _ message: String) -> Finding {
        Finding(check: check, state: .problem, message: message, status: status)
    }

    var text: String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.utf8.count))
        }
        let lines = TextSafety.displayText(message).split(separator: "\n").joined(separator: "\n" + padded("", 29))
        return padded(state.rawValue, 9) + padded(check, 20) + lines
    }

    var json: JSONValue {
        ["check": .string(check), "message": .string(message), "state": .string(state.rawValue)]
    }
}
