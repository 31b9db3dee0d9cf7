import MulePlan
import MuleS3
import MuleSystem
import TestSupport
import Testing

@testable import MuleCLI

/// Which endpoint and signing region settings lead to, as AWS's tools choose them: `Fixtures/make-endpoints` has asked
/// botocore.
@Suite struct EndpointTableTests {
    struct Row: Sendable {
        var variables: [String: String]
        var profile: [String: String]
        var bucket: String
        /// `scheme://host/path` before the key, and the region; nil where the rules refuse.
        var expected: (url: String, region: String)?
    }

    private static func rows() throws -> [Row] {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let text = String(decoding: try Files.read("\(here)/Fixtures/endpoints.tsv"), as: UTF8.self)
        func pairs(_ text: Substring) -> [String: String] {
            Dictionary(
                text.split(separator: " ").map { pair -> (String, String) in
                    let words = pair.split(separator: "=", maxSplits: 1)
                    return (String(words[0]), String(words[1]))
                }
            ) { first, _ in first }
        }
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            return Row(
                variables: pairs(fields[0]),
                profile: pairs(fields[1]),
                bucket: String(fields[2]),
                expected: fields[3] == "refused" ? nil : (String(fields[3]), String(fields[4]))
            )
        }
    }

    private func session(_ variables: [String: String], _ home: ScratchDirectory) throws -> Session {
        try Session(
            Arguments(),
            environment: variables.merging(["HOME": home.path]) { own, _ in own },
            cancellation: Cancellation(),
            diagnostics: Diagnostics(environment: [:]),
            output: StandardOutput(isNeeded: false)
        )
    }

    /// - Returns: nil where it is refused as a mistake of the user's.
    private func choice(_ row: Row, _ home: ScratchDirectory) throws -> (url: String, region: String)? {
        let plain = row.profile.filter { !$0.key.hasPrefix("s3.") }.map { "\($0.key) = \($0.value)\n" }
        let nested = row.profile.filter { $0.key.hasPrefix("s3.") }.map { "  \($0.key.dropFirst(3)) = \($0.value)\n" }
        let config = "[default]\n" + plain.joined() + (nested.isEmpty ? "" : "s3 =\n" + nested.joined())
        try home.write(config, to: ".aws/config")
        let bucket = try Destination(parsing: Array(row.bucket.utf8)).bucket
        let session = try session(row.variables, home)
        do {
            let endpoint = try session.plan(forBucket: bucket).endpoint
            let target = endpoint.target(bucket: bucket, key: ObjectKey(""))
            return ("\(endpoint.scheme)://\(target.host)\(target.path)", endpoint.region)
        } catch {
            #expect(error.status == .usage, "\(error.message)")
            return nil
        }
    }

    @Test func `hosts and signing regions are those of botocore, and what its rules refuse is refused`() throws {
        let rows = try Self.rows()
        #expect(rows.count >= 300)
        #expect(rows.count { $0.expected == nil } < rows.count / 2, "most lines have an endpoint")
        let home = ScratchDirectory()
        for row in rows {
            let chosen = try choice(row, home)
            let (found, wanted) = (String(describing: chosen), String(describing: row.expected))
            #expect(
                chosen?.url == row.expected?.url && chosen?.region == row.expected?.region,
                "\(row.variables) \(row.profile) \(row.bucket): \(found), not \(wanted)"
            )
        }
    }
}
