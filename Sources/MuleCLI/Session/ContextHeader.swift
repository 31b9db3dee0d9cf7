import MuleDigest
import MuleJSON

/// A KMS encryption context as one header: a JSON object in Base64,
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html. The same pairs always give the same text.
enum ContextHeader {
    static func text(_ pairs: [NamedText]) -> String {
        let members = pairs.map { ($0.name, JSONValue.string($0.text)) }
        return Base64.encode(Array(JSONValue.object(Dictionary(members) { _, last in last }).line.utf8))
    }
}
