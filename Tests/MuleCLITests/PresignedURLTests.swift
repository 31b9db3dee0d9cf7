import MulePlan
import MuleS3
import MuleSigning
import TestSupport
import Testing

/// URLs as botocore presigns them: `Fixtures/make-presigned` has asked it.
@Suite struct PresignedURLTests {
    @Test func `URLs equal those of botocore byte for byte`() throws {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let text = String(decoding: try Files.read("\(here)/Fixtures/presigned.tsv"), as: UTF8.self)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count >= 200)
        for line in lines {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            let query = EndpointQuery(
                region: fields[3],
                url: fields[4].isEmpty ? nil : fields[4],
                addressing: try #require(Addressing(rawValue: fields[5]))
            )
            var headers: [(name: String, value: String)] = []
            if !fields[11].isEmpty { headers.append(("content-type", fields[11])) }
            if !fields[12].isEmpty { headers.append(("if-none-match", "*")) }
            let url = PresignedURL(
                try #require(PresignedURL.Method(rawValue: fields[0])),
                ObjectAddress(bucket: fields[6], key: ObjectKey(fields[7])),
                at: try Endpoint(query, bucket: fields[6]),
                headers: headers,
                query: fields[13].isEmpty
                    ? [] : [QueryItem(name: "response-content-disposition", value: fields[13])],
                credentials: Credentials(
                    accessKeyID: fields[8],
                    secretAccessKey: fields[9],
                    sessionToken: fields[10].isEmpty ? nil : fields[10]
                ),
                now: try #require(UTCTime(iso8601: fields[1])),
                seconds: try #require(Int(fields[2]))
            )
            #expect(url.text.utf8.elementsEqual(fields[14].utf8), "\(url.text)\n\(fields[14])")
        }
    }
}
