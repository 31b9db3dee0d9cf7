import MuleSigning

/// Tags as one header: a URL query, https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html.
enum TagHeader {
    static func text(_ tags: [NamedText]) -> String {
        tags.map { URIEncoding.component($0.name.utf8) + "=" + URIEncoding.component($0.text.utf8) }
            .joined(separator: "&")
    }
}
