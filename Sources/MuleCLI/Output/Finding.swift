import MuleJSON

/// The result of one check of `mule doctor`.
struct Finding {
    enum State: String {
        case ok, warning, problem
    }

    /// The name of the check, such as `ledger.disk`.
    var check: String
    var state: State
    /// What was found.
    var message: String
    /// How to fix it; nil if there is nothing to do, or if the message says it.
    var cure: String?
    /// The exit status if this is the first problem.
    var status = ExitStatus.done
    /// The position in the checked file.
    var place: JSONPlaces.Place?

    static func ok(_ check: String, _ message: String, cure: String? = nil) -> Finding {
        Finding(check: check, state: .ok, message: message, cure: cure)
    }

    static func warning(
        _ check: String,
        _ message: String,
        cure: String? = nil,
        at place: JSONPlaces.Place? = nil
    ) -> Finding {
        Finding(check: check, state: .warning, message: message, cure: cure, place: place)
    }

    static func problem(
        _ check: String,
        _ status: ExitStatus,
        _ message: String,
        cure: String? = nil,
        at place: JSONPlaces.Place? = nil
    ) -> Finding {
        Finding(check: check, state: .problem, message: message, cure: cure, status: status, place: place)
    }

    private static let (stateWidth, checkWidth) = (9, 20)

    /// - Parameters:
    ///   - width: columns of the terminal; nil for lines of any length.
    ///   - hasColors: whether to color the state.
    func text(width: Int?, hasColors: Bool) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.utf8.count))
        }
        let indent = Self.stateWidth + Self.checkWidth
        let spot = place.map { "line \($0.line), column \($0.column): " } ?? ""
        let words = spot + message + (cure.map { "\n" + $0 } ?? "")
        let lines = TextSafety.displayText(words).split(separator: "\n").flatMap { line in
            width.map { Paragraph.lines(of: String(line), max($0, 60), indent: indent) }
                ?? [padded("", indent) + line]
        }
        let head = padded(state.rawValue, Self.stateWidth) + padded(check, Self.checkWidth)
        // A long name of a check keeps one space after it.
        let text = head + lines.joined(separator: "\n").dropFirst(indent)
        return hasColors
            ? "\u{1B}[\(color)m\(state.rawValue)\u{1B}[0m" + text.dropFirst(state.rawValue.utf8.count) : text
    }

    /// An ANSI color (ECMA-48, SGR).
    private var color: Int {
        switch state {
        case .ok: 32
        case .warning: 33
        case .problem: 31
        }
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "check": .string(check), "message": .string(message), "state": .string(state.rawValue),
        ]
        if let cure { members["cure"] = .string(cure) }
        if let place {
            members["line"] = .int(Int64(place.line))
            members["column"] = .int(Int64(place.column))
        }
        return .object(members)
    }
}
