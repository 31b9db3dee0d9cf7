// Options of all or nearly all commands.

import MuleS3

extension FlagTable {
    static let shared: [Flag] = [
        .path("config", .shared, every, sets: \.config, "Read this configuration file."),
        .path(
            "ledger",
            .shared,
            working.subtracting(doctor),
            sets: \.ledger,
            "Record uploads in this file, the ledger."
        ),
        .path(
            "log-file",
            .shared,
            working,
            sets: \.logFile,
            "Append messages with timestamps to this file: notes, errors, and a line for each file that is sent. "
                + "Standard error then shows only errors, and SIGHUP reopens the file instead of stopping mule."
        ),
        .value(
            "profile",
            "NAME",
            .shared,
            working,
            sets: \.store.profile,
            reading: OptionValue.text,
            value: .profile,
            "Use the credentials and settings of this profile of the AWS configuration."
        ),
        .value(
            "region",
            "REGION",
            .shared,
            working,
            sets: \.store.region,
            reading: OptionValue.text,
            "The region of the bucket, such as eu-central-1."
        ),
        .value(
            "endpoint-url",
            "URL",
            .shared,
            working,
            sets: \.store.endpointURL,
            reading: OptionValue.endpointURL,
            "Use this S3-compatible store instead of AWS."
        ),
        .choice(
            "provider",
            .shared,
            working,
            sets: \.store.provider,
            placeholder: "NAME",
            "The store whose rules apply, where its endpoint does not show it: region, part sizes, checksums, and what it "
                + "does not support. One of " + Provider.allCases.map(\.rawValue).joined(separator: ", ")
                + "; see docs/stores.md."
        ),
        .value(
            "signer",
            "URL",
            .shared,
            working,
            sets: \.store.signer.address,
            reading: OptionValue.signerAddress,
            "Have requests signed by this service instead of using credentials of this host. See docs/signing.md."
        ),
        .choice(
            "signer-protocol",
            .shared,
            working,
            sets: \.store.signer.signerProtocol,
            "How the signer is spoken to: server signs each request, mule-uploader gives the key of a day. Default: server."
        ),
        .path(
            "signer-token-file",
            .shared,
            working,
            sets: \.store.signer.tokenFile,
            "Read the token for the signer from this file."
        ),
        .path("ca-bundle", .shared, working, sets: \.store.caBundle, "Trust the certificate authorities in this file."),
        .path(
            "client-certificate",
            .shared,
            working,
            sets: \.store.clientCertificate,
            "Show this certificate (PEM) to a store that asks for one."
        ),
        .path(
            "client-key",
            .shared,
            working,
            sets: \.store.clientKey,
            "The private key (PEM, without a password) of --client-certificate. Default: the same file."
        ),
        .choice(
            "addressing",
            .shared,
            working,
            sets: \.store.addressing,
            "Whether the bucket is a part of the URL's path or of its host name. Default: auto."
        ),
        .setting(
            "fips",
            .shared,
            working,
            sets: \.store.fips,
            "Use only FIPS endpoints of AWS, for the store and for credentials. What has none is refused."
        ),
        .setting(
            "dualstack",
            .shared,
            working,
            sets: \.store.dualStack,
            "Use AWS endpoints that have IPv6 addresses too."
        ),
        .setting(
            "accelerate",
            .shared,
            working,
            sets: \.store.accelerate,
            "Send through S3 Transfer Acceleration, which must be enabled for the bucket."
        ),
        .choice(
            "progress",
            .shared,
            working,
            sets: \.progress,
            "How to show progress; plain is a line every 30 seconds. Default: auto, which is bar on a terminal, "
                + "otherwise plain."
        ),
        .on(
            "json",
            .shared,
            every,
            sets: \.json,
            negation: "no-json",
            "Print results as JSON Lines, one object per line."
        ),
        .on("quiet", letter: "q", .shared, every, sets: \.quiet, negation: "no-quiet", "Show errors only."),
        .on(
            "verbose",
            letter: "v",
            .shared,
            every,
            sets: \.verbose,
            negation: "no-verbose",
            "Show more messages."
        ),
        .on("help", letter: "h", .shared, every, sets: \.wantsHelp, "Show all options. -h shows the most used ones."),
        .on("version", letter: "V", .shared, every, sets: \.wantsVersion, "Show the version."),
    ]
}
