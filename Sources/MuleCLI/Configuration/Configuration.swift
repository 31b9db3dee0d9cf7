package import MuleJSON

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
    /// The same.
    package var logFile: [UInt8]?
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
        let reading = try read(bytes)
        if let first = reading.problems.first { throw first }
        return reading.configuration
    }

    /// What a document says, as far as it can be used.
    package struct Reading {
        package var configuration = Configuration()
        /// In the order of their places.
        package var problems: [ConfigurationError] = []
        package let places: JSONPlaces
    }

    /// Reads a document to its end, whatever is wrong with single keys.
    ///
    /// - Throws: what is no JSON at all.
    package static func read(_ bytes: [UInt8]) throws(ConfigurationError) -> Reading {
        let document: JSONValue
        var reading: Reading
        do {
            let (value, places) = try JSONReader.readWithPlaces(bytes)
            document = value
            reading = Reading(places: places)
        } catch {
            let place = JSONPlaces.Place(line: error.line, column: error.column)
            throw ConfigurationError(.syntax(error), place: place)
        }
        var objections: [ConfigurationObjection] = []
        ConfigurationKey.read(
            document,
            ConfigurationKey.root,
            into: &reading.configuration,
            trail: .document,
            &objections
        )
        let problems = objections.map { ConfigurationError($0, reading.places) }
        let beginning = JSONPlaces.Place(line: 0, column: 0)
        // Those of one place stay in the order in which they were found.
        reading.problems = problems.enumerated()
            .sorted { one, other in
                let (left, right) = (one.element.place ?? beginning, other.element.place ?? beginning)
                return left == right ? one.offset < other.offset : left < right
            }
            .map(\.element)
        return reading
    }
}
