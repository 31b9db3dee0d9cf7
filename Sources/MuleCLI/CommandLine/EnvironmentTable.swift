/// Environment variables that replace options, hold credentials, or name directories.
package struct EnvironmentVariable: Sendable {
    package let names: [String]
    package let meaning: String

    private init(_ names: String..., meaning: String) {
        self.names = names
        self.meaning = meaning
    }

    /// In the order of help and the man page.
    package static let table: [EnvironmentVariable] = [
        .init(
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            meaning: "Credentials. There is no option for them, because every process can read a command line."
        ),
        .init(
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL",
            "AWS_CA_BUNDLE",
            meaning: "Same as --profile, --region, --endpoint-url (the first that is set) and --ca-bundle."
        ),
        .init(
            "AWS_USE_FIPS_ENDPOINT",
            "AWS_USE_DUALSTACK_ENDPOINT",
            meaning: "If true, same as --fips and --dualstack; if false, as --no-fips and --no-dualstack."
        ),
        .init(
            "AWS_S3_USE_ARN_REGION",
            meaning: "If false, an access point must be in the region that is set."
        ),
        .init(
            "AWS_REQUEST_CHECKSUM_CALCULATION",
            meaning: "If when_required, checksums start with Content-MD5 unless --checksum names one."
        ),
        .init(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "AWS_ROLE_SESSION_NAME",
            meaning: "A role to assume with a token from a file."
        ),
        .init(
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            meaning: "Where to get the credentials of a container's role."
        ),
        .init("AWS_EC2_METADATA_DISABLED", meaning: "If true, the role of an EC2 instance is not used."),
        .init(
            "AWS_ENDPOINT_URL_STS",
            "AWS_ENDPOINT_URL_SSO",
            "AWS_ENDPOINT_URL_SSO_OIDC",
            meaning: "Credential services other than Amazon's."
        ),
        .init(
            "MULE_REGION",
            "MULE_PART_SIZE",
            "MULE_...",
            meaning:
                "Most options with a value have a variable of their name: MULE_PART_SIZE is the same as --part-size. "
                + "The order is: option, MULE_*, AWS_*, configuration file, AWS configuration, default."
        ),
        .init(
            "MULE_SIGNER_TOKEN",
            meaning:
                "The token for the signer. There is no option for it, because every process can read a command line."
        ),
        .init(
            "MULE_SSE_C_KEY",
            meaning:
                "The Base64 of a key of 32 bytes that the store encrypts objects with (SSE-C). --sse-c-key-file names "
                + "a file instead."
        ),
        .init("MULE_CONFIG", "MULE_LEDGER", "MULE_LOG_FILE", meaning: "Same as --config, --ledger and --log-file."),
        .init("MULE_HOST", meaning: "The value of {host} in the destination of a job. Default: the machine's name."),
        .init(
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            meaning: "Where mule/config.json and mule/ledger.sqlite are. Default: ~/.config and ~/.local/state."
        ),
        .init(
            "TMPDIR",
            meaning:
                "Directory for parts of a stream until the store has them, and for long lists of files. Default: "
                + "/var/tmp."
        ),
        .init("https_proxy", "http_proxy", "no_proxy", meaning: "Proxies, as libcurl reads them."),
        .init("NO_COLOR", meaning: "If set and not empty, output has no colors."),
    ]
}
