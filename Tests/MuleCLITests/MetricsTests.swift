import MuleLedger
import Testing

@testable import MuleCLI

/// The text that Prometheus's collector reads, held to its grammar by a reader of our own.
@Suite struct MetricsTests {
    private struct Sample: Equatable {
        var name: String
        var label: String
        var value: Double
    }

    /// Each metric: HELP, TYPE, one sample, in this order.
    private func read(_ text: String) throws -> [Sample] {
        #expect(text.hasSuffix("\n"))
        var samples: [Sample] = []
        var rest = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        while !rest.isEmpty {
            let three = rest.prefix(3).map { String($0) }
            rest = rest.dropFirst(3)
            let help = three[0].split(separator: " ", maxSplits: 3)
            let type = three[1].split(separator: " ")
            let name = String(help[2])
            #expect(help[0] == "#" && help[1] == "HELP" && help.count == 4)
            #expect(type.count == 4 && type[1] == "TYPE" && type[2] == name && ["gauge", "counter"].contains(type[3]))
            #expect(type[3] != "counter" || name.hasSuffix("_total"))
            #expect(name.utf8.allSatisfy { $0 == 0x5F || (0x61...0x7A).contains($0) })
            var line = three[2][...]
            #expect(line.hasPrefix(name + "{job=\""))
            line = line.dropFirst(name.count + 6)
            var label = ""
            while let letter = line.popFirst(), letter != "\"" {
                guard letter == "\\" else {
                    label.append(letter)
                    continue
                }
                let next = line.popFirst()
                let escaped = try #require(next)
                label.append(escaped == "n" ? "\n" : escaped)
                #expect("n\\\"".contains(escaped))
            }
            #expect(line.hasPrefix("} "))
            samples.append(Sample(name: name, label: label, value: try #require(Double(line.dropFirst(2)))))
        }
        return samples
    }

    @Test(arguments: ["nightly", "a\"b\\c\nd", "/srv/x -> bucket/é/"]) func `every sample can be read`(name: String)
        throws
    {
        let job = KnownJob(number: 1, name: name, quarantineAfter: 3)
        var totals = JobTotals()
        totals.archived = 3
        totals.lastSuccess = 1_500
        totals.oldestPending = 9_000
        let samples = try read(Metrics.text(of: job, totals, last: nil, now: 10_000))
        #expect(samples.allSatisfy { $0.label == name })
        let values = Dictionary(uniqueKeysWithValues: samples.map { ($0.name, $0.value) })
        #expect(values["mule_job_files_archived_total"] == 3)
        #expect(values["mule_job_last_success_timestamp_seconds"] == 1.5)
        #expect(values["mule_job_oldest_pending_seconds"] == 1)
        #expect(values["mule_job_last_status"] == nil)
    }
}
