import MuleDigest
import MulePlan
import MuleRemoteSigning
import MuleS3
import MuleSigning
import MuleSystem

extension Session {
    /// The headers of every request: those of the command line before those that the ledger recorded, and those before
    /// the configuration's.
    ///
    /// - Parameter followsOptions: whether the command line's apply.
    func requestHeaders(
        recorded: ObjectAttributes = ObjectAttributes(),
        followsOptions: Bool = true
    ) throws(CommandFailure) -> ObjectAttributes {
        var headers = ObjectAttributes()
        for header in ObjectHeader.allCases where header.isOnEveryRequest {
            let given = followsOptions ? arguments.object[header] : nil
            guard let text = given ?? recorded[header.name] ?? configuration.object[header] else { continue }
            do { try headers.set(header.name, text) } catch {
                throw CommandFailure(status: .usage, message: "The value of \(header.name) cannot be a header.")
            }
        }
        return headers
    }

    /// The customer key for SSE-C: from the file that the command line names, from the environment, or from the file
    /// that the configuration names; nil without any.
    func customerKey() throws(CommandFailure) -> CustomerKey? {
        if let path = arguments.object.customerKeyFile { return try customerKey(inFile: path) }
        if let text = environment["MULE_SSE_C_KEY"], !text.isEmpty {
            guard let key = Self.customerKey(Array(text.utf8)) else {
                throw Self.wrongKey("MULE_SSE_C_KEY")
            }
            return key
        }
        return try configuration.object.customerKeyFile.map { path throws(CommandFailure) in
            try customerKey(inFile: path)
        }
    }

    private func customerKey(inFile named: [UInt8]) throws(CommandFailure) -> CustomerKey {
        let shown = TextSafety.displayName(named)
        guard let path = FileLocation.expand(named, environment: environment) else {
            throw CommandFailure(
                status: .credentials,
                message: "The key file \(shown) cannot be found: HOME is not set."
            )
        }
        let content: [UInt8]
        do {
            content = try File.contents(path: path, limit: 4096)
        } catch {
            throw CommandFailure(
                status: .credentials,
                message: "The key file \(shown) cannot be read: \(error.reason)."
            )
        }
        guard let key = Self.customerKey(content) else { throw Self.wrongKey("The key file \(shown)") }
        return key
    }

    /// 32 bytes as they are, or in Base64.
    private static func customerKey(_ content: [UInt8]) -> CustomerKey? {
        if let key = CustomerKey(content) { return key }
        let text = content.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        return Base64.decode(String(decoding: text, as: UTF8.self)).flatMap(CustomerKey.init)
    }

    private static func wrongKey(_ origin: String) -> CommandFailure {
        CommandFailure(
            status: .credentials,
            message: "\(origin) does not contain a key for SSE-C: 32 bytes, or their Base64. \"head -c 32 /dev/urandom "
                + "> FILE\" makes one."
        )
    }

    /// Throws if the key would be readable on the way to the endpoint, or by a signer.
    static func checkKeyIsSafe(at endpoint: Endpoint, signer: any RequestSigner) throws(CommandFailure) {
        // It gets the headers of each request, and the key is one of them.
        guard !(signer is RemoteSigner) else {
            throw CommandFailure(
                status: .usage,
                message:
                    "A customer key (SSE-C) cannot be used with --signer, because the signer would receive the key. "
                    + "Nothing was sent."
            )
        }
        guard !endpoint.isEncrypted, !endpoint.isOnThisMachine else { return }
        throw CommandFailure(
            status: .usage,
            message:
                "A customer key (SSE-C) is only sent over https, and \(TextSafety.displayText(endpoint.url)) is not "
                + "encrypted. Nothing was sent."
        )
    }
}

extension Endpoint {
    var isOnThisMachine: Bool {
        let name = host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" })
        let isAddress = name.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) }
        return name == "localhost" || name == "[::1]" || (isAddress && name.hasPrefix("127."))
    }
}
