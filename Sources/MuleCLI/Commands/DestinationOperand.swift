import MulePlan
import MuleSources

extension Session {
    /// DESTINATION as it was typed.
    func destination(_ text: [UInt8]) throws(CommandFailure) -> Destination {
        do {
            return try Destination(parsing: text, exactKey: typed.exactKey)
        } catch {
            let shown = TextSafety.displayName(text)
            let message =
                switch error {
                case .noBucket: "The destination \"\(shown)\" has no bucket: write bucket/key or s3://bucket/key."
                case .badBucket(let name):
                    "\"\(TextSafety.displayText(name))\" in the destination \"\(shown)\" is not a valid bucket name. Is "
                        + "the destination the last argument? Write bucket/key or s3://bucket/key."
                }
            throw CommandFailure(status: .usage, message: message)
        }
    }

    /// The one object for a file: DESTINATION itself, or the file's name below it.
    func address(_ destination: [UInt8], forFile path: [UInt8]) throws(CommandFailure) -> ObjectAddress {
        let address = try self.destination(destination).address(forName: SourceWalk.lastComponent(path))
        guard address.key.utf8.count <= StoreLimits.amazon.maximumKeyLength else {
            throw CommandFailure(
                status: .usage,
                message:
                    "The key for \(TextSafety.displayName(path)) is \(address.key.utf8.count) bytes long; S3 allows "
                    + "\(StoreLimits.amazon.maximumKeyLength)."
            )
        }
        return address
    }
}
