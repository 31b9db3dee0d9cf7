/// The documentation of the configuration file's keys.
package struct ConfigurationReference: Sendable {
    package struct Key: Sendable {
        package let name: String
        /// "string", "path", …
        package let kind: String
        package let about: String
        /// The option with the same meaning, without dashes; nil if there is none.
        package let option: String?
    }

    package let title: String
    package let introduction: String
    package let keys: [Key]

    package static let sections = [
        Self(
            "General keys",
            "At the top level, for all commands and jobs.",
            ConfigurationKey<Configuration>.root
        ),
        Self(
            "Store keys",
            "The keys of a bucket in buckets. They are general keys and job keys too.",
            ConfigurationKey<StoreOptions>.rows
        ),
        Self(
            "Signer keys",
            "The keys of signer, at the top level, in a bucket or in a job.",
            ConfigurationKey<SignerOptions>.rows
        ),
        Self(
            "Object keys",
            "The keys of object, at the top level or in a job.",
            ConfigurationKey<ObjectOptions>.rows
        ),
        Self(
            "Job keys",
            "The keys of a job in jobs. They take precedence over the general keys.",
            ConfigurationKey<JobOptions>.rows
        ),
    ]

    private init<Root>(_ title: String, _ introduction: String, _ rows: [ConfigurationKey<Root>]) {
        self.title = title
        self.introduction = introduction
        keys = rows.map { row in
            let name = Self.optionName(row.name)
            let flag = FlagTable.rows.first { $0.name == name }
            return Key(name: row.name, kind: row.kind, about: row.about ?? flag?.help ?? "", option: flag?.name)
        }
    }

    /// `sse-kms-key-id` for `sseKMSKeyID`. A few keys have a name of their own.
    private static func optionName(_ key: String) -> String {
        switch key {
        case "destination": return "to"
        case "tags": return "tag"
        default: break
        }
        let letters = Array(key)
        return letters.indices.reduce(into: "") { name, index in
            let startsWord =
                index > 0 && letters[index].isUppercase
                && (letters[index - 1].isLowercase || (index + 1 < letters.count && letters[index + 1].isLowercase))
            name += (startsWord ? "-" : "") + letters[index].lowercased()
        }
    }
}
