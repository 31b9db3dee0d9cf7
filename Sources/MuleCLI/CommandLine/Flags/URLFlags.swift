// Options of URLs that hold a permission, and of policies.

package import MuleDigest
import MuleS3

extension FlagTable {
    private static let presign: Set<Command> = [.presign]
    private static let policies: Set<Command> = [.policy]

    /// None has a variable: a forgotten one would change who may do what.
    static let url: [Flag] = [
        .path(
            "url-file",
            .url,
            upload,
            sets: \.urlFile,
            readsEnvironment: false,
            "Send one file in one request to the presigned URL or temp URL in this file (- for standard input), instead "
                + "of a DESTINATION. No credentials are needed, and nothing is recorded or resumed."
        ),
        .value(
            "expires",
            "DURATION",
            .url,
            presign,
            sets: \.presign.seconds,
            reading: OptionValue.urlLife,
            readsEnvironment: false,
            "How long the URL is valid, such as 15m or 2d, at most 7d. Default: 1h."
        ),
        .value(
            "content-type",
            "TYPE",
            .url,
            presign,
            sets: \.presign.contentType,
            reading: OptionValue.text,
            readsEnvironment: false,
            "For put: the Content-Type that must be sent with the URL."
        ),
        .on(
            "if-absent",
            .url,
            presign,
            sets: \.presign.ifAbsent,
            "For put: the URL creates the object and never replaces it. If-None-Match: * must be sent with it."
        ),
        .value(
            "filename",
            "NAME",
            .url,
            presign,
            sets: \.presign.filename,
            reading: OptionValue.text,
            readsEnvironment: false,
            "For get: the name under which a browser saves the object."
        ),
        .on(
            "inline",
            .url,
            presign,
            sets: \.presign.inline,
            "For get: a browser shows the object instead of saving it."
        ),
        .path(
            "key-file",
            .url,
            presign,
            sets: \.presign.keyFile,
            readsEnvironment: false,
            "For swift: the file with the temp URL key of the account or container (- for standard input)."
        ),
        .choice(
            "digest",
            .url,
            presign,
            sets: \.presign.digest,
            readsEnvironment: false,
            "For swift: the digest of the signature; the cluster's /info lists those it allows. Default: sha256."
        ),
        .value(
            "prefix",
            "PREFIX",
            .url,
            presign,
            sets: \.presign.prefix,
            reading: OptionValue.text,
            readsEnvironment: false,
            "For swift: the signature is valid for every object whose name starts with this."
        ),
        .value(
            "ip-range",
            "RANGE",
            .url,
            presign,
            sets: \.presign.ipRange,
            reading: OptionValue.ipRange,
            readsEnvironment: false,
            "For swift: only these addresses may use the URL, such as 192.0.2.7 or 192.0.2.0/24."
        ),
    ]

    static let policy: [Flag] = [
        .choice(
            "for",
            .policy,
            policies,
            sets: \.policy.purpose,
            readsEnvironment: false,
            "For iam and bucket: who uses the permissions: upload (all commands for uploads), archive (the same for jobs) "
                + "or server (a program that only sends and finishes uploads). Default: upload."
        ),
        .value(
            "origin",
            "URL",
            .policy,
            policies,
            sets: \.policy.origin,
            reading: OptionValue.origin,
            readsEnvironment: false,
            "For cors: the site whose pages may send, such as https://app.example.org."
        ),
        .value(
            "principal",
            "ARN",
            .policy,
            policies,
            sets: \.policy.principal,
            reading: OptionValue.principal,
            readsEnvironment: false,
            "For bucket: the user or role that may upload."
        ),
    ]
}

/// How a URL is presigned.
package struct PresignOptions: Sendable, Equatable {
    /// 1 to `PresignedURL.longestLife`.
    package var seconds: Int?
    package var contentType: String?
    package var ifAbsent = false
    package var filename: String?
    package var inline = false
    /// A file path, as raw bytes; `-` is standard input.
    package var keyFile: [UInt8]?
    package var digest: KeyedDigest?
    package var prefix: String?
    package var ipRange: String?

    package init() {}
}

/// What a policy is for.
package struct PolicyOptions: Sendable, Equatable {
    package var purpose: PolicyPurpose?
    package var origin: String?
    package var principal: String?

    package init() {}
}

extension OptionValue {
    /// Whole seconds, 1 to 7 days.
    static func urlLife(_ text: String) throws(OptionValueError) -> Int {
        let seconds = try duration(text)
        guard seconds <= Double(PresignedURL.longestLife) else {
            throw OptionValueError("is too long; a presigned URL is valid for at most 7d")
        }
        return Int(seconds)
    }

    /// An IP address, or a network in CIDR form.
    static func ipRange(_ text: String) throws(OptionValueError) -> String {
        guard IPRange(text) != nil else {
            throw OptionValueError("is not an IP address or a network such as 192.0.2.0/24")
        }
        return text
    }

    /// `https://host[:port]`, as browsers send it (RFC 6454).
    static func origin(_ text: String) throws(OptionValueError) -> String {
        let url = try endpointURL(text)
        let lowered = url.lowercased()
        let rest = lowered.drop { $0 != "/" }.dropFirst(2)
        guard !rest.contains("/"), !rest.contains("*") else {
            throw OptionValueError("is not one origin; write it like https://app.example.org, without a path or *")
        }
        return lowered
    }

    /// The ARN of a user, a role or an account.
    static func principal(_ text: String) throws(OptionValueError) -> String {
        let fields = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard fields.count == 6, fields[0] == "arn", ["iam", "sts"].contains(fields[2]), !fields[5].isEmpty,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "*") })
        else {
            throw OptionValueError("is not the ARN of a user or role, such as arn:aws:iam::123456789012:user/camera")
        }
        return text
    }
}
