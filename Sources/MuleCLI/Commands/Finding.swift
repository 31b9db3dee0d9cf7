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
    /// In the file that was looked at.
    var place: JSONPlaces.Place?

    static func ok(_ check: String, _ message: String) -> Finding {
        Finding(check: check, state: .ok, message: message)
    }

    static func warning(_ check: String, _ message: String, at place: JSONPlaces.Place? = nil) -> Finding {
        Finding(check: check, state: .warning, message: message, place: place)
    }

    static func problem(
        _ check: String,
        _ status: ExitStatus,
        _ message: String,
        at place: JSONPlaces.Place? = nil
    ) -> Finding {
        Finding(check: check, state: .problem, message: message, status: status, place: place)
    }

    var text: String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.utf8.count))
        }
        let spot = place.map { "line \($0.line), column \($0.column): " } ?? ""
        let lines = TextSafety.displayText(spot + message).split(separator: "\n").joined(
            separator: "\n" + padded("", 29)
        )
        return padded(state.rawValue, 9) + padded(check, 20) + lines
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "check": .string(check), "message": .string(message), "state": .string(state.rawValue),
        ]
        if let place {
            members["line"] = .int(Int64(place.line))
            members["column"] = .int(Int64(place.column))
        }
        return .object(members)
    }
}
