import MulePlan
import MuleSources

extension Session {
    /// Parses DESTINATION.
    func destination(_ text: [UInt8]) throws(CommandFailure) -> Destination {
        let shown = TextSafety.displayOperand(text)
        if let meant = DestinationHint.misspelling(text) {
            throw CommandFailure(status: .usage, message: "The destination \"\(shown)\" is not bucket/key. \(meant)")
        }
        do {
            return try Destination(parsing: text, exactKey: arguments.exactKey)
        } catch {
            let hint = DestinationHint.text(for: text)
            let message =
                switch error {
                case .noBucket:
                    "The destination \"\(shown)\" has no bucket: write bucket/key or s3://bucket/key."
                        + (hint.map { " " + $0 } ?? "")
                case .badBucket(let name):
                    "\"\(TextSafety.displayText(name))\" in the destination \"\(shown)\" is not a valid bucket name. "
                        + "Is the destination the last argument? Write bucket/key or s3://bucket/key."
                        + (hint.map { " " + $0 } ?? "")
                case .unsupportedARN(_, let refusal):
                    "The destination \"\(shown)\" is not bucket/key. \(hint ?? refusal.cure)"
                }
            throw CommandFailure(status: .usage, message: message)
        }
    }

    /// The object for a file: DESTINATION itself, or the file's name below it.
    func address(_ destination: [UInt8], forFile path: [UInt8]) throws(CommandFailure) -> ObjectAddress {
        let usage = arguments.command.map { "mule \($0.rawValue) FILE BUCKET/KEY" } ?? ""
        try checkOrder([path], destination, usage: usage)
        if let hint = SourceHint.text(forMissing: path) {
            throw CommandFailure(
                status: .source,
                message: "\(TextSafety.displayName(path)) cannot be read: it does not exist. \(hint)"
            )
        }
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
