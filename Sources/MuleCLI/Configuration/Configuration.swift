import MuleJSON

/// The configuration file: what every run should take for granted, and what single buckets need differently.
/// `config.example.json` shows every key. No secret is kept in it.
package struct Configuration: Sendable, Equatable {
    package var store = StoreOptions()
    package var transfer = TransferOptions()
    package var source = SourceOptions()
    package var object = ObjectOptions()
    package var progress: ProgressChoice?
    /// An absolute path, or one that begins with `~/`.
    package var ledger: [UInt8]?
    /// What a bucket, by its name, needs differently.
    package var buckets: [String: StoreOptions] = [:]
    /// The jobs of `mule archive`, by their names.
    package var jobs: [String: JobOptions] = [:]

    package init() {}

    /// The store options for a bucket: its own laid over the general ones.
    package func store(forBucket bucket: String) -> StoreOptions {
        buckets[bucket].map { $0.over(store) } ?? store
    }

    /// Reads a document. Unknown keys, keys that stand twice and values of the wrong kind are errors.
    package static func parse(_ bytes: [UInt8]) throws(ConfigurationError) -> Configuration {
        let document: JSONValue
        do { document = try JSONReader.read(bytes) } catch { throw ConfigurationError(.syntax(error)) }
        var configuration = Configuration()
        try ConfigurationKey.read(document, ConfigurationKey.root, into: &configuration, path: "")
        return configuration
    }
}
