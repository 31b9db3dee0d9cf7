// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is held to the same rules: Swift 6 language mode (the tools version's default), warnings are
// errors, and imports and existentials are written out.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// Simulated links take a hundred times as long without it.
let optimized: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "mule",
    products: [
        .executable(name: "mule", targets: ["mule"]),
        // Not for users: what Tests/EndToEndTests loads into mule to kill it at a chosen write.
        .library(name: "crash-shim", type: .dynamic, targets: ["CrashShim"]),
    ],
    targets: [
        // System libraries: a module map and a shim header each, found through pkg-config.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .systemLibrary(name: "CLinux"),
        // The arguments of C's main.
        .target(name: "CEntry", cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]),
        .target(
            name: "CChecksums",
            cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])]
        ),

        // The modules, each with what it may import; docs/architecture.md says what each owns.
        module("MuleSystem", ["CLinux"]),
        .target(name: "MulePlan", swiftSettings: optimized),
        module("MuleSQLite", ["CSQLite"]),
        module("MuleSources", ["MulePlan", "MuleSQLite", "MuleSystem"]),
        module("MuleJSON"),
        module("MuleDigest", ["COpenSSL", "CChecksums"]),
        module("MuleSigning", ["MulePlan", "MuleDigest", "MuleSystem"]),
        module("MuleTransport", ["MuleSystem", "CCurl", "CSSL"]),
        module("MuleXML", ["CExpat"]),
        module("MuleS3", ["MulePlan", "MuleDigest", "MuleXML", "MuleSigning", "MuleTransport", "MuleSystem"]),
        module(
            "MuleRemoteSigning",
            ["MulePlan", "MuleJSON", "MuleSigning", "MuleTransport", "MuleSystem"]
        ),
        module(
            "MuleCredentials",
            ["MulePlan", "MuleJSON", "MuleXML", "MuleDigest", "MuleSigning", "MuleTransport", "MuleSystem"]
        ),
        module("MuleLedger", ["MuleSQLite", "MulePlan", "MuleDigest", "MuleJSON", "MuleSystem"]),
        module(
            "MuleUpload",
            ["MulePlan", "MuleDigest", "MuleSigning", "MuleTransport", "MuleS3", "MuleLedger", "MuleSystem"]
        ),
        module(
            "MuleArchive",
            ["MulePlan", "MuleSQLite", "MuleSources", "MuleDigest", "MuleS3", "MuleLedger", "MuleUpload", "MuleSystem"]
        ),
        module(
            "MuleCLI",
            [
                "MuleArchive", "MulePlan", "MuleJSON", "MuleDigest", "MuleSigning", "MuleTransport", "MuleS3",
                "MuleCredentials", "MuleRemoteSigning", "MuleSQLite", "MuleLedger", "MuleSources", "MuleUpload",
                "MuleSystem",
            ]
        ),
        .executableTarget(
            name: "mule",
            dependencies: ["MuleCLI", "CEntry"],
            swiftSettings: strict,
            // All symbols are bound at the start, after which the table of their addresses is read-only.
            linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "now"])]
        ),

        .executableTarget(
            name: "mule-bench",
            dependencies: ["MuleDigest", "CChecksums", "MuleLedger", "MulePlan", "MuleSigning", "MuleSystem"],
            path: "Benchmarks/mule-bench",
            swiftSettings: strict
        ),

        // Tests/Support is shared by every test target: the scripted fake S3, scratch directories, the command runner.
        .target(
            name: "TestSupport",
            dependencies: ["MuleDigest", "MuleLedger", "MuleSystem"],
            path: "Tests/Support",
            exclude: ["leaks-of-others.txt"],
            swiftSettings: strict
        ),
        .target(
            name: "CrashShim",
            path: "Tests/CrashShim",
            cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]
        ),
        .testTarget(name: "MulePlanTests", dependencies: ["MulePlan", "TestSupport"], swiftSettings: optimized),
        tests("MuleJSONTests", ["MuleJSON"]),
        // What is fuzzed, and the same over the corpus as ordinary tests.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "MulePlan", "MuleDigest", "MuleSigning", "MuleTransport", "MuleS3", "MuleCredentials", "MuleUpload",
                "MuleLedger", "MuleSources", "MuleCLI", "MuleJSON", "MuleXML", "MuleSystem",
            ],
            path: "Tests/Fuzz/Targets",
            swiftSettings: strict
        ),
        tests("FuzzTests", ["FuzzTargets", "TestSupport"]),
        tests("MuleSystemTests", ["MuleSystem", "TestSupport"]),
        tests("MuleSQLiteTests", ["MuleSQLite", "TestSupport"]),
        tests("MuleSourcesTests", ["MuleSources", "MulePlan", "MuleSystem", "TestSupport"]),
        tests("MuleTransportTests", ["MuleTransport", "MuleSystem", "TestSupport"]),
        tests(
            "MuleS3Tests",
            [
                "MuleS3", "MuleXML", "MulePlan", "MuleDigest", "MuleSigning", "MuleTransport", "MuleSystem",
                "TestSupport",
            ]
        ),
        // A process of its own on a ledger, for tests that kill one, run two, or fill its disk.
        .executableTarget(
            name: "ledger-child",
            dependencies: ["MuleLedger", "MulePlan"],
            path: "Tests/LedgerChild",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MuleLedgerTests",
            dependencies: [
                "ledger-child", "MuleLedger", "MuleSQLite", "MuleJSON", "MulePlan", "MuleSystem", "CSQLite",
                "TestSupport",
            ],
            exclude: ["Fixtures"],
            swiftSettings: strict
        ),
        tests("MuleDigestTests", ["MuleDigest", "CChecksums", "TestSupport"]),
        tests("MuleSigningTests", ["MuleSigning", "MuleDigest", "MulePlan", "TestSupport"]),
        tests(
            "MuleCredentialsTests",
            [
                "MuleCredentials", "MulePlan", "MuleJSON", "MuleDigest", "MuleSigning", "MuleTransport", "MuleSystem",
                "TestSupport",
            ]
        ),
        tests(
            "MuleRemoteSigningTests",
            [
                "MuleRemoteSigning", "MuleSigning", "MuleTransport", "MuleJSON", "MulePlan", "MuleDigest", "MuleSystem",
                "TestSupport",
            ]
        ),
        tests("MuleXMLTests", ["MuleXML", "MuleSystem", "TestSupport"]),
        tests(
            "MuleUploadTests",
            [
                "MuleUpload", "MuleCredentials", "MuleS3", "MuleLedger", "MuleSQLite", "MulePlan", "MuleDigest",
                "MuleSigning", "MuleTransport", "MuleSystem", "TestSupport",
            ]
        ),
        tests(
            "MuleArchiveTests",
            [
                "MuleArchive", "MuleSources", "MuleUpload", "MuleS3", "MuleLedger", "MulePlan", "MuleDigest",
                "MuleSigning", "MuleTransport", "MuleSystem", "TestSupport",
            ]
        ),
        tests(
            "EndToEndTests",
            ["mule", "MuleDigest", "MuleLedger", "MulePlan", "MuleSQLite", "MuleSystem", "TestSupport"]
        ),
        tests("TestSupportTests", ["MuleDigest", "MuleSigning", "MulePlan", "TestSupport"]),
        .testTarget(
            name: "MuleCLITests",
            dependencies: [
                "MuleCLI", "MuleDigest", "MuleJSON", "MuleLedger", "MulePlan", "MuleS3", "MuleSigning", "MuleSources",
                "MuleUpload", "MuleSystem", "TestSupport",
            ],
            exclude: ["Fixtures"],
            swiftSettings: strict
        ),
    ]
)

// The fuzzer is built by Tests/Fuzz/run alone: it needs libFuzzer and flags that instrument every module.
if Context.environment["MULE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "mule-fuzz",
            dependencies: ["FuzzTargets"],
            path: "Tests/Fuzz/Runner",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]
        )
    )
}
