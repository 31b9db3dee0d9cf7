package import MuleJSON

/// A configuration file that cannot be used; nothing was sent. Ends with `ExitStatus.usage`.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Problem: Equatable, Sendable {
        case missing
        /// The system's reason.
        case unreadable(String)
        case syntax(JSONReader.SyntaxError)
        /// `path` is the key's: `buckets.photos.regon`.
        case unknownKey(path: String, hint: String)
        case badValue(path: String, why: String)
    }

    package let problem: Problem
    /// The file, safe to show; empty if the bytes did not come from a file.
    package let file: String
    /// Of the key, if the problem has one, or of the syntax error.
    package let place: JSONPlaces.Place?

    package init(_ problem: Problem, file: String = "", place: JSONPlaces.Place? = nil) {
        self.problem = problem
        self.file = file
        self.place = place
    }

    init(_ objection: ConfigurationObjection, _ places: JSONPlaces) {
        self.init(objection.problem, place: places[objection.trail.names])
    }

    /// The whole message, without a program name before it.
    package var description: String {
        var name = file.isEmpty ? "the configuration" : "configuration file \(file)"
        if let place, !isSyntax { name += ", line \(place.line), column \(place.column)" }
        switch problem {
        case .missing: return "\(name) does not exist; create it, or name another with --config"
        case .unreadable(let reason): return "\(name) cannot be read: \(reason)"
        case .syntax(let error):
            let reason = TextSafety.displayName(error.reason)
            return "\(name) is not valid JSON, line \(error.line), column \(error.column): \(reason)"
        case .unknownKey, .badValue: return "\(name): \(detail)"
        }
    }

    /// The problem without file and position.
    package var detail: String {
        switch problem {
        case .missing: "it does not exist"
        case .unreadable(let reason): "it cannot be read: \(reason)"
        case .syntax(let error): TextSafety.displayName(error.reason)
        case .unknownKey(let path, let hint): "unknown key \(path)\(hint)"
        case .badValue(let path, let why): "\(path): \(why)"
        }
    }

    private var isSyntax: Bool { if case .syntax = problem { true } else { false } }
}
