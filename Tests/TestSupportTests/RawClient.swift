import Glibc

@testable import TestSupport

/// One HTTP connection on a plain socket: what it sends is what the test spelled out.
final class RawClient {
    struct Answer {
        var status: Int
        var headers: [FakeHeader]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        var xml: FakeXML? { FakeXML(parsing: body) }
        var code: String? { xml?.child("Code")?.text }
        subscript(name: String) -> String? { headers.value(of: name) }
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(_ server: FakeS3) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = server.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = descriptor
        withUnsafeBytes(of: &address) { bytes in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return }
            _ = connect(descriptor, generic, socklen_t(bytes.count))
        }
    }

    deinit { close(descriptor) }

    /// Sends one request and reads its answer; nil when the server closed or reset instead.
    func request(
        _ method: String,
        _ target: String,
        _ headers: [String: String] = [:],
        body: [UInt8] = [],
        host: String = "127.0.0.1"
    ) -> Answer? {
        send(head(method, target, headers, length: body.count, host: host) + body)
        return answer(method)
    }

    func head(
        _ method: String,
        _ target: String,
        _ headers: [String: String] = [:],
        length: Int,
        host: String = "127.0.0.1"
    ) -> [UInt8] {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
        if length > 0 || method == "PUT" { text += "Content-Length: \(length)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let sent = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            offset += sent
        }
        return true
    }

    /// The next answer, with 1xx answers given like others.
    func answer(_ method: String = "GET") -> Answer? {
        var end: Int?
        while true {
            end = buffer.withUnsafeBytes { Bytes.firstRange(of: [13, 10, 13, 10], in: $0) }
            if end != nil { break }
            guard fill() else { return nil }
        }
        let headLength = end ?? 0
        var lines = String(decoding: buffer[..<headLength], as: UTF8.self).split(separator: "\r\n").map(String.init)[
            ...
        ]
        buffer.removeFirst(headLength + 4)
        let status = lines.popFirst()?.split(separator: " ")[1]
        let headers = lines.map { line in
            let pair = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return FakeHeader(String(pair[0]), String(pair[1].drop { $0 == " " }))
        }
        var answer = Answer(status: status.flatMap { Int($0) } ?? 0, headers: headers, body: [])
        if method == "HEAD" || answer.status < 200 || answer.status == 204 { return answer }
        if answer["transfer-encoding"] == "chunked" {
            while let size = line().flatMap({ Int($0, radix: 16) }), let chunk = take(size), line() != nil {
                if size == 0 { return answer }
                answer.body += chunk
            }
            return nil
        }
        guard let body = take(answer["content-length"].flatMap { Int($0) } ?? 0) else { return nil }
        answer.body = body
        return answer
    }

    /// Whether the server has closed, and nothing is left to read.
    var isClosed: Bool { buffer.isEmpty && !fill() }

    private func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end].filter { $0 != 13 }, as: UTF8.self)
            }
            guard fill() else { return nil }
        }
    }

    private func take(_ count: Int) -> [UInt8]? {
        while buffer.count < count { guard fill() else { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func fill() -> Bool {
        let piece = [UInt8](unsafeUninitializedCapacity: 256 << 10) { target, count in
            count = max(0, recv(descriptor, target.baseAddress, 256 << 10, 0))
        }
        buffer += piece
        return !piece.isEmpty
    }
}

/// What most tests need: a server that lets unsigned requests pass, with small parts, and a connection to it.
struct Bench {
    let server: FakeS3
    let client: RawClient

    init(_ faults: Fault..., profile change: (inout FakeProfile) -> Void = { _ in }) {
        var profile = FakeProfile.aws(minimumPartSize: 10)
        profile.signatures = .optional
        change(&profile)
        server = FakeS3(profile, faults: faults)
        client = RawClient(server)
    }

    /// A further connection.
    func reconnected() -> RawClient { RawClient(server) }

    func create(_ key: String = "k", _ headers: [String: String] = [:]) -> String {
        _ = client.request("POST", "/bucket/\(key)?uploads", headers)
        return server.uploads.last?.id ?? ""
    }

    static func query(_ id: String) -> String {
        String(decoding: Percent.encode(id.utf8, keepingSlash: false), as: UTF8.self)
    }

    func part(_ id: String, _ number: Int, _ body: [UInt8], _ headers: [String: String] = [:]) -> RawClient.Answer? {
        client.request("PUT", "/bucket/k?partNumber=\(number)&uploadId=\(Self.query(id))", headers, body: body)
    }

    /// Completes with the parts that the server holds, changed as wanted.
    func complete(
        _ id: String,
        _ headers: [String: String] = [:],
        through client: RawClient? = nil,
        _ change: (inout [(number: Int, eTag: String, extra: String)]) -> Void = { _ in }
    ) -> RawClient.Answer? {
        let parts = server.uploads.first { $0.id == id }?.parts.values.sorted { $0.number < $1.number } ?? []
        var listed = parts.map { (number: $0.number, eTag: $0.eTag, extra: "") }
        change(&listed)
        var document = "<CompleteMultipartUpload>"
        for part in listed {
            document += "<Part><PartNumber>\(part.number)</PartNumber><ETag>\"\(part.eTag)\"</ETag>\(part.extra)</Part>"
        }
        document += "</CompleteMultipartUpload>"
        return (client ?? self.client).request(
            "POST",
            "/bucket/k?uploadId=\(Self.query(id))",
            headers,
            body: Array(document.utf8)
        )
    }
}
