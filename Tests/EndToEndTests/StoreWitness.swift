import TestSupport
import Testing

/// A second client, Python's in `Tests/Servers`, that tells what a real server holds: mule does not judge itself.
struct StoreWitness {
    let server: RealServer
    /// A bucket of the test's own.
    let bucket: String

    /// Makes the bucket.
    init(_ server: RealServer, bucket: String) throws {
        self.server = server
        self.bucket = bucket
        _ = try ask("import sys; assert store.request('PUT', '/' + bucket).status in (200, 409)")
    }

    /// Keys of all objects, in the order of their bytes, that equal the file byte for byte.
    func keys(equalTo file: String) throws -> [[UInt8]] {
        let script = """
            import xml.etree.ElementTree
            wanted = open(arguments[0], 'rb').read()
            page = xml.etree.ElementTree.fromstring(store.request('GET', '/' + bucket, {'list-type': '2'}).body)
            for element in page.findall('{*}Contents'):
                key = element.findtext('{*}Key')
                if store.request('GET', f'/{bucket}/{key}').body == wanted:
                    print(key.encode().hex())
            """
        return try ask(script, file).map(Self.bytes(hex:)).sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Number of multipart uploads that are neither completed nor aborted.
    func openUploads() throws -> Int { try ask("for upload in store.open_uploads(bucket): print(upload)").count }

    /// Starts a multipart upload as a plain client does, without checksums, and sends these parts of the file.
    func begin(_ key: String, _ file: String, parts: [Int], of partSize: Int64) throws {
        let script = """
            import xml.etree.ElementTree
            key, file, size, *numbers = arguments
            path = f'/{bucket}/{key}'
            answer = store.request('POST', path, {'uploads': ''})
            assert answer.status == 200, answer
            upload = xml.etree.ElementTree.fromstring(answer.body).findtext('{*}UploadId')
            content = open(file, 'rb')
            for number in numbers:
                content.seek((int(number) - 1) * int(size))
                part = content.read(int(size))
                answer = store.request('PUT', path, {'partNumber': number, 'uploadId': upload}, body=part)
                assert answer.status == 200, answer
            """
        _ = try ask(script, [key, file, "\(partSize)"] + parts.map { "\($0)" })
    }

    private func ask(_ script: String, _ arguments: String...) throws -> [String] { try ask(script, arguments) }

    private func ask(_ script: String, _ arguments: [String]) throws -> [String] {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        let preamble = """
            import sys
            sys.dont_write_bytecode = True
            folder, endpoint, access_key, secret_key, region, bucket, *arguments = sys.argv[1:]
            sys.path.insert(0, folder)
            from s3client import Store
            store = Store(endpoint, access_key, secret_key, region)

            """
        let home = ScratchDirectory()
        let facts = [server.endpoint, server.accessKey, server.secretKey, server.region, bucket]
        let outcome = try TestCommand(
            "/usr/bin/env",
            ["python3", "-c", preamble + script, tests + "/Servers"] + facts + arguments,
            home: home.path
        ).run()
        try #require(outcome.exitCode == 0, "\(outcome.err)")
        return outcome.lines
    }

    private static func bytes(hex: String) -> [UInt8] {
        let digits = hex.compactMap { $0.hexDigitValue.map(UInt8.init) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
