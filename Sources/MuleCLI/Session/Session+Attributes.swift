import MulePlan
import MuleS3

extension Session {
    /// The attributes of the object, from the command line and the configuration.
    ///
    /// - Parameters:
    ///   - store: the options of the bucket, which some headers must agree with; nil if it is not known yet.
    ///   - warns: whether to warn of what is probably not meant.
    func attributes(for store: StoreOptions? = nil, warns: Bool = true) throws(CommandFailure) -> ObjectAttributes {
        let options = arguments.object.over(configuration.object)
        if let problem = options.problem ?? store.flatMap(options.problem(at:)) {
            throw CommandFailure(status: .usage, message: problem)
        }
        if try customerKey() != nil, let sse = options[.sse] {
            throw CommandFailure(
                status: .usage,
                message:
                    "--sse \(sse) cannot be used with a customer key (--sse-c-key-file or MULE_SSE_C_KEY): the store "
                    + "encrypts with one or the other."
            )
        }
        if let profile = store?.provider?.profile {
            let given = options.notable(of: ObjectHeader.allCases)
            if let problem = given.lazy.compactMap(profile.problem).first {
                throw CommandFailure(status: .usage, message: problem)
            }
            for header in given where warns {
                if let lack = profile.lack(of: header) {
                    console.warn("--\(header.flag): \(lack)", isShown: !console.isQuiet)
                }
            }
        }
        // A store may have names of its own: a job that uses them is silent with --quiet.
        if warns {
            for doubt in options.doubts {
                console.warn("--\(doubt.header.flag): \(doubt.text)", isShown: !console.isQuiet)
            }
        }
        let attributes: ObjectAttributes
        do {
            attributes = try ObjectAttributes(options)
        } catch {
            let message =
                switch error {
                case .badName(let name): "\"\(TextSafety.displayText(name))\" is not a valid metadata name."
                case .badValue(let name):
                    "The value of \(name) contains a control character, which no header may contain."
                }
            throw CommandFailure(status: .usage, message: message)
        }
        let limit = StoreLimits.amazon.maximumMetadataSize
        guard attributes.metadataSize <= limit else {
            throw CommandFailure(
                status: .usage,
                message: "The metadata is \(attributes.metadataSize) bytes long; S3 allows \(limit)."
            )
        }
        return attributes
    }
}

extension ObjectOptions {
    /// Tags that an object may have (AWS: "Categorizing your objects using tags").
    private static let mostTags = 10

    /// Why no store would accept them, as a sentence; nil if no mistake is known.
    var problem: String? {
        for header in ObjectHeader.allCases where self[header] != nil || !self[pairs: header].isEmpty {
            for need in header.requires {
                let given = self[need.header]
                guard given == nil || !(need.values.isEmpty || need.values.contains(given ?? "")) else { continue }
                let wanted = ["--" + need.header.flag] + [need.values.joined(separator: " or ")].filter { !$0.isEmpty }
                return "--\(header.flag) requires \(wanted.joined(separator: " "))."
            }
        }
        let tags = self[pairs: .tags].count
        if tags > Self.mostTags {
            return "An object may have \(Self.mostTags) tags, but \(tags) are given: remove some."
        }
        for header in ObjectHeader.allCases where self[header]?.utf8.allSatisfy({ $0 < 0x80 }) == false {
            let hint = header == .contentDisposition ? " (for a file name, write filename*=UTF-8''NAME with %XX)" : ""
            return
                "--\(header.flag) contains non-ASCII characters, which not every store accepts in a header: write it "
                + "in ASCII\(hint)."
        }
        return nil
    }
}

extension ObjectOptions {
    /// Why they contradict the store's options, as a sentence; nil if they do not.
    func problem(at store: StoreOptions) -> String? {
        if store.checksum == ChecksumChoice.none, let lock = ObjectHeader.locks.first(where: { self[$0] != nil }) {
            return "--\(lock.flag) requires a checksum of each part, and --checksum none sends none."
        }
        return nil
    }
}

extension ObjectAttributes {
    /// The headers that the object's options come to.
    init(_ options: ObjectOptions) throws(AttributeError) {
        self.init()
        for header in ObjectHeader.allCases where !header.isOnEveryRequest {
            if let text = options[header] { try set(header.name, text) }
            let pairs = options[pairs: header]
            switch header.kind {
            case .metadata: for pair in pairs { try set(header.name + pair.name, pair.text) }
            case _ where pairs.isEmpty: break
            case .encryptionContext: try set(header.name, ContextHeader.text(pairs))
            default: try set(header.name, TagHeader.text(pairs))
            }
        }
    }
}
