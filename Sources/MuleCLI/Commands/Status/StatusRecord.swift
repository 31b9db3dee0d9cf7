import MuleJSON

/// An object of `mule status --json`: an upload of the ledger, one that only a store knows, or a quarantined file. All
/// have the same keys; unknown values are null.
struct StatusRecord {
    var bytesDone: Int64?
    var createdAt: String?
    var destination: String?
    var endpoint: String?
    var id: String?
    var lastError: String?
    var partSize: Int64?
    var partsDone: Int?
    var partsTotal: Int?
    /// The process that holds the upload.
    var process: Int32?
    var size: Int64?
    var source: String?
    var state: String
    var updatedAt: String?
    var uploadID: String?
    /// The store's state; the key exists only with `--remote`.
    var remote: JSONValue?
    /// The job that quarantined the file; the keys exist only for such files.
    var quarantinedBy: String?

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "bytesDone": JSONValue(bytesDone),
            "createdAt": JSONValue(createdAt),
            "destination": JSONValue(destination),
            "endpoint": JSONValue(endpoint),
            "id": JSONValue(id),
            "lastError": JSONValue(lastError),
            "partSize": JSONValue(partSize),
            "partsDone": JSONValue(partsDone.map(Int64.init)),
            "partsTotal": JSONValue(partsTotal.map(Int64.init)),
            "process": JSONValue(process.map(Int64.init)),
            "size": JSONValue(size),
            "source": JSONValue(source),
            "state": .string(state),
            "updatedAt": JSONValue(updatedAt),
            "uploadID": JSONValue(uploadID),
        ]
        if let remote { members["remote"] = remote }
        if let quarantinedBy {
            members["job"] = .string(quarantinedBy)
            members["quarantined"] = true
        }
        return .object(members)
    }
}
