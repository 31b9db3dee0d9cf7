/// A named set of settings. Printing or dumping it shows none of them: a value may be a secret, and so may a name if
/// lines were mixed up.
package struct Profile: Sendable {
    package let name: String
    private var settings: Settings

    init(name: String, settings: Settings) {
        self.name = name
        self.settings = settings
    }

    mutating func override(with other: Profile) {
        settings.merge(other.settings) { $1 }
    }

    func overridden(by other: Profile) -> Profile {
        var merged = self
        merged.override(with: other)
        return merged
    }

    /// The setting's text; nil if it is missing, empty or nested. The key is in lower case.
    package subscript(key: String) -> String? {
        guard case .text(let text) = settings[key], !text.isEmpty else { return nil }
        return text
    }

    /// The `name = value` lines indented under the key, without empty ones; names are in lower case.
    package func nested(_ key: String) -> [String: String] {
        guard case .nested(let inner) = settings[key] else { return [:] }
        return inner.filter { !$0.value.isEmpty }
    }
}

extension Profile: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "Profile(\(name), \(settings.count) settings)" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["name": name, "count": settings.count], displayStyle: .struct)
    }
}
