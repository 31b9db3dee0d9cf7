/// Splits text into words like a POSIX shell, as Python's `shlex.split`: `profile "my name"` and `profile my\ name` are
/// two.
///
/// - Returns: Nil if a quote is not closed or the last character is an escape.
func shellWords(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String.UnicodeScalarView?
    var quote: Unicode.Scalar?
    var isEscaped = false
    for scalar in text.unicodeScalars {
        if isEscaped {
            // Inside double quotes, a backslash only escapes a double quote and itself.
            if quote != nil, scalar != "\"", scalar != "\\" { word?.append("\\") }
            word?.append(scalar)
            isEscaped = false
        } else if scalar == "\\" && quote != "'" {
            word = word ?? .init()
            isEscaped = true
        } else if let open = quote {
            if scalar == open { quote = nil } else { word?.append(scalar) }
        } else if scalar == "'" || scalar == "\"" {
            word = word ?? .init()
            quote = scalar
        } else if scalar == " " || scalar == "\t" {
            if let done = word { words.append(String(done)) }
            word = nil
        } else {
            word = word ?? .init()
            word?.append(scalar)
        }
    }
    guard quote == nil, !isEscaped else { return nil }
    if let done = word { words.append(String(done)) }
    return words
}
