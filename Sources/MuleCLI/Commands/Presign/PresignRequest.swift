import MuleS3

/// What `mule presign` is asked for.
struct PresignRequest {
    /// Why operands and options do not make sense together.
    struct Problem: Error {
        let text: String
    }

    let method: PresignedURL.Method
    /// `BUCKET/KEY`, or the URL of an object at Swift.
    let target: [UInt8]
    let isSwift: Bool

    init(_ arguments: Arguments) throws(Problem) {
        var words = arguments.operands[...]
        isSwift = words.first == Array("swift".utf8)
        if isSwift { words = words.dropFirst() }
        let form = isSwift ? "presign swift put|get URL" : "presign put|get BUCKET/KEY"
        guard let word = words.popFirst() else { throw Problem(text: "an operand is missing: mule \(form)") }
        guard let method = PresignedURL.Method(rawValue: TextSafety.displayName(word).uppercased()) else {
            throw Problem(text: "unknown action \"\(TextSafety.displayName(word))\": mule \(form)")
        }
        guard words.count == 1, let target = words.first else {
            throw Problem(
                text: words.isEmpty ? "an operand is missing: mule \(form)" : "one URL at a time: mule \(form)"
            )
        }
        (self.method, self.target) = (method, target)
        let options = arguments.presign
        let ofSwift = [
            ("--key-file", options.keyFile != nil), ("--digest", options.digest != nil),
            ("--prefix", options.prefix != nil), ("--ip-range", options.ipRange != nil),
        ]
        let ofPut = [("--content-type", options.contentType != nil), ("--if-absent", options.ifAbsent)]
        let ofGet = [("--filename", options.filename != nil), ("--inline", options.inline)]
        if isSwift {
            if let (name, _) = ofPut.first(where: \.1) {
                throw Problem(text: "\(name): a temp URL of Swift cannot fix headers; remove it")
            }
            guard options.keyFile != nil else {
                throw Problem(text: "presign swift needs the temp URL key of the account or container: --key-file FILE")
            }
        } else if let (name, _) = ofSwift.first(where: \.1) {
            throw Problem(text: "\(name) is for \"mule presign swift\"")
        }
        if method == .get, let (name, _) = ofPut.first(where: \.1) { throw Problem(text: "\(name) is for put") }
        if method == .put, let (name, _) = ofGet.first(where: \.1) { throw Problem(text: "\(name) is for get") }
    }
}
