import MuleJSON
import MulePlan
package import MuleSigning

/// The backend of mule-uploader: the calls of its page, made by mule. https://github.com/cinely/mule-uploader
package struct UploadBackend: Sendable {
    let client: SignerClient

    package init(_ client: SignerClient) {
        self.client = client
    }

    package var host: String { client.address.host }

    /// A file as the backend knows it.
    package struct File: Sendable {
        package var name: String
        package var size: Int64
        /// Milliseconds since 1970.
        package var modified: Int64
        package var contentType: String

        package init(name: String, size: Int64, modified: Int64, contentType: String) {
            self.name = name
            self.size = size
            self.modified = modified
            self.contentType = contentType
        }
    }

    /// The key of the day. Backends look files up by name, size and time; there is none of this name and size.
    func signingKey() throws(CredentialsUnavailable) -> BackendAnswer {
        try signingKey(File(name: "mule", size: 0, modified: 0, contentType: "application/octet-stream"), force: false)
    }

    /// The key of the day and what the backend knows of a file, which is only where to look.
    ///
    /// - Parameter force: forget what is known of the file.
    package func signingKey(_ file: File, force: Bool) throws(CredentialsUnavailable) -> BackendAnswer {
        var query = [
            QueryItem(name: "filename", value: file.name), QueryItem(name: "filesize", value: String(file.size)),
            QueryItem(name: "last_modified", value: String(file.modified)),
            QueryItem(name: "content_type", value: file.contentType),
        ]
        if force { query.append(QueryItem(name: "force", value: "true")) }
        let body = try client.ask("GET", path("signing_key", query), for: "a signing key")
        do throws(SigningWire.Problem) {
            return try BackendAnswer(body)
        } catch {
            throw client.failure(error)
        }
    }

    /// Tells the backend that a part is at the store, for others who ask about the file.
    package func chunkLoaded(_ chunk: Int, of file: File, key: String, uploadID: String) throws(CredentialsUnavailable)
    {
        let query = [
            QueryItem(name: "chunk", value: String(chunk)), QueryItem(name: "key", value: key),
            QueryItem(name: "upload_id", value: uploadID), QueryItem(name: "filename", value: file.name),
            QueryItem(name: "filesize", value: String(file.size)),
            QueryItem(name: "last_modified", value: String(file.modified)),
        ]
        _ = try client.ask("GET", path("chunk_loaded", query), for: "chunk_loaded")
    }

    private func path(_ call: String, _ query: [QueryItem]) -> String {
        let text = query.map { "\($0.name)=\(URIEncoding.component($0.value.utf8))" }.joined(separator: "&")
        return client.address.isScript ? "?action=\(call)&\(text)" : "/\(call)/?\(text)"
    }
}

/// What `signing_key` answers.
package struct BackendAnswer: Sendable {
    package let credentials: Credentials
    /// The UTC day of the key: `20261130`.
    package let date: String
    package let region: String
    package let bucket: String
    /// The key for a new upload, as the backend names it.
    package let backupKey: String?
    /// An upload of the file that the backend knows of. It may be gone, or another file's.
    package let known: (key: String, uploadID: String)?

    init(_ bytes: [UInt8]) throws(SigningWire.Problem) {
        let value: JSONValue
        do { value = try JSONReader.read(bytes) } catch {
            throw .unreadable("sent an answer that is not JSON (line \(error.line), column \(error.column))")
        }
        guard case .object(let members) = value else { throw .unreadable("sent an answer that is not an object") }
        func text(_ name: String) -> String? {
            switch members[name] {
            case .string(let text)?: text.isEmpty ? nil : text
            case .int(let number)?: String(number)
            default: nil
            }
        }
        guard let signature = text("signature"), let stated = text("date") else {
            throw .unreadable("sent no signing key: \"signature\" and \"date\" are missing")
        }
        guard let accessKey = text("access_key"), let region = text("region"), let bucket = text("bucket") else {
            // Backends of before 2014 sign with HMAC-SHA1 what no region of S3 accepts any more.
            throw .unreadable(
                "speaks mule-uploader's old protocol (Signature Version 2), which S3 no longer accepts: update the backend"
            )
        }
        // The time has no zone in some backends, and means UTC.
        let zoned = stated.hasSuffix("Z") || stated.hasSuffix("+00:00") ? stated : stated + "Z"
        guard let time = UTCTime(iso8601: zoned) else {
            throw .unreadable("sent a \"date\" that is not ISO 8601 in UTC")
        }
        guard let key = SigningKey(hex: signature, date: time.basicDate, region: region) else {
            throw .unreadable("sent a \"signature\" that is not 64 hexadecimal digits")
        }
        guard [accessKey, region, bucket].allSatisfy({ $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } }) else {
            throw .unreadable("sent an \"access_key\", \"region\" or \"bucket\" that cannot be one")
        }
        credentials = Credentials(accessKeyID: accessKey, signingKey: key, sessionToken: text("session_token"))
        date = key.date
        self.region = region
        self.bucket = bucket
        backupKey = text("backup_key")
        known = if let key = text("key"), let uploadID = text("upload_id") { (key, uploadID) } else { nil }
    }

    /// Milliseconds between a time and the day of the key; 0 within it.
    func distance(to time: UTCTime) -> Int64 {
        guard let start = UTCTime(basicDate: date)?.millisecondsSince1970 else { return .max }
        return max(start - time.millisecondsSince1970, time.millisecondsSince1970 - (start + 86_400_000 - 1), 0)
    }
}
