package import MuleJSON

/// The configuration file: defaults for all runs, and overrides for single buckets. It contains no secrets.
/// `config.example.json` shows every key.
package struct Configuration: Sendable, Equatable {
    package var store = StoreOptions()
    package var transfer = TransferOptions()
    package var source = SourceOptions()
    package var object = ObjectOptions()
    package var progress: ProgressChoice?
    /// An absolute path, or one that starts with `~/`.
    package var ledger: [UInt8]?
    /// The same.
    package var logFile: [UInt8]?
    /// Options of single buckets, by name.
    package var buckets: [String: StoreOptions] = [:]
    /// The jobs of `mule archive`, by name.
    package var jobs: [String: JobOptions] = [:]

    package init() {}

    /// The store options for a bucket: its own override the general ones.
    package func store(forBucket bucket: String) -> StoreOptions {
        buckets[bucket].map { $0.over(store) } ?? store
    }

    /// Parses a document. Unknown keys, duplicate keys and values of the wrong type are errors.
    package static func parse(_ bytes: [UInt8]) throws(ConfigurationError) -> Configuration {
        let reading = try read(bytes)
        if let first = reading.problems.first { throw first }
        return reading.configuration
    }

    /// The valid part of a document, and its problems.
    package struct Reading {
        package var configuration = Configuration()
        /// Sorted by position.
        package var problems: [ConfigurationError] = []
        package let places: JSONPlaces
    }

    /// Parses the whole document even if single keys are invalid.
    ///
    /// - Throws: if it is not JSON.
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
        // Stable: problems at one position keep their order.
        reading.problems = problems.enumerated()
            .sorted { one, other in
                let (left, right) = (one.element.place ?? beginning, other.element.place ?? beginning)
                return left == right ? one.offset < other.offset : left < right
            }
            .map(\.element)
        return reading
    }
}
