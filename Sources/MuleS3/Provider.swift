/// A store, or a kind of store, whose rules are known: the values of `--provider`. Its facts are in `StoreProfile`.
package enum Provider: String, CaseIterable, Sendable {
    case aws, minio, ceph, r2, b2, gcs, wasabi, digitalocean, scaleway, storj, ibm, oci, swift, garage

    /// The store of an endpoint, by its host; nil for other hosts, as of most self-hosted servers.
    package init?(_ endpoint: Endpoint) {
        if endpoint.isAmazon {
            self = .aws
            return
        }
        let found = Self.allCases.first { $0.profile.endpoints.contains { $0.words(in: endpoint) != nil } }
        guard let found else { return nil }
        self = found
    }

    /// The region that an endpoint's host names, or that of a store with one region; nil where the endpoint does not say.
    package func region(of endpoint: Endpoint) -> String? {
        let named = profile.endpoints.lazy.compactMap { $0.words(in: endpoint)?[EndpointTemplate.region] }.first
        return named ?? profile.region
    }

    /// The endpoint of a store that is found by its name alone, or by its name and a region.
    package func endpoint(region: String?) -> Result<String, MissingEndpoint> {
        guard let template = profile.endpoints.first else { return .failure(MissingEndpoint(example: profile.example)) }
        var words: [String: String] = [:]
        if let region { words[EndpointTemplate.region] = region }
        guard let url = template.filled(with: words) else {
            return .failure(
                MissingEndpoint(
                    example: template.text,
                    needsRegion: template.placeholders == [EndpointTemplate.region]
                )
            )
        }
        return .success(url)
    }

    /// Why the name of a store is not enough.
    package struct MissingEndpoint: Error, Hashable {
        /// What to type, with words in capitals to be replaced.
        package var example: String
        /// Whether a region would do.
        package var needsRegion: Bool

        package init(example: String, needsRegion: Bool = false) {
            self.example = example
            self.needsRegion = needsRegion
        }
    }
}

/// The form of a store's endpoints: a URL in which each word in capitals is a part of the host name that differs.
package struct EndpointTemplate: Sendable, Hashable, ExpressibleByStringLiteral {
    package static let region = "REGION"

    /// `https://ACCOUNT.r2.cloudflarestorage.com`
    package let text: String

    package init(stringLiteral text: String) {
        self.text = text
    }

    private var labels: [Substring] { text.dropFirst("https://".count).split(separator: ".") }

    /// The words in capitals, in order.
    package var placeholders: [String] { labels.filter(Self.isPlaceholder).map(String.init) }

    private static func isPlaceholder(_ label: Substring) -> Bool {
        label.utf8.allSatisfy { (0x41...0x5A).contains($0) }
    }

    /// What an endpoint has for each word in capitals; nil if its host has another form. Ports and paths are those of
    /// proxies, and do not count.
    package func words(in endpoint: Endpoint) -> [String: String]? {
        let host = endpoint.host.split(separator: ":", omittingEmptySubsequences: false)[0]
        let found = host.split(separator: ".", omittingEmptySubsequences: false)
        let labels = labels
        guard found.count == labels.count else { return nil }
        var words: [String: String] = [:]
        for (label, word) in zip(labels, found) {
            if Self.isPlaceholder(label) {
                guard Endpoint.isRegionName(String(word)) else { return nil }
                words[String(label)] = String(word)
            } else if label != word {
                return nil
            }
        }
        return words
    }

    /// The URL with all words replaced; nil if one is missing.
    func filled(with words: [String: String]) -> String? {
        var filled: [String] = []
        for label in labels {
            guard Self.isPlaceholder(label) else {
                filled.append(String(label))
                continue
            }
            guard let word = words[String(label)] else { return nil }
            filled.append(word)
        }
        return "https://" + filled.joined(separator: ".")
    }
}
